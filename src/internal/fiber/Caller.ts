/**
 * The fiber that calls the engine, and how it is named in reports.
 */
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Tracer from "effect/Tracer"

/** The holder of a connection, for reports: the span and the fiber that acquired it. */
export interface Caller {
  readonly span: string | undefined
  readonly fiber: string
}

/** Any fiber: its results do not matter here. */
export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The span a fiber is in. */
export const spanOf = (fiber: AnyFiber): Tracer.Span | undefined => {
  // An external one has no name and takes no attributes.
  const span = fiber.currentSpan
  return span?._tag === "Span" ? span : undefined
}

/** Each borrower has one, and it is rarely read: its texts are made when they are asked for. */
class FiberOrigin implements Caller {
  private readonly id: FiberId.Runtime
  private readonly within: Tracer.Span | undefined

  constructor(fiber: AnyFiber) {
    this.id = fiber.id()
    this.within = spanOf(fiber)
  }

  get span(): string | undefined {
    return this.within?.name
  }

  get fiber(): string {
    return FiberId.threadName(this.id)
  }
}

export const callerOf = (fiber: AnyFiber): Caller => new FiberOrigin(fiber)
