/**
 * The gauges of the open databases: read from their pools when the metrics are collected, so that they are exact at
 * that moment and cost nothing between.
 */
import { globalValue } from "effect/GlobalValue"
import type { PoolSnapshot } from "../../DbMetrics.js"
import { type Gauge, tagged } from "../effect/metricKey.js"
import { gaugeState, histogramState, readWhenCollected } from "../effect/metricRegistry.js"
import * as keys from "./keys.js"

/** What the gauges of a database are read from. */
export interface GaugeSource {
  readonly pool: { readonly figures: PoolSnapshot }
  readonly config: { readonly pool: { readonly minIdle: number } }
  /** How many found a connection idle, so that they did not wait. */
  readonly immediate: number
}

/** The open databases of a name, which add up; and the waits of those that are closed, since a histogram only grows. */
interface Named {
  readonly sources: Set<GaugeSource>
  immediate: number
}

/** In the whole process, as the registry is. */
const byName = globalValue(Symbol.for("dblive/Gauges"), () => new Map<string, Named>())

const gauges: ReadonlyArray<readonly [Gauge, (source: GaugeSource) => number]> = [
  [tagged(keys.connectionCount, keys.connectionState, "idle"), ({ pool }) => pool.figures.idle],
  [tagged(keys.connectionCount, keys.connectionState, "used"), ({ pool }) => pool.figures.inUse],
  [keys.connectionMax, ({ pool }) => pool.figures.capacity],
  [keys.connectionIdleMax, ({ pool }) => pool.figures.size],
  [keys.connectionIdleMin, ({ config }) => config.pool.minIdle],
  [keys.pendingRequests, ({ pool }) => pool.figures.waiting]
]

const sum = (named: Named, read: (source: GaugeSource) => number): number => {
  let total = 0
  for (const source of named.sources) {
    total += read(source)
  }
  return total
}

const make = (name: string): Named => {
  const named: Named = { sources: new Set(), immediate: 0 }
  for (const [key, read] of gauges) {
    readWhenCollected(tagged(key, keys.poolName, name), () => gaugeState(sum(named, read)))
  }
  // A wait is measured only where there is one; those that found a connection idle are added here, with 0.
  readWhenCollected(tagged(keys.waitTime, keys.poolName, name), (told) => {
    const immediate = named.immediate + sum(named, (source) => source.immediate)
    return immediate === 0 ? told : histogramState({
      buckets: told.buckets.map(([boundary, count]) => [boundary, count + immediate] as const),
      count: told.count + immediate,
      min: 0,
      max: told.count === 0 ? 0 : told.max,
      sum: told.sum
    })
  })
  return named
}

/** Reads the gauges of a database from this source until the returned function is called. */
export const watch = (name: string, source: GaugeSource): () => void => {
  let named = byName.get(name)
  if (named === undefined) {
    named = make(name)
    byName.set(name, named)
  }
  const { sources } = named
  sources.add(source)
  return () => {
    if (sources.delete(source)) {
      named.immediate += source.immediate
    }
  }
}
