import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricState from "effect/MetricState"
import { readWhenCollected } from "../../src/internal/effect/metricRegistry.js"

describe("Effect's metric registry", () => {
  it.effect("asks a gauge when it is collected, by every way of reading it", () =>
    Effect.gen(function*() {
      const key = MetricKey.gauge("dblive.test.read_when_collected")
      let value = 1
      readWhenCollected(key, () => MetricState.gauge(value))
      value = 2
      assert.strictEqual((yield* Metric.value(Metric.fromMetricKey(key))).value, 2)
      value = 3
      const pair = (yield* Metric.snapshot).find(({ metricKey }) => metricKey.name === key.name)
      assert.deepStrictEqual(pair?.metricState, MetricState.gauge(3))
    }))

  it.effect("gives what the metric was told", () =>
    Effect.gen(function*() {
      const key = MetricKey.gauge("dblive.test.told")
      const gauge = Metric.fromMetricKey(key)
      yield* Metric.set(gauge, 5)
      readWhenCollected(key, (told) => MetricState.gauge(Number(told.value) + 1))
      assert.strictEqual((yield* Metric.value(gauge)).value, 6)
    }))
})
