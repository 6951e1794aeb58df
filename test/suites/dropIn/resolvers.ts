/** `SqlSchema` and `SqlResolver`. */
import * as SqlClient from "@effect/sql/SqlClient"
import { ResultLengthMismatch } from "@effect/sql/SqlError"
import * as SqlResolver from "@effect/sql/SqlResolver"
import * as SqlSchema from "@effect/sql/SqlSchema"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type DropIn, test } from "./target.js"

const Person = Schema.Struct({ id: Schema.Number, name: Schema.String })

export const resolvers = (target: DropIn): void => {
  const seeded = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(`CREATE TABLE person (id ${target.words.id}, name ${target.words.text})`)
    yield* sql`INSERT INTO person ${sql.insert(["a", "b", "b"].map((name) => ({ name })))}`
    const names = Effect.map(
      sql<{ name: string }>`SELECT name FROM person ORDER BY id`,
      (rows) => rows.map((_) => _.name)
    )
    return { sql, names }
  })

  describe("SqlSchema", () => {
    test(
      target,
      "`findAll`, `findOne`, `single` and `void`",
      Effect.gen(function*() {
        const { names, sql } = yield* seeded
        const byName = (name: string) => sql`SELECT * FROM person WHERE name = ${name} ORDER BY id`
        const options = { Request: Schema.String, Result: Person, execute: byName }
        assert.deepStrictEqual((yield* SqlSchema.findAll(options)("b")).map((_) => _.id), [2, 3])
        assert.deepStrictEqual(yield* SqlSchema.findOne(options)("a"), Option.some({ id: 1, name: "a" }))
        assert.deepStrictEqual(yield* SqlSchema.findOne(options)("x"), Option.none())
        assert.deepStrictEqual(yield* SqlSchema.single(options)("a"), { id: 1, name: "a" })
        assert.strictEqual((yield* Effect.flip(SqlSchema.single(options)("x")))._tag, "NoSuchElementException")
        const add = SqlSchema.void({
          Request: Schema.String,
          execute: (name) => sql`INSERT INTO person ${sql.insert({ name })}`
        })
        yield* add("c")
        assert.deepStrictEqual(yield* names, ["a", "b", "b", "c"])
      })
    )
  })

  describe("SqlResolver", () => {
    if (target.returning.insert) {
      test(
        target,
        "`ordered` gives each request its row, of one statement",
        Effect.gen(function*() {
          const { sql } = yield* seeded
          const batches: Array<ReadonlyArray<string>> = []
          const Insert = yield* SqlResolver.ordered("Insert", {
            Request: Schema.String,
            Result: Person,
            execute: (names) => {
              batches.push(names)
              return sql`INSERT INTO person ${sql.insert(names.map((name) => ({ name })))} RETURNING *`
            }
          })
          const [c, d] = yield* Effect.all([Insert.execute("c"), Insert.execute("d")], { batching: true })
          assert.deepStrictEqual([c, d], [{ id: 4, name: "c" }, { id: 5, name: "d" }])
          assert.deepStrictEqual(batches, [["c", "d"]])
        })
      )
    }

    test(
      target,
      "`ordered` fails when there are fewer rows than requests",
      Effect.gen(function*() {
        const { sql } = yield* seeded
        const Select = yield* SqlResolver.ordered("Select", {
          Request: Schema.Number,
          Result: Person,
          execute: (ids) => sql`SELECT * FROM person WHERE ${sql.in("id", ids)}`
        })
        const error = yield* Effect.flip(Effect.all([Select.execute(1), Select.execute(9)], { batching: true }))
        assert.instanceOf(error, ResultLengthMismatch)
      })
    )

    test(
      target,
      "`grouped` gives each request its rows",
      Effect.gen(function*() {
        const { sql } = yield* seeded
        const ByName = yield* SqlResolver.grouped("ByName", {
          Request: Schema.String,
          RequestGroupKey: (name) => name,
          Result: Person,
          ResultGroupKey: (person) => person.name,
          execute: (names) => sql`SELECT * FROM person WHERE ${sql.in("name", names)} ORDER BY id`
        })
        const found = yield* Effect.all(["b", "a", "x"].map((name) => ByName.execute(name)), { batching: true })
        assert.deepStrictEqual(found.map((people) => people.map((_) => _.id)), [[2, 3], [1], []])
      })
    )

    test(
      target,
      "`findById` gives each request its row or none, and what was asked twice once",
      Effect.gen(function*() {
        const { sql } = yield* seeded
        const asked: Array<ReadonlyArray<number>> = []
        const ById = yield* SqlResolver.findById("ById", {
          Id: Schema.Number,
          Result: Person,
          ResultId: (person) => person.id,
          execute: (ids) => {
            asked.push(ids)
            return sql`SELECT * FROM person WHERE ${sql.in("id", ids)}`
          }
        })
        const found = yield* Effect.all([1, 9, 2].map((id) => ById.execute(id)), { batching: true })
        assert.deepStrictEqual(found.map(Option.map((_) => _.name)), [
          Option.some("a"),
          Option.none(),
          Option.some("b")
        ])
        assert.deepStrictEqual(asked, [[1, 9, 2]])
        yield* ById.cachePopulate(7, Option.some({ id: 7, name: "cached" }))
        const cached = yield* Effect.withRequestCaching(ById.execute(7), true)
        assert.deepStrictEqual(Option.map(cached, (_) => _.name), Option.some("cached"))
      })
    )

    test(
      target,
      "`void` runs the requests as one",
      Effect.gen(function*() {
        const { names, sql } = yield* seeded
        const batches: Array<ReadonlyArray<string>> = []
        const Add = yield* SqlResolver.void("Add", {
          Request: Schema.String,
          execute: (added) => {
            batches.push(added)
            return sql`INSERT INTO person ${sql.insert(added.map((name) => ({ name })))}`
          }
        })
        yield* Effect.all([Add.execute("c"), Add.execute("d")], { batching: true, discard: true })
        assert.deepStrictEqual(yield* names, ["a", "b", "b", "c", "d"])
        assert.deepStrictEqual(batches, [["c", "d"]])
      })
    )

    test(
      target,
      "requests of a transaction are resolved in it: what is undone is undone",
      Effect.gen(function*() {
        const { names, sql } = yield* seeded
        const Add = yield* SqlResolver.void("Add", {
          Request: Schema.String,
          execute: (added) => sql`INSERT INTO person ${sql.insert(added.map((name) => ({ name })))}`
        })
        yield* Effect.ignore(sql.withTransaction(Effect.zipRight(Add.execute("undone"), Effect.fail("no"))))
        assert.deepStrictEqual(yield* names, ["a", "b", "b"])
        yield* Effect.forEach(
          ["c", "undone", "d"],
          (name) =>
            Effect.ignore(sql.withTransaction(
              Effect.zipRight(Add.execute(name), name === "undone" ? Effect.fail(name) : Effect.void)
            )),
          { concurrency: "unbounded", batching: true, discard: true }
        )
        assert.sameMembers([...yield* names], ["a", "b", "b", "c", "d"])
      })
    )
  })
}
