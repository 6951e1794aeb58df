/**
 * A tracer that keeps its spans: `collectingTracer()` gives `tracer`, `spans`, and `named(name)`, the attributes of the spans of
 * that name, the oldest first. With `tell` it also tells what is recorded: attributes, events, ends.
 */
import * as Tracer from "effect/Tracer"

export const collectingTracer = (tell: (recorded: unknown) => void = () => {}) => {
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
        end: (_: bigint, exit: unknown) => tell(exit),
        attribute: (key: string, value: unknown) => {
          attributes.set(key, value)
          tell([key, value])
        },
        event: (name: string, _: bigint, attributes?: Record<string, unknown>) => tell([name, attributes]),
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
