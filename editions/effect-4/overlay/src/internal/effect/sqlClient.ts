/**
 * What differs between the Effects in what a `SqlClient` has and in what it fails with.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as SqlConnection from "effect/sql/SqlConnection"
import * as SqlErrors from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { DbError } from "../error/classes.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { SessionLevel } from "../session/Session.js"
import { afterCommit } from "./commit.js"
import { transactionConnection } from "./transactionConnection.js"

/** Reasons of Effect's by those of ours. What is not here has no counterpart. */
const reasons = {
  Deadlock: SqlErrors.DeadlockError,
  Serialization: SqlErrors.SerializationError,
  LockConflict: SqlErrors.LockTimeoutError,
  SqlSyntax: SqlErrors.SqlSyntaxError,
  UndefinedObject: SqlErrors.SqlSyntaxError,
  ForeignKeyViolation: SqlErrors.ConstraintError,
  NotNullViolation: SqlErrors.ConstraintError,
  CheckViolation: SqlErrors.ConstraintError,
  ExclusionViolation: SqlErrors.ConstraintError,
  Authentication: SqlErrors.AuthenticationError,
  Authorization: SqlErrors.AuthorizationError,
  Lock: SqlErrors.LockTimeoutError,
  Statement: SqlErrors.StatementTimeoutError
} as const

/** Effect calls a reason retryable by its class: none of these, where it is not known that nothing was applied. */
const reasonOf = (error: DbError): SqlErrors.SqlErrorReason => {
  const fields = { cause: error.cause ?? error, message: error.message }
  if (error._tag === "QueryError" && error.reason === "UniqueViolation") {
    return new SqlErrors.UniqueViolation({ ...fields, constraint: error.constraint ?? "unknown" })
  }
  const known: (typeof reasons)[keyof typeof reasons] | undefined = Object.hasOwn(reasons, error.reason)
    ? reasons[error.reason as keyof typeof reasons]
    : undefined
  const reason = known !== undefined
    ? new known(fields)
    : error._tag === "ConnectionError" && error.isTransient
    ? new SqlErrors.ConnectionError(fields)
    : new SqlErrors.UnknownError(fields)
  return reason.isRetryable && (error.outcome === "Unknown" || !error.isTransient)
    ? new SqlErrors.UnknownError(fields)
    : reason
}

/** An error as the `SqlError` of a plain client: `cause` is the raw error of the driver. */
export const makeSqlError = (error: DbError): SqlErrors.SqlError => new SqlErrors.SqlError({ reason: reasonOf(error) })

/** The raw error of the driver. */
export const causeOf = (error: SqlErrors.SqlError): unknown => error.reason.cause

/** What a client has beside its functions; `place` tells in which level a fiber is. */
export const marks = (place: (fiber: AnyFiber) => SessionLevel | undefined) => ({
  "~effect/sql/SqlClient": "~effect/sql/SqlClient",
  driver: "dblive",
  transactionService: transactionConnection,
  afterCommit: <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
    Effect.withFiber((fiber) => afterCommit(place(fiber), fiber.context, effect))
} as const)

/** The mark of a fragment, by which Effect knows one. */
export const fragmentKey = "~effect/sql/Statement/Fragment" as const

export const fragmentMark: typeof fragmentKey = fragmentKey

const helpers: ReadonlySet<unknown> = new Set<Statement.Helper["_tag"]>([
  "ArrayHelper",
  "RecordInsertHelper",
  "RecordUpdateHelper",
  "RecordUpdateHelperSingle",
  "Identifier",
  "Custom"
])

/** Whether a value is a helper, such as `sql.in(...)`: Effect, too, knows one by its tag. */
export const helperTest = (_base: Statement.Constructor) => (value: object): boolean =>
  "_tag" in value && helpers.has(value._tag)

/** The pieces of a template. Effect's own way takes those of a fragment as arguments, for which the stack may be too small. */
export const segmentsOf = (
  base: Statement.Constructor,
  strings: TemplateStringsArray,
  args: ReadonlyArray<unknown>
): ReadonlyArray<Statement.Segment> => {
  const isHelper = helperTest(base)
  const segments: Array<Statement.Segment> = strings[0] === "" ? [] : [Statement.literal(strings[0]!)]
  args.forEach((arg, i) => {
    if (Statement.isFragment(arg)) {
      for (const segment of arg.segments) segments.push(segment)
    } else if (typeof arg === "object" && arg !== null && isHelper(arg)) {
      // A helper is a segment.
      segments.push(arg as Statement.Helper)
    } else {
      segments.push(Statement.parameter(arg))
    }
    if (strings[i + 1] !== "") segments.push(Statement.literal(strings[i + 1]!))
  })
  return segments
}

/** A statement, which is an effect. */
export abstract class Runnable<A> extends Effectable.Class<ReadonlyArray<A>, SqlErrors.SqlError> {
  /** What it does as an effect. */
  abstract commit(): Effect.Effect<ReadonlyArray<A>, SqlErrors.SqlError>

  abstract get values(): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlErrors.SqlError>

  abstract override toJSON(): unknown

  asEffect(): Effect.Effect<ReadonlyArray<A>, SqlErrors.SqlError> {
    return this.commit()
  }

  get valuesUnprepared(): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlErrors.SqlError> {
    return this.values
  }
}

/** What a connection of ours runs. */
export type Execution = Omit<SqlConnection.Connection, "executeValuesUnprepared">

/** A connection with all that this Effect asks of one. */
export const asConnection = (execution: Execution): SqlConnection.Connection => ({
  ...execution,
  executeValuesUnprepared: execution.executeValues
})
