/**
 * The three errors of a database: {@link ConnectionError}, {@link QueryError} and {@link TimeoutError}. Each says
 * what failed (`reason` or `phase`), what is known about a write (`outcome`), and whether trying again may help
 * (`isTransient`). They are `Schema.TaggedError`s, so they cross logs and wires.
 *
 * Reason names are those of Effect 4's `SqlError` where it has one.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import { causeOf, makeSqlError } from "./internal/effect/sqlClient.js"
import * as Reason from "./internal/error/catchReason.js"
import { type DbError, QueryError } from "./internal/error/classes.js"

export {
  catchReason,
  catchReasonStream,
  type Caught,
  type ConnectionErrorOf,
  type ConnectionErrorWithout,
  is,
  type LabelIn,
  type Labelled,
  type QueryErrorOf,
  type QueryErrorWithout,
  type ReasonLabel,
  type TimeoutErrorOf,
  type TimeoutErrorWithout,
  type Uncaught
} from "./internal/error/catchReason.js"
export { ConnectionError, DbError, Holder, QueryError, TimeoutError } from "./internal/error/classes.js"
export {
  ConnectionReason,
  connectionReasons,
  Outcome,
  QueryReason,
  queryReasons,
  TimeoutPhase,
  timeoutPhases
} from "./internal/error/reasons.js"

/**
 * Whether a value is one of the three errors, also one that another copy of this package has made.
 *
 * @since 0.1.0
 * @category guards
 */
export const isDbError: (u: unknown) => u is DbError = Reason.isDbError

/**
 * Whether an error leaves the database as it was: nothing was applied, so running the same work again cannot apply it
 * twice.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isOutcomeKnown = (error: DbError): boolean => error.outcome !== "Unknown"

/**
 * Whether the whole unit of work may be run again: nothing was applied, and the reason is transient.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isRetryable = (error: DbError): boolean => error.isTransient && isOutcomeKnown(error)

/**
 * Wraps an error as the `SqlError` that code written for `@effect/sql` expects: `cause` is the raw error of the
 * driver. {@link fromSqlError} gives the typed error back.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSqlError = (error: DbError): SqlError => {
  const sqlError = makeSqlError(error)
  Reason.classifyAs(sqlError, error)
  return sqlError
}

/**
 * The typed error behind a `SqlError`. One that did not come from `dblive` becomes a `QueryError` with reason
 * `Unknown` and outcome `Unknown`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromSqlError = (error: SqlError, database: string): DbError =>
  Reason.classifiedIn(error) ?? new QueryError({
    what: error.message || "a SqlError without a message",
    reason: "Unknown",
    outcome: "Unknown",
    database,
    cause: causeOf(error)
  })
