/**
 * What a scripted call does, and how it is played.
 *
 * Exports: `Step`, `Script`, `MutableScript`, `makePlayer`.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { DbError } from "../../src/DbError.js"

/** What a scripted call does. */
export type Step<E = DbError> =
  | "ok"
  | "never"
  | { readonly fail: E }
  | { readonly delay: Duration.DurationInput; readonly then?: Step<E> }
  | { readonly after: Effect.Effect<unknown, E>; readonly then?: Step<E> }

/** What the calls of one kind do. */
export interface Script<Call, E = DbError> {
  /** Steps for the next calls, in order; each is used once. */
  readonly next: (...steps: ReadonlyArray<Step<E>>) => void
  /** The step of every call that has none by `next`. Defaults to `"ok"`. */
  readonly always: (step: Step<E> | ((call: Call) => Step<E>)) => void
  /** How many calls there were. */
  readonly calls: number
}

/** A {@link Script} from the driver's side. */
export class MutableScript<Call, E> implements Script<Call, E> {
  calls = 0
  private readonly queue: Array<Step<E>> = []
  private rule: Step<E> | ((call: Call) => Step<E>) = "ok"
  next(...steps: ReadonlyArray<Step<E>>): void {
    this.queue.push(...steps)
  }
  always(step: Step<E> | ((call: Call) => Step<E>)): void {
    this.rule = step
  }
  take(call: Call): Step<E> {
    this.calls++
    return this.queue.shift() ?? (typeof this.rule === "function" ? this.rule(call) : this.rule)
  }
}

/** Plays a step; `settle` is called once, unless the returned function is called before. */
export interface Player {
  <E>(step: Step<E>, settle: (error: E | undefined) => void): () => void
}

/** Plays steps by the clock of the fiber that forks. Where it is `synchronous`, a step without a wait ends at once. */
export const makePlayer = (
  fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>,
  synchronous: boolean
): Player =>
<E>(step: Step<E>, settle: (error: E | undefined) => void): () => void => {
  let over = false
  const end = (error: E | undefined) => {
    if (over) return
    over = true
    settle(error)
  }
  let stop = () => {}
  const enter = (current: Step<E>): void => {
    if (current === "never") return
    if (current === "ok") return synchronous ? end(undefined) : queueMicrotask(() => end(undefined))
    if ("fail" in current) return synchronous ? end(current.fail) : queueMicrotask(() => end(current.fail))
    const wait: Effect.Effect<unknown, E> = "delay" in current ? Effect.sleep(current.delay) : current.after
    const fiber = fork(Effect.exit(wait))
    stop = () => Effect.runFork(Fiber.interruptFork(fiber))
    fiber.addObserver((exit) => {
      if (over || Exit.isFailure(exit)) return
      if (Exit.isFailure(exit.value)) {
        return end(Option.getOrUndefined(Cause.failureOption(exit.value.cause)))
      }
      if (current.then === undefined) end(undefined)
      else enter(current.then)
    })
  }
  enter(step)
  return () => {
    over = true
    stop()
  }
}
