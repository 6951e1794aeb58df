/**
 * Whose turn it is on a session's connection: the statements of all its fibers queue here, those of the innermost frame run
 * one after the other, and what is taken back while it runs is stopped before the next begins.
 */
import * as Effect from "effect/Effect"
import type { ConnectionError } from "../DbError.js"
import { type DbError, type Holder, type Outcome, QueryError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { boundaryOf } from "./Boundary.js"
import type { Deadline } from "./Deadline.js"
import type { Frame } from "./Frame.js"
import { committed, transactionOf } from "./ImplicitCommit.js"
import { Job, type SessionCursor } from "./Job.js"
import type { Origin } from "./Origin.js"
import { endedMeanwhile, lostInside, outlived, readOnlyWrite, turnTimeout } from "./Refusal.js"
import type { Slot } from "./Slot.js"
import { excerpt, type Ground } from "./Work.js"
import { limitLock, type Writer } from "./WriteLock.js"

export abstract class StatementQueue implements Writer {
  abstract readonly number: number
  abstract readonly root: Frame
  abstract readonly name: string
  /** The innermost frame. */
  protected abstract top: Frame
  line: Writer["line"] = undefined
  lockDeadline = Infinity
  lockLimit = 0
  protected readonly queue: Array<Job> = []
  protected current: Job | undefined = undefined
  protected waitsForLock = false
  hasLock = false
  /** A BEGIN that the first statement of the transaction will carry. */
  protected pendingBegin: string | undefined = undefined
  /** The transaction was begun on the server, as far as we know. */
  protected begun = false
  protected readOnly = false
  protected openCursor: SessionCursor | undefined = undefined
  protected lastStatement: string | undefined = undefined
  /** Told the text of each of the program's statements just before it is sent. */
  onText: ((text: string) => void) | undefined = undefined
  protected releasing: (() => void) | undefined = undefined
  protected readonly onStopped: Array<() => void> = []
  protected onSettled: (() => void) | undefined = undefined
  /** Bounds what is still to be done to end a frame. */
  protected endBy: Deadline | undefined = undefined

  constructor(
    readonly ground: Ground,
    readonly slot: Slot<Driver.Connection>,
    readonly origin: Origin
  ) {}

  abstract isInside(owner: Writer): boolean
  abstract describe(now: number): Holder
  /** Nothing runs any more: sets the limit of a transaction that stands open. */
  protected abstract armIdleLimit(): void
  /** Nothing runs any more: lets go of the connection where that is all that was waited for. */
  protected abstract letGoWhenCut(): void

  get connection(): Driver.Connection {
    return this.slot.connection
  }

  /** Ends when no statement is being stopped any more, and whoever ran it has been told. */
  get settled(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.current === undefined || !this.current.isStopping
        ? Effect.void
        : Effect.zipRight(
          Effect.async<void>((resume) => {
            this.onStopped.push(() => resume(Effect.void))
          }),
          Effect.yieldNow()
        )
    )
  }

  // ---------------------------------------------------------------------------
  // statements
  // ---------------------------------------------------------------------------

  submit(job: Job): void {
    const refused = this.refusal(job.frame)
    if (refused !== undefined) {
      return job.refuse(refused)
    }
    this.queue.push(job)
    this.pump()
    if (job.deadline !== undefined && job.isNew && this.current !== job) {
      this.limitQueue(job.deadline)
    }
  }

  private limitQueue({ at }: Deadline): void {
    if (at < this.slot.queueDeadline) {
      this.slot.queueDeadline = at
      this.ground.alarm.at(at)
    }
  }

  /** Refuses those whose deadline came before their turn: the connection was busy with others of this session. */
  onQueueDeadline(now: number): void {
    for (const job of this.queue.splice(0)) {
      if (job.deadline === undefined || job.deadline.at > now) {
        this.queue.push(job)
        if (job.deadline !== undefined) {
          this.limitQueue(job.deadline)
        }
      } else {
        job.refuse(turnTimeout(this.ground.name, job.text, job.deadline.limit, this.describe(now)))
      }
    }
  }
  /** Takes a job back: never sent if it still waits, stopped on the server if it runs. `settled` is called when it is over. */
  withdraw(job: Job, settled: () => void): void {
    const index = this.queue.indexOf(job)
    if (index >= 0) {
      this.queue.splice(index, 1)
      settled()
    } else if (this.current === job) {
      if (this.waitsForLock) {
        this.ground.writeLock!.leave(this)
        this.waitsForLock = false
        this.current = undefined
        settled()
        this.pump()
      } else {
        this.onSettled = settled
        job.stop(undefined)
      }
    } else {
      settled()
    }
  }

  /** Whether a cursor of this session must read the rest ahead before anything else can run. */
  attach(cursor: SessionCursor): void {
    if (!cursor.cursor.interleaves) {
      this.openCursor = cursor
    }
  }

  detach(cursor: SessionCursor): void {
    if (this.openCursor === cursor) {
      this.openCursor = undefined
    }
  }

  protected refusal(frame: Frame): DbError | undefined {
    for (let f: Frame | undefined = frame; f !== undefined; f = f.parent) {
      if (f.closed !== undefined) {
        // Made when somebody asks, since nearly nobody ever does, and an error costs more than a whole session.
        return f.closed === "ended" ? outlived(f) : f.closed
      }
    }
    return undefined
  }

  protected beginNow(): void {
    const begin = this.pendingBegin!
    this.pendingBegin = undefined
    this.begun = true
    this.runNow(this.top, begin, (error) => {
      if (error !== undefined) {
        this.closeFrame(this.top, error)
      }
    })
  }

  /** Starts the first job whose frame is the innermost one. */
  protected pump(): void {
    if (this.current !== undefined || this.queue.length === 0) {
      return
    }
    const index = this.queue[0]!.frame === this.top ? 0 : this.queue.findIndex((job) => job.frame === this.top)
    if (index < 0) {
      return
    }
    const next = this.queue[index]!
    if (this.openCursor !== undefined && next.kind !== "cursor") {
      return this.readAhead(this.openCursor)
    }
    if (this.pendingBegin !== undefined && next.kind === "open") {
      // A driver may send a cursor's statement with the first fetch only, and another statement may come before that.
      return this.beginNow()
    }
    if (index === 0) {
      this.queue.shift()
    } else {
      this.queue.splice(index, 1)
    }
    const lock = this.ground.writeLock
    if (
      lock !== undefined && !this.hasLock && !this.readOnly && next.request !== undefined &&
      this.connection.writes(next.request.text) && this.connection.transaction === "idle"
    ) {
      return this.waitForLock(next)
    }
    this.start(next)
  }

  protected start(job: Job): void {
    this.current = job
    const refused = this.checkTransaction(job) ?? this.checkReadOnly(job)
    if (refused !== undefined) {
      this.current = undefined
      job.refuse(refused)
      return this.pump()
    }
    if (this.pendingBegin !== undefined && job.kind !== "control") {
      job.begin = this.pendingBegin
      this.pendingBegin = undefined
      this.begun = true
    }
    job.onTurn?.()
    if (job.text !== undefined) {
      this.lastStatement = job.text
      if (this.onText !== undefined && job.kind !== "control") {
        this.onText(job.text)
      }
    }
    this.runOn(job)
  }

  protected runOn(job: Job): void {
    this.current = job
    // That of a transaction without a statement, which ends here.
    this.slot.deadline = Infinity
    job.run(this.slot)
  }

  /**
   * A transaction that the server has ended (an automatic rollback, a COMMIT typed by hand, an implicit commit) must
   * not go on as a row of autocommitted statements.
   */
  protected checkTransaction(job: Job): DbError | undefined {
    if (this.top === this.root || !this.begun || job.kind === "control" || this.connection.transaction !== "idle") {
      return undefined
    }
    if (this.connection.lost || (job.kind === "cursor" && this.openCursor !== undefined)) {
      // The driver says best why. A cursor that has the connection to itself was sent when it was opened: what came of it is
      // read, so that the connection is free again.
      return undefined
    }
    return this.aborted("the transaction has ended on the server before this statement; it was not run", job.text)
  }

  /**
   * A statement typed by hand may have ended the transaction, and perhaps begun another one in its place: what is done from
   * here on would be applied without what was done before. Nothing more is run in it, and it cannot be committed.
   */
  protected checkEnd(job: Job, error: DbError | undefined): void {
    const { kind, text } = job
    if (kind === "control" || kind === "cursor" || this.top === this.root || !this.begun || this.connection.lost) {
      return
    }
    const boundary = text === undefined ? undefined : boundaryOf(text, this.ground.driver.dialect)
    const isIdle = this.connection.transaction === "idle"
    if (!isIdle && (boundary === undefined || (error !== undefined && !boundary.beside))) {
      return
    }
    // There is one: the innermost frame is not the session's own.
    let over = transactionOf(this.top)!
    // What a transaction that only reads commits is nothing.
    const commits = text === undefined || boundary !== undefined || over.options.readOnly === true
      ? "none"
      : this.ground.driver.commitsImplicitly?.(text) ?? "none"
    if (commits !== "none") {
      // Of several statements one may as well have failed in a way that rolls back what the others did.
      const isCertain = commits === "all" || error === undefined
      const closing = committed(over, excerpt(text!))
      this.begun = false
      if (isCertain) {
        if (closing === undefined) {
          return
        }
        over = closing
      }
    }
    // Without an error, what ended it is either this text's own word, or a statement that commits whatever is open.
    const isRolledBack = boundary === undefined
      ? commits === "none" && error !== undefined && error.outcome !== "Unknown"
      : boundary.how === "rollback"
    // Of a list, the error knows which one it was.
    const culprit = (error?._tag === "QueryError" ? error.statement : undefined) ?? text ?? ""
    this.closeFrame(
      over,
      this.aborted(
        `a statement in the transaction ended it (${excerpt(culprit)})${
          isRolledBack ? "" : ", so that what was done before it may be applied"
        }; nothing was run behind it. Leave COMMIT and ROLLBACK to whoever began the transaction`,
        undefined,
        isRolledBack ? "RolledBack" : "Unknown"
      )
    )
  }

  /** A database without a server has nobody else to refuse a write in a read-only transaction. */
  protected checkReadOnly(job: Job): DbError | undefined {
    if (
      this.top.options.readOnly !== true || job.request === undefined || job.kind === "control" ||
      this.top === this.root ||
      !this.ground.driver.capabilities.singleWriter || !this.connection.writes(job.request.text)
    ) {
      return undefined
    }
    return readOnlyWrite(this.ground.name, job.request.text)
  }

  protected aborted(what: string, statement: string | undefined, outcome: Outcome = "RolledBack"): QueryError {
    const first = this.firstError()
    return new QueryError({
      message: `database "${this.ground.name}": ${what}${
        first === undefined ? "" : `; it failed first with: ${first.message}`
      }`,
      reason: "TransactionAborted",
      outcome,
      database: this.ground.name,
      ...(statement === undefined ? {} : { statement }),
      ...(first === undefined ? {} : { cause: first })
    })
  }

  protected firstError(): DbError | undefined {
    for (let frame: Frame | undefined = this.top; frame !== undefined; frame = frame.parent) {
      if (frame.firstError !== undefined) {
        return frame.firstError
      }
    }
    return undefined
  }

  protected lostError(): ConnectionError {
    const first = this.firstError()
    return first?._tag === "ConnectionError" ? first : lostInside(this.ground.name)
  }

  jobEnded(job: Job, error: DbError | undefined, value: unknown): void {
    this.current = undefined
    if (error !== undefined && job.kind !== "control" && job.frame.firstError === undefined) {
      job.frame.firstError = error
    }
    if (
      error !== undefined && job.begin !== undefined && this.connection.transaction === "idle" && !this.connection.lost
    ) {
      // BEGIN itself was refused, so the statement behind it did not run, and no later one may.
      this.top.closed = this.aborted("its transaction could not be begun", undefined)
    }
    this.checkEnd(job, error)
    this.yieldLock()
    this.armIdleLimit()
    const settled = this.onSettled
    this.onSettled = undefined
    job.resolve(error, value)
    settled?.()
    if (this.onStopped.length > 0) {
      this.onStopped.splice(0).forEach((told) => told())
    }
    if (!this.resumeReleasing()) {
      this.pump()
    }
    this.letGoWhenCut()
  }

  // ---------------------------------------------------------------------------
  // cursors that occupy the connection
  // ---------------------------------------------------------------------------

  protected readAhead(cursor: SessionCursor): void {
    this.submitFirst(this.fetchJob(cursor, 1024, () => {}, undefined))
  }

  protected submitFirst(job: Job): void {
    this.queue.unshift(job)
    this.pump()
  }

  /** Has the cursor bring more rows. */
  fetchJob(
    cursor: SessionCursor,
    count: number,
    done: (error: DbError | undefined) => void,
    deadline: Deadline | undefined
  ): Job {
    let sent = false
    return new Job(
      // Reading ahead happens for whoever is innermost.
      this.top,
      "cursor",
      undefined,
      (_, __, answer) => {
        sent = true
        cursor.cursor.fetch(count, answer)
      },
      (error, value) => {
        if (error === undefined) {
          // `fetch` answers with this type; `Work` carries it as unknown.
          this.fetched(cursor, value as Driver.Fetched)
        } else {
          cursor.failed = error
          if (sent) {
            this.ended(cursor)
          }
        }
        done(error)
      },
      cursor.limit,
      deadline
    )
  }

  private fetched(cursor: SessionCursor, { done, rows }: Driver.Fetched): void {
    if (rows.length > 0) {
      cursor.unread.push(rows)
    }
    if (done) {
      this.ended(cursor)
    }
  }

  /** The driver has closed it. One whose fetch was not even sent is still to be closed. */
  private ended(cursor: SessionCursor): void {
    cursor.done = true
    this.detach(cursor)
  }

  // ---------------------------------------------------------------------------
  // texts of ours
  // ---------------------------------------------------------------------------

  /** Runs a text of ours (BEGIN, SAVEPOINT, COMMIT, ...) in its turn. */
  protected control(
    frame: Frame,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: {
      readonly limit?: number | undefined
      readonly deadline?: Deadline | undefined
      readonly onTurn?: (() => void) | undefined
      /** The text is more than one statement. */
      readonly several?: boolean | undefined
    } = {}
  ): Job {
    const request: Driver.Request = {
      text,
      params: [],
      mode: "values",
      prepare: options.several !== true,
      begin: undefined,
      statementTimeout: undefined,
      lockTimeout: undefined,
      safeIntegers: false
    }
    return new Job(
      frame,
      "control",
      request,
      (connection, begin, answer) => connection.execute(begin === undefined ? request : { ...request, begin }, answer),
      done,
      options.limit ?? this.ground.config.limits.statementTimeout,
      options.deadline,
      options.onTurn
    )
  }

  protected runNow(
    frame: Frame,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: { readonly limit?: number | undefined; readonly deadline?: Deadline | undefined } = {}
  ): void {
    if (this.connection.lost) {
      return done(this.lostError(), undefined)
    }
    const deadline = this.endBy !== undefined && options.limit === undefined ? this.endBy : options.deadline
    this.runOn(this.control(frame, text, done, { limit: options.limit, deadline }))
  }

  protected whenIdle(then: () => void): void {
    if (this.current === undefined) {
      return then()
    }
    const before = this.releasing
    // Whoever ends a frame while its session ends comes first, and the session waits for it.
    this.releasing = before === undefined ? then : () => {
      before()
      this.whenIdle(then)
    }
    if (this.waitsForLock) {
      this.leaveLock(endedMeanwhile(this.current.frame, "waiting"))
      this.resumeReleasing()
    } else {
      this.current.stop(this.current.kind === "control" ? undefined : endedMeanwhile(this.current.frame, "running"))
    }
  }

  protected leaveLock(why: DbError): void {
    const job = this.current!
    this.ground.writeLock!.leave(this)
    this.waitsForLock = false
    this.current = undefined
    job.refuse(why)
  }

  protected resumeReleasing(): boolean {
    const releasing = this.releasing
    if (releasing === undefined || this.current !== undefined) {
      return false
    }
    this.releasing = undefined
    releasing()
    return true
  }

  protected closeFrame(frame: Frame, why: DbError | "ended"): void {
    frame.closed ??= why
    if (this.queue.length === 0) {
      return
    }
    for (const job of this.queue.splice(0)) {
      const refused = this.refusal(job.frame)
      if (refused === undefined) {
        this.queue.push(job)
      } else {
        job.refuse(why === "ended" ? endedMeanwhile(frame, "waiting") : refused)
      }
    }
  }

  // ---------------------------------------------------------------------------
  // the write lock
  // ---------------------------------------------------------------------------

  protected waitForLock(job: Job): void {
    this.current = job
    this.waitsForLock = true
    limitLock(this, this.ground, job.request?.lockTimeout ?? this.ground.config.limits.lockTimeout, job.deadline)
    this.ground.writeLock!.take(this)
  }

  onLock(): void {
    this.hasLock = true
    if (this.waitsForLock) {
      this.waitsForLock = false
      this.start(this.current!)
    }
  }

  onLockRefused(error: DbError): void {
    const job = this.current!
    this.waitsForLock = false
    this.current = undefined
    job.refuse(error)
    this.pump()
  }

  protected yieldLock(): void {
    if (this.hasLock && this.top === this.root && this.connection.transaction === "idle") {
      this.hasLock = false
      this.ground.writeLock!.release(this)
    }
  }
}
