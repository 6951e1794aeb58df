/** The group of routes in an API whose type is another one: by a prefix, by a middleware. */
import { NodeFileSystem, NodeHttpPlatform, NodePath } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Etag from "effect/http/Etag"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import * as DbHttp from "../../src/DbHttp.js"
import { send, serve } from "../http/serve.js"

class Guard extends HttpApiMiddleware.Service<Guard>()("Guard") {}

const guard = Layer.succeed(Guard, (handler) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
    headers["authorization"] === "Bearer open sesame"
      ? handler
      : Effect.succeed(HttpServerResponse.empty({ status: 401 }))))

class Api extends HttpApi.make("api").add(DbHttp.Group).prefix("/internal").middleware(Guard) {}
class Other extends HttpApi.make("other").add(HttpApiGroup.make("databases")) {}

// @ts-expect-error: its group of this name is another one
export const refused = () => DbHttp.layerGroup(Other, [Db])

// @ts-expect-error: the handlers need the middleware
export const needed: Layer.Layer<HttpApiGroup.Service<"api", "databases">, never, Db> = DbHttp.layerGroup(Api, [Db])

it.live("answers below the prefix, and behind the middleware", () =>
  Effect.gen(function*() {
    const url = yield* serve(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(DbHttp.layerGroup(Api, [Db])),
        Layer.provide(guard),
        Layer.provide(Db.layer({ type: "sqlite", filename: ":memory:" })),
        Layer.provide([NodeHttpPlatform.layer, NodeFileSystem.layer, NodePath.layer, Etag.layer])
      )
    )
    const answer = yield* send(`${url}/internal/health/ready`, { headers: { authorization: "Bearer open sesame" } })
    assert.deepInclude(answer, { status: 200, body: "{\"status\":\"ready\"}" })
    assert.strictEqual((yield* send(`${url}/internal/health/ready`)).status, 401)
    assert.strictEqual((yield* send(`${url}/health/ready`)).status, 404)
  }))
