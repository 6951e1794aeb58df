/** A connection that is held on purpose is no leak: what the cluster's storage reserves for its locks, what migrations lock with. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { describeMssql, freshMssqlDatabase, mssqlOptions } from "../kit/mssql.js"
import { describeMariadb, freshMysqlDatabase } from "../kit/mysql.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

/** The warnings that are written while connections are held for ten minutes of the clock, each after one of the texts. */
const warnings = (options: Effect.Effect<DbConfig.Options, never, Scope.Scope>, texts: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const pool = { size: texts.length, minIdle: 0, leakThreshold: "1 minute" } as const
    const layer = Db.layer({ ...(yield* options), environment: "production", connectOnStart: false, pool })
    yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.scoped(Effect.gen(function*() {
        for (const text of texts) {
          const connection = yield* sql.reserve
          for (const part of text.split("\n")) yield* connection.executeUnprepared(part, [], undefined)
        }
        yield* TestClock.adjust("10 minutes")
      }))
    }).pipe(Effect.provide(Layer.provideMerge(layer, Logger.replace(Logger.defaultLogger, logger))))
    return lines.filter((line) => line === "a connection is held for long").length
  })

describe("migrations on SQLite", () => {
  it.scoped("hold their session on purpose: on SQLite their lock is no statement's", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const layer = Db.layer({ url: "sqlite://:memory:", pool: { leakThreshold: "1 minute" } })
      const migrations = DbMigrator.fromRecord({ V1__slow: TestClock.adjust("10 minutes") })
      yield* Effect.gen(function*() {
        yield* DbMigrator.run(Db, { migrations })
        assert.notInclude(lines, "a connection is held for long")
        yield* Db.session(Effect.zipRight(DbMigrator.status(Db, { migrations }), TestClock.adjust("10 minutes")))
        assert.include(lines, "a connection is held for long")
      }).pipe(Effect.provide(Layer.provideMerge(layer, Logger.replace(Logger.defaultLogger, logger))))
    }))
})

describePostgres("connections held on purpose", () => {
  it.scoped("are those that listen or have a lock of the session, until they give all back", () =>
    Effect.gen(function*() {
      const options = Effect.map(freshDatabase, ({ url }) => ({ url }))
      assert.strictEqual(
        yield* warnings(options, [
          "LISTEN a",
          "SELECT pg_try_advisory_lock(1) AS \"1\", pg_try_advisory_lock(2) AS \"2\"",
          "SELECT pg_catalog.pg_advisory_lock_shared(3)",
          "SELECT pg_advisory_lock(4)\nSET search_path TO public"
        ]),
        0
      )
      const left = [
        "SELECT 1",
        "SET search_path TO public",
        "SELECT pg_advisory_xact_lock(5)",
        "LISTEN b\nUNLISTEN *",
        "SELECT pg_advisory_lock(6)\nSELECT pg_advisory_unlock_all()",
        "SELECT 'pg_advisory_lock(7)'"
      ]
      assert.strictEqual(yield* warnings(options, left), left.length)
    }))
})

describeMariadb("connections held on purpose", () => {
  it.scoped("are those that have a lock by name, until they give all back", () =>
    Effect.gen(function*() {
      const options = Effect.map(freshMysqlDatabase, ({ url }) => ({ url }))
      assert.strictEqual(yield* warnings(options, ["SELECT GET_LOCK('a', 10), IS_USED_LOCK('a')"]), 0)
      const left = ["SELECT 1", "SET @a = 1", "SELECT GET_LOCK('b', 1)\nSELECT RELEASE_ALL_LOCKS()"]
      assert.strictEqual(yield* warnings(options, left), left.length)
    }))
})

describeMssql("connections held on purpose", () => {
  it.scoped("are those that have a lock by name", () =>
    Effect.gen(function*() {
      const options = Effect.map(freshMssqlDatabase, mssqlOptions)
      assert.strictEqual(
        yield* warnings(options, [
          "EXEC sp_getapplock @Resource = 'a', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0"
        ]),
        0
      )
      assert.strictEqual(yield* warnings(options, ["SELECT 1", "SET NOCOUNT OFF"]), 2)
    }))
})
