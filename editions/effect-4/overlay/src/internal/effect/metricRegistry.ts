/**
 * Metrics that are read when they are collected.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** From now on the state of a metric is what `read` makes of the state that it was told. */
export const readWhenCollected = <In, Out>(metric: Metric.Metric<In, Out>, read: (told: Out) => Out): void => {
  const context = Context.empty()
  // Makes it known.
  metric.valueUnsafe(context)
  for (const known of Context.get(context, Metric.MetricRegistry).values()) {
    if (known.id === metric.id && isSame(known.attributes, metric.attributes)) {
      const { hooks } = known
      const told = hooks.get
      Object.assign(hooks, { get: (context: Context.Context<never>) => read(told(context)) })
    }
  }
}

const isSame = (a: Metric.Metric.AttributeSet = {}, b: Metric.Metric.AttributeSet = {}): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([key, value]) => b[key] === value)

/** The state of a gauge. */
export const gaugeState = (value: number): Metric.GaugeState<number> => ({ value })

/** The state of a histogram. */
export const histogramState = (state: Metric.HistogramState): Metric.HistogramState => state
