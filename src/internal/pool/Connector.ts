/**
 * Opens connections for a pool, detached from the waiters: an interrupted waiter's connection goes to the next one.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ConnectionError, TimeoutError } from "../../DbError.js"
import type { Fork } from "./DeadlineTimer.js"
import type { ConnectionFactory } from "./PoolEntry.js"

/** What the opening fiber asks its pool, and reports to it. */
export interface ConnectorCallbacks<C> {
  /** Whether a waiter is left for what is being opened. */
  readonly isWanted: () => boolean
  readonly opened: (connection: C, millis: number) => void
  /** One attempt has failed; others may follow. */
  readonly failed: (error: ConnectionError | TimeoutError) => void
  /** No attempt follows; without an error because it was stopped. */
  readonly gaveUp: (error: ConnectionError | TimeoutError | undefined) => void
  /** It has ended, in either way, after the pool was told how. */
  readonly ended: () => void
}

export class Connector<C> {
  /** How many connections are being opened. */
  count = 0
  /** Why the last attempt failed; forgotten with the next that succeeds. */
  lastError: ConnectionError | TimeoutError | undefined = undefined
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()

  constructor(
    private readonly handling: ConnectionFactory<C>,
    private readonly clock: Clock.Clock,
    private readonly fork: Fork,
    private readonly pool: ConnectorCallbacks<C>
  ) {}

  /** Opens one connection now, for the start of the layer; its failure is the caller's. */
  readonly openOne: Effect.Effect<void, ConnectionError | TimeoutError> = Effect.suspend(() => {
    this.count++
    const started = this.clock.unsafeCurrentTimeMillis()
    return Effect.uninterruptibleMask((restore) =>
      restore(this.handling.open).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            this.count--
            if (Exit.isSuccess(exit)) {
              this.opened(exit.value, started)
            }
          })
        ),
        Effect.asVoid
      )
    )
  })

  /** Opens one more; tries again as the schedule says, as long as a fiber waits for it. */
  open(): void {
    this.count++
    let started = this.clock.unsafeCurrentTimeMillis()
    const attempt = Effect.suspend(() => {
      started = this.clock.unsafeCurrentTimeMillis()
      return this.handling.open
    })
    const opening = attempt.pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          this.lastError = error
          this.pool.failed(error)
        })
      ),
      Effect.retry({
        schedule: this.handling.openSchedule,
        while: (error) => error.isTransient && this.pool.isWanted()
      })
    )
    // A driver may open without suspending, and then the fiber has ended before it is known here.
    let isDone = false
    let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
    fiber = this.fork(Effect.onExit(opening, (exit) =>
      Effect.sync(() => {
        this.count--
        isDone = true
        if (fiber !== undefined) {
          this.fibers.delete(fiber)
        }
        if (Exit.isSuccess(exit)) {
          this.opened(exit.value, started)
        } else {
          this.pool.gaveUp(Option.getOrUndefined(Cause.failureOption(exit.cause)))
        }
        this.pool.ended()
      })))
    if (!isDone) {
      this.fibers.add(fiber)
    }
  }

  /** Stops what is being opened. */
  stop(): void {
    for (const fiber of this.fibers) {
      fiber.unsafeInterruptAsFork(fiber.id())
    }
  }

  private opened(connection: C, started: number): void {
    this.lastError = undefined
    this.pool.opened(connection, this.clock.unsafeCurrentTimeMillis() - started)
  }
}
