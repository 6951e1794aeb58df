/**
 * The requests on a session's connection: the statements of all its fibers queue here, those of the innermost level run
 * one after the other, and what is taken back while it runs is stopped before the next begins.
 */
import * as Effect from "effect/Effect"
import type { DbError, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { cutWaiting, endedMeanwhile, ofSent, statementTimeout, turnTimeout } from "../error/engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { Borrower, PoolEntry } from "../pool/PoolEntry.js"
import { type Deadline, settleLimit } from "../request/Deadline.js"
import type { EngineContext, RequestOwner, SessionRequest } from "../request/Request.js"
import { control, type ControlOptions } from "./control.js"
import { expiredBy, refuseSome, SentAhead } from "./SentAhead.js"
import type { SessionCursor } from "./SessionCursor.js"
import { SessionLock } from "./SessionLock.js"
import { settlementOf } from "./settlement.js"
import type { TransactionLevel } from "./TransactionLevel.js"
import type { TransactionState } from "./TransactionState.js"
import type { Writer } from "./WriteLock.js"

/** The session whose requests queue. */
interface QueueSession extends Pick<Borrower, "describe"> {
  readonly number: number
  readonly name: string
  readonly isInside: (lock: Writer) => boolean
}

/** What every queue has that nothing waits in; never changed. */
const noRequests: Array<SessionRequest> = []

export class RequestQueue<S = unknown> implements RequestOwner {
  private waiting = noRequests
  private current: SessionRequest | undefined = undefined
  private waitsForLock = false
  /** What was sent before its turn; made when there first is such. */
  private ahead: SentAhead | undefined = undefined
  /** This session as one that writes; made when it first has to. */
  lock: SessionLock | undefined = undefined
  /** A cursor that must read its rest ahead before anything else can run. */
  private openCursor: SessionCursor | undefined = undefined
  lastStatement: string | undefined = undefined
  /** The fiber that holds the session as a resource of its own, as long as no other one uses it: then either can give it back. */
  reservedBy: AnyFiber | undefined = undefined
  /** Told the text of each of the program's statements just before it is sent. */
  onText: ((text: string) => void) | undefined = undefined
  /** Bounds what is still to be done to end a level. */
  endBy: Deadline | undefined = undefined
  /** The pool has closed, and waits for nothing but the end of what runs. */
  private isCut = false
  private isBeginning = false
  private isAsked = false

  constructor(
    readonly engine: EngineContext,
    readonly entry: PoolEntry<Driver.Connection>,
    readonly state: TransactionState<S>,
    private readonly session: QueueSession
  ) {}

  get number(): number {
    return this.session.number
  }

  get connection(): Driver.Connection {
    return this.entry.connection
  }

  get innermost(): TransactionLevel {
    return this.state.innermost
  }

  get isRunning(): boolean {
    return this.current !== undefined || this.ahead?.isBusy === true
  }

  /** What runs ends a level. */
  get isEnding(): boolean {
    return this.current?.kind === "control" && this.current.level.isEnding
  }

  /** Ends when no statement is being stopped any more, and the fiber that ran it has its answer. */
  get settled(): Effect.Effect<void> {
    return Effect.suspend(() => settlementOf(this.current))
  }

  // ---------------------------------------------------------------------------
  // turns
  // ---------------------------------------------------------------------------

  submit(request: SessionRequest): void {
    const refused = this.state.refusal(request.level)
    if (refused !== undefined) {
      return request.refuse(refused)
    }
    if (this.reservedBy !== request.fiber && request.fiber !== undefined) {
      this.reservedBy = undefined
    }
    if (this.waiting === noRequests) {
      this.waiting = []
    }
    this.waiting.push(request)
    this.pump()
    if (request.deadline !== undefined && request.isNew) {
      this.limitTurn(request.deadline)
    }
  }

  private limitTurn({ at }: Deadline): void {
    if (at < this.entry.queueDeadline) {
      this.entry.queueDeadline = at
      this.engine.timer.at(at)
    }
  }

  /** Refuses requests whose deadline came before their turn: the connection was busy with others of this session. */
  onQueueDeadline(now: number): void {
    const expired = expiredBy(now, (deadline) => this.limitTurn(deadline))
    const { name } = this.engine
    refuseSome(this.waiting, expired((text, limit) => turnTimeout(name, text, limit, this.session.describe(now))))
    this.ahead?.refuse(expired((text, limit) => statementTimeout(name, text, limit, "Unknown")))
    this.ahead?.onTime(now)
  }

  /** Takes a request back: never sent if it still waits, stopped on the server if it runs. `settled` is called when it is over. */
  withdraw(request: SessionRequest, settled: () => void): void {
    const index = this.waiting.indexOf(request)
    if (index >= 0) {
      this.waiting.splice(index, 1)
      settled()
    } else if (this.current !== request) {
      this.ahead?.remove(request)
      settled()
    } else if (this.waitsForLock) {
      this.leaveLock()
      settled()
      this.pump()
    } else {
      request.onSettled(settled)
      request.stop(undefined)
    }
  }

  /** Begins what waits. Those that end at once do so one after the other: thousands would be as many calls in one another. */
  pump(): void {
    this.isAsked = true
    if (this.isBeginning) {
      return
    }
    this.isBeginning = true
    try {
      while (this.isAsked) {
        this.isAsked = false
        this.begin()
      }
    } finally {
      this.isBeginning = false
    }
  }

  /** Starts the first request whose level is the innermost one. */
  private begin(): void {
    const { ahead, state, waiting } = this
    if (this.current !== undefined) {
      return
    }
    const sent = ahead?.next()
    if (sent !== undefined) {
      return this.start(sent)
    }
    if (waiting.length === 0 || ahead?.isBusy === true) {
      return
    }
    const { innermost } = state
    const index = waiting[0]!.level === innermost ? 0 : waiting.findIndex(({ level }) => level === innermost)
    if (index < 0) {
      return
    }
    const next = waiting[index]!
    if (this.openCursor !== undefined && next.kind !== "cursor") {
      waiting.unshift(this.openCursor.fetchAhead())
      return this.pump()
    }
    if (state.pendingBegin !== undefined && next.kind === "open") {
      // A driver may send a cursor's statement with the first fetch only, and another statement may come before that.
      const level = this.innermost
      return this.runNow(level, state.takeBegin()!, (error) => {
        if (error !== undefined) {
          this.closeLevel(level, error)
        }
      })
    }
    if (index === 0 && waiting.length > 1 && this.sendAhead()) {
      return this.pump()
    }
    if (index === 0) {
      waiting.shift()
    } else {
      waiting.splice(index, 1)
    }
    if (this.needsLock(next)) {
      return this.waitForLock(next)
    }
    this.start(next)
  }

  /** Sends the first of those that wait in one write, where they can go together. */
  private sendAhead(): boolean {
    if (this.state.pendingBegin !== undefined || this.onText !== undefined) {
      return false
    }
    const ahead = this.ahead ??= new SentAhead(this)
    const count = ahead.countOf(this.waiting)
    if (count > 1) {
      ahead.send(this.waiting.splice(0, count))
    }
    return count > 1
  }

  private start(request: SessionRequest): void {
    this.current = request
    const refused = this.state.before(request, this.openCursor !== undefined)
    if (refused !== undefined) {
      this.current = undefined
      request.refuse(refused)
      return this.pump()
    }
    if (request.kind !== "cursor") {
      // The rows of a cursor that was opened before the transaction begin nothing, and their fetch could not carry it.
      request.begin = this.state.takeBegin()
    }
    if (request.text !== undefined) {
      this.lastStatement = request.text
      if (this.onText !== undefined && request.kind !== "control") {
        this.onText(request.text)
      }
    }
    this.run(request)
  }

  private run(request: SessionRequest): void {
    this.current = request
    // That of a transaction without a statement, which ends here.
    this.entry.deadline = Infinity
    request.run(this.entry)
  }

  requestEnded(request: SessionRequest, error: DbError | undefined, value: unknown): void {
    this.current = undefined
    const closing = this.state.after(request, error)
    if (closing !== undefined) {
      this.closeLevel(closing.level, closing.error)
    }
    this.yieldLock()
    this.limitIdle()
    this.ahead?.bound()
    // Whatever has waited for its end may run something in its place.
    request.resolve(error, value)
    this.pump()
    this.releaseWhenCut()
  }

  // ---------------------------------------------------------------------------
  // statements of the engine's own
  // ---------------------------------------------------------------------------

  /** Runs a text of the engine's own before everything that waits. */
  runNow(
    level: TransactionLevel,
    text: string,
    done: (error: DbError | undefined, value: unknown) => void,
    options: Pick<ControlOptions, "limit" | "deadline" | "onPosition"> = {}
  ): void {
    if (this.connection.lost) {
      return done(this.state.lost, undefined)
    }
    const deadline = this.endBy !== undefined && options.limit === undefined ? this.endBy : options.deadline
    this.run(control(this, level, text, done, { ...options, deadline }))
  }

  /**
   * Stops what runs, and calls `then` when nothing does, or the level has ended.
   * @param level the level that ends, whose work is undone with `isUndone`; the whole session without one
   * @param until how long is waited for what nothing else waits for, in the clock's milliseconds
   */
  whenIdle(level: TransactionLevel | undefined, isUndone: boolean, until: number, then: () => void): void {
    const { ahead, current } = this
    if (level !== undefined && !this.state.isOpen(level)) {
      return then()
    }
    const again = () => this.whenIdle(level, isUndone, until, then)
    if (current === undefined) {
      return ahead?.isBusy === true ? ahead.whenQuiet(isUndone, until, again) : then()
    }
    if (this.isEnding && level !== undefined) {
      // That of this level, asked for by another fiber, or of one around it, which takes this one along; or of one in it.
      if (isUndone && current.level.depth > level.depth) current.hurry()
      return current.onSettled(again)
    }
    if (this.waitsForLock) {
      this.leaveLock().refuse(endedMeanwhile(this.engine.name, this.number, current.level, "waiting"))
      return then()
    }
    // What was told before may run something: the end of a level comes before that of its session.
    current.onSettled(again)
    const { kind, level: where } = current
    current.stop(kind === "control" ? undefined : endedMeanwhile(this.engine.name, this.number, where, "running"))
  }

  /** Refuses what waits, and whatever comes, in a level and in those that are nested in it. */
  closeLevel(level: TransactionLevel, why: DbError | "ended"): void {
    level.closed ??= why
    const refusal = (where: "running" | "waiting") => (request: SessionRequest): DbError | undefined => {
      const refused = this.state.refusal(request.level)
      return refused !== undefined && why === "ended"
        ? endedMeanwhile(this.engine.name, this.number, level, where)
        : refused
    }
    refuseSome(this.waiting, refusal("waiting"))
    this.ahead?.refuse((request) => ofSent(refusal("running")(request)))
  }

  /** The fiber that waits for the end of the session was interrupted: what is still to be done has the time of settling it. */
  hurry(): void {
    this.endBy = { at: this.engine.clock.unsafeCurrentTimeMillis() + settleLimit, limit: settleLimit }
    ;(this.current ?? this.ahead)?.hurry()
  }

  // ---------------------------------------------------------------------------
  // limits
  // ---------------------------------------------------------------------------

  /** Nothing runs: a transaction may stand open only so long. */
  limitIdle(): void {
    const limit = this.engine.config.limits.idleInTransactionTimeout
    if (limit > 0 && this.connection.transaction !== "idle" && this.ahead?.isBusy !== true) {
      this.entry.deadline = this.engine.clock.unsafeCurrentTimeMillis() + limit
      this.engine.timer.at(this.entry.deadline)
    }
  }

  /** The limit of what runs is reached. `false` where nothing runs: then it is that of an idle transaction. */
  expireCurrent(): boolean {
    const { current } = this
    current?.onDeadline()
    return current !== undefined || this.ahead?.expire() === true
  }

  /** The pool closes and does not wait any longer. */
  cut(error: TimeoutError, how: "stop" | "drop"): void {
    if (how === "drop") {
      if (this.current === undefined && this.ahead?.isBusy === true) {
        this.connection.destroy()
      }
      this.current?.drop(error)
      return
    }
    this.isCut = true
    const refused = cutWaiting(error, this.connection.transaction === "idle")
    this.closeLevel(this.state.root, refused)
    if (this.waitsForLock) {
      this.leaveLock().refuse(refused)
    } else {
      this.current?.stop(error)
    }
    this.releaseWhenCut()
  }

  private releaseWhenCut(): void {
    if (this.isCut && this.current === undefined) {
      this.engine.pool.evict(this.entry, false)
    }
  }

  // ---------------------------------------------------------------------------
  // cursors that occupy the connection
  // ---------------------------------------------------------------------------

  attach(cursor: SessionCursor): void {
    if (!cursor.interleaves) {
      this.openCursor = cursor
    }
  }

  detach(cursor: SessionCursor): void {
    if (this.openCursor === cursor) {
      this.openCursor = undefined
    }
  }

  // ---------------------------------------------------------------------------
  // the write lock
  // ---------------------------------------------------------------------------

  private needsLock({ request }: SessionRequest): boolean {
    return this.engine.writeLock !== undefined && this.lock?.isHeld !== true && !this.state.isReadOnly &&
      request !== undefined && this.connection.writes(request.text) && this.connection.transaction === "idle"
  }

  private get ownLock(): SessionLock {
    return this.lock ??= new SessionLock(this.engine, this.session, this)
  }

  private waitForLock(request: SessionRequest): void {
    this.current = request
    this.waitsForLock = true
    this.ownLock.acquire(
      // What has no text writes nothing.
      request.request!.lockTimeout ?? this.engine.config.limits.lockTimeout,
      request.deadline
    )
  }

  /** The lock that was taken for the session before it had its connection. */
  inheritLock(from: Writer): void {
    this.ownLock.inherit(from)
  }

  onLock(): void {
    if (this.waitsForLock) {
      this.waitsForLock = false
      this.start(this.current!)
    }
  }

  onLockRefused(error: DbError): void {
    this.waited().refuse(error)
    this.pump()
  }

  private leaveLock(): SessionRequest {
    this.lock!.withdraw()
    return this.waited()
  }

  /** The request that waits for the lock no more. */
  private waited(): SessionRequest {
    const request = this.current!
    this.waitsForLock = false
    this.current = undefined
    return request
  }

  /** Gives the lock back between two transactions. */
  yieldLock(): void {
    if (this.lock !== undefined && this.innermost === this.state.root && this.connection.transaction === "idle") {
      this.lock.release()
    }
  }
}
