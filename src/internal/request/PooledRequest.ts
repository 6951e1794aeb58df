/**
 * A statement outside any session: it takes a connection, runs, and gives it back, all in one object, without a scope,
 * a fiber or an effect per step. This is the hot path.
 */
import type { DbError, Holder, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { type AnyFiber, callerOf } from "../fiber/Caller.js"
import type { Borrower, PoolEntry, Waiter } from "../pool/PoolEntry.js"
import { controlOutside, openOutside } from "../session/errors.js"
import { beginsFirst, isControl } from "../session/TransactionControl.js"
import { limitLock, type Writer } from "../session/WriteLock.js"
import type { Deadline } from "./Deadline.js"
import { type EngineContext, excerpt, recycle, Request } from "./Request.js"

const nothing = () => {}

export class PooledRequest extends Request implements Waiter<Driver.Connection>, Borrower, Writer {
  links: Waiter<Driver.Connection>["links"] = undefined
  waitingSince = 0
  lockDeadline = Infinity
  lockLimit = 0
  // Of `Waiter`: `deadline` is taken by `Work` for what bounds the statement, so these are set when waiting begins.
  waitDeadline = Infinity
  waitLimit = 0
  override readonly text: string
  private state: "new" | "lock" | "connection" | "running" | "over" = "new"
  private holdsLock = false
  private acquired: PoolEntry<Driver.Connection> | undefined = undefined
  private onSettled: (() => void) | undefined = undefined
  readonly failFast = false

  constructor(
    engine: EngineContext,
    readonly request: Driver.Request,
    limit: number,
    around: Deadline | undefined,
    readonly fiber: AnyFiber,
    private readonly resume: (error: DbError | undefined, value: unknown) => void
  ) {
    super(engine, limit, around)
    this.text = request.text
  }

  get kind() {
    return "statement" as const
  }

  get session() {
    return undefined
  }

  get name(): string {
    const origin = callerOf(this.fiber)
    return origin.span ?? origin.fiber
  }

  get reserved(): boolean {
    return this.holdsLock
  }

  /** Its fiber may have a session in its hands, by `Db.scoped`. */
  holds(entry: PoolEntry<Driver.Connection>): boolean {
    return entry.borrower?.isHeldBy?.(this.fiber) === true
  }

  /** Starts it. The answer may come before this returns. */
  start(): void {
    const { engine } = this
    if (isControl(this.text, engine.driver.dialect)) {
      return this.refuse(controlOutside(engine.name, this.text))
    }
    const now = engine.clock.unsafeCurrentTimeMillis()
    if (engine.writeLock !== undefined && engine.writes(this.text)) {
      this.state = "lock"
      limitLock(this, engine, this.request.lockTimeout ?? engine.config.limits.lockTimeout, this.deadline)
      return engine.writeLock.acquire(this)
    }
    const entry = engine.pool.tryAcquire(now)
    if (entry !== undefined) {
      return this.use(entry)
    }
    this.takeConnection(now)
  }

  /** A statement inside a transaction runs in that transaction. */
  isInside(): boolean {
    return false
  }

  onLock(): void {
    this.holdsLock = true
    this.takeConnection(this.engine.clock.unsafeCurrentTimeMillis())
  }

  onLockRefused(error: DbError): void {
    this.refuse(error)
  }

  private takeConnection(now: number): void {
    this.state = "connection"
    const limit = this.engine.config.pool.acquireTimeout
    this.waitDeadline = limit > 0 ? now + limit : Infinity
    this.waitLimit = limit
    if (this.deadline !== undefined && this.deadline.at < this.waitDeadline) {
      this.waitDeadline = this.deadline.at
      this.waitLimit = this.deadline.limit
    }
    this.engine.pool.acquire(this)
  }

  onEntry(entry: PoolEntry<Driver.Connection>): void {
    this.engine.metrics.waited(entry.acquiredAt - this.waitingSince)
    this.use(entry)
  }

  onRefused(error: DbError): void {
    this.refuse(error)
  }

  private refuse(error: DbError): void {
    this.state = "over"
    this.unlock()
    this.engine.failed(error, this.fiber)
    this.resume(error, undefined)
  }

  private use(entry: PoolEntry<Driver.Connection>): void {
    this.state = "running"
    this.acquired = entry
    entry.borrower = this
    this.run(entry)
  }

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    connection.execute(this.request, done)
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    this.state = "over"
    const failure = error ?? this.leftOpen()
    if (failure === undefined && this.acquired!.connection.dirty) {
      this.engine.leftBehind(this.text, this.fiber)
    }
    // What it left behind (a BEGIN, a SET) has no session to live in, and must not reach the next borrower.
    recycle(this.engine, this.acquired!, nothing)
    this.unlock()
    this.resume(failure, value)
    const settled = this.onSettled
    this.onSettled = undefined
    settled?.()
  }

  /** A transaction that it has begun and not ended is rolled back with what was done in it: its success would be none. */
  private leftOpen(): DbError | undefined {
    const { config, driver, name } = this.engine
    const { connection } = this.acquired!
    const { resetOnReturn } = config.pool
    if (
      connection.lost || connection.transaction === "idle" || resetOnReturn === "commit" || resetOnReturn === "none"
    ) {
      return undefined
    }
    const error = openOutside(name, this.text, beginsFirst(this.text, driver.dialect) ? "RolledBack" : "Unknown")
    this.engine.failed(error, this.fiber)
    return error
  }

  /** Its fiber was interrupted: leave the line, or stop it on the server. `settled` is called when nothing is left. */
  withdraw(settled: () => void): void {
    switch (this.state) {
      case "lock":
        this.engine.writeLock!.withdraw(this)
        this.state = "over"
        return settled()
      case "connection":
        this.engine.pool.withdraw(this)
        this.state = "over"
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
    const { fiber, span } = callerOf(this.fiber)
    return {
      ...(span === undefined ? {} : { span }),
      fiber,
      heldForMillis: now - this.acquired!.acquiredAt,
      state: "running",
      statement: excerpt(this.text)
    }
  }

  private unlock(): void {
    if (this.holdsLock) {
      this.holdsLock = false
      this.engine.writeLock!.release(this)
    }
  }
}
