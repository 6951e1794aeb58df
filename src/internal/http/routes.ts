/**
 * The routes of the databases, for `HttpLayerRouter`.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Databases } from "./databases.js"
import * as Debug from "./debug.js"
import * as Health from "./health.js"
import * as History from "./history.js"
import { metrics } from "./metrics.js"
import { unlogged } from "./unlogged.js"

type Response = HttpServerResponse.HttpServerResponse

/** Lets a request pass by running the handler that it is given, or answers in its place. */
export type Guard<E, R> = (handler: Effect.Effect<Response>) => Effect.Effect<Response, E, R>

export interface Options<E, R> {
  readonly prefix?: `/${string}` | undefined
  readonly debug?: Guard<E, R> | undefined
}

export const routes = <E, R, RX>(
  databases: Effect.Effect<Databases, never, RX>,
  { debug, prefix }: Options<E, R>
) =>
  HttpLayerRouter.use((given) =>
    Effect.flatMap(databases, (databases) => {
      const router = prefix === undefined ? given : given.prefixed(prefix)
      const open = Effect.all([
        router.add("GET", "/health/live", unlogged(Health.live)),
        router.add("GET", "/health/ready", unlogged(Health.ready(databases))),
        router.add("GET", "/health/db", unlogged(Health.health(databases))),
        router.add("GET", "/metrics", unlogged(metrics))
      ], { discard: true })
      if (debug === undefined) {
        return open
      }
      // Asked anew for each request, also one that is a plain function of what is known now.
      const guarded = (handler: Effect.Effect<Response>) => Effect.suspend(() => debug(unlogged(handler)))
      return Effect.flatMap(History.make(databases), (history) =>
        Effect.all([
          open,
          // A request that the guard refuses is logged.
          router.add(
            "GET",
            "/debug/db",
            Effect.flatMap(HttpServerRequest.ParsedSearchParams, ({ since }) =>
              guarded(Debug.figures(databases, history, Number(since) || 0)))
          ),
          router.add("GET", "/debug/db/ui", guarded(Debug.page))
        ], { discard: true }))
    })
    // The types of `add` follow its handlers into requirements; those of `Effect.all` do not.
  ) as Layer.Layer<
    never,
    never,
    | HttpLayerRouter.HttpRouter
    | RX
    | HttpLayerRouter.Request.From<"Requires", Exclude<R, HttpLayerRouter.Provided>>
    | HttpLayerRouter.Request.From<"Error", E>
  >
