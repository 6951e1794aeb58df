import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { describePostgres, query, sharedPostgres } from "../kit/postgres.js"
import { runVitest } from "../kit/vitestRun.js"

/** Its id is in the names of its databases. */
const run = Effect.suspend(() => {
  const id = randomBytes(6).toString("hex")
  const env = { TEST_POSTGRES_URL: sharedPostgres().url, FIXTURE_RUN: id }
  return Effect.map(runVitest("test/dbtest/fixture/vitest.config.ts", [], env), (ended) => ({ ...ended, id }))
})

describePostgres("a run of Vitest with the layers of DbTest", () => {
  it.scopedLive(
    "two workers clone at once; failing tests keep their databases; leaks are caught",
    () =>
      Effect.gen(function*() {
        const { errors, id, report } = yield* run
        const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
        const found = new Map(tests.map((test) => [test.title, test]))
        const states = (status: string) =>
          tests.filter((test) => test.status === status).map(({ title }) => title).sort()

        // Two files with the same migrations began at the same moment, each with a database of its own.
        expect(states("passed")).toEqual([
          "after",
          "before",
          "is empty, and no other test writes to it",
          "is empty, and no other test writes to it",
          "shared and succeeds",
          "succeeds"
        ])
        expect(states("failed")).toEqual(["fails", "leaks", "leaks from a shared layer", "shared and fails"])

        // The holder is named.
        for (const title of ["leaks", "leaks from a shared layer"]) {
          const message = found.get(title)!.failureMessages.join()
          expect(message).toContain("1 connection was not given back at the end of the test")
          expect(message).toContain("held by forgotten")
        }

        // What failed is kept, with its name printed; what succeeded is gone.
        const nameOf = (test: string) => new RegExp(`${test}: (dblive_test_\\w+)`).exec(errors)?.[1] ?? "?"
        const kept = [...errors.matchAll(/its database is kept: (\w+)/g)].map(([, name]) => name)
        expect(kept.sort()).toEqual([nameOf("fails"), nameOf("shared")].sort())
        const { url } = sharedPostgres()
        const there = yield* query(
          url,
          "SELECT datname FROM pg_database WHERE datname = ANY ($1)",
          [[nameOf("succeeds"), nameOf("fails"), nameOf("shared")]]
        )
        expect(there.map(({ datname }) => datname).sort()).toEqual(kept)

        // One template, though both workers wanted it at once.
        const templates = yield* query(
          url,
          "SELECT datname FROM pg_database WHERE datname LIKE 'dblive\\_template\\_%'"
        )
        expect(templates.length).toBeGreaterThan(0)
        expect(id).not.toBe("")
        yield* Effect.forEach(kept, (name) => query(url, `DROP DATABASE ${name}`))
      }),
    60_000
  )
})
