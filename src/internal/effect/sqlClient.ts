/**
 * What differs between the Effects in what a `SqlClient` has and in what it fails with.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import { identity } from "effect/Function"
import type { DbError } from "../error/classes.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { SessionLevel } from "../session/Session.js"

/** An error as the `SqlError` of a plain client: `cause` is the raw error of the driver. */
export const makeSqlError = (error: DbError): SqlError =>
  new SqlError({ cause: error.cause ?? error, message: error.message })

/** The raw error of the driver. */
export const causeOf = (error: SqlError): unknown => error.cause

/** What a client has beside its functions; `_place` tells in which level a fiber is. */
export const marks = (
  _place: (fiber: AnyFiber) => SessionLevel | undefined
): { readonly [SqlClient.TypeId]: SqlClient.TypeId } => ({
  [SqlClient.TypeId]: SqlClient.TypeId as SqlClient.TypeId
})

/** The mark of a fragment, by which `@effect/sql` knows one. */
export const fragmentKey: typeof Statement.FragmentId = Statement.FragmentId

export const fragmentMark = identity

/** Whether a value is a helper, such as `sql.in(...)`; `base` is any constructor of statements. */
export const helperTest = (base: Statement.Constructor): (value: object) => boolean => {
  // The classes of @effect/sql's helpers are not exported; a value is a helper when it is an instance of one of these.
  const classes: ReadonlyArray<unknown> = [
    base("x"),
    base.in([]),
    base.insert({}),
    base.update({}),
    base.updateValues([{}], "x")
  ].map((helper) => helper.constructor)
  return (value) => classes.includes(value.constructor)
}

/** The pieces of a template. */
export const segmentsOf = (
  base: Statement.Constructor,
  strings: TemplateStringsArray,
  args: ReadonlyArray<unknown>
): ReadonlyArray<Statement.Segment> => base(strings, ...args).segments

/** A statement, which is an effect. */
export abstract class Runnable<A> extends Effectable.Class<ReadonlyArray<A>, SqlError> {
  /** What it does as an effect. */
  abstract override commit(): Effect.Effect<ReadonlyArray<A>, SqlError>

  abstract toJSON(): unknown
}

/** What a connection has in this Effect. */
export type Execution = SqlConnection.Connection

/** A connection with all that this Effect asks of one. */
export const asConnection = (execution: Execution): SqlConnection.Connection => execution
