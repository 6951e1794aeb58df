/**
 * A clock that the test holds: it stands still until it is told to run, and then runs as fast as it is told. Under it no limit
 * runs out while the machine is busy with something else than what the limit is to end.
 *
 * - `new HeldClock()`; `Effect.withClock(effect, clock)` puts an effect, and the layers that it builds, under it.
 * - `clock.run(speed?)`, `clock.hold`: from now on it runs (1: as time does), stands still.
 * - `clock.took(effect)`: how long an effect takes by it, in milliseconds, and its value.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { OwnClock } from "./clock.js"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

export class HeldClock extends OwnClock {
  private speed = 0
  /** This clock's time when it was last told something, and the time of the process then. */
  private told = Date.now()
  private toldAt = performance.now()
  private readonly sleepers = new Set<Sleeper>()
  private timer: NodeJS.Timeout | undefined

  protected now(): number {
    return this.told + (performance.now() - this.toldAt) * this.speed
  }

  readonly sleep = (duration: Duration.Duration): Effect.Effect<void> =>
    Effect.async((resume) => {
      const sleeper: Sleeper = {
        until: this.millis() + Duration.toMillis(duration),
        wake: () => resume(Effect.void)
      }
      this.sleepers.add(sleeper)
      this.ring()
      return Effect.sync(() => {
        this.sleepers.delete(sleeper)
        this.ring()
      })
    })

  readonly run = (speed = 1): Effect.Effect<void> =>
    Effect.sync(() => {
      this.told = this.now()
      this.toldAt = performance.now()
      this.speed = speed
      this.ring()
    })

  readonly hold: Effect.Effect<void> = this.run(0)

  readonly took = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
    Effect.suspend(() => {
      const began = this.now()
      return Effect.map(effect, (value) => [this.now() - began, value] as const)
    })

  /** Wakes whose time has come, and sets the timer for the next one. */
  private ring(): void {
    clearTimeout(this.timer)
    let next = Infinity
    for (const sleeper of this.sleepers) {
      if (sleeper.until <= this.millis()) {
        this.sleepers.delete(sleeper)
        sleeper.wake()
      } else {
        next = Math.min(next, sleeper.until)
      }
    }
    if (this.speed > 0 && next < Infinity) {
      this.timer = setTimeout(() => this.ring(), Math.min((next - this.now()) / this.speed + 1, 60_000))
    }
  }
}
