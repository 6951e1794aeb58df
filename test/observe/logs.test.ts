/** What is written to Effect's log, and what never is. */
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import * as DbConfig from "../../src/DbConfig.js"
import * as DbHealth from "../../src/DbHealth.js"
import * as DbRetry from "../../src/DbRetry.js"
import { currentOpening } from "../../src/internal/database/Opening.js"
import { annotationsOf } from "../kit/annotations.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"

interface Line {
  readonly level: string
  readonly message: string
  readonly [annotation: string]: unknown
}

/** The lines of a program's log, from the debug level on. */
const logged = (level: LogLevel.LogLevel = LogLevel.Debug) => {
  const lines: Array<Line> = []
  const logger = Logger.make((entry) => {
    const { logLevel, message } = entry
    lines.push({
      ...annotationsOf(entry),
      level: logLevel.label,
      message: Array.isArray(message) ? message.join(" ") : String(message)
    })
  })
  const layer = Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(level))
  return {
    lines,
    layer: Layer.merge(layer, Logger.add(logger)),
    of: (message: string) => lines.filter((line) => line.message === message)
  }
}

describe("the log", () => {
  it.scoped("engine opened, session opened and closed, with their annotations", () =>
    Effect.gen(function*() {
      const log = logged()
      const { layer } = yield* fakeDb()
      yield* Db.session(TestClock.adjust("2 seconds")).pipe(
        Effect.annotateLogs("user", "ada"),
        Effect.provide(Layer.provideMerge(layer, log.layer))
      )
      const [opened] = log.of("database opened")
      assert.deepInclude(opened, { level: "DEBUG", database: "default", operation: "open", type: "postgresql" })
      assert.isNumber(opened!["engine"])
      assert.deepInclude(opened, { "pool.size": 2, "pool.overflow": 0 })
      const [start] = log.of("session opened")
      const [end] = log.of("session closed")
      assert.deepInclude(start, { level: "DEBUG", database: "default", operation: "session", user: "ada" })
      assert.deepInclude(end, { level: "DEBUG", session: start!["session"], durationMillis: 2_000, user: "ada" })
      assert.strictEqual(start!["worker"], process.env["VITEST_POOL_ID"])
    }))

  it.scoped("a slow statement: a warning, and remembered", () =>
    Effect.gen(function*() {
      const log = logged()
      const { control, layer } = yield* fakeDb({ log: { slowStatement: "200 millis" } })
      control.execute.always((call) => call.text.includes("slow") ? { delay: "300 millis" } : "ok")
      yield* Effect.gen(function*() {
        yield* Db.query("SELECT quick")
        const fiber = yield* Effect.fork(
          Effect.withSpan(Db.session(Db.query("SELECT slow WHERE x = :secret", { secret: "value-canary" })), "nightly")
        )
        yield* TestClock.adjust("300 millis")
        yield* Fiber.join(fiber)
        const { slowStatements } = yield* Db.metrics
        assert.lengthOf(slowStatements, 1)
        assert.deepInclude(slowStatements[0], { millis: 300, span: "nightly", error: undefined })
        assert.match(slowStatements[0]!.text, /^SELECT slow WHERE x = /)
        assert.isNumber(slowStatements[0]!.session)
        const [line] = log.of("slow statement")
        assert.deepInclude(line, { level: "WARN", operation: "statement", durationMillis: 300 })
        assert.strictEqual(line!["session"], slowStatements[0]!.session)
      }).pipe(Effect.provide(Layer.provideMerge(layer, log.layer)))
      assert.notInclude(JSON.stringify(log.lines), "value-canary")
      assert.lengthOf(log.of("slow statement"), 1)
    }))

  it.scoped("failures with their reason: what may be expected at debug, the rest as warnings", () =>
    Effect.gen(function*() {
      const log = logged()
      const { control, layer } = yield* fakeDb({ pool: { size: 1, acquireTimeout: "1 seconds" } })
      yield* Effect.gen(function*() {
        control.execute.next({ fail: fakeErrors.unique })
        yield* Effect.flip(Db.query("INSERT"))
        assert.deepInclude(log.of("statement failed: UniqueViolation")[0], {
          level: "DEBUG",
          error: "QueryError.UniqueViolation",
          outcome: "RolledBack",
          code: "23505",
          constraint: "fake_key"
        })
        const gate = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(Db.session(Deferred.await(gate)))
        const waiter = yield* Effect.fork(Effect.flip(Db.query("SELECT 1")))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(waiter)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(holder)
        const warnings = log.lines.filter(({ level }) => level === "WARN")
        assert.lengthOf(warnings, 1)
        assert.deepInclude(warnings[0], { error: "TimeoutError.Acquire", outcome: "NotSent" })
      }).pipe(Effect.provide(Layer.provideMerge(layer, log.layer)))
    }))

  it.live("what is asked for and not supported at debug: the caller's error says it", () =>
    Effect.gen(function*() {
      const log = logged()
      // In-process SQLite cannot stop a statement.
      const refused = yield* Db.query("SELECT 1", [], { timeout: "1 seconds" }).pipe(
        Effect.flip,
        Effect.provide(Db.layer({ url: "sqlite://:memory:", environment: "test" })),
        Effect.provide(log.layer)
      )
      assert.deepInclude(refused, { _tag: "ConnectionError", reason: "Unsupported" })
      assert.deepStrictEqual(log.lines.filter(({ level }) => level === "WARN"), [])
      assert.strictEqual(log.of(refused.message)[0]?.level, "DEBUG")
    }))

  it.scoped("a leak, and its return after all", () =>
    Effect.gen(function*() {
      const log = logged()
      const { layer } = yield* fakeDb({ pool: { leakThreshold: "10 seconds" } })
      yield* Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(
          Db.query("SELECT last").pipe(Effect.zipRight(Deferred.await(gate)), Db.session, Effect.withSpan("export"))
        )
        yield* TestClock.adjust("10 seconds")
        const expected = { holder: "export", state: "idle", statement: "SELECT last", operation: "session" }
        const leak = log.of("a connection is held for long")
        assert.lengthOf(leak, 1)
        assert.deepInclude(leak[0], { level: "WARN", durationMillis: 10_000, ...expected })
        assert.isNumber(leak[0]!["session"])
        yield* TestClock.adjust("5 seconds")
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(holder)
        assert.deepInclude(log.of("a connection that was held for long was returned after all")[0], {
          level: "INFO",
          durationMillis: 15_000,
          ...expected,
          session: leak[0]!["session"]
        })
      }).pipe(Effect.provide(Layer.provideMerge(layer, log.layer)))
    }))

  it.scoped("retries at debug", () =>
    Effect.gen(function*() {
      const log = logged()
      const { control, layer } = yield* fakeDb()
      control.execute.next({ fail: fakeErrors.serialization })
      const fiber = yield* Effect.fork(
        Db.query("UPDATE t").pipe(
          Db.transaction({ retry: DbRetry.conflicts }),
          Effect.provide(Layer.provideMerge(layer, log.layer))
        )
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepInclude(log.of("retrying")[0], {
        level: "DEBUG",
        operation: "retry",
        attempt: 1,
        error: "QueryError.Serialization"
      })
    }))

  it.live("the audit: every statement with the user of its fiber, and how transactions end; no values", () =>
    Effect.gen(function*() {
      const log = logged()
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE t (secret TEXT UNIQUE)`
        yield* sql`INSERT INTO t VALUES (${"value-canary"})`.pipe(
          Db.transaction,
          Effect.annotateLogs("user", "ada")
        )
        yield* sql`INSERT INTO t VALUES (${"value-canary"})`.pipe(
          Db.transaction,
          Effect.annotateLogs("user", "bob"),
          Effect.flip
        )
      }).pipe(
        Effect.provide(
          Layer.provideMerge(Db.layer({ url: "sqlite://:memory:", log: { audit: true } }), log.layer)
        )
      )
      const audit = log.lines.filter(({ level, message }) =>
        level === "INFO" && (message === "statement" || message === "transaction")
      )
      assert.deepStrictEqual(
        audit.map(({ message, result, statement, user }) => [message, user, statement, result]),
        [
          ["statement", undefined, "CREATE TABLE t (secret TEXT UNIQUE)", "ok"],
          ["statement", "ada", "INSERT INTO t VALUES (?)", "ok"],
          ["transaction", "ada", undefined, "committed"],
          ["statement", "bob", "INSERT INTO t VALUES (?)", "failed"],
          ["transaction", "bob", undefined, "rolled_back"]
        ]
      )
      assert.notInclude(JSON.stringify(log.lines), "value-canary")
    }))

  it.live("DbHealth.log: all of it in one line, at the level of the status", () =>
    Effect.gen(function*() {
      const log = logged()
      yield* Effect.gen(function*() {
        yield* DbHealth.log(Db)
        yield* Db.watchMigrations(Effect.succeed("pending"))
        yield* DbHealth.log(Db)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(Db.layer({ url: "sqlite://:memory:", health: { cache: 0 } }), log.layer)
        )
      )
      const [healthy] = log.of("database \"default\" is healthy")
      assert(healthy !== undefined)
      assert.strictEqual(healthy.level, "INFO")
      assert.hasAllKeys(healthy, ["level", "message", "database", "health", "info", "holders", "metrics"])
      assert.deepInclude(healthy["health"], { status: "healthy", query_test: true })
      assert.deepInclude(healthy["info"], { processId: process.pid, opened: true, threadId: 0 })
      assert.deepInclude(healthy["metrics"], { failures: {} })
      assert.strictEqual(log.of("database \"default\" is degraded: migrations: pending")[0]?.level, "WARN")
    }))

  it.scoped("nothing is written below the level that is asked for", () =>
    Effect.gen(function*() {
      const log = logged(LogLevel.Info)
      const { layer } = yield* fakeDb()
      yield* Db.session(Effect.void).pipe(Effect.provide(Layer.provideMerge(layer, log.layer)))
      assert.deepStrictEqual(log.lines, [])
    }))

  it.scoped("an opening that is unusual is told to all: a database that nothing configures, a network without TLS", () =>
    Effect.gen(function*() {
      const log = logged()
      const { layer } = yield* fakeDb()
      const opened = (layer: Layer.Layer<Db, unknown>) =>
        Effect.map(
          Effect.exit(Layer.build(Layer.fresh(layer)).pipe(Effect.scoped, Effect.provide(log.layer))),
          () => log.of("database opened").at(-1)!
        )
      assert.deepInclude(yield* opened(layer), { level: "DEBUG" })
      // The resolved configuration says it.
      const silent = yield* DbConfig.resolve("default", { environment: "development" })
      assert.isTrue(silent.isUnconfigured)
      for (
        const options of [{ url: "sqlite://a.db" }, { filename: "a.db" }, { database: "a" }, {
          type: "sqlite" as const
        }]
      ) {
        assert.isFalse(
          (yield* DbConfig.resolve("default", { environment: "development", ...options })).isUnconfigured
        )
      }
      const changed = (environment: DbConfig.Environment, unusual?: string) =>
        Layer.locallyWith(layer, currentOpening, () => (opening) => ({
          config: { ...opening.config, environment, isUnconfigured: unusual === undefined },
          makeDriver: (config) =>
            Effect.map(opening.makeDriver(config), (driver) => ({ ...driver, unusual: () => unusual }))
        }))
      assert.deepInclude(yield* opened(changed("development")), {
        level: "INFO",
        unusual: "nothing configures the database, so it is this file"
      })
      assert.deepInclude(yield* opened(changed("test")), { level: "DEBUG" })
      assert.deepInclude(yield* opened(changed("production", "no TLS to db-1")), {
        level: "INFO",
        unusual: "no TLS to db-1"
      })
    }))

  it.scoped("a session that listens, holds a lock, or says so is no leak; it is one when it stays behind that", () =>
    Effect.gen(function*() {
      const log = logged()
      const { layer } = yield* fakeDb({ pool: { size: 3, leakThreshold: "10 seconds" } })
      const leaks = () => log.of("a connection is held for long").map(({ holder }) => holder)
      yield* Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const done = yield* Deferred.make<void>()
        const listener = yield* Effect.fork(
          Effect.zipRight(Db.query("LISTEN a"), Effect.never).pipe(Db.session, Effect.withSpan("listener"))
        )
        const worker = yield* Effect.fork(
          Db.keepSession(Effect.zipRight(Db.query("SELECT 1"), Deferred.await(gate))).pipe(
            Effect.zipRight(Deferred.await(done)),
            Db.session,
            Effect.withSpan("worker")
          )
        )
        yield* TestClock.adjust("25 seconds")
        assert.deepStrictEqual(leaks(), [])
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(leaks(), ["worker"])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(leaks(), ["worker"])
        yield* Deferred.succeed(done, undefined)
        yield* Fiber.join(worker)
        yield* Fiber.interrupt(listener)
        // Outside of a session there is nothing to keep.
        assert.strictEqual(yield* Db.keepSession(Effect.succeed(1)), 1)
      }).pipe(Effect.provide(Layer.provideMerge(layer, log.layer)))
    }))
})
