/**
 * Connections on their way out: each is given a while to say goodbye, and dropped when it is not answered.
 */
import type * as Clock from "effect/Clock"
import { settleLimit } from "../request/Deadline.js"
import type { DeadlineTimer } from "./DeadlineTimer.js"
import type { ConnectionFactory, PoolEntry } from "./PoolEntry.js"

export class ClosingConnections<C> {
  private readonly slots = new Set<PoolEntry<C>>()

  constructor(
    private readonly handling: ConnectionFactory<C>,
    private readonly clock: Clock.Clock,
    private readonly alarm: DeadlineTimer,
    private readonly onEnd: () => void
  ) {}

  get size(): number {
    return this.slots.size
  }

  say(entry: PoolEntry<C>, graceful: boolean): void {
    this.slots.add(entry)
    entry.deadline = this.clock.unsafeCurrentTimeMillis() + settleLimit
    this.alarm.at(entry.deadline)
    this.handling.retire(entry.connection, graceful, () => this.ended(entry))
  }

  /** Waits for no answer any longer. */
  drop(entry: PoolEntry<C>): void {
    if (this.slots.has(entry)) {
      this.handling.retire(entry.connection, false, () => this.ended(entry))
    }
  }

  dropAll(): void {
    for (const entry of [...this.slots]) {
      this.drop(entry)
    }
  }

  /** Drops those whose time is up. */
  ring(now: number, soon: (time: number) => void): void {
    for (const entry of [...this.slots]) {
      if (entry.deadline <= now) {
        entry.deadline = Infinity
        this.drop(entry)
      } else {
        soon(entry.deadline)
      }
    }
  }

  private ended(entry: PoolEntry<C>): void {
    this.slots.delete(entry)
    this.onEnd()
  }
}
