/**
 * The wait of a session for its connection, after one for the write lock where the session is to write.
 */
import type { DbError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { type Deadline, earlier } from "./Deadline.js"
import type { AnyFiber, Origin } from "./Origin.js"
import type { Session } from "./Session.js"
import type { Slot, Waiter } from "./Slot.js"
import type { Ground } from "./Work.js"
import { limitLock, type WriteLock, type Writer } from "./WriteLock.js"

export class Claim implements Waiter<Driver.Connection>, Writer {
  line: Waiter<Driver.Connection>["line"] = undefined
  waitingSince = 0
  lockDeadline = Infinity
  lockLimit = 0
  waitDeadline = Infinity
  waitLimit = 0
  slot: Slot<Driver.Connection> | undefined = undefined
  private holdsLock = false
  private state: "new" | "lock" | "connection" | "served" | "refused" = "new"
  private served: () => void = () => {}
  private refused: (error: DbError) => void = () => {}

  constructor(
    private readonly engine: Ground,
    private readonly options: {
      /** The write lock, where the session is to begin with a writing transaction. */
      readonly writeLock: WriteLock | undefined
      /** The session in which the asking fiber runs. */
      readonly outer: Session | undefined
      readonly reserved: boolean
      /** Fails with the first failing opening instead of outwaiting it. */
      readonly failFast: boolean
      readonly around: Deadline | undefined
      readonly origin: Origin
      /** Who asks. */
      readonly fiber: AnyFiber
    }
  ) {}

  get name(): string {
    return this.options.origin.span ?? this.options.origin.fiber
  }

  get reserved(): boolean {
    return this.options.reserved || this.holdsLock
  }

  get failFast(): boolean {
    return this.options.failFast
  }

  holds(slot: Slot<Driver.Connection>): boolean {
    return this.options.outer?.isOn(slot) === true || slot.borrower?.isHeldBy?.(this.options.fiber) === true
  }

  start(served: () => void, refused: (error: DbError) => void): void {
    this.served = served
    this.refused = refused
    if (this.options.writeLock === undefined) {
      return this.takeConnection()
    }
    this.state = "lock"
    limitLock(this, this.engine, this.engine.config.limits.lockTimeout, this.options.around)
    this.options.writeLock.take(this)
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
    this.refused(error)
  }

  private takeConnection(): void {
    this.state = "connection"
    const now = this.engine.clock.unsafeCurrentTimeMillis()
    const deadline = earlier(now, this.engine.config.pool.acquireTimeout, this.options.around)
    this.waitDeadline = deadline?.at ?? Infinity
    this.waitLimit = deadline?.limit ?? 0
    this.engine.pool.take(this)
  }

  onSlot(slot: Slot<Driver.Connection>): void {
    this.slot = slot
    this.state = "served"
    this.engine.metrics.waited(this.engine.clock.unsafeCurrentTimeMillis() - this.waitingSince)
    this.served()
  }

  onRefused(error: DbError): void {
    this.state = "refused"
    this.releaseLock()
    this.refused(error)
  }

  /** The session now answers for the lock that was taken on its behalf. */
  transferTo(session: Session): void {
    if (this.holdsLock) {
      session.hasLock = true
      this.options.writeLock!.transfer(this, session)
    }
  }

  abandon(): void {
    switch (this.state) {
      case "lock":
        this.options.writeLock!.leave(this)
        break
      case "connection":
        this.engine.pool.leave(this)
        break
      case "served":
        this.engine.pool.give(this.slot!)
        break
      default:
        break
    }
    this.releaseLock()
  }

  private releaseLock(): void {
    if (this.holdsLock) {
      this.holdsLock = false
      this.options.writeLock!.release(this)
    }
  }
}
