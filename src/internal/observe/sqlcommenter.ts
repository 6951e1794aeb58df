/**
 * Comments on statements in the format of sqlcommenter, so that a statement on the server leads to its request: the
 * application, and `traceparent` where a tracer sees it.
 *
 * Source: https://google.github.io/sqlcommenter/spec/
 */
import type * as Tracer from "effect/Tracer"

/** As the format has it: percent-encoded, a quote included. */
const encoded = (text: string): string => encodeURIComponent(text).replace(/'/g, "%27")

/** `version-trace-span-flags` of W3C Trace Context. */
const traceparent = ({ sampled: isSampled, spanId, traceId }: Tracer.AnySpan): string =>
  `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`

/**
 * The text with its comment. One that has a comment already is left as it is, as the format asks; so is one in which
 * something only looks like one.
 */
export const appendComment = (text: string, application: string, span: Tracer.AnySpan | undefined): string => {
  if (text.includes("/*") || text.includes("--")) {
    return text
  }
  // Sorted by their keys.
  const pairs = [
    `application='${encoded(application)}'`,
    "db_driver='dblive'",
    ...(span === undefined ? [] : [`traceparent='${traceparent(span)}'`])
  ]
  const end = /[\s;]*$/.exec(text)!.index
  return `${text.slice(0, end)} /*${pairs.join(",")}*/${text.slice(end)}`
}
