/**
 * A session whose every step is the test's: what is sent is answered when the test says so, and time passes when it says so.
 *
 * - `handSession(options?)`: `session`, `queue`, `state`, `connection`, `entry`; `sent` (what the connection was asked for, in order),
 *   `told` (what the pool was asked for, and the failures given to the program).
 * - `ask(text, options?)` submits a statement, `begin(options?)` begins a level, `end(how, options?)` ends the innermost one: each is
 *   an `Asked` that has an answer when `count` is 1. `begun()` and `nested()` are levels that have begun.
 * - `answer(value?)` and `fail(error, transaction?)` answer what runs; `cancelled(error?)` answers its cancel.
 * - With `sharing`, reads can be sent together: `connection.pipelined` are those that have no answer, the oldest first, which
 *   `connection.answerNext(value?)` and `connection.failNext(error, transaction?)` answer, and `connection.sendAgain()` sends again.
 * - `advance(millis)` lets time pass; the session is woken at the moments it has asked for (`wakes`), and at no other.
 *   `block(millis)`: in a process that is too busy to wake it.
 */
import type * as DbConfig from "../../src/DbConfig.js"
import { ConnectionError, type DbError, QueryError } from "../../src/DbError.js"
import type {
  BeginOptions,
  Capabilities,
  Connection,
  Cursor,
  Done,
  Driver,
  Fetched,
  Request as DriverRequest,
  TransactionSql,
  TransactionStatus
} from "../../src/driver/Driver.js"
import type { AnyFiber, Caller } from "../../src/internal/fiber/Caller.js"
import type { DeadlineTimer } from "../../src/internal/pool/DeadlineTimer.js"
import { PoolEntry, type Waiter } from "../../src/internal/pool/PoolEntry.js"
import type { Deadline } from "../../src/internal/request/Deadline.js"
import { type Request, SessionRequest } from "../../src/internal/request/Request.js"
import type { SharingContext } from "../../src/internal/request/Sharing.js"
import type { BeginLevelOptions } from "../../src/internal/session/beginLevel.js"
import type { EndLevelOptions } from "../../src/internal/session/LevelEnd.js"
import { Session, type SessionLevel } from "../../src/internal/session/Session.js"
import { WriteLock } from "../../src/internal/session/WriteLock.js"
import { clockAt } from "./clock.js"

/** What waits for an answer, and gets it once. */
export interface Asked {
  /** How often it was answered. */
  count: number
  error: DbError | undefined
  value: unknown
}

export const canceled = new QueryError({
  what: "canceling statement due to user request",
  reason: "Unknown",
  outcome: "RolledBack",
  database: "orders",
  code: "57014"
})

export const lostError = new ConnectionError({
  what: "destroyed",
  reason: "Lost",
  outcome: "Unknown",
  database: "orders"
})

/** A connection that notes what it is asked for. The words of transactions move it when they are answered. */
export class HandConnection implements Connection {
  readonly id = 1
  readonly serverVersion = "hand"
  transaction: TransactionStatus = "idle"
  dirty = false
  lost = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined
  readonly sent: Array<string> = []
  /** The options of each statement. */
  readonly requests: Array<DriverRequest> = []
  running: { readonly text: string; readonly done: Done<unknown> } | undefined = undefined
  cancelling: Done<void> | undefined = undefined
  readonly pipelined: Array<
    { readonly text: string; readonly done: Done<unknown>; readonly onAgain: (() => void) | undefined }
  > = []
  /** Whether a text that is sent behind others is on its way; `false`: the test has answered it. */
  onPipeline: (text: string, done: Done<unknown>) => boolean = () => true

  readonly canPipeline = (): boolean => !this.lost && this.transaction !== "failed"

  readonly pipeline = ({ text }: DriverRequest, done: Done<unknown>, onAgain?: () => void): void => {
    if (this.running !== undefined) {
      throw new Error(`"${text}" behind "${this.running.text}"`)
    }
    if (this.lost) {
      return done(lostError, undefined)
    }
    this.sent.push(`+ ${text}`)
    if (this.onPipeline(text, done)) {
      this.pipelined.push({ text, done, onAgain })
    }
  }

  readonly flush = (): void => void this.sent.push("flush")

  answerNext(value?: unknown): void {
    this.pipelined.shift()!.done(undefined, value)
  }

  failNext(error: DbError, transaction: TransactionStatus = this.transaction === "idle" ? "idle" : "failed"): void {
    this.transaction = transaction
    this.pipelined.shift()!.done(error, undefined)
  }

  /** The first one is sent again, behind the others. */
  sendAgain(): void {
    const first = this.pipelined.shift()!
    this.pipelined.push(first)
    first.onAgain?.()
  }

  private run(text: string, done: Done<unknown>): void {
    const beside = this.running ?? this.pipelined[0]
    if (beside !== undefined) {
      throw new Error(`"${text}" beside "${beside.text}"`)
    }
    this.sent.push(text)
    this.running = { text, done }
  }

  readonly execute = (request: DriverRequest, done: Done<unknown>): void => {
    this.requests.push(request)
    this.run(request.begin === undefined ? request.text : `${request.begin} + ${request.text}`, done)
  }

  readonly openCursor = (request: DriverRequest, done: Done<Cursor>): void =>
    // It is answered with the cursor that the test gives it.
    this.run(`open ${request.text}`, (error, value) => done(error, value as Cursor))

  readonly ping = (done: Done<void>): void => this.run("ping", (error) => done(error, undefined))

  readonly reset = (policy: string, done: Done<void>): void =>
    this.run(`reset ${policy}`, (error) => done(error, undefined))

  readonly cancel = (done: Done<void>, request?: DriverRequest): void => {
    this.sent.push(request === undefined ? "cancel" : `cancel ${request.text}`)
    this.cancelling = done
  }

  readonly close = (): void => void this.sent.push("close")

  readonly destroy = (): void => {
    this.sent.push("destroy")
    this.lost = true
    const { running } = this
    this.running = undefined
    running?.done(lostError, undefined)
    for (const { done } of this.pipelined.splice(0)) done(lostError, undefined)
  }

  readonly writes = (text: string): boolean => !text.startsWith("SELECT")

  /** A cursor of this connection. */
  cursor(interleaves: boolean, alone?: () => void): Cursor {
    return {
      interleaves,
      alone,
      fetch: (count, done) =>
        // It is answered with the rows that the test gives it.
        this.run(`fetch ${count}`, (error, value) => done(error, value as Fetched)),
      close: (done) => this.run("close cursor", (error) => done(error, undefined))
    }
  }

  answer(value?: unknown): void {
    const { done, text } = this.running!
    this.running = undefined
    if (/^(BEGIN|ROLLBACK TO)/.test(text)) {
      this.transaction = "open"
    } else if (/^(COMMIT|ROLLBACK)/.test(text)) {
      this.transaction = "idle"
    }
    done(undefined, value)
  }

  fail(error: DbError, transaction: TransactionStatus = this.transaction === "open" ? "failed" : "idle"): void {
    const { done } = this.running!
    this.running = undefined
    this.transaction = transaction
    done(error, undefined)
  }

  cancelled(error?: DbError): void {
    const done = this.cancelling!
    this.cancelling = undefined
    done(error, undefined)
  }
}

/** A clock that the test sets, and what it wakes. */
export class HandTimer {
  now = 1000
  readonly wakes = new Set<number>()
  readonly clock = clockAt(() => this.now)

  constructor(private readonly expire: (now: number) => void) {}

  readonly at = (time: number): void => {
    if (time !== Infinity) {
      this.wakes.add(time)
    }
  }

  advance(millis: number): void {
    const until = this.now + millis
    for (;;) {
      const next = Math.min(...this.wakes)
      if (next > until) {
        break
      }
      this.wakes.delete(next)
      this.now = Math.max(this.now, next)
      this.expire(this.now)
    }
    this.now = until
  }
}

export interface HandOptions {
  readonly limits?: Partial<DbConfig.Limits>
  readonly acquireTimeout?: number
  readonly slowAt?: number
  readonly resetOnReturn?: DbConfig.Pool["resetOnReturn"]
  readonly capabilities?: Partial<Capabilities>
  readonly transaction?: Partial<TransactionSql>
  readonly driver?: Partial<Driver>
  /** How many reads may be sent together. */
  readonly sharing?: { readonly depth: number }
  readonly origin?: Caller
  /** The session in whose level this one is opened, on the same engine. */
  readonly inside?: { readonly engine: HandEngine; readonly level: SessionLevel | undefined }
}

/** What sessions and waits need of an engine, with a pool that only notes what it is asked for. */
export class HandEngine {
  readonly told: Array<string> = []
  /** How long each statement took that was counted. */
  readonly statements: Array<number> = []
  /** What waits for a connection. */
  readonly waiters: Array<Waiter<Connection>> = []
  readonly entries: Array<PoolEntry<Connection>> = []
  /** What the pool lends without a wait. */
  readonly idle: Array<PoolEntry<Connection>> = []
  readonly timer: HandTimer = new HandTimer((now) => {
    for (const entry of this.entries) {
      entry.expire(now, this.timer.at)
    }
    if (this.writeLock !== undefined) {
      this.timer.at(this.writeLock.expire(now))
    }
  })
  readonly writeLock: WriteLock | undefined
  readonly context: SharingContext

  constructor(options: HandOptions) {
    const { timer, told } = this
    // A timer is asked for nothing but `at`.
    this.writeLock = options.capabilities?.singleWriter === true
      ? new WriteLock("orders", timer as unknown as DeadlineTimer)
      : undefined
    const engine = {
      name: "orders",
      config: {
        limits: {
          statementTimeout: 0,
          lockTimeout: 0,
          idleInTransactionTimeout: 0,
          transactionTimeout: 0,
          ...options.limits
        },
        pool: { acquireTimeout: options.acquireTimeout ?? 0, resetOnReturn: options.resetOnReturn ?? "rollback" }
      },
      driver: {
        dialect: "sqlite",
        capabilities: { pipelinedBegin: false, singleWriter: false, ...options.capabilities },
        transaction: {
          begin: () => "BEGIN",
          commit: "COMMIT",
          rollback: "ROLLBACK",
          savepoint: (name: string) => `SAVEPOINT ${name}`,
          rollbackTo: (name: string) => `ROLLBACK TO ${name}`,
          release: (name: string) => `RELEASE ${name}`,
          ...options.transaction
        },
        ...options.driver
      },
      pool: {
        tryAcquire: () => this.idle.shift(),
        acquire: (waiter: Waiter<Connection>) => {
          waiter.waitingSince = timer.now
          this.waiters.push(waiter)
        },
        withdraw: (waiter: Waiter<Connection>) => {
          told.push("withdraw")
          this.waiters.splice(this.waiters.indexOf(waiter), 1)
        },
        release: (entry: PoolEntry<Connection>) => told.push(`release ${entry.id}`),
        evict: (entry: PoolEntry<Connection>, graceful: boolean) =>
          told.push(`evict ${entry.id}${graceful ? " gracefully" : ""}`),
        setBusy: (entry: PoolEntry<Connection>, limit: number) => {
          told.push(`busy ${entry.id} for ${limit}`)
          entry.deadline = timer.now + limit
        }
      },
      writeLock: this.writeLock,
      sharing: options.sharing === undefined
        ? undefined
        : { ...options.sharing, textOf: ({ text }: DriverRequest) => ({ isRead: text.startsWith("SELECT") }) },
      clock: timer.clock,
      timer,
      metrics: {
        statement: (millis: number) => this.statements.push(millis),
        waited: (millis: number) => told.push(`waited ${millis}`)
      },
      failed: (error: DbError) => told.push(`failed ${error._tag} ${error.outcome}`),
      writes: (text: string) => !text.startsWith("SELECT"),
      leftBehind: (text: string) => told.push(`left behind by ${text}`),
      slowAt: options.slowAt ?? Infinity,
      slow: (request: Request, error: DbError | undefined, millis: number) =>
        told.push(`slow ${request.text} ${error === undefined ? "ok" : "failed"} ${millis}`)
    }
    // What is read of an engine by what is tested with it.
    this.context = engine as unknown as SharingContext
  }

  /** A connection that is in use from now on. */
  entry(connection: Connection): PoolEntry<Connection> {
    const entry = new PoolEntry<Connection>(this.entries.length + 1, connection, this.timer.now, Infinity, 0)
    entry.state = "inUse"
    entry.acquiredAt = this.timer.now
    this.entries.push(entry)
    return entry
  }
}

export const requestOf = (text: string, lockTimeout?: number): DriverRequest => ({
  text,
  params: [],
  mode: "rows",
  prepare: true,
  begin: undefined,
  statementTimeout: undefined,
  lockTimeout,
  safeIntegers: false
})

export const handSession = (options: HandOptions = {}) => {
  const engine = options.inside?.engine ?? new HandEngine(options)
  const connection = new HandConnection()
  const entry = engine.entry(connection)
  const session = new Session(
    engine.context,
    entry,
    options.origin ?? { span: undefined, fiber: "#1" },
    options.inside?.level,
    false
  )
  const { queue } = session
  const { state } = queue

  const asked = (): Asked => ({ count: 0, error: undefined, value: undefined })
  const ended = (one: Asked) => (error: DbError | undefined, value?: unknown) => {
    one.count++
    one.error = error
    one.value = value
  }

  /** A statement, which is not submitted yet; without a text a ping. */
  const request = (
    text: string | undefined,
    more: {
      readonly level?: SessionLevel
      readonly kind?: Request["kind"]
      readonly limit?: number
      readonly deadline?: Deadline
      readonly lockTimeout?: number
      readonly fiber?: AnyFiber
      /** It is several statements that are sent as one; the text is that of the first. */
      readonly several?: boolean
      readonly then?: (error: DbError | undefined, value: unknown) => void
    } = {}
  ) => {
    const one = asked()
    const end = ended(one)
    const request = new SessionRequest(
      queue,
      more.level ?? session.innermost,
      more.kind ?? "statement",
      text === undefined ? undefined : requestOf(text, more.lockTimeout),
      (error, value) => {
        end(error, value)
        more.then?.(error, value)
      },
      more.limit ?? 0,
      more.deadline,
      text === undefined
        ? (on, _, answer) => on.ping(answer)
        : more.kind === "open"
        ? (on, _, answer) => on.openCursor(requestOf(text), answer)
        : more.several === true
        ? (on, _, answer) => on.execute(requestOf(`all of ${text}`), answer)
        : undefined
    )
    request.fiber = more.fiber
    return Object.assign(one, { request })
  }

  const ask = (...args: Parameters<typeof request>) => {
    const one = request(...args)
    one.request.start()
    return one
  }

  const begin = (more: BeginLevelOptions & { readonly parent?: SessionLevel } = {}) => {
    const one: Asked & { level: SessionLevel | undefined } = { ...asked(), level: undefined }
    const end = ended(one)
    const sent = session.begin(more.parent ?? session.innermost, "BEGIN", (error, level) => {
      end(error)
      one.level = level
    }, more)
    return Object.assign(one, { sent })
  }

  const end = (how: "commit" | "rollback", more: EndLevelOptions = {}, level = session.innermost) => {
    const one = asked()
    session.end(level, how, ended(one), more)
    return one
  }

  const entered = (options: BeginOptions | undefined, more: BeginLevelOptions): SessionLevel => {
    const one = begin({ begin: options, ...more })
    if (one.count === 0) {
      connection.answer()
    }
    return one.level!
  }

  return {
    engine,
    session,
    queue,
    state,
    connection,
    entry,
    request,
    ask,
    begin,
    end,
    /** A transaction that has begun on the server. */
    begun: (options?: BeginOptions, more: BeginLevelOptions = {}) => entered(options, { now: true, ...more }),
    /** A savepoint in it. */
    nested: (options?: BeginOptions, more: BeginLevelOptions = {}) => entered(options, more),
    release: () => {
      const one = asked()
      session.release(() => ended(one)(undefined))
      return one
    },
    sent: connection.sent,
    told: engine.told,
    answer: (value?: unknown) => connection.answer(value),
    fail: (error: DbError, transaction?: TransactionStatus) => connection.fail(error, transaction),
    cancelled: (error?: DbError) => connection.cancelled(error),
    advance: (millis: number) => engine.timer.advance(millis),
    block: (millis: number) => {
      engine.timer.now += millis
    }
  }
}
