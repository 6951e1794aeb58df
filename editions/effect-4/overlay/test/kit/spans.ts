/**
 * A tracer that keeps its spans: `collectingTracer()` gives `tracer`, `spans`, and `named(name)`, the attributes of the spans of
 * that name, the oldest first. With `tell` it also tells what is recorded: attributes, events, ends.
 */
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"

export const collectingTracer = (tell: (recorded: unknown) => void = () => {}) => {
  const spans: Array<Tracer.Span & { readonly capturesStack: boolean }> = []
  const tracer = Tracer.make({
    span: (options) => {
      const { startTime } = options
      const attributes = new Map<string, unknown>()
      const span = {
        ...options,
        _tag: "Span" as const,
        spanId: `${spans.length}`,
        traceId: "trace",
        status: { _tag: "Started" as const, startTime },
        attributes,
        // Effect 4 captures the stack of `Effect.withSpan` only.
        capturesStack: false,
        // What a layer gives holds all that it is built of.
        end: (_: bigint, exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? tell(exit.cause) : undefined,
        attribute: (key: string, value: unknown) => {
          attributes.set(key, value)
          tell([key, value])
        },
        event: (name: string, _: bigint, attributes?: Record<string, unknown>) => tell([name, attributes]),
        addLinks: () => {}
      }
      spans.push(span)
      return span
    }
  })
  const named = (name: string) =>
    spans.filter((span) => span.name === name).map(({ attributes }) => Object.fromEntries(attributes))
  return { tracer, spans, named }
}
