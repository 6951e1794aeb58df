/**
 * What a fiber has in its context: reading it, and the context with one more service.
 */
import * as Statement from "@effect/sql/Statement"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The service under a tag, where there is one. */
export const serviceIn = <I, S>(context: Context.Context<never>, tag: Context.Tag<I, S>): S | undefined =>
  context.unsafeMap.get(tag.key)

/** The context in which `service` stands under a tag. */
export const withService = <I, S>(
  context: Context.Context<never>,
  tag: Context.Tag<I, S>,
  service: S
): Context.Context<never> => Context.unsafeMake<never>(patched<string, unknown>(context.unsafeMap, tag.key, service))

// -----------------------------------------------------------------------------
// tracing
// -----------------------------------------------------------------------------

/** The span that a fiber is in. */
export const currentSpan = (fiber: AnyFiber): Tracer.AnySpan | undefined => fiber.currentSpan

const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether a span would be seen: the tracer is not the default one, which keeps nothing. */
export const isTraced = (fiber: AnyFiber): boolean =>
  fiber.currentTracer !== undefined && fiber.currentTracer !== nativeTracer

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
  const transformer = Option.getOrUndefined(fiber.getFiberRef(Statement.currentTransformer))
  return transformer && ((statement, sql, span) => transformer(statement, sql, fiber.getFiberRefs(), span))
}

// -----------------------------------------------------------------------------
// one more key
// -----------------------------------------------------------------------------

/** How many may stand on one another: each makes looking up slower, and keeps what it hides alive. */
const deepest = 8

/**
 * A map that says what another one says, but for one key: made without copying the other one, which must not change any
 * more. It is copied when more than one key is asked for, or one is set.
 *
 * A session puts its fiber into a context of its own. Nearly always a single service is asked of that context, so a
 * session costs the same in a program of ten services and of a thousand.
 */
class Amended<K, V> implements Map<K, V> {
  private copy: Map<K, V> | undefined = undefined

  constructor(
    private readonly base: ReadonlyMap<K, V>,
    private readonly key: K,
    private readonly value: V,
    readonly depth: number
  ) {}

  private get whole(): Map<K, V> {
    return this.copy ??= new Map(this.base).set(this.key, this.value)
  }

  get(key: K): V | undefined {
    return this.copy === undefined ? key === this.key ? this.value : this.base.get(key) : this.copy.get(key)
  }

  has(key: K): boolean {
    return this.copy === undefined ? key === this.key || this.base.has(key) : this.copy.has(key)
  }

  get size(): number {
    return this.whole.size
  }

  set(key: K, value: V): this {
    this.whole.set(key, value)
    return this
  }

  delete(key: K): boolean {
    return this.whole.delete(key)
  }

  clear(): void {
    this.whole.clear()
  }

  forEach(callback: (value: V, key: K, map: Map<K, V>) => void): void {
    this.whole.forEach(callback)
  }

  keys(): MapIterator<K> {
    return this.whole.keys()
  }

  values(): MapIterator<V> {
    return this.whole.values()
  }

  entries(): MapIterator<[K, V]> {
    return this.whole.entries()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.whole.entries()
  }

  get [Symbol.toStringTag](): string {
    return "Map"
  }
}

/** The map `base` with this value under this key. */
export const patched = <K, V>(base: ReadonlyMap<K, V>, key: K, value: V): Map<K, V> => {
  const depth = base instanceof Amended ? base.depth + 1 : 1
  return depth > deepest ? new Map(base).set(key, value) : new Amended(base, key, value, depth)
}
