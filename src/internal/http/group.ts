/**
 * The same routes as a group of an `HttpApi`, so that they stand in its OpenAPI document and its client has them.
 */
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Databases } from "./databases.js"
import * as Health from "./health.js"
import { metrics } from "./metrics.js"
import { unlogged } from "./unlogged.js"

const unhealthy = 503

/** A group of endpoints, as a class, so that its type has a name. */
export class Group extends HttpApiGroup.make("databases")
  .add(
    HttpApiEndpoint.get("live", "/health/live")
      .addSuccess(Health.Live)
      .annotate(OpenApi.Description, "The process runs. Never looks at a database.")
  )
  .add(
    HttpApiEndpoint.get("ready", "/health/ready")
      .addSuccess(Health.Ready)
      .addError(Health.NotReady, { status: unhealthy })
      .annotate(OpenApi.Description, "Whether no database is unhealthy, and the server is not at its end.")
  )
  .add(
    HttpApiEndpoint.get("health", "/health/db")
      .setUrlParams(Schema.Struct({ name: Schema.optional(Schema.String) }))
      .addSuccess(Health.Health)
      .addError(Health.Unhealthy, { status: unhealthy })
      .addError(Health.UnknownDatabase, { status: 404 })
      .annotate(OpenApi.Description, "The reports of all databases, or of one by its name.")
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(HttpApiSchema.Text({ contentType: "text/plain; version=0.0.4; charset=utf-8" }))
      .annotate(OpenApi.Description, "What has been counted, for Prometheus.")
  )
{}

/** Any group of an API. */
export type AnyGroup = HttpApiGroup.HttpApiGroup.Any

/** An API with the group of databases, and others. */
export type Api<Id extends string, Groups extends AnyGroup, E, R> = HttpApi.HttpApi<Id, Groups | typeof Group, E, R>

/** The handlers of the group in an API. */
export type Handlers<Id extends string> = HttpApiGroup.ApiGroup<Id, "databases">

/** Their layer. What its groups need is asked for by the API itself. */
export type HandlersLayer<Id extends string, _Groups extends AnyGroup, R> = Layer.Layer<Handlers<Id>, never, R>

export const groupLayer = <Id extends string, Groups extends AnyGroup, E, R, RX>(
  api: Api<Id, Groups, E, R>,
  databases: Effect.Effect<Databases, never, RX>
): HandlersLayer<Id, Groups, RX> =>
  Layer.unwrapEffect(Effect.map(databases, (databases) =>
    HttpApiBuilder.group(
      // The other groups have no part in this one's handlers.
      api as unknown as HttpApi.HttpApi<Id, typeof Group>,
      "databases",
      (handlers) =>
        handlers
          .handleRaw("live", () => unlogged(Health.live))
          .handleRaw("ready", () => unlogged(Health.ready(databases)))
          .handleRaw("health", ({ urlParams }) => unlogged(Health.healthOf(databases, urlParams.name)))
          .handleRaw("metrics", () => unlogged(metrics))
    )))
