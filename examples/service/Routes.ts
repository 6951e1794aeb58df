/** The service over HTTP: the API, health and figures. Knows no server, so that tests can serve it as they like. */
import { HttpApiBuilder, HttpLayerRouter } from "@effect/platform"
import { Effect, Layer } from "effect"
import * as DbHttp from "../../src/DbHttp.js"
import { Db, DbError } from "../../src/index.js"
import { Api, Unavailable } from "./Api.js"
import { Catalog } from "./Catalog.js"
import { guard } from "./guards.js"
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

export const Routes = Layer.mergeAll(
  HttpLayerRouter.addHttpApi(Api, { openapiPath: "/openapi.json" }).pipe(Layer.provide(PurchasesLive)),
  // /health/live, /health/ready (503 takes this instance out), /health/db, /metrics, and /debug/db/ui behind the guard
  Layer.unwrapEffect(Effect.map(guard, (debug) => DbHttp.layer([Db, Catalog], { debug })))
)
