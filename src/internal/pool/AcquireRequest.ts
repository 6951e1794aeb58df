/**
 * The wait of a session for its connection, after one for the write lock where the session is to write.
 */
import * as Exit from "effect/Exit"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { type AnyFiber, type Caller, callerOf, deadlineOf } from "../fiber/Caller.js"
import { type Deadline, earlier } from "../request/Deadline.js"
import type { EngineContext } from "../request/Request.js"
import type { Session } from "../session/Session.js"
import type { TransactionLevel } from "../session/TransactionLevel.js"
import { limitLock, type WriteLock, type Writer } from "../session/WriteLock.js"
import type { PoolEntry, Waiter } from "./PoolEntry.js"

/** What a session is asked for. */
export interface AcquireOptions {
  /** It is to begin with a writing transaction. */
  readonly writes: boolean
  /** Where the asking fiber is, when it asks for another session than the one it is in. */
  readonly inside: TransactionLevel | undefined
  /** For a question of dblive's own, which may have the reserved place. */
  readonly reserved?: boolean
  /** Fails with the first failing opening instead of outwaiting it. */
  readonly failFast?: boolean
}

export class AcquireRequest implements Waiter<Driver.Connection>, Writer {
  links: Waiter<Driver.Connection>["links"] = undefined
  waitingSince = 0
  lockDeadline = Infinity
  lockLimit = 0
  waitDeadline = Infinity
  waitLimit = 0
  entry: PoolEntry<Driver.Connection> | undefined = undefined
  private holdsLock = false
  private state: "new" | "lock" | "connection" | "served" | "refused" = "new"
  private resume: (exit: Exit.Exit<void, DbError>) => void = () => {}
  private readonly writeLock: WriteLock | undefined
  private readonly around: Deadline | undefined
  private readonly origin: Caller

  constructor(
    private readonly engine: EngineContext,
    private readonly asked: AcquireOptions,
    /** Who asks. */
    private readonly fiber: AnyFiber
  ) {
    this.writeLock = asked.writes ? engine.writeLock : undefined
    this.around = deadlineOf(fiber)
    this.origin = callerOf(fiber)
  }

  get name(): string {
    return this.origin.span ?? this.origin.fiber
  }

  get reserved(): boolean {
    return this.asked.reserved === true || this.holdsLock
  }

  get failFast(): boolean {
    return this.asked.failFast === true
  }

  holds(entry: PoolEntry<Driver.Connection>): boolean {
    return this.asked.inside?.session.isOn(entry) === true || entry.borrower?.isHeldBy?.(this.fiber) === true
  }

  start(resume: (exit: Exit.Exit<void, DbError>) => void): void {
    this.resume = resume
    if (this.writeLock === undefined) {
      return this.takeConnection()
    }
    this.state = "lock"
    limitLock(this, this.engine, this.engine.config.limits.lockTimeout, this.around)
    this.writeLock.acquire(this)
  }

  /** Only the outermost transaction takes the lock before its connection. */
  isInside(): boolean {
    return false
  }

  onLock(): void {
    this.holdsLock = true
    this.takeConnection()
  }

  onLockRefused(error: DbError): void {
    this.state = "refused"
    this.resume(Exit.fail(error))
  }

  private takeConnection(): void {
    this.state = "connection"
    const now = this.engine.clock.unsafeCurrentTimeMillis()
    const deadline = earlier(now, this.engine.config.pool.acquireTimeout, this.around)
    this.waitDeadline = deadline?.at ?? Infinity
    this.waitLimit = deadline?.limit ?? 0
    this.engine.pool.acquire(this)
  }

  onEntry(entry: PoolEntry<Driver.Connection>): void {
    this.entry = entry
    this.state = "served"
    this.engine.metrics.waited(entry.acquiredAt - this.waitingSince)
    this.resume(Exit.void)
  }

  onRefused(error: DbError): void {
    this.state = "refused"
    this.releaseLock()
    this.resume(Exit.fail(error))
  }

  /** The session now answers for the lock that was taken on its behalf. */
  transferTo(session: Session): void {
    if (this.holdsLock) {
      session.hasLock = true
      this.writeLock!.transfer(this, session)
    }
  }

  abandon(): void {
    switch (this.state) {
      case "lock":
        this.writeLock!.withdraw(this)
        break
      case "connection":
        this.engine.pool.withdraw(this)
        break
      case "served":
        this.engine.pool.release(this.entry!)
        break
      default:
        break
    }
    this.releaseLock()
  }

  private releaseLock(): void {
    if (this.holdsLock) {
      this.holdsLock = false
      this.writeLock!.release(this)
    }
  }
}
