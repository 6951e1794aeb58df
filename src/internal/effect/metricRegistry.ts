/**
 * Metrics that are read when they are collected. Effect 3 has no observable instruments: a metric is told its value. So the hook of
 * a key, whose `get` each exporter calls, is given another `get`.
 *
 * What this needs of Effect: the registry is the global value `effect/Metric/globalMetricRegistry`; it keeps one hook for each key;
 * `Metric.snapshot` calls `get` of the hook. `test/effect/metricRegistry.test.ts` fails where that is not so.
 */
import { globalValue } from "effect/GlobalValue"
import type * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricRegistry from "effect/MetricRegistry"
import * as MetricState from "effect/MetricState"

/** Effect keeps its registry as a global value, for the case that its own module is loaded twice, and exports it nowhere. */
const registry = globalValue(Symbol.for("effect/Metric/globalMetricRegistry"), () => MetricRegistry.make())

/** From now on the state of a metric is what `read` makes of the state that it was told. */
export const readWhenCollected = <In, Out>(
  key: MetricKey.MetricKey<MetricKeyType.MetricKeyType<In, Out>>,
  read: (told: Out) => Out
): void => {
  const hook = registry.get(key)
  const told = hook.get
  Object.assign(hook, { get: () => read(told()) })
}

/** The state of a gauge. */
export const gaugeState = (value: number): MetricState.MetricState.Gauge<number> => MetricState.gauge(value)

/** The state of a histogram. */
export const histogramState = MetricState.histogram
