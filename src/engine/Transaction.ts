/**
 * Sessions and transactions around an effect.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Schedule from "effect/Schedule"
import * as Tracer from "effect/Tracer"
import { ConnectionError, type DbError, isRetryable, QueryError, TimeoutError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import type { Engine } from "./Engine.js"
import { deadlineOf, isTraced } from "./Origin.js"
import { describeError, frameOf } from "./Place.js"
import type { Frame, Session } from "./Session.js"

/** How a transaction is to run. */
export interface Options extends Driver.BeginOptions {
  /** The longest it may take, in milliseconds; 0 for no limit. */
  readonly timeout?: number | undefined
  /** Which of its failures are tried again, how often and when. Only the outermost transaction is. */
  readonly retry?: Schedule.Schedule<unknown, DbError> | undefined
  /** Ask the database what became of a COMMIT whose answer was lost. */
  readonly resolveCommit?: boolean | undefined
}

/** An effect that runs in a frame: its statements go there, and `SqlClient` is this database's client. */
export const inFrame = <A, E, R>(
  engine: Engine,
  frame: Frame,
  span: Tracer.Span | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((fiber) => {
    const map = new Map(fiber.currentContext.unsafeMap)
    map.set(engine.frameKey, frame)
    map.set(SqlClient.SqlClient.key, engine.client)
    if (span !== undefined) {
      map.set(Tracer.ParentSpan.key, span)
    }
    return Effect.locally(effect, FiberRef.currentContext, Context.unsafeMake(map))
  })

/** Wraps in a span where somebody traces. */
const spanned = <A, E, R>(
  engine: Engine,
  name: string,
  f: (span: Tracer.Span | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((fiber) =>
    isTraced(fiber)
      ? Effect.useSpan(name, { kind: "client", captureStackTrace: false }, (span) => {
        for (const [key, value] of engine.spanAttributes) {
          span.attribute(key, value)
        }
        return Effect.tapError(f(span), (error) => Effect.sync(() => describeError(span, error, engine.name)))
      })
      : f(undefined)
  )

/** Pins one connection to the effect. In a session of the same database it is that session. */
export const withSession = <A, E, R, E2>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  fail: (error: DbError) => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<A, E | E2, R>((fiber) => {
      if (frameOf(engine, fiber) !== undefined) {
        return restore(effect)
      }
      return spanned(engine, "db.session", (span) =>
        Effect.matchCauseEffect(engine.openSession(restore, { writes: false, inside: undefined }), {
          onFailure: (cause) =>
            failed(cause, fail),
          onSuccess: (session) =>
            Effect.onExit(restore(inFrame(engine, session.root, span, effect)), () =>
              engine.closeSession(session))
        }))
    })
  )

const failed = <E2>(cause: Cause.Cause<DbError>, fail: (error: DbError) => E2): Effect.Effect<never, E2> =>
  Effect.mapError(Effect.failCause(cause), fail)

/** Runs the effect in a transaction, or in a savepoint of the one that is open. */
export const withTransaction = <A, E, R, E2>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  options: Options,
  fail: (error: DbError) => E2,
  /** The typed error of a failure, if it is one of the database. */
  classify: (error: E | E2) => DbError | undefined
): Effect.Effect<A, E | E2, R> =>
  Effect.withFiberRuntime<A, E | E2, R>((fiber) => {
    const frame = frameOf(engine, fiber)
    const begin = engine.driver.transaction.begin(options)
    if (typeof begin !== "string") {
      return Effect.fail(fail(
        new QueryError({
          message: `database "${engine.name}": ${begin.unsupported}`,
          reason: "Unknown",
          outcome: "NotSent",
          database: engine.name
        })
      ))
    }
    const { retry } = options
    return spanned(engine, "db.transaction", (span) => {
      const once = attempt(engine, effect, begin, options, frame, span, fail)
      return retry === undefined || (frame !== undefined && frame.kind !== "session")
        ? once
        : retried(engine, once, retry, classify, { span })
    })
  })

/** Repeats what may be repeated: nothing was applied, and the reason is transient. */
export const retried = <A, E, R>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  schedule: Schedule.Schedule<unknown, DbError>,
  classify: (error: E) => DbError | undefined,
  options: { readonly isIdempotent?: boolean; readonly span?: Tracer.Span | undefined } = {}
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Schedule.driver(schedule), (driver) => {
    const loop = (attempt: number): Effect.Effect<A, E, R> =>
      Effect.catchAll(effect, (error) => {
        const typed = classify(error)
        if (typed === undefined || !(isRetryable(typed) || (options.isIdempotent === true && typed.isTransient))) {
          return Effect.fail(error)
        }
        return Effect.matchEffect(withinDeadline(engine, driver.next(typed)), {
          // The schedule is exhausted, or the deadline would pass before the next attempt could begin.
          onFailure: () => Effect.fail(error),
          onSuccess: () => {
            engine.metrics.retry()
            options.span?.attribute("dblive.retries", attempt)
            return Effect.zipRight(
              Effect.annotateLogs(Effect.logDebug("retrying"), {
                database: engine.name,
                attempt,
                reason: typed.reason
              }),
              loop(attempt + 1)
            )
          }
        })
      })
    return loop(1)
  })

const withinDeadline = <A, E, R>(engine: Engine, wait: Effect.Effect<A, E, R>): Effect.Effect<A, E | void, R> =>
  Effect.withFiberRuntime<A, E | void, R>((fiber) => {
    const deadline = deadlineOf(fiber)
    return deadline === undefined ? wait : Effect.timeoutFail(wait, {
      duration: Math.max(deadline.at - engine.clock.unsafeCurrentTimeMillis(), 0),
      onTimeout: () => undefined
    })
  })

const attempt = <A, E, R, E2>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  begin: string,
  options: Options,
  outer: Frame | undefined,
  span: Tracer.Span | undefined,
  fail: (error: DbError) => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) => {
    if (outer !== undefined) {
      return within(engine, restore, effect, begin, options, outer, span, fail)
    }
    return Effect.matchCauseEffect(
      engine.openSession(restore, { writes: options.readOnly !== true, inside: undefined }),
      {
        onFailure: (cause) => failed(cause, fail),
        onSuccess: (session) =>
          Effect.onExit(
            within(engine, restore, effect, begin, options, session.root, span, fail),
            () => engine.closeSession(session)
          )
      }
    )
  })

const within = <A, E, R, E2>(
  engine: Engine,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  effect: Effect.Effect<A, E, R>,
  begin: string,
  options: Options,
  outer: Frame,
  span: Tracer.Span | undefined,
  fail: (error: DbError) => E2
): Effect.Effect<A, E | E2, R> => {
  const session = outer.session
  return Effect.matchCauseEffect(enter(session, outer, begin, options, restore), {
    onFailure: (cause) => failed(cause, fail),
    onSuccess: (frame) =>
      Effect.matchCauseEffect(
        restore(limited(engine, session, inFrame(engine, frame, span, effect), options, fail, outer)),
        {
          onFailure: (cause) =>
            Effect.zipRight(
              Effect.ignore(leave(engine, session, frame, "rollback")),
              Effect.failCause(cause)
            ),
          onSuccess: (value) =>
            Effect.matchCauseEffect(committed(engine, session, frame, options), {
              onFailure: (cause) => failed(cause, fail),
              onSuccess: () => Effect.succeed(value)
            })
        }
      )
  })
}

/** Begins: the wait in the session's queue can be interrupted, and what was begun meanwhile is undone. */
const enter = (
  session: Session,
  outer: Frame,
  begin: string,
  options: Options,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<Frame, DbError> =>
  Effect.suspend(() => {
    const state: { frame: Frame | undefined; exit: Exit.Exit<Frame, DbError> | undefined } = {
      frame: undefined,
      exit: undefined
    }
    let notify: (() => void) | undefined = undefined
    const job = session.begin(outer, begin, (error, frame) => {
      state.frame = frame
      state.exit = error === undefined ? Exit.succeed(frame!) : Exit.fail(error)
      notify?.()
    }, { readOnly: options.readOnly === true })
    if (state.exit !== undefined) {
      return state.exit
    }
    const wait = Effect.async<Frame, DbError>((resume) => {
      if (state.exit !== undefined) {
        return resume(state.exit)
      }
      notify = () => resume(state.exit!)
    })
    return Effect.onInterrupt(restore(wait), () =>
      Effect.async<void>((done) => {
        const undo = () =>
          state.frame === undefined
            ? done(Effect.void)
            : session.end(state.frame, "rollback", () => done(Effect.void))
        if (job === undefined || state.exit !== undefined) {
          undo()
        } else {
          session.withdraw(job, undo)
        }
      }))
  })

/** Commits; where it is asked for, and the answer was lost, asks the database what became of the transaction. */
const committed = (
  engine: Engine,
  session: Session,
  frame: Frame,
  options: Options
): Effect.Effect<void, DbError> => {
  const { commitStatus, transactionId } = engine.driver
  if (options.resolveCommit !== true || frame.kind !== "transaction") {
    return leave(engine, session, frame, "commit")
  }
  if (commitStatus === undefined || transactionId === undefined) {
    return Effect.zipRight(
      Effect.ignore(leave(engine, session, frame, "rollback")),
      Effect.fail(
        new QueryError({
          message:
            `database "${engine.name}": resolveCommit: this database cannot tell what became of a transaction; ` +
            "it was rolled back",
          reason: "Unknown",
          outcome: "RolledBack",
          database: engine.name
        })
      )
    )
  }
  let id: string | undefined = undefined
  return Effect.catchIf(
    leave(engine, session, frame, "commit", (_) => id = _),
    (error) => error.outcome === "Unknown",
    (error) =>
      id === undefined ? Effect.fail(error) : Effect.flatMap(engine.commitStatus(id), (status) => {
        switch (status) {
          case "committed":
            return Effect.void
          case "rolled back":
            return Effect.fail(
              new ConnectionError({
                message: `database "${engine.name}": the connection was lost at COMMIT, and the server says that the ` +
                  "transaction was rolled back",
                reason: "Lost",
                outcome: "RolledBack",
                database: engine.name,
                cause: error.cause
              })
            )
          case "unknown":
            return Effect.fail(error)
        }
      })
  )
}

const leave = (
  engine: Engine,
  session: Session,
  frame: Frame,
  how: "commit" | "rollback",
  onTransactionId?: (id: string) => void
): Effect.Effect<void, DbError> =>
  Effect.suspend(() => {
    let exit: Exit.Exit<void, DbError> | undefined = undefined
    let resume: ((exit: Exit.Exit<void, DbError>) => void) | undefined = undefined
    session.end(frame, how, (error) => {
      if (frame.kind === "transaction") {
        engine.metrics.transaction(
          error === undefined
            ? how === "commit" ? "committed" : "rolledBack"
            : error.outcome === "Unknown" && how === "commit"
            ? "unknown"
            : "rolledBack"
        )
      }
      // What went wrong while rolling back must not hide why it was rolled back; the connection is gone with it.
      exit = error === undefined || how === "rollback" ? Exit.void : Exit.fail(error)
      resume?.(exit)
    }, onTransactionId)
    return exit ?? Effect.async<void, DbError>((resume_) => {
      if (exit !== undefined) {
        resume_(exit)
      } else {
        resume = resume_
      }
    })
  })

/** Bounds the body by the transaction's limit and the deadline around it. */
const limited = <A, E, R, E2>(
  engine: Engine,
  session: Session,
  body: Effect.Effect<A, E, R>,
  options: Options,
  fail: (error: DbError) => E2,
  outer: Frame
): Effect.Effect<A, E | E2, R> =>
  Effect.withFiberRuntime<A, E | E2, R>((fiber) => {
    const deadline = outer.kind === "session" ? deadlineOf(fiber) : undefined
    const own = options.timeout ?? (outer.kind === "session" ? engine.config.limits.transactionTimeout : 0)
    const left = deadline === undefined ? Infinity : deadline.at - engine.clock.unsafeCurrentTimeMillis()
    const limit = Math.min(own > 0 ? own : Infinity, left)
    if (limit === Infinity) {
      return body
    }
    const timeout = new TimeoutError({
      message:
        `database "${engine.name}": the transaction took longer than ${limit === left ? deadline!.limit : limit} ms ` +
        "and was rolled back",
      phase: "Transaction",
      outcome: "RolledBack",
      database: engine.name,
      limitMillis: limit === left ? deadline!.limit : limit
    })
    // A statement that is being stopped by its own limit at this moment fails the body by itself, with its own phase.
    const guard = Effect.flatMap(Effect.sleep(Math.max(limit, 0)), () =>
      Effect.suspend(() => session.isStopping ? Effect.never : Effect.fail(fail(timeout))))
    return Effect.raceFirst(body, guard)
  })
