/** Fibers that go on only where a test tells them to. */
import * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"
import type { Fork } from "../../src/internal/pool/DeadlineTimer.js"

export class Steps {
  private readonly tasks: Array<() => void> = []

  private readonly scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: () => false,
    makeDispatcher: () => ({
      scheduleTask: (task) => {
        this.tasks.push(task)
      },
      flush: () => this.run()
    })
  }

  /** Begins a fiber whose steps are run by {@link run}. */
  readonly fork: Fork = (effect) => Effect.runFork(effect, { scheduler: this.scheduler })

  /** Whether a fiber waits to go on. */
  get isWaiting(): boolean {
    return this.tasks.length > 0
  }

  /** Runs all steps, also those that come of them. */
  run(): void {
    while (this.isWaiting) this.tasks.shift()!()
  }
}
