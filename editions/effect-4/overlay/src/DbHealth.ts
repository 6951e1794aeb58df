/**
 * The health of a database, and what is known about it: for a load balancer, a dashboard and for diagnosis.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Effect from "effect/Effect"

import type * as DbConfig from "./DbConfig.js"
import type * as DbKey from "./DbKey.js"
import type { PoolDetails, PoolSnapshot, Snapshot } from "./DbMetrics.js"

/**
 * - `healthy`: it answers in time, and the waits for a connection are short.
 * - `degraded`: it answers, but slowly, or the pool is at its limit, or migrations are pending or failed.
 * - `unhealthy`: no connection, or the query failed.
 *
 * @since 0.1.0
 * @category models
 */
export const Status = Schema.Literals(["healthy", "degraded", "unhealthy"])

/**
 * @since 0.1.0
 * @category models
 */
export type Status = typeof Status.Type

/**
 * The pool's figures in a report.
 *
 * @since 0.1.0
 * @category models
 */
export const PoolReport = Schema.Struct({
  /** Connections it keeps. */
  size: Schema.Number,
  /** Connections it may have: `size` and the overflow. */
  capacity: Schema.Number,
  open: Schema.Number,
  idle: Schema.Number,
  inUse: Schema.Number,
  opening: Schema.Number,
  waiting: Schema.Number,
  /** Open ones beyond `size`. */
  overflow: Schema.Number,
  /** Closed because they were lost, unclean or too old, since the start. */
  invalidated: Schema.Number,
  /** Waits for a connection that reached their limit, since the start. */
  timeouts: Schema.Number,
  /** How long the first waiter has waited. */
  longestWaitMillis: Schema.Number
}).pipe(Schema.encodeKeys({ inUse: "in_use", longestWaitMillis: "longest_wait_ms" }))

/**
 * The state of the migrations of a database.
 *
 * @since 0.1.0
 * @category models
 */
export const MigrationStatus = Schema.Literals(["up_to_date", "pending", "failed"]).transform([
  "upToDate",
  "pending",
  "failed"
])

/**
 * @since 0.1.0
 * @category models
 */
export type MigrationStatus = typeof MigrationStatus.Type

/**
 * A replica in a report.
 *
 * @since 0.2.0
 * @category models
 */
export const ReplicaReport = Schema.Struct({
  /** That of its pool: the database's, and its number: `default/replica-1`. */
  name: Schema.String,
  /** Whether reads go to it. */
  available: Schema.Boolean,
  /** Why none do; null when they do. `conflict`: what it has to replay has ended statements. */
  reason: Schema.NullOr(Schema.Literals(["down", "conflict", "lagging", "not a standby"])),
  /** How far it is behind the primary by its own word; null where it has told nothing. */
  lagSeconds: Schema.NullOr(Schema.Number),
  /** Sessions for reading that ran on it, since the start. */
  reads: Schema.Number,
  inUse: Schema.Number,
  waiting: Schema.Number
}).pipe(Schema.encodeKeys({ lagSeconds: "lag_seconds", inUse: "in_use" }))

/**
 * @since 0.2.0
 * @category models
 */
export type ReplicaReport = typeof ReplicaReport.Type

/**
 * A health report. It encodes to the JSON that `dblive/http`, `dblive health --json` and {@link log} write, whose names are in
 * snake case: `database_name`, `response_time_ms`, `pool.in_use`.
 *
 * @since 0.1.0
 * @category models
 */
export const Report = Schema.Struct({
  databaseName: Schema.String,
  databaseType: Schema.String,
  status: Status,
  /** Whether a connection could be obtained. */
  connection: Schema.Boolean,
  /** Whether the database answered on it. */
  queryTest: Schema.Boolean,
  responseTimeMillis: Schema.Number,
  pool: PoolReport,
  /** null when no source is set: see `DbMigrator.layer`. */
  migrationStatus: Schema.NullOr(MigrationStatus),
  /** Left out for a database that has none. */
  replicas: Schema.optionalKey(Schema.Array(ReplicaReport)),
  /** Why it is not healthy; null when it is. Holds no secret. */
  error: Schema.NullOr(Schema.String),
  timestamp: Schema.DateFromString
}).pipe(Schema.encodeKeys({
  databaseName: "database_name",
  databaseType: "database_type",
  queryTest: "query_test",
  responseTimeMillis: "response_time_ms",
  migrationStatus: "migration_status"
}))

/**
 * @since 0.1.0
 * @category models
 */
export type Report = typeof Report.Type

/**
 * What is known about an open database, for diagnosis.
 *
 * @since 0.1.0
 * @category models
 */
export interface Info {
  readonly name: string
  readonly type: DbConfig.DatabaseType
  /** Without its password. */
  readonly uri: string
  readonly access: "read-write" | "read-only"
  /** What keys of tables are made of: their type, a schema, and a generator. */
  readonly primaryKey: DbKey.PrimaryKey
  /** `undefined` until the first connection has been opened. */
  readonly serverVersion: string | undefined
  /**
   * SQLite: what opens its files, with its version: `better-sqlite3@13.2.0`, `node:sqlite@24.21.0`. `undefined` until it is
   * loaded, and for other databases.
   */
  readonly sqliteModule: string | undefined
  readonly processId: number
  readonly threadId: number
  /** Of a test worker or a cluster's worker: `DBLIVE_WORKER`, Vitest's, or Node's own; else `undefined`. */
  readonly workerId: string | undefined
  /** Whether a connection has been opened since the layer was built. */
  readonly opened: boolean
  /** Engines opened under this name by this process: more than one when its layer was built again. */
  readonly engineCreations: number
  readonly sessions: { readonly opened: number; readonly active: number }
  /** Failures to open a connection, and losses of one. */
  readonly connectionFailures: number
  /** `inUse` are acquired and not yet released; `idle` are open and not in use. */
  readonly pool: PoolSnapshot
  /** Empty for a database that has none. */
  readonly replicas: ReadonlyArray<ReplicaInfo>
  /** Sessions for reading that ran on the primary of a database with replicas, by the reason: `behind`, `left out`, `unknown position`. */
  readonly reads: Readonly<Record<string, number>>
}

/**
 * What is known about a replica of an open database, for diagnosis.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReplicaInfo {
  /** That of its pool: the database's, and its number: `default/replica-1`. */
  readonly name: string
  /** Without its password. */
  readonly uri: string
  readonly serverVersion: string | undefined
  /** Why no reads go to it, and since when in milliseconds since 1970; `undefined` when they do. */
  readonly leftOut: { readonly reason: NonNullable<ReplicaReport["reason"]>; readonly since: number } | undefined
  /** By its last word; `undefined` where it has told nothing. */
  readonly lagSeconds: number | undefined
  /** How far it has replayed, by its last word: as a token. */
  readonly position: string | undefined
  /** Sessions for reading that ran on it, by the reason: `current`, `waited`. */
  readonly reads: Readonly<Record<string, number>>
  readonly pool: PoolSnapshot
}

/**
 * What {@link log} asks: `Db` and every class made by `Db.Tag` are such.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observed<Self> {
  readonly health: Effect.Effect<Report, never, Self>
  readonly info: Effect.Effect<Info, never, Self>
  readonly pool: Effect.Effect<PoolDetails, never, Self>
  readonly metrics: Effect.Effect<Snapshot, never, Self>
}

const levels = { healthy: "Info", degraded: "Warn", unhealthy: "Error" } as const

/**
 * Writes all that is known about a database as one structured line of the log: the health report, the debug information,
 * the holders of its connections and the metrics, as annotations. Its level is `INFO` for a healthy database, `WARN` for a
 * degraded and `ERROR` for an unhealthy one. Never fails.
 *
 * @example
 * ```ts
 * import { Db, DbHealth } from "dblive"
 * import { Effect, Schedule } from "effect"
 *
 * const everyMinute = DbHealth.log(Db).pipe(Effect.repeat(Schedule.spaced("1 minute")))
 * ```
 *
 * @since 0.1.0
 * @category logging
 */
export const log = <Self>(database: Observed<Self>): Effect.Effect<void, never, Self> =>
  Effect.gen(function*() {
    const report = yield* database.health
    const { name, pool: _, primaryKey: __, ...info } = yield* database.info
    const { holders } = yield* database.pool
    const { durations, failures, recentFailures, retries, slowStatements, statements, transactions } = yield* database
      .metrics
    const { error, status } = report
    yield* Effect.logWithLevel(levels[status])(`database "${name}" is ${status}${error === null ? "" : `: ${error}`}`).pipe(
      Effect.annotateLogs({
        database: name,
        health: Schema.encodeSync(Report)(report),
        info,
        holders,
        metrics: { statements, transactions, failures, recentFailures, retries, durations, slowStatements }
      })
    )
  })
