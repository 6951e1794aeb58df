/**
 * A bank of 8 accounts under SERIALIZABLE, 16 fibers that move money at random, and connections that are killed beneath
 * them: the total holds, no fiber fails, all get on, and the retries are those that the server saw.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import { DbError } from "../../src/DbError.js"
import * as DbRetry from "../../src/DbRetry.js"
import { describePostgres } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"
import { onPostgres, pause } from "../time/onPostgres.js"

const accounts = 8
const fibers = 16
const transfers = 12
const opening = 1000

const transfer = (from: number, to: number, amount: number, key: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ balance: number }>`SELECT balance FROM account WHERE id = ${from}`
    // Read, think, write: without SERIALIZABLE two of these lose each other's money.
    yield* sql`UPDATE account SET balance = ${row!.balance - amount} WHERE id = ${from}`
    const [other] = yield* sql<{ balance: number }>`SELECT balance FROM account WHERE id = ${to}`
    yield* sql`UPDATE account SET balance = ${other!.balance + amount} WHERE id = ${to}`
    yield* sql`INSERT INTO transfer (key, amount) VALUES (${key}, ${amount})`
  })

const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)

describePostgres("a bank under SERIALIZABLE", () => {
  for (const resolveCommit of [true, false]) {
    it.scopedLive(
      `16 fibers, connections killed at random, resolveCommit ${resolveCommit}`,
      () =>
        onPostgres({ pool: { size: 8, acquireTimeout: "20 seconds" } }, (server) =>
          Effect.gen(function*() {
            console.log(`bank: DBLIVE_SEED=${seed}`)
            yield* server.ask(`
            CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
            INSERT INTO account SELECT n, ${opening} FROM generate_series(1, ${accounts}) AS n;
            CREATE TABLE transfer (key text NOT NULL, amount int NOT NULL)`)
            const plans = fc.sample(
              fc.record({
                from: fc.integer({ min: 1, max: accounts }),
                hop: fc.integer({ min: 1, max: accounts - 1 }),
                amount: fc.integer({ min: 1, max: 50 })
              }),
              { numRuns: fibers * transfers, seed }
            )
            let attempts = 0
            let seen = 0
            /** Kills follow one another no faster than what they are to hit: where all is slow, something gets through, too. */
            const turn: Effect.Effect<void> = Effect.flatMap(pause(30), () => {
              if (attempts < seen + 4) {
                return turn
              }
              seen = attempts
              return Effect.void
            })
            const killer = yield* Effect.fork(Effect.forever(
              Effect.zipRight(
                turn,
                server.ask(
                  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dblive test' " +
                    "AND datname = current_database() ORDER BY random() LIMIT 1"
                )
              )
            ))
            const exits = yield* Effect.forEach(plans, ({ amount, from, hop }, i) =>
              Effect.suspend(() => {
                attempts++
                return transfer(from, (from + hop - 1) % accounts + 1, amount, `${i}`)
              }).pipe(
                Db.transaction({
                  isolation: "serializable",
                  retry: DbRetry.attempts(60, "2 millis", "60 millis"),
                  resolveCommit
                }),
                Effect.exit
              ), { concurrency: fibers })
            yield* Fiber.interrupt(killer)

            const rows = yield* server.ask("SELECT key, count(*)::int AS n FROM transfer GROUP BY key")
            const applied = new Map(rows.map((row) => [String(row["key"]), Number(row["n"])]))
            let unknown = 0
            for (const [i, exit] of exits.entries()) {
              const times = applied.get(`${i}`) ?? 0
              if (Exit.isSuccess(exit)) {
                assert.strictEqual(times, 1, `transfer ${i} was committed`)
                continue
              }
              const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
              assert.isTrue(Schema.is(DbError)(error), `transfer ${i} ended with a defect: ${exit.cause}`)
              assert.isFalse(resolveCommit, `transfer ${i}: ${exit.cause}`)
              assert.deepInclude(error, { _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
              assert.isAtMost(times, 1)
              unknown++
            }
            // Progress: what the killer did not hit at COMMIT was done.
            assert.isAtMost(unknown, transfers)
            const [{ total }] = (yield* server.ask("SELECT sum(balance)::int AS total FROM account")) as [
              { total: number }
            ]
            assert.strictEqual(total, accounts * opening)
            const { retries, transactions } = yield* Db.metrics
            assert.isAbove(retries, 0)
            assert.strictEqual(transactions.unknown, unknown)
            assert.strictEqual(transactions.committed, plans.length - unknown)
            yield* isWhole
          })),
      60_000
    )
  }

  it.scopedLive("counts the retries that the server saw", () =>
    onPostgres({ pool: { size: 8, acquireTimeout: "20 seconds" } }, (server) =>
      Effect.gen(function*() {
        yield* server.ask(`
          CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
          INSERT INTO account SELECT n, ${opening} FROM generate_series(1, ${accounts}) AS n;
          CREATE TABLE transfer (key text NOT NULL, amount int NOT NULL)`)
        server.proxy.resetCounts()
        yield* Effect.forEach(
          Array.from({ length: 64 }, (_, i) => i),
          (i) =>
            transfer(i % accounts + 1, (i + 1) % accounts + 1, 1, `${i}`).pipe(
              Db.transaction({ isolation: "serializable", retry: DbRetry.attempts(60, "2 millis", "60 millis") })
            ),
          { concurrency: fibers, discard: true }
        )
        const { statements } = server.proxy.counts()
        const { retries, transactions } = yield* Db.metrics
        const begins = statements.filter((text) => text.startsWith("BEGIN")).length
        assert.isAbove(retries, 0)
        assert.strictEqual(begins, 64 + retries)
        assert.strictEqual(transactions.committed, 64)
        assert.strictEqual(transactions.rolledBack, retries)
        assert.lengthOf(yield* server.ask("SELECT * FROM transfer"), 64)
      }), "proxied"))
})
