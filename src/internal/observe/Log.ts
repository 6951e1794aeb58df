/**
 * What an engine writes to Effect's log: each line with the database, and where it is known the worker, the session, the
 * operation and how long it took. Nothing is built for a line below the log level, and no line holds a parameter's
 * value.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import type { DbError, Holder } from "../../DbError.js"
import { errorType } from "../../DbMetrics.js"
import { asFiber } from "../effect/fiberState.js"
import { excerpt } from "../error/message.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { Fork } from "../pool/DeadlineTimer.js"
import type { Session } from "../session/Session.js"

/** Of a test worker or a cluster's worker. */
export const workerId: string | undefined = process.env["DBLIVE_WORKER"] ?? process.env["VITEST_POOL_ID"] ??
  process.env["NODE_UNIQUE_ID"]

/** How far apart warnings of one kind of failure are, in milliseconds. */
const warnEvery = 1_000

type Annotations = Readonly<Record<string, unknown>>

/** Whether a fiber's log takes lines of this level. */
const isWanted = (level: LogLevel.LogLevel, fiber: AnyFiber): boolean =>
  LogLevel.greaterThanEqual(level, fiber.getFiberRef(FiberRef.currentMinimumLogLevel))

const described = (holder: Holder): Annotations => ({
  holder: holder.span ?? holder.fiber,
  fiber: holder.fiber,
  ...(holder.session === undefined ? {} : { session: holder.session }),
  state: holder.state,
  statement: holder.statement
})

/** Annotations of an error: what it is, never what the server says about values. */
export const ofError = (error: DbError): Annotations => ({
  error: errorType(error),
  outcome: error.outcome,
  ...(error.code === undefined ? {} : { code: error.code }),
  ...(error._tag === "QueryError" && error.constraint !== undefined ? { constraint: error.constraint } : {}),
  ...("statement" in error && error.statement !== undefined ? { statement: excerpt(error.statement) } : {})
})

export class Log {
  private readonly common: Annotations

  /** When a warning of a failure was last written, by its `error.type`. */
  private readonly warned = new Map<string, number>()

  constructor(
    database: string,
    private readonly clock: Clock.Clock,
    private readonly fork: Fork,
    /** Which of its servers it is, where there are several. */
    server: Annotations = {}
  ) {
    this.common = { database, ...(workerId === undefined ? {} : { worker: workerId }), ...server }
  }

  /** A line for the fiber that runs it: it has the fiber's own annotations, such as the user of a request. */
  line(level: LogLevel.LogLevel, message: string, annotations: Annotations): Effect.Effect<void> {
    return Effect.annotateLogs(Effect.logWithLevel(level, message), { ...this.common, ...annotations })
  }

  /** Writes a line for a fiber that is not to run it itself; for none, as the fiber that opened the engine would. */
  private write(
    level: LogLevel.LogLevel,
    fiber: AnyFiber | undefined,
    message: string,
    annotations: () => Annotations
  ): void {
    if (fiber === undefined) {
      this.fork(this.line(level, message, annotations()))
    } else if (isWanted(level, fiber)) {
      this.fork(asFiber(fiber, this.line(level, message, annotations())))
    }
  }

  sessionOpened(session: Session, fiber: AnyFiber): void {
    if (isWanted(LogLevel.Debug, fiber)) {
      session.openedBy = fiber
      this.write(LogLevel.Debug, fiber, "session opened", () => ({ operation: "session", session: session.number }))
    }
  }

  sessionClosed(session: Session, heldForMillis: number): void {
    if (session.openedBy !== undefined) {
      this.write(LogLevel.Debug, session.openedBy, "session closed", () => ({
        operation: "session",
        session: session.number,
        durationMillis: heldForMillis
      }))
    }
  }

  slowStatement(
    text: string,
    millis: number,
    session: number | undefined,
    error: DbError | undefined,
    fiber: AnyFiber | undefined
  ): void {
    this.write(LogLevel.Warning, fiber, "slow statement", () => ({
      operation: "statement",
      ...(session === undefined ? {} : { session }),
      durationMillis: Math.round(millis),
      statement: excerpt(text),
      ...(error === undefined ? {} : { error: errorType(error) })
    }))
  }

  leftBehind(what: string, text: string, fiber: AnyFiber): void {
    this.write(
      LogLevel.Warning,
      fiber,
      `${what} outside of a session is lost: the connection goes back, cleaned, as soon as the statement has run. ` +
        "Run it in one Db.session or Db.transaction with the statements that need it; what every connection is to have " +
        "belongs into the configuration (\"settings\")",
      () => ({ operation: "statement", statement: excerpt(text) })
    )
  }

  /**
   * What the program may well expect (a violation, a conflict), or has asked for and is not supported, is written at debug: the error
   * that the caller gets says it. That a limit was reached, a connection
   * could not be obtained, or the outcome of a transaction is unknown, as a warning, but not thousands of times: in a
   * second the first of its kind is, and the others at debug.
   */
  failure(error: DbError, fiber: AnyFiber | undefined): void {
    const isExpected = (error._tag === "QueryError" && error.reason !== "CommitUnknown") ||
      error.reason === "Unsupported"
    const message = error._tag === "QueryError" ? `statement failed: ${error.reason}` : error.message
    if (isExpected || this.hasWarned(errorType(error))) {
      return this.write(LogLevel.Debug, fiber, message, () => ofError(error))
    }
    this.write(LogLevel.Warning, fiber, message, () => ofError(error))
  }

  private hasWarned(type: string): boolean {
    const now = this.clock.unsafeCurrentTimeMillis()
    const last = this.warned.get(type)
    if (last !== undefined && now - last < warnEvery) {
      return true
    }
    this.warned.set(type, now)
    return false
  }

  leak(holder: Holder): void {
    this.write(LogLevel.Warning, undefined, "a connection is held for long", () => ({
      operation: "session",
      ...described(holder),
      durationMillis: holder.heldForMillis
    }))
  }

  leakReturned(holder: Holder | undefined, heldForMillis: number): void {
    this.write(LogLevel.Info, undefined, "a connection that was held for long was returned after all", () => ({
      operation: "session",
      ...(holder === undefined ? {} : described(holder)),
      durationMillis: heldForMillis
    }))
  }
}
