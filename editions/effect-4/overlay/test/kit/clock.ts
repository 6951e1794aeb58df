/** Clocks of tests. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

export abstract class OwnClock implements Clock.Clock {
  protected abstract now(): number
  abstract sleep(duration: Duration.Duration): Effect.Effect<void>

  /** In whole milliseconds. */
  readonly millis = (): number => Math.floor(this.now())
  readonly nanos = (): bigint => BigInt(Math.round(this.now() * 1e6))
  readonly currentTimeMillisUnsafe = this.millis
  readonly currentTimeNanosUnsafe = this.nanos
  readonly monotonicTimeNanosUnsafe = this.nanos
  readonly currentTimeMillis = Effect.sync(this.millis)
  readonly currentTimeNanos = Effect.sync(this.nanos)
  readonly monotonicTimeNanos = this.currentTimeNanos
}

const live = Context.get(Context.empty(), Clock.Clock)

export const clockAt = (
  now: () => number,
  sleep: Clock.Clock["sleep"] = (duration) => live.sleep(duration)
): Clock.Clock => {
  const nanos = (): bigint => BigInt(Math.round(now() * 1e6))
  return {
    sleep,
    currentTimeMillisUnsafe: now,
    currentTimeNanosUnsafe: nanos,
    monotonicTimeNanosUnsafe: nanos,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanos: Effect.sync(nanos)
  }
}

/** Runs an effect whose steps all follow in microtasks: none is left when an immediate runs. */
export const forkInMicrotasks = <A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> =>
  Effect.runFork(effect, { scheduler: new Scheduler.MixedScheduler("sync") })
