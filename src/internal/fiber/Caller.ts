/**
 * What the engine reads from the fiber that calls it: who it is, until when it has to be done, in which session it runs.
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import type * as DbConfig from "../../DbConfig.js"
import type { Deadline } from "../request/Deadline.js"

/** Whose time a connection is, for reports: the span and the fiber that took it. */
export interface Caller {
  readonly span: string | undefined
  readonly fiber: string
}

/** Any fiber: its results do not matter here. */
export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The moment until which the work of this fiber has to be done. */
export const currentDeadline: FiberRef.FiberRef<Deadline | undefined> = FiberRef.unsafeMake<Deadline | undefined>(
  undefined
)

/** The limits of statements and transactions that hold for a fiber instead of the configured ones. */
export const currentLimits: FiberRef.FiberRef<Partial<DbConfig.Limits>> = FiberRef.unsafeMake<
  Partial<DbConfig.Limits>
>({})

/** The longest a statement of this fiber may run, in milliseconds; 0 for no limit. */
export const statementLimit = (config: DbConfig.DbConfig, fiber: AnyFiber): number =>
  fiber.getFiberRef(currentLimits).statementTimeout ?? config.limits.statementTimeout

/** The longest a transaction of this fiber may take, in milliseconds; 0 for no limit. */
export const transactionLimit = (config: DbConfig.DbConfig, fiber: AnyFiber): number =>
  fiber.getFiberRef(currentLimits).transactionTimeout ?? config.limits.transactionTimeout

export const deadlineOf = (fiber: AnyFiber): Deadline | undefined => fiber.getFiberRef(currentDeadline)

/** The span a fiber is in. */
export const spanOf = (fiber: AnyFiber): Tracer.Span | undefined => {
  // An external one has no name and takes no attributes.
  const span = fiber.currentSpan
  return span?._tag === "Span" ? span : undefined
}

/** Everybody who borrows has one, and nearly nobody ever asks: what it says is put into words when it is asked for. */
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

const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether anybody would see a span: the tracer is not the default one, which keeps nothing. */
export const isTraced = (fiber: AnyFiber): boolean =>
  fiber.currentTracer !== undefined && fiber.currentTracer !== nativeTracer
