/**
 * The rows of a statement as a stream: a cursor on a session, read as far as somebody asks.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type DbError, toSqlError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { Engine } from "../Engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { deadlineOf } from "../fiber/FiberContext.js"
import { yieldToEventLoop } from "../fiber/yieldToEventLoop.js"
import type { SessionLevel } from "../session/Session.js"
import { SessionCursor } from "../session/SessionCursor.js"
import { reserveSession } from "../session/transaction.js"
import { answer } from "./execute.js"
import { SessionRequest } from "./Request.js"

export type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** Rows asked for at a time: enough that the round trip does not count, few enough that memory stays flat. */
const usualFetch = 512

/** The rows of a statement as a stream, back-pressured: on a session of its own where the fiber is in none. */
export const makeStream = (
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel | undefined,
  /** Made when a connection is there: the time that is left is part of it. */
  makeRequest: () => Driver.Request,
  limit: number,
  transformRows: TransformRows
): Effect.Effect<Stream.Stream<unknown, SqlError>, SqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const at = level ?? (yield* reserveSession(engine)).root
    const { queue } = at.session
    const deadline = deadlineOf(fiber)
    const request = makeRequest()
    const inLine = <A>(make: (done: (error: DbError | undefined, value: A) => void) => SessionRequest) =>
      // Whoever pulls need not be the fiber that has made the stream. The job answers with what it is made for.
      Effect.withFiberRuntime<A, DbError>((puller) =>
        answer(engine, puller, (resume) => {
          const request = make(resume)
          request.fiber = fiber
          return request
        }, identity) as Effect.Effect<A, DbError>
      )
    const state: { cursor: SessionCursor | undefined } = { cursor: undefined }
    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        if (state.cursor === undefined) {
          return resume(Effect.void)
        }
        state.cursor.close(() => resume(Effect.void))
      })
    )
    yield* inLine<Driver.Cursor>((done) =>
      new SessionRequest(
        queue,
        at,
        "open",
        request,
        (error, value) => {
          if (error === undefined) {
            // Registered here, not by the fiber, which may be interrupted before it sees the answer.
            const cursor = state.cursor = new SessionCursor(queue, value as Driver.Cursor, limit)
            queue.attach(cursor)
            if (level === undefined) {
              cursor.alone()
            }
          }
          done(error, value as Driver.Cursor)
        },
        limit,
        deadline,
        (connection, _, answer) => connection.openCursor(request, answer)
      )
    )
    const cursor = state.cursor!
    const yieldNow = yieldToEventLoop(engine)
    const { fetchSize = usualFetch } = engine.driver
    const next = (): Effect.Effect<ReadonlyArray<unknown>, Option.Option<DbError>> => {
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
      // What comes belongs to the cursor: should this fiber be interrupted, whoever pulls next takes it, or is told why there
      // is no more. The stream would otherwise go on behind a gap, or end as if that had been all.
      return inLine<void>((done) => cursor.fetch(fetchSize, (error) => done(error, undefined), deadline))
        .pipe(
          Effect.mapError(Option.some),
          Effect.flatMap(next)
        )
    }
    const pull = Effect.zipRight(yieldNow, Effect.suspend(next))
    return Stream.repeatEffectChunkOption(
      Effect.mapBoth(pull, {
        onFailure: Option.map(toSqlError),
        // Cursors give rows as objects in this mode.
        onSuccess: (rows) =>
          Chunk.unsafeFromArray(transformRows === undefined ? rows : transformRows(rows as ReadonlyArray<object>))
      })
    )
  }).pipe(Effect.mapError(toSqlError))
