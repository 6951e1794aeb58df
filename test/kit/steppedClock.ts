/**
 * Time in steps, for tests of many short histories: `runStepped(effect, state?)` runs an effect under a clock of its own that
 * stands still while anything can go on, and then jumps to the next moment at which a fiber wakes. TestClock costs
 * milliseconds of real time for each step, because it sleeps on the live clock to see that all is quiet; this costs
 * microseconds, and every moment is visited in its order.
 *
 * An effect that does not end although no fiber sleeps, or within two hours of its clock, hangs: the promise is
 * rejected, with `state()` in its message.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { forkInMicrotasks, OwnClock } from "./clock.js"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

class SteppedClock extends OwnClock {
  private at = 0
  /** By the moment of waking; of one moment, in the order in which they went to sleep. */
  private readonly sleepers: Array<Sleeper> = []

  protected now(): number {
    return this.at
  }

  readonly sleep = (duration: Duration.Duration): Effect.Effect<void> =>
    Effect.async((resume) => {
      // As a timer does, it never wakes a fiber early.
      const until = this.at + Math.ceil(Duration.toMillis(duration))
      const sleeper: Sleeper = { until, wake: () => resume(Effect.void) }
      if (sleeper.until <= this.at) {
        return sleeper.wake()
      }
      const behind = this.sleepers.findIndex(({ until }) => until > sleeper.until)
      this.sleepers.splice(behind < 0 ? this.sleepers.length : behind, 0, sleeper)
      return Effect.sync(() => {
        const index = this.sleepers.indexOf(sleeper)
        if (index >= 0) {
          this.sleepers.splice(index, 1)
        }
      })
    })

  /** Goes on to the next moment at which a fiber wakes; false when none sleeps. */
  step(): boolean {
    const next = this.sleepers[0]
    if (next === undefined || next.until > 7_200_000) {
      return false
    }
    this.at = next.until
    while (this.sleepers[0]?.until === this.at) {
      this.sleepers.shift()!.wake()
    }
    return true
  }
}

/** Everything that needs no time has happened: microtasks, among them Effect's, all run before an immediate does. */
const quiet = () => new Promise<void>((resolve) => setImmediate(resolve))

export const runStepped = async <A, E>(effect: Effect.Effect<A, E>, state: () => unknown = () => ""): Promise<A> => {
  const clock = new SteppedClock()
  const fiber = forkInMicrotasks(Effect.withClock(effect, clock))
  while (fiber.unsafePoll() === null) {
    await quiet()
    if (fiber.unsafePoll() === null && !clock.step()) {
      // Effect goes through a timer once in a while, so that nothing else starves.
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (fiber.unsafePoll() === null && !clock.step()) {
        throw new Error(`hangs: ${JSON.stringify(state())}`)
      }
    }
  }
  return Effect.runPromise(Fiber.join(fiber))
}
