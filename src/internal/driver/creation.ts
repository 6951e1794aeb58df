/**
 * Databases that are created when they are missing.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { DbConfig } from "../../DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../DbError.js"
import type { Connection, Driver } from "../../driver/Driver.js"
import { failure } from "./failure.js"

/** In milliseconds. Creating one copies a template: seconds on slow storage, and more when others create theirs. */
const createLimit = 30_000

/** Runs one statement on a connection of its own, outside any pool. */
export const runAlone = (open: Driver["open"], text: string): Effect.Effect<void, DbError> =>
  Effect.acquireUseRelease(
    Effect.interruptible(open),
    (connection) =>
      Effect.async<void, DbError>((resume) =>
        connection.execute({
          text,
          params: [],
          mode: "rows",
          prepare: false,
          begin: undefined,
          statementTimeout: undefined,
          lockTimeout: undefined,
          safeIntegers: false
        }, (error) => resume(error === undefined ? Effect.void : Effect.fail(error)))
      ),
    // Interrupted, the statement may still run: only the end of the link is sure to come in time.
    (connection, exit) => exit._tag === "Success" ? close(connection) : Effect.sync(() => connection.destroy())
  )

const close = (connection: Connection): Effect.Effect<void> =>
  Effect.async<void>((resume) => connection.close(() => resume(Effect.void)))

/** Settings that choose the way to the server and how to log in there. */
const ofLogin: ReadonlySet<string> = new Set([
  "options",
  "authentication",
  "clientId",
  "tenantId",
  "domain",
  "serverName"
])

/**
 * The configuration of a connection to the database that every server has, with what only concerns the missing one
 * left out: its settings but those of the login, its limits, and which of several servers may be read from.
 */
export const maintenance = (config: DbConfig, database: string | undefined): DbConfig => ({
  ...config,
  database,
  settings: Object.fromEntries(Object.entries(config.settings).filter(([name]) => ofLogin.has(name))),
  targetSessionAttrs: config.hosts.length > 1 ? "read-write" : "any",
  limits: { statementTimeout: 0, lockTimeout: 0, idleInTransactionTimeout: 0, transactionTimeout: 0 }
})

const failed = (config: DbConfig) => (error: DbError): ConnectionError | TimeoutError => {
  const about = {
    database: config.name,
    what: `the database ${JSON.stringify(config.database)} is missing and could not be created: ${error.what}`,
    advice: error.advice,
    code: error.code,
    cause: error
  }
  if (error._tag === "TimeoutError") {
    return failure({
      _tag: "TimeoutError",
      phase: "Connect",
      ...about,
      outcome: error.outcome,
      limitMillis: error.limitMillis
    })
  }
  return failure({
    _tag: "ConnectionError",
    ...about,
    reason: error._tag === "ConnectionError"
      ? error.reason
      : error.reason === "Authorization"
      ? "Authorization"
      : "UnknownDatabase",
    // Of the connection that was asked for. A database that was created after all does no harm.
    outcome: "NotSent"
  })
}

const isMissing = (error: ConnectionError | TimeoutError): boolean =>
  error._tag === "ConnectionError" && error.reason === "UnknownDatabase"

/** SQL Server says that a database exists while another session still makes it, and refuses logins until it is made. */
const untilThere = Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(50))

/**
 * A driver that creates its database when opening a connection shows that it is missing, where the configuration asks
 * for that. Opening then fails with why it could not be created: `ConnectionError`, or `TimeoutError` phase `Connect`.
 */
export const creating = (driver: Driver, config: DbConfig): Driver => {
  const { createDatabase, open } = driver
  if (!config.createDatabase || createDatabase === undefined) {
    return driver
  }
  const create = createDatabase.pipe(
    Effect.interruptible,
    Effect.timeoutFail({
      duration: createLimit,
      onTimeout: () =>
        failure({
          _tag: "TimeoutError",
          phase: "Connect",
          limitMillis: createLimit,
          what: "CREATE DATABASE did not end",
          advice: "look at what the server is doing, or create the database yourself",
          outcome: "Unknown",
          database: config.name
        })
    }),
    Effect.mapError(failed(config)),
    Effect.zipRight(Effect.logInfo("the database was missing and was created")),
    Effect.annotateLogs({ database: config.name })
  )
  return {
    ...driver,
    open: Effect.catchIf(
      open,
      isMissing,
      () => Effect.zipRight(create, Effect.retry(open, { while: isMissing, schedule: untilThere }))
    )
  }
}
