/**
 * The waiters for a connection of a pool: first come, first served; shed where that is set.
 */
import type { DbError } from "../../DbError.js"
import { overloaded } from "../error/engine.js"
import type { CoDel } from "./CoDel.js"
import { FifoQueue } from "./FifoQueue.js"
import type { PoolEntry, Waiter } from "./PoolEntry.js"

export class WaitQueue<C> extends FifoQueue<Waiter<C>> {
  /** How many of them may use the reserved place. */
  reserved = 0

  constructor(
    private readonly database: string,
    private readonly shedding: CoDel | undefined
  ) {
    super()
  }

  override add(waiter: Waiter<C>): void {
    super.add(waiter)
    if (waiter.reserved) {
      this.reserved++
    }
  }

  override remove(waiter: Waiter<C>): void {
    if (waiter.links !== undefined) {
      super.remove(waiter)
      if (waiter.reserved) {
        this.reserved--
      }
    }
  }

  /** The waiter whose turn it is. Waiters before it that are shed are refused. */
  next(now: number, isOnReservedPlace: boolean): Waiter<C> | undefined {
    for (let waiter = this.head; waiter !== undefined;) {
      const following: Waiter<C> | undefined = this.after(waiter)
      if (!isOnReservedPlace || waiter.reserved) {
        this.remove(waiter)
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

  /** The waiter whose turn it is, if it can use this entry beside those that use it. */
  nextToJoin(entry: PoolEntry<C>, now: number): Waiter<C> | undefined {
    for (let waiter = this.head; waiter?.joins?.(entry) === true; waiter = this.head) {
      this.remove(waiter)
      const shed = this.shedding?.judge(now - waiter.waitingSince, now)
      if (shed === undefined) {
        return waiter
      }
      waiter.onRefused(overloaded(this.database, shed))
    }
    return undefined
  }

  /** Refuses the waiters that the predicate finds. */
  refuse(isRefused: (waiter: Waiter<C>) => boolean, why: (waiter: Waiter<C>) => DbError): void {
    for (let waiter = this.head; waiter !== undefined;) {
      const following: Waiter<C> | undefined = this.after(waiter)
      if (isRefused(waiter)) {
        this.remove(waiter)
        waiter.onRefused(why(waiter))
      }
      waiter = this.stillHere(following)
    }
  }

  /** The waiter to go on with: the head, where a refused waiter's callback has itself removed the following one. */
  private stillHere(following: Waiter<C> | undefined): Waiter<C> | undefined {
    return following === undefined || following.links !== undefined ? following : this.head
  }

  /** Whether no entry can come back: each is held by a fiber that waits here for another. */
  isDeadlock(entries: ReadonlySet<PoolEntry<C>>, asking: Waiter<C>): boolean {
    let holdsOne = false
    for (const entry of entries) {
      holdsOne ||= entry.state === "inUse" && asking.holds(entry)
    }
    if (!holdsOne) {
      // A waiter that holds a connection is rare. Without one, the queue is not walked.
      return false
    }
    for (const entry of entries) {
      if (entry.state !== "inUse" || !(asking.holds(entry) || this.isHeld(entry))) {
        return false
      }
    }
    return true
  }

  private isHeld(entry: PoolEntry<C>): boolean {
    for (let waiter = this.head; waiter !== undefined; waiter = this.after(waiter)) {
      if (waiter.holds(entry)) {
        return true
      }
    }
    return false
  }
}
