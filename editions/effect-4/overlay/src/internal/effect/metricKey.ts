/**
 * The metrics of the registry, which are their own keys.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

export type Counter = Metric.Counter<number>
export type Gauge = Metric.Gauge<number>
export type Histogram = Metric.Histogram<number>

/** The metric with one more tag. */
export const tagged = <In, State>(
  metric: Metric.Metric<In, State>,
  name: string,
  value: string
): Metric.Metric<In, State> => Metric.withAttributes(metric, { [name]: value })

/** No tags beside those of the metric. */
export const untagged: Context.Context<never> = Context.empty()

/** The metric of a key with one more tag. */
export const metricOf = tagged

/** The unit is a tag, which exporters read: Effect has no other place for it. */
export const histogram = (
  name: string,
  { boundaries, description, unit }: {
    readonly boundaries: ReadonlyArray<number>
    readonly description: string
    readonly unit: string
  }
): Histogram =>
  Metric.histogram(name, {
    description,
    boundaries: Metric.boundariesFromIterable(boundaries),
    attributes: { unit }
  })

export const counter = (name: string, description: string): Counter =>
  Metric.counter(name, { description, incremental: true })

export const gauge = (name: string, description: string): Gauge => Metric.gauge(name, { description })
