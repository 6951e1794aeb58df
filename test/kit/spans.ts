/**
 * A tracer that keeps its spans: `collectingTracer()` gives `tracer`, `spans`, and `named(name)`, the attributes of the spans of
 * that name, the oldest first.
 */
import * as Tracer from "effect/Tracer"

export const collectingTracer = () => {
  const spans: Array<Tracer.Span & { readonly capturesStack: boolean }> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind, options) => {
      const attributes = new Map<string, unknown>()
      const span = {
        _tag: "Span" as const,
        name,
        spanId: `${spans.length}`,
        traceId: "trace",
        parent,
        context,
        status: { _tag: "Started" as const, startTime },
        attributes,
        links,
        sampled: true,
        kind,
        capturesStack: options?.captureStackTrace !== false,
        end: () => {},
        attribute: (key: string, value: unknown) => void attributes.set(key, value),
        event: () => {},
        addLinks: () => {}
      }
      spans.push(span)
      return span
    },
    context: (f) => f()
  })
  const named = (name: string) =>
    spans.filter((span) => span.name === name).map(({ attributes }) => Object.fromEntries(attributes))
  return { tracer, spans, named }
}
