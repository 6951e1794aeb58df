/** The orderly end of a server: no request that arrived is lost. */
import type { Duration } from "effect"
import { Effect, Layer } from "effect"
import type { Server, ServerResponse } from "node:http"

/**
 * At the end of its scope, and so before the layers below it: takes no new connections, answers what has arrived with
 * `Connection: close`, waits for that, and cuts what is not done by the limit.
 */
export const draining = (server: Server, limit: Duration.DurationInput) =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const underWay = new Set<ServerResponse>()
    let ending = false
    const watch = (_: unknown, response: ServerResponse) => {
      underWay.add(response)
      response.once("close", () => underWay.delete(response))
      if (ending) response.setHeader("connection", "close")
    }
    server.prependListener("request", watch)
    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        ending = true
        for (const response of underWay) {
          if (!response.headersSent) response.setHeader("connection", "close")
        }
        server.close(() => resume(Effect.void))
      }).pipe(
        // Finalizers run where interruption is masked, and a wait that cannot be interrupted has no limit.
        Effect.interruptible,
        Effect.timeoutTo({
          duration: limit,
          onSuccess: () => undefined,
          onTimeout: () => server.closeAllConnections()
        }),
        Effect.tap(() => Effect.logInfo("the server has answered what had arrived"))
      )
    )
  }))
