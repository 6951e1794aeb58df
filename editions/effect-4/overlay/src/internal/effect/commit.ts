/**
 * What waits for the COMMIT of a transaction: effects given to `SqlClient.afterCommit`, and keys that `Reactivity` invalidates.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Reactivity } from "effect/reactivity/Reactivity"
import type { SessionLevel } from "../session/Session.js"
import { transactionConnection } from "./transactionConnection.js"

/** By level, in the order in which they were given. One that is undone takes its own with it. */
const waiting = new WeakMap<SessionLevel, Array<Effect.Effect<void>>>()

/** Nobody waits for its failure: one that dies is logged, as Effect's own clients do it. */
const run = <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
  Effect.ignoreCause(effect, { log: "Unhandled", message: "Unhandled error in SqlClient.afterCommit callback" })

const add = (level: SessionLevel, effects: ReadonlyArray<Effect.Effect<void>>): void => {
  const before = waiting.get(level)
  if (before === undefined) {
    waiting.set(level, [...effects])
  } else {
    before.push(...effects)
  }
}

/**
 * What surrounds the fiber that runs it takes the place of the transaction, which has ended: an effect that runs a statement uses
 * the session around the transaction, or another connection.
 */
const outside = <R>(effect: Effect.Effect<void, never, R>, context: Context.Context<never>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const around = Context.getOrUndefined(fiber.context, transactionConnection)
    const alone = Context.omit(transactionConnection)(context)
    return Effect.provideContext(
      effect,
      // All that the effect needs was in the context of the fiber that gave it.
      (around === undefined ? alone : Context.add(alone, transactionConnection, around)) as Context.Context<R>
    )
  })

/** Runs an effect when the outermost transaction of a level is committed; without one at once. */
export const afterCommit = <R>(
  level: SessionLevel | undefined,
  context: Context.Context<never>,
  effect: Effect.Effect<void, never, R>
): Effect.Effect<void, never, R> => {
  if (level === undefined || level.kind === "session") {
    return run(effect)
  }
  if (level.closed === "ended") {
    return Effect.die(new Error("SqlClient.afterCommit: the transaction has already ended"))
  }
  add(level, [outside(effect, context)])
  return Effect.void
}

/** The service in which keys are invalidated when the level's transaction is committed. */
const deferred = (level: SessionLevel, reactivity: Reactivity): Reactivity => {
  const invalidate = (keys: Parameters<Reactivity["invalidate"]>[0]) =>
    Effect.withFiber<void>((fiber) =>
      afterCommit(level, fiber.context, Effect.sync(() => reactivity.invalidateUnsafe(keys)))
    )
  return { ...reactivity, invalidate, mutation: (keys, effect) => Effect.tap(effect, invalidate(keys)) }
}

/** The context of a level with what such services are in it. */
export const contextInLevel = (level: SessionLevel, context: Context.Context<never>): Context.Context<never> => {
  const reactivity = level.kind === "session" ? undefined : Context.getOrUndefined(context, Reactivity)
  return reactivity === undefined ? context : Context.add(context, Reactivity, deferred(level, reactivity))
}

/** Runs what waited for the commit of this level, after `end`, which gives its connection back. */
export const whenCommitted = <A, E>(level: SessionLevel, end: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  const effects = waiting.get(level)
  if (effects === undefined) {
    return end
  }
  waiting.delete(level)
  if (level.parent !== undefined && level.parent.kind !== "session") {
    add(level.parent, effects)
    return end
  }
  return Effect.ensuring(end, Effect.forEach(effects, run, { discard: true }))
}
