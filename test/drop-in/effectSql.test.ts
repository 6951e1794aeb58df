/** What is written for `@effect/sql` runs unchanged over our layers. */
import * as Migrator from "@effect/sql/Migrator"
import * as Model from "@effect/sql/Model"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlResolver from "@effect/sql/SqlResolver"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Statement from "@effect/sql/Statement"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db } from "../../src/Db.js"
import * as DbTest from "../../src/DbTest.js"
import * as Pg from "../../src/driver/Pg.js"
import * as Sqlite from "../../src/driver/Sqlite.js"

const Memory = DbTest.sqlite()

class Person extends Schema.Class<Person>("Person")({ id: Schema.Number, name: Schema.String }) {}

class Note extends Model.Class<Note>("Note")({
  id: Model.Generated(Schema.Number),
  body: Schema.String,
  done: Model.BooleanFromNumber
}) {}

describe("drop-in for @effect/sql", () => {
  it.scoped("SqlSchema and SqlResolver", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)`
      const Insert = yield* SqlResolver.ordered("InsertPerson", {
        Request: Schema.Struct({ name: Schema.String }),
        Result: Person,
        execute: (requests) => sql`INSERT INTO person ${sql.insert(requests)} RETURNING *`
      })
      const FindById = yield* SqlResolver.findById("PersonById", {
        Id: Schema.Number,
        Result: Person,
        ResultId: (person) => person.id,
        execute: (ids) => sql`SELECT * FROM person WHERE ${sql.in("id", ids)}`
      })
      const inserted = yield* Effect.all(["a", "b", "c"].map((name) => Insert.execute({ name })), { batching: true })
      assert.deepStrictEqual(inserted.map((_) => _.id), [1, 2, 3])
      assert.deepStrictEqual(Option.map(yield* FindById.execute(2), (_) => _.name), Option.some("b"))
      // Requests of a transaction are resolved in it.
      const inside = yield* sql.withTransaction(Effect.zipRight(Insert.execute({ name: "d" }), FindById.execute(4)))
      assert.isTrue(Option.isSome(inside))
      const all = SqlSchema.findAll({ Request: Schema.Void, Result: Person, execute: () => sql`SELECT * FROM person` })
      assert.lengthOf(yield* all(undefined), 4)
    }).pipe(Effect.provide(Memory)))

  it.scoped("Model repositories", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT, done INTEGER)`
      const repository = yield* Model.makeRepository(Note, { tableName: "note", spanPrefix: "Note", idColumn: "id" })
      const note = yield* repository.insert({ body: "hello", done: false })
      yield* repository.update({ ...note, done: true })
      const found = yield* repository.findById(note.id)
      assert.deepStrictEqual(Option.map(found, (_) => _.done), Option.some(true))
    }).pipe(Effect.provide(Memory)))

  it.scoped("Migrator", () =>
    Effect.gen(function*() {
      const migrate = Migrator.make({})({
        loader: Migrator.fromRecord({
          "1_create": Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE a (id INTEGER)`),
          "2_fill": Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO a VALUES (1)`)
        })
      })
      assert.lengthOf(yield* migrate, 2)
      assert.lengthOf(yield* migrate, 0)
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`SELECT id FROM a`, [{ id: 1 }])
    }).pipe(Effect.provide(Memory)))

  it.scoped("fragments, helpers, transformers and reactive queries", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, ${sql("odd name")} TEXT)`
      yield* sql`INSERT INTO t ${sql.insert([{ "odd name": "x" }, { "odd name": "y" }])}`
      const where = sql.and([sql`id > ${0}`, sql.or([sql.in("odd name", ["x"]), sql`${sql("odd name")} = ${"z"}`])])
      assert.lengthOf(yield* sql`SELECT * FROM t WHERE ${where}`, 1)
      yield* sql`UPDATE t SET ${sql.update({ "odd name": "w" })} WHERE id = ${1}`
      assert.deepStrictEqual(yield* sql`SELECT ${sql("odd name")} AS n FROM t ORDER BY id`.values, [["w"], ["y"]])
      assert.deepStrictEqual(yield* sql.unsafe("SELECT ? AS a", ["p"]), [{ a: "p" }])
      const seen: Array<string> = []
      yield* sql`SELECT 1 AS one`.pipe(Statement.withTransformer((statement) => {
        seen.push(statement.compile()[0])
        return Effect.succeed(statement)
      }))
      assert.deepStrictEqual(seen, ["SELECT 1 AS one"])
      // A parameter that looks like a helper is a parameter.
      const tricky = yield* Effect.either(sql`SELECT ${{ _tag: "Identifier", value: "id" }} AS v`)
      assert.strictEqual(tricky._tag, "Left")
    }).pipe(Effect.provide(Memory)))

  it.scoped("names are transformed both ways, and not where it is not wanted", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (first_name TEXT)`
      yield* sql`INSERT INTO t ${sql.insert({ firstName: "a" })}`
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [{ firstName: "a" }])
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`.withoutTransform, [{ first_name: "a" }])
      const plain = sql.withoutTransforms()
      assert.deepStrictEqual(yield* plain`SELECT * FROM t`, [{ first_name: "a" }])
      assert.deepStrictEqual(yield* sql.withTransaction(plain`SELECT * FROM t`), [{ first_name: "a" }])
    }).pipe(Effect.provide(Db.layer({
      url: "sqlite://:memory:",
      environment: "production",
      transformQueryNames: (name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
      transformResultNames: (name) => name.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase())
    }))))

  it.scoped("a client taken when a service is built follows the transaction of its caller", () =>
    Effect.gen(function*() {
      class Repository extends Effect.Service<Repository>()("Repository", {
        effect: Effect.map(SqlClient.SqlClient, (sql) => ({
          add: (n: number) => sql`INSERT INTO t ${sql.insert({ n })}`,
          count: Effect.map(sql<{ n: number }>`SELECT count(*) AS n FROM t`, (rows) => rows[0]!.n)
        }))
      }) {}
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE t (n INTEGER)`
        const repository = yield* Repository
        yield* Effect.ignore(Effect.zipRight(repository.add(1), Effect.fail("no")).pipe(Db.transaction))
        assert.strictEqual(yield* repository.count, 0)
        yield* repository.add(2).pipe(Db.transaction)
        assert.strictEqual(yield* repository.count, 1)
      }).pipe(Effect.provide(Layer.provideMerge(Repository.Default, Memory)))
    }))

  it.scoped("SqliteClient and PgClient, only where the database is theirs", () =>
    Effect.gen(function*() {
      const exported = yield* Effect.provide(
        Effect.flatMap(Sqlite.SqliteClient, (sql) => Effect.zipRight(sql`CREATE TABLE t (n INTEGER)`, sql.export)),
        Memory.pipe(Sqlite.withClient)
      )
      assert.include(Buffer.from(exported).toString("latin1"), "SQLite format 3")
      const error = yield* Effect.flip(Effect.provide(Pg.PgClient, Memory.pipe(Pg.withClient)))
      assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported" })
    }))
})
