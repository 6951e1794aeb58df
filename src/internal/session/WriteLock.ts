/**
 * The one writer of a database that has only one (SQLite): writers queue here, first come, first served, and wait
 * without holding a connection, so that readers go on.
 */
import type * as Clock from "effect/Clock"
import type { DbError } from "../../DbError.js"
import { lockTimeout } from "../error/engine.js"
import type { DeadlineTimer } from "../pool/DeadlineTimer.js"
import { type FifoNode, FifoQueue } from "../pool/FifoQueue.js"
import { type Deadline, earlier } from "../request/Deadline.js"

/** What waits for the write lock, or has it. */
export interface Writer extends FifoNode {
  /** When waiting ends, in the clock's milliseconds, and the limit that stands for. */
  lockDeadline: number
  lockLimit: number
  /** Whether it was started inside a transaction of that owner, which therefore cannot end before this one has written. */
  readonly isInside: (owner: Writer) => boolean
  /** A short text for errors: what has the lock. */
  readonly name: string
  readonly onLock: () => void
  readonly onLockRefused: (error: DbError) => void
}

/** Sets the limit of a wait for the lock: its own, or the deadline around it where that comes first. */
export const limitLock = (
  writer: Writer,
  { clock }: { readonly clock: Clock.Clock },
  limit: number,
  around: Deadline | undefined
): void => {
  const deadline = earlier(clock.unsafeCurrentTimeMillis(), limit, around)
  writer.lockDeadline = deadline?.at ?? Infinity
  writer.lockLimit = deadline?.limit ?? 0
}

export class WriteLock {
  private owner: Writer | undefined = undefined
  private readonly line = new FifoQueue<Writer>()
  private closedWith: DbError | undefined = undefined

  constructor(
    private readonly database: string,
    private readonly timer: DeadlineTimer
  ) {}

  /** Calls one of the writer's callbacks, exactly once, unless it leaves; at once when the lock is free. */
  acquire(writer: Writer): void {
    if (this.owner === undefined) {
      this.owner = writer
      writer.onLock()
    } else if (this.closedWith !== undefined) {
      writer.onLockRefused(this.closedWith)
    } else if (writer.isInside(this.owner)) {
      writer.onLockRefused(lockTimeout(
        this.database,
        "the write lock is held by the very transaction in which this write was started on another session, so it can " +
          "never become free",
        writer.lockLimit,
        "write in the transaction that is open"
      ))
    } else {
      this.line.add(writer)
      this.timer.at(writer.lockDeadline)
    }
  }

  /** Gives the lock to the next writer; does nothing for one that does not have it. */
  release(writer: Writer): void {
    if (this.owner !== writer) {
      return
    }
    this.owner = this.line.head
    if (this.owner !== undefined) {
      this.line.remove(this.owner)
      this.owner.onLock()
    }
  }

  /** The lock goes from its owner to another writer, before any that waits. */
  transfer(from: Writer, to: Writer): void {
    if (this.owner === from) {
      this.owner = to
    }
  }

  withdraw(writer: Writer): void {
    this.line.remove(writer)
  }

  /** Refuses the writers that wait, and all later ones. The owner releases the lock as ever. */
  close(why: DbError): void {
    this.closedWith = why
    this.line.drain((writer) => writer.onLockRefused(why))
  }

  /** Refuses the writers whose time is up; returns the next deadline of one. */
  expire(now: number): number {
    let next = Infinity
    for (let writer = this.line.head; writer !== undefined;) {
      const following: Writer | undefined = this.line.after(writer)
      if (writer.lockDeadline <= now) {
        this.line.remove(writer)
        writer.onLockRefused(lockTimeout(
          this.database,
          `another transaction wrote for longer than ${writer.lockLimit} ms (${this.owner?.name ?? "none"})`,
          writer.lockLimit
        ))
      } else if (writer.lockDeadline < next) {
        next = writer.lockDeadline
      }
      writer = following
    }
    return next
  }
}
