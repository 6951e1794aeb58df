/** What Node finds in the packages of the drivers. The test runner finds more: it makes names of what a CommonJS module exports. */
import { describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import { assert } from "vitest"

const root = path.resolve(import.meta.dirname, "../..")

/** The names that modules of ours import from packages at run time: package, name, file. */
const imported = (folder: string): ReadonlyArray<readonly [string, string, string]> =>
  fs.readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = fs.readFileSync(path.join(root, folder, file), "utf8").replace(/\/\*[^]*?\*\//g, "")
      return [...text.matchAll(/^import \{([^}]*)\} from "([^."][^"]*)"/gm)].flatMap(([, names = "", from = ""]) =>
        names.split(",").map((name) => name.trim()).filter((name) => name !== "" && !name.startsWith("type "))
          .map((name) => [from, name.replace(/ as .*/, ""), `${folder}/${file}`] as const)
      )
    })

const program = `
const missing = []
for (const [from, name, file] of JSON.parse(process.argv[1])) {
  if (!(name in await import(from))) missing.push(file + ": " + name + " of " + from)
}
console.log(JSON.stringify(missing))
`

describe("drivers", () => {
  it("import what Node finds", async () => {
    const names = [...imported("src/driver"), ...imported("src/internal/driver")]
    assert.isAbove(names.length, 10)
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", program, JSON.stringify(names)],
      { cwd: root }
    )
    assert.deepStrictEqual(JSON.parse(stdout), [])
  })
})
