/**
 * One step of a schedule. `Effect.retry` decides by the error alone; here each attempt is counted, logged, and left out where its
 * deadline would come first, so the schedule is stepped by hand. Effect's `Schedule.driver` sleeps by itself.
 *
 * What this needs of Effect: `Schedule.initial`, `Schedule.step`, and the meaning of its decision.
 * `test/effect/schedule.test.ts` fails where that is not so.
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"

/** When a schedule goes on, and its state then. */
export interface Step {
  readonly waitMillis: number
  readonly state: unknown
}

export const initialState = (schedule: Schedule.Schedule<unknown, never>): unknown => schedule.initial

/** The next step; `undefined` where the schedule has ended. `now` is in milliseconds. */
export const nextStep = <In, R>(
  schedule: Schedule.Schedule<unknown, In, R>,
  now: number,
  input: In,
  state: unknown
): Effect.Effect<Step | undefined, never, R> =>
  Effect.map(schedule.step(now, input, state), ([next, _, decision]) =>
    ScheduleDecision.isDone(decision)
      ? undefined
      : { waitMillis: Math.max(Intervals.start(decision.intervals) - now, 0), state: next })
