/**
 * A server of real sockets for tests: `serve(routes)` gives its address, and ends with the scope; `send` is a request by
 * Node's own `fetch`, interrupted by closing its socket.
 */
import { NodeHttpServer } from "@effect/platform-node"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"

/** Serves what a layer has added to the router. Everything else it needs has been provided to it. */
export const serve = <E>(
  routes: Layer.Layer<never, E, HttpLayerRouter.HttpRouter | HttpLayerRouter.Request<"Error", unknown>>
) =>
  Effect.gen(function*() {
    const server = createServer()
    yield* Layer.build(
      HttpLayerRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" }))
      )
    )
    // Nothing of a test waits for a client that keeps its connection.
    yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : ""}`
  })

/** What a client saw. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

export const send = (url: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    return { status: response.status, headers: response.headers, body: await response.text() }
  })
