/**
 * A tracer that keeps its spans: `collectingTracer()` gives `tracer`, `spans`, and `named(name)`, the attributes of the spans of
 * that name, the oldest first.
 */
import * as Tracer from "effect/Tracer"

export const collectingTracer = () => {
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
        end: () => {},
        attribute: (key: string, value: unknown) => void attributes.set(key, value),
        event: () => {},
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
