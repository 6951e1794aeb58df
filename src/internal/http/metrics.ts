/**
 * What has been counted, for Prometheus.
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as DbPrometheus from "../../DbPrometheus.js"
import { problem } from "./failure.js"

export const metrics: Effect.Effect<HttpServerResponse.HttpServerResponse> = DbPrometheus.render.pipe(
  Effect.map((text) =>
    HttpServerResponse.text(text, {
      contentType: DbPrometheus.contentType,
      headers: { "cache-control": "no-store" }
    })
  ),
  // What is missing is a package: the log says which, and the client is not told.
  Effect.catchAll((error) => Effect.as(Effect.logError(error.message), problem(501, "Metrics are not available.")))
)
