/**
 * What a pipeline knows of a statement that can share a connection.
 */
import type { Holder, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"

/** What is known of a text. */
export interface SharedText {
  /** It only reads: it may be run twice. */
  readonly isRead: boolean
  /** How long it takes, in milliseconds; NaN: it has not run yet. */
  millis: number
}

/** A statement that can share a connection. */
export interface Pipelined {
  readonly request: Driver.Request
  readonly shared: SharedText
  readonly describe: (now: number) => Holder
  /** Its limit, or the one around it, is reached. */
  readonly onDeadline: () => void
  readonly onCut: (error: TimeoutError, how: "stop" | "drop") => void
  /** It is no longer waited for here, and has to run elsewhere. */
  readonly moveOn: () => void
}
