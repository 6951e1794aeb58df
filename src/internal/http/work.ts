/**
 * A request as a unit of work: in one session, or in one transaction.
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Db, Members } from "../../Db.js"
import type { DbError } from "../../DbError.js"

type Response = HttpServerResponse.HttpServerResponse

/** What rolls back the transaction of a handler that answered with an error: it is not the handler's failure. */
class ErrorStatus {
  readonly _tag = "dblive/DbHttp/ErrorStatus"
  constructor(readonly response: Response) {}
}

const isStream = (response: Response): response is Response & { readonly body: HttpBody.Stream } =>
  response.body._tag === "Stream"

/** A body larger than this is not collected. In bytes. */
export const defaultMaxStream = 8 * 1024 * 1024

/** Reads a stream to its end where it is, so that what it reads is read in the transaction, and before its end. */
const collected = (response: Response, limit: number): Effect.Effect<Response, unknown> => {
  if (!isStream(response)) {
    return Effect.succeed(response)
  }
  const { contentType, stream } = response.body
  return Stream.runFoldEffect(stream, { size: 0, parts: [] as Array<Uint8Array> }, (all, part) => {
    all.size += part.length
    all.parts.push(part)
    return all.size <= limit ? Effect.succeed(all) : Effect.dieMessage(
      `the streamed body of a response is larger than ${limit} bytes, and the response of a transaction is sent when ` +
        "it has been committed: run this route in a session, or raise maxStream"
    )
  }).pipe(
    Effect.map(({ size, parts }) => {
      const bytes = new Uint8Array(size)
      let at = 0
      for (const part of parts) {
        bytes.set(part, at)
        at += part.length
      }
      return HttpServerResponse.setBody(response, HttpBody.uint8Array(bytes, contentType))
    })
  )
}

/** Runs a handler in a transaction that is committed when its response says success, before the response is sent. */
export const inTransaction = <Self, E, R>(
  database: Members<Self>,
  app: Effect.Effect<Response, E, R>,
  options: Db.TransactionOptions,
  maxStream: number
): Effect.Effect<Response, Exclude<E, SqlError> | DbError, Exclude<R, SqlClient> | Self> =>
  app.pipe(
    Effect.flatMap((response) => response.status < 400 ? collected(response, maxStream) : Effect.succeed(response)),
    Effect.flatMap((response) =>
      response.status < 400 ? Effect.succeed(response) : Effect.fail(new ErrorStatus(response))
    ),
    database.transaction(options),
    Effect.catchIf((error) => error instanceof ErrorStatus, (error) => Effect.succeed(error.response))
  ) as never

/** Runs a handler in a session, which goes on for as long as the body of its response is streamed. */
export const inSession = <Self, E, R>(
  database: Members<Self>,
  app: Effect.Effect<Response, E, R>
): Effect.Effect<Response, Exclude<E, SqlError> | DbError, Exclude<R, SqlClient> | Self | Scope.Scope> =>
  Effect.gen(function*() {
    const request = yield* Effect.scope
    // Closed with the request at the latest; a body that is not streamed must not keep the connection while it is sent.
    const scope = yield* Scope.fork(request, ExecutionStrategy.sequential)
    const session = yield* Scope.extend(database.reserve, scope)
    const streaming = Effect.flatMap(app, (response) =>
      isStream(response)
        ? Effect.map(Effect.context<never>(), (inside) => {
          const { contentLength, contentType, stream } = response.body
          return HttpServerResponse.setBody(
            response,
            HttpBody.stream(
              Stream.mapInputContext(stream, (outside: Context.Context<never>) => Context.merge(outside, inside)).pipe(
                Stream.ensuring(Scope.close(scope, Exit.void))
              ),
              contentType,
              contentLength
            )
          )
        })
        : Effect.succeed(response))
    return yield* Effect.onExit(
      session.use(streaming),
      (exit) => Exit.isSuccess(exit) && isStream(exit.value) ? Effect.void : Scope.close(scope, exit)
    )
  }) as never
