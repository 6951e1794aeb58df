/**
 * One request on a connection: a statement, a fetch, a COMMIT. It can be stopped, by an interrupt or by
 * its limit, and ends only when nothing of it is left on the connection: neither its answer nor its cancel.
 */
import type * as Clock from "effect/Clock"
import type { Effect } from "effect/Effect"
import type { LogLevel } from "effect/LogLevel"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError, Outcome, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { withFields } from "../error/classes.js"
import { dropped, letGo, sendFailed, statementTimeout } from "../error/engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { MetricsRecorder } from "../observe/MetricsRecorder.js"
import type { DeadlineTimer } from "../pool/DeadlineTimer.js"
import type { Pool } from "../pool/Pool.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import type { TransactionLevel } from "../session/TransactionLevel.js"
import type { WriteLock } from "../session/WriteLock.js"
import { type Deadline, settleLimit } from "./Deadline.js"

/** What is known of the texts that may be sent behind others. */
interface SharedTexts {
  /** How many may be on their way. */
  readonly depth: number
  /** `undefined` where it has to run alone. */
  readonly textOf: (request: Driver.Request) => { readonly isRead: boolean } | undefined
}

/** The engine's services, as its parts use them. */
export interface EngineContext {
  readonly name: string
  readonly config: DbConfig.DbConfig
  readonly driver: Driver.Driver
  readonly pool: Pool<Driver.Connection>
  readonly writeLock: WriteLock | undefined
  readonly clock: Clock.Clock
  readonly timer: DeadlineTimer
  /** Which statements may be sent behind others that are not answered; `undefined` where none may. */
  readonly sharing: SharedTexts | undefined
  readonly metrics: MetricsRecorder
  /** Its line is written by the fiber that runs it. */
  readonly log: {
    readonly line: (level: LogLevel, message: string, annotations: Record<string, unknown>) => Effect<void>
  }
  /** The attributes of this server and its database in every span. */
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
  /** It is the primary of replicas, or one of them: it matters how far it is. */
  readonly isReplicated: boolean
  /** Whether a statement would write, for a database with one writer. */
  readonly writes: (text: string) => boolean
  /** A failure that is given to the program. */
  readonly failed: (error: DbError, fiber: AnyFiber | undefined) => void
  /** A statement outside any session has changed the state of its connection, which is cleaned for it. */
  readonly leftBehind: (text: string, fiber: AnyFiber) => void
  /** From how many milliseconds on a statement is slow. */
  readonly slowAt: number
  readonly slow: (request: Request, error: DbError | undefined, millis: number) => void
}

export abstract class Request {
  private phase: "new" | "running" | "stopping" | "done" = "new"
  protected reason: DbError | undefined = undefined
  private isCancelPending = false
  /** Stopped because no fiber waits for it any more. */
  private isCancelled = false
  private isAnswered = false
  /** It may have been given to the driver. */
  protected isSent = false
  private error: DbError | undefined = undefined
  private value: unknown = undefined
  private startedAt = 0n
  /** When its own limit is reached, in the clock's milliseconds; it begins with its first run. */
  private ownUntil = Infinity
  /** How long it ran. */
  protected millis = 0
  /** The limit that comes first: its own, or that of the deadline around it. */
  private binding = 0
  private entry: PoolEntry<Driver.Connection> | undefined = undefined
  private settledListener: (() => void) | undefined = undefined

  constructor(
    readonly engine: EngineContext,
    /** The statement's limit in milliseconds; 0 for none. */
    readonly limit: number,
    /** A moment that bounds this and other work. */
    readonly deadline: Deadline | undefined
  ) {}

  /** `open`: opens a cursor; `cursor`: goes on with one; `control`: a statement of dblive's own. */
  abstract readonly kind: "statement" | "open" | "control" | "cursor"
  /** The statement's text, for reports. */
  abstract readonly text: string | undefined
  /** How many statements it is. */
  statements = 1
  /** The fiber that asked for it, where it is known. */
  abstract readonly fiber: AnyFiber | undefined
  /** The session in which it runs. */
  abstract readonly session: { readonly number: number } | undefined
  /** Sends it. */
  protected abstract launch(connection: Driver.Connection, done: Driver.Done<unknown>): void
  /** It has ended and left the connection: called exactly once after `run`. */
  protected abstract ended(error: DbError | undefined, value: unknown): void

  get isNew(): boolean {
    return this.phase === "new"
  }

  get isRunning(): boolean {
    return this.phase === "running" || this.phase === "stopping"
  }

  get isStopping(): boolean {
    return this.phase === "stopping"
  }

  run(entry: PoolEntry<Driver.Connection>): void {
    const { clock } = this.engine
    this.entry = entry
    this.phase = "running"
    this.startedAt = clock.unsafeCurrentTimeNanos()
    if ((this.limit > 0 && this.limit !== Infinity) || this.deadline !== undefined) {
      const now = clock.unsafeCurrentTimeMillis()
      if (this.limit > 0 && this.ownUntil === Infinity) {
        this.ownUntil = now + this.limit
      }
      const own = this.ownUntil
      const around = this.deadline === undefined ? Infinity : this.deadline.at
      this.binding = around <= own ? this.deadline!.limit : this.limit
      if (Math.min(own, around) <= now) {
        return this.finish(this.timeout(this.isSent ? "Unknown" : "NotSent"), undefined)
      }
      this.limitTo(Math.min(own, around))
    }
    try {
      this.launch(entry.connection, (error, value) => this.answer(error, value))
    } catch (cause) {
      // After its end, the exception is no fault of the driver's.
      if (!this.isRunning) throw cause
      // Nothing is known of the connection any more, and nothing may answer.
      this.drop(
        sendFailed(this.engine.name, this.text, cause)
      )
    }
  }

  /** Has `onDeadline` called at this moment. */
  protected limitTo(moment: number): void {
    // It runs on one.
    this.entry!.deadline = moment
    if (moment !== Infinity) {
      this.engine.timer.at(moment)
    }
  }

  /** Stops it on the server. `done` is called when that is settled; before it, perhaps, the answer comes. */
  protected cancel(done: Driver.Done<void>): void {
    this.entry!.connection.cancel(done)
  }

  protected answer(error: DbError | undefined, value: unknown): void {
    if (this.phase === "running") {
      this.limitTo(Infinity)
      this.finish(error === undefined ? undefined : this.asSet(error), value)
    } else if (this.phase === "stopping" && !this.isAnswered) {
      this.isAnswered = true
      this.error = error
      this.value = value
      this.settle()
    }
  }

  /** When the server can have begun with it, in the clock's nanoseconds. */
  protected get begunAt(): bigint {
    return this.startedAt
  }

  /** What bounds a wait for a connection: the deadline around it, and its own limit where that has begun on another one. */
  protected get bound(): Deadline | undefined {
    return this.ownUntil < (this.deadline?.at ?? Infinity) ? { at: this.ownUntil, limit: this.limit } : this.deadline
  }

  /** It is not run here after all. */
  protected beNew(): void {
    this.phase = "new"
  }

  /** The server was given what was left of a limit when the statement began. The error names the limit that was set. */
  private asSet(error: DbError): DbError {
    return error._tag === "TimeoutError" && error.phase === "Statement" && error.limitMillis !== undefined &&
        error.limitMillis < this.binding
      ? withFields(error, { limitMillis: this.binding })
      : error
  }

  /** Calls the listener when it has ended and its fiber has the answer. Only while it runs. */
  onSettled(listener: () => void): void {
    const before = this.settledListener
    this.settledListener = before === undefined ? listener : () => {
      before()
      listener()
    }
  }

  /** To be called when its fiber has the answer. */
  protected settled(): void {
    const listener = this.settledListener
    this.settledListener = undefined
    listener?.()
  }

  /** The limit that was set when it ran has been reached. */
  onDeadline(): void {
    if (this.phase === "running") {
      this.stop(this.timeout("Unknown"))
    } else if (this.phase === "stopping") {
      // The cancel had no effect: the connection cannot be reused, and is dropped.
      this.drop()
    }
  }

  /** Bounds what runs now: no wait for it lasts any longer than it takes to settle it. */
  hurry(): void {
    const until = this.engine.clock.unsafeCurrentTimeMillis() + settleLimit
    if (this.phase === "running" && until < this.entry!.deadline) {
      this.binding = settleLimit
      this.limitTo(until)
    }
  }

  /** Stops it on the server. `ended` is called when that is settled. */
  stop(reason: DbError | undefined): void {
    if (this.phase !== "running") {
      return
    }
    const entry = this.entry!
    this.phase = "stopping"
    this.reason = reason
    this.isCancelled = reason === undefined
    this.isCancelPending = true
    this.limitTo(this.engine.clock.unsafeCurrentTimeMillis() + settleLimit)
    this.cancel((error) => {
      if (!this.isCancelPending) {
        return
      }
      this.isCancelPending = false
      if (error !== undefined && !this.isAnswered) {
        entry.connection.destroy()
      }
      this.settle()
    })
  }

  /** Drops the link under it; it ends with the reason, where one is given. */
  drop(reason?: DbError): void {
    if (reason !== undefined) {
      this.reason = reason
      this.isCancelled = false
      if (this.phase === "running") {
        this.phase = "stopping"
      }
    }
    this.isCancelPending = false
    this.entry?.connection.destroy()
    // A driver answers a destroyed request. Should it not, no fiber may wait for ever.
    if (this.isRunning && !this.isAnswered) {
      this.isAnswered = true
      this.error = dropped(this.engine.name)
    }
    if (this.phase === "running") {
      this.phase = "stopping"
    }
    this.settle()
  }

  private settle(): void {
    if (this.phase !== "stopping" || this.isCancelPending || !this.isAnswered) {
      return
    }
    this.limitTo(Infinity)
    if (this.error === undefined) {
      // The answer was faster than the cancel: it holds.
      this.finish(undefined, this.value)
    } else if (this.reason === undefined) {
      this.finish(this.error, undefined)
    } else {
      this.finish(withOutcome(this.reason, this.error), undefined)
    }
  }

  private finish(error: DbError | undefined, value: unknown): void {
    // What an interrupt stopped did not fail.
    const failure = this.isCancelled ? undefined : error
    this.phase = "done"
    this.millis = Number(this.engine.clock.unsafeCurrentTimeNanos() - this.begunAt) / 1e6
    // A statement of dblive's own fails with the transaction or the probe that it belongs to.
    if (this.kind !== "control") {
      this.report(failure, this.millis)
    }
    this.ended(error, value)
  }

  private report(error: DbError | undefined, millis: number): void {
    const { engine } = this
    if (error !== undefined) {
      engine.failed(error, this.fiber)
    }
    if (this.kind !== "cursor") {
      // Of statements that were sent together only the duration of all is known.
      const each = millis / this.statements
      for (let i = 0; i < this.statements; i++) {
        engine.metrics.statement(each)
      }
      if (each >= engine.slowAt) {
        engine.slow(this, error, each)
      }
    }
  }

  private timeout(outcome: Outcome): TimeoutError {
    return statementTimeout(this.engine.name, this.text, this.binding, outcome)
  }
}

/** What became of the statement decides the outcome, not why it was stopped. */
const withOutcome = (reason: DbError, error: DbError): DbError => {
  if (error._tag === "QueryError" && error.reason === "CommitUnknown") {
    return error
  }
  return reason._tag === "QueryError"
    ? reason
    : withFields(reason, { outcome: error.outcome, cause: error.cause ?? error })
}

/** The queue of a session's requests. */
export interface RequestOwner {
  readonly engine: EngineContext
  /** The session's number, for reports. */
  readonly number: number
  readonly submit: (request: SessionRequest) => void
  readonly withdraw: (request: SessionRequest, settled: () => void) => void
  /** It has run, and has left the connection. */
  readonly requestEnded: (request: SessionRequest, error: DbError | undefined, value: unknown) => void
}

/** A request that was sent before its turn. */
export interface SentRequest {
  /** When the server can have begun with it, in the clock's nanoseconds. */
  readonly begunAt: bigint
  /** Takes its answer, which may be there. */
  readonly take: (done: Driver.Done<unknown>) => void
  /** Stops it on the server. `false`: its answer is not waited for any more, and that is all. */
  readonly stop: (done: Driver.Done<void>) => boolean
}

/** Sends what is not one statement that `Connection.execute` runs. */
export type Send = (
  connection: Driver.Connection,
  begin: string | undefined,
  done: Driver.Done<unknown>
) => void

/** A request that waits for its turn in a session: a statement, the next rows of a cursor, a COMMIT. */
export class SessionRequest extends Request {
  readonly text: string | undefined
  fiber: AnyFiber | undefined = undefined
  /** A BEGIN that is sent with it. */
  begin: string | undefined = undefined
  /** Where it was sent before its turn. */
  private sent: SentRequest | undefined = undefined
  /** It goes on without its fiber: what that was told says nothing of its session. */
  isLetGo = false

  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: one is made for each statement
  constructor(
    readonly session: RequestOwner,
    readonly level: TransactionLevel,
    readonly kind: Request["kind"],
    readonly request: Driver.Request | undefined,
    private readonly onEnd: (error: DbError | undefined, value: unknown) => void,
    limit: number,
    deadline: Deadline | undefined,
    /** `undefined`: `request` is a statement to be executed. */
    readonly send?: Send
  ) {
    super(session.engine, limit, deadline)
    this.text = request?.text
  }

  start(): void {
    this.session.submit(this)
  }

  withdraw(settled: () => void): void {
    this.session.withdraw(this, settled)
  }

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    const { begin, request, send, sent } = this
    if (sent !== undefined) {
      sent.take(done)
    } else if (send !== undefined) {
      send(connection, begin, done)
    } else {
      // Without `send` there is a statement.
      connection.execute(begin === undefined ? request! : { ...request!, begin }, done)
    }
  }

  /** It was sent, and its turn is still to come. */
  wasSent(sent: SentRequest): void {
    this.sent = sent
    this.isSent = true
  }

  protected override cancel(done: Driver.Done<void>): void {
    const { sent } = this
    if (sent === undefined) {
      super.cancel(done)
    } else if (!sent.stop(done)) {
      this.isLetGo = true
      done(undefined)
      this.answer(letGo(this.engine.name, this.text ?? ""), undefined)
    }
  }

  protected override get begunAt(): bigint {
    return this.sent === undefined ? super.begunAt : this.sent.begunAt
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    this.session.requestEnded(this, error, value)
  }

  resolve(error: DbError | undefined, value: unknown): void {
    this.onEnd(error, value)
    this.settled()
  }

  /** It is not run at all. */
  refuse(error: DbError): void {
    if (this.kind !== "control") {
      this.engine.failed(error, this.fiber)
    }
    this.onEnd(error, undefined)
  }
}
