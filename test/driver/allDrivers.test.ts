/** What the drivers share: the form of their messages, and the clients of the published packages. */
import type { PgClient as Published } from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import * as Mssql from "../../src/driver/Mssql.js"
import * as Mysql from "../../src/driver/Mysql.js"
import * as Pg from "../../src/driver/Pg.js"
import * as Sqlite from "../../src/driver/Sqlite.js"
import { failure } from "../../src/internal/driver/failure.js"
import { describeMysql, freshMysqlDatabase, mysqlQuery } from "../kit/mysql.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

describe("errors of drivers", () => {
  it("have one form, and no field that is not known", () => {
    const parts = { database: "orders", what: "it broke.", outcome: "Unknown" as const }
    const lost = failure({ _tag: "ConnectionError", reason: "Lost", ...parts, code: 4711 })
    assert.match(lost.message, /^database "orders": it broke \(Lost, 4711\)\. [A-Z].*\.$/)
    assert.strictEqual(lost.code, "4711")
    const late = failure({ _tag: "TimeoutError", phase: "Lock", limitMillis: 20, ...parts, statement: "SELECT 1" })
    assert.match(late.message, /^database "orders": it broke \(Lock timeout of 20 ms\)\. /)
    const refused = failure({
      _tag: "QueryError",
      reason: "UniqueViolation",
      ...parts,
      constraint: "one",
      advice: "do something else"
    })
    assert.strictEqual(refused.message, "database \"orders\": it broke (UniqueViolation). Do something else.")
    assert.isFalse("code" in refused)
    assert.strictEqual(refused.constraint, "one")
    assert.isFalse("cause" in JSON.parse(JSON.stringify(refused)))
  })

  it.effect("are found alike on every family", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Db.query("SELEC 1"), Db.layer({ url: "sqlite://:memory:" })))
      assert.match(error.message, /^database "default": .* \(SqlSyntax, SQLITE_ERROR\)\. /)
    }))
})

describe("an in-memory database with workers", () => {
  it.effect("opens, for it has a limit only where one is set; then it says why it cannot", () =>
    Effect.gen(function*() {
      const memory = { url: "sqlite://:memory:", workers: 1 }
      const rows = yield* Effect.provide(
        Db.query("SELECT 1 AS one"),
        Db.layer({ ...memory, environment: "production" })
      )
      assert.deepStrictEqual(rows, [{ one: 1 }])
      const error = yield* Effect.flip(
        Effect.provide(Db.query("SELECT 1"), Db.layer({ ...memory, limits: { statementTimeout: "1 second" } }))
      )
      assert.include(String(error), "the statement limit of 1000 ms cannot be kept for an in-memory database")
    }))
})

describe("withClient", () => {
  it.scoped.each([
    ["PostgreSQL", Pg.withClient],
    ["MySQL or MariaDB", Mysql.withClient],
    ["SQL Server", Mssql.withClient]
  ])("of %s fails on SQLite, and says so", ([family, withClient]) =>
    Effect.gen(function*() {
      // Three functions of one shape, of which each gives another client: here it does not matter which.
      const around = withClient as typeof Pg.withClient
      const error = yield* Effect.flip(Layer.build(Db.layer({ url: "sqlite://:memory:" }).pipe(around)))
      assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported" })
      assert.include(error.message, `needs a database of ${family}, and the one that is configured is SQLite`)
    }))
})

describe("Pg.withClient", () => {
  it.effect("says which family was found instead, and what to do", () =>
    Effect.gen(function*() {
      const layer = Db.layer({ url: "sqlite://:memory:" })
      const error = yield* Effect.flip(Effect.provide(Pg.PgClient, layer.pipe(Pg.withClient)))
      assert.include(
        error.message,
        "Pg.withClient needs a database of PostgreSQL, and the one that is configured is SQLite"
      )
      assert.isTrue(Exit.isSuccess(
        yield* Effect.exit(Effect.provide(Sqlite.SqliteClient, layer.pipe(Sqlite.withClient)))
      ))
    }))
})

describePostgres("PgClient without transforms", () => {
  it.scopedLive("keeps json, listen and notify, and leaves the one with transforms alone", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        const sql = yield* Pg.PgClient
        // Published under the type of a plain client; used as what it is.
        const plain = sql.withoutTransforms() as Published
        assert.strictEqual(plain.withoutTransforms(), plain)
        const [row] = yield* plain<{ a_b: unknown }>`SELECT ${plain.json({ x: 1 })}::json AS a_b`
        assert.deepStrictEqual(row, { a_b: { x: 1 } })
        yield* plain.notify("c", "x")
        assert.isFunction(plain.listen)
        assert.deepStrictEqual(yield* sql`SELECT 1 AS a_b`, [{ aB: 1 }])
      }).pipe(
        Effect.provide(
          Db.layer({ url, transformResultNames: (name) => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase()) })
            .pipe(
              Pg.withClient
            )
        )
      )
    }))
})

describeMysql("Mysql.withClient", () => {
  it.scopedLive("gives the client of @effect/sql-mysql2", () =>
    Effect.gen(function*() {
      const { url } = yield* freshMysqlDatabase
      yield* Effect.gen(function*() {
        const sql = yield* Mysql.MysqlClient
        assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
        assert.isString(sql.config.host)
      }).pipe(Effect.provide(Db.layer({ url }).pipe(Mysql.withClient)))
    }))
})

describeMysql("CREATE DATABASE on MySQL", () => {
  it.scopedLive("makes one that takes text of any language, whatever the server's default is", () =>
    Effect.gen(function*() {
      const { url } = yield* freshMysqlDatabase
      const name = `test_made_${process.pid}`
      yield* Effect.addFinalizer(() => mysqlQuery(url, `DROP DATABASE IF EXISTS ${name}`))
      const [row] = yield* Db.query<{ name: string }>("SELECT @@character_set_database AS name").pipe(
        Effect.provide(Db.layerDriver({ url, database: name, createDatabase: true }, Mysql.make))
      )
      assert.strictEqual(row?.name, "utf8mb4")
    }))
})
