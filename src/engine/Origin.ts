/**
 * What the engine reads from the fiber that calls it: who it is, until when it has to be done, in which session it runs.
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import type { Deadline } from "./Work.js"

/** Whose time a connection is, for reports: the span and the fiber that took it. */
export interface Origin {
  readonly span: string | undefined
  readonly fiber: string
}

/** Any fiber: its results do not matter here. */
export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The moment until which the work of this fiber has to be done. */
export const currentDeadline: FiberRef.FiberRef<Deadline | undefined> = FiberRef.unsafeMake<Deadline | undefined>(
  undefined
)

export const deadlineOf = (fiber: AnyFiber): Deadline | undefined => fiber.getFiberRef(currentDeadline)

export const originOf = (fiber: AnyFiber): Origin => {
  const span: unknown = fiber.currentContext.unsafeMap.get(Tracer.ParentSpan.key)
  return {
    // Under this key Effect keeps an `AnySpan`; an external one has no name.
    span: span !== undefined && (span as Tracer.AnySpan)._tag === "Span" ? (span as Tracer.Span).name : undefined,
    fiber: FiberId.threadName(fiber.id())
  }
}

const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether anybody would see a span: the tracer is not the default one, which keeps nothing. */
export const isTraced = (fiber: AnyFiber): boolean =>
  fiber.currentTracer !== undefined && fiber.currentTracer !== nativeTracer
