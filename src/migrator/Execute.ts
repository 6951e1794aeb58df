/**
 * Runs one migration and writes its history row: both in one transaction where the database can, else with a row that
 * says at every moment how far it has come.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import type { Dialect } from "@effect/sql/Statement"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { DbError } from "../DbError.js"
import { fromSqlError, isDbError, TimeoutError } from "../DbError.js"
import type { Change, History, NewRow } from "./History.js"
import type { Migration } from "./Migration.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError, MigrationReason } from "./MigrationError.js"
import type { ReadyStatement, Script, ServerPosition } from "./Script.js"
import * as Scripts from "./Script.js"
import { describeProgress } from "./State.js"

/**
 * What all migrations of a run share.
 *
 * @since 0.1.0
 * @category models
 */
export interface Frame {
  readonly database: string
  readonly dialect: Dialect
  readonly history: History
  /** Puts back what a migration changed of the session: the next one must not see it. */
  readonly restore: Effect.Effect<void, SqlError>
  /** 0: none. */
  readonly statementTimeout: Duration.Duration
  /** 0: none; `undefined`: not chosen, so that what runs without a transaction is not limited. */
  readonly lockTimeout: Duration.Duration | undefined
  /** Told after each statement of SQL: how many have run. */
  readonly onStatement: (count: number, line: number) => Effect.Effect<void>
}

/** The wait for a lock in a transaction when nothing was chosen: a DDL that waits makes everybody behind it wait. */
const defaultLockTimeout = Duration.seconds(10)

/**
 * A migration that was read and may run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ready {
  readonly migration: Migration
  /** `undefined` for an effect. */
  readonly script: Script | undefined
  /** Whether it and its row are one transaction. */
  readonly transactional: boolean
}

/** MySQL's DDL commits what stands before it: only files of these words can be one transaction there. */
const mysqlTransactional = new Set(["INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH", "SET", "VALUES"])

/**
 * Decides how a migration runs.
 *
 * @since 0.1.0
 * @category constructors
 */
export const prepare = (
  migration: Migration,
  context: Scripts.Context
): Effect.Effect<Ready, MigrationError> => {
  const { body } = migration
  return body._tag === "Effect"
    ? Effect.succeed({ migration, script: undefined, transactional: body.transaction && context.dialect !== "mysql" })
    : Effect.map(Scripts.read(migration, body, context), (script) => ({
      migration,
      script,
      transactional: script.directives.transaction &&
        (context.dialect !== "mysql" ||
          (script.known?.every(({ words }) => mysqlTransactional.has(words[0] ?? "")) ?? false))
    }))
}

const stringField = (u: unknown, key: string): string | undefined => {
  if (typeof u !== "object" || u === null || !(key in u)) {
    return undefined
  }
  // Checked with `in`: some field of an error of a driver.
  const value = (u as Record<string, unknown>)[key]
  return typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined
}

const reasonOf = (error: DbError): MigrationReason => {
  if (error._tag === "QueryError") {
    return error.reason === "Authorization" ? "Permission" : error.reason === "ReadOnly" ? "ReadOnly" : "Failed"
  }
  return error._tag === "ConnectionError" && error.reason === "ReadOnlyServer" ? "ReadOnly" : "Failed"
}

/** What the server said, in the parts of a {@link MigrationError}. */
const serverParts = (error: DbError): Partial<Errors.Parts> => ({
  reason: reasonOf(error),
  outcome: error.outcome,
  serverMessage: stringField(error.cause, "message") ?? error.message,
  code: (error._tag === "TimeoutError" || error._tag === "ConnectionError" ? error.code : error.code) ??
    stringField(error.cause, "code"),
  detail: (error._tag === "QueryError" ? error.detail : undefined) ?? stringField(error.cause, "detail"),
  hint: (error._tag === "QueryError" ? error.hint : undefined) ?? stringField(error.cause, "hint"),
  cause: error.cause ?? error
})

const positionOf = (error: DbError): ServerPosition => {
  const position = (error._tag === "QueryError" ? error.position : undefined) ??
    Number(stringField(error.cause, "position") ?? Number.NaN)
  const message = stringField(error.cause, "message") ?? ""
  const line = stringField(error.cause, "lineNumber") ?? / at line (\d+)$/.exec(message)?.[1]
  return {
    position: Number.isNaN(position) ? undefined : position,
    line: line === undefined ? undefined : Number(line),
    near: /^near "(.+)": syntax error$/s.exec(message)?.[1]
  }
}

const advise = (error: DbError, ready: Ready, undone: boolean): string | undefined => {
  const code = error._tag === "QueryError" ? error.code : undefined
  const message = stringField(error.cause, "message") ?? ""
  if (
    ready.transactional &&
    (code === "25001" || /cannot (VACUUM|change into wal mode) from within a transaction/i.test(message))
  ) {
    return "this statement cannot run in a transaction: put \"-- dblive: no-transaction\" at the beginning of a file that " +
      "holds only such statements, and run again"
  }
  // PostgreSQL's word for its own limits: lock_not_available, query_canceled.
  const isLock = error._tag === "TimeoutError" ? error.phase === "Lock" : code === "55P03"
  const isStatement = error._tag === "TimeoutError"
    ? error.phase === "Statement"
    : code === "57014" && /statement timeout/.test(message)
  if (isLock || isStatement) {
    return `${undone ? "nothing of this migration is left; " : ""}run again when there is less traffic, or raise the ` +
      `${isLock ? "lockTimeout" : "statementTimeout"} of migrations`
  }
  if (error._tag === "TimeoutError") {
    return `${
      undone ? "nothing of this migration is left; " : ""
    }raise the limit of the database's own configuration that ` +
      "ran out, for the layer that runs migrations"
  }
  if (!undone) {
    return "put right by hand what its statements left behind (an index that CREATE INDEX CONCURRENTLY could not finish is " +
      "invalid: drop it), correct the file, run repair, then run again"
  }
  return reasonOf(error) === "Failed"
    ? "nothing of this migration is left; correct the file and run again"
    : undefined
}

const failStatement = (
  frame: Frame,
  ready: Ready,
  statement: ReadyStatement,
  done: number
) =>
(error: DbError): Effect.Effect<never, MigrationError> =>
  Scripts.failAt(ready.migration, Scripts.locate(statement, positionOf(error)), {
    reason: "Failed",
    database: frame.database,
    problem: ready.transactional
      ? "the statement failed; the migration was rolled back"
      : `the statement failed; ${done} statement${done === 1 ? "" : "s"} before it stay${
        done === 1 ? "s" : ""
      } applied`,
    ...serverParts(error),
    // COMMIT was not sent: whatever became of the statement, nothing of it stays.
    ...(ready.transactional ? { outcome: "RolledBack" } as const : {}),
    advice: advise(error, ready, ready.transactional)
  })

/** An effect failed: with an error of its own, one of a database, or a defect. */
const failEffect = (frame: Frame, ready: Ready, cause: Cause.Cause<unknown>): MigrationError => {
  const failure = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
  const error = failure instanceof SqlError
    ? fromSqlError(failure, frame.database)
    : isDbError(failure)
    ? failure
    : undefined
  return Errors.make({
    reason: "Failed",
    database: frame.database,
    script: ready.migration.script,
    version: ready.migration.version,
    problem: ready.transactional
      ? "the effect failed; the migration was rolled back"
      : "the effect failed; what it did before stays applied",
    ...(error === undefined
      ? { serverMessage: failure instanceof Error ? failure.message : String(failure), cause: failure }
      : serverParts(error)),
    outcome: ready.transactional ? "RolledBack" : "Unknown",
    advice: error === undefined ? undefined : advise(error, ready, ready.transactional)
  })
}

type Failure = MigrationError | SqlError
type Needs = SqlClient.SqlClient

const runStatement = (
  frame: Frame,
  sql: SqlClient.SqlClient,
  statement: ReadyStatement
): Effect.Effect<void, DbError> => {
  const once = Effect.mapError(
    sql.unsafe(statement.replaced.text).unprepared,
    (error) => fromSqlError(error, frame.database)
  )
  const limit = Duration.toMillis(frame.statementTimeout)
  // PostgreSQL keeps the limit itself, and says which statement it stopped.
  const limited = limit === 0 || frame.dialect === "pg" ? once : Effect.timeoutFail(once, {
    duration: limit,
    onTimeout: () =>
      new TimeoutError({
        message: `database "${frame.database}": a statement of a migration ran longer than ${limit} ms and was stopped`,
        phase: "Statement",
        limitMillis: limit,
        outcome: "Unknown",
        database: frame.database
      })
  })
  return statement.times === 1 ? Effect.asVoid(limited) : Effect.repeatN(Effect.asVoid(limited), statement.times - 1)
}

/** Runs what the migration says. `onStatement` comes after each statement of SQL. */
const runBody = (
  frame: Frame,
  ready: Ready,
  onStatement: (count: number, line: number) => Effect.Effect<void, Failure>
): Effect.Effect<void, Failure, Needs> => {
  const { body } = ready.migration
  if (body._tag === "Effect") {
    return Effect.catchAllCause(Effect.asVoid(body.effect), (cause) =>
      // An interrupt is nobody's failure.
      Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.fail(failEffect(frame, ready, cause)))
  }
  return Effect.flatMap(SqlClient.SqlClient, (sql) => {
    let count = 0
    return Stream.runForEach(ready.script!.statements, (statement) =>
      runStatement(frame, sql, statement).pipe(
        Effect.catchAll(failStatement(frame, ready, statement, count)),
        Effect.zipRight(Effect.suspend(() => {
          count++
          return Effect.zipRight(onStatement(count, statement.line), frame.onStatement(count, statement.line))
        }))
      ))
  })
}

const ms = (duration: Duration.Duration) => Math.ceil(Duration.toMillis(duration))

/** What is sent before a migration, and after one that ran without a transaction. */
const limits = (
  frame: Frame,
  ready: Ready
): { readonly before: ReadonlyArray<string>; readonly after: ReadonlyArray<string> } => {
  const lock = frame.lockTimeout ?? (ready.transactional ? defaultLockTimeout : Duration.zero)
  switch (frame.dialect) {
    case "pg": {
      const scope = ready.transactional ? "SET LOCAL" : "SET"
      return {
        before: [`${scope} statement_timeout = ${ms(frame.statementTimeout)}`, `${scope} lock_timeout = ${ms(lock)}`],
        after: ready.transactional ? [] : ["RESET statement_timeout", "RESET lock_timeout"]
      }
    }
    case "mysql": {
      // In whole seconds, of which one is the least. DDL waits for metadata locks, everything else for rows.
      const seconds = Math.max(1, Math.ceil(Duration.toSeconds(lock)))
      const names = ["lock_wait_timeout", "innodb_lock_wait_timeout"]
      return Duration.toMillis(lock) === 0 ? { before: [], after: [] } : {
        before: names.map((name) => `SET SESSION ${name} = ${seconds}`),
        after: names.map((name) => `SET SESSION ${name} = DEFAULT`)
      }
    }
    case "mssql":
      return Duration.toMillis(lock) === 0
        ? { before: [], after: [] }
        : { before: [`SET LOCK_TIMEOUT ${ms(lock)}`], after: ["SET LOCK_TIMEOUT -1"] }
    case "sqlite":
    case "clickhouse":
      return { before: [], after: [] }
  }
}

const sendAll = (texts: ReadonlyArray<string>): Effect.Effect<void, SqlError, Needs> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.forEach(texts, (text) => sql.unsafe(text).unprepared, { discard: true })
  )

/**
 * What is written into the history when a migration has ended well.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  /** Writes the row; in the migration's transaction where there is one. */
  readonly write: (executionTime: number) => Effect.Effect<void, SqlError>
  /** Where the migration is not one transaction: the row before it runs, and its changes since. */
  readonly begin: (description: string) => Effect.Effect<void, SqlError>
  readonly change: (change: Change) => Effect.Effect<void, SqlError>
  readonly description: string
}

/**
 * The usual record: one row per migration.
 *
 * @since 0.1.0
 * @category constructors
 */
export const recordRow = (
  row: Omit<NewRow, "executionTime" | "success">,
  insert: (row: NewRow) => Effect.Effect<void, SqlError>,
  update: (change: Change) => Effect.Effect<void, SqlError>
): Entry => ({
  description: row.description,
  write: (executionTime) => insert({ ...row, executionTime, success: true }),
  begin: (description) => insert({ ...row, description, executionTime: 0, success: false }),
  change: update
})

const transactional = (frame: Frame, ready: Ready, record: Entry): Effect.Effect<number, Failure, Needs> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.gen(function*() {
      const began = yield* Clock.currentTimeMillis
      yield* sendAll(limits(frame, ready).before)
      yield* runBody(frame, ready, () => Effect.void)
      yield* frame.restore
      const millis = (yield* Clock.currentTimeMillis) - began
      yield* record.write(millis)
      return millis
    }).pipe(
      sql.withTransaction,
      Effect.tap((millis) =>
        frame.dialect === "mssql" ? Effect.as(Effect.ignore(sendAll(limits(frame, ready).after)), millis) : Effect.void
      )
    ))

const stepwise = (frame: Frame, ready: Ready, record: Entry): Effect.Effect<number, Failure, Needs> => {
  let count = 0
  const statements = () => `${count} statement${count === 1 ? "" : "s"} done`
  return Effect.gen(function*() {
    const began = yield* Clock.currentTimeMillis
    yield* record.begin(describeProgress(record.description, "running; nothing done yet"))
    const { after, before } = limits(frame, ready)
    yield* sendAll(before)
    yield* runBody(frame, ready, (done, line) => {
      count = done
      return record.change({
        description: describeProgress(record.description, `running; ${statements()}, last line ${line}`)
      })
    }).pipe(
      Effect.zipRight(frame.restore),
      Effect.tapError((error) =>
        Effect.ignore(record.change({
          description: describeProgress(
            record.description,
            `failed${
              error._tag === "MigrationError" && error.line !== undefined ? ` at line ${error.line}` : ""
            }; ${statements()}`
          )
        }))
      ),
      Effect.ensuring(Effect.ignore(sendAll(after)))
    )
    const millis = (yield* Clock.currentTimeMillis) - began
    yield* record.change({ description: record.description, executionTime: millis, success: true })
    return millis
  })
}

/**
 * Runs one migration. Gives the milliseconds it took.
 *
 * @since 0.1.0
 * @category combinators
 */
export const execute = (
  frame: Frame,
  ready: Ready,
  record: Entry
): Effect.Effect<number, MigrationError, Needs> =>
  (ready.transactional ? transactional : stepwise)(frame, ready, record).pipe(
    Effect.catchTag("SqlError", (cause) => {
      // Neither a statement nor the effect: BEGIN, COMMIT or the history row.
      const error = fromSqlError(cause, frame.database)
      return Effect.fail(Errors.make({
        database: frame.database,
        script: ready.migration.script,
        version: ready.migration.version,
        problem: error.outcome === "Unknown"
          ? "the migration ran, but whether it was committed is not known"
          : "the migration could not be begun, recorded or committed",
        ...serverParts(error),
        reason: reasonOf(error),
        advice: error.outcome === "Unknown" && ready.transactional
          ? "run again: what was committed does not run twice, for its row was committed with it (status shows it)"
          : advise(error, ready, ready.transactional)
      }))
    }),
    Effect.withSpan("db.migration", { attributes: { "db.migration.script": ready.migration.script } })
  )
