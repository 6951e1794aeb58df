/**
 * Whether a database is well, in one record: what a load balancer, a dashboard and a person on call look at.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { DbError } from "./DbError.js"
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
  capacity: Schema.Number,
  open: Schema.Number,
  idle: Schema.Number,
  in_use: Schema.Number,
  waiting: Schema.Number,
  overflow: Schema.Number,
  timeouts: Schema.Number,
  longest_wait_ms: Schema.Number
})

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
  /** `up_to_date`, `pending`, `failed`; null when nobody has told. */
  migration_status: Schema.NullOr(Schema.String),
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
 * When an answering database is called degraded, and how the probe is bounded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** An answer slower than this, in milliseconds, is slow. Defaults to 500. */
  readonly slow: number
  /** Somebody who waits longer than this for a connection, in milliseconds, waits long. Defaults to 1,000. */
  readonly longWait: number
  /** A wait that reached its limit within this time, in milliseconds, is recent. Defaults to 30,000. */
  readonly recent: number
  /** The longest probe, in milliseconds. Defaults to 3,000. */
  readonly timeout: number
  /** How long a report is given again, in milliseconds. Defaults to 1,000. */
  readonly cache: number
}

/**
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = { slow: 500, longWait: 1_000, recent: 30_000, timeout: 3_000, cache: 1_000 }

/** What is looked at to decide. */
interface Evidence {
  readonly answered: boolean
  readonly responseTime: number
  readonly longestWait: number
  readonly waiting: number
  readonly inUse: number
  readonly capacity: number
  readonly recentTimeouts: boolean
  readonly migrations: string | null
}

/**
 * The status of a database that answered or not, and why it is not healthy.
 *
 * @since 0.1.0
 * @category constructors
 */
export const judge = (
  evidence: Evidence,
  options: Options
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
    readonly migrations: Effect.Effect<string | null>
  },
  options: Options
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
        capacity: pool.capacity,
        open: pool.open,
        idle: pool.idle,
        in_use: pool.inUse,
        waiting: pool.waiting,
        overflow: pool.overflow,
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
