/**
 * Errors by their reason: the type of an error with one reason, a guard for it, and how it is caught.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { catchSome } from "../effect/stream.js"
import type { ConnectionError, DbError, QueryError, TimeoutError } from "./classes.js"
import type { ConnectionReason, QueryReason, TimeoutPhase } from "./reasons.js"

/**
 * A `ConnectionError` with one of these reasons.
 *
 * @since 0.2.0
 * @category errors
 */
export interface ConnectionErrorOf<out R extends ConnectionReason> extends ConnectionError {
  /** One of these. */
  readonly reason: R
}

/**
 * A `ConnectionError` with any reason but these.
 *
 * @since 0.2.0
 * @category errors
 */
export interface ConnectionErrorWithout<R extends ConnectionReason> extends ConnectionError {
  /** None of these. */
  readonly reason: Exclude<ConnectionReason, R>
}

/**
 * A `QueryError` with one of these reasons.
 *
 * @since 0.2.0
 * @category errors
 */
export interface QueryErrorOf<out R extends QueryReason> extends QueryError {
  /** One of these. */
  readonly reason: R
}

/**
 * A `QueryError` with any reason but these.
 *
 * @since 0.2.0
 * @category errors
 */
export interface QueryErrorWithout<R extends QueryReason> extends QueryError {
  /** None of these. */
  readonly reason: Exclude<QueryReason, R>
}

/**
 * A `TimeoutError` with one of these phases.
 *
 * @since 0.2.0
 * @category errors
 */
export interface TimeoutErrorOf<out P extends TimeoutPhase> extends TimeoutError {
  /** One of these. */
  readonly phase: P
  /** The phase, under the name the other two errors use. */
  readonly reason: P
}

/**
 * A `TimeoutError` with any phase but these.
 *
 * @since 0.2.0
 * @category errors
 */
export interface TimeoutErrorWithout<P extends TimeoutPhase> extends TimeoutError {
  /** None of these. */
  readonly phase: Exclude<TimeoutPhase, P>
  /** The phase, under the name the other two errors use. */
  readonly reason: Exclude<TimeoutPhase, P>
}

/** Reasons that stand for two errors: `Authorization` and `Unknown`. */
type Shared =
  | Extract<ConnectionReason, QueryReason>
  | Extract<ConnectionReason, TimeoutPhase>
  | Extract<QueryReason, TimeoutPhase>

type LabelsOf<Tag extends DbError["_tag"], R extends string> = `${Tag}.${R}` | Exclude<R, Shared>

/**
 * A reason as `is` and `catchReason` take it: by its name, `"UniqueViolation"`, or with its error's, `"QueryError.UniqueViolation"`, as
 * metrics and spans have it. `Authorization` and `Unknown` are reasons of two errors, so only the longer form names one. The
 * phases of a `TimeoutError` count as its reasons: `"Lock"`, `"TimeoutError.Lock"`.
 *
 * @since 0.2.0
 * @category errors
 */
export type ReasonLabel =
  | LabelsOf<"ConnectionError", ConnectionReason>
  | LabelsOf<"QueryError", QueryReason>
  | LabelsOf<"TimeoutError", TimeoutPhase>

/** The reasons of one error among labels. */
type ReasonsIn<Tag extends DbError["_tag"], Label, All extends string> = Label extends `${Tag}.${infer R extends All}` ?
  R
  : Extract<Label, Exclude<All, Shared>>

/**
 * The labels of the reasons that an error channel can hold. Any can stand behind a `SqlError`.
 *
 * @since 0.2.0
 * @category errors
 */
export type LabelIn<E> = E extends ConnectionError ? LabelsOf<"ConnectionError", E["reason"]>
  : E extends QueryError ? LabelsOf<"QueryError", E["reason"]>
  : E extends TimeoutError ? LabelsOf<"TimeoutError", E["phase"]>
  : E extends SqlError ? ReasonLabel
  : never

type OfConnection<R extends ConnectionReason> = [R] extends [never] ? never : ConnectionErrorOf<R>
type OfQuery<R extends QueryReason> = [R] extends [never] ? never : QueryErrorOf<R>
type OfTimeout<P extends TimeoutPhase> = [P] extends [never] ? never : TimeoutErrorOf<P>

/**
 * The errors that labels stand for.
 *
 * @since 0.2.0
 * @category errors
 */
export type Labelled<Label extends ReasonLabel> =
  | OfConnection<ReasonsIn<"ConnectionError", Label, ConnectionReason>>
  | OfQuery<ReasonsIn<"QueryError", Label, QueryReason>>
  | OfTimeout<ReasonsIn<"TimeoutError", Label, TimeoutPhase>>

/**
 * What is caught from an error channel by labels.
 *
 * @since 0.2.0
 * @category errors
 */
export type Caught<E, Label> = E extends ConnectionError
  ? OfConnection<Extract<E["reason"], ReasonsIn<"ConnectionError", Label, ConnectionReason>>>
  : E extends QueryError ? OfQuery<Extract<E["reason"], ReasonsIn<"QueryError", Label, QueryReason>>>
  : E extends TimeoutError ? OfTimeout<Extract<E["phase"], ReasonsIn<"TimeoutError", Label, TimeoutPhase>>>
  : E extends SqlError ? Labelled<Extract<Label, ReasonLabel>>
  : never

/** An error whose reason is one of `Left`, in the form that reads best: as it was, without what is missing, or not at all. */
type LeftOfConnection<E extends ConnectionError, Left extends ConnectionReason> = [Left] extends [never] ? never
  : [E["reason"]] extends [Left] ? E
  : ConnectionErrorWithout<Exclude<ConnectionReason, Left>>
type LeftOfQuery<E extends QueryError, Left extends QueryReason> = [Left] extends [never] ? never
  : [E["reason"]] extends [Left] ? E
  : QueryErrorWithout<Exclude<QueryReason, Left>>
type LeftOfTimeout<E extends TimeoutError, Left extends TimeoutPhase> = [Left] extends [never] ? never
  : [E["phase"]] extends [Left] ? E
  : TimeoutErrorWithout<Exclude<TimeoutPhase, Left>>

/**
 * What is left in an error channel when the errors of these labels are caught: each error without these reasons. A `SqlError`
 * stays, for its type does not tell its reason.
 *
 * @since 0.2.0
 * @category errors
 */
export type Uncaught<E, Label> = E extends ConnectionError
  ? LeftOfConnection<E, Exclude<E["reason"], ReasonsIn<"ConnectionError", Label, ConnectionReason>>>
  : E extends QueryError ? LeftOfQuery<E, Exclude<E["reason"], ReasonsIn<"QueryError", Label, QueryReason>>>
  : E extends TimeoutError ? LeftOfTimeout<E, Exclude<E["phase"], ReasonsIn<"TimeoutError", Label, TimeoutPhase>>>
  : E

const isString = (u: unknown): u is string => typeof u === "string"

/** Whether a value is one of the three errors, also one that another copy of this package has made. */
export const isDbError = (u: unknown): u is DbError =>
  typeof u === "object" && u !== null && "_tag" in u && "outcome" in u && isString(u.outcome) && "database" in u &&
  isString(u.database) && "reason" in u && isString(u.reason) &&
  (u._tag === "ConnectionError" || u._tag === "QueryError" || u._tag === "TimeoutError")

/** The classified error travels inside the `SqlError` that `@effect/sql` code expects, under this symbol. */
const ClassifiedId: unique symbol = Symbol.for("dblive/DbError/Classified")

/** Puts the classified error into a `SqlError`. */
export const classifyAs = (sqlError: SqlError, error: DbError): void => {
  // Not enumerable: it must not show twice in logs, nor change the equality of the error.
  Object.defineProperty(sqlError, ClassifiedId, { value: error, enumerable: false })
}

/** The classified error in a `SqlError`; `undefined` in one that did not come from here. */
export const classifiedIn = (error: unknown): DbError | undefined =>
  typeof error === "object" && error !== null
    // Set by `classifyAs` alone.
    ? (error as { readonly [ClassifiedId]?: DbError })[ClassifiedId]
    : undefined

/** Names that stand for one error are told apart by the types: a short label cannot be a shared one. */
const isLabelled = (error: DbError, labels: ReadonlyArray<string>): boolean =>
  labels.includes(error.reason) || labels.includes(`${error._tag}.${error.reason}`)

/**
 * Whether a value is an error with one of these reasons. A guard whose type says no more than it has looked at: what
 * `Effect.catchIf(DbError.is("UniqueViolation"), ...)` does not catch stays in the error channel.
 *
 * A `SqlError` is none of the three, whatever stands behind it.
 *
 * @example
 * ```ts
 * import { DbError } from "dblive"
 *
 * const isTaken = DbError.is("UniqueViolation", "ExclusionViolation")
 * const isForbidden = DbError.is("QueryError.Authorization")
 * ```
 *
 * @param labels the reasons, each by its name or as `error.reason` with the error's tag before it
 * @since 0.2.0
 * @category guards
 */
export const is =
  <const Labels extends Arr.NonEmptyReadonlyArray<ReasonLabel>>(...labels: Labels) =>
  (u: unknown): u is Labelled<Labels[number]> => isDbError(u) && isLabelled(u, labels)

/** What is to be handed to the handler of these labels, if anything is. */
const found = (error: unknown, labels: ReadonlyArray<string>): DbError | undefined => {
  const known = isDbError(error) ? error : classifiedIn(error)
  return known !== undefined && isLabelled(known, labels) ? known : undefined
}

/** `(...labels, f)`, as the types have checked it. */
const split = <F>(args: ReadonlyArray<unknown>): readonly [labels: ReadonlyArray<string>, f: F] => [
  args.slice(0, -1) as ReadonlyArray<string>,
  args[args.length - 1] as F
]

/**
 * Catches the errors of one or several reasons. The error channel loses just these: a `QueryError` becomes a
 * `QueryErrorWithout<"UniqueViolation">`, which is still a `QueryError` for `Effect.catchTag` and for a type that is written down,
 * and nothing when its last reason is caught. A reason that the channel cannot hold does not compile.
 *
 * Inside a session's body, where statements fail with `SqlError`, it looks behind that: the handler gets the typed error, and the
 * `SqlError` stays in the channel for the reasons that are left. (On PostgreSQL the transaction around a failed statement is
 * aborted: what is to be caught inside belongs into a nested one.)
 *
 * For streams there is `catchReasonStream`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db, DbError } from "dblive"
 *
 * const add = (name: string) => Db.query("INSERT INTO tag (name) VALUES (:name)", { name })
 *
 * // Effect<boolean, ConnectionError | TimeoutError | QueryErrorWithout<"UniqueViolation">, Db>
 * const isNew = (name: string) =>
 *   add(name).pipe(
 *     Effect.as(true),
 *     DbError.catchReason("UniqueViolation", () => Effect.succeed(false))
 *   )
 *
 * const often = DbError.catchReason(add("a"), "Lock", "Overloaded", "QueryError.Unknown", (error) => Effect.logWarning(error))
 * ```
 *
 * @param args the reasons, each by its name or with its error's tag before it, and last what to do instead
 * @since 0.2.0
 * @category error handling
 */
export const catchReason: {
  <E, const Labels extends Arr.NonEmptyReadonlyArray<LabelIn<E>>, A2, E2, R2>(
    ...args: [...labels: Labels, f: (error: NoInfer<Caught<E, Labels[number]>>) => Effect.Effect<A2, E2, R2>]
  ): <A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A | A2, Uncaught<E, Labels[number]> | E2, R | R2>
  <A, E, R, const Labels extends Arr.NonEmptyReadonlyArray<LabelIn<E>>, A2, E2, R2>(
    self: Effect.Effect<A, E, R>,
    ...args: [...labels: Labels, f: (error: NoInfer<Caught<E, Labels[number]>>) => Effect.Effect<A2, E2, R2>]
  ): Effect.Effect<A | A2, Uncaught<E, Labels[number]> | E2, R | R2>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    ...args: ReadonlyArray<unknown>
  ): Effect.Effect<unknown, unknown, unknown> => {
    const [labels, f] = split<(error: DbError) => Effect.Effect<unknown, unknown, unknown>>(args)
    return Effect.catchIf(
      self,
      (error) => found(error, labels) !== undefined,
      // The condition has found it.
      (error) => f(found(error, labels)!)
    )
  }
)

/**
 * `catchReason` for a `Stream`: switches over to another when it fails for one of these reasons. What it gave before it failed
 * was given.
 *
 * @example
 * ```ts
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Stream } from "effect"
 * import { DbError } from "dblive"
 *
 * const lines = Stream.unwrap(Effect.map(SqlClient.SqlClient, (sql) => sql`SELECT * FROM log`.stream)).pipe(
 *   DbError.catchReasonStream("UndefinedObject", () => Stream.empty)
 * )
 * ```
 *
 * @param args the reasons, each by its name or with its error's tag before it, and last what to go on with
 * @since 0.2.0
 * @category error handling
 */
export const catchReasonStream: {
  <E, const Labels extends Arr.NonEmptyReadonlyArray<LabelIn<E>>, A2, E2, R2>(
    ...args: [...labels: Labels, f: (error: NoInfer<Caught<E, Labels[number]>>) => Stream.Stream<A2, E2, R2>]
  ): <A, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A | A2, Uncaught<E, Labels[number]> | E2, R | R2>
  <A, E, R, const Labels extends Arr.NonEmptyReadonlyArray<LabelIn<E>>, A2, E2, R2>(
    self: Stream.Stream<A, E, R>,
    ...args: [...labels: Labels, f: (error: NoInfer<Caught<E, Labels[number]>>) => Stream.Stream<A2, E2, R2>]
  ): Stream.Stream<A | A2, Uncaught<E, Labels[number]> | E2, R | R2>
} = dual(
  (args) => !isString(args[0]),
  <A, E, R>(
    self: Stream.Stream<A, E, R>,
    ...args: ReadonlyArray<unknown>
  ): Stream.Stream<unknown, unknown, unknown> => {
    const [labels, f] = split<(error: DbError) => Stream.Stream<unknown, unknown, unknown>>(args)
    return catchSome(self, (error) => Option.map(Option.fromNullable(found(error, labels)), f))
  }
)
