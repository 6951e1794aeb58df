/** A server on a free port, and a client of it that sends any header. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"

export const layerTest = HttpServer.layerTestClient.pipe(
  Layer.provide(NodeHttpClient.layerNodeHttp),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0 }))
)
