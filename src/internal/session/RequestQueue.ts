/**
 * Whose turn it is on a session's connection: the statements of all its fibers queue here, those of the innermost level run
 * one after the other, and what is taken back while it runs is stopped before the next begins.
 */
import * as Effect from "effect/Effect"
import type { ConnectionError } from "../../DbError.js"
import { type DbError, type Holder, type Outcome, QueryError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { Caller } from "../fiber/Caller.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import type { Deadline } from "../request/Deadline.js"
import { type EngineContext, excerpt } from "../request/Request.js"
import { type SessionCursor, SessionRequest } from "../request/SessionRequest.js"
import { endedMeanwhile, lostInside, outlived, readOnlyWrite, turnTimeout } from "./errors.js"
import { committed, transactionOf } from "./ImplicitCommit.js"
import { transactionEndOf } from "./TransactionControl.js"
import type { TransactionLevel } from "./TransactionLevel.js"
import { limitLock, type Writer } from "./WriteLock.js"

export abstract class RequestQueue implements Writer {
  abstract readonly number: number
  abstract readonly root: TransactionLevel
  abstract readonly name: string
  /** The innermost level. */
  protected abstract top: TransactionLevel
  links: Writer["links"] = undefined
  lockDeadline = Infinity
  lockLimit = 0
  protected readonly queue: Array<SessionRequest> = []
  protected current: SessionRequest | undefined = undefined
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
  /** Bounds what is still to be done to end a level. */
  protected endBy: Deadline | undefined = undefined

  constructor(
    readonly engine: EngineContext,
    readonly entry: PoolEntry<Driver.Connection>,
    readonly origin: Caller
  ) {}

  abstract isInside(owner: Writer): boolean
  abstract describe(now: number): Holder
  /** Nothing runs any more: sets the limit of a transaction that stands open. */
  protected abstract armIdleLimit(): void
  /** Nothing runs any more: lets go of the connection where that is all that was waited for. */
  protected abstract letGoWhenCut(): void

  get connection(): Driver.Connection {
    return this.entry.connection
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

  submit(request: SessionRequest): void {
    const refused = this.refusal(request.level)
    if (refused !== undefined) {
      return request.refuse(refused)
    }
    this.queue.push(request)
    this.pump()
    if (request.deadline !== undefined && request.isNew && this.current !== request) {
      this.limitQueue(request.deadline)
    }
  }

  private limitQueue({ at }: Deadline): void {
    if (at < this.entry.queueDeadline) {
      this.entry.queueDeadline = at
      this.engine.timer.at(at)
    }
  }

  /** Refuses those whose deadline came before their turn: the connection was busy with others of this session. */
  onQueueDeadline(now: number): void {
    for (const request of this.queue.splice(0)) {
      if (request.deadline === undefined || request.deadline.at > now) {
        this.queue.push(request)
        if (request.deadline !== undefined) {
          this.limitQueue(request.deadline)
        }
      } else {
        request.refuse(turnTimeout(this.engine.name, request.text, request.deadline.limit, this.describe(now)))
      }
    }
  }
  /** Takes a job back: never sent if it still waits, stopped on the server if it runs. `settled` is called when it is over. */
  withdraw(request: SessionRequest, settled: () => void): void {
    const index = this.queue.indexOf(request)
    if (index >= 0) {
      this.queue.splice(index, 1)
      settled()
    } else if (this.current === request) {
      if (this.waitsForLock) {
        this.engine.writeLock!.withdraw(this)
        this.waitsForLock = false
        this.current = undefined
        settled()
        this.pump()
      } else {
        this.onSettled = settled
        request.stop(undefined)
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

  protected refusal(level: TransactionLevel): DbError | undefined {
    for (let f: TransactionLevel | undefined = level; f !== undefined; f = f.parent) {
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
        this.closeLevel(this.top, error)
      }
    })
  }

  /** Starts the first job whose level is the innermost one. */
  protected pump(): void {
    if (this.current !== undefined || this.queue.length === 0) {
      return
    }
    const index = this.queue[0]!.level === this.top ? 0 : this.queue.findIndex((request) => request.level === this.top)
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
    const lock = this.engine.writeLock
    if (
      lock !== undefined && !this.hasLock && !this.readOnly && next.request !== undefined &&
      this.connection.writes(next.request.text) && this.connection.transaction === "idle"
    ) {
      return this.waitForLock(next)
    }
    this.start(next)
  }

  protected start(request: SessionRequest): void {
    this.current = request
    const refused = this.checkTransaction(request) ?? this.checkReadOnly(request)
    if (refused !== undefined) {
      this.current = undefined
      request.refuse(refused)
      return this.pump()
    }
    if (this.pendingBegin !== undefined && request.kind !== "control") {
      request.begin = this.pendingBegin
      this.pendingBegin = undefined
      this.begun = true
    }
    request.onTurn?.()
    if (request.text !== undefined) {
      this.lastStatement = request.text
      if (this.onText !== undefined && request.kind !== "control") {
        this.onText(request.text)
      }
    }
    this.runOn(request)
  }

  protected runOn(request: SessionRequest): void {
    this.current = request
    // That of a transaction without a statement, which ends here.
    this.entry.deadline = Infinity
    request.run(this.entry)
  }

  /**
   * A transaction that the server has ended (an automatic rollback, a COMMIT typed by hand, an implicit commit) must
   * not go on as a row of autocommitted statements.
   */
  protected checkTransaction(request: SessionRequest): DbError | undefined {
    if (this.top === this.root || !this.begun || request.kind === "control" || this.connection.transaction !== "idle") {
      return undefined
    }
    if (this.connection.lost || (request.kind === "cursor" && this.openCursor !== undefined)) {
      // The driver says best why. A cursor that has the connection to itself was sent when it was opened: what came of it is
      // read, so that the connection is free again.
      return undefined
    }
    return this.aborted("the transaction has ended on the server before this statement; it was not run", request.text)
  }

  /**
   * A statement typed by hand may have ended the transaction, and perhaps begun another one in its place: what is done from
   * here on would be applied without what was done before. Nothing more is run in it, and it cannot be committed.
   */
  protected checkEnd(request: SessionRequest, error: DbError | undefined): void {
    const { kind, text } = request
    if (kind === "control" || kind === "cursor" || this.top === this.root || !this.begun || this.connection.lost) {
      return
    }
    const transactionEnd = text === undefined ? undefined : transactionEndOf(text, this.engine.driver.dialect)
    const isIdle = this.connection.transaction === "idle"
    if (!isIdle && (transactionEnd === undefined || (error !== undefined && !transactionEnd.beside))) {
      return
    }
    // There is one: the innermost level is not the session's own.
    let over = transactionOf(this.top)!
    // What a transaction that only reads commits is nothing.
    const commits = text === undefined || transactionEnd !== undefined || over.options.readOnly === true
      ? "none"
      : this.engine.driver.commitsImplicitly?.(text) ?? "none"
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
    const isRolledBack = transactionEnd === undefined
      ? commits === "none" && error !== undefined && error.outcome !== "Unknown"
      : transactionEnd.how === "rollback"
    // Of a list, the error knows which one it was.
    const culprit = (error?._tag === "QueryError" ? error.statement : undefined) ?? text ?? ""
    this.closeLevel(
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
  protected checkReadOnly(request: SessionRequest): DbError | undefined {
    if (
      this.top.options.readOnly !== true || request.request === undefined || request.kind === "control" ||
      this.top === this.root ||
      !this.engine.driver.capabilities.singleWriter || !this.connection.writes(request.request.text)
    ) {
      return undefined
    }
    return readOnlyWrite(this.engine.name, request.request.text)
  }

  protected aborted(what: string, statement: string | undefined, outcome: Outcome = "RolledBack"): QueryError {
    const first = this.firstError()
    return new QueryError({
      message: `database "${this.engine.name}": ${what}${
        first === undefined ? "" : `; it failed first with: ${first.message}`
      }`,
      reason: "TransactionAborted",
      outcome,
      database: this.engine.name,
      ...(statement === undefined ? {} : { statement }),
      ...(first === undefined ? {} : { cause: first })
    })
  }

  protected firstError(): DbError | undefined {
    for (let level: TransactionLevel | undefined = this.top; level !== undefined; level = level.parent) {
      if (level.firstError !== undefined) {
        return level.firstError
      }
    }
    return undefined
  }

  protected lostError(): ConnectionError {
    const first = this.firstError()
    return first?._tag === "ConnectionError" ? first : lostInside(this.engine.name)
  }

  requestEnded(request: SessionRequest, error: DbError | undefined, value: unknown): void {
    this.current = undefined
    if (error !== undefined && request.kind !== "control" && request.level.firstError === undefined) {
      request.level.firstError = error
    }
    if (
      error !== undefined && request.begin !== undefined && this.connection.transaction === "idle" &&
      !this.connection.lost
    ) {
      // BEGIN itself was refused, so the statement behind it did not run, and no later one may.
      this.top.closed = this.aborted("its transaction could not be begun", undefined)
    }
    this.checkEnd(request, error)
    this.yieldLock()
    this.armIdleLimit()
    const settled = this.onSettled
    this.onSettled = undefined
    request.resolve(error, value)
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

  protected submitFirst(request: SessionRequest): void {
    this.queue.unshift(request)
    this.pump()
  }

  /** Has the cursor bring more rows. */
  fetchJob(
    cursor: SessionCursor,
    count: number,
    done: (error: DbError | undefined) => void,
    deadline: Deadline | undefined
  ): SessionRequest {
    let sent = false
    return new SessionRequest(
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
    level: TransactionLevel,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: {
      readonly limit?: number | undefined
      readonly deadline?: Deadline | undefined
      readonly onTurn?: (() => void) | undefined
      /** The text is more than one statement. */
      readonly several?: boolean | undefined
    } = {}
  ): SessionRequest {
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
    return new SessionRequest(
      level,
      "control",
      request,
      (connection, begin, answer) => connection.execute(begin === undefined ? request : { ...request, begin }, answer),
      done,
      options.limit ?? this.engine.config.limits.statementTimeout,
      options.deadline,
      options.onTurn
    )
  }

  protected runNow(
    level: TransactionLevel,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: { readonly limit?: number | undefined; readonly deadline?: Deadline | undefined } = {}
  ): void {
    if (this.connection.lost) {
      return done(this.lostError(), undefined)
    }
    const deadline = this.endBy !== undefined && options.limit === undefined ? this.endBy : options.deadline
    this.runOn(this.control(level, text, done, { limit: options.limit, deadline }))
  }

  protected whenIdle(then: () => void): void {
    if (this.current === undefined) {
      return then()
    }
    const before = this.releasing
    // Whoever ends a level while its session ends comes first, and the session waits for it.
    this.releasing = before === undefined ? then : () => {
      before()
      this.whenIdle(then)
    }
    if (this.waitsForLock) {
      this.leaveLock(endedMeanwhile(this.current.level, "waiting"))
      this.resumeReleasing()
    } else {
      this.current.stop(this.current.kind === "control" ? undefined : endedMeanwhile(this.current.level, "running"))
    }
  }

  protected leaveLock(why: DbError): void {
    const request = this.current!
    this.engine.writeLock!.withdraw(this)
    this.waitsForLock = false
    this.current = undefined
    request.refuse(why)
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

  protected closeLevel(level: TransactionLevel, why: DbError | "ended"): void {
    level.closed ??= why
    if (this.queue.length === 0) {
      return
    }
    for (const request of this.queue.splice(0)) {
      const refused = this.refusal(request.level)
      if (refused === undefined) {
        this.queue.push(request)
      } else {
        request.refuse(why === "ended" ? endedMeanwhile(level, "waiting") : refused)
      }
    }
  }

  // ---------------------------------------------------------------------------
  // the write lock
  // ---------------------------------------------------------------------------

  protected waitForLock(request: SessionRequest): void {
    this.current = request
    this.waitsForLock = true
    limitLock(
      this,
      this.engine,
      request.request?.lockTimeout ?? this.engine.config.limits.lockTimeout,
      request.deadline
    )
    this.engine.writeLock!.acquire(this)
  }

  onLock(): void {
    this.hasLock = true
    if (this.waitsForLock) {
      this.waitsForLock = false
      this.start(this.current!)
    }
  }

  onLockRefused(error: DbError): void {
    const request = this.current!
    this.waitsForLock = false
    this.current = undefined
    request.refuse(error)
    this.pump()
  }

  protected yieldLock(): void {
    if (this.hasLock && this.top === this.root && this.connection.transaction === "idle") {
      this.hasLock = false
      this.engine.writeLock!.release(this)
    }
  }
}
