/**
 * One open database: a driver, a pool, its metrics. Statements and sessions start here.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as DbConfig from "../DbConfig.js"
import type { DbError } from "../DbError.js"
import { errorType, type Snapshot } from "../DbMetrics.js"
import type * as Driver from "../driver/Driver.js"
import { closed } from "./error/engine.js"
import { type AnyFiber, callerOf } from "./fiber/Caller.js"
import { matchCause, type Restore } from "./fiber/fiberContext.js"
import { Log } from "./observe/Log.js"
import { MetricsRecorder } from "./observe/MetricsRecorder.js"
import { DeadlineTimer, type Fork } from "./pool/DeadlineTimer.js"
import { Pool } from "./pool/Pool.js"
import type { PoolEntry } from "./pool/PoolEntry.js"
import type { Replicas } from "./replicas/Replicas.js"
import { type Request, SessionRequest } from "./request/Request.js"
import { Sharing, type SharingContext } from "./request/Sharing.js"
import { Session, type SessionLevel } from "./session/Session.js"
import { type AcquireOptions, SessionWait } from "./session/SessionWait.js"
import { WriteLock } from "./session/WriteLock.js"

/** Statement texts whose kind is remembered, per engine; texts with literals in them must not fill the memory. */
const rememberedTexts = 4096

/** How much of a slow statement's text is remembered. */
const longestText = 2_000

/** How long a ping may take, the opening of a connection included. */
const pingLimit = "5 seconds"

/** How often the outcome of a transaction is asked for. */
const commitQuestions = 5

/** How long a question of our own to the server may take, in milliseconds. */
const askLimit = 5_000

/** Whether nothing may begin on a connection. */
const isOver = (connection: Driver.Connection): boolean => connection.lost || connection.retired === true

export interface Options {
  /** Among the pools of one database; left out: it is the only one, or the primary's. */
  readonly poolName?: string | undefined
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly openSchedule: Schedule.Schedule<unknown, DbError>
}

export class Engine implements SharingContext {
  readonly name: string
  readonly poolName: string
  readonly pool: Pool<Driver.Connection>
  readonly writeLock: WriteLock | undefined
  readonly timer: DeadlineTimer
  readonly sharing: Sharing | undefined
  readonly metrics: MetricsRecorder
  readonly log: Log
  /** From how many milliseconds on a statement is slow. */
  readonly slowAt: number
  /** Whether statements are audited or carry comments. */
  readonly isWatched: boolean
  /** The attributes of this server and its database in every span. */
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
  /** The client, set by the opening as soon as the engine is made. */
  client!: SqlClient
  /** A connection of `@effect/sql` whose statements run in a level; set together with the client. */
  connect!: (level: () => SessionLevel) => Connection

  /** The replicas of this primary; set with the client. */
  replicas: Replicas | undefined = undefined
  /** Told of each failure, where the server is one of several. */
  onFailure: ((error: DbError) => void) | undefined = undefined
  readonly isReplicated: boolean

  serverVersion: string | undefined = undefined
  private readonly writing = new Map<string, boolean>()
  /** Texts outside of sessions that were looked at for what they leave behind. */
  private readonly warnedOf = new Set<string>()
  private readonly openSchedule: Options["openSchedule"]

  constructor(
    readonly config: DbConfig.DbConfig,
    readonly driver: Driver.Driver,
    readonly clock: Clock.Clock,
    readonly fork: Fork,
    options: Options
  ) {
    this.name = config.name
    this.openSchedule = options.openSchedule
    this.poolName = options.poolName ?? config.name
    this.isReplicated = options.poolName !== undefined || config.replicas.length > 0
    this.metrics = new MetricsRecorder(this.poolName)
    this.slowAt = config.log.slowStatement > 0 ? config.log.slowStatement : Infinity
    this.isWatched = config.log.audit || config.tracing.comments
    const { address, namespace, port, system } = driver.target
    this.spanAttributes = [
      ...Object.entries(config.spanAttributes),
      ["db.system.name", system],
      ["db.namespace", namespace],
      ...(address === undefined ? [] : [["server.address", address] as const]),
      ...(port === undefined ? [] : [["server.port", port] as const])
    ]
    const server = this.isReplicated ? { "server.address": address, "server.port": port } : {}
    this.log = new Log(config.name, clock, fork, server)
    this.timer = new DeadlineTimer(
      clock,
      fork,
      (now) => Math.min(this.pool.expire(now), this.writeLock === undefined ? Infinity : this.writeLock.expire(now))
    )
    const only = driver.maxConnections
    const isExclusive = only !== undefined && only <= 1
    this.writeLock = driver.capabilities.singleWriter && !isExclusive
      ? new WriteLock(config.name, this.timer)
      : undefined
    this.pool = new Pool(
      config.name,
      config.pool,
      {
        size: Math.min(config.pool.size, only ?? Infinity),
        total: Math.min(config.pool.size + config.pool.overflow, only ?? Infinity),
        reserved: isExclusive ? 0 : 1
      },
      {
        open: driver.open,
        openSchedule: options.openSchedule,
        isLost: (connection) => isOver(connection),
        validate: (connection, answer) =>
          isOver(connection) ? answer(false) : connection.ping((error) => answer(error === undefined)),
        close: (connection, isGraceful, done) => {
          connection.onLost = undefined
          if (isGraceful && !connection.lost) {
            connection.close(() => done())
          } else {
            connection.destroy()
            done()
          }
        },
        onOpened: (entry, millis) => {
          this.serverVersion = entry.connection.serverVersion
          entry.connection.onLost = () => {
            this.metrics.connectionFailed()
            this.pool.lost(entry)
          }
          this.metrics.connectionCreated(millis)
        },
        onOpenFailed: (error) => {
          this.metrics.connectionFailed()
          this.failed(error, undefined)
        },
        isKept: ({ borrower, connection }) => borrower?.isKept === true || connection.holds === true,
        onLeak: (_, holder) => this.log.leak(holder),
        onLeakReturned: (entry, heldForMillis) =>
          this.log.leakReturned(entry.borrower?.describe(clock.unsafeCurrentTimeMillis()), heldForMillis)
      },
      { clock, timer: this.timer, fork, random: options.random }
    )
    this.sharing = Sharing.of(this)
  }

  /** A statement took as long as the configuration calls slow. */
  slow({ fiber, session, text = "" }: Request, error: DbError | undefined, millis: number): void {
    const origin = fiber === undefined ? undefined : callerOf(fiber)
    this.metrics.slowStatement({
      text: text.slice(0, longestText),
      millis,
      at: this.clock.unsafeCurrentTimeMillis(),
      span: origin?.span,
      fiber: origin?.fiber,
      session: session?.number,
      error: error === undefined ? undefined : errorType(error)
    })
    this.log.slowStatement(text, millis, session?.number, error, fiber)
  }

  /** A failure that is given to the program: counted, remembered and logged once, however many it is given to. */
  failed(error: DbError, fiber: AnyFiber | undefined): void {
    this.onFailure?.(error)
    if (this.metrics.failure(error)) {
      const origin = fiber === undefined ? undefined : callerOf(fiber)
      this.metrics.recentFailure({
        error: errorType(error),
        code: error.code,
        at: this.clock.unsafeCurrentTimeMillis(),
        span: origin?.span,
        fiber: origin?.fiber,
        statement: "statement" in error ? error.statement?.slice(0, longestText) : undefined
      })
      this.log.failure(error, fiber)
    }
  }

  /** Says once of each text what it leaves to no statement, as its connection is cleaned when it goes back. */
  leftBehind(text: string, fiber: AnyFiber): void {
    const { resetOnReturn } = this.config.pool
    // A program that builds its texts would be warned without end.
    if (resetOnReturn === "none" || this.warnedOf.has(text) || this.warnedOf.size >= rememberedTexts) {
      return
    }
    this.warnedOf.add(text)
    const what = this.driver.leftBehind?.(text)
    if (what !== undefined) {
      this.log.leftBehind(what, text, fiber)
    }
  }

  /** Whether a statement would write, for a database with one writer. */
  writes(text: string): boolean {
    const isKnown = this.writing.get(text)
    if (isKnown !== undefined) {
      return isKnown
    }
    for (const entry of this.pool.entries) {
      if (!entry.connection.lost) {
        const writes = entry.connection.writes(text)
        if (this.writing.size >= rememberedTexts) {
          this.writing.clear()
        }
        this.writing.set(text, writes)
        return writes
      }
    }
    // No connection to ask: waiting for the lock is the safe side.
    return true
  }

  // ---------------------------------------------------------------------------
  // sessions
  // ---------------------------------------------------------------------------

  /**
   * A session for the calling fiber, and what is done with it. To be called where interruption is masked; only the wait is
   * restored, so that a connection that arrives together with an interrupt is not lost.
   */
  openSession<A, E, R, E2>(
    fiber: AnyFiber,
    restore: Restore,
    asked: AcquireOptions,
    /** What an error of the wait is for the caller. */
    fail: (error: DbError) => E2,
    use: (session: Session) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | E2, R> {
    const refused = asked.inside === undefined || asked.inside.closed !== undefined
      ? undefined
      : this.driver.refuseInner?.()
    if (refused !== undefined) {
      this.failed(refused, fiber)
      return Effect.fail(fail(refused))
    }
    const session = this.trySession(fiber, asked)
    if (session !== undefined) {
      return use(session)
    }
    const acquiring = new SessionWait(this, asked, fiber)
    return matchCause(restore(Effect.async<void, DbError>((resume) => acquiring.start(resume))), (cause) => {
      // Interrupted, perhaps at the very moment the connection came: what came goes back.
      acquiring.request.abandon()
      const error = Cause.failureOption(cause)
      if (error._tag === "Some" && asked.reserved !== true) {
        this.failed(error.value, fiber)
      }
      return Exit.mapError(Exit.failCause(cause), fail)
    }, () => {
      const session = this.session(acquiring.entry!, fiber, asked)
      acquiring.request.giveLock(session.queue)
      return use(session)
    })
  }

  private session(
    entry: PoolEntry<Driver.Connection>,
    fiber: AnyFiber,
    { inside, reserved: isReserved = false }: AcquireOptions
  ): Session {
    const session = new Session(this, entry, callerOf(fiber), inside, isReserved)
    if (!isReserved) {
      this.metrics.sessionOpened()
      this.log.sessionOpened(session, fiber)
    }
    return session
  }

  /** When there is an idle connection that may be used without validation. */
  private trySession(fiber: AnyFiber, asked: AcquireOptions): Session | undefined {
    if (asked.writes && this.writeLock !== undefined) {
      return undefined
    }
    const entry = this.pool.tryAcquire(this.clock.unsafeCurrentTimeMillis())
    return entry === undefined ? undefined : this.session(entry, fiber, asked)
  }

  /** Ends a session now; `undefined` when nothing is to be waited for. */
  endSession(session: Session): Effect.Effect<void> | undefined {
    if (!session.isOurs) {
      const millis = this.clock.unsafeCurrentTimeMillis() - session.openedAt
      this.metrics.sessionClosed()
      this.metrics.used(millis)
      this.log.sessionClosed(session, millis)
    }
    return session.close()
  }

  closeSession(session: Session): Effect.Effect<void> {
    return Effect.suspend(() => this.endSession(session) ?? Effect.void)
  }

  // ---------------------------------------------------------------------------
  // figures and health
  // ---------------------------------------------------------------------------

  get snapshot(): Snapshot {
    return this.metrics.snapshot(this.pool.figures, this.immediate)
  }

  /** How many found a connection idle, so that they did not wait. */
  get immediate(): number {
    return this.pool.lends - this.metrics.waits.count
  }

  /** Whether the database answers, on a place of its own, so that a busy pool is not taken for a dead database. */
  readonly ping: Effect.Effect<boolean> = Effect.suspend(() => this.probe).pipe(
    // Stopping it takes time where the server does not answer; that goes on in the background.
    Effect.disconnect,
    Effect.timeoutOption(pingLimit),
    Effect.map(Option.isSome),
    Effect.catchAll(() => Effect.succeed(false))
  )

  /** The only connection there can be is in use and not lost: that shows that the database is alive. */
  private get isBusyAlone(): boolean {
    if (this.driver.maxConnections !== 1 || this.pool.inUse === 0) {
      return false
    }
    for (const entry of this.pool.entries) {
      if (entry.state === "inUse" && !entry.connection.lost) {
        return true
      }
    }
    return false
  }

  /** The cheapest question to the server: fails with why it was not answered. */
  readonly probe: Effect.Effect<void, DbError> = Effect.suspend(() => {
    const lost = this.driver.intact?.()
    if (lost !== undefined) {
      return Effect.fail(lost)
    }
    return this.isBusyAlone
      ? Effect.void
      : this.ask<void>(
        (connection, done) =>
          connection.ping((error) => error === undefined ? this.askLag(connection, done) : done(error, undefined)),
        true
      )
  })

  private askLag(connection: Driver.Connection, done: Driver.Done<void>): void {
    const { replicationLag } = this.driver
    if (replicationLag === undefined) {
      return done(undefined, undefined)
    }
    replicationLag(connection, (error, seconds) => {
      if (error === undefined) this.metrics.replicationLag(seconds)
      done(error, undefined)
    })
  }

  /**
   * What became of a transaction whose COMMIT got no answer, asked on another connection. `unknown` where that fails.
   * What broke the one connection may break the next one too, so it is asked for several times.
   */
  commitStatus(transactionId: string): Effect.Effect<Driver.CommitStatus> {
    const { commitStatus } = this.driver
    return commitStatus === undefined
      ? Effect.succeed("unknown")
      : this.ask<Driver.CommitStatus>((connection, done) => commitStatus(connection, transactionId, done), false).pipe(
        Effect.retry({
          schedule: this.openSchedule,
          times: commitQuestions - 1,
          while: (error) => error._tag === "ConnectionError" && error.isTransient
        }),
        Effect.catchAll(() => Effect.succeed("unknown" as const))
      )
  }

  /** A question of our own to the server, on the reserved place. */
  ask<A>(
    send: (connection: Driver.Connection, done: Driver.Done<A>) => void,
    failsFast: boolean
  ): Effect.Effect<A, DbError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime<A, DbError>((fiber) =>
        this.openSession(
          fiber,
          restore,
          { writes: false, inside: undefined, reserved: true, failFast: failsFast },
          identity,
          (session) => Effect.ensuring(restore(this.askIn(session, send)), this.closeSession(session))
        )
      )
    )
  }

  /** The same in a session, outside of its transactions. */
  askIn<A>(
    session: Session,
    send: (connection: Driver.Connection, done: Driver.Done<A>) => void
  ): Effect.Effect<A, DbError> {
    return Effect.async<A, DbError>((resume) => {
      session.queue.submit(
        new SessionRequest(
          session.queue,
          session.root,
          "control",
          undefined,
          // A request carries every answer as unknown; `A` is what `send` answers with.
          (error, value) => resume(error === undefined ? Effect.succeed(value as A) : Effect.fail(error)),
          askLimit,
          undefined,
          (connection, _, done) => send(connection, done)
        )
      )
    })
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(this.pool.close(this.config.pool.closeTimeout), (isClean) => {
      this.writeLock?.close(closed(this.name))
      this.timer.stop()
      const { closeTimeout } = this.config.pool
      const said = { operation: "close", ...(isClean ? {} : { closeTimeout }) }
      return isClean
        ? this.log.line(LogLevel.Debug, "database closed", said)
        : this.log.line(LogLevel.Warning, "sessions were cut when the database closed", said)
    })
  )
}
