/**
 * The same routes as a group of an `HttpApi`, so that they stand in its OpenAPI document and its client has them.
 */
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Databases } from "./databases.js"
import * as Health from "./health.js"
import { metrics } from "./metrics.js"
import { unlogged } from "./unlogged.js"

const unhealthy = HttpApiSchema.status(503)

/** A group of endpoints, as a class, so that its type has a name. */
export class Group extends HttpApiGroup.make("databases")
  .add(
    HttpApiEndpoint.get("live", "/health/live", { success: Health.Live })
      .annotate(OpenApi.Description, "The process runs. Never looks at a database."),
    HttpApiEndpoint.get("ready", "/health/ready", { success: Health.Ready, error: Health.NotReady.pipe(unhealthy) })
      .annotate(OpenApi.Description, "Whether no database is unhealthy, and the server is not at its end."),
    HttpApiEndpoint.get("health", "/health/db", {
      query: { name: Schema.optional(Schema.String) },
      success: Health.Health,
      error: [Health.Unhealthy.pipe(unhealthy), Health.UnknownDatabase.pipe(HttpApiSchema.status(404))]
    }).annotate(OpenApi.Description, "The reports of all databases, or of one by its name."),
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" }))
    }).annotate(OpenApi.Description, "What has been counted, for Prometheus.")
  )
{}

/** Any group of an API. */
export type AnyGroup = HttpApiGroup.Constraint

/** The endpoints of the group in an API. */
type EndpointsOf<Groups extends AnyGroup> = HttpApiGroup.EndpointsWithIdentifier<Groups, "databases">

/**
 * An API with the group of databases, and others. Its group may have become another type: by a prefix of the API or of the
 * group, by a middleware. Neither errors nor requirements are a part of its type.
 */
export type Api<Id extends string, Groups extends AnyGroup, _E, _R> =
  & HttpApi.HttpApi<Id, Groups>
  & ([HttpApiGroup.Endpoints<typeof Group>["identifier"]] extends [EndpointsOf<Groups>["identifier"]] ? unknown
    : HttpApi.HttpApi<Id, typeof Group>)

/** The handlers of the group in an API. */
export type Handlers<Id extends string> = HttpApiGroup.Service<Id, "databases">

/** Their layer, which needs what the middleware of the group needs, too. */
export type HandlersLayer<Id extends string, Groups extends AnyGroup, R> = Layer.Layer<
  Handlers<Id>,
  never,
  R | HttpApiEndpoint.Middleware<EndpointsOf<Groups>> | HttpApiEndpoint.MiddlewareServices<EndpointsOf<Groups>>
>

export const groupLayer = <Id extends string, Groups extends AnyGroup, E, R, RX>(
  api: Api<Id, Groups, E, R>,
  databases: Effect.Effect<Databases, never, RX>
): HandlersLayer<Id, Groups, RX> =>
  Layer.unwrap(Effect.map(databases, (databases) =>
    HttpApiBuilder.group(
      // The other groups have no part in this one's handlers.
      api as unknown as HttpApi.HttpApi<Id, typeof Group>,
      "databases",
      (handlers) =>
        handlers
          .handleRaw("live", () => unlogged(Health.live))
          .handleRaw("ready", () => unlogged(Health.ready(databases)))
          .handleRaw("health", ({ query }) => unlogged(Health.healthOf(databases, query.name)))
          .handleRaw("metrics", () => unlogged(metrics))
    )))
