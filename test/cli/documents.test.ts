/** What docs/migrations.md shows of the command is what it writes. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { shell } from "./shell.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What differs from run to run. Columns are as wide as their longest value, so that white space does not count. */
const normal = (text: string): string =>
  text.replace(/\d+(\.\d)? (ms|s)\b/g, "TIME")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\S+/g, "DATE USER")
    .replace(/-{2,}/g, "--")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ $/gm, "")

/** The commands that a document shows, in a block that begins with `$ dblive`, and the whole block. */
const shown = (file: string) => {
  const block = /```console\n(\$ dblive [\s\S]*?)\n```/.exec(fs.readFileSync(path.join(root, file), "utf8"))![1]!
  return { block, commands: [...block.matchAll(/^\$ dblive (.+)$/gm)].map((match) => match[1]!.split(" ")) }
}

const typo = "INSERT INTO note (body) VALUES ('a;b');\n\nINSERT INTO notes\n  VALUES ('typo');\n"

/** What the reader is told to have done before a command: the how-manieth, and what. */
const between: Record<string, Record<number, (folder: string) => void>> = {
  "docs/migrations.md": {
    3: (folder) => fs.writeFileSync(path.join(folder, "V003__Typo.sql"), typo),
    4: (folder) => {
      fs.rmSync(path.join(folder, "V003__Typo.sql"))
      fs.appendFileSync(path.join(folder, "V001__Create_note.sql"), "-- edited\n")
    }
  }
}

describe("the documents of the command", () => {
  for (const [file, edits] of Object.entries(between)) {
    it.scopedLive(`${file} shows what the command writes`, () =>
      Effect.gen(function*() {
        const { dblive, folder } = yield* shell
        const migrations = path.join(folder, "migrations/default")
        fs.cpSync(path.join(root, "migrations/default"), migrations, { recursive: true })
        const { block, commands } = shown(file)
        const parts: Array<string> = []
        for (const [i, args] of commands.entries()) {
          edits[i]?.(migrations)
          const { code, err, out } = yield* dblive(args)
          const exit = code === 0 || args[0] === "status" ? "" : `[exit code ${code}]\n`
          parts.push(`$ dblive ${args.join(" ")}\n${err}${out}${exit}`)
        }
        const real = parts.join("\n").trimEnd()
        expect(normal(block), `the real output:\n${real}`).toBe(normal(real))
      }))
  }
})
