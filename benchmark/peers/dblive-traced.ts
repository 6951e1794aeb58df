/** `dblive` on PostgreSQL with a tracer: one that keeps what a span says until it ends, as an exporter does. */
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { openPostgres } from "./dblive/openPostgres.js"

let ids = 0
const ended: Array<Tracer.Span> = []

const tracer = Tracer.make({
  span: (name, parent, context, links, startTime, kind) => {
    const attributes = new Map<string, unknown>()
    let status: Tracer.SpanStatus = { _tag: "Started", startTime }
    const span: Tracer.Span = {
      _tag: "Span",
      name,
      spanId: String(++ids),
      traceId: Option.match(parent, { onNone: () => String(ids), onSome: (parent) => parent.traceId }),
      parent,
      context,
      get status() {
        return status
      },
      attributes,
      links,
      sampled: true,
      kind,
      end: (endTime, exit) => {
        status = { _tag: "Ended", startTime, endTime, exit }
        ended.push(span)
        // a batch that has been exported
        if (ended.length === 512) ended.length = 0
      },
      attribute: (key, value) => {
        attributes.set(key, value)
      },
      event: () => {},
      addLinks: () => {}
    }
    return span
  },
  context: (execution) => execution()
})

export const open = openPostgres(Layer.setTracer(tracer))
