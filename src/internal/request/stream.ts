/**
 * The rows of a statement as a stream: a cursor on a session, read as far as rows are pulled.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { type DbError, toSqlError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { repeatedly } from "../effect/stream.js"
import type { Engine } from "../Engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { deadlineOf } from "../fiber/fiberContext.js"
import { yieldToEventLoop } from "../fiber/yieldToEventLoop.js"
import type { SessionLevel } from "../session/Session.js"
import { SessionCursor } from "../session/SessionCursor.js"
import { reserveSession } from "../session/transaction.js"
import type { Deadline } from "./Deadline.js"
import { answer, shown } from "./execute.js"
import { SessionRequest } from "./Request.js"

export type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** Rows asked for at a time: enough that the round trip does not count, few enough that memory stays flat. */
const usualFetch = 512

/** What a stream is made of. */
export interface StreamOptions {
  /** Made when a connection is there: the time that is left is part of it. */
  readonly makeRequest: () => Driver.Request
  /** The limit of each step in milliseconds; 0 for none. */
  readonly limit: number
  readonly transformRows: TransformRows
}

/** The rows of a statement as a stream, back-pressured: on a session of its own where the fiber is in none. */
export const makeStream = (
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel | undefined,
  options: StreamOptions
): Effect.Effect<Stream.Stream<unknown, SqlError>, SqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const at = level ?? (yield* reserveSession(engine)).root
    const deadline = deadlineOf(fiber)
    const cursor = yield* openCursor(engine, fiber, at, options)
    if (level === undefined) {
      cursor.alone()
    }
    const pull = Effect.zipRight(
      yieldToEventLoop(engine),
      Effect.suspend(() => nextRows(engine, fiber, at, cursor, deadline))
    )
    const { transformRows } = options
    return repeatedly(
      Effect.mapBoth(pull, {
        onFailure: Option.map(toSqlError),
        // Cursors give rows as objects in this mode.
        onSuccess: (rows) => transformRows === undefined ? rows : transformRows(rows as ReadonlyArray<object>)
      })
    )
  }).pipe(Effect.mapError(toSqlError))

/**
 * Runs a request in the queue of a session. The fiber that pulls need not be the one that has made the stream, to which the request
 * belongs.
 */
const inQueue = <A>(
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel,
  make: (done: (error: DbError | undefined, value: A) => void) => SessionRequest
): Effect.Effect<A, DbError> =>
  Effect.withFiberRuntime<A, DbError>((puller) =>
    // A request answers with what it is made for.
    answer(engine, puller, (resume) => {
      const request = make(shown(engine, puller, level, resume))
      request.fiber = fiber
      return request
    }, identity) as Effect.Effect<A, DbError>
  )

/** Opens a cursor, which is closed with the scope. */
const openCursor = (
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel,
  { limit, makeRequest }: StreamOptions
): Effect.Effect<SessionCursor, DbError, Scope.Scope> =>
  Effect.gen(function*() {
    const { queue } = level.session
    const request = makeRequest()
    const state: { cursor: SessionCursor | undefined } = { cursor: undefined }
    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        if (state.cursor === undefined) {
          return resume(Effect.void)
        }
        state.cursor.close(() => resume(Effect.void))
      })
    )
    yield* inQueue<Driver.Cursor>(engine, fiber, level, (done) =>
      new SessionRequest(
        queue,
        level,
        "open",
        request,
        (error, value) => {
          if (error === undefined) {
            // Registered here, not by the fiber, which may be interrupted before it sees the answer.
            state.cursor = new SessionCursor(queue, value as Driver.Cursor, limit)
            queue.attach(state.cursor)
          }
          done(error, value as Driver.Cursor)
        },
        limit,
        deadlineOf(fiber),
        (connection, _, answer) => connection.openCursor(request, answer)
      ))
    return state.cursor!
  })

/** The next rows of a cursor; fails with none behind the last. */
const nextRows = (
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel,
  cursor: SessionCursor,
  deadline: Deadline | undefined
): Effect.Effect<ReadonlyArray<unknown>, Option.Option<DbError>> => {
  const rows = cursor.unread.shift()
  if (rows !== undefined) {
    return Effect.succeed(rows)
  }
  if (cursor.failed !== undefined) {
    return Effect.fail(Option.some(cursor.failed))
  }
  if (cursor.isDone) {
    return Effect.fail(Option.none())
  }
  const { fetchSize = usualFetch } = engine.driver
  // What comes belongs to the cursor: should this fiber be interrupted, the next pull takes it, or is told why there is no more.
  // The stream would otherwise go on behind a gap, or end as if that had been all.
  return inQueue<void>(
    engine,
    fiber,
    level,
    (done) => cursor.fetch(fetchSize, (error) => done(error, undefined), deadline)
  )
    .pipe(
      Effect.mapError(Option.some),
      Effect.flatMap(() => nextRows(engine, fiber, level, cursor, deadline))
    )
}
