/** The service over HTTP: the API, health and figures. Knows no server, so that tests can serve it as they like. */
import { HttpApiBuilder, HttpLayerRouter, HttpServerResponse } from "@effect/platform"
import { Effect, Layer } from "effect"
import { Db, DbError } from "../../src/index.js"
import { Api, Unavailable } from "./Api.js"
import { Catalog } from "./Catalog.js"
import * as Purchases from "./Purchases.js"

/** What a client is told of a failing database: whether it may send its request again, and nothing of the inside. */
const hidden = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchAll(
    effect,
    (error): Effect.Effect<never, Exclude<E, DbError.DbError> | Unavailable> =>
      DbError.isDbError(error)
        ? Effect.zipRight(
          Effect.logError(error),
          Effect.fail(new Unavailable({ applied: error.outcome === "Unknown" ? "unknown" : "no" }))
        )
        // What is no `DbError` stays what it is.
        : Effect.fail(error as Exclude<E, DbError.DbError>)
  )

const PurchasesLive = HttpApiBuilder.group(Api, "purchases", (handlers) =>
  handlers
    .handle("buy", ({ payload }) => hidden(Purchases.buy(payload)))
    .handle("list", () => hidden(Purchases.all)))

/** What a load balancer asks: 503 takes this instance out. */
const HealthRoute = HttpLayerRouter.add(
  "GET",
  "/health",
  Effect.gen(function*() {
    const reports = yield* Effect.all([Db.health, Catalog.health], { concurrency: 2 })
    const status = reports.some((report) => report.status === "unhealthy") ? 503 : 200
    return HttpServerResponse.unsafeJson(reports, { status })
  })
)

const MetricsRoute = HttpLayerRouter.add(
  "GET",
  "/metrics",
  Effect.gen(function*() {
    return HttpServerResponse.unsafeJson(yield* Effect.all([Db.metrics, Catalog.metrics]))
  })
)

export const Routes = Layer.mergeAll(
  HttpLayerRouter.addHttpApi(Api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(PurchasesLive)),
  HealthRoute,
  MetricsRoute
)
