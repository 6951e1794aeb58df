/**
 * Errors of the pool: why a connection is not given, or is taken back.
 */
import { ConnectionError, type Holder, TimeoutError } from "../../DbError.js"

/** The layer has ended. */
export const closed = (database: string): ConnectionError => {
  return new ConnectionError({
    message: `database "${database}" is closed: its layer has ended. Keep the layer open while it is used`,
    reason: "Closed",
    outcome: "NotSent",
    database
  })
}

/** Too many wait already. */
export const overloaded = (database: string, what: string): ConnectionError => {
  return new ConnectionError({
    message: `database "${database}" is overloaded: ${what}. Shed load, or raise the pool's size`,
    reason: "Overloaded",
    outcome: "NotSent",
    database
  })
}

/** A wait is over, or would never end. */
export const acquireTimeout = (
  pool: { readonly database: string; readonly capacity: number; readonly holders: ReadonlyArray<Holder> },
  waiter: { readonly waitLimit: number; readonly waitingSince: number },
  now: number,
  what: string
): TimeoutError => {
  const { capacity, database, holders } = pool
  const longest = holders.reduce<Holder | undefined>(
    (a, b) => a === undefined || b.heldForMillis > a.heldForMillis ? b : a,
    undefined
  )
  const held = longest === undefined
    ? "none is open"
    : `${holders.length} of ${capacity} are held, the longest by ${longest.span ?? longest.fiber} ` +
      `for ${longest.heldForMillis} ms${longest.statement === undefined ? "" : ` (last: ${longest.statement})`}`
  return new TimeoutError({
    message: `database "${database}": ${what}; waited ${now - waiter.waitingSince} ms; ${held}`,
    phase: "Acquire",
    outcome: "NotSent",
    database,
    limitMillis: waiter.waitLimit,
    holders
  })
}

/** The layer closed while a session was still running. */
export const cut = (database: string, limitMillis: number): TimeoutError =>
  new TimeoutError({
    message:
      `database "${database}": its layer closed and did not wait longer than ${limitMillis} ms for this session. ` +
      "End sessions before the layer closes, or raise closeTimeout",
    phase: "Close",
    outcome: "Unknown",
    database,
    limitMillis
  })
