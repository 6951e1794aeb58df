/**
 * The typed errors of every driver are made here.
 */
import type { ConnectionReason, DbError, Outcome, QueryReason, TimeoutPhase } from "../../DbError.js"
import { ConnectionError, QueryError, TimeoutError } from "../../DbError.js"
import { aboutParameter } from "../error/classes.js"
import type { Mentioned } from "../error/parameter.js"

/** What a driver knows of a failure, beside its kind. */
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

/** What a database may say of a statement that it refused. */
export interface Named {
  readonly constraint?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly position?: number | undefined
}

interface ConnectionVerdict {
  readonly _tag: "ConnectionError"
  readonly reason: ConnectionReason
}

interface QueryVerdict extends Named {
  readonly _tag: "QueryError"
  readonly reason: QueryReason
  /** The parameter of which `what` speaks. */
  readonly parameter?: Mentioned | undefined
}

interface TimeoutVerdict {
  readonly _tag: "TimeoutError"
  readonly phase: TimeoutPhase
  /** `undefined` where the limit is not ours, so that its number is not known. */
  readonly limitMillis: number | undefined
}

/** What a failure is, by the driver's table. */
export type Verdict = ConnectionVerdict | QueryVerdict | TimeoutVerdict

/** The typed error of a verdict. */
export function failure(fields: Parts & ConnectionVerdict): ConnectionError
export function failure(fields: Parts & QueryVerdict): QueryError
export function failure(fields: Parts & TimeoutVerdict): TimeoutError
export function failure(fields: Parts & Verdict): DbError
export function failure(fields: Parts & Verdict): DbError {
  const code = fields.code?.toString()
  switch (fields._tag) {
    case "ConnectionError":
      return new ConnectionError({ ...fields, code })
    case "QueryError": {
      const { parameter, ...given } = fields
      const error = new QueryError({ ...given, code })
      return parameter === undefined ? error : aboutParameter(error, parameter)
    }
    case "TimeoutError":
      return new TimeoutError({ ...fields, code })
  }
}

/** Clocks of two machines: what a server ends this much too early is still its limit. In milliseconds. */
const clockSlack = 25

/**
 * The limit that a server has kept, or `undefined` where it was another than ours: the program has set one itself, or the server
 * was faster than ours can be.
 *
 * @param limit ours, in milliseconds; 0: none
 * @param ranMillis how long the server had it
 * @param isForeign whether the program may have set another
 */
export const keptLimit = (limit: number, ranMillis: number, isForeign: boolean): number | undefined =>
  isForeign || !(limit > 0) || ranMillis + clockSlack < limit ? undefined : limit
