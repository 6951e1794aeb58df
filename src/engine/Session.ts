/**
 * One borrower's time with one connection. Statements of all its fibers queue here, transactions nest here as frames,
 * and when it ends nobody can reach the connection through it any more.
 */
import * as Effect from "effect/Effect"
import { ConnectionError, type DbError, type Holder, isDbError, QueryError, TimeoutError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import type { Origin } from "./Origin.js"
import type { Borrower, Slot } from "./Slot.js"
import { type Deadline, excerpt, giveBack, type Ground, settleLimit, Work } from "./Work.js"
import { limitLock, type Writer } from "./WriteLock.js"

/**
 * A level of a session: its root, its transaction, or a savepoint in it. A statement belongs to the frame in which its
 * fiber runs, and runs only while that frame is the innermost one: a sibling waits until the nested transaction beside
 * it has ended, so what one undoes never contains what another did.
 */
export class Frame {
  child: Frame | undefined = undefined
  /** Why statements of this frame are refused: it has ended, or an error ended it. */
  closed: DbError | "ended" | undefined = undefined
  /** The first error of a statement in this frame: it explains why COMMIT is refused later. */
  firstError: DbError | undefined = undefined
  constructor(
    readonly session: Session,
    readonly parent: Frame | undefined,
    readonly kind: "session" | "transaction" | "savepoint",
    /** The savepoint's name. */
    readonly savepoint: string | undefined
  ) {}
}

/** A request on its way through a session. */
export class Job extends Work {
  /** What `text` would be if it were known when the job is made. */
  readonly text: string | undefined
  constructor(
    readonly frame: Frame,
    /** `open`: opens a cursor; `cursor`: goes on with one. */
    readonly kind: "statement" | "open" | "control" | "cursor",
    readonly request: Driver.Request | undefined,
    private readonly send: (
      connection: Driver.Connection,
      begin: string | undefined,
      done: Driver.Done<unknown>
    ) => void,
    private readonly onEnd: (error: DbError | undefined, value: unknown) => void,
    limit: number,
    deadline: Deadline | undefined,
    /** Called when its turn has come, before it is sent. */
    readonly onTurn?: () => void
  ) {
    super(frame.session.ground, limit, deadline)
    this.text = request?.text
  }

  /** A BEGIN that travels with it. */
  begin: string | undefined = undefined

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    this.send(connection, this.begin, done)
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    this.frame.session.jobEnded(this, error, value)
  }

  resolve(error: DbError | undefined, value: unknown): void {
    this.onEnd(error, value)
  }
}

/** Rows that a session hands out piece by piece. */
export interface SessionCursor {
  readonly cursor: Driver.Cursor
  readonly frame: Frame
  /** Rows read ahead because somebody else needed the connection. */
  buffer: Array<unknown>
  done: boolean
  failed: DbError | undefined
}

/** The one value of an answer of one row and one column, in mode `values`. */
const firstValue = (rows: unknown): string => String((rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0])

/** A COMMIT whose answer did not come, whatever kept it away. */
const commitUnknown = (error: DbError): DbError =>
  error._tag === "QueryError" ? error : new QueryError({
    message: `database "${error.database}": the answer to COMMIT did not come, so the transaction may or may not be ` +
      `applied: ${error.message}`,
    reason: "CommitUnknown",
    outcome: "Unknown",
    database: error.database,
    cause: error
  })

let sessionNumber = 0

export class Session implements Borrower, Writer {
  readonly number = ++sessionNumber
  readonly root: Frame
  line: Writer["line"] = undefined
  lockDeadline = Infinity
  lockLimit = 0
  /** The innermost frame. */
  private top: Frame
  private readonly queue: Array<Job> = []
  private current: Job | undefined = undefined
  private waitsForLock = false
  hasLock = false
  /** A BEGIN that the first statement of the transaction will carry. */
  private pendingBegin: string | undefined = undefined
  /** The transaction was begun on the server, as far as we know. */
  private begun = false
  private readOnly = false
  private openCursor: SessionCursor | undefined = undefined
  private lastStatement: string | undefined = undefined
  private releasing: (() => void) | undefined = undefined
  private savepoints = 0
  readonly openedAt: number

  constructor(
    readonly ground: Ground,
    readonly slot: Slot<Driver.Connection>,
    readonly origin: Origin,
    /** Where the fiber that asked for this session stands in another session of the same database. */
    private readonly inside: Frame | undefined
  ) {
    this.root = new Frame(this, undefined, "session", undefined)
    this.top = this.root
    this.openedAt = ground.clock.unsafeCurrentTimeMillis()
    slot.borrower = this
  }

  get name(): string {
    return `${this.origin.span ?? this.origin.fiber}, session ${this.number}`
  }

  isInside(owner: Writer): boolean {
    for (let frame = this.inside; frame !== undefined; frame = frame.session.inside) {
      if (frame.session === owner && frame.kind !== "session") {
        return true
      }
    }
    return false
  }

  get connection(): Driver.Connection {
    return this.slot.connection
  }

  /** The innermost frame, for a handle that follows the session rather than a fiber's place in it. */
  get innermost(): Frame {
    return this.top
  }

  /** Ends when no statement is being stopped any more, and whoever ran it has been told. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() =>
    this.current === undefined || !this.current.isStopping
      ? Effect.void
      : Effect.zipRight(
        Effect.async<void>((resume) => {
          this.onStopped.push(() => resume(Effect.void))
        }),
        Effect.yieldNow()
      )
  )

  // ---------------------------------------------------------------------------
  // statements
  // ---------------------------------------------------------------------------

  submit(job: Job): void {
    const refused = this.refusal(job.frame)
    if (refused !== undefined) {
      return job.resolve(refused, undefined)
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
        job.resolve(
          new TimeoutError({
            message:
              `database "${this.ground.name}": a statement waited for its turn on the connection of its session ` +
              `until its limit of ${job.deadline.limit} ms was reached; it was not sent`,
            phase: "Acquire",
            outcome: "NotSent",
            database: this.ground.name,
            limitMillis: job.deadline.limit,
            holders: [this.describe(now)],
            ...(job.text === undefined ? {} : { statement: job.text })
          }),
          undefined
        )
      }
    }
  }

  /** Whoever waits for this session has been interrupted: what it still has to do may take as long as settling it does. */
  hurry(): void {
    this.endBy = { at: this.ground.clock.unsafeCurrentTimeMillis() + settleLimit, limit: settleLimit }
    this.current?.hurry()
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

  private readonly onStopped: Array<() => void> = []
  private onSettled: (() => void) | undefined = undefined
  /** The pool has closed, and waits for nothing but the end of what runs. */
  private isCut = false
  /** Bounds what is still to be done to end a frame. */
  private endBy: Deadline | undefined = undefined

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

  private refusal(frame: Frame): DbError | undefined {
    for (let f: Frame | undefined = frame; f !== undefined; f = f.parent) {
      if (f.closed !== undefined) {
        // Made when somebody asks, since nearly nobody ever does, and an error costs more than a whole session.
        return f.closed === "ended" ? this.closedError(f) : f.closed
      }
    }
    return undefined
  }

  private beginNow(): void {
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
  private pump(): void {
    if (this.current !== undefined || this.queue.length === 0) {
      return
    }
    const index = this.queue.findIndex((job) => job.frame === this.top)
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
    this.queue.splice(index, 1)
    const lock = this.ground.writeLock
    if (
      lock !== undefined && !this.hasLock && !this.readOnly && next.request !== undefined &&
      this.connection.writes(next.request.text) && this.connection.transaction === "idle"
    ) {
      return this.waitForLock(next)
    }
    this.start(next)
  }

  private start(job: Job): void {
    this.current = job
    const refused = this.checkTransaction(job) ?? this.checkReadOnly(job)
    if (refused !== undefined) {
      this.current = undefined
      job.resolve(refused, undefined)
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
    }
    this.runOn(job)
  }

  private runOn(job: Job): void {
    this.current = job
    // That of a transaction without a statement, which ends here.
    this.slot.deadline = Infinity
    job.run(this.slot)
  }

  /**
   * A transaction that the server has ended (an automatic rollback, a COMMIT typed by hand, an implicit commit) must
   * not go on as a row of autocommitted statements.
   */
  private checkTransaction(job: Job): DbError | undefined {
    if (this.top === this.root || !this.begun || job.kind === "control" || this.connection.transaction !== "idle") {
      return undefined
    }
    if (this.connection.lost) {
      return undefined
    }
    return this.aborted("the transaction has ended on the server before this statement; it was not run", job.text)
  }

  /** A database without a server has nobody else to refuse a write in a read-only transaction. */
  private checkReadOnly(job: Job): DbError | undefined {
    if (
      !this.readOnly || job.request === undefined || job.kind === "control" || this.top === this.root ||
      !this.ground.driver.capabilities.singleWriter || !this.connection.writes(job.request.text)
    ) {
      return undefined
    }
    return new QueryError({
      message: `database "${this.ground.name}": a write in a read-only transaction was refused`,
      reason: "ReadOnly",
      outcome: "NotSent",
      database: this.ground.name,
      statement: job.request.text
    })
  }

  private aborted(what: string, statement: string | undefined): QueryError {
    const first = this.firstError()
    return new QueryError({
      message: `database "${this.ground.name}": ${what}${
        first === undefined ? "" : `; it failed first with: ${first.message}`
      }`,
      reason: "TransactionAborted",
      outcome: "RolledBack",
      database: this.ground.name,
      ...(statement === undefined ? {} : { statement }),
      ...(first === undefined ? {} : { cause: first })
    })
  }

  private firstError(): DbError | undefined {
    for (let frame: Frame | undefined = this.top; frame !== undefined; frame = frame.parent) {
      if (frame.firstError !== undefined) {
        return frame.firstError
      }
    }
    return undefined
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

  private readAhead(cursor: SessionCursor): void {
    this.submitFirst(this.fetchJob(cursor, 1024, (error, value) => {
      if (error !== undefined) {
        cursor.failed = error
        cursor.done = true
      } else {
        cursor.buffer.push(...value.rows)
        cursor.done = value.done
      }
      if (cursor.done) {
        this.detach(cursor)
      }
    }, undefined))
  }

  private submitFirst(job: Job): void {
    this.queue.unshift(job)
    this.pump()
  }

  fetchJob(
    cursor: SessionCursor,
    count: number,
    done: (
      error: DbError | undefined,
      value: { readonly rows: ReadonlyArray<unknown>; readonly done: boolean }
    ) => void,
    deadline: Deadline | undefined
  ): Job {
    return new Job(
      // Reading ahead happens for whoever is innermost.
      this.top,
      "cursor",
      undefined,
      (_, __, answer) => cursor.cursor.fetch(count, answer),
      // `fetch` answers with this type; `Work` carries it as unknown.
      (error, value) => done(error, value as { readonly rows: ReadonlyArray<unknown>; readonly done: boolean }),
      this.ground.config.limits.statementTimeout,
      deadline
    )
  }

  // ---------------------------------------------------------------------------
  // transactions
  // ---------------------------------------------------------------------------

  /** Runs a text of ours (BEGIN, SAVEPOINT, COMMIT, ...) in its turn. */
  private control(
    frame: Frame,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: {
      readonly limit?: number | undefined
      readonly deadline?: Deadline | undefined
      readonly onTurn?: (() => void) | undefined
    } = {}
  ): Job {
    const request: Driver.Request = {
      text,
      params: [],
      mode: "values",
      prepare: true,
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

  /** Begins the session's transaction in this frame (the root), or a savepoint. The new frame is given to `done`. */
  begin(
    parent: Frame,
    begin: string,
    done: (error: DbError | undefined, frame: Frame | undefined) => void,
    /** `now`: send BEGIN at once instead of with the first statement. */
    options: {
      readonly now?: boolean | undefined
      readonly readOnly?: boolean | undefined
      readonly deadline?: Deadline | undefined
    } = {}
  ): Job | undefined {
    const isOutermost = parent === this.root
    const name = isOutermost ? undefined : `dblive_${++this.savepoints}`
    const frame = new Frame(this, parent, isOutermost ? "transaction" : "savepoint", name)
    const enter = () => {
      if (isOutermost) {
        this.readOnly = options.readOnly === true
      }
      parent.child = frame
      this.top = frame
    }
    if (
      isOutermost && options.now !== true && this.ground.driver.capabilities.pipelinedBegin &&
      this.current === undefined && this.top === parent
    ) {
      const refused = this.refusal(parent)
      if (refused !== undefined) {
        done(refused, undefined)
        return undefined
      }
      // Nothing is sent yet: BEGIN travels with the first statement, one round trip less.
      this.pendingBegin = begin
      this.begun = false
      enter()
      done(undefined, frame)
      return undefined
    }
    const job = this.control(
      parent,
      name === undefined ? begin : this.ground.driver.transaction.savepoint(name),
      (error) => {
        if (error === undefined) {
          enter()
          if (isOutermost) {
            this.begun = true
          }
        }
        done(error, error === undefined ? frame : undefined)
      },
      {
        deadline: options.deadline,
        onTurn: () => {
          // The savepoint is the first statement of its transaction: BEGIN goes ahead of it.
          if (!isOutermost && this.pendingBegin !== undefined) {
            job.begin = this.pendingBegin
            this.pendingBegin = undefined
            this.begun = true
          }
        }
      }
    )
    this.submit(job)
    return job
  }

  /**
   * Ends a frame. `commit`: success only when the database says that it is committed; otherwise everything of the frame
   * is undone and the error says why. The frame is left in every case.
   */
  end(
    frame: Frame,
    how: "commit" | "rollback",
    done: (error: DbError | undefined) => void,
    options: {
      /** Told the transaction's id before COMMIT is sent, so that its fate can be asked for when the answer is lost. */
      readonly onTransactionId?: ((id: string) => void) | undefined
      /** Until when COMMIT has to be answered. */
      readonly deadline?: Deadline | undefined
    } = {}
  ): void {
    const { transaction, transactionId } = this.ground.driver
    if (!this.isOpen(frame)) {
      // The frame around it ended first and took it along: a fiber outlived its transaction.
      return done(how === "commit" ? this.refusal(frame) ?? this.closedError(frame) : undefined)
    }
    // A limit may have ended it already; then that is why it cannot be committed.
    const ended = this.endOf(frame)
    // What forked fibers of this frame still have under way is over now.
    this.closeFrame(frame, "ended")
    this.endBy = undefined
    const leave = (error: DbError | undefined) => {
      this.endBy = undefined
      this.top = frame.parent!
      frame.parent!.child = undefined
      if (frame.kind === "transaction") {
        this.pendingBegin = undefined
        this.begun = false
        this.readOnly = false
      }
      this.yieldLock()
      done(error)
      this.pump()
    }
    const proceed = () => {
      if (frame.kind === "transaction" && !this.begun) {
        // BEGIN was never sent: there is nothing to end.
        return leave(undefined)
      }
      if (how === "rollback") {
        return this.undo(frame, leave)
      }
      if (ended !== undefined) {
        return this.undo(frame, () => leave(ended))
      }
      if (this.connection.transaction !== "open") {
        const error = this.connection.lost ? this.lostError() : this.aborted(
          this.connection.transaction === "failed"
            ? "the transaction cannot be committed, because a statement in it failed; it was rolled back"
            : "the transaction had ended on the server before it was to be committed",
          undefined
        )
        // A savepoint's failure is undone by going back to it; only the transaction as a whole is lost.
        return this.undo(frame, () => leave(error))
      }
      const text = frame.savepoint === undefined ? transaction.commit : transaction.release?.(frame.savepoint)
      if (text === undefined) {
        return leave(undefined)
      }
      const finish = () =>
        this.runNow(frame, text, (error) => {
          if (error === undefined) {
            return leave(undefined)
          }
          const why = frame.kind === "transaction" && error.outcome === "Unknown" ? commitUnknown(error) : error
          this.undo(frame, () => leave(why))
        }, { deadline: options.deadline })
      const { onTransactionId } = options
      if (onTransactionId === undefined || transactionId === undefined || frame.kind !== "transaction") {
        return finish()
      }
      this.runNow(frame, transactionId, (error, value) => {
        if (error !== undefined) {
          return this.undo(frame, () => leave(error))
        }
        onTransactionId(firstValue(value))
        finish()
      }, { deadline: options.deadline })
    }
    this.whenIdle(proceed)
  }

  /** Goes back to where the frame began; a connection on which that fails is dropped, and the server undoes it. */
  private undo(frame: Frame, done: (error: DbError | undefined) => void): void {
    if (this.connection.lost || this.connection.transaction === "idle") {
      return done(undefined)
    }
    const { transaction } = this.ground.driver
    const text = frame.savepoint === undefined ? transaction.rollback : transaction.rollbackTo(frame.savepoint)
    this.runNow(frame, text, (error) => {
      if (error !== undefined) {
        this.connection.destroy()
        return done(error)
      }
      const release = frame.savepoint === undefined ? undefined : transaction.release?.(frame.savepoint)
      if (release === undefined) {
        return done(undefined)
      }
      // Going back keeps the savepoint and its locks; releasing it frees them.
      this.runNow(frame, release, (error) => done(error), { limit: settleLimit })
    }, { limit: settleLimit })
  }

  private runNow(
    frame: Frame,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: { readonly limit?: number | undefined; readonly deadline?: Deadline | undefined } = {}
  ): void {
    const deadline = this.endBy !== undefined && options.limit === undefined ? this.endBy : options.deadline
    this.runOn(this.control(frame, text, done, { limit: options.limit, deadline }))
  }

  private whenIdle(then: () => void): void {
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
      this.leaveLock(this.closedError(this.current.frame))
      this.resumeReleasing()
    } else {
      this.current.stop(this.current.kind === "control" ? undefined : this.closedError(this.current.frame))
    }
  }

  private leaveLock(why: DbError): void {
    const job = this.current!
    this.ground.writeLock!.leave(this)
    this.waitsForLock = false
    this.current = undefined
    job.resolve(why, undefined)
  }

  private resumeReleasing(): boolean {
    const releasing = this.releasing
    if (releasing === undefined || this.current !== undefined) {
      return false
    }
    this.releasing = undefined
    releasing()
    return true
  }

  private isOpen(frame: Frame): boolean {
    for (let f: Frame | undefined = this.top; f !== undefined; f = f.parent) {
      if (f === frame) {
        return true
      }
    }
    return false
  }

  /** The limit that has ended a frame, or one around it. */
  private endOf(frame: Frame): DbError | undefined {
    for (let f: Frame | undefined = frame; f !== undefined; f = f.parent) {
      if (f.closed !== undefined && f.closed !== "ended") {
        return f.closed
      }
    }
    return undefined
  }

  private closeFrame(frame: Frame, why: DbError | "ended"): void {
    frame.closed ??= why
    if (this.queue.length === 0) {
      return
    }
    for (const job of this.queue.splice(0)) {
      const refused = this.refusal(job.frame)
      if (refused === undefined) {
        this.queue.push(job)
      } else {
        job.resolve(refused, undefined)
      }
    }
  }

  // ---------------------------------------------------------------------------
  // the write lock
  // ---------------------------------------------------------------------------

  private waitForLock(job: Job): void {
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
    job.resolve(error, undefined)
    this.pump()
  }

  private yieldLock(): void {
    if (this.hasLock && this.top === this.root && this.connection.transaction === "idle") {
      this.hasLock = false
      this.ground.writeLock!.release(this)
    }
  }

  // ---------------------------------------------------------------------------
  // limits
  // ---------------------------------------------------------------------------

  private armIdleLimit(): void {
    const limit = this.ground.config.limits.idleInTransactionTimeout
    if (limit > 0 && this.connection.transaction !== "idle" && this.releasing === undefined) {
      this.slot.deadline = this.ground.clock.unsafeCurrentTimeMillis() + limit
      this.ground.alarm.at(this.slot.deadline)
    }
  }

  onDeadline(): void {
    const current = this.current
    if (current !== undefined) {
      return current.onDeadline()
    }
    const limit = this.ground.config.limits.idleInTransactionTimeout
    const error = new TimeoutError({
      message: `database "${this.ground.name}": a transaction stood open without a statement for ${limit} ms and was ` +
        "rolled back. Do nothing slow between the statements of a transaction",
      phase: "IdleInTransaction",
      outcome: "RolledBack",
      database: this.ground.name,
      limitMillis: limit
    })
    // The session around it may go on; one who began by hand has no frame.
    this.closeFrame(this.root.child ?? this.root, error)
    this.runNow(this.top, this.ground.driver.transaction.rollback, (failed) => {
      if (failed !== undefined) {
        this.connection.destroy()
      }
      if (this.hasLock) {
        this.hasLock = false
        this.ground.writeLock!.release(this)
      }
    }, { limit: settleLimit })
  }

  onCut(error: TimeoutError, how: "stop" | "drop"): void {
    if (how === "drop") {
      this.current?.drop(error)
      return
    }
    this.isCut = true
    const outcome = this.connection.transaction === "idle" ? "NotSent" : "RolledBack"
    // That of statements that are not sent any more.
    const refused = new TimeoutError({ ...error, message: error.message, outcome })
    this.closeFrame(this.root, refused)
    if (this.waitsForLock) {
      this.leaveLock(refused)
    } else {
      this.current?.stop(error)
    }
    this.letGoWhenCut()
  }

  private letGoWhenCut(): void {
    if (this.isCut && this.current === undefined) {
      this.ground.pool.discard(this.slot, false)
    }
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /**
   * Gives the connection back: nobody can use it through this session any more, what runs is stopped, an open
   * transaction is ended. `done` is called when no lock of it is left; cleaning goes on behind.
   */
  release(done: () => void): void {
    this.closeFrame(this.root, "ended")
    this.whenIdle(() => {
      this.top = this.root
      this.root.child = undefined
      this.pendingBegin = undefined
      giveBack(this.ground, this.slot, () => {
        if (this.hasLock) {
          this.hasLock = false
          this.ground.writeLock!.release(this)
        }
        done()
      })
    })
  }

  /** {@link release} as an effect that cannot be interrupted: it waits for the server at most `settleLimit`. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    let isDone = false
    let resume: ((effect: Effect.Effect<void>) => void) | undefined = undefined
    this.release(() => {
      isDone = true
      resume?.(Effect.void)
    })
    return isDone ? Effect.void : Effect.async<void>((resume_) => {
      if (isDone) {
        resume_(Effect.void)
      } else {
        resume = resume_
      }
    })
  })

  describe(now: number): Holder {
    const statement = this.lastStatement
    return {
      ...(this.origin.span === undefined ? {} : { span: this.origin.span }),
      fiber: this.origin.fiber,
      heldForMillis: now - this.slot.lentAt,
      state: this.current !== undefined
        ? "running"
        : this.connection.transaction !== "idle"
        ? "idle in transaction"
        : "idle",
      ...(statement === undefined ? {} : { statement: excerpt(statement) })
    }
  }

  private closedError(frame: Frame): ConnectionError {
    const what = frame.kind === "session"
      ? "session"
      : frame.kind === "transaction"
      ? "transaction"
      : "nested transaction"
    return new ConnectionError({
      message: `database "${this.ground.name}": this ${what} (session ${this.number}) has ended, and a fiber that ` +
        `outlived it tried to use its connection. Join or interrupt forked fibers before the ${what} ends`,
      reason: "Closed",
      outcome: "NotSent",
      database: this.ground.name
    })
  }

  private lostError(): ConnectionError {
    const first = this.firstError()
    return first !== undefined && isDbError(first) && first._tag === "ConnectionError" ? first : new ConnectionError({
      message:
        `database "${this.ground.name}": the connection was lost inside a transaction, which is rolled back by it`,
      reason: "Lost",
      outcome: "RolledBack",
      database: this.ground.name
    })
  }
}
