/**
 * The command that README gives for a real server, on the stand-in given by its URL: what is not marked as the stand-in's own
 * passes on a server that can only be reached over the network.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect } from "vitest"
import { standIn } from "../../kit/mssql.js"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const command = ["test/conformance/mssql.test.ts", "test/driver/mssql"]

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

/** A whole run of Vitest in a process of its own. */
const run = (url: string) =>
  Effect.async<Report>((resume) => {
    const child = spawn(
      process.execPath,
      // Those of the stand-in's own run in the run around this one.
      [
        ...["node_modules/vitest/vitest.mjs", "run", "--config", "test/kit/mssql.vitest.config.ts"],
        ...["-t", "TEST_MSSQL_URL", ...command]
      ],
      {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TEST_MSSQL_URL: url }
      }
    )
    let output = ""
    let errors = ""
    child.stdout.on("data", (chunk) => output += chunk)
    child.stderr.on("data", (chunk) => errors += chunk)
    child.on("error", (error) => resume(Effect.die(error)))
    child.on("close", () => {
      const json = output.slice(output.indexOf("{\"numTotalTestSuites"))
      resume(
        Effect.try(() => JSON.parse(json.slice(0, json.lastIndexOf("}") + 1)) as Report).pipe(
          Effect.orDieWith(() => new Error(`${output}\n${errors}`))
        )
      )
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

// Not in that very run, nor where a real server is given, on which the tests run by themselves.
describe.runIf((process.env["TEST_MSSQL_URL"] ?? "") === "")(
  "the tests of SQL Server on a server given by its URL",
  () => {
    it.scopedLive("pass, each on what it needs", () =>
      Effect.gen(function*() {
        const { server, url } = yield* standIn()
        const report = yield* run(url)
        const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
        const failed = tests.filter(({ status }) => status === "failed")
        expect(failed.map(({ failureMessages, fullName }) => `${fullName}: ${failureMessages.join()}`)).toEqual([])
        const passed = tests.filter(({ fullName, status }) =>
          status === "passed" && fullName.includes("(the server of TEST_MSSQL_URL)")
        )
        expect(passed.length).toBeGreaterThan(80)
        // Each of them had a database of its own there, and dropped it.
        expect(server.log.filter(({ text }) => text.startsWith("CREATE DATABASE [dblive_")).length).toBeGreaterThan(40)
        expect(server.sessions()).toEqual([])
      }), 300_000)

    it("are run by the command that the documents give", () => {
      for (const page of ["docs/capabilities.md"]) {
        expect(readFileSync(new URL(`../../../${page}`, import.meta.url), "utf8")).toContain(
          `npx vitest run ${command.join(" ")}`
        )
      }
    })
  }
)
