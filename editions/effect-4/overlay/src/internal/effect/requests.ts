/**
 * Requests of an effect, apart from those around it. In Effect 4 a resolver collects requests for a moment only, and no fiber
 * waits for another one's: there is nothing to do.
 */
import type * as Effect from "effect/Effect"
import type { AnyFiber } from "../fiber/Caller.js"

/** The effect of a fiber, whose requests wait for nothing outside of the effect. */
export const contained = <A, E, R>(_fiber: AnyFiber, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => effect
