/**
 * The states of all metrics of Effect's registry, for what writes them out.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

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

const stateOf = (snapshot: Metric.Metric.Snapshot): State => {
  switch (snapshot.type) {
    case "Counter":
      return { type: "Counter", count: snapshot.state.count, isIncremental: snapshot.state.incremental }
    case "Gauge":
      return { type: "Gauge", value: snapshot.state.value }
    case "Frequency":
      return { type: "Frequency", occurrences: snapshot.state.occurrences }
    case "Histogram":
      return { type: "Histogram", ...snapshot.state }
    case "Summary":
      return { type: "Summary", ...snapshot.state }
  }
}

/** Each metric of the registry, as it is now. */
export const collect = (): ReadonlyArray<Collected> =>
  Metric.snapshotUnsafe(Context.empty()).map((snapshot) => ({
    name: snapshot.id,
    description: snapshot.description,
    tags: snapshot.attributes ?? {},
    state: stateOf(snapshot)
  }))
