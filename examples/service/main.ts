/**
 * A complete service. On embedded SQLite:
 *
 *     npm run service
 *
 * On PostgreSQL: the same with DATABASE_URL and CATALOG_DATABASE_URL. PORT is 3000 unless it says otherwise.
 *
 *     curl -d '{"reference":"1","product":"apple","quantity":2}' -H 'content-type: application/json' localhost:3000/purchases
 *     open http://localhost:3000/debug/db/ui    # the status page; in production only with STATUS_PASSWORD
 */
import { HttpLayerRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Duration, Effect, Layer } from "effect"
import { createServer } from "node:http"
import * as DbHttp from "../../src/DbHttp.js"
import { Databases } from "./Databases.js"
import { Routes } from "./Routes.js"

const server = createServer()

const Server = NodeHttpServer.layerConfig(
  () => server,
  Config.all({ port: Config.integer("PORT").pipe(Config.withDefault(3000)) })
)

// From the inside to the outside: databases, routes, server. They end in the opposite order: the server answers what it
// has begun, then the databases wait for their sessions and close.
const Drain = Layer.unwrapEffect(Effect.map(
  Config.duration("DRAIN_LIMIT").pipe(Config.withDefault(Duration.seconds(10))),
  (limit) => DbHttp.draining(server, { limit })
))

const Service = Drain.pipe(
  Layer.provide(HttpLayerRouter.serve(Routes)),
  HttpServer.withLogAddress,
  Layer.provide(Server),
  Layer.provide(Databases)
)

// SIGTERM and SIGINT interrupt the main fiber, which closes the layers.
Layer.launch(Service).pipe(NodeRuntime.runMain)
