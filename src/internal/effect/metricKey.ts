/**
 * The keys of metrics, under which they stand in Effect's registry.
 *
 * Sources are tagged by way of their keys, never by `Metric.tagged`: that one joins its tags and looks the metric up anew
 * at each update, which costs more than a statement may.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"

export type Counter = MetricKey.MetricKey.Counter<number>
export type Gauge = MetricKey.MetricKey.Gauge<number>
export type Histogram = MetricKey.MetricKey.Histogram

/** The key with one more tag. */
export const tagged = <Type extends MetricKeyType.MetricKeyType.Untyped>(
  key: MetricKey.MetricKey<Type>,
  name: string,
  value: string
): MetricKey.MetricKey<Type> => MetricKey.tagged<Type>(key, name, value)

/** No tags beside those of the key. */
export const untagged: ReadonlyArray<never> = []

/** The metric of a key with one more tag. */
export const metricOf = <Type extends MetricKeyType.MetricKeyType.Untyped>(
  key: MetricKey.MetricKey<Type>,
  name: string,
  value: string
) => Metric.fromMetricKey(tagged(key, name, value))

/** The unit is a tag, which exporters read: Effect has no other place for it. */
export const histogram = (
  name: string,
  { boundaries, description, unit }: {
    readonly boundaries: ReadonlyArray<number>
    readonly description: string
    readonly unit: string
  }
): Histogram => tagged(MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), description), "unit", unit)

export const counter = (name: string, description: string): Counter =>
  MetricKey.counter(name, { description, incremental: true })

export const gauge = (name: string, description: string): Gauge => MetricKey.gauge(name, { description })
