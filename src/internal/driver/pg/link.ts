/**
 * What `pg` gives over: a link that is open, and the messages that arrive on it.
 */
import type { Duplex } from "node:stream"
import type { Route } from "./route.js"

/** A message received by `pg`'s `Connection`, with the parts that are read here. */
export interface Message {
  /** In bytes. */
  readonly length: number
  readonly fields?: unknown
  readonly dataTypeIDs?: unknown
  readonly text?: string
  readonly status?: string
  readonly channel?: string
  readonly payload?: string
  /** Of the session that notified. */
  readonly processId?: number
  readonly parameterName?: string
  readonly parameterValue?: string
}

/** What `pg` gives over once the server is ready. */
export interface Opened {
  readonly id: number
  readonly secret: number
  readonly parameters: Map<string, string>
  readonly stream: Duplex
  /** Sends Terminate and closes the socket. */
  readonly end: () => void
  /** The way to the same server, for a cancel. */
  readonly route: Route
}
