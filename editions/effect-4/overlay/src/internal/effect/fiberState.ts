/**
 * What the engine reads from a fiber and sets in it, which differs between the Effects. Private fields are used where the ways that
 * Effect offers would cost a session several times as much, or where there is none; nowhere else.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Cause from "effect/Cause"
import type * as Fiber from "effect/Fiber"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Fields that Effect's own class of fibers has beside those of its type. */
interface State {
  interruptible: boolean
  _deferredInterrupt: boolean
  readonly _children: ReadonlySet<unknown> | undefined
  readonly _interruptedCause: Cause.Cause<never> | undefined
}

/** Every fiber is one of Effect's own class, which has them all; `fiberState.test.ts` fails where it has not. */
const stateOf = (fiber: AnyFiber): State => fiber as unknown as State

/** Whether it has forked fibers that still run. Effect tells that only to an effect of the fiber itself. */
export const hasChildren = (fiber: AnyFiber): boolean => (stateOf(fiber)._children?.size ?? 0) > 0

/** Sets a reference of a fiber that waits for what is told to it, or that runs this. */
export const setFiberRef = <A>(fiber: AnyFiber, ref: Context.Reference<A>, value: A): void =>
  fiber.setContext(Context.add(fiber.context, ref, value))

/** From here on nothing interrupts the calling fiber. Answers whether anything could before. */
export const disableInterruption = (fiber: AnyFiber): boolean => {
  const state = stateOf(fiber)
  const before = state.interruptible
  state.interruptible = false
  // One that came within this very call would end the fiber at its next step all the same. `_interruptedCause` still tells it.
  state._deferredInterrupt = false
  return before
}

/** Takes it back. The fiber goes on, also where it was interrupted meanwhile. */
export const enableInterruption = (fiber: AnyFiber): void => {
  stateOf(fiber).interruptible = true
}

/** Ends the fiber that runs it, where it was interrupted; after {@link enableInterruption}. */
export const endIfInterrupted: Effect.Effect<void> = Effect.withFiber((fiber) => {
  const { _interruptedCause } = stateOf(fiber)
  return _interruptedCause === undefined ? Effect.void : Effect.failCause(_interruptedCause)
})

/** The number of a fiber, from which its name is made when that is asked for. */
export type Id = number

export const idOf = (fiber: AnyFiber): Id => fiber.id

/** The name under which Effect logs a fiber, such as `#12`. */
export const nameOf = (id: Id): string => `#${id}`

/** The effect with all that a fiber has of its own: its context, and with it its log and its annotations. */
export const asFiber = <A, E>(fiber: AnyFiber, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.provideContext(effect, fiber.context)

/**
 * A fiber in another context, which its children inherit, as `Effect.provideContext` would set it. Made and ended by that fiber.
 */
export class ContextOverride {
  private readonly around: Context.Context<never>

  constructor(private readonly fiber: AnyFiber, context: Context.Context<never>) {
    this.around = fiber.context
    fiber.setContext(context)
  }

  end(): void {
    this.fiber.setContext(this.around)
  }
}
