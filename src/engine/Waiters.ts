/**
 * Those who wait for a connection of a pool: first come, first served; shed where that is set.
 */
import type { DbError } from "../DbError.js"
import { overloaded } from "./Refusal.js"
import type { Shedding } from "./Shedding.js"
import type { Slot, Waiter } from "./Slot.js"
import { WaitingLine } from "./WaitingLine.js"

export class Waiters<C> extends WaitingLine<Waiter<C>> {
  /** How many of them may use the reserved place. */
  reserved = 0

  constructor(
    private readonly database: string,
    private readonly shedding: Shedding | undefined
  ) {
    super()
  }

  override enter(waiter: Waiter<C>): void {
    super.enter(waiter)
    if (waiter.reserved) {
      this.reserved++
    }
  }

  override leave(waiter: Waiter<C>): void {
    if (waiter.line !== undefined) {
      super.leave(waiter)
      if (waiter.reserved) {
        this.reserved--
      }
    }
  }

  /** The waiter whose turn it is; those who are shed are told so on the way. */
  next(now: number, onReservedPlace: boolean): Waiter<C> | undefined {
    for (let waiter = this.head; waiter !== undefined;) {
      const following: Waiter<C> | undefined = this.after(waiter)
      if (!onReservedPlace || waiter.reserved) {
        this.leave(waiter)
        const shed = this.shedding?.judge(now - waiter.waitingSince, now)
        if (shed === undefined) {
          return waiter
        }
        waiter.onRefused(overloaded(this.database, shed))
      }
      waiter = this.stillHere(following)
    }
    return undefined
  }

  /** Refuses those whom the predicate finds. */
  refuse(isRefused: (waiter: Waiter<C>) => boolean, why: (waiter: Waiter<C>) => DbError): void {
    for (let waiter = this.head; waiter !== undefined;) {
      const following: Waiter<C> | undefined = this.after(waiter)
      if (isRefused(waiter)) {
        this.leave(waiter)
        waiter.onRefused(why(waiter))
      }
      waiter = this.stillHere(following)
    }
  }

  /** Whom to go on with: somebody who was told that he is refused may have let go of what the following one waited for. */
  private stillHere(following: Waiter<C> | undefined): Waiter<C> | undefined {
    return following === undefined || following.line !== undefined ? following : this.head
  }

  /** Whether no slot can come back: each is held by a fiber that waits here for another. */
  isDeadlock(slots: ReadonlySet<Slot<C>>, asking: Waiter<C>): boolean {
    let holdsOne = false
    for (const slot of slots) {
      holdsOne ||= slot.state === "lent" && asking.holds(slot)
    }
    if (!holdsOne) {
      // Nearly nobody who waits holds anything, and then the line is not walked.
      return false
    }
    for (const slot of slots) {
      if (slot.state !== "lent" || !(asking.holds(slot) || this.isHeld(slot))) {
        return false
      }
    }
    return true
  }

  private isHeld(slot: Slot<C>): boolean {
    for (let waiter = this.head; waiter !== undefined; waiter = this.after(waiter)) {
      if (waiter.holds(slot)) {
        return true
      }
    }
    return false
  }
}
