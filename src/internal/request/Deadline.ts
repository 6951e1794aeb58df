/**
 * Moments until which something has to be done, and where they come from.
 */

/** A moment until which something has to be done, and the limit it came from. */
export interface Deadline {
  /** In the clock's milliseconds. */
  readonly at: number
  /** In milliseconds. */
  readonly limit: number
}

/**
 * How long what is to be settled may take before the connection is dropped: the cancel of a statement, a ROLLBACK, a
 * validation, a graceful close. A healthy server answers each within a few round trips.
 */
export const settleLimit = 2_000

/** What comes first: a limit that begins now (0 for none), or the deadline around it. */
export const earlier = (now: number, limit: number, around: Deadline | undefined): Deadline | undefined => {
  const at = limit > 0 ? now + limit : Infinity
  return around !== undefined && around.at <= at ? around : at === Infinity ? undefined : { at, limit }
}
