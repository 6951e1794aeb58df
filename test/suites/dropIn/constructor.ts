/** What a client makes statements and fragments of. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type DropIn, test } from "./target.js"

export const constructor = (target: DropIn): void => {
  const { quote, text } = target.words

  const people = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(`CREATE TABLE people (id INTEGER PRIMARY KEY, name ${text}, age INTEGER)`)
    yield* sql`INSERT INTO people ${
      sql.insert([{ id: 1, name: "ada", age: 36 }, { id: 2, name: "bob", age: 40 }, { id: 3, name: "eve", age: null }])
    }`
    return sql
  })

  describe("Constructor", () => {
    test(
      target,
      "identifiers are quoted, values travel as parameters",
      Effect.gen(function*() {
        const sql = yield* people
        const statement = sql`SELECT ${sql("name")} FROM ${sql("people")} WHERE id = ${1}`
        assert.deepStrictEqual(statement.compile(), [
          `SELECT ${quote("name")} FROM ${quote("people")} WHERE id = ${target.words.placeholder}`,
          [1]
        ])
        assert.deepStrictEqual(yield* statement, [{ name: "ada" }])
        const nasty = "'; DROP TABLE people; --"
        assert.deepStrictEqual(yield* sql`SELECT id FROM people WHERE name = ${nasty}`, [])
      })
    )

    test(
      target,
      "`unsafe` takes a text and parameters, `literal` a piece of SQL",
      Effect.gen(function*() {
        const sql = yield* people
        assert.deepStrictEqual(
          yield* sql.unsafe(`SELECT name FROM people WHERE id = ${target.words.placeholder}`, [2]),
          [{ name: "bob" }]
        )
        assert.deepStrictEqual(yield* sql.unsafe("SELECT COUNT(*) + 0 AS n FROM people").values, [[
          target.dialect === "pg" ? "3" : 3
        ]])
        assert.deepStrictEqual(yield* sql`SELECT name FROM people ORDER BY ${sql.literal("id DESC")} LIMIT 1`, [
          { name: "eve" }
        ])
      })
    )

    test(
      target,
      "`in`: a list, and a column with a list, also an empty one",
      Effect.gen(function*() {
        const sql = yield* people
        assert.lengthOf(yield* sql`SELECT id FROM people WHERE id IN ${sql.in([1, 3])}`, 2)
        assert.lengthOf(yield* sql`SELECT id FROM people WHERE ${sql.in("name", ["ada", "eve", "x"])}`, 2)
        assert.lengthOf(yield* sql`SELECT id FROM people WHERE ${sql.in("id", [])}`, 0)
      })
    )

    test(
      target,
      "`insert`: one row, several rows, and `returning` where the database has it",
      Effect.gen(function*() {
        const sql = yield* people
        yield* sql`INSERT INTO people ${sql.insert({ id: 4, name: "dan", age: 5 })}`
        if (target.returning.insert) {
          assert.deepStrictEqual(
            yield* sql`INSERT INTO people ${sql.insert([{ id: 5, name: "f", age: 1 }]).returning("*")}`,
            [{ id: 5, name: "f", age: 1 }]
          )
        }
        assert.deepStrictEqual(yield* sql`SELECT name FROM people WHERE id = 4`, [{ name: "dan" }])
      })
    )

    test(
      target,
      "`update`: all columns, all but some, and `returning` where the database has it",
      Effect.gen(function*() {
        const sql = yield* people
        yield* sql`UPDATE people SET ${sql.update({ id: 9, name: "ada l.", age: 37 }, ["id"])} WHERE id = ${1}`
        assert.deepStrictEqual(yield* sql`SELECT * FROM people WHERE id = 1`, [{ id: 1, name: "ada l.", age: 37 }])
        if (target.returning.update) {
          assert.deepStrictEqual(
            yield* sql`UPDATE people SET ${sql.update({ age: 1 })} WHERE id = ${2} RETURNING age`,
            [{ age: 1 }]
          )
        }
      })
    )

    if (target.dialect === "pg") {
      test(
        target,
        "`updateValues`: several rows at once",
        Effect.gen(function*() {
          const sql = yield* people
          yield* sql`UPDATE people SET name = data.name FROM ${
            sql.updateValues([{ key: "ada", name: "A" }, { key: "bob", name: "B" }], "data")
          } WHERE people.name = data.key`
          assert.deepStrictEqual(yield* sql`SELECT name FROM people ORDER BY id`, [
            { name: "A" },
            { name: "B" },
            { name: "eve" }
          ])
        })
      )
    }

    test(
      target,
      "`and`, `or`, `csv`, `join` put fragments together",
      Effect.gen(function*() {
        const sql = yield* people
        const where = sql.and([sql`id > ${0}`, sql.or([sql.in("name", ["ada"]), sql`${sql("age")} = ${40}`]), "1 = 1"])
        const order = sql.csv("ORDER BY", [sql`age DESC`, "id"])
        const columns = sql.csv([sql("id"), sql("name")].map((column) => sql`${column}`))
        const more = sql.join(" OR ", true)([sql`id = ${1}`, sql`id = ${2}`])
        assert.deepStrictEqual(yield* sql`SELECT ${columns} FROM people WHERE ${where} AND ${more} ${order}`, [
          { id: 2, name: "bob" },
          { id: 1, name: "ada" }
        ])
        assert.lengthOf(yield* sql`SELECT id FROM people WHERE ${sql.and([])}`, 3)
      })
    )

    test(
      target,
      "`onDialect` and `onDialectOrElse` choose by the dialect",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const name = sql.onDialect({
          sqlite: () => "sqlite",
          pg: () => "pg",
          mysql: () => "mysql",
          mssql: () => "mssql",
          clickhouse: () => "clickhouse"
        })
        assert.strictEqual(name, target.dialect)
        assert.strictEqual(sql.onDialectOrElse({ [target.dialect]: () => "mine", orElse: () => "other" }), "mine")
        assert.strictEqual(sql.onDialectOrElse({ mssql: () => "mssql", orElse: () => "other" }), "other")
      })
    )
  })
}
