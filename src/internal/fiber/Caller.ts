/**
 * The fiber that calls the engine, and how it is named in reports.
 */
import type * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import { currentSpan } from "../effect/context.js"
import { type Id, idOf, nameOf } from "../effect/fiberState.js"

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
  const span = currentSpan(fiber)
  return span?._tag === "Span" ? span : undefined
}

/** Each borrower has one, and it is rarely read: its texts are made when they are asked for. */
class FiberOrigin implements Caller {
  private readonly id: Id
  private readonly within: Tracer.Span | undefined

  constructor(fiber: AnyFiber) {
    this.id = idOf(fiber)
    this.within = spanOf(fiber)
  }

  get span(): string | undefined {
    return this.within?.name
  }

  get fiber(): string {
    return nameOf(this.id)
  }
}

export const callerOf = (fiber: AnyFiber): Caller => new FiberOrigin(fiber)
