/**
 * What is said of a migration that failed: what the server said, where it is in the file, what is left of it, what to do.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { DbError, Outcome } from "../../DbError.js"
import { fromSqlError, isDbError } from "../../DbError.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError, MigrationReason } from "./MigrationError.js"
import type { ReadyMigration, RunContext } from "./RunContext.js"
import type { ReadyStatement, ServerPosition } from "./Script.js"
import * as Scripts from "./Script.js"

const stringField = (u: unknown, key: string): string | undefined => {
  if (typeof u !== "object" || u === null || !(key in u)) {
    return undefined
  }
  // Checked with `in`: some field of an error of a driver.
  const value = (u as Record<string, unknown>)[key]
  return typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined
}

export const reasonOf = (error: DbError): MigrationReason => {
  if (error._tag === "QueryError") {
    return error.reason === "Authorization" ? "Permission" : error.reason === "ReadOnly" ? "ReadOnly" : "Failed"
  }
  return error._tag === "ConnectionError" && error.reason === "ReadOnlyServer" ? "ReadOnly" : "Failed"
}

/** What the server said, in the parts of a {@link MigrationError}. */
export const serverParts = (error: DbError): Partial<Errors.Parts> => ({
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

export const advise = (error: DbError, ready: ReadyMigration, isUndone: boolean): string | undefined => {
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
  if (ready.transactional && /foreign_keys does nothing within a transaction/.test(error.message)) {
    return "run this migration without a transaction, and begin one within it where foreign keys are off: " +
      "{ effect: Effect.gen(function*() { yield* sql`PRAGMA foreign_keys = OFF`; yield* sql.withTransaction(...) }), " +
      "transaction: false }"
  }
  if (isUndone && /^table sqlite_(?:master|schema) may not be modified/.test(message)) {
    return `nothing of this migration is left; ${error.advice}`
  }
  const isLock = error._tag === "TimeoutError" ? error.phase === "Lock" : code === "55P03"
  const isStatement = error._tag === "TimeoutError"
    ? error.phase === "Statement"
    : code === "57014" && /statement timeout/.test(message)
  if (isLock || isStatement) {
    return `${
      isUndone ? "nothing of this migration is left; " : ""
    }run again when there is less traffic, or raise the ` +
      `${isLock ? "lockTimeout" : "statementTimeout"} of migrations`
  }
  if (error._tag === "TimeoutError") {
    return `${
      isUndone ? "nothing of this migration is left; " : ""
    }raise the limit of the database's own configuration that ` +
      "ran out, for the layer that runs migrations"
  }
  if (!isUndone) {
    return "put right by hand what its statements left behind (an index that CREATE INDEX CONCURRENTLY could not finish is " +
      "invalid: drop it), correct the file, run repair, then run again"
  }
  return reasonOf(error) === "Failed"
    ? "nothing of this migration is left; correct the file and run again"
    : undefined
}

/** Whether MySQL refused a statement because a transaction of XA is prepared on its connection: the error tells its state. */
export const saysPrepared = (error: DbError): boolean =>
  error._tag === "QueryError" && String(error.code) === "1399" &&
  /\bPREPARED\b/.test(stringField(error.cause, "message") ?? error.message)

const endPrepared =
  "a transaction of XA stays prepared, with its locks (XA RECOVER shows it): end it with XA COMMIT or XA ROLLBACK, put right by " +
  "hand what the other statements left behind, correct the file, run repair, then run again"

const endedEarly =
  "its transaction was ended by a statement of its own (a COMMIT in it, or in a procedure that it calls), so that what was done " +
  "before may be applied: look what is, undo that by hand, leave COMMIT and ROLLBACK to the migrator (or put " +
  "\"-- dblive: no-transaction\" at the beginning of the file), and run again"

/** Whether the transaction was ended by something else than the code that began it, and what it did may be applied. */
const isEndedEarly = (error: DbError): boolean =>
  error.outcome === "Unknown" &&
  (error.committedBy !== undefined || (error._tag === "QueryError" && error.reason === "TransactionAborted"))

/**
 * What became of a transaction in which a migration has failed, before ROLLBACK is sent. COMMIT was not sent: where the
 * transaction is still open, nothing of it stays, whatever became of the statement. One that a statement has ended refuses every
 * other statement with an error that has its outcome; one that was not begun yet takes it.
 */
const outcomeInside = (
  context: RunContext,
  error: DbError | undefined
): Effect.Effect<Outcome, never, SqlClient.SqlClient> => {
  if (error?._tag === "ConnectionError" && error.reason === "Lost") {
    return Effect.succeed(error.outcome)
  }
  return Effect.flatMap(context.access.status, (status) =>
    status !== "idle"
      ? Effect.succeed("RolledBack" as const)
      : Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.match(sql.unsafe("SELECT 1").unprepared, {
          onFailure: (refusal) => fromSqlError(refusal, context.database).outcome,
          onSuccess: () => "RolledBack" as const
        })))
}

/** What is said of a migration that failed in its transaction. */
const saidInside = (ready: ReadyMigration, outcome: Outcome, error: DbError | undefined) =>
  outcome === "Unknown"
    ? { problem: "whether the migration was rolled back is not known", outcome, advice: endedEarly }
    : {
      problem: "the migration was rolled back",
      outcome: "RolledBack" as const,
      advice: error === undefined ? undefined : advise(error, ready, true)
    }

export const failStatement = (
  context: RunContext,
  ready: ReadyMigration,
  statement: ReadyStatement,
  done: number
) =>
(error: DbError): Effect.Effect<never, MigrationError, SqlClient.SqlClient> => {
  const fail = (
    { advice, outcome, problem }: Pick<Errors.Parts, "advice" | "outcome"> & { readonly problem: string }
  ) =>
    Scripts.failAt(ready.migration, Scripts.locate(statement, positionOf(error)), {
      database: context.database,
      ...serverParts(error),
      reason: reasonOf(error),
      problem: `the statement failed; ${problem}`,
      ...(saysPrepared(error) ? { outcome: "Unknown", advice: endPrepared } : { outcome, advice })
    })
  return ready.transactional
    ? Effect.flatMap(outcomeInside(context, error), (outcome) => fail(saidInside(ready, outcome, error)))
    : fail({
      problem: `${done} statement${done === 1 ? "" : "s"} before it stay${done === 1 ? "s" : ""} applied`,
      outcome: done === 0 && statement.times === 1 ? error.outcome : "Unknown",
      advice: advise(error, ready, false)
    })
}

/** An effect failed: with an error of its own, one of a database, or a defect. */
export const failEffect = (
  context: RunContext,
  ready: ReadyMigration,
  cause: Cause.Cause<unknown>
): Effect.Effect<never, MigrationError, SqlClient.SqlClient> => {
  const failure = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
  const error = failure instanceof SqlError
    ? fromSqlError(failure, context.database)
    : isDbError(failure)
    ? failure
    : undefined
  const fail = (
    { advice, outcome, problem }: Pick<Errors.Parts, "advice" | "outcome"> & { readonly problem: string }
  ) =>
    Effect.fail(Errors.make({
      reason: "Failed",
      database: context.database,
      script: ready.migration.script,
      version: ready.migration.version,
      ...(error === undefined
        ? { serverMessage: failure instanceof Error ? failure.message : String(failure), cause: failure }
        : serverParts(error)),
      problem: `the effect failed; ${problem}`,
      outcome,
      advice
    }))
  return ready.transactional
    ? Effect.flatMap(outcomeInside(context, error), (outcome) => fail(saidInside(ready, outcome, error)))
    : fail({
      problem: "what it did before stays applied",
      outcome: "Unknown",
      advice: error === undefined ? undefined : advise(error, ready, false)
    })
}

/** BEGIN, COMMIT or the history row failed: neither a statement nor the effect. */
export const failAround = (context: RunContext, ready: ReadyMigration, cause: SqlError): MigrationError => {
  const error = fromSqlError(cause, context.database)
  const isEnded = ready.transactional && isEndedEarly(error)
  return Errors.make({
    database: context.database,
    script: ready.migration.script,
    version: ready.migration.version,
    problem: isEnded
      ? "the migration ran, and whether it was rolled back is not known; it is not recorded"
      : error.outcome === "Unknown"
      ? "the migration ran, but whether it was committed is not known"
      : "the migration could not be begun, recorded or committed",
    ...serverParts(error),
    reason: reasonOf(error),
    advice: isEnded
      ? endedEarly
      : error.outcome === "Unknown" && ready.transactional
      ? "run again: what was committed does not run twice, for its row was committed with it (status shows it)"
      : advise(error, ready, ready.transactional)
  })
}

/** Fails at the statement that began what is open, where that is known. */
const failFrom = (
  ready: ReadyMigration,
  opener: ReadyStatement | undefined,
  parts: Errors.Parts
): Effect.Effect<never, MigrationError> =>
  opener === undefined
    ? Effect.fail(Errors.make({ ...parts, script: ready.migration.script, version: ready.migration.version }))
    : Scripts.failAt(ready.migration, opener, parts)

/** A migration ended, and a transaction that it had begun did not. */
export const leftOpen = (
  context: RunContext,
  ready: ReadyMigration,
  opener: ReadyStatement | undefined,
  done: number
): Effect.Effect<never, MigrationError> => {
  // Where DDL commits what stands before it, a part of the transaction may be kept.
  const isWhole = ready.transactional || (opener !== undefined && done <= 2 && context.dialect !== "mysql")
  const parts = {
    reason: "Failed",
    database: context.database,
    problem:
      "the migration ended, and a transaction that it had begun was still open; what was done in it was rolled back",
    outcome: isWhole ? "RolledBack" : "Unknown",
    advice: ready.transactional
      ? "give each BEGIN TRANSACTION its COMMIT, and run again"
      : "end it with COMMIT, put right by hand what the statements before it left behind, run repair, then run again"
  } as const
  return failFrom(ready, opener, parts)
}

/** A migration ended, and left a transaction of XA prepared. */
export const leftPrepared = (
  context: RunContext,
  ready: ReadyMigration,
  opener: ReadyStatement | undefined
): Effect.Effect<never, MigrationError> =>
  failFrom(ready, opener, {
    reason: "Failed",
    database: context.database,
    problem: "the migration ended, and a transaction of XA that it had prepared was neither committed nor rolled back",
    outcome: "Unknown",
    advice: endPrepared
  })

/** Rows refer to rows that are not there, and did not before the migration. */
export const brokenKeys = (context: RunContext, ready: ReadyMigration, broken: ReadonlyArray<string>): MigrationError =>
  Errors.make({
    reason: "Failed",
    database: context.database,
    script: ready.migration.script,
    version: ready.migration.version,
    problem: `the migration switched foreign keys off and left rows without their parents (${broken.join("; ")}); ` +
      "it was rolled back",
    outcome: "RolledBack",
    advice: "delete or correct those rows in the migration; what needs foreign keys on (ON DELETE CASCADE) goes into " +
      "a migration of its own"
  })
