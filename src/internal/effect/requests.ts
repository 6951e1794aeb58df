/**
 * Requests of an effect, apart from those around it.
 *
 * What this needs of Effect: `Effect.step`, and the fields of the `Blocked` that it answers.
 */
import * as Effect from "effect/Effect"
import type { AnyFiber } from "../fiber/Caller.js"
import { isStepping } from "./fiberState.js"

/**
 * Resolves the requests of an effect when all fibers of the effect wait for one. Where requests are batched, they would otherwise
 * be resolved when the fibers around the effect wait, too; and one of these may wait for the connection, a lock or the end of the
 * transaction that the effect holds.
 */
const resolving = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Effect.step(effect),
    (result) =>
      result._op !== "Blocked" ? result : Effect.uninterruptibleMask((restore) =>
        Effect.zipRight(
          // As Effect resolves the requests of an effect that nothing is batched around.
          Effect.forkDaemon(Effect.runRequestBlock(result.effect_instruction_i0)),
          restore(resolving(result.effect_instruction_i1))
        )
      )
  )

/** The effect of a fiber, whose requests wait for nothing outside of the effect. */
export const contained = <A, E, R>(fiber: AnyFiber, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  isStepping(fiber) ? resolving(effect) : effect
