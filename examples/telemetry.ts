/**
 * Spans and metrics of a program with a database, for OpenTelemetry and for Prometheus: nothing to write but the exporters.
 *
 *     npx tsx examples/telemetry.ts
 *
 * Here they are kept in memory and shown; a program sends them with the exporters of OpenTelemetry.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { NodeRuntime } from "@effect/platform-node"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Console, Effect } from "effect"
import { Db, DbHealth, DbPrometheus } from "../src/index.js"

const spans = new InMemorySpanExporter()
const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: metrics })

const Telemetry = NodeSdk.layer(() => ({
  resource: { serviceName: "notes" },
  spanProcessor: new SimpleSpanProcessor(spans),
  metricReader: reader
}))

const work = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE note (body TEXT NOT NULL)")
  yield* Db.query("INSERT INTO note VALUES (:body)", { body: "hello" }).pipe(Db.transaction)
}).pipe(Effect.withSpan("request"))

const program = Effect.gen(function*() {
  yield* work
  yield* Effect.promise(() => reader.forceFlush())
  for (const { attributes, name } of spans.getFinishedSpans()) {
    yield* Console.log(`span ${name}`, attributes["db.query.text"] ?? attributes["dblive.outcome"] ?? "")
  }
  const names = metrics.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name))
  yield* Console.log(`metrics ${names.join(", ")}`)

  // The same for Prometheus, as GET /metrics would answer.
  const text = yield* DbPrometheus.render
  yield* Console.log(text.split("\n").filter((line) => line.startsWith("dblive_transactions_total")).join("\n"))

  // And all that is known, in one line of the log.
  yield* DbHealth.log(Db)
})

program.pipe(
  Effect.provide([Db.layer({ url: "sqlite://:memory:" }), Telemetry]),
  NodeRuntime.runMain
)
