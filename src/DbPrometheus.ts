/**
 * Metrics as Prometheus reads them: what Effect's registry holds, those of databases and those of the program, as text.
 *
 * The text is written by `prom-client`, an optional package that is loaded when it is asked for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Gauge } from "prom-client"
import { collect, type Collected, type State } from "./internal/effect/metricSnapshot.js"

/**
 * The metrics could not be written: `prom-client` is not installed.
 *
 * @since 0.1.0
 * @category errors
 */
export class PrometheusError extends Schema.TaggedError<PrometheusError>("dblive/PrometheusError")("PrometheusError", {
  message: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {}

/**
 * The `Content-Type` of {@link render}'s text.
 *
 * @since 0.1.0
 * @category constants
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** One sample of a metric, as `prom-client` writes it. */
interface Value {
  readonly metricName: string
  readonly labels: Record<string, string>
  readonly value: number
}

interface Family {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge" | "histogram" | "summary"
  readonly aggregator: "sum"
  readonly values: Array<Value>
}

const isIncremental = ({ state }: Collected): boolean => state.type === "Counter" && state.isIncremental

/** Prometheus has no dots in its names, and asks for the unit at their end, and for `_total` after what only rises. */
const nameOf = (metric: Collected): string => {
  const plain = metric.name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_")
  const unit = metric.tags["unit"] === "s" ? "_seconds" : ""
  const suffix = `${unit}${isIncremental(metric) ? "_total" : ""}`
  return plain.endsWith(suffix) ? plain : plain + suffix
}

/** In the order of their names, which is the same for every series. */
const labelsOf = ({ tags }: Collected): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tags).filter(([key]) => key !== "unit")
      .map(([key, value]) => [key.replace(/[^a-zA-Z0-9_]/g, "_"), value] as const)
      .sort(([a], [b]) => a < b ? -1 : 1)
  )

const typeOf = (metric: Collected): Family["type"] =>
  metric.state.type === "Histogram"
    ? "histogram"
    : metric.state.type === "Summary"
    ? "summary"
    : isIncremental(metric)
    ? "counter"
    : "gauge"

const valuesOf = (name: string, labels: Record<string, string>, state: State): ReadonlyArray<Value> => {
  const value = (metricName: string, value: number | bigint, more: Record<string, string> = {}): Value => ({
    metricName,
    labels: { ...labels, ...more },
    value: Number(value)
  })
  switch (state.type) {
    case "Counter":
      return [value(name, state.count)]
    case "Gauge":
      return [value(name, state.value)]
    case "Frequency":
      return Array.from(state.occurrences, ([word, count]) => value(name, count, { value: word }))
    case "Histogram":
      return [
        ...state.buckets
          .filter(([boundary]) => Number.isFinite(boundary))
          .map(([boundary, count]) => value(`${name}_bucket`, count, { le: String(boundary) })),
        value(`${name}_bucket`, state.count, { le: "+Inf" }),
        value(`${name}_sum`, state.sum),
        value(`${name}_count`, state.count)
      ]
    case "Summary":
      return [
        ...state.quantiles.flatMap(([quantile, found]) =>
          found === undefined ? [] : [value(name, found, { quantile: String(quantile) })]
        ),
        value(`${name}_sum`, state.sum),
        value(`${name}_count`, state.count)
      ]
  }
}

/** All metrics of Effect's registry, those of one name together. */
const families = (): ReadonlyArray<Family> => {
  const found = new Map<string, Family>()
  for (const metric of collect()) {
    const name = nameOf(metric)
    const type = typeOf(metric)
    let family = found.get(name)
    if (family === undefined) {
      family = { name, help: metric.description ?? metric.name, type, aggregator: "sum", values: [] }
      found.set(name, family)
    }
    // Prometheus knows one type per name, Effect any number: the first one holds.
    if (family.type === type) {
      family.values.push(...valuesOf(name, labelsOf(metric), metric.state))
    }
  }
  return [...found.values()]
}

/**
 * Every metric of Effect's registry as Prometheus's text: those of all databases of the process, and the program's own.
 * `db.client.operation.duration` becomes `db_client_operation_duration_seconds`, `dblive.retries` becomes
 * `dblive_retries_total`.
 *
 * Fails with {@link PrometheusError} when `prom-client` is not installed.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { DbPrometheus } from "dblive"
 * import { Effect } from "effect"
 *
 * const metrics = Effect.map(DbPrometheus.render, (text) =>
 *   HttpServerResponse.text(text, { contentType: DbPrometheus.contentType }))
 * ```
 *
 * @since 0.1.0
 * @category formatting
 */
export const render: Effect.Effect<string, PrometheusError> = Effect.tryPromise({
  try: async () => {
    const { Registry } = await import("prom-client")
    const registry = new Registry()
    for (const family of families()) {
      // Its own classes count for themselves; what is written is asked of `get` alone, and that is what this has.
      registry.registerMetric({ name: family.name, get: async () => family } as unknown as Gauge)
    }
    return await registry.metrics()
  },
  catch: (cause) =>
    new PrometheusError({ message: "metrics for Prometheus need prom-client: npm install prom-client@15", cause })
})
