/**
 * Statements of several fibers of one session that were sent together, each with its own end: one has its turn when the one before it
 * has ended, and is answered at once where its answer is here by then.
 *
 * They only read. Where a fiber does not wait for one any more, its answer is dropped: it is not stopped while others are behind it, which
 * a late cancel might hit, and with them their transaction.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { sendFailed } from "../error/engine.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import { settleLimit } from "../request/Deadline.js"
import type { EngineContext, SentRequest, SessionRequest } from "../request/Request.js"
import type { TransactionLevel } from "./TransactionLevel.js"

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

/** The answer of one of them, which may come before its turn. */
class Sent implements SentRequest {
  private isAnswered = false
  private error: DbError | undefined = undefined
  private value: unknown = undefined
  private done: Driver.Done<unknown> | undefined = undefined

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

  take(done: Driver.Done<unknown>): void {
    if (this.isAnswered) {
      done(this.error, this.value)
    } else {
      this.done = done
    }
  }

  drop(): void {
    this.done = undefined
  }
}

export class SentAhead {
  /** Those whose turn has not come, in their order. */
  private readonly wanted: Array<SessionRequest> = []
  /** How many the server has not answered, those included whose answer is dropped. */
  private unanswered = 0
  /** Called when it has answered all. */
  private onQuiet: (() => void) | undefined = undefined
  /** A cancel is under way, which might hit whatever is sent. */
  private isCancelling = false
  /** The deadline of the entry is that of what nothing else waits for. */
  private isHurried = false

  constructor(private readonly queue: AheadQueue) {}

  /** Whether nothing else can be sent yet. */
  get isBusy(): boolean {
    return this.unanswered > 0 || this.isCancelling
  }

  /** Whether there are some behind the one whose turn it is. */
  get isWanted(): boolean {
    return this.wanted.length > 0
  }

  /** How many of the first of these can be sent together; fewer than two cannot. */
  countOf(waiting: ReadonlyArray<SessionRequest>): number {
    const { connection, engine: { sharing }, innermost } = this.queue
    if (sharing === undefined || connection.canPipeline === undefined) {
      return 0
    }
    const most = Math.min(waiting.length, sharing.depth)
    let count = 0
    for (; count < most; count++) {
      const { kind, level, request } = waiting[count]!
      if (
        kind !== "statement" || level !== innermost || request === undefined ||
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
    const { connection } = this.queue
    this.wanted.push(...requests)
    // One that cannot be sent is answered at once: none has its turn before all are sent.
    this.unanswered += requests.length
    for (const request of requests) {
      const sent = new Sent()
      request.wasSent(sent)
      let isAnswered = false
      const done: Driver.Done<unknown> = (error, value) => {
        if (!isAnswered) {
          isAnswered = true
          this.answered(sent, error, value)
        }
      }
      try {
        // `countOf` has looked. Only a statement is there, which has a request.
        connection.pipeline!(request.request!, done)
      } catch (cause) {
        // Nothing is known of the connection any more.
        done(sendFailed(this.queue.engine.name, request.text, cause), undefined)
        connection.destroy()
      }
    }
    connection.flush?.()
  }

  private answered(sent: Sent, error: DbError | undefined, value: unknown): void {
    this.unanswered--
    sent.answer(error, value)
    this.goOn()
  }

  /** Nothing stands in the way of other statements any more, perhaps. */
  private goOn(): void {
    if (this.isBusy) {
      return
    }
    const { onQuiet } = this
    this.onQuiet = undefined
    if (this.isHurried) {
      this.isHurried = false
      this.queue.entry.deadline = Infinity
    }
    if (onQuiet !== undefined) {
      onQuiet()
    } else if (!this.queue.isRunning) {
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
    }
  }

  /** Refuses those for which there is a reason. */
  refuse(reasonOf: (request: SessionRequest) => DbError | undefined): void {
    refuseSome(this.wanted, reasonOf)
  }

  /** Calls `then` when the server has answered all; only while it has not. What is undone anyway is stopped for it. */
  whenQuiet(isUndone: boolean, then: () => void): void {
    const before = this.onQuiet
    this.onQuiet = before === undefined ? then : () => {
      before()
      then()
    }
    if (isUndone && !this.isCancelling) {
      const { connection } = this.queue
      this.isCancelling = true
      this.hurry()
      connection.cancel((error) => {
        this.isCancelling = false
        if (error !== undefined && this.unanswered > 0) {
          connection.destroy()
        }
        this.goOn()
      })
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
