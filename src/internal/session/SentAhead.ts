/**
 * Statements of several fibers of one session that were sent together, each with its own end: one has its turn when the one before it
 * has ended, and is answered at once where its answer is here by then.
 *
 * They only read. Where a fiber does not wait for one any more, its answer is dropped. A late cancel might hit those behind it, and with
 * them their transaction: there it is not stopped while any of them is wanted. Outside of a transaction what is hit is sent again by the
 * driver, and what is not wanted is stopped when it takes long.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { sendFailed } from "../error/engine.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import { type Deadline, settleLimit } from "../request/Deadline.js"
import type { EngineContext, SentRequest, SessionRequest } from "../request/Request.js"
import type { TransactionLevel } from "./TransactionLevel.js"

/**
 * For how long what is not wanted any more is left alone outside of a transaction, in milliseconds. Most of it ends sooner, and a cancel
 * costs a connection of its own.
 */
const patience = 20

/** The same in a transaction, which a cancel undoes, where nothing else is wanted and statements have no limit: that of the defaults. */
const longestUnwanted = 60_000

/** The queue of a session's requests, as this uses it. */
interface AheadQueue {
  readonly engine: EngineContext
  readonly entry: PoolEntry<Driver.Connection>
  readonly connection: Driver.Connection
  readonly innermost: TransactionLevel
  readonly isRunning: boolean
  /** Goes on with what waits. */
  readonly pump: () => void
  /** Nothing runs any more: a transaction may stand open only so long. */
  readonly limitIdle: () => void
}

/** Refuses those for which there is a reason, and keeps the others. */
export const refuseSome = (
  requests: Array<SessionRequest>,
  reasonOf: (request: SessionRequest) => DbError | undefined
): void => {
  for (const request of requests.splice(0)) {
    const reason = reasonOf(request)
    if (reason === undefined) {
      requests.push(request)
    } else {
      request.refuse(reason)
    }
  }
}

/** Why those are refused whose deadline has come; the moments of the others are told. */
export const expiredBy =
  (now: number, tell: (deadline: Deadline) => void) =>
  (refusalOf: (text: string | undefined, limit: number) => DbError) =>
  ({ deadline, text }: SessionRequest): DbError | undefined => {
    if (deadline === undefined) {
      return undefined
    }
    if (deadline.at <= now) {
      return refusalOf(text, deadline.limit)
    }
    tell(deadline)
    return undefined
  }

/** One of them: its answer may come before its turn. */
class Sent implements SentRequest {
  private isAnswered = false
  private error: DbError | undefined = undefined
  private value: unknown = undefined
  private done: Driver.Done<unknown> | undefined = undefined

  constructor(
    private readonly ahead: SentAhead,
    readonly request: SessionRequest,
    public begunAt: bigint
  ) {}

  answer(error: DbError | undefined, value: unknown): void {
    const { done } = this
    if (done === undefined) {
      this.isAnswered = true
      this.error = error
      this.value = value
    } else {
      this.done = undefined
      done(error, value)
    }
  }

  /** It has its turn, and its fiber waits. */
  get isTaken(): boolean {
    return this.done !== undefined
  }

  take(done: Driver.Done<unknown>): void {
    if (this.isAnswered) {
      done(this.error, this.value)
    } else {
      this.done = done
    }
  }

  stop(done: Driver.Done<void>): boolean {
    const isStopped = this.ahead.stop(done)
    if (!isStopped) {
      this.done = undefined
      this.ahead.bound()
    }
    return isStopped
  }
}

export class SentAhead {
  /** Those whose turn has not come, in their order. */
  private readonly wanted: Array<SessionRequest> = []
  /** Those that the server has not answered, in their order; those included whose answer is dropped. */
  private readonly unanswered: Array<Sent> = []
  /** Called when it has answered all. */
  private onQuiet: (() => void) | undefined = undefined
  /** What is waited for so is undone: it is to be stopped. */
  private isUndone = false
  /** How many cancels are under way: until none is, nothing else is sent, which they might hit. */
  private cancels = 0
  /** Until when they have to be settled, where all have been answered, in the clock's milliseconds. */
  private settledUntil = Infinity
  /** Until when the end of all is waited for, in the clock's milliseconds. Then what is left is stopped. */
  private quietUntil = Infinity
  /** The first one, where it is not wanted any more, and until when it may take, in the clock's milliseconds. */
  private bounded: Sent | undefined = undefined
  private boundedUntil = Infinity
  /** That is being stopped. */
  private isStopping = false
  /** Not all of them are given to the driver yet. */
  private isSending = false
  /** The deadline of the entry is that of what nothing else waits for. */
  private isHurried = false

  constructor(private readonly queue: AheadQueue) {}

  /** Whether nothing else can be sent yet. */
  get isBusy(): boolean {
    // What a cancel might hit is gone with the connection.
    return this.unanswered.length > 0 || (this.cancels > 0 && !this.queue.connection.lost)
  }

  /** How many of the first of these can be sent together; fewer than two cannot. */
  countOf(waiting: ReadonlyArray<SessionRequest>): number {
    const { connection, engine, innermost } = this.queue
    const { sharing } = engine
    if (sharing === undefined || connection.canPipeline === undefined) {
      return 0
    }
    const most = Math.min(waiting.length, sharing.depth)
    const now = engine.clock.unsafeCurrentTimeMillis()
    let count = 0
    for (; count < most; count++) {
      const { deadline, kind, level, request, send } = waiting[count]!
      if (
        // In a busy process its moment comes before it is told.
        (deadline !== undefined && deadline.at <= now) ||
        kind !== "statement" || send !== undefined || level !== innermost || request === undefined ||
        request.statementTimeout !== undefined || sharing.textOf(request)?.isRead !== true ||
        !connection.canPipeline(request)
      ) {
        break
      }
    }
    return count
  }

  /** Sends these in one write. */
  send(requests: ReadonlyArray<SessionRequest>): void {
    const { connection, engine } = this.queue
    const now = engine.clock.unsafeCurrentTimeNanos()
    this.isSending = true
    this.wanted.push(...requests)
    // One that cannot be sent is answered at once: none has its turn before all are sent.
    const all = requests.map((request) => new Sent(this, request, now))
    this.unanswered.push(...all)
    for (const sent of all) {
      const { request } = sent
      request.wasSent(sent)
      try {
        // `countOf` has looked. Only a statement is there, which has a request.
        connection.pipeline!(
          request.request!,
          (error, value) => this.answered(sent, error, value),
          () => this.sentAgain(sent)
        )
      } catch (cause) {
        // Nothing is known of the connection any more.
        this.answered(sent, sendFailed(engine.name, request.text, cause), undefined)
        connection.destroy()
      }
    }
    this.isSending = false
    connection.flush?.()
  }

  private answered(sent: Sent, error: DbError | undefined, value: unknown): void {
    const { unanswered } = this
    const at = unanswered.indexOf(sent)
    if (at < 0) {
      return
    }
    unanswered.splice(at, 1)
    const [first] = unanswered
    if (first === undefined && this.cancels > 0) {
      // Before that, what shows that they are settled stands behind the others.
      this.settledUntil = this.queue.engine.clock.unsafeCurrentTimeMillis() + settleLimit
      this.wakeAt(this.settledUntil)
    } else if (at === 0 && first !== undefined) {
      first.begunAt = this.queue.engine.clock.unsafeCurrentTimeNanos()
    }
    const { isTaken } = sent
    sent.answer(error, value)
    this.bound()
    this.goOn(!isTaken)
  }

  /** It stands behind the others now: one that is not wanted may be the first. */
  private sentAgain(sent: Sent): void {
    const { unanswered } = this
    const at = unanswered.indexOf(sent)
    if (at < 0 || at === unanswered.length - 1) {
      return
    }
    unanswered.splice(at, 1)
    unanswered.push(sent)
    if (at === 0) {
      unanswered[0]!.begunAt = this.queue.engine.clock.unsafeCurrentTimeNanos()
    }
    if (this.bounded === sent) {
      this.bounded = undefined
    }
    this.bound()
  }

  /** Nothing stands in the way of other statements any more, perhaps. `isLast`: what has ended was nothing that a fiber waited for. */
  private goOn(isLast: boolean): void {
    if (this.isBusy) {
      return
    }
    const { onQuiet } = this
    this.onQuiet = undefined
    this.quietUntil = Infinity
    this.bounded = undefined
    if (this.isHurried) {
      this.isHurried = false
      this.queue.entry.deadline = Infinity
    }
    this.isUndone = false
    if (onQuiet !== undefined) {
      onQuiet()
    } else if (isLast && !this.queue.isRunning) {
      this.queue.limitIdle()
    }
    this.queue.pump()
  }

  /** The one whose turn comes next. */
  next(): SessionRequest | undefined {
    return this.wanted.shift()
  }

  /** Takes one out whose fiber does not wait for it any more, if it is one of these. */
  remove(request: SessionRequest): void {
    const at = this.wanted.indexOf(request)
    if (at >= 0) {
      this.wanted.splice(at, 1)
      this.bound()
    }
  }

  /** Refuses those for which there is a reason. */
  refuse(reasonOf: (request: SessionRequest) => DbError | undefined): void {
    const before = this.wanted.length
    refuseSome(this.wanted, reasonOf)
    if (this.wanted.length < before) {
      this.bound()
    }
  }

  /**
   * Calls `then` when the server has answered all; only while it has not. What is undone anyway is stopped for it.
   *
   * @param until what is left is stopped at this moment, in the clock's milliseconds
   */
  whenQuiet(isUndone: boolean, until: number, then: () => void): void {
    const before = this.onQuiet
    this.onQuiet = before === undefined ? then : () => {
      before()
      then()
    }
    if (isUndone && !this.isUndone) {
      this.isUndone = true
      this.hurry()
      this.stopAll()
    } else if (until < this.quietUntil) {
      this.quietUntil = until
      this.wakeAt(until)
    }
  }

  // ---------------------------------------------------------------------------
  // stopping
  // ---------------------------------------------------------------------------

  /** Stops what is left, for the one whose turn it is. `false`: it is let go, as another might be hit. */
  stop(done: Driver.Done<void>): boolean {
    if (this.wanted.length > 0 || this.cancels > 0) {
      return false
    }
    this.cancel(undefined, done)
    return true
  }

  /** Nothing of them is wanted any more. While one is being stopped, the others are when that is settled. */
  private stopAll(): void {
    if (this.cancels === 0 && this.unanswered.length > 0) {
      this.cancel(undefined, () => {})
    }
  }

  private cancel(sent: Sent | undefined, done: Driver.Done<void>): void {
    const { connection } = this.queue
    this.cancels++
    connection.cancel((error) => {
      this.cancels--
      if (this.cancels === 0) {
        this.settledUntil = Infinity
      }
      if (error !== undefined && (sent === undefined ? this.unanswered.length > 0 : this.unanswered.includes(sent))) {
        connection.destroy()
      }
      done(error, undefined)
      if (sent !== undefined && this.isUndone) {
        this.stopAll()
      }
      this.goOn(sent !== undefined)
    }, sent?.request.request)
  }

  /** Bounds the time of the first one, where it is not wanted any more. */
  bound(): void {
    const { unanswered: [first], wanted } = this
    if (
      // Where the one whose turn it is was sent again, another one that is wanted is the first.
      first === undefined || first.isTaken || wanted.includes(first.request) || this.isSending ||
      // One without a bound has one from the moment at which nothing else is wanted.
      (first === this.bounded && this.boundedUntil < Infinity)
    ) {
      return
    }
    this.bounded = first
    this.isStopping = false
    this.boundBy(this.queue.engine.clock.unsafeCurrentTimeMillis() + this.longest)
  }

  /** For how long what is not wanted may take. */
  private get longest(): number {
    const { connection, engine: { config: { limits: { statementTimeout } } } } = this.queue
    if (connection.transaction === "idle") {
      return patience
    }
    // What is wanted has its own limits, and would be undone with it.
    const isWanted = this.wanted.length > 0 || this.unanswered.some(({ isTaken }) => isTaken)
    return statementTimeout > 0 ? statementTimeout : isWanted ? Infinity : longestUnwanted
  }

  private boundBy(moment: number): void {
    this.boundedUntil = moment
    this.wakeAt(moment)
  }

  /** Has `onTime` called at this moment. */
  private wakeAt(moment: number): void {
    const { engine, entry } = this.queue
    entry.queueDeadline = Math.min(entry.queueDeadline, moment)
    engine.timer.at(moment)
  }

  /** Stops the first one, where its time is over, or all, where their end is not waited for any longer. */
  onTime(now: number): void {
    if (now >= this.settledUntil) {
      // A cancel that does not settle.
      this.settledUntil = Infinity
      this.queue.connection.destroy()
      return this.goOn(true)
    }
    if (this.settledUntil < Infinity) {
      this.wakeAt(this.settledUntil)
    }
    if (now >= this.quietUntil) {
      this.quietUntil = Infinity
      this.isUndone = true
      this.hurry()
      this.stopAll()
    } else if (this.quietUntil < Infinity) {
      this.wakeAt(this.quietUntil)
    }
    const { bounded } = this
    if (bounded === undefined || bounded !== this.unanswered[0]) {
      return
    }
    if (now < this.boundedUntil) {
      this.boundBy(this.boundedUntil)
    } else if (this.isStopping) {
      // Its cancel had no effect.
      this.queue.connection.destroy()
    } else {
      this.isStopping = true
      this.boundBy(now + settleLimit)
      this.cancel(bounded, () => this.stopped(bounded))
    }
  }

  /** Its cancel is settled. Where it has not ended, it was not what the server worked at: it is sent again, behind others. */
  private stopped(sent: Sent): void {
    if (sent === this.unanswered[0]) {
      this.isStopping = false
      this.boundBy(this.queue.engine.clock.unsafeCurrentTimeMillis() + patience)
    }
  }

  /** What is still to be answered is not wanted any more, and its end is waited for: it has the time of settling it. */
  hurry(): void {
    if (this.isBusy) {
      const { engine, entry } = this.queue
      this.isHurried = true
      entry.deadline = engine.clock.unsafeCurrentTimeMillis() + settleLimit
      engine.timer.at(entry.deadline)
    }
  }

  /** The time for that is over. `false`: its end is not waited for. */
  expire(): boolean {
    if (this.onQuiet === undefined) {
      return false
    }
    this.queue.connection.destroy()
    return true
  }
}
