/** A standby says how far it is behind, with each health check. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import { Db } from "../../src/Db.js"
import * as DbPrometheus from "../../src/DbPrometheus.js"
import * as keys from "../../src/internal/observe/keys.js"
import { describePrivatePostgres, eventually, PrivatePostgres, query } from "../kit/postgres.js"

class Standby extends Db.Tag("Standby")<Standby>() {}

const lag = Effect.zipRight(
  Standby.health,
  Metric.value(Metric.fromMetricKey(MetricKey.tagged(keys.replicationLag, keys.poolName, "Standby")))
).pipe(Effect.map(({ value }) => value))

describePrivatePostgres("a standby", () => {
  it.scopedLive("says how far it is behind its primary, and no more when it is promoted", () =>
    Effect.gen(function*() {
      const primary = yield* PrivatePostgres.make({
        tls: false,
        hba: ["host replication all 127.0.0.1/32 scram-sha-256"]
      })
      yield* query(primary.url, "CREATE TABLE note (body text)")
      yield* primary.stop()
      const standby = yield* PrivatePostgres.make({ tls: false, standbyOf: primary })
      yield* primary.start
      yield* Effect.gen(function*() {
        const rows = Standby.scalar<string>("SELECT count(*)::text FROM note")
        yield* query(primary.url, "INSERT INTO note VALUES ('replayed')")
        yield* eventually(rows, (count) => count === "1")
        yield* eventually(lag, (seconds) => seconds === 0)
        yield* query(standby.url, "SELECT pg_wal_replay_pause()")
        yield* query(primary.url, "INSERT INTO note VALUES ('waits')")
        yield* eventually(lag, (seconds) => seconds > 0)
        assert.strictEqual(yield* rows, "1")
        assert.match(
          yield* DbPrometheus.render,
          /^dblive_replication_lag_seconds\{db_client_connection_pool_name="Standby"\} 0?\.?\d/m
        )
        yield* query(standby.url, "SELECT pg_wal_replay_resume()")
        yield* eventually(lag, (seconds) => seconds === 0)
        yield* query(standby.url, "SELECT pg_wal_replay_pause()")
        yield* query(primary.url, "INSERT INTO note VALUES ('before')")
        yield* eventually(lag, (seconds) => seconds > 0)
        yield* query(standby.url, "SELECT pg_promote()")
        yield* query(standby.url, "INSERT INTO note VALUES ('promoted')")
        yield* eventually(lag, (seconds) => seconds === 0)
      }).pipe(Effect.provide(Standby.layer({ url: standby.url, health: { cache: 0 } })))
    }), 60_000)
})
