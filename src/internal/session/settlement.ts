/**
 * The wait for what is being stopped.
 */
import * as Effect from "effect/Effect"
import type { SessionRequest } from "../request/Request.js"

/** Ends when a request is not being stopped any more, and the fiber that ran it has its answer. */
export const settlementOf = (request: SessionRequest | undefined): Effect.Effect<void> =>
  request === undefined || !request.isStopping
    ? Effect.void
    : Effect.zipRight(
      Effect.async<void>((resume) => request.onSettled(() => resume(Effect.void))),
      Effect.yieldNow()
    )
