/**
 * What an Effect has that waits for the COMMIT of a transaction. Effect 3 has nothing of the kind.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SessionLevel } from "../session/Session.js"

/** The context of a level with what such services are in it. */
export const contextInLevel = (_level: SessionLevel, context: Context.Context<never>): Context.Context<never> => context

/** Runs what waited for the commit of this level, after `end`, which gives its connection back. */
export const whenCommitted = <A, E>(_level: SessionLevel, end: Effect.Effect<A, E>): Effect.Effect<A, E> => end
