/**
 * How many files have to be read to follow a statement.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

const program = fileURLToPath(new URL("./path.ts", import.meta.url))

const run = (url: string) =>
  Effect.async<string, Error>((resume) => {
    const child = execFile(process.execPath, ["--import", "tsx", program, url], (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(stdout) : Effect.fail(new Error(`${error.message}\n${stderr}`))))
    return Effect.sync(() =>
      child.kill("SIGKILL")
    )
  })

describePostgres("the way of a statement through the source", () => {
  it.scopedLive("of a SELECT in a transaction: at most 20 files (docs/architecture.md)", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const lines = (yield* run(url)).trim().split("\n")
      const files: ReadonlyArray<string> = JSON.parse(lines[lines.length - 1]!)
      assert.include(files, "internal/request/execute.ts")
      assert.isAtMost(files.length, 20, files.join("\n"))
    }))
})
