/**
 * Connections on their way out: each is given a while to say goodbye, and dropped when it is not answered.
 */
import type * as Clock from "effect/Clock"
import type { Alarm } from "./Alarm.js"
import { settleLimit } from "./Deadline.js"
import type { Handling, Slot } from "./Slot.js"

export class Goodbyes<C> {
  private readonly slots = new Set<Slot<C>>()

  constructor(
    private readonly handling: Handling<C>,
    private readonly clock: Clock.Clock,
    private readonly alarm: Alarm,
    private readonly onEnd: () => void
  ) {}

  get size(): number {
    return this.slots.size
  }

  say(slot: Slot<C>, graceful: boolean): void {
    this.slots.add(slot)
    slot.deadline = this.clock.unsafeCurrentTimeMillis() + settleLimit
    this.alarm.at(slot.deadline)
    this.handling.retire(slot.connection, graceful, () => this.ended(slot))
  }

  /** Waits for no answer any longer. */
  drop(slot: Slot<C>): void {
    if (this.slots.has(slot)) {
      this.handling.retire(slot.connection, false, () => this.ended(slot))
    }
  }

  dropAll(): void {
    for (const slot of [...this.slots]) {
      this.drop(slot)
    }
  }

  /** Drops those whose time is up. */
  ring(now: number, soon: (time: number) => void): void {
    for (const slot of [...this.slots]) {
      if (slot.deadline <= now) {
        slot.deadline = Infinity
        this.drop(slot)
      } else {
        soon(slot.deadline)
      }
    }
  }

  private ended(slot: Slot<C>): void {
    this.slots.delete(slot)
    this.onEnd()
  }
}
