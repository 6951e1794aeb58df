/**
 * The typed errors of every driver, made in one place: their message has one form, and a field that is not known is left
 * out.
 *
 * `database "orders": 127.0.0.1:5432: connect ECONNREFUSED (Refused, ECONNREFUSED). Check that the server runs.`
 *
 * @since 0.1.0
 */
import type { ConnectionReason, Outcome, QueryReason, TimeoutPhase } from "../../DbError.js"
import {
  ConnectionError,
  connectionReasons,
  QueryError,
  queryReasons,
  TimeoutError,
  timeoutPhases
} from "../../DbError.js"

/**
 * What a driver knows of a failure, beside its kind.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parts {
  readonly database: string
  /** What happened, in the middle of a sentence, without a parameter's value. */
  readonly what: string
  readonly outcome: Outcome
  /** What to do; where it is left out, what the table of reasons says. */
  readonly advice?: string | undefined
  readonly code?: string | number | undefined
  readonly statement?: string | undefined
  readonly cause?: unknown
}

/**
 * What a database may say of a statement that it refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface Named {
  readonly constraint?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly position?: number | undefined
}

/** Without what is not known: `exactOptionalPropertyTypes` tells a field that is missing from one that is `undefined`. */
const known = <A extends object>(fields: A): { readonly [K in keyof A]: Exclude<A[K], undefined> } =>
  // What is left is just what its type says.
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never

const message = (parts: Parts, label: string, advice: string): string => {
  const code = parts.code === undefined ? "" : `, ${parts.code}`
  const what = parts.what.replace(/\.$/, "")
  return `database "${parts.database}": ${what} (${label}${code}). ${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`
}

const common = ({ cause, code, database, outcome }: Parts) =>
  known({ database, outcome, code: code?.toString(), cause })

/**
 * @since 0.1.0
 * @category constructors
 */
export const connectionError = (reason: ConnectionReason, parts: Parts): ConnectionError =>
  new ConnectionError({
    ...common(parts),
    message: message(parts, reason, parts.advice ?? connectionReasons[reason].advice),
    reason
  })

/** Clocks of two machines: what a server ends this much too early is still its limit. In milliseconds. */
const clockSlack = 25

/**
 * The limit that a server has kept, or `undefined` where it was another than ours: the program has set one itself, or the server
 * was faster than ours can be.
 *
 * @param limit ours, in milliseconds; 0: none
 * @param ranMillis how long the server had it
 * @param isForeign whether the program may have set another
 * @since 0.1.0
 * @category constructors
 */
export const keptLimit = (limit: number, ranMillis: number, isForeign: boolean): number | undefined =>
  isForeign || !(limit > 0) || ranMillis + clockSlack < limit ? undefined : limit

/**
 * `limitMillis`: `undefined` where the limit is not ours, so that its number is not known.
 *
 * @since 0.1.0
 * @category constructors
 */
export const timeoutError = (phase: TimeoutPhase, limitMillis: number | undefined, parts: Parts): TimeoutError => {
  const label = limitMillis === undefined ? `${phase} timeout` : `${phase} timeout of ${limitMillis} ms`
  return new TimeoutError({
    ...common(parts),
    ...known({ statement: parts.statement, limitMillis }),
    message: message(parts, label, parts.advice ?? timeoutPhases[phase].advice),
    phase
  })
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const queryError = (reason: QueryReason, parts: Parts & Named): QueryError =>
  new QueryError({
    ...common(parts),
    ...known({
      statement: parts.statement,
      constraint: parts.constraint,
      schema: parts.schema,
      table: parts.table,
      column: parts.column,
      detail: parts.detail,
      hint: parts.hint,
      position: parts.position
    }),
    message: message(parts, reason, parts.advice ?? queryReasons[reason].advice),
    reason
  })
