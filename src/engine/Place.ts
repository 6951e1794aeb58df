/**
 * Where a fiber stands: in which frame of which session. It is a part of the fiber's context, so that whoever is forked
 * stands where its parent stood.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import { amended } from "./Amended.js"
import type { Engine } from "./Engine.js"
import { Stay } from "./FiberState.js"
import type { Frame } from "./Frame.js"
import { matched } from "./Match.js"
import type { AnyFiber } from "./Origin.js"

/** The frame in which a fiber runs on this engine's database, if any. */
export const frameOf = (engine: Engine, fiber: AnyFiber): Frame | undefined => {
  // Only `contextOf` writes under this key.
  const frame = fiber.currentContext.unsafeMap.get(engine.frameKey) as Frame | undefined
  return frame !== undefined && frame.session.ground === engine ? frame : undefined
}

/** In this context statements go to the frame, and `SqlClient` is this database's client. */
const contextOf = (
  engine: Engine,
  frame: Frame,
  span: Tracer.Span | undefined,
  around: Context.Context<never>
): Context.Context<never> => {
  let map = amended<string, unknown>(around.unsafeMap, engine.frameKey, frame)
  if (map.get(SqlClient.SqlClient.key) !== engine.client) {
    map = amended(map, SqlClient.SqlClient.key, engine.client)
  }
  if (span !== undefined) {
    map = amended(map, Tracer.ParentSpan.key, span)
  }
  return Context.unsafeMake<never>(map)
}

/** An effect that runs in a frame. */
export const inFrame = <A, E, R>(
  engine: Engine,
  frame: Frame,
  span: Tracer.Span | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((fiber) =>
    Effect.locally(effect, FiberRef.currentContext, contextOf(engine, frame, span, fiber.currentContext))
  )

/** Gives interruption back to the user's effect, where it was given around ours. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Runs an effect in a frame, and then what ends the frame. To be called by the fiber that is to run it, where interruption is
 * masked: so the context can be set and set back by hand, and the end follows in any case, for a fraction of what `locally`
 * and `onExit` take.
 */
export const during = <A, E, R, B, E2>(
  engine: Engine,
  fiber: AnyFiber,
  restore: Restore,
  frame: Frame,
  span: Tracer.Span | undefined,
  effect: Effect.Effect<A, E, R>,
  end: (exit: Exit.Exit<A, E>) => Effect.Effect<B, E2>
): Effect.Effect<B, E2, R> => {
  const stay = new Stay(fiber, contextOf(engine, frame, span, fiber.currentContext))
  const ended = (exit: Exit.Exit<A, E>) => {
    stay.end()
    return end(exit)
  }
  return matched(
    restore(effect),
    (cause) => ended(Exit.failCause(cause)),
    (value) => ended(Exit.succeed(value))
  )
}
