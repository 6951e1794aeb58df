/** Contract 4: a COMMIT that is cut off is never applied twice, and nothing false is said of it. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import * as DbRetry from "../../src/DbRetry.js"
import { describePostgres } from "../kit/postgres.js"
import { afterBytes, afterReply, afterStatement, beforeReply, beforeStatement, type Point } from "../kit/proxy.js"
import { isWhole } from "../suites/sessions.js"
import { onPostgres, took } from "../time/onPostgres.js"

const commit = /^COMMIT/

/** Where the connection is cut. */
const faults = {
  "nowhere": undefined,
  "before INSERT is sent": beforeStatement(/^INSERT/),
  "after INSERT was sent": afterStatement(/^INSERT/),
  "before the answer to INSERT": beforeReply("INSERT"),
  "after the answer to INSERT": afterReply("INSERT"),
  "before COMMIT is sent": beforeStatement(commit),
  "after COMMIT was sent": afterStatement(commit),
  "before the answer to COMMIT": beforeReply("COMMIT"),
  "after the answer to COMMIT": afterReply("COMMIT"),
  "somewhere in what is sent": undefined,
  "somewhere in what is answered": undefined
} satisfies Record<string, Point | undefined>

interface Plan {
  readonly fault: keyof typeof faults
  readonly bytes: number
  readonly resolveCommit: boolean
  readonly retry: boolean
}

const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)

/** Every fault in every way, several times, in an order and at bytes of chance. */
const plans = (runs: number): ReadonlyArray<Plan> => {
  // Object.keys gives the names of the table above.
  const ways = (Object.keys(faults) as ReadonlyArray<keyof typeof faults>).flatMap((fault) =>
    [true, false].flatMap((resolveCommit) => [true, false].map((retry) => ({ fault, resolveCommit, retry })))
  )
  const all = Array.from({ length: runs }, (_, i) => ways[i % ways.length]!)
  const bytes = fc.sample(fc.integer({ min: 1, max: 400 }), { numRuns: runs, seed })
  const [order] = fc.sample(fc.shuffledSubarray(all, { minLength: runs }), { numRuns: 1, seed })
  return order!.map((way, i) => ({ ...way, bytes: bytes[i]! }))
}

const pointOf = ({ bytes, fault }: Plan): Point | undefined =>
  fault === "somewhere in what is sent"
    ? afterBytes("frontend", bytes)
    : fault === "somewhere in what is answered"
    ? afterBytes("backend", bytes)
    : faults[fault]

describePostgres("a transaction whose connection is cut", () => {
  it.scopedLive(
    "200 runs: never applied twice, never a wrong answer",
    () =>
      onPostgres({ pool: { size: 2 } }, (server) =>
        Effect.gen(function*() {
          console.log(`commits: DBLIVE_SEED=${seed}`)
          yield* server.ask("CREATE TABLE ledger (run int NOT NULL)")
          const count = (run: number) =>
            Effect.map(
              server.ask("SELECT count(*)::int AS n FROM ledger WHERE run = $1", [run]),
              ([row]) => Number(row!["n"])
            )
          const said: Array<{ readonly plan: Plan; readonly result: Either.Either<string, DbError> }> = []
          const seen = new Set<string>()
          for (const [run, plan] of plans(200).entries()) {
            const point = pointOf(plan)
            const trigger = point === undefined ? undefined : server.proxy.at(point, "cut")
            const result: Either.Either<string, DbError> = yield* Effect.either(
              Db.query("INSERT INTO ledger VALUES (:run)", { run }).pipe(
                Effect.as("done"),
                Db.transaction({
                  resolveCommit: plan.resolveCommit,
                  retry: plan.retry ? DbRetry.attempts(4, "1 millis", "5 millis") : undefined
                })
              )
            )
            trigger?.remove()
            said.push({ plan, result })
            const answer = Either.isRight(result) ? "done" : result.left.outcome
            seen.add(`${plan.fault}: ${answer}`)
            const where = `run ${run} (${JSON.stringify(plan)}) said ${answer}`
            const rows = yield* count(run)
            if (answer === "done") {
              assert.strictEqual(rows, 1, where)
            } else if (answer !== "Unknown") {
              assert.strictEqual(rows, 0, where)
            } else {
              // Unknown is right only for a COMMIT that the server was not asked about.
              assert.isFalse(plan.resolveCommit, where)
              assert.deepInclude(
                Either.isLeft(result) && result.left,
                { _tag: "QueryError", reason: "CommitUnknown" },
                where
              )
              assert.isAtMost(rows, 1, where)
            }
            if (plan.retry && plan.resolveCommit) {
              assert.strictEqual(answer, "done", where)
            }
          }
          // Nothing came later than it was looked for.
          for (const [run, { plan, result }] of said.entries()) {
            const rows = yield* count(run)
            const expected = Either.isRight(result) ? [1] : result.left.outcome === "Unknown" ? [0, 1] : [0]
            assert.include(expected, rows, `run ${run} (${JSON.stringify(plan)})`)
          }
          for (
            const must of [
              "before COMMIT is sent: Unknown",
              "after COMMIT was sent: Unknown",
              "before the answer to COMMIT: done",
              "before COMMIT is sent: RolledBack",
              "after INSERT was sent: RolledBack"
            ]
          ) {
            assert.include([...seen], must)
          }
          yield* isWhole
        }), "proxied"),
    60_000
  )

  it.scopedLive("resolveCommit asks through an exhausted pool, for many at once", () =>
    onPostgres({ pool: { size: 3 } }, (server) =>
      Effect.gen(function*() {
        yield* server.ask("CREATE TABLE ledger (run int NOT NULL)")
        // One after the other: a point that is reached sets off all that wait for it.
        const cuts = yield* Effect.fork(
          Effect.forEach([1, 2, 3], () => server.proxy.at(beforeReply("COMMIT"), "cut").fired)
        )
        yield* Effect.yieldNow()
        const results = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (run) =>
          Db.query("INSERT INTO ledger VALUES (:run)", { run }).pipe(
            Effect.as(run),
            Db.transaction({ resolveCommit: true })
          ), { concurrency: "unbounded" })
        assert.deepStrictEqual(results, [1, 2, 3, 4, 5, 6])
        yield* Fiber.join(cuts)
        assert.lengthOf(yield* server.ask("SELECT * FROM ledger"), 6)
        assert.deepStrictEqual((yield* Db.metrics).transactions.committed, 6)
        yield* isWhole
      }), "proxied"))

  it.scopedLive("resolveCommit ends a transaction that would wait for its dead client for ever", () =>
    onPostgres({ pool: { size: 2 }, limits: { statementTimeout: "300 millis" } }, (server) =>
      Effect.gen(function*() {
        yield* server.ask("CREATE TABLE ledger (run int NOT NULL)")
        // The server does not get COMMIT, nor the end of the connection: only this link goes silent.
        server.proxy.at(beforeStatement(commit), "hold")
        const [millis, error] = yield* took(Effect.flip(
          Db.query("INSERT INTO ledger VALUES (1)").pipe(Db.transaction({ resolveCommit: true }))
        ))
        assert.deepInclude(error, { outcome: "RolledBack" })
        assert.isTrue(error.isTransient)
        assert.isBelow(millis, 6000)
        assert.lengthOf(yield* server.ask("SELECT * FROM ledger"), 0)
        yield* isWhole
      }), "proxied"))

  it.scopedLive("resolveCommit in a transaction that only reads, and in one that does nothing", () =>
    onPostgres({}, () =>
      Effect.gen(function*() {
        const rows = yield* Db.query<{ one: number }>("SELECT 1 AS one").pipe(
          Db.transaction({ resolveCommit: true, readOnly: true })
        )
        assert.deepStrictEqual(rows, [{ one: 1 }])
        assert.strictEqual(yield* Effect.succeed(7).pipe(Db.transaction({ resolveCommit: true })), 7)
      })))
})
