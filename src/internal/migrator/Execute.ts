/**
 * Runs one migration and writes its history row: both in one transaction where the database can, else with a row that
 * says at every moment how far it has come.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { DbError } from "../../DbError.js"
import { fromSqlError } from "../../DbError.js"
import { statementTimeout } from "../error/engine.js"
import { yieldInTime } from "../fiber/yieldToEventLoop.js"
import * as Failures from "./Failures.js"
import * as ForeignKeys from "./ForeignKeys.js"
import type { Change, NewRow } from "./History.js"
import type { Migration } from "./Migration.js"
import type { MigrationError } from "./MigrationError.js"
import type { ReadyMigration, RunContext } from "./RunContext.js"
import type { ReadyStatement } from "./Script.js"
import * as Scripts from "./Script.js"
import { describeProgress } from "./State.js"

/** The wait for a lock in a transaction, by default: a DDL that waits makes every statement behind it wait. */
const defaultLockTimeout = Duration.seconds(10)

/** Decides how a migration runs. */
export const prepare = (
  migration: Migration,
  context: Scripts.Context
): Effect.Effect<ReadyMigration, MigrationError> => {
  const { body } = migration
  return body._tag === "Effect"
    ? Effect.succeed({ migration, script: undefined, transactional: body.transaction && context.dialect !== "mysql" })
    : Effect.map(
      Scripts.read(migration, body, context),
      (script) => ({ migration, script, transactional: script.transactional })
    )
}

type Failure = MigrationError | SqlError
type Needs = SqlClient.SqlClient

const runStatement = (
  context: RunContext,
  sql: SqlClient.SqlClient,
  statement: ReadyStatement
): Effect.Effect<void, DbError> => {
  const once = Effect.mapError(
    sql.unsafe(statement.replaced.text).unprepared,
    (error) => fromSqlError(error, context.database)
  )
  const limit = Duration.toMillis(context.statementTimeout)
  // PostgreSQL keeps the limit itself, and says which statement it stopped.
  const limited = limit === 0 || context.dialect === "pg" ? once : Effect.timeoutFail(once, {
    duration: limit,
    onTimeout: () => statementTimeout(context.database, undefined, limit, "Unknown")
  })
  return statement.times === 1 ? Effect.asVoid(limited) : Effect.repeatN(Effect.asVoid(limited), statement.times - 1)
}

/** Runs what the migration says. `onStatement` comes after each statement of SQL. */
const runBody = (
  context: RunContext,
  ready: ReadyMigration,
  onStatement: (count: number, statement: ReadyStatement) => Effect.Effect<void, Failure, Needs>
): Effect.Effect<void, Failure, Needs> => {
  const { body } = ready.migration
  if (body._tag === "Effect") {
    return Effect.catchAllCause(Effect.asVoid(body.effect), (cause) =>
      // An interrupt is not a failure of the migration.
      Cause.isInterruptedOnly(cause) ? Effect.interrupt : Failures.failEffect(context, ready, cause))
  }
  return Effect.flatMap(SqlClient.SqlClient, (sql) => {
    let count = 0
    // SQLite's statements run in this process: a signal would wait for the end of all of them.
    const yieldNow = context.dialect === "sqlite" ? yieldInTime() : Effect.void
    return Stream.runForEach(
      ready.script!.statements,
      (statement) =>
        Effect.zipRight(yieldNow, runStatement(context, sql, statement)).pipe(
          Effect.catchAll(Failures.failStatement(context, ready, statement, count)),
          Effect.zipRight(Effect.suspend(() => {
            count++
            return Effect.zipRight(onStatement(count, statement), context.onStatement(count, statement.line))
          }))
        )
    )
  })
}

const ms = (duration: Duration.Duration) => Math.ceil(Duration.toMillis(duration))

/** What is sent before a migration. It goes back with the rest of the session. */
const limits = (context: RunContext, ready: ReadyMigration): ReadonlyArray<string> => {
  const lock = context.lockTimeout ?? (ready.transactional ? defaultLockTimeout : Duration.zero)
  switch (context.dialect) {
    case "pg": {
      const scope = ready.transactional ? "SET LOCAL" : "SET"
      return [`${scope} statement_timeout = ${ms(context.statementTimeout)}`, `${scope} lock_timeout = ${ms(lock)}`]
    }
    case "mysql": {
      // In whole seconds, of which one is the least. DDL waits for metadata locks, everything else for rows.
      const seconds = Math.max(1, Math.ceil(Duration.toSeconds(lock)))
      return Duration.toMillis(lock) === 0
        ? []
        : ["lock_wait_timeout", "innodb_lock_wait_timeout"].map((name) => `SET SESSION ${name} = ${seconds}`)
    }
    case "mssql":
      return Duration.toMillis(lock) === 0 ? [] : [`SET LOCK_TIMEOUT ${ms(lock)}`]
    case "sqlite":
    case "clickhouse":
      return []
  }
}

const sendAll = (texts: ReadonlyArray<string>): Effect.Effect<void, SqlError, Needs> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.forEach(texts, (text) => sql.unsafe(text).unprepared, { discard: true })
  )

/** What is written into the history when a migration has ended well. */
export interface Entry {
  /** Writes the row; in the migration's transaction where there is one. */
  readonly write: (executionTime: number) => Effect.Effect<void, SqlError>
  /** Where the migration is not one transaction: the row before it runs, and its changes since. */
  readonly begin: (description: string) => Effect.Effect<void, SqlError>
  readonly change: (change: Change) => Effect.Effect<void, SqlError>
  readonly description: string
}

/** The usual record: one row per migration. */
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

/**
 * How many transactions SQL Server counts: a COMMIT ends the innermost of its BEGINs only, and what a migration leaves
 * behind of them would take its row along when the connection ends.
 */
const counted = (context: RunContext): Effect.Effect<number, SqlError, Needs> =>
  context.dialect !== "mssql" ? Effect.succeed(0) : Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Effect.map(
        sql.unsafe<{ n: unknown }>("SELECT @@TRANCOUNT AS n").unprepared,
        ([row]) => Number(row?.n)
      )
  )

const transactional = (
  context: RunContext,
  ready: ReadyMigration,
  record: Entry
): Effect.Effect<number, Failure, Needs> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.gen(function*() {
      const began = yield* Clock.currentTimeMillis
      yield* Effect.forEach(
        ready.script?.before ?? [],
        (statement) =>
          Effect.catchAll(runStatement(context, sql, statement), Failures.failStatement(context, ready, statement, 0)),
        { discard: true }
      )
      const foreignKeys = yield* ForeignKeys.prepare(ready.script?.foreignKeys)
      const run = Effect.gen(function*() {
        yield* sendAll(limits(context, ready))
        const count = yield* counted(context)
        yield* runBody(context, ready, () => Effect.void)
        if ((yield* counted(context)) !== count) {
          return yield* Failures.leftOpen(context, ready, undefined, 0)
        }
        yield* Effect.flatMap(
          foreignKeys.broken,
          (broken) => broken.length === 0 ? Effect.void : Effect.fail(Failures.brokenKeys(context, ready, broken))
        )
        yield* context.session.beforeRow
        const millis = (yield* Clock.currentTimeMillis) - began
        yield* record.write(millis)
        return millis
      })
      return yield* sql.withTransaction(run)
    }))

/** Statements after which every other one begins a transaction that nothing ends. */
const beginsAlways = /\b(?:autocommit|implicit_transactions|ansi_defaults)\b/i

/** Ends what a migration left open. */
const rollback = (context: RunContext): Effect.Effect<void, SqlError, Needs> =>
  Effect.flatMap(context.access.status, (status) =>
    status === "idle"
      ? Effect.void
      : sendAll([context.dialect === "mssql" ? "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION" : "ROLLBACK"]))

/**
 * Whether what a migration left open is a transaction of XA that it has prepared: no ROLLBACK ends it, nor does the end of its
 * connection. What else is open is rolled back.
 */
const isPrepared = (context: RunContext): Effect.Effect<boolean, SqlError, Needs> =>
  context.dialect !== "mysql" ? Effect.succeed(false) : Effect.catchAll(
    Effect.as(sendAll(["ROLLBACK"]), false),
    (error) => Effect.succeed(Failures.saysPrepared(fromSqlError(error, context.database)))
  )

/** Writes how far a migration has come, where that is no part of a transaction of its own. */
const progress = (context: RunContext, record: Entry, change: Change, isAlways: boolean) =>
  Effect.flatMap(context.access.status, (status) => {
    if (status !== "idle" || (isAlways && context.dialect === "mssql")) {
      return Effect.void
    }
    const write = record.change(change)
    const apart = isAlways ? Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(write)) : write
    // Where tables are locked nothing can be written beside them; it is written after the next statement, or at the end.
    return Effect.catchAll(
      apart,
      (error) => fromSqlError(error, context.database)._tag === "QueryError" ? Effect.void : Effect.fail(error)
    )
  })

const stepwise = (context: RunContext, ready: ReadyMigration, record: Entry): Effect.Effect<number, Failure, Needs> => {
  let count = 0
  let isAlways = false
  /** The statement that began the transaction which is open. */
  let opener: ReadyStatement | undefined
  const statements = () => `${count} statement${count === 1 ? "" : "s"} done`
  const describe = (what: string) => ({ description: describeProgress(record.description, what) })
  return Effect.gen(function*() {
    const began = yield* Clock.currentTimeMillis
    const base = yield* context.access.status
    yield* record.begin(describeProgress(record.description, "running; nothing done yet"))
    yield* sendAll(limits(context, ready))
    const onStatement = (done: number, statement: ReadyStatement) =>
      Effect.flatMap(context.access.status, (status) => {
        count = done
        isAlways ||= beginsAlways.test(statement.replaced.text)
        opener = status === "idle" ? undefined : opener ?? statement
        return progress(context, record, describe(`running; ${statements()}, last line ${statement.line}`), isAlways)
      })
    yield* runBody(context, ready, onStatement).pipe(
      Effect.zipRight(
        Effect.suspend(() =>
          Effect.flatMap(context.access.status, (status) =>
            status === "idle" || base !== "idle"
              ? Effect.void
              : Effect.flatMap(isPrepared(context), (isPrepared) =>
                isPrepared
                  ? Failures.leftPrepared(context, ready, opener)
                  : Failures.leftOpen(context, ready, opener, count)))
        )
      ),
      Effect.tapError((error) =>
        Effect.ignore(
          (base === "idle" ? rollback(context) : Effect.void).pipe(
            Effect.zipRight(context.session.restore),
            Effect.zipRight(record.change(describe(
              `failed${
                error._tag === "MigrationError" && error.line !== undefined ? ` at line ${error.line}` : ""
              }; ${statements()}`
            )))
          )
        )
      )
    )
    // Before the row: a session in which nothing is committed by itself would not keep it.
    yield* context.session.restore
    const millis = (yield* Clock.currentTimeMillis) - began
    yield* record.change({ description: record.description, executionTime: millis, success: true })
    return millis
  })
}

/** What became of a migration that was applied. */
export interface Executed {
  readonly millis: number
  /** What it changed of its session and could not be put back. */
  readonly left: ReadonlyArray<string>
}

/** How long putting a session back may take when a migration did not end well. */
const restoreLimit = "5 seconds"

/** Runs one migration, and puts its session back whatever became of it. */
export const execute = (
  context: RunContext,
  ready: ReadyMigration,
  record: Entry
): Effect.Effect<Executed, MigrationError, Needs> =>
  Effect.gen(function*() {
    yield* context.access.watch(context.session.hear)
    const base = yield* context.access.status
    yield* context.session.expect(ready.script?.known?.map(({ replaced }) => replaced.text) ?? [])
    const millis = yield* (ready.transactional ? transactional : stepwise)(context, ready, record).pipe(
      Effect.onError(() =>
        (base === "idle" ? rollback(context) : Effect.void).pipe(
          Effect.zipRight(context.session.restore),
          Effect.interruptible,
          Effect.timeout(restoreLimit),
          Effect.ignore
        )
      )
    )
    // The row is committed: what goes wrong now does not undo it.
    const left = yield* Effect.catchAll(
      context.session.restore,
      (error) => Effect.succeed([fromSqlError(error, context.database).message])
    )
    return { millis, left }
  }).pipe(
    Effect.scoped,
    Effect.catchTag("SqlError", (cause) => Effect.fail(Failures.failAround(context, ready, cause))),
    Effect.withSpan("db.migration", { attributes: { "db.migration.script": ready.migration.script } })
  )
