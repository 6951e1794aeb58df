/**
 * Where a fiber stands: in which frame of which session. It is a part of the fiber's context, so that whoever is forked
 * stands where its parent stood.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Tracer from "effect/Tracer"
import { amended } from "./Amended.js"
import type { Engine } from "./Engine.js"
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

/** What Effect's fibers have, and their type does not tell. */
interface Refs {
  readonly _fiberRefs: FiberRefs.FiberRefs
  readonly setFiberRefs: (refs: FiberRefs.FiberRefs) => void
  readonly setFiberRef: <X>(ref: FiberRef.FiberRef<X>, value: X) => void
}

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
  const refs = fiber as unknown as Refs
  const around = fiber.currentContext
  const before = refs._fiberRefs
  const context = contextOf(engine, frame, span, around)
  const within = FiberRefs.unsafeMake(
    amended(before.locals, FiberRef.currentContext, pushed(before, fiber, context))
  )
  refs.setFiberRefs(within)
  const ended = (exit: Exit.Exit<A, E>) => {
    if (refs._fiberRefs === within) {
      refs.setFiberRefs(before)
    } else {
      // The effect has set others, and those stay as it has left them.
      refs.setFiberRef(FiberRef.currentContext, around)
    }
    return end(exit)
  }
  return matched(
    restore(effect),
    (cause) => ended(Exit.failCause(cause)),
    (value) => ended(Exit.succeed(value))
  )
}

type Entry = readonly [FiberId.Single, unknown]
type Stack = readonly [Entry, ...ReadonlyArray<Entry>]

const noEntry: ReadonlyArray<unknown> = [undefined, undefined]
const noValue: ReadonlyArray<unknown> = [undefined]

/** The values of the context, the last one first, each with the fiber that has set it. */
const pushed = (
  refs: FiberRefs.FiberRefs,
  fiber: AnyFiber,
  context: Context.Context<never>
): Stack => {
  const stack = refs.locals.get(FiberRef.currentContext)
  const id = fiber.id()
  // Copies that are filled, not literals, for the reason told in Match.ts. So the types do not see that both hold what they are to.
  const entry = noEntry.slice()
  entry[0] = id
  entry[1] = context
  const values: Array<unknown> = stack === undefined
    ? noValue.slice()
    : stack[0][0] === id
    ? stack.slice()
    : noValue.concat(stack)
  values[0] = entry
  return values as unknown as Stack
}
