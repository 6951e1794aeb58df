/**
 * Order without sleeping.
 *
 * - `settle`: `Effect<void>`; every fiber that can run does, while the clock stands still.
 * - `holding`: `Effect<{ entered, leave, fiber }>`; forks a session that stays open until `leave`. `entered` waits until it has its
 *   connection.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"

export const settle = Effect.repeatN(Effect.yieldNow(), 50)

export const holding = Effect.gen(function*() {
  const entered = yield* Deferred.make<void>()
  const latch = yield* Deferred.make<void>()
  const fiber = yield* Effect.fork(
    Deferred.succeed(entered, undefined).pipe(Effect.zipRight(Deferred.await(latch)), Db.session)
  )
  return { entered: Deferred.await(entered), leave: Deferred.succeed(latch, undefined), fiber }
})
