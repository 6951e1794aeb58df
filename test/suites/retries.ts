/** Contract 5: what was rolled back for a passing reason is run again as a whole; what may have been applied never is. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import { QueryError } from "../../src/DbError.js"
import * as DbRetry from "../../src/DbRetry.js"
import { isWhole } from "./sessions.js"
import { describe, type Target, test } from "./target.js"

export const retries = (target: Target): void => {
  describe("retries", () => {
    const table = Effect.zipRight(
      Db.query(`CREATE TABLE account (id ${target.sql.bigint} NOT NULL PRIMARY KEY, balance ${target.sql.bigint})`),
      Db.query("INSERT INTO account (id, balance) VALUES (1, 100), (2, 100)")
    )
    const balances = Effect.map(
      Db.query<{ balance: unknown }>("SELECT balance FROM account ORDER BY id"),
      (rows) => rows.map(({ balance }) => Number(balance))
    )
    const read = (id: number) =>
      Effect.flatMap(
        SqlClient.SqlClient,
        (sql) =>
          Effect.map(sql<{ balance: unknown }>`SELECT balance FROM account WHERE id = ${id}`, ([row]) =>
            Number(row!.balance))
      )
    const write = (id: number, balance: number) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql`UPDATE account SET balance = ${balance} WHERE id = ${id}`)

    test(
      target,
      "of a transaction begin from nothing, as often as the schedule says",
      Effect.gen(function*() {
        yield* table
        const conflict = (outcome: QueryError["outcome"]) =>
          new QueryError({ what: "made up", reason: "Serialization", outcome, database: "default" })
        let runs = 0
        const body = (times: number, outcome: QueryError["outcome"]) =>
          Effect.gen(function*() {
            yield* write(1, (yield* read(1)) + 1)
            if (++runs < times) yield* conflict(outcome)
          }).pipe(Db.transaction({ retry: DbRetry.attempts(3, "1 millis", "2 millis") }))
        yield* body(3, "RolledBack")
        assert.strictEqual(runs, 3)
        assert.deepStrictEqual(yield* balances, [101, 100])
        runs = 0
        assert.deepInclude(yield* Effect.flip(body(4, "RolledBack")), { reason: "Serialization" })
        assert.strictEqual(runs, 3)
        assert.deepStrictEqual(yield* balances, [101, 100])
        yield* isWhole
      })
    )

    test(
      target,
      "lose no update: read, think, write, all at once",
      Effect.gen(function*() {
        yield* table
        const transfer = (from: number, to: number) =>
          Effect.gen(function*() {
            const [here, there] = [yield* read(from), yield* read(to)]
            yield* Effect.yieldNow()
            yield* write(from, here - 1)
            yield* write(to, there + 1)
          }).pipe(Db.transaction({ isolation: "serializable", retry: DbRetry.attempts(100, "1 millis", "20 millis") }))
        yield* Effect.all(
          Array.from({ length: 24 }, (_, i) => i % 3 === 0 ? transfer(2, 1) : transfer(1, 2)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* balances, [92, 108])
        const { transactions } = yield* Db.metrics
        assert.strictEqual(transactions.committed, 24)
        yield* isWhole
      })
    )
  })
}
