/**
 * Routes that are asked every few seconds, which would fill the log.
 */
import type * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"

/** A handler whose requests are not logged. */
export const unlogged = <A, E, R>(handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  // A route's handler has the request, whether it asks for it or not.
  HttpMiddleware.withLoggerDisabled(handler) as Effect.Effect<A, E, R>
