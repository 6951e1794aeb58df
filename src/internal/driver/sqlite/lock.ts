/**
 * Waiting for another connection's lock, without stopping the event loop: SQLite's own waiting is switched off, and the
 * statement is repeated.
 */
import type { Fault, Place } from "./codes.js"
import { queryFault } from "./codes.js"

/** The pause before the n-th repetition, in milliseconds: that of `sqlite3_busy_timeout`. */
const pauses = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100]

/** The pause before the n-th (from 0) repetition, in milliseconds. */
export const pause = (n: number): number => pauses[n] ?? 100

/** Since when a statement waits, and how often it was repeated. */
export interface Since {
  readonly started: number
  attempts: number
}

/** The one wait a connection can be in. */
export class LockWait {
  private timer: ReturnType<typeof setTimeout> | undefined = undefined
  private give: ((limit: number | undefined) => void) | undefined = undefined

  /**
   * Runs `again` after a pause. `give` is called in its place: with the limit (in milliseconds, 0: none) when it has run out,
   * with `undefined` when the wait was stopped.
   */
  repeat(limit: number, since: Since, again: () => void, give: (limit: number | undefined) => void): void {
    const waited = performance.now() - since.started
    if (limit > 0 && waited >= limit) {
      return give(limit)
    }
    const delay = pause(since.attempts++)
    this.give = give
    this.timer = setTimeout(() => {
      this.give = undefined
      again()
    }, limit > 0 ? Math.min(delay, Math.ceil(limit - waited)) : delay)
  }

  stop(): void {
    const give = this.give
    if (give !== undefined) {
      this.give = undefined
      clearTimeout(this.timer)
      give(undefined)
    }
  }
}

/** The fault of a statement whose wait was stopped. */
export const stopped = (place: Place): Fault =>
  queryFault(place, {
    reason: "LockConflict",
    outcome: "RolledBack",
    what: "the statement was stopped while it waited for a lock"
  })
