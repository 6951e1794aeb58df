/**
 * A statement outside any session: it takes a connection, runs, and gives it back, all in one object, without a scope,
 * a fiber or an effect per step. This is the hot path.
 */
import type { DbError, Holder, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { controlOutside, openOutside } from "../error/engine.js"
import { excerpt } from "../error/message.js"
import { type AnyFiber, callerOf } from "../fiber/Caller.js"
import { type Acquirer, AcquireRequest, type AcquireRequestOptions } from "../pool/AcquireRequest.js"
import type { Borrower, PoolEntry } from "../pool/PoolEntry.js"
import { classify, isControl } from "../sql/classify.js"
import type { Deadline } from "./Deadline.js"
import { type EngineContext, recycle, Request } from "./Request.js"

const nothing = () => {}

const reading: AcquireRequestOptions = { writes: false }
const writing: AcquireRequestOptions = { writes: true }

export class PooledRequest extends Request implements Acquirer, Borrower {
  override readonly text: string
  /** Its wait, where it had one; it keeps the write lock until the statement has ended. */
  private wait: AcquireRequest | undefined = undefined
  private acquired: PoolEntry<Driver.Connection> | undefined = undefined

  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: one is made for each statement
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

  /** Starts it. The answer may come before this returns. */
  start(): void {
    const { engine } = this
    if (isControl(this.text, engine.driver.dialect)) {
      return this.onAcquireFailed(controlOutside(engine.name, this.text))
    }
    const writes = engine.writeLock !== undefined && engine.writes(this.text)
    const entry = writes ? undefined : engine.pool.tryAcquire(engine.clock.unsafeCurrentTimeMillis())
    if (entry !== undefined) {
      return this.onAcquired(entry)
    }
    this.wait = new AcquireRequest(
      engine,
      writes ? writing : reading,
      this.fiber,
      this.deadline,
      this
    )
    this.wait.start()
  }

  onAcquireFailed(error: DbError): void {
    this.engine.failed(error, this.fiber)
    this.resume(error, undefined)
  }

  onAcquired(entry: PoolEntry<Driver.Connection>): void {
    this.acquired = entry
    entry.borrower = this
    this.run(entry)
  }

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    connection.execute(this.request, done)
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    const failure = error ?? this.leftOpen()
    if (failure === undefined && this.acquired!.connection.dirty) {
      this.engine.leftBehind(this.text, this.fiber)
    }
    // What it left behind (a BEGIN, a SET) has no session to live in, and must not reach the next borrower.
    recycle(this.engine, this.acquired!, nothing)
    this.wait?.releaseLock()
    this.resume(failure, value)
    this.settled()
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
    const error = openOutside(
      name,
      this.text,
      classify(this.text, driver.dialect).beginsFirst ? "RolledBack" : "Unknown"
    )
    this.engine.failed(error, this.fiber)
    return error
  }

  /** Its fiber was interrupted: ends the wait, or stops it on the server. `settled` is called when nothing is left. */
  withdraw(settled: () => void): void {
    if (this.isRunning) {
      this.onSettled(settled)
      this.stop(undefined)
      return
    }
    if (this.acquired === undefined) {
      this.wait?.abandon()
    }
    settled()
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
}
