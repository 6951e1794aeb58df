import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { typed } from "../../src/database/Typed.js"
import { Db } from "../../src/Db.js"
import { subjects, test } from "./databases.js"

/** What begins or ends a transaction outside of a session would do nothing. */
for (const target of subjects) {
  const begin = target.name === "mssql" ? "BEGIN TRANSACTION" : "BEGIN"
  target.describe(`transactions by hand, ${target.name}`, () => {
    test(
      target,
      "are refused outside of a session, and run in one",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const texts = [
          begin,
          `\n  ${begin.toLowerCase()};`,
          "COMMIT",
          "/* x */ ROLLBACK",
          "SAVEPOINT a",
          "START TRANSACTION"
        ]
        for (const text of texts) {
          for (const ask of [Db.query(text), sql.unsafe(text), sql.unsafe(text).raw]) {
            const error = typed("default")(yield* Effect.flip(ask as Effect.Effect<unknown, unknown, Db>))
            assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
            assert.include(String((error as { readonly message: string }).message), "Db.transaction")
          }
        }
        yield* Db.query("SELECT 1 AS one")
        yield* Db.query(`CREATE TABLE t (n ${target.integer})`)
        const byHand = Effect.gen(function*() {
          yield* Db.query(begin)
          yield* Db.query("INSERT INTO t VALUES (1)")
          yield* Db.query("COMMIT")
        })
        yield* byHand.pipe(Db.session)
        yield* Effect.scoped(Effect.gen(function*() {
          const reserved = yield* sql.reserve
          yield* reserved.executeRaw(begin, [])
          yield* reserved.executeRaw("INSERT INTO t VALUES (2)", [])
          yield* reserved.executeRaw("COMMIT", [])
        }))
        assert.lengthOf(yield* Db.query("SELECT n FROM t"), 2)
      })
    )
  })
}
