/** All references of a fiber, with their values. */
import * as Effect from "effect/Effect"

export type Refs = Effect.Effect.Success<typeof Effect.getFiberRefs>

/** Those of the fiber that runs it. */
export const getRefs: Effect.Effect<Refs> = Effect.getFiberRefs

export const valuesOf = (refs: Refs): ReadonlyArray<unknown> => [...refs.locals]

export const setRefs = (refs: Refs): Effect.Effect<void> => Effect.setFiberRefs(refs)
