/**
 * Drives the SQL Server driver by hand, as the engine does: configurations, connections closed by the scope, requests as
 * Effects.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { DbConfig } from "../../../src/DbConfig.js"
import type { ConnectionError, DbError, QueryError, TimeoutError } from "../../../src/DbError.js"
import type { Connection, Cursor, Done, Driver, Request, ResetPolicy } from "../../../src/driver/Driver.js"
import { make } from "../../../src/driver/Mssql.js"
import { type Changes, dbConfig } from "../../kit/dbConfig.js"
import { freshMssqlDatabase, type MssqlDatabase, type StandIn, standIn } from "../../kit/mssql.js"

/** A configuration for a database. */
export const configFor = (database: MssqlDatabase, changes: Changes = {}): DbConfig =>
  dbConfig({
    type: "mssql",
    host: database.host,
    port: database.port,
    database: database.name,
    username: database.user,
    password: database.password,
    ssl: database.caCert === undefined ? "require" : "verify-full",
    sslRootCert: database.caCert
  }, changes)

/** Turns a callback of the driver into an Effect. It is not interruptible: the driver's requests are not. */
export const call = <A>(run: (done: Done<A>) => void): Effect.Effect<A, DbError> =>
  Effect.uninterruptible(Effect.async<A, DbError>((resume) => {
    run((error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
  }))

/** A connection whose requests are Effects. */
export interface Handle<out D extends MssqlDatabase = MssqlDatabase> {
  readonly connection: Connection
  readonly driver: Driver
  readonly database: D
  readonly run: (
    text: string,
    params?: ReadonlyArray<unknown>,
    options?: Partial<Request>
  ) => Effect.Effect<ReadonlyArray<any>, DbError>
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

const handleOf = <D extends MssqlDatabase>(driver: Driver, database: D, connection: Connection): Handle<D> => ({
  connection,
  driver,
  database,
  run: (text, params, options) =>
    // Rows, or what the mode asks for: the tests know.
    call<any>((done) => connection.execute(request(text, params, options), done)),
  cursor: (text, params, options) => call((done) => connection.openCursor(request(text, params, options), done)),
  reset: (policy = "rollback") => call((done) => connection.reset(policy, done)),
  ping: call((done) => connection.ping(done)),
  cancel: call((done) => connection.cancel(done))
})

/** Opens a connection of the driver; the scope closes it. */
export const openWith = <D extends MssqlDatabase>(
  config: DbConfig,
  database: D
): Effect.Effect<Handle<D>, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  Effect.flatMap(make(config), (driver) =>
    Effect.map(
      // Interruptible, as the engine has it: its own limits end it by an interrupt.
      Effect.acquireRelease(Effect.interruptible(driver.open), (connection) =>
        Effect.ignore(call<void>((done) => connection.close(done)))),
      (connection) =>
        handleOf(driver, database, connection)
    ))

/** A connection to a database of its own, on whichever server there is. */
export const open = (
  changes: Changes = {}
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  Effect.flatMap(freshMssqlDatabase, (database) => openWith(configFor(database, changes), database))

/** A connection to a stand-in of its own, which can be told what to do and looked into. */
export const openStandIn = (
  changes: Changes = {}
): Effect.Effect<Handle<StandIn>, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  Effect.flatMap(standIn(), (database) => openWith(configFor(database, changes), database))

/** Another connection to the same database. */
export const another = (
  handle: Handle,
  changes: Changes = {}
): Effect.Effect<Handle, ConnectionError | QueryError | TimeoutError, Scope.Scope> =>
  openWith(configFor(handle.database, changes), handle.database)
