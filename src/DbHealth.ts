/**
 * Whether a database is well, and what is known about it: what a load balancer, a dashboard and a person on call look at.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as DbConfig from "./DbConfig.js"
import type { DbError } from "./DbError.js"
import type * as DbKey from "./DbKey.js"
import type { PoolSnapshot } from "./DbMetrics.js"

/**
 * - `healthy`: it answers, in time, and nobody waits for long.
 * - `degraded`: it answers, but slowly, or the pool is at its limit, or migrations are pending or failed.
 * - `unhealthy`: no connection, or the query failed.
 *
 * @since 0.1.0
 * @category models
 */
export const Status = Schema.Literal("healthy", "degraded", "unhealthy")

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
  in_use: Schema.Number,
  opening: Schema.Number,
  waiting: Schema.Number,
  /** Open ones beyond `size`. */
  overflow: Schema.Number,
  /** Closed because they were lost, unclean or too old, since the start. */
  invalidated: Schema.Number,
  /** Waits for a connection that reached their limit, since the start. */
  timeouts: Schema.Number,
  /** How long the first in line has waited. */
  longest_wait_ms: Schema.Number
})

/**
 * How the migrations of a database stand.
 *
 * @since 0.1.0
 * @category models
 */
export const MigrationStatus = Schema.Literal("up_to_date", "pending", "failed")

/**
 * @since 0.1.0
 * @category models
 */
export type MigrationStatus = typeof MigrationStatus.Type

/**
 * A health report. It encodes to the JSON of the same names.
 *
 * @since 0.1.0
 * @category models
 */
export const Report = Schema.Struct({
  database_name: Schema.String,
  database_type: Schema.String,
  status: Status,
  /** Whether a connection could be had. */
  connection: Schema.Boolean,
  /** Whether the database answered on it. */
  query_test: Schema.Boolean,
  response_time_ms: Schema.Number,
  pool: PoolReport,
  /** null when nobody has told: see `DbMigrator.layer`. */
  migration_status: Schema.NullOr(MigrationStatus),
  /** Why it is not healthy; null when it is. Holds no secret. */
  error: Schema.NullOr(Schema.String),
  timestamp: Schema.DateFromString
})

/**
 * @since 0.1.0
 * @category models
 */
export type Report = typeof Report.Type

/**
 * What is known about an open database, for whoever looks for a fault.
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
  /** `inUse` are checked out, `idle` checked in. */
  readonly pool: PoolSnapshot
}

/** What is looked at to decide. */
interface Evidence {
  readonly answered: boolean
  readonly responseTime: number
  readonly longestWait: number
  readonly waiting: number
  readonly inUse: number
  readonly capacity: number
  readonly recentTimeouts: boolean
  readonly migrations: MigrationStatus | null
}

/**
 * The status of a database that answered or not, and why it is not healthy.
 *
 * @since 0.1.0
 * @category constructors
 */
export const judge = (
  evidence: Evidence,
  options: DbConfig.Health
): { readonly status: Status; readonly why: string | null } => {
  if (!evidence.answered) {
    return { status: "unhealthy", why: null }
  }
  const reasons: Array<string> = []
  if (evidence.responseTime > options.slow) {
    reasons.push(`answered in ${Math.round(evidence.responseTime)} ms, more than ${options.slow}`)
  }
  if (evidence.longestWait > options.longWait) {
    reasons.push(`${evidence.waiting} wait for a connection, the first for ${evidence.longestWait} ms`)
  }
  if (evidence.recentTimeouts) {
    reasons.push("a wait for a connection reached its limit recently")
  }
  if (evidence.inUse >= evidence.capacity) {
    reasons.push(`all ${evidence.capacity} connections are in use`)
  }
  if (evidence.migrations === "pending" || evidence.migrations === "failed") {
    reasons.push(`migrations: ${evidence.migrations}`)
  }
  return reasons.length === 0
    ? { status: "healthy", why: null }
    : { status: "degraded", why: reasons.join("; ") }
}

/**
 * Makes the health check of a database: concurrent callers share one probe, and its report is given again for
 * `options.cache`. It never fails and ends within `options.timeout`. The probe has a connection of its own, so a busy pool
 * is not taken for a dead database.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  database: {
    readonly name: string
    readonly type: string
    /** The cheapest question to the database. */
    readonly probe: Effect.Effect<void, DbError>
    readonly pool: () => PoolSnapshot
    readonly migrations: Effect.Effect<MigrationStatus | null>
  },
  options: DbConfig.Health
): Effect.Effect<Effect.Effect<Report>> => {
  let timeouts = 0
  let timedOutAt = -Infinity
  const check = Effect.gen(function*() {
    const clock = yield* Effect.clock
    const started = clock.unsafeCurrentTimeNanos()
    const answer = yield* database.probe.pipe(
      Effect.timeoutOption(options.timeout),
      Effect.either
    )
    const migrations = yield* database.migrations
    const now = clock.unsafeCurrentTimeMillis()
    const responseTime = Number(clock.unsafeCurrentTimeNanos() - started) / 1e6
    const pool = database.pool()
    if (pool.timeouts > timeouts) {
      timeouts = pool.timeouts
      timedOutAt = now
    }
    const answered = Either.isRight(answer) && Option.isSome(answer.right)
    const { status, why } = judge({
      answered,
      responseTime,
      longestWait: pool.longestWaitMillis,
      waiting: pool.waiting,
      inUse: pool.inUse,
      capacity: pool.capacity,
      recentTimeouts: now - timedOutAt < options.recent,
      migrations
    }, options)
    const report: Report = {
      database_name: database.name,
      database_type: database.type,
      status,
      connection: answered || (Either.isLeft(answer) && answer.left._tag === "QueryError"),
      query_test: answered,
      response_time_ms: responseTime,
      pool: {
        size: pool.size,
        capacity: pool.capacity,
        open: pool.open,
        idle: pool.idle,
        in_use: pool.inUse,
        opening: pool.opening,
        waiting: pool.waiting,
        overflow: pool.overflow,
        invalidated: pool.invalidated,
        timeouts: pool.timeouts,
        longest_wait_ms: pool.longestWaitMillis
      },
      migration_status: migrations,
      error: Either.isLeft(answer)
        ? answer.left.message
        : answered
        ? why
        : `the database did not answer within ${options.timeout} ms`,
      timestamp: new Date(now)
    }
    return report
  })
  return Effect.cachedWithTTL(check, options.cache)
}
