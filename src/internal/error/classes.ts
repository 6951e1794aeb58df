/**
 * The three errors.
 */
import * as Schema from "effect/Schema"
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
  /** What happened, where, and what to do next. Never holds a parameter's value or a password. */
  message: Schema.String,
  outcome: Outcome,
  /** The name of the database: `"default"`, or that of its tag. */
  database: Schema.String,
  /** What the driver gave, untouched. */
  cause: Schema.optional(Schema.Defect)
}

/**
 * A connection could not be opened, was lost, or may not be used any more.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionError extends Schema.TaggedError<ConnectionError>("dblive/ConnectionError")("ConnectionError", {
  ...common,
  reason: ConnectionReason,
  /** SQLSTATE, the database's own number, or the socket's code, where there is one. */
  code: Schema.optional(Schema.String)
}) {
  /**
   * Whether the same attempt may succeed later.
   *
   * @since 0.1.0
   */
  get isTransient(): boolean {
    return connectionReasons[this.reason].isTransient
  }
}

/**
 * The database, or the driver on its behalf, refused a statement.
 *
 * @since 0.1.0
 * @category errors
 */
export class QueryError extends Schema.TaggedError<QueryError>("dblive/QueryError")("QueryError", {
  ...common,
  reason: QueryReason,
  /** SQLSTATE, or the database's own number. */
  code: Schema.optional(Schema.String),
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
}) {
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
 * Who holds a connection: named in the {@link TimeoutError} of a wait for one.
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
 * Who holds a connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Holder = typeof Holder.Type

/**
 * A wait reached its limit. `phase` says which one; what was running on the server has been stopped.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimeoutError extends Schema.TaggedError<TimeoutError>("dblive/TimeoutError")("TimeoutError", {
  ...common,
  phase: TimeoutPhase,
  /** The limit that ran out, in milliseconds; missing where it was none of dblive's, but one that the program or the server set. */
  limitMillis: Schema.optional(Schema.Number),
  /** For `Acquire`: who holds the connections. */
  holders: Schema.optional(Schema.Array(Holder)),
  /** SQLSTATE, or the database's own number, where the server ended the wait. */
  code: Schema.optional(Schema.String),
  /** The statement's text with its placeholders, never with values. */
  statement: Schema.optional(Schema.String)
}) {
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
