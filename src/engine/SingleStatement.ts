/**
 * A statement outside any session: it takes a connection, runs, and gives it back, all in one object, without a scope,
 * a fiber or an effect per step. This is the hot path.
 */
import type { DbError, Holder, TimeoutError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { beginsFirst, isControl } from "./Boundary.js"
import type { Deadline } from "./Deadline.js"
import { type AnyFiber, originOf } from "./Origin.js"
import { controlOutside, openOutside } from "./Refusal.js"
import type { Borrower, Slot, Waiter } from "./Slot.js"
import { excerpt, giveBack, type Ground, Work } from "./Work.js"
import { limitLock, type Writer } from "./WriteLock.js"

const nothing = () => {}

export class SingleStatement extends Work implements Waiter<Driver.Connection>, Borrower, Writer {
  line: Waiter<Driver.Connection>["line"] = undefined
  waitingSince = 0
  lockDeadline = Infinity
  lockLimit = 0
  // Of `Waiter`: `deadline` is taken by `Work` for what bounds the statement, so these are set when waiting begins.
  waitDeadline = Infinity
  waitLimit = 0
  override readonly text: string
  private place: "new" | "lock" | "connection" | "running" | "over" = "new"
  private holdsLock = false
  private slot_: Slot<Driver.Connection> | undefined = undefined
  private onSettled: (() => void) | undefined = undefined
  readonly failFast = false

  constructor(
    ground: Ground,
    readonly request: Driver.Request,
    limit: number,
    around: Deadline | undefined,
    readonly fiber: AnyFiber,
    private readonly resume: (error: DbError | undefined, value: unknown) => void
  ) {
    super(ground, limit, around)
    this.text = request.text
  }

  get kind() {
    return "statement" as const
  }

  get session() {
    return undefined
  }

  get name(): string {
    const origin = originOf(this.fiber)
    return origin.span ?? origin.fiber
  }

  get reserved(): boolean {
    return this.holdsLock
  }

  /** Its fiber may have a session in its hands, by `Db.scoped`. */
  holds(slot: Slot<Driver.Connection>): boolean {
    return slot.borrower?.isHeldBy?.(this.fiber) === true
  }

  /** Starts it. The answer may come before this returns. */
  start(): void {
    const { ground } = this
    if (isControl(this.text, ground.driver.dialect)) {
      return this.refuse(controlOutside(ground.name, this.text))
    }
    const now = ground.clock.unsafeCurrentTimeMillis()
    if (ground.writeLock !== undefined && ground.writes(this.text)) {
      this.place = "lock"
      limitLock(this, ground, this.request.lockTimeout ?? ground.config.limits.lockTimeout, this.deadline)
      return ground.writeLock.take(this)
    }
    const slot = ground.pool.tryTake(now)
    if (slot !== undefined) {
      return this.use(slot)
    }
    this.takeConnection(now)
  }

  /** A statement inside a transaction runs in that transaction. */
  isInside(): boolean {
    return false
  }

  onLock(): void {
    this.holdsLock = true
    this.takeConnection(this.ground.clock.unsafeCurrentTimeMillis())
  }

  onLockRefused(error: DbError): void {
    this.refuse(error)
  }

  private takeConnection(now: number): void {
    this.place = "connection"
    const limit = this.ground.config.pool.acquireTimeout
    this.waitDeadline = limit > 0 ? now + limit : Infinity
    this.waitLimit = limit
    if (this.deadline !== undefined && this.deadline.at < this.waitDeadline) {
      this.waitDeadline = this.deadline.at
      this.waitLimit = this.deadline.limit
    }
    this.ground.pool.take(this)
  }

  onSlot(slot: Slot<Driver.Connection>): void {
    this.ground.metrics.waited(slot.lentAt - this.waitingSince)
    this.use(slot)
  }

  onRefused(error: DbError): void {
    this.refuse(error)
  }

  private refuse(error: DbError): void {
    this.place = "over"
    this.unlock()
    this.ground.failed(error, this.fiber)
    this.resume(error, undefined)
  }

  private use(slot: Slot<Driver.Connection>): void {
    this.place = "running"
    this.slot_ = slot
    slot.borrower = this
    this.run(slot)
  }

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    connection.execute(this.request, done)
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    this.place = "over"
    const failure = error ?? this.leftOpen()
    if (failure === undefined && this.slot_!.connection.dirty) {
      this.ground.leftBehind(this.text, this.fiber)
    }
    // What it left behind (a BEGIN, a SET) has no session to live in, and must not reach the next borrower.
    giveBack(this.ground, this.slot_!, nothing)
    this.unlock()
    this.resume(failure, value)
    const settled = this.onSettled
    this.onSettled = undefined
    settled?.()
  }

  /** A transaction that it has begun and not ended is rolled back with what was done in it: its success would be none. */
  private leftOpen(): DbError | undefined {
    const { config, driver, name } = this.ground
    const { connection } = this.slot_!
    const { resetOnReturn } = config.pool
    if (
      connection.lost || connection.transaction === "idle" || resetOnReturn === "commit" || resetOnReturn === "none"
    ) {
      return undefined
    }
    const error = openOutside(name, this.text, beginsFirst(this.text, driver.dialect) ? "RolledBack" : "Unknown")
    this.ground.failed(error, this.fiber)
    return error
  }

  /** Its fiber was interrupted: leave the line, or stop it on the server. `settled` is called when nothing is left. */
  withdraw(settled: () => void): void {
    switch (this.place) {
      case "lock":
        this.ground.writeLock!.leave(this)
        this.place = "over"
        return settled()
      case "connection":
        this.ground.pool.leave(this)
        this.place = "over"
        this.unlock()
        return settled()
      case "running":
        this.onSettled = settled
        if (this.isStopping) {
          return
        }
        return this.stop(undefined)
      case "new":
      case "over":
        return settled()
    }
  }

  onCut(error: TimeoutError, how: "stop" | "drop"): void {
    if (how === "stop") {
      this.stop(error)
    } else {
      this.drop(error)
    }
  }

  describe(now: number): Holder {
    const { fiber, span } = originOf(this.fiber)
    return {
      ...(span === undefined ? {} : { span }),
      fiber,
      heldForMillis: now - this.slot_!.lentAt,
      state: "running",
      statement: excerpt(this.text)
    }
  }

  private unlock(): void {
    if (this.holdsLock) {
      this.holdsLock = false
      this.ground.writeLock!.release(this)
    }
  }
}
