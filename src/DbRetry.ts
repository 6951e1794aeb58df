/**
 * When to try again: schedules for the failures of a database. They are jittered and bounded, and they only ever see
 * errors that may be tried again: nothing was applied, and the reason is transient.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { DbError } from "./DbError.js"

/**
 * Waits that double from `base` to `cap`, each spread over a quarter of its length, and never outside of the two:
 * attempts that failed together are not repeated together, not even at the cap.
 */
const backOff = (
  base: Duration.DurationInput,
  cap: Duration.DurationInput
): Schedule.Schedule<unknown, DbError> =>
  Schedule.modifyDelayEffect(Schedule.exponential(base), (_, delay) =>
    Effect.map(Random.next, (random) => {
      const longest = Math.min(Duration.toMillis(delay) * 1.25, Duration.toMillis(cap))
      const shortest = Math.min(Math.max(longest * 0.75, Duration.toMillis(base)), longest)
      return shortest + random * (longest - shortest)
    }))

/**
 * A number of attempts with jittered exponential back-off: from `base`, twice that, ... to `cap`.
 *
 * @example
 * ```ts
 * import { DbRetry } from "dblive"
 *
 * const schedule = DbRetry.attempts(5, "50 millis", "1 second")
 * ```
 *
 * @param n how often the work is run at most, the first time included
 * @param base the shortest wait
 * @param cap the longest wait
 * @since 0.1.0
 * @category constructors
 */
export const attempts = (
  n: number,
  base: Duration.DurationInput,
  cap: Duration.DurationInput
): Schedule.Schedule<unknown, DbError> => Schedule.intersect(backOff(base, cap), Schedule.recurs(Math.max(n - 1, 0)))

/**
 * For opening a connection: jittered exponential from 50 ms to 1 s, as long as a fiber waits for it; the acquire limit
 * of the waiters bounds it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const connection: Schedule.Schedule<unknown, DbError> = backOff("50 millis", "1 second")

/**
 * For transactions that conflict with others (serialization failures, deadlocks, SQLite's `BUSY_SNAPSHOT`, lock
 * conflicts): up to 10 attempts from 10 ms to 500 ms. Anything else is not repeated.
 *
 * @since 0.1.0
 * @category constructors
 */
export const conflicts: Schedule.Schedule<unknown, DbError> = attempts(10, "10 millis", "500 millis").pipe(
  Schedule.whileInput((error: DbError) =>
    error._tag === "QueryError" &&
    (error.reason === "Serialization" || error.reason === "Deadlock" || error.reason === "LockConflict")
  )
)

/**
 * For everything transient, a lost connection and a restarting server included: up to 8 attempts from 50 ms to 2 s.
 *
 * @since 0.1.0
 * @category constructors
 */
export const transient: Schedule.Schedule<unknown, DbError> = attempts(8, "50 millis", "2 seconds")

/**
 * 3 attempts, exponential, 4 s to 10 s.
 *
 * @since 0.1.0
 * @category constructors
 */
export const classic: Schedule.Schedule<unknown, DbError> = attempts(3, "4 seconds", "10 seconds")
