/**
 * What a fiber has in its context: reading it, and the context with one more service.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Statement from "effect/sql/Statement"
import type * as Tracer from "effect/Tracer"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** The service under a tag, where there is one. */
export const serviceIn = <I, S>(context: Context.Context<never>, tag: Context.Key<I, S>): S | undefined =>
  Context.getOrUndefined(context, tag)

/** The context in which `service` stands under a tag. */
export const withService = <I, S>(
  context: Context.Context<never>,
  tag: Context.Key<I, S>,
  service: S
): Context.Context<never> =>
  // What is added is not asked for by type.
  Context.add<I, S>(tag, service)(context) as Context.Context<never>

/** The span that a fiber is in. */
export const currentSpan = (fiber: AnyFiber): Tracer.AnySpan | undefined => fiber.cache.span

/** Whether a span would be seen: a tracer is set, and it is not turned off. */
export const isTraced = (fiber: AnyFiber): boolean => fiber.cache.tracer !== undefined && fiber.cache.tracerEnabled

/** What changes the statements of a fiber before they are run. */
export const transformerOf = (
  fiber: AnyFiber
):
  | ((
    statement: Statement.Statement<unknown>,
    sql: Statement.Constructor,
    span: Tracer.Span
  ) => Effect.Effect<Statement.Statement<unknown>>)
  | undefined =>
{
  const transformer = fiber.getRef(Statement.CurrentTransformer)
  return transformer && ((statement, sql, span) => transformer(statement, sql, fiber, span))
}
