/**
 * A statement outside any session: it takes a connection, runs, and gives it back, all in one object, without a scope,
 * a fiber or an effect per step. This is the hot path.
 */
import type { DbError, Holder, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { controlOutside, letGo, openOutside } from "../error/engine.js"
import { excerpt } from "../error/message.js"
import { type AnyFiber, callerOf } from "../fiber/Caller.js"
import { type Acquirer, AcquireRequest, type AcquireRequestOptions } from "../pool/AcquireRequest.js"
import type { Borrower, PoolEntry } from "../pool/PoolEntry.js"
import { classify, isControl } from "../sql/classify.js"
import type { Deadline } from "./Deadline.js"
import type { Pipeline, Place } from "./Pipeline.js"
import type { Pipelined, SharedText } from "./Pipelined.js"
import { recycle } from "./recycle.js"
import { Request } from "./Request.js"
import type { Sharing, SharingContext } from "./Sharing.js"

const nothing = () => {}

const reading: AcquireRequestOptions = { writes: false }
const writing: AcquireRequestOptions = { writes: true }

export class PooledRequest extends Request implements Acquirer, Borrower, Pipelined {
  override readonly text: string
  /** `undefined` where it has to have a connection to itself. */
  private readonly sharedText: SharedText | undefined
  private readonly sharing: Sharing | undefined
  /** What it shares its connection in, and its place there. */
  private pipeline: Pipeline | undefined = undefined
  private place: Place | undefined = undefined
  /** Since when it has a connection; also of one that was moved from there. */
  private heldSince = 0
  private until = Infinity
  /** Its wait, where it had one; it keeps the write lock until the statement has ended. */
  private wait: AcquireRequest | undefined = undefined
  private acquired: PoolEntry<Driver.Connection> | undefined = undefined

  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: one is made for each statement
  constructor(
    engine: SharingContext,
    readonly request: Driver.Request,
    limit: number,
    around: Deadline | undefined,
    readonly fiber: AnyFiber,
    private readonly resume: (error: DbError | undefined, value: unknown) => void
  ) {
    super(engine, limit, around)
    this.text = request.text
    this.sharing = engine.sharing
    this.sharedText = engine.sharing?.textOf(request)
  }

  /** Asked only where it may share. */
  get shared(): SharedText {
    return this.sharedText!
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
    const entry = writes ? undefined : this.tryAcquire()
    if (entry !== undefined) {
      return this.onAcquired(entry)
    }
    this.wait = new AcquireRequest(
      engine,
      writes ? writing : reading,
      this.fiber,
      this.bound,
      this
    )
    this.wait.start()
  }

  /** An idle connection, or one that it can share. */
  private tryAcquire(): PoolEntry<Driver.Connection> | undefined {
    const { engine: { clock, pool }, sharing } = this
    const now = clock.unsafeCurrentTimeMillis()
    if (this.sharedText === undefined) {
      return pool.tryAcquire(now)
    }
    // It has a text of `sharing`.
    return sharing!.findCheaper(this, now) ?? pool.tryAcquire(now) ?? sharing!.find(this, now)
  }

  joins(entry: PoolEntry<Driver.Connection>): boolean {
    return this.sharedText !== undefined && this.sharing!.canJoin(this, entry)
  }

  onAcquireFailed(error: DbError): void {
    this.engine.failed(error, this.fiber)
    this.resume(error, undefined)
  }

  onAcquired(entry: PoolEntry<Driver.Connection>): void {
    this.acquired = entry
    this.heldSince = entry.acquiredAt
    this.pipeline = this.sharedText === undefined ? undefined : this.sharing!.on(entry, this)
    if (this.pipeline === undefined) {
      entry.borrower = this
    }
    this.run(entry)
  }

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    this.isSent = true
    if (this.pipeline === undefined) {
      connection.execute(this.request, done)
    } else {
      this.place = this.pipeline.send(this, this.until, done)
    }
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    const failure = this.pipeline === undefined ? this.endedAlone(error) : error
    if (this.pipeline !== undefined && !this.isSent) {
      this.pipeline.leave()
    }
    this.wait?.releaseLock()
    this.resume(failure, value)
    this.settled()
  }

  private endedAlone(error: DbError | undefined): DbError | undefined {
    if (this.sharedText !== undefined && this.isSent) {
      this.sharing!.learn(this.sharedText, this.millis)
    }
    const failure = error ?? this.leftOpen()
    if (failure === undefined && this.acquired!.connection.dirty) {
      this.engine.leftBehind(this.text, this.fiber)
    }
    // What it left behind (a BEGIN, a SET) has no session to live in, and must not reach the next borrower.
    recycle(this.engine, this.acquired!, nothing)
    return failure
  }

  moveOn(): void {
    this.pipeline = undefined
    this.place = undefined
    this.acquired = undefined
    this.isSent = false
    this.beNew()
    this.start()
  }

  protected override limitTo(moment: number): void {
    if (this.pipeline === undefined) {
      super.limitTo(moment)
    } else {
      this.until = moment
      if (this.place !== undefined) {
        this.pipeline.limit(this.place, moment)
      }
    }
  }

  protected override cancel(done: Driver.Done<void>): void {
    const { pipeline, place } = this
    if (pipeline === undefined) {
      super.cancel(done)
      return
    }
    const outcome = pipeline.stop(place!, this.reason !== undefined, done)
    if (outcome !== undefined) {
      done(undefined)
      this.answer(letGo(this.engine.name, this.text, outcome), undefined)
    }
  }

  protected override get begunAt(): bigint {
    return this.place === undefined ? super.begunAt : this.place.begunAt
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
      heldForMillis: now - this.heldSince,
      state: "running",
      statement: excerpt(this.text)
    }
  }
}
