/**
 * A session as one that writes, on a database with one writer: its wait for the write lock, and the lock while it has it.
 */
import type { DbError } from "../../DbError.js"
import type { Deadline } from "../request/Deadline.js"
import type { EngineContext } from "../request/Request.js"
import { limitLock, type Writer } from "./WriteLock.js"

/** The session, for the lock. */
interface LockSession {
  readonly name: string
  /** Whether it was opened inside the transaction of the session that has this lock. */
  readonly isInside: (lock: Writer) => boolean
}

/** The queue whose next request needs the lock. */
interface LockQueue {
  readonly onLock: () => void
  readonly onLockRefused: (error: DbError) => void
}

export class SessionLock implements Writer {
  links: Writer["links"] = undefined
  lockDeadline = Infinity
  lockLimit = 0
  isHeld = false

  constructor(
    /** That of a database with one writer. */
    private readonly engine: EngineContext,
    private readonly session: LockSession,
    private readonly queue: LockQueue
  ) {}

  get name(): string {
    return this.session.name
  }

  isInside(owner: Writer): boolean {
    return this.session.isInside(owner)
  }

  /** Waits for it: the queue is told when it has it, or why not. */
  acquire(limit: number, deadline: Deadline | undefined): void {
    limitLock(this, this.engine, limit, deadline)
    this.engine.writeLock!.acquire(this)
  }

  withdraw(): void {
    this.engine.writeLock!.withdraw(this)
  }

  /** Takes over the lock of the wait in which the session was opened. */
  inherit(from: Writer): void {
    this.isHeld = true
    this.engine.writeLock!.transfer(from, this)
  }

  release(): void {
    this.isHeld = false
    this.engine.writeLock!.release(this)
  }

  onLock(): void {
    this.isHeld = true
    this.queue.onLock()
  }

  onLockRefused(error: DbError): void {
    this.queue.onLockRefused(error)
  }
}
