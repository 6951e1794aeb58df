/** `Migrator` of `@effect/sql`. */
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type DropIn, test } from "./target.js"

const statement = (text: string) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(text))

const first = Migrator.fromRecord({
  "1_create": Effect.zipRight(statement("CREATE TABLE a (id INTEGER)"), statement("CREATE TABLE b (id INTEGER)"))
})

const both = Migrator.fromRecord({
  "1_create": Effect.die("it is applied already"),
  "2_fill": Effect.zipRight(statement("ALTER TABLE a ADD COLUMN n INTEGER"), statement("INSERT INTO a VALUES (1, 2)"))
})

export const migrator = (target: DropIn): void => {
  describe("Migrator", () => {
    test(
      target,
      "runs what is missing, once, and keeps a history",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const run = Migrator.make({})
        assert.deepStrictEqual(yield* run({ loader: first }), [[1, "create"]])
        assert.deepStrictEqual(yield* run({ loader: both }), [[2, "fill"]])
        assert.deepStrictEqual(yield* run({ loader: both }), [])
        assert.deepStrictEqual(yield* sql`SELECT * FROM a`, [{ id: 1, n: 2 }])
        assert.deepStrictEqual(
          yield* sql`SELECT migration_id, name FROM effect_sql_migrations ORDER BY migration_id`,
          [{ migration_id: 1, name: "create" }, { migration_id: 2, name: "fill" }]
        )
      })
    )

    test(
      target,
      "runs several at once, with a table of another name",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const ran = yield* Migrator.make({})({
          table: "history",
          loader: Migrator.fromRecord({
            "1_a": statement("CREATE TABLE a (id INTEGER)"),
            "2_b": statement("CREATE TABLE b (id INTEGER)"),
            "3_c": statement("INSERT INTO b VALUES (3)")
          })
        })
        assert.lengthOf(ran, 3)
        assert.deepStrictEqual(yield* sql`SELECT id FROM b`, [{ id: 3 }])
        assert.lengthOf(yield* sql`SELECT * FROM history`, 3)
      })
    )

    test(
      target,
      "of two that have one number neither is run",
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          Migrator.make({})({
            loader: Migrator.fromRecord({ "1_a": Effect.void, "1_b": Effect.void })
          })
        )
        assert.deepInclude(error, { _tag: "MigrationError", reason: "duplicates" })
      })
    )
  })
}
