/**
 * Clocks of tests.
 *
 * - `class OwnClock`: one that tells its own time, by `now()` in milliseconds and their fractions, and sleeps as it says.
 * - `clockAt(now, sleep?)`: the process's clock, but for the time that it tells, in milliseconds, and how it sleeps.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

export abstract class OwnClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId

  protected abstract now(): number
  abstract sleep(duration: Duration.Duration): Effect.Effect<void>

  /** In whole milliseconds. */
  readonly millis = (): number => Math.floor(this.now())
  readonly nanos = (): bigint => BigInt(Math.round(this.now() * 1e6))
  readonly unsafeCurrentTimeMillis = this.millis
  readonly unsafeCurrentTimeNanos = this.nanos
  readonly currentTimeMillis = Effect.sync(this.millis)
  readonly currentTimeNanos = Effect.sync(this.nanos)
}

export const clockAt = (now: () => number, sleep: Clock.Clock["sleep"] = Clock.make().sleep): Clock.Clock => ({
  ...Clock.make(),
  sleep,
  unsafeCurrentTimeMillis: now,
  unsafeCurrentTimeNanos: () => BigInt(Math.round(now() * 1e6))
})

/** Runs an effect whose steps all follow in microtasks: none is left when an immediate runs. */
export const forkInMicrotasks = <A, E>(effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> => Effect.runFork(effect)
