/** Spans and metrics as OpenTelemetry and Prometheus get them, on a real server. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { QueryError } from "../../src/DbError.js"
import * as DbPrometheus from "../../src/DbPrometheus.js"
import * as DbRetry from "../../src/DbRetry.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { describePostgres, eventually } from "../kit/postgres.js"
import { onPostgres } from "../time/onPostgres.js"

/** A tracer whose spans can be looked at. */
const traced = () => {
  const exporter = new InMemorySpanExporter()
  const layer = NodeSdk.layer(() => ({
    resource: { serviceName: "test" },
    spanProcessor: new SimpleSpanProcessor(exporter)
  }))
  const named = (name: string): ReadonlyArray<ReadableSpan> =>
    exporter.getFinishedSpans().filter((span) => span.name === name)
  return { layer, named }
}

const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId

describePostgres("spans", () => {
  it.scopedLive("a session, its statements and their failures, in the conventions' words", () =>
    Effect.gen(function*() {
      const { layer, named } = traced()
      yield* onPostgres({}, (server) =>
        Effect.gen(function*() {
          yield* Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* sql`SELECT ${"value-canary"}::text AS x`
            yield* Effect.flip(sql`SELECT 1 / 0`)
            yield* Effect.flip(Stream.runDrain(sql`SELECT 1 / (n - 3) FROM generate_series(1, 5) AS n`.stream))
          }).pipe(Db.session, Effect.withSpan("request"))
          yield* Db.query("SELECT 1 AS one")
          const common = {
            "db.system.name": "postgresql",
            "db.namespace": server.database.name,
            "server.address": server.database.host,
            "server.port": server.database.port
          }
          const [session] = named("db.session")
          assert.deepInclude(session?.attributes, common)
          assert.isNumber(session?.attributes["dblive.session"])
          assert.strictEqual(parentOf(session), named("request")[0]?.spanContext().spanId)
          const [good, bad, streamed, single] = named("sql.execute")
          assert.strictEqual(parentOf(good), session?.spanContext().spanId)
          assert.deepInclude(good?.attributes, {
            ...common,
            "db.query.text": "SELECT $1::text AS x",
            "db.operation.name": "SELECT"
          })
          for (const failed of [bad, streamed]) {
            assert.deepInclude(failed?.attributes, {
              ...common,
              "error.type": "QueryError.DataError",
              "db.response.status_code": "22012"
            })
          }
          assert.deepInclude(single?.attributes, { ...common, "db.query.text": "SELECT 1 AS one" })
          assert.notInclude(JSON.stringify(named("sql.execute").map(({ attributes }) => attributes)), "value-canary")
        })).pipe(Effect.provide(layer))
    }))

  it.scopedLive("a transaction says its isolation, how it ended, and how often it was run again", () =>
    Effect.gen(function*() {
      const { layer, named } = traced()
      yield* onPostgres({}, () =>
        Effect.gen(function*() {
          let runs = 0
          yield* Db.query("SELECT 1 AS one").pipe(Db.transaction({ isolation: "serializable" }))
          yield* Effect.flip(Effect.fail("no").pipe(Db.transaction({ readOnly: true })))
          const conflict = Effect.suspend(() =>
            ++runs <= 2
              ? Db.query("DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$")
              : Db.query("SELECT 1 AS one")
          )
          yield* conflict.pipe(Db.transaction({ retry: DbRetry.conflicts }))
          const [committed, rolledBack, retried] = named("db.transaction")
          assert.deepInclude(committed?.attributes, {
            "db.system.name": "postgresql",
            "dblive.isolation": "serializable",
            "dblive.outcome": "committed",
            "dblive.retries": 0
          })
          assert.deepInclude(rolledBack?.attributes, { "dblive.read_only": true, "dblive.outcome": "rolled_back" })
          assert.deepInclude(retried?.attributes, { "dblive.outcome": "committed", "dblive.retries": 2 })
        })).pipe(Effect.provide(layer))
    }))

  it.scopedLive("comments bring the trace to the server's list of statements, on request", () =>
    Effect.gen(function*() {
      const { layer, named } = traced()
      yield* onPostgres({ tracing: { comments: true } }, (server) =>
        Effect.gen(function*() {
          const sleeping = yield* Effect.fork(Db.query("SELECT pg_sleep(:s) IS NULL AS x;", { s: 0.4 }))
          const [seen] = yield* eventually(server.active, (active) => active.length === 1)
          const [row] = yield* Fiber.join(sleeping)
          assert.deepStrictEqual(row, { x: false })
          const context = named("sql.execute")[0]!.spanContext()
          assert.strictEqual(
            seen,
            "SELECT pg_sleep($1) IS NULL AS x /*application='dblive%20test',db_driver='dblive'," +
              `traceparent='00-${context.traceId}-${context.spanId}-01'*/;`
          )
          // A text that differs each time must not fill the connection's prepared statements.
          assert.deepStrictEqual(
            yield* Db.session(Effect.zipRight(
              Effect.forEach([1, 2, 3], () => Db.query("SELECT :n::int AS n", { n: 1 })),
              Db.query("SELECT count(*)::int AS n FROM pg_prepared_statements /* looks */")
            )),
            [{ n: 1 }]
          )
          assert.strictEqual(named("sql.execute")[0]!.attributes["db.query.text"], "SELECT pg_sleep($1) IS NULL AS x;")
        })).pipe(Effect.provide(layer))
    }))
})

describe("without a tracer", () => {
  it.scoped("holders still name the span of the program", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb()
      yield* Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const hold = (name: string, statement: string) =>
          Db.query(statement).pipe(
            Effect.zipRight(Deferred.await(gate)),
            Db.transaction,
            Effect.withSpan(name),
            Effect.fork
          )
        const fibers = [yield* hold("report", "SELECT 1"), yield* hold("import", "INSERT 2")]
        yield* Effect.yieldNow()
        const { holders, inUse } = yield* eventually(Db.pool, ({ holders }) =>
          holders.filter(({ state }) => state === "idle in transaction").length === 2)
        assert.strictEqual(inUse, 2)
        assert.sameDeepMembers(
          holders.map(({ span, state, statement }) => ({ span, state, statement })),
          [
            { span: "report", state: "idle in transaction", statement: "SELECT 1" },
            { span: "import", state: "idle in transaction", statement: "INSERT 2" }
          ]
        )
        assert.strictEqual(
          new Set(holders.map(({ session }) =>
            session
          )).size,
          2
        )
        yield* Deferred.succeed(gate, undefined)
        yield* Effect.forEach(fibers, Fiber.join)
      }).pipe(Effect.provide(layer))
    }))
})

describe("metrics", () => {
  class Exported extends Db.Tag("exported")<Exported>() {}

  const layer = Exported.layer({ url: "sqlite://:memory:", environment: "production" })

  const work = Effect.gen(function*() {
    yield* Exported.query("CREATE TABLE t (n INTEGER UNIQUE)")
    yield* Exported.query("INSERT INTO t VALUES (1)").pipe(Exported.transaction)
    yield* Effect.flip(Exported.query("INSERT INTO t VALUES (1)"))
  })

  it.scopedLive("reach OpenTelemetry with nothing to write", () =>
    Effect.gen(function*() {
      const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
      const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
      const sdk = NodeSdk.layer(() => ({ resource: { serviceName: "test" }, metricReader: reader }))
      yield* Effect.gen(function*() {
        yield* work
        yield* Exported.session(Effect.promise(() => reader.forceFlush()))
        const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics).flatMap(({ metrics }) =>
          metrics
        )
        const points = (name: string) =>
          metrics.filter(({ descriptor }) => descriptor.name === name).flatMap((metric) =>
            metric.dataPoints.map((point) => ({ ...point, unit: metric.descriptor.unit, type: metric.dataPointType }))
          ).filter(({ attributes }) => attributes["db.client.connection.pool.name"] === "exported")
        const [duration] = points("db.client.operation.duration")
        assert.deepInclude(duration, { unit: "s", type: DataPointType.HISTOGRAM })
        assert.deepInclude(duration?.value, { count: 3 })
        const counts = points("db.client.connection.count")
        assert.deepStrictEqual(
          Object.fromEntries(counts.map((p) => [p.attributes["db.client.connection.state"], p.value])),
          { idle: 0, used: 1 }
        )
        assert.deepInclude(points("db.client.connection.max")[0], { value: 1 })
        assert.deepInclude(points("dblive.failures")[0]?.attributes, { "error.type": "QueryError.UniqueViolation" })
        assert.deepInclude(points("dblive.transactions")[0], { value: 1 })
      }).pipe(Effect.provide([layer, sdk]))
    }))

  it.live("as Prometheus's text", () =>
    Effect.gen(function*() {
      yield* work
      const text = yield* Exported.session(DbPrometheus.render)
      const lines = text.split("\n").filter((line) => line.includes("pool_name=\"exported\""))
      const of = (start: string) => lines.filter((line) => line.startsWith(start))
      const pool = "db_client_connection_pool_name=\"exported\""
      assert.include(
        of("db_client_connection_count"),
        `db_client_connection_count{${pool},db_client_connection_state="used"} 1`
      )
      assert.lengthOf(of("db_client_operation_duration_seconds_bucket"), 10)
      assert.include(text, "# TYPE db_client_operation_duration_seconds histogram\n")
      assert.include(text, "# TYPE dblive_retries_total counter\n")
      assert.lengthOf(of(`dblive_failures_total{${pool},error_type="QueryError.UniqueViolation"}`), 1)
      // The last bucket holds all.
      const value = (start: string, label = "") =>
        Number(of(start).find((line) => line.includes(label))?.split(" ").at(-1))
      assert.strictEqual(
        value("db_client_operation_duration_seconds_bucket", "le=\"+Inf\""),
        value("db_client_operation_duration_seconds_count")
      )
      assert.match(DbPrometheus.contentType, /^text\/plain; version=0\.0\.4/)
    }).pipe(Effect.provide(layer)))

  it.scoped("failures of the engine's own making are counted, and each once", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      yield* Effect.gen(function*() {
        // Reaches a statement, a transaction, and the program.
        control.execute.next({ fail: fakeErrors.unique })
        yield* Effect.flip(Db.query("INSERT").pipe(Db.transaction))
        // Never sent.
        yield* Effect.flip(Db.query("SELECT :x", { y: 1 }))
        const slow = yield* Effect.fork(Effect.flip(Effect.never.pipe(Db.transaction({ timeout: "1 seconds" }))))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(slow)
        // A fiber that outlives its session.
        const gate = yield* Deferred.make<void>()
        const late = yield* Db.session(
          Effect.forkDaemon(Effect.flip(Effect.zipRight(Deferred.await(gate), Db.query("SELECT 1"))))
        )
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(late)
        // Reported by the opening, and to the two waiters: one failure.
        control.loseAll()
        control.open.next({ fail: fakeErrors.authentication })
        yield* Effect.all([Effect.flip(Db.query("SELECT 1")), Effect.flip(Db.query("SELECT 1"))], { concurrency: 2 })
        assert.deepStrictEqual((yield* Db.metrics).failures, {
          "QueryError.UniqueViolation": 1,
          "QueryError.Parameter": 1,
          "TimeoutError.Transaction": 1,
          "ConnectionError.Closed": 1,
          "ConnectionError.Authentication": 1
        })
      }).pipe(Effect.provide(layer))
    }))

  it.scoped("the last 50 failures have their time, and where and in what they happened, the newest first", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      yield* Effect.gen(function*() {
        yield* TestClock.adjust("5 seconds")
        const text = `INSERT INTO note VALUES (?) ${"-".repeat(3_000)}`
        control.execute.next({
          fail: new QueryError({
            what: "the value is taken: value-canary",
            reason: "UniqueViolation",
            outcome: "RolledBack",
            database: "default",
            code: "23505",
            statement: text
          })
        })
        yield* Effect.flip(Db.query(text).pipe(Db.transaction, Effect.withSpan("POST /notes")))
        yield* TestClock.adjust("2 seconds")
        yield* Effect.flip(Db.query("SELECT :x", { y: "value-canary" }))
        const { recentFailures } = yield* Db.metrics
        assert.deepStrictEqual(recentFailures.map(({ at, error }) => [error, at]), [
          ["QueryError.Parameter", 7_000],
          ["QueryError.UniqueViolation", 5_000]
        ])
        const [newest, first] = recentFailures
        assert.deepInclude(first, { code: "23505", span: "POST /notes", statement: text.slice(0, 2_000) })
        assert.match(first!.fiber!, /^#\d+$/)
        assert.deepInclude(newest, { code: undefined, span: undefined })
        assert.notInclude(JSON.stringify(recentFailures), "value-canary")
        for (let i = 0; i < 60; i++) {
          yield* TestClock.adjust("1 seconds")
          yield* Effect.flip(Db.query("SELECT :x", { y: 1 }))
        }
        const times = (yield* Db.metrics).recentFailures.map(({ at }) => at)
        assert.deepStrictEqual(times, Array.from({ length: 50 }, (_, i) => 67_000 - 1_000 * i))
      }).pipe(Effect.provide(layer))
    }))
})
