/** A whole run of Vitest in a process of its own, for what a run does beyond its tests. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { packageFolder } from "./packages.js"

export interface Report {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{
      readonly title: string
      readonly fullName: string
      readonly status: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Runs the files that a configuration names, with these variables alone; `args` are further arguments. */
export const runVitest = (
  config: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
): Effect.Effect<{ readonly report: Report; readonly errors: string }, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dblive-run-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) =>
      Effect.async((resume) => {
        const outputFile = path.join(folder, "report.json")
        const child = spawn(
          process.execPath,
          [`${packageFolder("vitest")}/vitest.mjs`, "run", "--config", config, "--outputFile", outputFile, ...args],
          {
            cwd: root,
            stdio: ["ignore", "pipe", "pipe"],
            env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env }
          }
        )
        let output = ""
        let errors = ""
        child.stdout.on("data", (chunk) => output += chunk)
        child.stderr.on("data", (chunk) => errors += chunk)
        child.on("error", (error) => resume(Effect.die(error)))
        child.on("close", () =>
          resume(Effect.sync(() => {
            if (!fs.existsSync(outputFile)) throw new Error(`no report\n${output}\n${errors}`)
            // Vitest's own report, of which this is a part.
            return { report: JSON.parse(fs.readFileSync(outputFile, "utf8")) as Report, errors }
          })))
        return Effect.sync(() => child.kill("SIGKILL"))
      })
  )
