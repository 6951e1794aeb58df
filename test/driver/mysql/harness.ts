/**
 * Drives the MySQL driver by hand, as the engine does: configurations, connections closed by the scope, requests as
 * Effects.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { DbConfig } from "../../../src/DbConfig.js"
import type { ConnectionError, DbError, QueryError, TimeoutError } from "../../../src/DbError.js"
import type { Connection, Cursor, Done, Driver, Request, ResetPolicy } from "../../../src/driver/Driver.js"
import { make } from "../../../src/driver/Mysql.js"
import { type Changes, dbConfig } from "../../kit/dbConfig.js"
import { freshMysqlDatabase, type MysqlDatabase } from "../../kit/mysql.js"

/** A configuration for a database. */
export const configFor = (database: MysqlDatabase, changes: Changes = {}): DbConfig =>
  dbConfig({
    type: "mariadb",
    host: database.host,
    port: database.port,
    database: database.name,
    username: database.user,
    password: database.password,
    ssl: "disable"
  }, changes)

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
  changes: Changes = {}
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  Effect.flatMap(freshMysqlDatabase, (database) => openWith(configFor(database, changes), database))

/** Another connection to the same database. */
export const another = (
  handle: Handle,
  changes: Changes = {}
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  openWith(configFor(handle.database, changes), handle.database)
