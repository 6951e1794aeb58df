import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Db } from "../src/Db.js"
import * as DbMetrics from "../src/DbMetrics.js"

describe("DbMetrics", () => {
  class Counted extends Db.Tag("counted")<Counted>() {}

  it.live("counts exactly what happened, also under concurrency", () =>
    Effect.gen(function*() {
      yield* Counted.query("CREATE TABLE t (n INTEGER UNIQUE)")
      yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, i) => i),
        (i): Effect.Effect<unknown, unknown, Counted> =>
          i % 4 === 0
            ? Counted.query("INSERT INTO t VALUES (:i)", { i }).pipe(Counted.transaction)
            : i % 4 === 1
            ? Effect.flip(Counted.query("INSERT INTO t VALUES (:n)", { n: 0 }).pipe(Effect.delay("1 millis")))
            : i % 4 === 2
            ? Effect.exit(Effect.fail("no").pipe(Counted.transaction))
            : Counted.session(Counted.query("SELECT 1 AS one")),
        { concurrency: 64 }
      )
      const snapshot = yield* Counted.metrics
      assert.strictEqual(snapshot.engineCreations, 1)
      assert.deepStrictEqual(snapshot.transactions, { committed: 2_500, rolledBack: 2_500, unknown: 0 })
      assert.deepStrictEqual(snapshot.sessions, { opened: 7_500, active: 0 })
      assert.deepStrictEqual(snapshot.failures, { "QueryError.UniqueViolation": 2_500 })
      assert.deepInclude(snapshot.pool, { inUse: 0, waiting: 0 })
      // The service knows it by name, and Effect's registry has the same numbers under the conventions' names.
      const service = yield* DbMetrics.DbMetrics
      assert.deepStrictEqual(service.snapshot("counted")?.transactions, snapshot.transactions)
      const committed = yield* DbMetrics.transactions.pipe(
        Metric.tagged("outcome", "committed"),
        Metric.tagged("db.client.connection.pool.name", "counted"),
        Metric.value
      )
      assert.strictEqual(committed.count, 2_500)
      const durations = yield* DbMetrics.operationDuration.pipe(
        Metric.tagged("db.client.connection.pool.name", "counted"),
        Metric.value
      )
      assert.strictEqual(durations.count, snapshot.statements)
      // CREATE, and in each round of four an INSERT, a refused one and a SELECT.
      assert.strictEqual(snapshot.statements, 7_501)
      assert.strictEqual(snapshot.durations.operation.count, 7_501)
      assert.strictEqual(snapshot.durations.use.count, 7_500)
      const waits = yield* DbMetrics.waitTime.pipe(
        Metric.tagged("db.client.connection.pool.name", "counted"),
        Metric.value
      )
      // A connection for each session, and for each statement outside of one.
      assert.strictEqual(snapshot.durations.wait.count, 7_500 + 2_501)
      assert.strictEqual(waits.count, snapshot.durations.wait.count)
      const { p50, p99 } = snapshot.durations.operation.percentiles!
      assert.isAtMost(p50, p99)
      assert.isAtMost(p99, snapshot.durations.operation.maxMillis)
    }).pipe(Effect.provide(Counted.layer({ url: "sqlite://:memory:", environment: "production" }))))

  it.live("forgets a database when its layer is closed", () =>
    Effect.gen(function*() {
      const service = yield* Effect.provide(DbMetrics.DbMetrics, Counted.layer({ url: "sqlite://:memory:" }))
      assert.isUndefined(service.snapshot("counted"))
    }))
})
