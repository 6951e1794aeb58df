/**
 * The three errors. Their parts are fields; `message` is rendered from them, and changes with them only (`withFields`).
 */
import * as Schema from "effect/Schema"
import { render, timeoutLabel } from "./message.js"
import { type Mentioned, withName } from "./parameter.js"
import {
  ConnectionReason,
  connectionReasons,
  Outcome,
  QueryReason,
  queryReasons,
  TimeoutPhase,
  timeoutPhases
} from "./reasons.js"

const common = {
  /** What happened, where, and what to do next, rendered from the other fields. */
  message: Schema.String,
  /** What happened and where, in the middle of a sentence. Never holds a parameter's value or a password. */
  what: Schema.String,
  /** What to do next: that of the reason, where nothing better is known. */
  advice: Schema.String,
  outcome: Outcome,
  /** The name of the database: `"default"`, or that of its tag. */
  database: Schema.String,
  /** SQLSTATE, the database's own number, or the socket's code, where there is one. */
  code: Schema.optional(Schema.String),
  /**
   * The statement before which the database committed a part of the transaction by itself, as MySQL does before DDL.
   */
  committedBy: Schema.optional(Schema.String),
  /** What the driver gave, untouched. */
  cause: Schema.optional(Schema.Defect)
}

/** What an error is made of: its fields but `message`, and `advice` where it is not that of the reason. */
type Given<Fields extends Schema.Struct.Fields> =
  & Omit<Schema.Struct.Constructor<Fields>, "message" | "advice">
  & { readonly advice?: string | undefined }

interface Common {
  readonly what: string
  readonly advice?: string | undefined
  readonly database: string
  readonly code?: string | undefined
  readonly committedBy?: string | undefined
}

/** With what is rendered, and without fields that are `undefined`: they would show in JSON and in the log. */
const complete = <Fields extends Common>(given: Fields, advice: string, label: string) => {
  const advised = { ...given, advice: given.advice ?? advice }
  const fields = { ...advised, message: render(advised, label) }
  // What is left out may be left out by its type.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as typeof fields
}

const connectionFields = {
  ...common,
  reason: ConnectionReason
}

/**
 * A connection could not be opened, was lost, or may not be used any more.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionError
  extends Schema.TaggedError<ConnectionError>("dblive/ConnectionError")("ConnectionError", connectionFields)
{
  constructor(fields: Given<typeof connectionFields>, options?: Schema.MakeOptions) {
    super(complete(fields, connectionReasons[fields.reason].advice, fields.reason), options)
  }

  /**
   * Whether the same attempt may succeed later.
   *
   * @since 0.1.0
   */
  get isTransient(): boolean {
    return connectionReasons[this.reason].isTransient
  }
}

const queryFields = {
  ...common,
  reason: QueryReason,
  constraint: Schema.optional(Schema.String),
  schema: Schema.optional(Schema.String),
  table: Schema.optional(Schema.String),
  column: Schema.optional(Schema.String),
  detail: Schema.optional(Schema.String),
  hint: Schema.optional(Schema.String),
  /** Where in `statement` the error lies: a character offset, from 1. */
  position: Schema.optional(Schema.Number),
  /** The statement's text with its placeholders, never with values. */
  statement: Schema.optional(Schema.String)
}

/**
 * The database, or the driver on its behalf, refused a statement.
 *
 * @since 0.1.0
 * @category errors
 */
export class QueryError extends Schema.TaggedError<QueryError>("dblive/QueryError")("QueryError", queryFields) {
  constructor(fields: Given<typeof queryFields>, options?: Schema.MakeOptions) {
    super(complete(fields, queryReasons[fields.reason].advice, fields.reason), options)
  }

  /**
   * Whether the whole transaction may succeed when it is run again.
   *
   * @since 0.1.0
   */
  get isTransient(): boolean {
    return queryReasons[this.reason].isTransient
  }
}

/**
 * The holder of a connection: named in the {@link TimeoutError} of a wait for one.
 *
 * @since 0.1.0
 * @category models
 */
export const Holder = Schema.Struct({
  /** The name of the span in which the connection was taken, where there was one. */
  span: Schema.optional(Schema.String),
  /** The fiber that took it, such as `#12`. */
  fiber: Schema.String,
  /** The number of the session; none outside of one. */
  session: Schema.optional(Schema.Number),
  /** How long it has been held, in milliseconds. */
  heldForMillis: Schema.Number,
  /** What the connection does now. */
  state: Schema.Literal("idle", "running", "idle in transaction"),
  /** The text of the last statement, without values. */
  statement: Schema.optional(Schema.String)
})

/**
 * The holder of a connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Holder = typeof Holder.Type

const timeoutFields = {
  ...common,
  phase: TimeoutPhase,
  /** The limit that ran out, in milliseconds; missing where it was none of dblive's, but one that the program or the server set. */
  limitMillis: Schema.optional(Schema.Number),
  /** For `Acquire`: the holders of the connections. */
  holders: Schema.optional(Schema.Array(Holder)),
  /** The statement's text with its placeholders, never with values. */
  statement: Schema.optional(Schema.String)
}

/**
 * A wait reached its limit. `phase` says which one. What was running on the server has been stopped, or is not waited for any
 * more where others share its connection.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimeoutError
  extends Schema.TaggedError<TimeoutError>("dblive/TimeoutError")("TimeoutError", timeoutFields)
{
  constructor(fields: Given<typeof timeoutFields>, options?: Schema.MakeOptions) {
    super(complete(fields, timeoutPhases[fields.phase].advice, timeoutLabel(fields.phase, fields.limitMillis)), options)
  }

  /**
   * The phase, under the name the other two errors use.
   *
   * @since 0.1.0
   */
  get reason(): TimeoutPhase {
    return this.phase
  }

  /**
   * Whether the same wait may succeed later.
   *
   * @since 0.1.0
   */
  get isTransient(): boolean {
    return timeoutPhases[this.phase].isTransient
  }
}

/**
 * Any failure of a database.
 *
 * @since 0.1.0
 * @category errors
 */
export type DbError = ConnectionError | QueryError | TimeoutError

/**
 * Any failure of a database, as a schema.
 *
 * @since 0.1.0
 * @category errors
 */
export const DbError = Schema.Union(ConnectionError, QueryError, TimeoutError)

/** The parameters of which errors speak. No fields: a program sees them in `what`. */
const parameters = new WeakMap<QueryError, Mentioned>()

/** The error, which speaks of a parameter. */
export const aboutParameter = (error: QueryError, parameter: Mentioned): QueryError => {
  parameters.set(error, parameter)
  return error
}

/** The same error with the name of the parameter of which it speaks, where it speaks of one that has a name. */
export const withParameterName = (error: QueryError, nameOf: (number: number) => string | undefined): QueryError => {
  const parameter = parameters.get(error)
  const name = parameter && nameOf(parameter.number)
  return name === undefined ? error : withFields(error, { what: withName(error.what, parameter!, name) })
}

/** The fields that a layer may know better than the one below it. */
type Known = "what" | "advice" | "outcome" | "cause" | "committedBy" | "limitMillis" | "statement"

/** The same error with other fields, and the text for them. Its stack stays that of the place where it was made. */
export const withFields = <E extends DbError>(error: E, fields: Partial<Pick<E, Extract<keyof E, Known>>>): E => {
  const changed = made(error, fields)
  if (error.stack !== undefined) {
    changed.stack = error.stack.replace(error.message, () => changed.message)
  }
  const parameter = error._tag === "QueryError" && fields.what === undefined ? parameters.get(error) : undefined
  if (parameter !== undefined) {
    // Of the same class.
    aboutParameter(changed as QueryError, parameter)
  }
  // Of the same class.
  return changed as E
}

// An error's own `cause` is not enumerable.
const made = (error: DbError, fields: Partial<Pick<DbError, "what">>): DbError => {
  switch (error._tag) {
    case "ConnectionError":
      return new ConnectionError({ ...error, cause: error.cause, ...fields })
    case "QueryError":
      return new QueryError({ ...error, cause: error.cause, ...fields })
    case "TimeoutError":
      return new TimeoutError({ ...error, cause: error.cause, ...fields })
  }
}
