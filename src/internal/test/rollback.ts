/**
 * The sandbox: a database whose changes are rolled back at the end of the test.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Db from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError, DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { engineOf } from "../database/Database.js"
import { make } from "../database/Opening.js"
import { failure } from "../driver/failure.js"
import { withFields } from "../error/classes.js"
import { reserveSession } from "../session/transaction.js"
import { askEffect, decorate, wrapConnections } from "./decorate.js"
import { checkDeferred, checkNow, orphans } from "./deferred.js"
import { SandboxConnection } from "./sandboxConnection.js"
import { load } from "./vitest.js"
import { attendEngine, watchDriver, watched } from "./watch.js"

/**
 * Options of a sandbox.
 *
 * @since 0.1.0
 * @category models
 */
export interface RollbackOptions {
  /**
   * How long, in real time, a session waits for one beside it while that does nothing at all, before it is refused. One
   * that is asked for inside another is refused at once. Defaults to 1 second.
   */
  readonly patience?: Duration.DurationInput | undefined
}

/** One connection, which only tests that fail need a second of. */
const pool = (given: DbConfig.Pool): DbConfig.Pool => ({
  ...given,
  size: 1,
  // A second one is asked for, and refused with an explanation.
  overflow: 1,
  minIdle: 0,
  overflowIdle: 0,
  validateAfter: Number.MAX_SAFE_INTEGER,
  maxLifetime: 0,
  idleTimeout: 0,
  keepalive: 0,
  leakThreshold: 0,
  closeTimeout: 1_000
})

const glances = 20

/** A driver over one connection that is inside a transaction of its own, which is rolled back when the scope closes. */
const sandbox = (
  driver: Driver.Driver,
  connection: Driver.Connection,
  database: string,
  options: RollbackOptions
): Effect.Effect<Driver.Driver, DbError, Scope.Scope> =>
  Effect.gen(function*() {
    const before = driver.target.system === "sqlite"
      ? yield* Effect.async<ReadonlyArray<string>, DbError>((resume) =>
        orphans(connection, (error, rows) => resume(error === undefined ? Effect.succeed(rows) : Effect.fail(error)))
      )
      : []
    const begin = driver.transaction.begin({})
    yield* Effect.acquireRelease(
      askEffect(connection, typeof begin === "string" ? begin : "BEGIN"),
      (_, exit) => end(driver, connection, database, new Set(before), Exit.isSuccess(exit))
    )
    const patience = Duration.toMillis(options.patience ?? "1 second")
    let requests = 0
    let current: SandboxConnection | undefined = undefined
    let whenFree: Array<() => void> = []
    const give = (): SandboxConnection => {
      const mine = new SandboxConnection(connection, {
        driver,
        database,
        orphans: new Set(before),
        onProgress: () => requests++,
        onFree: () => {
          if (current === mine) {
            current = undefined
          }
          whenFree.splice(0).forEach((free) => free())
        }
      })
      return current = mine
    }
    const open = Effect.async<SandboxConnection, ConnectionError>((resume) => {
      if (current === undefined) {
        return resume(Effect.sync(give))
      }
      // It is in use. As long as statements are run on it, the wait makes sense.
      let seen = requests
      let still = 0
      const timer = setInterval(() => {
        still = seen === requests ? still + 1 : 0
        seen = requests
        if (still >= glances) {
          stop()
          resume(Effect.fail(second(database, `while its holder did nothing for ${patience} ms`)))
        }
      }, patience / glances)
      const free = () => {
        if (current !== undefined) {
          whenFree.push(free)
          return
        }
        stop()
        const given = give()
        resume(Effect.onInterrupt(Effect.succeed(given), () => Effect.sync(() => given.destroy())))
      }
      const stop = () => {
        clearInterval(timer)
        whenFree = whenFree.filter((waiting) => waiting !== free)
      }
      whenFree.push(free)
      return Effect.sync(stop)
    })
    return {
      ...wrapConnections(driver, () => give()),
      open,
      // Two, because of the one that is refused.
      maxConnections: 2,
      refuseInner: () => second(database, "by code that runs in a session of it already"),
      // No other client writes to the database beside the sandbox, so there is no queue.
      capabilities: { ...driver.capabilities, singleWriter: false },
      answersCommits: true,
      transactionId: undefined,
      commitStatus: undefined
    }
  })

const second = (database: string, why: string): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: "Unsupported",
    database,
    what: `a second connection was asked for inside a sandbox (DbTest.rollback), which has one, ${why}`,
    advice:
      "let sessions and transactions take turns in a sandbox; one that cannot go on without another must use the " +
      "session that is open already (put Db.session or Db.transaction around both), or be tested on a database of its " +
      "own (DbTest.postgres, or DbTest.sqlite with file: true)",
    outcome: "NotSent"
  })

const isOpen = (connection: Driver.Connection): boolean => connection.transaction !== "idle"

/** Checks what COMMIT would check, where the test has succeeded, and rolls back. */
const end = (
  driver: Driver.Driver,
  connection: Driver.Connection,
  database: string,
  before: ReadonlySet<string>,
  isSuccess: boolean
): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (connection.lost) {
      return
    }
    if (!isOpen(connection)) {
      return yield* Effect.die(
        new Error(
          `database "${database}": the sandbox's transaction was ended by the code under test, so its changes stay`
        )
      )
    }
    const isChecked = isSuccess && connection.transaction === "open"
    const { rollback } = driver.transaction
    const violation = !isChecked
      ? undefined
      : driver.target.system === "postgresql"
      // In one round trip: what follows a failing check is not run.
      ? yield* Effect.merge(Effect.as(askEffect(connection, `${checkNow}; ${rollback}`), undefined))
      : yield* Effect.async<DbError | undefined>((resume) =>
        checkDeferred(driver, database, connection, before, (error) => resume(Effect.succeed(error)))
      )
    if (isOpen(connection) && (yield* Effect.isFailure(askEffect(connection, rollback)))) {
      connection.destroy()
    }
    if (violation !== undefined) {
      return yield* Effect.die(atTheEnd(violation))
    }
  })

const atTheEnd = (violation: DbError): DbError =>
  violation._tag === "QueryError"
    ? withFields(violation, { what: `at the end of the sandbox, where COMMIT would be: ${violation.what}` })
    : violation

/**
 * Puts a layer's databases into a sandbox: everything happens in one transaction, which is rolled back when the layer
 * closes.
 *
 * Code under test sees a database as ever: its transactions become savepoints, with COMMIT's checks of deferred
 * constraints, and all fibers share the one connection. Sessions and transactions beside each other take turns. A
 * second connection is refused: `ConnectionError`, reason `Unsupported`; at once where it is asked for inside a session
 * (`Db.reserve` in a transaction), and after `patience` where the first one is held without being used.
 * When the test ends well, deferred constraints are checked as COMMIT would, and a violation fails it.
 *
 * The layer opens a connection of its own. Where a suite shares an open database, {@link sandboxOf} is faster.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const database = Db.layer({ url: "postgresql://localhost/app_test" })
 *
 * const test = Db.query("DELETE FROM note").pipe(Db.transaction, Effect.provide(DbTest.rollback(database)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const rollback = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  options: RollbackOptions = {}
): Layer.Layer<A, E, R> =>
  watched(decorate(layer, {
    config: (config) => ({ ...config, pool: pool(config.pool) }),
    driver: (make) =>
      Effect.fnUntraced(function*(config: DbConfig.DbConfig) {
        const driver = yield* make(config)
        const connection = yield* Effect.acquireRelease(
          driver.open,
          (connection) => Effect.async<void>((resume) => connection.close(() => resume(Effect.void)))
        )
        return yield* sandbox(driver, connection, config.name, options)
      })
  }))

/**
 * A sandbox inside an open database, under the database's own tag: what a test of a suite with a shared layer provides
 * to itself. It borrows a connection, begins, and at its end rolls back and gives it back.
 *
 * @example
 * ```ts
 * import { layer } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * layer(DbTest.postgres())("notes", (it) => {
 *   it.effect("are gone after the test", () =>
 *     Db.query("CREATE TABLE note (body text)").pipe(Effect.provide(DbTest.sandboxOf(Db))))
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const sandboxOf = <Self>(
  tag: Context.Tag<Self, Db.Database>,
  options: RollbackOptions = {}
): Layer.Layer<Self, DbError, Self> =>
  Layer.scopedContext(Effect.gen(function*() {
    yield* load
    const outer = engineOf(yield* tag)
    const session = yield* reserveSession(outer)
    const { connection } = session
    const onLost = connection.onLost
    yield* Effect.addFinalizer(() => Effect.sync(() => void (connection.onLost = onLost)))
    const driver = yield* sandbox(outer.driver, connection, outer.name, options)
    const { database, services } = yield* make(
      { ...outer.config, pool: pool(outer.config.pool), connectOnStart: true },
      () => Effect.succeed(watchDriver(driver))
    )
    yield* attendEngine(engineOf(database))
    // The default database's client stands in the context beside its tag.
    return outer.name === "default"
      ? Context.mergeAll(Context.make(tag, database), Context.make(SqlClient.SqlClient, database.sql), services)
      : Context.make(tag, database)
  })).pipe(Layer.provide(Reactivity.layer))
