/**
 * What follows an effect, whichever way it ends.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"

/**
 * A class, because V8 soon makes the object literals of one place in its old space, where a dead one keeps what its functions
 * have seen, a whole session, alive until the next full collection.
 */
class Handlers<A, E, B, E2, R2, C, E3, R3> {
  constructor(
    readonly onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>,
    readonly onSuccess: (value: A) => Effect.Effect<C, E3, R3>
  ) {}
}

/** `Effect.matchCauseEffect`, for where it is called for each session, transaction or statement. */
export const matchCause = <A, E, R, B, E2, R2, C, E3, R3>(
  effect: Effect.Effect<A, E, R>,
  onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>,
  onSuccess: (value: A) => Effect.Effect<C, E3, R3>
): Effect.Effect<B | C, E2 | E3, R | R2 | R3> => Effect.matchCauseEffect(effect, new Handlers(onFailure, onSuccess))
