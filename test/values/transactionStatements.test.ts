import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import { typed } from "../../src/internal/database/Typed.js"
import { subjects, test } from "./databases.js"

/** What begins or ends a transaction outside of a session would do nothing. */
for (const target of subjects) {
  const begin = target.name === "mssql" ? "BEGIN TRANSACTION" : "BEGIN"
  target.describe(`BEGIN and COMMIT as statements, ${target.name}`, () => {
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
          "START TRANSACTION",
          ...target.name === "mysql" ? ["XA START 'a'", "XA PREPARE 'a'"] : []
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

    test(
      target,
      "left open by a text outside of a session are a failure, not a success that is rolled back",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Db.query(`CREATE TABLE t (n ${target.integer})`)
        const rows = Effect.map(
          Db.query<{ n: unknown }>("SELECT n FROM t ORDER BY n"),
          (rows) => rows.map(({ n }) => Number(n))
        )
        const lost = (text: string, outcome: "RolledBack" | "Unknown") =>
          Effect.gen(function*() {
            for (const ask of [Db.query(text), Db.script(text), sql.unsafe(text), sql.unsafe(text).raw]) {
              const error = typed("default")(yield* Effect.flip(ask as Effect.Effect<unknown, unknown, Db>))
              assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome })
              assert.include(String((error as { readonly message: string }).message), "left a transaction open")
            }
          })
        const start = target.name === "sqlite" || target.name === "sqlite, in processes" || target.name === "mssql"
          ? `${begin} `
          : "START TRANSACTION"
        yield* lost(`${begin}; INSERT INTO t VALUES (1)`, "RolledBack")
        yield* lost(`${start};\nINSERT INTO t VALUES (1);`, "RolledBack")
        assert.deepStrictEqual(yield* rows, [])
        // A text that ends its transaction by itself is applied.
        yield* Db.query(`${start}; INSERT INTO t VALUES (2); COMMIT`)
        yield* Db.query(`${begin}; INSERT INTO t VALUES (3); ROLLBACK`)
        assert.deepStrictEqual(yield* rows, [2])
        // What stands before the BEGIN may be applied.
        const mixed = `DELETE FROM t WHERE n = 9; ${begin}; INSERT INTO t VALUES (1)`
        yield* lost(mixed, "Unknown")
        if (target.name === "mysql") {
          yield* lost("SET autocommit = 0; INSERT INTO t VALUES (1)", "Unknown")
        }
        assert.deepStrictEqual(yield* rows, [2])
        yield* Db.session(Db.query(`${begin}; INSERT INTO t VALUES (4); COMMIT`))
        assert.deepStrictEqual(yield* rows, [2, 4])
      })
    )
  })
}
