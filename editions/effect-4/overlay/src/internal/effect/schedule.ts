/**
 * One step of a schedule. `Effect.retry` decides by the error alone; here each attempt is counted, logged, and left out where its
 * deadline would come first, so the schedule is stepped by hand.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

type Next<In, R> = (now: number, input: In) => Pull.Pull<[unknown, Duration.Duration], never, unknown, R>

/** When a schedule goes on, and its state then. */
export interface Step {
  readonly waitMillis: number
  readonly state: unknown
}

/** A schedule of Effect 4 keeps its state to itself: that of ours is its next step, once it has begun. */
export const initialState = (_schedule: Schedule.Schedule<unknown, never>): unknown => undefined

/** The next step; `undefined` where the schedule has ended. `now` is in milliseconds. */
export const nextStep = <In, R>(
  schedule: Schedule.Schedule<unknown, In, never, R>,
  now: number,
  input: In,
  state: unknown
): Effect.Effect<Step | undefined, never, R> =>
  Effect.flatMap(
    // Only this function makes states.
    state === undefined ? Schedule.toStep(schedule) : Effect.succeed(state as Next<In, R>),
    (next) =>
      Effect.flatMap(Effect.exit(next(now, input)), (exit): Effect.Effect<Step | undefined> =>
        Exit.isSuccess(exit)
          ? Effect.succeed({ waitMillis: Duration.toMillis(exit.value[1]), state: next })
          : Option.isSome(Cause.findErrorOption(exit.cause))
          ? Effect.succeed(undefined)
          : Effect.failCause(exit.cause as Cause.Cause<never>))
  )
