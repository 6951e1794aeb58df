/**
 * An effect that its caller can leave while it ends by itself. Effect 4 has no `Effect.disconnect`.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** An interrupt of the caller interrupts the effect too, but does not wait for it. */
export const disconnect = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(restore(effect), { startImmediately: true }), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.sync(() => fiber.interruptUnsafe())))
  )
