/** The members of `Statement`. */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type DropIn, snake, test } from "./target.js"

export const statement = (target: DropIn): void => {
  describe("Statement", () => {
    test(
      target,
      "is an effect of rows; `values` gives arrays, `unprepared` rows without preparing",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const one = sql<{ a: number; b: string }>`SELECT 1 AS a, 'x' AS b`
        assert.deepStrictEqual(yield* one, [{ a: 1, b: "x" }])
        assert.deepStrictEqual(yield* one, [{ a: 1, b: "x" }], "a statement can be run again")
        assert.deepStrictEqual(yield* one.values, [[1, "x"]])
        assert.deepStrictEqual(yield* one.unprepared, [{ a: 1, b: "x" }])
        assert.deepStrictEqual(yield* sql`SELECT 1 AS a, 2 AS a`.values, [[1, 2]], "columns of one name are all there")
      })
    )

    test(
      target,
      "`raw` gives what the client library gives",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql.unsafe(`CREATE TABLE t (id ${target.words.id}, name ${target.words.text})`)
        assert.deepInclude(yield* sql`INSERT INTO t ${sql.insert([{ name: "a" }, { name: "b" }])}`.raw, {
          ...target.rawOfInsert
        })
        const rows = yield* sql`SELECT name FROM t ORDER BY id`.raw
        assert.deepStrictEqual(
          target.dialect === "pg" ? (rows as { readonly rows: unknown }).rows : rows,
          [{ name: "a" }, { name: "b" }]
        )
      })
    )

    test(
      target,
      "`withoutTransform` and `compile(true)` leave names alone",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE t (first_name VARCHAR(20))`
        yield* sql`INSERT INTO t ${sql.insert({ firstName: "ada" })}`
        const all = sql`SELECT ${sql("first_name")} FROM t`
        assert.deepStrictEqual(yield* all, [{ firstName: "ada" }])
        assert.deepStrictEqual(yield* all.withoutTransform, [{ first_name: "ada" }])
        assert.deepStrictEqual(yield* all.values, [["ada"]])
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(all.stream)), [{ firstName: "ada" }])
        const named = sql`SELECT ${sql("firstName")}`
        assert.include(named.compile()[0], "first_name")
        assert.include(named.compile(true)[0], "firstName")
      }),
      snake
    )

    test(
      target,
      "`stream` gives all rows, in order, and may be left early",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const series = sql.unsafe<{ x: number }>(target.words.series(1_000))
        assert.strictEqual(yield* Stream.runSum(Stream.map(series.stream, (row) => Number(row.x))), 500_500)
        const some = yield* Stream.runCollect(Stream.take(series.stream, 3))
        assert.deepStrictEqual(Array.from(some, (row) => Number(row.x)), [1, 2, 3])
        assert.lengthOf(yield* sql`SELECT 1 AS one`, 1)
        const inside = yield* sql.withTransaction(Stream.runCount(series.stream))
        assert.strictEqual(inside, 1_000)
      })
    )

    test(
      target,
      "every way to run it fails with `SqlError`, whose cause is the client library's error",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const wrong = sql`SELECT * FROM nowhere`
        for (
          const way of [
            wrong,
            wrong.raw,
            wrong.values,
            wrong.unprepared,
            wrong.withoutTransform,
            Stream.runDrain(wrong.stream)
          ]
        ) {
          const error = yield* Effect.flip(way)
          assert.instanceOf(error, SqlError)
          assert.strictEqual(error._tag, "SqlError")
          assert.isString((error.cause as { readonly code: unknown }).code)
          assert.isString((error.cause as Error).message)
        }
      })
    )

    test(
      target,
      "is a fragment of others; `isFragment` and `isCustom` tell",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const inner = sql`SELECT ${1} AS a`
        assert.isTrue(Statement.isFragment(inner))
        assert.isFalse(Statement.isFragment("SELECT 1"))
        assert.isFalse(Statement.isCustom("Anything")(inner.segments[0]!))
        assert.lengthOf(inner.segments, 3)
        assert.deepStrictEqual(yield* sql`SELECT a FROM (${inner}) AS s`.values, [[target.dialect === "pg" ? "1" : 1]])
      })
    )

    test(
      target,
      "transformers see each statement, by `withTransformer` and by layer, and can be switched off",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const seen: Array<string> = []
        const spy: Statement.Statement.Transformer = (statement) => {
          seen.push(statement.compile()[0])
          return Effect.succeed(statement)
        }
        const one = sql`SELECT 1 AS one`
        yield* Statement.withTransformer(one, spy)
        yield* Effect.provide(one, Statement.setTransformer(spy))
        yield* Statement.withTransformer(Statement.withTransformerDisabled(one), spy)
        assert.deepStrictEqual(seen, ["SELECT 1 AS one", "SELECT 1 AS one"])
        const other = Statement.withTransformer(one, (_, sql) => Effect.succeed(sql`SELECT 2 AS one`))
        assert.deepStrictEqual(yield* other, [{ one: 2 }])
        assert.isTrue(Option.isNone(yield* FiberRef.get(Statement.currentTransformer)))
      })
    )
  })
}
