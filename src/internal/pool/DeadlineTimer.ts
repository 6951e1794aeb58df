/**
 * One timer for many limits.
 *
 * A pool has thousands of limits running at once (every waiter, every statement), and nearly none of them is ever
 * reached. So no timer is started per limit: this one keeps the earliest deadline of all. When it is due, the owner
 * looks through its limits. It sleeps by Effect's `Clock`, so `TestClock` rules it.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Runs an effect beside the caller, on the runtime with which the engine was opened. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>

/** The longest sleep asked of a timer: Node's own limit is 2^31-1 milliseconds. */
const longestSleep = 2 ** 30

export class DeadlineTimer {
  private armedAt = Infinity
  private sleeper: Fiber.RuntimeFiber<void> | undefined
  private isStopped = false

  /** @param expire is called when the moment has come; it returns the next moment, or `Infinity`. */
  constructor(
    private readonly clock: Clock.Clock,
    private readonly fork: Fork,
    private readonly expire: (now: number) => number
  ) {}

  /** Asks for a call of `expire` at this time (milliseconds) or earlier. */
  at(time: number): void {
    if (time < this.armedAt && !this.isStopped) {
      this.arm(time)
    }
  }

  stop(): void {
    this.isStopped = true
    this.sleeper?.unsafeInterruptAsFork(this.sleeper.id())
    this.sleeper = undefined
  }

  private arm(time: number): void {
    this.sleeper?.unsafeInterruptAsFork(this.sleeper.id())
    this.armedAt = time
    const delay = Math.min(Math.max(time - this.clock.unsafeCurrentTimeMillis(), 0), longestSleep)
    this.sleeper = this.fork(Effect.flatMap(
      this.clock.sleep(Duration.millis(delay)),
      () => Effect.sync(() => this.wake())
    ))
  }

  private wake(): void {
    this.sleeper = undefined
    this.armedAt = Infinity
    const next = this.expire(this.clock.unsafeCurrentTimeMillis())
    if (next !== Infinity) {
      this.at(next)
    }
  }
}
