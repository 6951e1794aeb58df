/**
 * Where an operation finds itself: the migrations, the history as it stands, and the lock.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Dialect } from "@effect/sql/Statement"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DbError } from "../../DbError.js"
import { fromSqlError } from "../../DbError.js"
import * as Histories from "./History.js"
import type { Shape } from "./History.js"
import * as Lock from "./Lock.js"
import type { Migration } from "./Migration.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError } from "./MigrationError.js"
import * as Name from "./Name.js"
import type { Options } from "./Options.js"
import type { Access, RunContext } from "./RunContext.js"
import { compare } from "./State.js"
import type { Row, State } from "./State.js"

/** Where an operation finds itself. */
export interface Situation extends Omit<RunContext, "session"> {
  readonly table: string
  readonly migrations: ReadonlyArray<Migration>
}

/** All that can go wrong. */
export type Failure = MigrationError | DbError

const dialectOf = (sql: SqlClient.SqlClient): Dialect =>
  sql.onDialect<Dialect, Dialect, Dialect, Dialect, Dialect>({
    sqlite: () => "sqlite",
    pg: () => "pg",
    mysql: () => "mysql",
    mssql: () => "mssql",
    clickhouse: () => "clickhouse"
  })

const defaultTable = "schema_version"

/** Loads the migrations and finds the history's place. Reads nothing of the history. */
export const begin = Effect.fnUntraced(function*<R>(database: string, options: Options<R>, access: Access) {
  const sql = yield* SqlClient.SqlClient
  const dialect = dialectOf(sql)
  const table = options.table ?? defaultTable
  if (options.target !== undefined && !Name.isVersion(options.target)) {
    return yield* Effect.fail(Errors.make({
      reason: "Parse",
      database,
      problem: `the target "${options.target}" is not a version`,
      advice: "give numbers joined by dots, such as 3 or 1.2"
    }))
  }
  const migrations = yield* options.migrations.load({ database, placeholders: options.placeholders ?? {} })
  const place = yield* Effect.mapError(
    Histories.locate(sql, dialect, Histories.parse(table)),
    (error) => fromSqlError(error, database)
  )
  const situation: Situation = {
    database,
    dialect,
    table,
    migrations,
    history: Histories.make(sql, dialect, place),
    access,
    statementTimeout: Duration.decode(options.statementTimeout ?? 0),
    lockTimeout: options.lockTimeout === undefined ? undefined : Duration.decode(options.lockTimeout),
    onStatement: () => Effect.void
  }
  return situation
})

/** An error of the history table itself. */
export const historyError = (situation: Situation) => (cause: SqlError): Failure => {
  const error = fromSqlError(cause, situation.database)
  const reason = error._tag === "QueryError" && error.reason === "Authorization"
    ? "Permission"
    : (error._tag === "QueryError" && error.reason === "ReadOnly") ||
        (error._tag === "ConnectionError" && error.reason === "ReadOnlyServer")
    ? "ReadOnly"
    : undefined
  return reason === undefined ? error : Errors.make({
    reason,
    database: situation.database,
    problem: `the history table ${situation.table} cannot be read or written`,
    serverMessage: error.cause instanceof Error ? error.cause.message : error.message,
    code: error._tag === "QueryError" ? error.code : undefined,
    cause: error.cause
  })
}

/** The history as it stands, compared with the migrations. */
export interface Found {
  readonly shape: Shape
  readonly rows: ReadonlyArray<Row>
  readonly state: State
}

/** Looks at the history. Under the lock what it gives is final. */
export const look = <R>(
  situation: Situation,
  options: Options<R>
): Effect.Effect<Found, Failure, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const shape = yield* situation.history.shape
    if (shape.exists && shape.lacks.length > 0) {
      return yield* Effect.fail(Errors.make({
        reason: "History",
        database: situation.database,
        problem: `the table ${situation.table} is not a history of migrations: it has no column ${
          shape.lacks.join(", ")
        }`,
        advice: "name another table for the history (option table)"
      }))
    }
    if (!shape.exists && Histories.parse(situation.table).name !== Histories.flywayTable) {
      const sql = yield* SqlClient.SqlClient
      const flyway = yield* Histories.make(sql, situation.dialect, Histories.parse(Histories.flywayTable)).shape
      if (flyway.exists) {
        return yield* Effect.fail(Errors.make({
          reason: "History",
          database: situation.database,
          problem:
            `there is no table ${situation.table}, but Flyway's ${Histories.flywayTable}: its migrations would run again`,
          advice: `go on with Flyway's history: set the option table (--table) to ${Histories.flywayTable}`
        }))
      }
    }
    const rows = shape.exists ? yield* situation.history.rows : []
    return {
      shape,
      rows,
      state: compare(situation.migrations, rows, { target: options.target, outOfOrder: options.outOfOrder ?? false })
    }
  }).pipe(Effect.catchTag("SqlError", (error) => Effect.fail(historyError(situation)(error))))

/** Takes the lock until the scope closes, where one is asked for. */
export const locked = <R>(situation: Situation, options: Options<R>) =>
  options.lock === "none" ? Effect.void : Lock.acquire({
    database: situation.database,
    dialect: situation.dialect,
    quoted: situation.history.quoted,
    wait: Duration.decode(options.lockWait ?? "5 minutes"),
    onWait: (holder) =>
      Effect.zipRight(
        Effect.logInfo("waiting for another runner of migrations").pipe(
          Effect.annotateLogs({ database: situation.database, holder })
        ),
        options.onEvent?.({ _tag: "Waiting", holder }) ?? Effect.void
      )
  }).pipe(Effect.catchTag("SqlError", (error) => Effect.fail(historyError(situation)(error))))

/** Makes the history table where it is missing. */
export const created = (situation: Situation, shape: Shape): Effect.Effect<Shape, Failure> =>
  shape.exists
    ? Effect.succeed(shape)
    : Effect.mapError(Effect.zipRight(situation.history.create, situation.history.shape), historyError(situation))
