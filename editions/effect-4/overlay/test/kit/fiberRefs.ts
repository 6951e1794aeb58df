/** All references of a fiber, with their values: its context. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { currentSeen, type Seen, type SeenByDatabase } from "../../src/internal/replicas/Seen.js"

export type Refs = Context.Context<never>

/** Those of the fiber that runs it. */
export const getRefs: Effect.Effect<Refs> = Effect.withFiber((fiber) => Effect.succeed(fiber.context))

export const valuesOf = (refs: Refs): ReadonlyArray<unknown> => [...refs.mapUnsafe]

/** What is known, and what is seen from here on. */
const onTopOf = (known: SeenByDatabase): SeenByDatabase => {
  const seen = new WeakMap<object, Seen>()
  return {
    get: (database) => seen.get(database) ?? known.get(database),
    set: (database, one) => seen.set(database, one)
  }
}

/** What the fiber sees is in those references only that are then got from it. */
export const setRefs = (refs: Refs): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    fiber.setContext(Context.add(refs, currentSeen, onTopOf(Context.get(refs, currentSeen))))
    return Effect.void
  })
