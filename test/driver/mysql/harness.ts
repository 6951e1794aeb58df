/**
 * Drives the MySQL driver by hand, as the engine does: configurations, connections closed by the scope, requests as
 * Effects.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { DbConfig } from "../../../src/DbConfig.js"
import type { ConnectionError, DbError, QueryError, TimeoutError } from "../../../src/DbError.js"
import type { Connection, Cursor, Done, Driver, Request, ResetPolicy } from "../../../src/driver/Driver.js"
import { make } from "../../../src/driver/Mysql.js"
import { freshMysqlDatabase, type MysqlDatabase } from "../../kit/mysql.js"

/** A configuration for a database, as `DbConfig.resolve` would give it. */
export const configFor = (database: MysqlDatabase, changes: Partial<DbConfig> = {}): DbConfig => ({
  name: "default",
  environment: "test",
  type: "mariadb",
  filename: undefined,
  hosts: [{ host: database.host, port: database.port }],
  targetSessionAttrs: "any",
  channelBinding: "prefer",
  database: database.name,
  username: database.user,
  password: Redacted.make(database.password),
  ssl: { mode: "disable", ca: undefined, cert: undefined, key: undefined },
  access: "read-write",
  applicationName: "dblive",
  settings: {},
  prepareCacheSize: 256,
  workers: 0,
  transformQueryNames: undefined,
  transformResultNames: undefined,
  transformJson: false,
  spanAttributes: {},
  pool: {
    size: 1,
    overflow: 0,
    overflowIdle: 10_000,
    acquireTimeout: 10_000,
    connectTimeout: 5_000,
    validateAfter: 0,
    maxLifetime: 0,
    idleTimeout: 0,
    minIdle: 0,
    keepalive: 0,
    leakThreshold: 0,
    maxWaiters: 10_000,
    resetOnReturn: "rollback",
    closeTimeout: 1_000,
    shedding: undefined
  },
  limits: { statementTimeout: 0, lockTimeout: 0, idleInTransactionTimeout: 0, transactionTimeout: 0 },
  health: { slow: 500, longWait: 1000, recent: 30_000, timeout: 3000, cache: 1000 },
  log: { slowStatement: 0, audit: false },
  tracing: { comments: false },
  connectOnStart: true,
  ...changes
})

/** Turns a callback of the driver into an Effect. It is not interruptible: the driver's requests are not. */
export const call = <A>(run: (done: Done<A>) => void): Effect.Effect<A, DbError> =>
  Effect.uninterruptible(Effect.async<A, DbError>((resume) => {
    run((error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
  }))

/** A connection whose requests are Effects. */
export interface Handle {
  readonly connection: Connection
  readonly driver: Driver
  readonly database: MysqlDatabase
  readonly run: (
    text: string,
    params?: ReadonlyArray<unknown>,
    options?: Partial<Request>
  ) => Effect.Effect<ReadonlyArray<any>, DbError>
  /** Sends text that is not prepared. */
  readonly script: (text: string) => Effect.Effect<unknown, DbError>
  readonly cursor: (
    text: string,
    params?: ReadonlyArray<unknown>,
    options?: Partial<Request>
  ) => Effect.Effect<Cursor, DbError>
  readonly reset: (policy?: ResetPolicy) => Effect.Effect<void, DbError>
  readonly ping: Effect.Effect<void, DbError>
  readonly cancel: Effect.Effect<void, DbError>
}

export const request = (
  text: string,
  params: ReadonlyArray<unknown> = [],
  options: Partial<Request> = {}
): Request => ({
  text,
  params,
  mode: "rows",
  prepare: true,
  begin: undefined,
  statementTimeout: undefined,
  lockTimeout: undefined,
  safeIntegers: false,
  ...options
})

const handleOf = (driver: Driver, database: MysqlDatabase, connection: Connection): Handle => ({
  connection,
  driver,
  database,
  run: (text, params, options) =>
    // Rows, or what the mode asks for: the tests know.
    call<any>((done) => connection.execute(request(text, params, options), done)),
  script: (text) => call((done) => connection.execute(request(text, [], { prepare: false }), done)),
  cursor: (text, params, options) => call((done) => connection.openCursor(request(text, params, options), done)),
  reset: (policy = "rollback") => call((done) => connection.reset(policy, done)),
  ping: call((done) => connection.ping(done)),
  cancel: call((done) => connection.cancel(done))
})

/** Opens a connection of the driver; the scope closes it. */
export const openWith = (
  config: DbConfig,
  database: MysqlDatabase
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  Effect.flatMap(make(config), (driver) =>
    Effect.map(
      Effect.acquireRelease(driver.open, (connection) => Effect.ignore(call<void>((done) => connection.close(done)))),
      (connection) => handleOf(driver, database, connection)
    ))

/** The error with which no connection can be opened. */
export const openFails = (config: DbConfig, database: MysqlDatabase) =>
  // Not the handle itself: a test that fails would print all of it.
  Effect.scoped(Effect.flip(Effect.asVoid(openWith(config, database))))

/** A connection to a database of its own. */
export const open = (
  changes: Partial<DbConfig> = {}
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  Effect.flatMap(freshMysqlDatabase, (database) => openWith(configFor(database, changes), database))

/** Another connection to the same database. */
export const another = (
  handle: Handle,
  changes: Partial<DbConfig> = {}
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  openWith(configFor(handle.database, changes), handle.database)
