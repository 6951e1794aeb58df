/**
 * Access to private fields of Effect's fibers. It is used where the ways that Effect offers would cost a session several
 * times as much, or where there is none; nowhere else.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as RuntimeFlagsPatch from "effect/RuntimeFlagsPatch"
import * as Tracer from "effect/Tracer"
import { patched } from "./context.js"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

interface State {
  _fiberRefs: FiberRefs.FiberRefs
  currentContext: Context.Context<never>
  currentSpan: unknown
  currentRuntimeFlags: RuntimeFlags.RuntimeFlags
  readonly _children: ReadonlySet<unknown> | null
  readonly _steps: ReadonlyArray<unknown>
  readonly setFiberRefs: (refs: FiberRefs.FiberRefs) => void
  readonly setFiberRef: <X>(ref: FiberRef.FiberRef<X>, value: X) => void
}

/** Every fiber is one of Effect's own class, which has them all; `fiberState.test.ts` fails where it has not. */
const stateOf = (fiber: AnyFiber): State => fiber as unknown as State

/** Whether it has forked fibers that still run. Effect tells that only to an effect of the fiber itself. */
export const hasChildren = (fiber: AnyFiber): boolean => {
  const { _children } = stateOf(fiber)
  return _children !== null && _children.size > 0
}

/** Whether its requests are collected for a batch (by `Effect.step`), not resolved one by one. */
export const isStepping = (fiber: AnyFiber): boolean => stateOf(fiber)._steps.length > 0

/** Sets a reference of a fiber that waits for what is told to it, or that runs this. Effect has that for the running fiber alone. */
export const setFiberRef = <A>(fiber: AnyFiber, ref: FiberRef.FiberRef<A>, value: A): void =>
  stateOf(fiber).setFiberRef(ref, value)

/** From here on nothing interrupts the calling fiber. Answers whether anything could before. */
export const disableInterruption = (fiber: AnyFiber): boolean => {
  const state = stateOf(fiber)
  const flags = state.currentRuntimeFlags
  state.currentRuntimeFlags = RuntimeFlags.disable(flags, RuntimeFlags.Interruption)
  return RuntimeFlags.isEnabled(flags, RuntimeFlags.Interruption)
}

/** Takes it back. Effect's own patch is not made where it finds the fiber interrupted, which could then go on for ever. */
export const enableInterruption = (fiber: AnyFiber): void => {
  const state = stateOf(fiber)
  state.currentRuntimeFlags = RuntimeFlags.enable(state.currentRuntimeFlags, RuntimeFlags.Interruption)
}

const interruption = RuntimeFlagsPatch.enable(RuntimeFlags.Interruption)

/** Ends the fiber that runs it, where it was interrupted; after {@link enableInterruption}. */
export const endIfInterrupted: Effect.Effect<void> = Effect.patchRuntimeFlags(interruption)

/** The number of a fiber, from which its name is made when that is asked for. */
export type Id = FiberId.Runtime

export const idOf = (fiber: AnyFiber): Id => fiber.id()

/** The name under which Effect logs a fiber, such as `#12`. */
export const nameOf = (id: Id): string => FiberId.threadName(id)

/** The effect with all that a fiber has of its own: its context, its log and its annotations. */
export const asFiber = <A, E>(fiber: AnyFiber, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.zipRight(Effect.setFiberRefs(fiber.getFiberRefs()), effect)

// -----------------------------------------------------------------------------
// the context
// -----------------------------------------------------------------------------

/**
 * Whether a context and its span are all that a fiber remembers of a context. Asked once of the first fiber that comes: should
 * an Effect of another version remember more, fibers are set in its way, which takes longer.
 */
let remembersNoMore: boolean | undefined = undefined

const set = (state: State, refs: FiberRefs.FiberRefs, context: Context.Context<never>, span: unknown): void => {
  if (remembersNoMore === false) {
    return state.setFiberRefs(refs)
  }
  state._fiberRefs = refs
  state.currentContext = context
  state.currentSpan = span
  if (remembersNoMore === undefined) {
    const byHand = Object.entries(state)
    state.setFiberRefs(refs)
    remembersNoMore = byHand.every(([key, value]) => Reflect.get(state, key) === value)
  }
}

/**
 * A fiber in another context, which its children inherit, as `Effect.locally` would set it. Made and ended by that fiber: between
 * the two, effects may set the fiber's references, and set them back or not.
 */
export class ContextOverride {
  private readonly state: State
  private readonly before: FiberRefs.FiberRefs
  private readonly around: Context.Context<never>
  private readonly span: unknown
  private readonly within: FiberRefs.FiberRefs

  constructor(fiber: AnyFiber, context: Context.Context<never>) {
    const state = this.state = stateOf(fiber)
    this.before = state._fiberRefs
    this.around = state.currentContext
    this.span = state.currentSpan
    const { locals } = this.before
    this.within = FiberRefs.unsafeMake(
      patched(locals, FiberRef.currentContext, pushed(locals.get(FiberRef.currentContext), fiber.id(), context))
    )
    set(state, this.within, context, context.unsafeMap.get(Tracer.ParentSpan.key))
  }

  end(): void {
    if (this.state._fiberRefs === this.within) {
      set(this.state, this.before, this.around, this.span)
    } else {
      // Others have been set meanwhile, and stay as they are.
      this.state.setFiberRef(FiberRef.currentContext, this.around)
    }
  }
}

type Entry = readonly [FiberId.Single, unknown]
type Stack = readonly [Entry, ...ReadonlyArray<Entry>]

const noEntry: ReadonlyArray<unknown> = [undefined, undefined]
const noValue: ReadonlyArray<unknown> = [undefined]

/** The values of the context, the last one first, each with the fiber that has set it; and this one on top. */
const pushed = (stack: Stack | undefined, id: FiberId.Single, context: Context.Context<never>): Stack => {
  // Copies that are filled, not literals, for the reason told at `Handlers` of fiberContext.ts. So the types do not see that both hold what they are to.
  const entry = noEntry.slice()
  entry[0] = id
  entry[1] = context
  const isOwn = stack !== undefined && stack[0][0] === id
  const values: Array<unknown> = isOwn ? stack.slice() : noValue.slice()
  values[0] = entry
  if (stack !== undefined && !isOwn) {
    for (const around of stack) {
      values.push(around)
    }
  }
  return values as unknown as Stack
}
