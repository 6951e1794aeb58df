/** Each member of `MssqlClient`, and of its statements. */
import * as MssqlClient from "@effect/sql-mssql/MssqlClient"
import * as Procedure from "@effect/sql-mssql/Procedure"
import { SqlError } from "@effect/sql/SqlError"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Tedious from "tedious"
import { Db } from "../../../src/Db.js"
import type * as DbConfig from "../../../src/DbConfig.js"
import { make, withClient } from "../../../src/driver/Mssql.js"
import { causeOf } from "../../../src/internal/effect/sqlClient.js"
import { describeMssql, freshMssqlDatabase, mssqlOptions } from "../../kit/mssql.js"
import { snake } from "../../suites/dropIn/target.js"

/** The published client is compiled against another version of tedious: its types are the same, but not to TypeScript. */
const type = (name: "NVarChar" | "Int") => Tedious.TYPES[name] as never

const test = <E>(
  name: string,
  body: (sql: MssqlClient.MssqlClient) => Effect.Effect<unknown, E, Db | MssqlClient.MssqlClient>,
  options: DbConfig.Options = {}
) =>
  it.scopedLive(
    name,
    () =>
      Effect.flatMap(freshMssqlDatabase, (database) =>
        Effect.flatMap(MssqlClient.MssqlClient, body).pipe(
          Effect.provide(Db.layerDriver({ ...mssqlOptions(database), ...options }, make).pipe(withClient))
        ))
  )

const people = (sql: MssqlClient.MssqlClient) =>
  Effect.zipRight(
    sql`CREATE TABLE person (id INT IDENTITY PRIMARY KEY, first_name NVARCHAR(20))`,
    sql`INSERT INTO person ${sql.insert([{ firstName: "ada" }, { firstName: "bob" }])}`
  )

describeMssql("the members of MssqlClient", () => {
  test("`withoutTransforms` leaves names alone, in the same transaction", (sql) =>
    Effect.gen(function*() {
      yield* people(sql)
      const plain = sql.withoutTransforms()
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* plain`UPDATE person SET ${plain.update({ first_name: "eve" })} WHERE id = 1`
        assert.deepStrictEqual(yield* sql`SELECT first_name FROM person WHERE id = 1`, [{ firstName: "eve" }])
        assert.deepStrictEqual(yield* plain`SELECT first_name FROM person WHERE id = 1`, [{ first_name: "eve" }])
        return yield* Effect.fail("no")
      })).pipe(Effect.ignore)
      assert.deepStrictEqual(yield* plain`SELECT first_name FROM person WHERE id = 1`, [{ first_name: "ada" }])
    }), snake)

  test("`reserve` gives a connection for as long as the scope lasts", (sql) =>
    Effect.gen(function*() {
      yield* people(sql)
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* sql.reserve
        yield* connection.executeUnprepared("BEGIN TRANSACTION", [], undefined)
        yield* connection.execute("UPDATE person SET first_name = @1 WHERE id = 1", ["eve"], undefined)
        assert.deepStrictEqual(yield* connection.executeValues("SELECT first_name FROM person WHERE id = @1", [1]), [[
          "eve"
        ]])
        yield* connection.executeUnprepared("ROLLBACK TRANSACTION", [], undefined)
      }))
      assert.deepStrictEqual(yield* sql`SELECT first_name FROM person WHERE id = 1`.values, [["ada"]])
    }), snake)

  test("`withTransaction` nests, and `call` is in it", (sql) =>
    Effect.gen(function*() {
      yield* people(sql)
      const remember = Procedure.make("sp_set_session_context").pipe(
        Procedure.param<string>()("key", type("NVarChar")),
        Procedure.param<string>()("value", type("NVarChar"))
      )
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql.call(Procedure.compile(remember)({ key: "who", value: "ada" }))
        assert.deepStrictEqual(yield* sql`SELECT CAST(SESSION_CONTEXT(N'who') AS NVARCHAR(20)) AS v`, [{ v: "ada" }])
        yield* sql`DELETE FROM person WHERE id = ${sql.param(type("Int"), 1)}`
        yield* Effect.ignore(sql.withTransaction(Effect.zipRight(sql`DELETE FROM person`, Effect.fail("inner"))))
      }))
      assert.deepStrictEqual(yield* sql`SELECT id FROM person`, [{ id: 2 }])
      const error = yield* Effect.flip(
        sql.call(Procedure.compile(Procedure.make("sp_missing"))({}))
      )
      assert.instanceOf(error, SqlError)
    }), snake)

  test(
    "`safe` is a client, and statements are `segments`, `compile` to texts, and are fragments of others",
    (sql) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* sql.safe`SELECT 1 AS one`, [{ one: 1 }])
        const inner = sql`SELECT ${1} AS a`
        assert.lengthOf(inner.segments, 3)
        assert.deepStrictEqual(inner.compile(), ["SELECT @1 AS a", [1]])
        assert.deepStrictEqual(yield* sql`SELECT a FROM (${inner}) AS s`, [{ a: 1 }])
        const named = sql`SELECT ${sql("firstName")}`
        assert.include(named.compile()[0], "first_name")
        assert.include(named.compile(true)[0], "firstName")
      }),
    snake
  )

  test(
    "statements give rows, `values`, `raw`, `unprepared`, `withoutTransform` and a `stream`",
    (sql) =>
      Effect.gen(function*() {
        yield* people(sql)
        const all = sql`SELECT first_name FROM person ORDER BY id`
        const renamed = [{ firstName: "ada" }, { firstName: "bob" }]
        assert.deepStrictEqual(yield* all, renamed)
        assert.deepStrictEqual(yield* all, renamed, "a statement can be run again")
        assert.deepStrictEqual(yield* all.unprepared, renamed)
        assert.deepStrictEqual(yield* all.values, [["ada"], ["bob"]])
        assert.deepStrictEqual(yield* all.withoutTransform, [{ first_name: "ada" }, { first_name: "bob" }])
        assert.deepStrictEqual(yield* all.raw, [{ first_name: "ada" }, { first_name: "bob" }])
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(all.stream)), renamed)
        assert.lengthOf(yield* Stream.runCollect(Stream.take(all.stream, 1)), 1)
        assert.strictEqual(yield* sql.withTransaction(Stream.runCount(all.stream)), 2)
      }),
    snake
  )

  test("every way to run a statement fails with `SqlError`, whose cause is tedious' own", (sql) =>
    Effect.gen(function*() {
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
        assert.strictEqual((causeOf(error) as { readonly number: unknown }).number, 208)
      }
    }))
})
