/** The published adapters of Drizzle and Kysely: each in one transaction with the statements of `SqlClient`. */
import * as MysqlDrizzle from "@effect/sql-drizzle/Mysql"
import * as PgDrizzle from "@effect/sql-drizzle/Pg"
import * as SqliteDrizzle from "@effect/sql-drizzle/Sqlite"
import * as MysqlKysely from "@effect/sql-kysely/Mysql"
import * as PgKysely from "@effect/sql-kysely/Pg"
import * as SqliteKysely from "@effect/sql-kysely/Sqlite"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as SqlResolver from "@effect/sql/SqlResolver"
import { assert, describe } from "@effect/vitest"
import { eq, inArray } from "drizzle-orm"
import * as MysqlCore from "drizzle-orm/mysql-core"
import type { MySqlRemoteDatabase } from "drizzle-orm/mysql-proxy"
import * as PgCore from "drizzle-orm/pg-core"
import type { PgRemoteDatabase } from "drizzle-orm/pg-proxy"
import * as SqliteCore from "drizzle-orm/sqlite-core"
import type { SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Generated } from "kysely"
import { type DropIn, test } from "./target.js"

interface Row {
  readonly id: number
  readonly name: string
}

/** What the suite does by a builder of queries. */
interface Builder {
  readonly all: Effect.Effect<ReadonlyArray<Row>, SqlError>
  readonly named: (name: string) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  readonly byIds: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  readonly insert: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<unknown>, SqlError>
  readonly rename: (from: string, to: string) => Effect.Effect<unknown, SqlError>
  readonly remove: (name: string) => Effect.Effect<unknown, SqlError>
}

const sqlite = SqliteCore.sqliteTable("person", {
  id: SqliteCore.integer().primaryKey(),
  name: SqliteCore.text().notNull()
})

const pg = PgCore.pgTable("person", { id: PgCore.serial().primaryKey(), name: PgCore.text().notNull() })

const mysql = MysqlCore.mysqlTable("person", {
  id: MysqlCore.int().autoincrement().primaryKey(),
  name: MysqlCore.varchar({ length: 100 }).notNull()
})

/**
 * The adapter's types are those of Drizzle's CommonJS build, and so is what it says of its queries: that they are effects. Both
 * builds are the same, but not to TypeScript.
 */
const ofModule = <A>(database: Effect.Effect<unknown, never, SqlClient.SqlClient>) =>
  database as Effect.Effect<A, never, SqlClient.SqlClient>

const effect = <A>(query: PromiseLike<A>) => query as unknown as Effect.Effect<A, SqlError>

/** What a write gives is the client library's, and differs. */
const written = (query: PromiseLike<unknown>) => Effect.as(effect(query), [])

/** The same calls for each dialect: their types have nothing in common. */
const drizzle = {
  sqlite: Effect.map(ofModule<SqliteRemoteDatabase>(SqliteDrizzle.make()), (db): Builder => ({
    all: effect(db.select().from(sqlite).orderBy(sqlite.id)),
    named: (name) => effect(db.select().from(sqlite).where(eq(sqlite.name, name))),
    byIds: (ids) => effect(db.select().from(sqlite).where(inArray(sqlite.id, [...ids]))),
    insert: (names) => written(db.insert(sqlite).values(names.map((name) => ({ name })))),
    rename: (from, to) => effect(db.update(sqlite).set({ name: to }).where(eq(sqlite.name, from))),
    remove: (name) => effect(db.delete(sqlite).where(eq(sqlite.name, name)))
  })),
  pg: Effect.map(ofModule<PgRemoteDatabase>(PgDrizzle.make()), (db): Builder => ({
    all: effect(db.select().from(pg).orderBy(pg.id)),
    named: (name) => effect(db.select().from(pg).where(eq(pg.name, name))),
    byIds: (ids) => effect(db.select().from(pg).where(inArray(pg.id, [...ids]))),
    insert: (names) => written(db.insert(pg).values(names.map((name) => ({ name })))),
    rename: (from, to) => effect(db.update(pg).set({ name: to }).where(eq(pg.name, from))),
    remove: (name) => effect(db.delete(pg).where(eq(pg.name, name)))
  })),
  mysql: Effect.map(ofModule<MySqlRemoteDatabase>(MysqlDrizzle.make()), (db): Builder => ({
    all: effect(db.select().from(mysql).orderBy(mysql.id)),
    named: (name) => effect(db.select().from(mysql).where(eq(mysql.name, name))),
    byIds: (ids) => effect(db.select().from(mysql).where(inArray(mysql.id, [...ids]))),
    insert: (names) => written(db.insert(mysql).values(names.map((name) => ({ name })))),
    rename: (from, to) => effect(db.update(mysql).set({ name: to }).where(eq(mysql.name, from))),
    remove: (name) => effect(db.delete(mysql).where(eq(mysql.name, name)))
  }))
}

interface Tables {
  readonly person: { readonly id: Generated<number>; readonly name: string }
}

const makeKysely = { sqlite: SqliteKysely.make<Tables>, pg: PgKysely.make<Tables>, mysql: MysqlKysely.make<Tables> }

const kysely = (dialect: DropIn["dialect"]) =>
  Effect.map(makeKysely[dialect](), (db): Builder => ({
    all: db.selectFrom("person").selectAll().orderBy("id"),
    named: (name) => db.selectFrom("person").selectAll().where("name", "=", name),
    byIds: (ids) => db.selectFrom("person").selectAll().where("id", "in", [...ids]),
    insert: (names) => db.insertInto("person").values(names.map((name) => ({ name }))),
    rename: (from, to) => db.updateTable("person").set({ name: to }).where("name", "=", from),
    remove: (name) => db.deleteFrom("person").where("name", "=", name)
  }))

const suite = (target: DropIn, name: string, make: Effect.Effect<Builder, never, SqlClient.SqlClient>): void => {
  const seeded = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(`CREATE TABLE person (id ${target.words.id}, name ${target.words.text} NOT NULL UNIQUE)`)
    const db = yield* make
    yield* db.insert(["a", "b"])
    const names = Effect.map(sql<Row>`SELECT * FROM person ORDER BY id`, (rows) => rows.map((row) => row.name))
    return { sql, db, names }
  })

  describe(name, () => {
    test(
      target,
      "queries, inserts, updates and deletes",
      Effect.gen(function*() {
        const { db, names } = yield* seeded
        assert.deepStrictEqual(yield* db.all, [{ id: 1, name: "a" }, { id: 2, name: "b" }])
        assert.deepStrictEqual(yield* db.named("b"), [{ id: 2, name: "b" }])
        yield* db.rename("a", "it's; DROP TABLE person")
        yield* db.remove("b")
        assert.deepStrictEqual(yield* names, ["it's; DROP TABLE person"])
        assert.lengthOf(yield* db.named("it's; DROP TABLE person"), 1)
      })
    )

    test(
      target,
      "a transaction undoes its statements and those of `SqlClient` alike, and sees both",
      Effect.gen(function*() {
        const { db, names, sql } = yield* seeded
        const work = Effect.gen(function*() {
          yield* db.insert(["c"])
          yield* sql`INSERT INTO person ${sql.insert({ name: "d" })}`
          assert.lengthOf(yield* db.all, 4)
          assert.deepStrictEqual(yield* names, ["a", "b", "c", "d"])
        })
        assert.strictEqual(yield* Effect.flip(sql.withTransaction(Effect.zipRight(work, Effect.fail("no")))), "no")
        assert.deepStrictEqual(yield* names, ["a", "b"])
        yield* sql.withTransaction(
          Effect.zipRight(
            work,
            Effect.ignore(sql.withTransaction(Effect.zipRight(db.insert(["e"]), Effect.fail("no"))))
          )
        )
        assert.deepStrictEqual(yield* names, ["a", "b", "c", "d"])
      })
    )

    // Kysely's adapter makes proxies of all that is piped from a query, Effect's own values with it: over the published client it hangs.
    if (name === "@effect/sql-drizzle") {
      test(
        target,
        "a query that is piped into a transaction is in it",
        Effect.gen(function*() {
          const { db, names, sql } = yield* seeded
          yield* db.insert(["c"]).pipe(sql.withTransaction)
          yield* db.insert(["undone"]).pipe(Effect.zipRight(Effect.fail("no")), sql.withTransaction, Effect.ignore)
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* db.insert(["d"]).pipe(Effect.zipRight(db.insert(["e"])), Effect.timeout("10 seconds"))
            yield* db.insert(["undone"]).pipe(Effect.zipRight(Effect.fail("no")), sql.withTransaction, Effect.ignore)
          }))
          assert.deepStrictEqual(yield* names, ["a", "b", "c", "d", "e"])
        })
      )
    }

    test(
      target,
      "concurrent transactions stay apart",
      Effect.gen(function*() {
        const { db, names, sql } = yield* seeded
        yield* Effect.forEach(
          ["c", "undone", "d"],
          (name) =>
            Effect.ignore(sql.withTransaction(
              Effect.zipRight(db.insert([name]), name === "undone" ? Effect.fail(name) : Effect.void)
            )),
          { concurrency: "unbounded", discard: true }
        )
        assert.sameMembers([...yield* names], ["a", "b", "c", "d"])
      })
    )

    test(
      target,
      "a resolver batches its requests, in their transaction",
      Effect.gen(function*() {
        const { db, names, sql } = yield* seeded
        const asked: Array<ReadonlyArray<number>> = []
        const ById = yield* SqlResolver.findById("ById", {
          Id: Schema.Number,
          Result: Schema.Struct({ id: Schema.Number, name: Schema.String }),
          ResultId: (row) => row.id,
          execute: (ids) => {
            asked.push(ids)
            return db.byIds(ids)
          }
        })
        const Add = yield* SqlResolver.void("Add", { Request: Schema.String, execute: (added) => db.insert(added) })
        const found = yield* Effect.all([ById.execute(2), ById.execute(1)], { batching: true })
        assert.deepStrictEqual(found.map((row) => row.pipe((_) => _._tag === "Some" ? _.value.name : "")), ["b", "a"])
        assert.deepStrictEqual(asked, [[2, 1]])
        yield* Effect.ignore(sql.withTransaction(Effect.gen(function*() {
          yield* Effect.all([Add.execute("c"), Add.execute("d")], { batching: true })
          assert.lengthOf(yield* db.all, 4)
          return yield* Effect.fail("no")
        })))
        assert.deepStrictEqual(yield* names, ["a", "b"])
      })
    )

    test(
      target,
      "a failure is the database's own, and the connection is fit for more",
      Effect.gen(function*() {
        const { db, names } = yield* seeded
        const error = yield* Effect.flip(db.insert(["a"]))
        assert.strictEqual(error._tag, "SqlError")
        // Drizzle has an error of its own around it.
        assert.match([error.cause, (error.cause as Error).cause].join(), /unique|duplicate/i)
        assert.deepStrictEqual(yield* names, ["a", "b"])
      })
    )
  })
}

export const builders = (target: DropIn): void => {
  suite(target, "@effect/sql-drizzle", drizzle[target.dialect])
  suite(target, "@effect/sql-kysely", kysely(target.dialect))
}
