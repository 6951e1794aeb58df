/**
 * Runs a fiber's statements: in its level, or on a connection of their own.
 */
/* eslint-disable @typescript-eslint/max-params -- one after the other, not in an object: these are called for each statement */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { currentSpan, isTraced, serviceIn } from "../effect/context.js"
import { disableInterruption, enableInterruption, endIfInterrupted } from "../effect/fiberState.js"
import type { Engine } from "../Engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { deadlineOf, levelOf, matchCause, type Restore } from "../fiber/fiberContext.js"
import { audited } from "../observe/audit.js"
import { appendComment } from "../observe/sqlcommenter.js"
import { describeStatement, inStatementSpan } from "../observe/tracing.js"
import type { SessionLevel } from "../session/Session.js"
import { PooledRequest } from "./PooledRequest.js"
import { SessionRequest } from "./Request.js"

/** In which shape a statement answers, and whether it is kept prepared. */
export type Way = Pick<Driver.Request, "mode" | "prepare">

export const asRows: Way = { mode: "rows", prepare: true }
export const asValues: Way = { mode: "values", prepare: true }
export const asRaw: Way = { mode: "raw", prepare: true }
export const asResult: Way = { mode: "result", prepare: true }
export const unprepared: Way = { mode: "rows", prepare: false }

/**
 * What a statement asks for beyond its text. A class, because V8 soon makes the object literals of one place in its old space:
 * `Handlers` of fiberContext.ts tells what follows.
 */
export class ExecuteOptions {
  readonly mode: Driver.Mode
  readonly prepare: boolean

  constructor(
    way: Way,
    /** The statement's own limit in milliseconds, 0 for none. */
    readonly limit: number,
    /** The statement's own span. */
    readonly span?: Tracer.Span
  ) {
    this.mode = way.mode
    this.prepare = way.prepare
  }
}

/**
 * A limit below this is kept here alone, in milliseconds: what sets it and what takes it back in a transaction is bound by it,
 * too, and would fail in its stead on a busy server.
 */
const shortestOfServer = 100

/** A class for the same reason. */
class ProgramRequest implements Driver.Request {
  readonly mode: Driver.Mode
  readonly prepare: boolean
  readonly begin = undefined
  readonly lockTimeout = undefined

  constructor(
    readonly text: string,
    readonly params: ReadonlyArray<unknown>,
    ask: ExecuteOptions,
    readonly statementTimeout: number | undefined,
    readonly safeIntegers: boolean
  ) {
    this.mode = ask.mode
    this.prepare = ask.prepare
  }
}

export const makeRequest = (
  engine: Engine,
  fiber: AnyFiber,
  text: string,
  params: ReadonlyArray<unknown>,
  ask: ExecuteOptions
): Driver.Request => {
  let statementTimeout: number | undefined = undefined
  if (engine.driver.capabilities.serverLimits) {
    // The server keeps a limit of its own only where it differs from the one the connection was opened with.
    const deadline = deadlineOf(fiber)
    const configured = engine.config.limits.statementTimeout
    const left = deadline === undefined
      ? Infinity
      : Math.max(Math.ceil(deadline.at - engine.clock.unsafeCurrentTimeMillis()), 1)
    const limit = Math.min(ask.limit > 0 ? ask.limit : Infinity, left)
    statementTimeout = limit >= shortestOfServer && limit !== Infinity
      ? limit === configured ? undefined : limit
      // 0 takes a configured limit away that would come first.
      : configured > 0 && configured < limit
      ? 0
      : undefined
  }
  const safeIntegers = serviceIn(fiber.currentContext, SqlClient.SafeIntegers) === true
  return new ProgramRequest(text, params, ask, statementTimeout, safeIntegers)
}

export interface StatementRequest {
  readonly start: () => void
  readonly withdraw: (settled: () => void) => void
}

const prepareRun = (
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel | undefined,
  request: Driver.Request,
  limit: number,
  resume: (error: DbError | undefined, value: unknown) => void
): StatementRequest => {
  if (level === undefined) {
    return new PooledRequest(engine, request, limit, deadlineOf(fiber), fiber, resume)
  }
  const { session } = level
  const queued = new SessionRequest(session.queue, level, "statement", request, resume, limit, deadlineOf(fiber))
  queued.fiber = fiber
  return queued
}

/** What is sent: the text with its comment. One with a `traceparent` differs each time, and cannot be prepared. */
const withComment = (
  engine: Engine,
  fiber: AnyFiber,
  text: string,
  ask: ExecuteOptions
): readonly [string, ExecuteOptions] => {
  const { config } = engine
  if (!config.tracing.comments || config.type === "sqlite") {
    return [text, ask]
  }
  const span = isTraced(fiber) ? ask.span ?? currentSpan(fiber) : undefined
  const sent = appendComment(text, config.applicationName, span)
  return [
    sent,
    span === undefined || sent === text
      ? ask
      : new ExecuteOptions({ mode: ask.mode, prepare: false }, ask.limit, ask.span)
  ]
}

/** Runs a statement for this fiber: in its level, or on a connection of its own. */
export const execute = <E>(
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel | undefined,
  text: string,
  params: ReadonlyArray<unknown>,
  ask: ExecuteOptions,
  fail: (error: DbError) => E
): Effect.Effect<unknown, E> => {
  if (!engine.isWatched) {
    return send(engine, fiber, level, text, params, ask, fail)
  }
  const [sent, how] = withComment(engine, fiber, text, ask)
  // It begins when `send` is called, not when its effect runs.
  const sending = () => send(engine, fiber, level, sent, params, how, fail)
  return engine.config.log.audit ? audited(engine, level, text, sending) : sending()
}

const send = <E>(
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel | undefined,
  text: string,
  params: ReadonlyArray<unknown>,
  ask: ExecuteOptions,
  fail: (error: DbError) => E
): Effect.Effect<unknown, E> => {
  const request = makeRequest(engine, fiber, text, params, ask)
  return answer(
    engine,
    fiber,
    (resume) => prepareRun(engine, fiber, level, request, ask.limit, shown(engine, fiber, level, resume)),
    fail
  )
}

/** What takes an answer, where it matters what the primary has shown. A failure shows something, too, and may have been applied. */
export const shown = <A>(
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel | undefined,
  resume: (error: DbError | undefined, value: A) => void
): (error: DbError | undefined, value: A) => void => {
  const { replicas } = engine
  return replicas === undefined || (level !== undefined && level.session.engine !== engine)
    ? resume
    : (error, value) => {
      replicas.answered(fiber)
      resume(error, value)
    }
}

/**
 * Starts a request and waits for its answer; an interrupt takes it back, or stops it, and waits until it is over. To be
 * called by the fiber that is to wait, which has to run the effect next.
 */
export const answer = <E>(
  engine: Engine,
  fiber: AnyFiber,
  prepare: (resume: (error: DbError | undefined, value: unknown) => void) => StatementRequest,
  fail: (error: DbError) => E
): Effect.Effect<unknown, E> => {
  const begin = () => new Answer(prepare, fail)
  if (!engine.driver.capabilities.synchronous) {
    return Effect.uninterruptibleMask((restore) => begin().wait(restore))
  }
  const answer = begin()
  const exit = answer.take()
  if (exit !== undefined) {
    // It was there at once, and needs no suspension of the fiber.
    return exit
  }
  // It has to wait after all, and a part of it may have been run: it must not begin again. An interrupt that comes
  // before the wait begins would go unnoticed, so there must be none.
  if (!disableInterruption(fiber)) {
    return answer.wait(identity)
  }
  return Effect.flatMap(
    Effect.exit(answer.wait(Effect.interruptible)),
    (exit) => {
      enableInterruption(fiber)
      // Ends the fiber here if it was interrupted.
      return Effect.zipRight(endIfInterrupted, exit)
    }
  )
}

/** The answer to a request, which begins with it. */
class Answer<E> {
  private exit: Exit.Exit<unknown, E> | undefined = undefined
  private resume: ((effect: Effect.Effect<void>) => void) | undefined = undefined
  private readonly work: StatementRequest

  constructor(
    prepare: (resume: (error: DbError | undefined, value: unknown) => void) => StatementRequest,
    fail: (error: DbError) => E
  ) {
    this.work = prepare((error, value) => {
      this.exit = error === undefined ? Exit.succeed(value) : Exit.fail(fail(error))
      this.resume?.(Exit.void)
    })
    this.work.start()
  }

  /** The answer, when it has come. It is given away: rows must not live as long as the last that remembers their statement. */
  take(): Exit.Exit<unknown, E> | undefined {
    const { exit } = this
    this.exit = undefined
    return exit
  }

  /** To be run where interruption is masked. */
  wait(restore: Restore): Effect.Effect<unknown, E> {
    const exit = this.take()
    if (exit !== undefined) {
      return exit
    }
    // The fiber is only woken: what it is woken with passes through an object literal of Effect's, of which `Handlers` of fiberContext.ts tells.
    const wait = Effect.async<void>((resume) => {
      if (this.exit !== undefined) {
        resume(Exit.void)
      } else {
        this.resume = resume
      }
    })
    // Not by a canceller of `async`: a fiber may be interrupted after that has started the request, before it knows it.
    return matchCause(restore(wait), (cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.flatMap(
          Effect.async<void>((done) => this.work.withdraw(() => done(Effect.void))),
          () => Exit.failCause(cause)
        )
        : Exit.failCause(cause), () => this.take()!)
  }
}

/** Runs a text of `Db.query`, in a span of its own where a tracer is set. */
export const executeQuery = (
  engine: Engine,
  fiber: AnyFiber,
  text: string,
  params: ReadonlyArray<unknown>,
  limit: number,
  mode: Driver.Mode,
  fail: (error: DbError) => DbError = identity
): Effect.Effect<unknown, DbError> => {
  const level = levelOf(engine, fiber)
  const way: Way = { mode, prepare: true }
  return isTraced(fiber)
    ? inStatementSpan(engine, (span) => {
      describeStatement(span, engine, level, text)
      return execute(engine, fiber, level, text, params, new ExecuteOptions(way, limit, span), fail)
    })
    : execute(engine, fiber, level, text, params, new ExecuteOptions(way, limit), fail)
}
