/**
 * The command that README gives for a real server, on the stand-in given by its URL: what is not marked as the stand-in's own
 * passes on a server that can only be reached over the network.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { describe, expect } from "vitest"
import { standIn } from "../../kit/mssql.js"
import { runVitest } from "../../kit/vitestRun.js"

const command = ["test/conformance/mssql.test.ts", "test/driver/mssql"]

// Not in that very run, nor where a real server is given, on which the tests run by themselves.
describe.runIf((process.env["TEST_MSSQL_URL"] ?? "") === "")(
  "the tests of SQL Server on a server given by its URL",
  () => {
    it.scopedLive("pass, each on what it needs", () =>
      Effect.gen(function*() {
        const { server, url } = yield* standIn()
        // Those of the stand-in's own run in the run around this one.
        const { report } = yield* runVitest("test/kit/mssql.vitest.config.ts", ["-t", "TEST_MSSQL_URL", ...command], {
          TEST_MSSQL_URL: url
        })
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
