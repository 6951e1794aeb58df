/**
 * The states of all metrics of Effect's registry, for what writes them out.
 */
import * as Metric from "effect/Metric"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/** What a metric was told, by its type. */
export type State =
  | { readonly type: "Counter"; readonly count: number | bigint; readonly isIncremental: boolean }
  | { readonly type: "Gauge"; readonly value: number | bigint }
  | { readonly type: "Frequency"; readonly occurrences: ReadonlyMap<string, number> }
  | {
    readonly type: "Histogram"
    readonly buckets: ReadonlyArray<readonly [boundary: number, count: number]>
    readonly count: number
    readonly sum: number
  }
  | {
    readonly type: "Summary"
    readonly quantiles: ReadonlyArray<readonly [quantile: number, value: number | undefined]>
    readonly count: number
    readonly sum: number
  }

/** A metric, and its state. */
export interface Collected {
  readonly name: string
  readonly description: string | undefined
  readonly tags: Readonly<Record<string, string>>
  readonly state: State
}

const stateOf = ({ metricKey: { keyType }, metricState }: MetricPair.MetricPair.Untyped): State | undefined => {
  if (MetricState.isCounterState(metricState)) {
    const isIncremental = MetricKeyType.isCounterKey(keyType) && keyType.incremental
    return { type: "Counter", count: metricState.count, isIncremental }
  }
  if (MetricState.isGaugeState(metricState)) {
    return { type: "Gauge", value: metricState.value }
  }
  if (MetricState.isFrequencyState(metricState)) {
    return { type: "Frequency", occurrences: metricState.occurrences }
  }
  if (MetricState.isHistogramState(metricState)) {
    return { type: "Histogram", buckets: metricState.buckets, count: metricState.count, sum: metricState.sum }
  }
  if (MetricState.isSummaryState(metricState)) {
    const quantiles = metricState.quantiles.map(([quantile, value]) =>
      [quantile, Option.getOrUndefined(value)] as const
    )
    return { type: "Summary", quantiles, count: metricState.count, sum: metricState.sum }
  }
  return undefined
}

/** Each metric of the registry, as it is now. */
export const collect = (): ReadonlyArray<Collected> =>
  Metric.unsafeSnapshot().flatMap((pair) => {
    const { description, name, tags } = pair.metricKey
    const state = stateOf(pair)
    return state === undefined ? [] : [{
      name,
      description: Option.getOrUndefined(description),
      tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
      state
    }]
  })
