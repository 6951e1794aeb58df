/**
 * Sessions and transactions around an effect.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { whenCommitted } from "../effect/commit.js"
import type { Engine } from "../Engine.js"
import { aborted, lostInside, transactionTimeout, unsupportedOption } from "../error/engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import {
  deadlineOf,
  inLevel,
  levelOf,
  matchCause,
  type Restore,
  transactionLimit,
  withLevel
} from "../fiber/fiberContext.js"
import { auditEnd } from "../observe/audit.js"
import { describeServer, describeTransaction, inSessionSpan } from "../observe/tracing.js"
import type { Server } from "../replicas/Server.js"
import { type Deadline, earlier } from "../request/Deadline.js"
import { partlyCommitted } from "./implicitCommit.js"
import { withRetry } from "./retry.js"
import type { Session, SessionLevel } from "./Session.js"
import type { AcquireOptions } from "./SessionWait.js"
import { cannotNest } from "./TransactionLevel.js"

/** How a transaction is to run. */
export interface Options extends Driver.BeginOptions {
  /** The longest it may take, in milliseconds; 0 for no limit. */
  readonly timeout?: number | undefined
  /** Which of its failures are tried again, how often and when. Only the outermost transaction is. */
  readonly retry?: Schedule.Schedule<unknown, DbError> | undefined
  /** Ask the database what became of a COMMIT whose answer was lost. */
  readonly resolveCommit?: boolean | undefined
  /** How old the data of a read-only one may be, in milliseconds, where the database has replicas. Defaults to what is configured. */
  readonly staleness?: number | undefined
  /** It goes on when the database commits it by itself, as MySQL does before DDL; else what follows is refused. */
  readonly followsCommits?: boolean | undefined
}

const forReading: AcquireOptions = { writes: false, inside: undefined }
const forWriting: AcquireOptions = { writes: true, inside: undefined }

/** A session that lasts as long as the scope, outside the fiber's own session. */
export const reserveSession = (engine: Engine) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<Session, DbError, Scope.Scope>((fiber) =>
      engine.openSession(fiber, restore, { writes: false, inside: levelOf(engine, fiber) }, identity, (session) => {
        session.queue.reservedBy = fiber
        return Effect.as(Effect.addFinalizer(() => engine.closeSession(session)), session)
      })
    )
  )

/** Pins one connection to the effect. In a session of the same database it is that session. */
export const withSession = <A, E, R, E2>(
  /** The engine of the fiber that runs it. */
  engineOf: (fiber: AnyFiber) => Engine,
  effect: Effect.Effect<A, E, R>,
  /** What an error of the effect is outside of the session. */
  boundary: (error: E, engine: Engine) => E2
): Effect.Effect<A, DbError | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<A, DbError | E2, R>((fiber) => {
      const engine = engineOf(fiber)
      const outside = (error: E): E2 => boundary(error, engine)
      const level = levelOf(engine, fiber)
      if (level !== undefined) {
        // In a session of this database that lies around one of another, the client at hand is the other one's.
        return Effect.mapError(restore(inLevel(engine, level, undefined, effect)), outside)
      }
      return inSessionSpan(engine, fiber, "db.session", (span) =>
        engine.openSession<A, DbError | E2, R, DbError>(fiber, restore, forReading, identity, (session) => {
          span?.attribute("dblive.session", session.number)
          return withLevel(engine, fiber, restore, session.root, span, effect, (exit) =>
            after(engine, session, Exit.mapError(exit, outside)))
        }))
    })
  )

/** Ends the session with what became of its effect. */
const after = <A, E>(server: Server, session: Session, exit: Exit.Exit<A, E>): Effect.Effect<A, E> => {
  const ending = server.endSession(session)
  return ending === undefined ? exit : Effect.zipRight(ending, exit)
}

/** Whether it is asked what becomes of a COMMIT without an answer, of a database that could not say. */
const cannotResolve = ({ driver }: Engine, { resolveCommit }: Options): boolean =>
  resolveCommit === true && driver.answersCommits !== true &&
  (driver.commitStatus === undefined || driver.transactionId === undefined)

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
    const level = levelOf(engine, fiber)
    const begin = engine.driver.transaction.begin(options)
    if (typeof begin !== "string" || cannotResolve(engine, options)) {
      const error = unsupportedOption(
        engine.name,
        typeof begin === "string"
          ? "resolveCommit: this database cannot tell what became of a transaction: leave the option out"
          : begin.unsupported
      )
      engine.failed(error, fiber)
      return Effect.fail(fail(error))
    }
    const { retry } = options
    return inSessionSpan(engine, fiber, "db.transaction", (span) => {
      if (span !== undefined) {
        describeTransaction(span, options)
      }
      const once = attempt(new Call(engine, effect, begin, options, span, fail), level)
      return retry === undefined || (level !== undefined && level.kind !== "session")
        ? once
        : withRetry(engine, once, retry, classify, { span })
    })
  })

/** What a transaction is called with. A class: one is made for each transaction, and V8 keeps literals of one place for long. */
class Call<A, E, R, E2> {
  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: one is made for each
  constructor(
    readonly engine: Engine,
    readonly effect: Effect.Effect<A, E, R>,
    readonly begin: string,
    readonly options: Options,
    readonly span: Tracer.Span | undefined,
    readonly fail: (error: DbError) => E2
  ) {}
}

const attempt = <A, E, R, E2>(
  call: Call<A, E, R, E2>,
  outer: SessionLevel | undefined
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<A, E | E2, R>((fiber) => {
      const { engine, fail, options } = call
      if (outer !== undefined) {
        return within(call, fiber, restore, outer, identity)
      }
      if (engine.replicas !== undefined && options.readOnly === true) {
        return engine.replicas.openSession(fiber, restore, options.staleness, fail, (session, server) => {
          if (call.span !== undefined) {
            call.span.attribute("db.client.connection.pool.name", server.poolName)
            describeServer(call.span, server)
          }
          return within(call, fiber, restore, session.root, (exit) => after(server, session, exit))
        })
      }
      return engine.openSession(fiber, restore, options.readOnly === true ? forReading : forWriting, fail, (session) =>
        within(call, fiber, restore, session.root, (exit) =>
          after(engine, session, exit)))
    })
  )

/** A transaction in a session; `last` is told how it has ended, and ends the session where it was opened for it. */
const within = <A, E, R, E2>(
  call: Call<A, E, R, E2>,
  fiber: AnyFiber,
  restore: Restore,
  outer: SessionLevel,
  last: (exit: Exit.Exit<A, E | E2>) => Effect.Effect<A, E | E2>
): Effect.Effect<A, E | E2, R> => {
  const { begin, effect, engine, fail, options, span } = call
  const { session } = outer
  const around = deadlineOf(fiber)
  const own = options.timeout ?? (outer.kind === "session" ? transactionLimit(engine.config, fiber) : 0)
  const limit = earlier(engine.clock.unsafeCurrentTimeMillis(), own, around)
  // The outermost transaction sees to the deadline around all of them.
  const guarded = limit === around && outer.kind !== "session" ? undefined : limit
  const ended = (
    outcome: "committed" | "rolled_back" | "unknown",
    exit: Exit.Exit<A, E | E2>,
    level?: SessionLevel
  ) => {
    if (level !== undefined) engine.replicas?.ended(fiber, level)
    span?.attribute("dblive.outcome", outcome)
    return engine.config.log.audit
      ? Effect.zipRight(auditEnd(session.engine, session.number, outer.kind !== "session", outcome), last(exit))
      : last(exit)
  }
  const refused = (cause: Cause.Cause<DbError>, outcome: "rolled_back" | "unknown", level?: SessionLevel) => {
    const error = Cause.failureOption(cause)
    if (error._tag === "Some") {
      engine.failed(error.value, fiber)
    }
    return ended(outcome, Exit.failCause(Cause.map(cause, fail)), level)
  }
  const use = (level: SessionLevel) =>
    withLevel(
      engine,
      fiber,
      restore,
      level,
      span,
      limited(engine, session, effect, guarded, fail),
      (exit) =>
        exit._tag === "Failure"
          ? matchCause(
            leave(restore, level, "rollback"),
            () => ended(outcomeOf(level), failureOf(engine, level, exit), level),
            () => ended(outcomeOf(level), failureOf(engine, level, exit), level)
          )
          : matchCause(
            committed(engine, restore, level, options, limit),
            (cause) => refused(cause, isUnanswered(cause, level) ? "unknown" : "rolled_back", level),
            () => whenCommitted(level, ended("committed", exit, level))
          )
    )
  const entered = enter(outer, begin, options, limit, restore)
  return "value" in entered
    ? use(entered.value)
    // What has not begun cannot be applied, whatever kept it from that.
    : matchCause(entered, (cause) => refused(cause, "rolled_back"), use)
}

/** Whether it is not known what became of a COMMIT. One that was interrupted says nothing of it: its level does. */
const isUnanswered = (cause: Cause.Cause<DbError>, { commit }: SessionLevel): boolean => {
  const error = Option.getOrUndefined(Cause.failureOption(cause)) ?? commit?.error
  return error === undefined || error.outcome === "Unknown"
}

/** How a transaction has ended whose effect failed. */
const outcomeOf = ({ committedBy }: SessionLevel) => committedBy === undefined ? "rolled_back" : "unknown"

/** The failure of a transaction's effect, which says what the database has committed by itself. */
const failureOf = <A, E>(engine: Engine, { committedBy }: SessionLevel, exit: Exit.Exit<A, E>): Exit.Exit<A, E> =>
  committedBy === undefined ? exit : partlyCommitted(exit, committedBy, engine.name)

/**
 * Begins, where interruption is masked: the wait in the session's queue can be interrupted, and what was begun meanwhile
 * is undone. What needs no wait is there at once.
 */
const enter = (
  outer: SessionLevel,
  begin: string,
  options: Options & { readonly now?: boolean },
  deadline: Deadline | undefined,
  restore: Restore
): Exit.Success<SessionLevel, never> | Effect.Effect<SessionLevel, DbError> => {
  const { session } = outer
  const isAlone = outer.kind === "session" || outer.committedBy !== undefined
  const problem = isAlone ? undefined : cannotNest(outer.options, options, session.engine.driver)
  if (problem !== undefined) {
    return Effect.fail(unsupportedOption(session.engine.name, problem))
  }
  // Widened by hand: only a callback sets them.
  let begun = undefined as SessionLevel | undefined
  let exit = undefined as Exit.Exit<SessionLevel, DbError> | undefined
  let notify: (() => void) | undefined = undefined
  const request = session.begin(outer, begin, (error, level) => {
    begun = level
    exit = error === undefined ? Exit.succeed(level!) : Exit.fail(error)
    notify?.()
  }, { begin: options, followsCommits: options.followsCommits, now: options.now, deadline })
  if (exit !== undefined) {
    return exit
  }
  const wait = Effect.async<SessionLevel, DbError>((resume) => {
    if (exit !== undefined) {
      return resume(exit)
    }
    notify = () => resume(exit!)
  })
  return Effect.onInterrupt(restore(wait), () =>
    Effect.async<void>((done) =>
      // Where there is no request, its end was there at once.
      session.queue.withdraw(request!, () =>
        begun === undefined
          ? done(Effect.void)
          : session.end(begun, "rollback", () => done(Effect.void)))
    ))
}

/** Begins in the innermost level of a session, at once. */
export const beginInnermost = (session: Session, begin: string, options: Options): Effect.Effect<void, DbError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<void, DbError>((fiber) =>
      Effect.asVoid(enter(session.innermost, begin, { ...options, now: true }, deadlineOf(fiber), restore))
    )
  )

/** Ends what was begun last in a session. */
export const endInnermost = (
  engine: Engine,
  session: Session,
  how: "commit" | "rollback"
): Effect.Effect<void, DbError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<void, DbError>((fiber) => {
      const level = session.innermost
      return level.kind === "session"
        ? Effect.fail(
          aborted(engine.name, `${how} without a transaction`, { outcome: "NotSent", advice: "call begin first" })
        )
        : Effect.ensuring(
          Effect.tap(leave(restore, level, how, { deadline: deadlineOf(fiber) }), () =>
            how === "commit" ? whenCommitted(level, Effect.void) : Effect.void),
          Effect.sync(() =>
            engine.replicas?.ended(fiber, level)
          )
        )
    })
  )

/** Commits; where it is asked for, and the answer was lost, asks the database what became of the transaction. */
const committed = (
  engine: Engine,
  restore: Restore,
  level: SessionLevel,
  options: Options,
  deadline: Deadline | undefined
): Effect.Effect<void, DbError> => {
  if (options.resolveCommit !== true || level.kind !== "transaction" || engine.driver.answersCommits === true) {
    return leave(restore, level, "commit", { deadline })
  }
  let id: string | undefined = undefined
  return Effect.catchIf(
    leave(restore, level, "commit", { deadline, onTransactionId: (_) => id = _ }),
    (error) => error.outcome === "Unknown",
    (error) =>
      // COMMIT was sent, and the id was told before that.
      Effect.flatMap(engine.commitStatus(id!), (status) => {
        switch (status) {
          case "committed":
            engine.metrics.transaction("committed")
            return Effect.void
          case "rolled back":
            engine.metrics.transaction("rolledBack")
            return Effect.fail(
              lostInside(
                engine.name,
                "the connection was lost at COMMIT, and the server says that the transaction was rolled back",
                error.cause
              )
            )
          case "unknown":
            engine.metrics.transaction("unknown")
            return Effect.fail(error)
        }
      })
  )
}

/**
 * Ends a level, where interruption is masked. An interrupt does not stop a COMMIT that is under way: its outcome would
 * be unknown then. It only bounds the wait for the answer. One that succeeds all the same is a success here, and the
 * interrupt takes place where the mask ends.
 */
const leave = (
  restore: Restore,
  level: SessionLevel,
  how: "commit" | "rollback",
  options: {
    readonly onTransactionId?: ((id: string) => void) | undefined
    readonly deadline?: Deadline | undefined
  } = {}
): Effect.Effect<void, DbError> => {
  const { session } = level
  let exit: Exit.Exit<void, DbError> | undefined = undefined
  let resume: ((exit: Exit.Exit<void, DbError>) => void) | undefined = undefined
  const hurry = session.end(level, how, (error, isEndedBefore) => {
    if (level.kind === "transaction" && !isEndedBefore) {
      const isUnknown = how === "commit"
        ? error !== undefined && error.outcome === "Unknown"
        : level.committedBy !== undefined
      if (!isUnknown || options.onTransactionId === undefined) {
        session.engine.metrics.transaction(
          isUnknown ? "unknown" : error === undefined && how === "commit" ? "committed" : "rolledBack"
        )
      }
    }
    // What went wrong while rolling back must not hide why it was rolled back; the connection is gone with it.
    exit = error === undefined || how === "rollback" ? Exit.void : Exit.fail(error)
    resume?.(exit)
  }, options)
  if (exit !== undefined) {
    return exit
  }
  const wait = Effect.async<void, DbError>((resume_) => {
    if (exit !== undefined) {
      resume_(exit)
    } else {
      resume = resume_
    }
  })
  return how === "rollback" ? wait : matchCause(restore(wait), (cause) => {
    if (!Cause.isInterruptedOnly(cause)) {
      return Exit.failCause(cause)
    }
    hurry()
    return matchCause(wait, () => Exit.failCause(cause), () => Exit.void)
  }, () => Exit.void)
}

/** Bounds the body by the transaction's limit and the deadline around it. */
const limited = <A, E, R, E2>(
  engine: Engine,
  session: Session,
  body: Effect.Effect<A, E, R>,
  deadline: Deadline | undefined,
  fail: (error: DbError) => E2
): Effect.Effect<A, E | E2, R> => {
  if (deadline === undefined) {
    return body
  }
  const guard = Effect.suspend(() =>
    Effect.flatMap(
      Effect.sleep(Math.max(deadline.at - engine.clock.unsafeCurrentTimeMillis(), 0)),
      // A statement that its own limit stops at this moment fails the body by itself, and says which one it was.
      () =>
        Effect.zipRight(
          session.queue.settled,
          Effect.withFiberRuntime<never, E2>((fiber) => {
            const error = transactionTimeout(engine.name, deadline.limit)
            engine.failed(error, fiber)
            return Effect.fail(fail(error))
          })
        )
    )
  )
  return Effect.raceFirst(body, guard)
}
