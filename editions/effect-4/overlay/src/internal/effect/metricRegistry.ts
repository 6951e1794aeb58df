/**
 * Metrics that are read when they are collected, and are told values, too: what Effect registers with a `get` of its own takes none.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** From now on the state of a metric is what `read` makes of the state that it was told. */
export const readWhenCollected = <In, Out>(metric: Metric.Metric<In, Out>, read: (told: Out) => Out): void => {
  const here = Context.empty()
  metric.valueUnsafe(here)
  // The key of its series, attributes included: a metric is registered where it is first read, here in a registry of its own.
  const alone: Metric.MetricRegistry = new Map()
  metric.valueUnsafe(Context.make(Metric.MetricRegistry, alone))
  for (const key of alone.keys()) {
    const hooks = Context.get(here, Metric.MetricRegistry).get(key)!.hooks
    const told = hooks.get
    Object.assign(hooks, { get: (context: Context.Context<never>) => read(told(context)) })
  }
}

/** The state of a gauge. */
export const gaugeState = (value: number): Metric.GaugeState<number> => ({ value })

/** The state of a histogram. */
export const histogramState = (state: Metric.HistogramState): Metric.HistogramState => state
