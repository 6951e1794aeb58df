/** A limit that the program has set by itself is never reported with the number of ours. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import type { Options } from "../../src/DbConfig.js"
import { make as mssql } from "../../src/driver/Mssql.js"
import { describeMssql, freshMssqlDatabase } from "../kit/mssql.js"
import { describeMariadb, freshMysqlDatabase } from "../kit/mysql.js"
import { describePostgres, eventually, freshDatabase, query } from "../kit/postgres.js"

const run = (text: string) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(text))

const options = (url: string, limits: Options["limits"] = {}): Options => ({ url, environment: "production", limits })

/** Limits of ours that are far away. */
const far = { statementTimeout: "50 seconds", lockTimeout: "40 seconds" } as const

/** The error of a statement behind others, in one transaction. */
const failing = (...texts: ReadonlyArray<string>) =>
  Effect.flip(Db.transaction(Effect.forEach(texts, run, { discard: true })))

/** Takes a lock in another transaction, for as long as the effect takes. */
const whileLocked = <A, E, R>(lock: string, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const locked = yield* Deferred.make<void>()
    const holder = yield* Effect.fork(
      Db.transaction(Effect.zipRight(run(lock), Effect.zipRight(Deferred.succeed(locked, undefined), Effect.never)))
    )
    yield* Effect.raceFirst(Deferred.await(locked), Fiber.join(holder))
    return yield* Effect.ensuring(effect, Fiber.interrupt(holder))
  })

const isUnknown = (error: unknown, phase: string) => {
  assert.deepInclude(error, { _tag: "TimeoutError", phase })
  const { limitMillis, message } = error as { readonly limitMillis?: number; readonly message: string }
  assert.isUndefined(limitMillis)
  assert.notMatch(message, /\d+ ms/)
}

describePostgres("limits that the program sets, PostgreSQL", () => {
  it.scopedLive("statement_timeout and lock_timeout, shorter or longer than ours, also by a function", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        isUnknown(yield* failing("SET LOCAL statement_timeout = 100", "SELECT pg_sleep(30)"), "Statement")
        isUnknown(
          yield* failing("SELECT set_config('statement_timeout', '100', true)", "SELECT pg_sleep(30)"),
          "Statement"
        )
        yield* run(
          "CREATE FUNCTION hurry() RETURNS text LANGUAGE sql AS $$ SELECT set_config('statement_' || 'timeout', '100', true) $$"
        )
        isUnknown(yield* failing("SELECT hurry()", "SELECT pg_sleep(30)"), "Statement")
        yield* run("CREATE TABLE t (n INTEGER)")
        const locked = failing("SET LOCAL lock_timeout = 100", "LOCK TABLE t")
        isUnknown(yield* whileLocked("LOCK TABLE t", locked), "Lock")
      }).pipe(Effect.provide(Db.layer(options(url, far))))
      yield* Effect.gen(function*() {
        const longer = failing("SET LOCAL lock_timeout = 600", "LOCK TABLE t")
        isUnknown(yield* whileLocked("LOCK TABLE t", longer), "Lock")
        // What was set for one transaction says nothing of the next.
        const ours = yield* whileLocked("LOCK TABLE t", failing("SELECT 1", "LOCK TABLE t"))
        assert.deepInclude(ours, { _tag: "TimeoutError", phase: "Lock", limitMillis: 200 })
      }).pipe(Effect.provide(Db.layer(options(url, { ...far, lockTimeout: 200 }))))
    }))

  it.scopedLive("a statement that another session cancels has reached no limit, and ours is named", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(failing("SELECT pg_sleep(30)"))
        yield* eventually(
          query(
            url,
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
          ),
          (rows) => rows.length === 1
        )
        assert.deepInclude(yield* Fiber.join(fiber), { _tag: "QueryError", code: "57014" })
      }).pipe(Effect.provide(Db.layer(options(url, far))))
      const ours = yield* failing("SELECT pg_sleep(30)").pipe(
        Effect.provide(Db.layer(options(url, { statementTimeout: 300 })))
      )
      assert.deepInclude(ours, { _tag: "TimeoutError", phase: "Statement", limitMillis: 300 })
    }))

  it.scopedLive("idle_in_transaction_session_timeout", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const gone = yield* Deferred.make<void>()
      const error = yield* Effect.gen(function*() {
        yield* run("SET LOCAL idle_in_transaction_session_timeout = 100")
        const watch = query(
          url,
          "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        yield* eventually(watch, (rows) => rows.length === 0)
        yield* Deferred.succeed(gone, undefined)
        yield* run("SELECT 1")
      }).pipe(Db.transaction, Effect.flip, Effect.provide(Db.layer(options(url, far))))
      isUnknown(error, "IdleInTransaction")
    }))
})

describeMariadb("limits that the program sets, MariaDB", () => {
  it.scopedLive("max_statement_time and innodb_lock_wait_timeout", () =>
    Effect.gen(function*() {
      const { url } = yield* freshMysqlDatabase
      yield* Effect.gen(function*() {
        isUnknown(yield* failing("SET STATEMENT max_statement_time = 0.1 FOR SELECT SLEEP(30) AS s"), "Statement")
        isUnknown(yield* failing("SET max_statement_time = 0.1", "SELECT SLEEP(30) AS s"), "Statement")
        yield* run("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        yield* run("INSERT INTO t VALUES (1)")
        const locked = failing("SET innodb_lock_wait_timeout = 1", "UPDATE t SET n = 2")
        isUnknown(yield* whileLocked("SELECT n FROM t FOR UPDATE", locked), "Lock")
      }).pipe(Effect.provide(Db.layer(options(url, far))))
      const ours = yield* failing("SELECT SLEEP(30) AS s").pipe(
        Effect.provide(Db.layer(options(url, { statementTimeout: 300 })))
      )
      assert.deepInclude(ours, { _tag: "TimeoutError", phase: "Statement", limitMillis: 300 })
    }))
})

describeMssql("limits that the program sets", () => {
  it.scopedLive("LOCK_TIMEOUT", () =>
    Effect.gen(function*() {
      const { caCert, url } = yield* freshMssqlDatabase
      yield* Effect.gen(function*() {
        yield* run("CREATE TABLE t (n INT)")
        yield* run("INSERT INTO t VALUES (1)")
        const locked = failing("SET LOCK_TIMEOUT 100", "UPDATE t SET n = 2")
        isUnknown(yield* whileLocked("UPDATE t SET n = 3", locked), "Lock")
      }).pipe(
        Effect.provide(
          Db.layerDriver({
            ...options(url, far),
            ...(caCert === undefined ? { ssl: "require" } : { sslRootCert: caCert })
          }, mssql)
        )
      )
    }))
})
