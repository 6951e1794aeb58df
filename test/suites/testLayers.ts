/** The test layers that wrap any database: a sandbox that is rolled back, and failures on command. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import * as DbTest from "../../src/DbTest.js"
import { describe, type Target, test } from "./target.js"

export const testLayers = (target: Target): void => {
  describe("test layers", () => {
    const table = Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text} UNIQUE)`)
    const insert = (body: string) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO t ${sql.insert({ body })}`)
    const bodies = Effect.map(
      Db.query<{ body: string }>("SELECT body FROM t ORDER BY id"),
      (rows) => rows.map(({ body }) => body)
    )

    test(
      target,
      "sandbox: everything is seen inside, and nothing is left",
      Effect.gen(function*() {
        yield* table
        yield* insert("before")
        yield* Effect.gen(function*() {
          yield* insert("statement")
          yield* insert("transaction").pipe(Db.transaction)
          yield* Effect.zipRight(insert("undone"), Effect.fail("no")).pipe(Db.transaction, Effect.ignore)
          const error = yield* Effect.flip(Db.query("INSERT INTO t (body) VALUES ('statement')"))
          assert.deepInclude(error, { _tag: "QueryError", reason: "UniqueViolation" })
          assert.deepStrictEqual(yield* bodies, ["before", "statement", "transaction"])
        }).pipe(Effect.provide(DbTest.sandboxOf(Db)))
        assert.deepStrictEqual(yield* bodies, ["before"])
      })
    )

    const faults: ReadonlyArray<readonly [DbTest.StatementFault, string, string, ReadonlyArray<string>]> = [
      ["LostBefore", "Lost", "NotSent", ["after"]],
      ["LostAfter", "Lost", "Unknown", ["faulty", "after"]],
      ["Deadlock", "Deadlock", "RolledBack", ["after"]]
    ]
    for (const [fault, reason, outcome, left] of faults) {
      test(
        target,
        `flaky: ${fault} fails as this database would`,
        Effect.gen(function*() {
          const fresh = yield* target.fresh
          const layer = DbTest.flaky(Db.layer({ environment: "production", ...fresh }), [
            { on: "statement", match: "INSERT", fault }
          ])
          yield* Effect.gen(function*() {
            yield* table
            const error = yield* Effect.flip(Db.query("INSERT INTO t (body) VALUES ('faulty')"))
            assert.deepStrictEqual([error.reason, error.outcome], [reason, outcome])
            yield* insert("after")
            assert.deepStrictEqual(yield* bodies, left)
          }).pipe(Effect.provide(layer))
        })
      )
    }
  })
}
