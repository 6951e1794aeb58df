/**
 * Connections that are being closed: each sends its close message, and is dropped when that is not answered in time.
 */
import type * as Clock from "effect/Clock"
import { settleLimit } from "../request/Deadline.js"
import type { DeadlineTimer } from "./DeadlineTimer.js"
import type { ConnectionFactory, PoolEntry } from "./PoolEntry.js"

export class ClosingConnections<C> {
  private readonly entries = new Set<PoolEntry<C>>()

  constructor(
    private readonly factory: ConnectionFactory<C>,
    private readonly clock: Clock.Clock,
    private readonly timer: DeadlineTimer,
    private readonly onEnd: () => void
  ) {}

  get size(): number {
    return this.entries.size
  }

  close(entry: PoolEntry<C>, isGraceful: boolean): void {
    this.entries.add(entry)
    entry.deadline = this.clock.unsafeCurrentTimeMillis() + settleLimit
    this.timer.at(entry.deadline)
    this.factory.close(entry.connection, isGraceful, () => this.ended(entry))
  }

  /** Waits for no answer any longer. */
  destroy(entry: PoolEntry<C>): void {
    if (this.entries.has(entry)) {
      this.factory.close(entry.connection, false, () => this.ended(entry))
    }
  }

  destroyAll(): void {
    for (const entry of [...this.entries]) {
      this.destroy(entry)
    }
  }

  /** Drops connections whose time is up. */
  expire(now: number, soon: (time: number) => void): void {
    for (const entry of [...this.entries]) {
      if (entry.deadline <= now) {
        entry.deadline = Infinity
        this.destroy(entry)
      } else {
        soon(entry.deadline)
      }
    }
  }

  private ended(entry: PoolEntry<C>): void {
    this.entries.delete(entry)
    this.onEnd()
  }
}
