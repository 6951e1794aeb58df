/** Fibers that go on only where a test tells them to. */
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type { Fork } from "../../src/internal/pool/DeadlineTimer.js"

export class Steps {
  private readonly scheduler = new Scheduler.ControlledScheduler()

  /** Begins a fiber whose steps are run by {@link run}. */
  readonly fork: Fork = (effect) => Effect.runFork(effect, { scheduler: this.scheduler })

  /** Whether a fiber waits to go on. */
  get isWaiting(): boolean {
    return this.scheduler.tasks.buckets.length > 0
  }

  /** Runs all steps, also those that come of them. */
  run(): void {
    while (this.isWaiting) this.scheduler.step()
  }
}
