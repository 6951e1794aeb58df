/** The modules of `effect/sql` on our client: resolvers, schemas, repositories, migrator, errors. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Model from "effect/schema/Model"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as SqlModel from "effect/sql/SqlModel"
import * as SqlResolver from "effect/sql/SqlResolver"
import * as SqlSchema from "effect/sql/SqlSchema"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import * as DbSchema from "../../src/DbSchema.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { beforeReply, makeProxy } from "../kit/proxy.js"

class Account extends Model.Class<Account>("Account")({
  id: DbSchema.generated(DbSchema.Int),
  owner: Schema.String,
  big: DbSchema.field(DbSchema.BigInt)
}) {}

const table = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql.onDialectOrElse({
    pg: () => sql`CREATE TABLE account (id serial PRIMARY KEY, owner text UNIQUE NOT NULL, big bigint NOT NULL)`,
    orElse: () => sql`CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT UNIQUE NOT NULL, big INTEGER NOT NULL)`
  })
  return sql
})

const repository = SqlModel.makeRepository(Account, { tableName: "account", spanPrefix: "Account", idColumn: "id" })

/** What holds on each database. */
const modules = (layer: Layer.Layer<Db | SqlClient.SqlClient, unknown, never>): void => {
  it.live("a repository of a model writes and reads", () =>
    Effect.gen(function*() {
      yield* table
      const accounts = yield* repository
      const ada = yield* accounts.insert(Account.insert.make({ owner: "Ada", big: 2n ** 62n }))
      assert.deepStrictEqual({ ...ada }, { id: 1, owner: "Ada", big: 2n ** 62n })
      const changed = yield* accounts.update(Account.update.make({ ...ada, big: 7n }))
      assert.deepStrictEqual({ ...(yield* accounts.findById(1)) }, { ...changed })
      yield* accounts.delete(1)
      assert.strictEqual((yield* Effect.flip(accounts.findById(1)))._tag, "NoSuchElementError")
    }).pipe(Effect.provide(layer)))

  it.live("a resolver puts the requests of fibers into one statement, and those of a transaction into another", () =>
    Effect.gen(function*() {
      const sql = yield* table
      yield* sql`INSERT INTO account ${sql.insert([{ owner: "Ada", big: 1 }, { owner: "Bob", big: 2 }])}`
      const asked: Array<number> = []
      const byId = SqlResolver.findById({
        Id: Schema.Number,
        Result: Account,
        ResultId: ({ id }) => id,
        execute: (ids) =>
          Effect.suspend(() => {
            asked.push(ids.length)
            return sql`SELECT * FROM account WHERE ${sql.in("id", ids)}`
          })
      })
      const owner = (id: number) => Effect.map(SqlResolver.request(id, byId), ({ owner }) => owner)
      const both = Effect.all([owner(1), owner(2)], { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* both, ["Ada", "Bob"])
      assert.deepStrictEqual(asked, [2])
      const undone = Effect.gen(function*() {
        yield* sql`UPDATE account SET owner = ${"Cyd"} WHERE id = ${1}`
        assert.deepStrictEqual(yield* both, ["Cyd", "Bob"])
        return yield* Effect.fail("undone" as const)
      })
      assert.strictEqual(yield* Effect.flip(Db.transaction(undone)), "undone")
      assert.deepStrictEqual(yield* both, ["Ada", "Bob"])
      const inside = Db.transaction(Effect.andThen(sql`UPDATE account SET owner = ${"Dan"} WHERE id = ${1}`, both))
      assert.deepStrictEqual(yield* inside, ["Dan", "Bob"])
      assert.deepStrictEqual(asked, [2, 2, 2, 2])
    }).pipe(Effect.provide(layer)))

  it.live("a schema of a statement decodes what it gives", () =>
    Effect.gen(function*() {
      const sql = yield* table
      yield* sql`INSERT INTO account ${sql.insert({ owner: "Ada", big: 1 })}`
      const find = SqlSchema.findOneOption({
        Request: Schema.String,
        Result: Account,
        execute: (owner) => sql`SELECT * FROM account WHERE owner = ${owner}`
      })
      assert.deepStrictEqual(Option.map(yield* find("Ada"), ({ big }) => big), Option.some(1n))
      assert.deepStrictEqual(yield* find("Bob"), Option.none())
    }).pipe(Effect.provide(layer)))

  it.live("the migrator of Effect runs migrations once", () =>
    Effect.gen(function*() {
      const run = Migrator.make({})({
        loader: Migrator.fromRecord({ "1_account": Effect.orDie(table), "2_more": Effect.void })
      })
      assert.deepStrictEqual(yield* run, [[1, "account"], [2, "more"]])
      assert.deepStrictEqual(yield* run, [])
      yield* Db.query("SELECT owner FROM account")
    }).pipe(Effect.provide(layer)))

  it.live("an error has Effect's reason", () =>
    Effect.gen(function*() {
      const sql = yield* table
      const add = sql`INSERT INTO account ${sql.insert({ owner: "Ada", big: 1 })}`
      yield* add
      const reasonOf = <A>(effect: Effect.Effect<A, SqlError>) =>
        Effect.map(Effect.flip(effect), ({ reason }) => reason)
      assert.deepInclude(yield* reasonOf(add), { _tag: "UniqueViolation", isRetryable: false })
      assert.strictEqual((yield* reasonOf(sql`INSERT INTO account (owner) VALUES ('Bob')`))._tag, "ConstraintError")
      assert.strictEqual((yield* reasonOf(sql`SELEC 1`))._tag, "SqlSyntaxError")
    }).pipe(Effect.provide(layer)))
}

describe("effect/sql on SQLite", () => {
  modules(Layer.fresh(Db.layer({ url: "sqlite::memory:" })))
})

describePostgres("effect/sql on PostgreSQL", () => {
  modules(Layer.unwrap(Effect.map(freshDatabase, ({ url }) => Db.layer({ url }))))

  it.live("nothing is called retryable whose outcome is not known, and what was not sent is", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy(database)
      yield* Effect.gen(function*() {
        const sql = yield* table
        const add = sql`INSERT INTO account ${sql.insert({ owner: "Ada", big: 1 })}`
        proxy.at(beforeReply("INSERT"), "cut")
        const lost = yield* Effect.flip(add)
        assert.isFalse(lost.isRetryable)
        assert.deepStrictEqual(yield* sql`SELECT count(*)::int AS n FROM account`, [{ n: 1 }])
        yield* proxy.refuse
        proxy.cutAll()
        assert.isTrue((yield* Effect.flip(add)).isRetryable)
      }).pipe(
        Effect.provide(Db.layer(
          {
            url: proxy.url(database.url),
            ssl: false,
            pool: { acquireTimeout: "500 millis" }
          } satisfies DbConfig.Options
        ))
      )
    }))
})
