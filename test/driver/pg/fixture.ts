/**
 * The driver of PostgreSQL under test: connections to a database of the test's own, and its callbacks as effects.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as DbConfig from "../../../src/DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../../src/DbError.js"
import type { Connection, Cursor, Done, Driver, Request, ResetPolicy } from "../../../src/driver/Driver.js"
import * as Pg from "../../../src/driver/Pg.js"
import { dbConfig } from "../../kit/dbConfig.js"
import { freshDatabase } from "../../kit/postgres.js"

export const driverAt = (url: string, options: DbConfig.Options = {}): Effect.Effect<Driver, never, Scope.Scope> =>
  Effect.orDie(Effect.suspend(() => Pg.make(dbConfig({ url, ...options }))))

/** Opens a connection, destroyed by the scope. */
export const opened = (driver: Driver): Effect.Effect<Connection, ConnectionError | TimeoutError, Scope.Scope> =>
  Effect.acquireRelease(driver.open, (connection) => Effect.sync(() => connection.destroy()))

/** A connection to a fresh database. */
export const connected = (options: DbConfig.Options = {}): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { url } = yield* freshDatabase
    return yield* opened(yield* driverAt(url, options))
  }).pipe(Effect.orDie)

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

const asEffect = <A>(start: (done: Done<A>) => void): Effect.Effect<A, DbError> =>
  Effect.async((resume) =>
    start((error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
  )

/** Runs a statement; not stopped by an interrupt. */
export const execute = (
  connection: Connection,
  text: string,
  params: ReadonlyArray<unknown> = [],
  options: Partial<Request> = {}
): Effect.Effect<any, DbError> => asEffect((done) => connection.execute(request(text, params, options), done))

/** The first column of the first row. */
export const value = (
  connection: Connection,
  text: string,
  params: ReadonlyArray<unknown> = [],
  options: Partial<Request> = {}
): Effect.Effect<any, DbError> =>
  Effect.map(execute(connection, text, params, { ...options, mode: "values" }), (rows) => rows[0]?.[0])

export const ping = (connection: Connection) => asEffect<void>((done) => connection.ping(done))
export const reset = (connection: Connection, policy: ResetPolicy = "rollback") =>
  asEffect<void>((done) => connection.reset(policy, done))
export const cancel = (connection: Connection) => asEffect<void>((done) => connection.cancel(done))
export const close = (connection: Connection) => asEffect<void>((done) => connection.close(done))
export const openCursor = (
  connection: Connection,
  text: string,
  params: ReadonlyArray<unknown> = [],
  options: Partial<Request> = {}
) => asEffect<Cursor>((done) => connection.openCursor(request(text, params, options), done))
export const fetch = (cursor: Cursor, count: number) =>
  asEffect<{ readonly rows: ReadonlyArray<any>; readonly done: boolean }>((done) => cursor.fetch(count, done))
export const closeCursor = (cursor: Cursor) => asEffect<void>((done) => cursor.close(done))
