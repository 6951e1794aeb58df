/**
 * The wait for a connection, after one for the write lock where it is to write: of a session, and of a statement outside of any.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { type AnyFiber, callerOf } from "../fiber/Caller.js"
import { type Deadline, earlier } from "../request/Deadline.js"
import type { EngineContext } from "../request/Request.js"
import { limitLock, type Writer } from "../session/WriteLock.js"
import type { PoolEntry, Waiter } from "./PoolEntry.js"

/** What waits. One of the two is called, once, unless the wait is abandoned; perhaps before `start` returns. */
export interface Acquirer {
  /** Whether it can use an entry that is in use, beside those that use it. */
  readonly joins?: (entry: PoolEntry<Driver.Connection>) => boolean
  readonly onAcquired: (entry: PoolEntry<Driver.Connection>) => void
  readonly onAcquireFailed: (error: DbError) => void
}

export interface AcquireRequestOptions {
  /** It takes the write lock first, where the database has one. */
  readonly writes: boolean
  /** The session in which it is asked for. */
  readonly inside?: { readonly isOn: (entry: PoolEntry<Driver.Connection>) => boolean } | undefined
  /** For a question of the engine's own, which may have the reserved connection. */
  readonly reserved?: boolean | undefined
  /** Fails with the first failing opening instead of outwaiting it. */
  readonly failFast?: boolean | undefined
}

export class AcquireRequest implements Waiter<Driver.Connection>, Writer {
  links: Waiter<Driver.Connection>["links"] = undefined
  waitingSince = 0
  lockDeadline = Infinity
  lockLimit = 0
  waitDeadline = Infinity
  waitLimit = 0
  private entry: PoolEntry<Driver.Connection> | undefined = undefined
  private holdsLock = false
  /** What it waits for, or that it has it; `undefined` before it starts, and when it is over. */
  private state: "lock" | "connection" | "acquired" | undefined = undefined

  constructor(
    private readonly engine: EngineContext,
    private readonly options: AcquireRequestOptions,
    private readonly fiber: AnyFiber,
    private readonly deadline: Deadline | undefined,
    private readonly acquirer: Acquirer
  ) {}

  get name(): string {
    const { fiber, span } = callerOf(this.fiber)
    return span ?? fiber
  }

  get reserved(): boolean {
    return this.options.reserved === true || this.holdsLock
  }

  get failFast(): boolean {
    return this.options.failFast === true
  }

  holds(entry: PoolEntry<Driver.Connection>): boolean {
    return this.options.inside?.isOn(entry) === true || entry.borrower?.isHeldBy?.(this.fiber) === true
  }

  joins(entry: PoolEntry<Driver.Connection>): boolean {
    return this.acquirer.joins?.(entry) === true
  }

  /** A statement inside a transaction runs in that transaction, and only the outermost one takes the lock here. */
  isInside(): boolean {
    return false
  }

  start(): void {
    const { engine, options } = this
    if (!options.writes || engine.writeLock === undefined) {
      return this.acquire()
    }
    this.state = "lock"
    limitLock(this, engine, engine.config.limits.lockTimeout, this.deadline)
    engine.writeLock.acquire(this)
  }

  onLock(): void {
    this.holdsLock = true
    this.acquire()
  }

  onLockRefused(error: DbError): void {
    this.state = undefined
    this.acquirer.onAcquireFailed(error)
  }

  private acquire(): void {
    this.state = "connection"
    const now = this.engine.clock.unsafeCurrentTimeMillis()
    const deadline = earlier(now, this.engine.config.pool.acquireTimeout, this.deadline)
    this.waitDeadline = deadline?.at ?? Infinity
    this.waitLimit = deadline?.limit ?? 0
    this.engine.pool.acquire(this)
  }

  onEntry(entry: PoolEntry<Driver.Connection>): void {
    this.entry = entry
    this.state = "acquired"
    // An entry that is shared was acquired by another one.
    this.engine.metrics.waited(this.engine.clock.unsafeCurrentTimeMillis() - this.waitingSince)
    this.acquirer.onAcquired(entry)
  }

  onRefused(error: DbError): void {
    this.state = undefined
    this.releaseLock()
    this.acquirer.onAcquireFailed(error)
  }

  /** The lock that it has is given to this, which answers for it from now on. */
  giveLock(to: { readonly inheritLock: (from: Writer) => void }): void {
    if (this.holdsLock) {
      this.holdsLock = false
      to.inheritLock(this)
    }
  }

  /** Ends the wait. A connection that came at the same moment goes back. */
  abandon(): void {
    if (this.state === "lock") {
      this.engine.writeLock!.withdraw(this)
    } else if (this.state === "connection") {
      this.engine.pool.withdraw(this)
    } else if (this.state === "acquired") {
      this.engine.pool.release(this.entry!)
    }
    this.state = undefined
    this.releaseLock()
  }

  releaseLock(): void {
    if (this.holdsLock) {
      this.holdsLock = false
      this.engine.writeLock!.release(this)
    }
  }
}
