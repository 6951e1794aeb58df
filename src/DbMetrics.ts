/**
 * What a database counts and measures, per database: for Effect's `Metric` (and whatever exports it) under the names
 * of OpenTelemetry's semantic conventions for database clients, and as a typed snapshot.
 *
 * Each metric has one time series per database: `Metric.tagged(DbMetrics.retries, "db.client.connection.pool.name", "default")`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { DbError, Holder } from "./DbError.js"
import * as keys from "./internal/observe/keys.js"
import { open } from "./internal/observe/registry.js"

/**
 * How long statements took, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const operationDuration: Metric.Metric.Histogram<number> = Metric.fromMetricKey(keys.operationDuration)

/**
 * How long opening a connection took, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const createTime: Metric.Metric.Histogram<number> = Metric.fromMetricKey(keys.createTime)

/**
 * How long borrowers waited for a connection, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const waitTime: Metric.Metric.Histogram<number> = Metric.fromMetricKey(keys.waitTime)

/**
 * How long connections were in use, from acquire to release, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const useTime: Metric.Metric.Histogram<number> = Metric.fromMetricKey(keys.useTime)

/**
 * Waits for a connection that reached their limit.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionTimeouts: Metric.Metric.Counter<number> = Metric.fromMetricKey(keys.connectionTimeouts)

/**
 * Connections by `db.client.connection.state` (`idle`, `used`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionCount: Metric.Metric.Gauge<number> = Metric.fromMetricKey(keys.connectionCount)

/**
 * Connections the pool may have at most.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionMax: Metric.Metric.Gauge<number> = Metric.fromMetricKey(keys.connectionMax)

/**
 * Idle connections the pool keeps at most.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionIdleMax: Metric.Metric.Gauge<number> = Metric.fromMetricKey(keys.connectionIdleMax)

/**
 * Idle connections the pool keeps at least.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionIdleMin: Metric.Metric.Gauge<number> = Metric.fromMetricKey(keys.connectionIdleMin)

/**
 * Borrowers that wait for a connection.
 *
 * @since 0.1.0
 * @category metrics
 */
export const pendingRequests: Metric.Metric.Gauge<number> = Metric.fromMetricKey(keys.pendingRequests)

/**
 * Engines opened.
 *
 * @since 0.1.0
 * @category metrics
 */
export const engineCreations: Metric.Metric.Counter<number> = Metric.fromMetricKey(keys.engineCreations)

/**
 * Sessions opened.
 *
 * @since 0.1.0
 * @category metrics
 */
export const sessions: Metric.Metric.Counter<number> = Metric.fromMetricKey(keys.sessions)

/**
 * Failures, by error and reason (`error.type`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const failures: Metric.Metric.Counter<number> = Metric.fromMetricKey(keys.failures)

/**
 * Attempts that were repeated.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retries: Metric.Metric.Counter<number> = Metric.fromMetricKey(keys.retries)

/**
 * Transactions by outcome (`committed`, `rolled_back`, `unknown`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const transactions: Metric.Metric.Counter<number> = Metric.fromMetricKey(keys.transactions)

/**
 * How a transaction ended.
 *
 * @since 0.1.0
 * @category models
 */
export type TransactionOutcome = "committed" | "rolledBack" | "unknown"

/**
 * How long something took: totals since the database was opened, percentiles of the last 1,024.
 *
 * @since 0.1.0
 * @category models
 */
export interface Durations {
  /** How often it was measured. */
  readonly count: number
  readonly totalMillis: number
  readonly maxMillis: number
  /** In milliseconds; `undefined` before the first one. */
  readonly percentiles:
    | { readonly p50: number; readonly p90: number; readonly p95: number; readonly p99: number }
    | undefined
}

/**
 * A statement that took longer than `log.slowStatement`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowStatement {
  /** Its text with placeholders, never with values; cut at 2,000 characters. */
  readonly text: string
  readonly millis: number
  /** When it ended, in milliseconds since 1970. */
  readonly at: number
  /** The name of the span in which it ran, where there was one. */
  readonly span: string | undefined
  /** The fiber that ran it, such as `#12`. */
  readonly fiber: string | undefined
  /** The number of its session; `undefined` outside of one. */
  readonly session: number | undefined
  /** How it failed, such as `TimeoutError.Statement`; `undefined` when it did not. */
  readonly error: string | undefined
}

/**
 * A failure that was given to the program, or a failed attempt to open a connection.
 *
 * @since 0.2.0
 * @category models
 */
export interface Failure {
  /** Its error and reason, such as `QueryError.UniqueViolation`. */
  readonly error: string
  /** SQLSTATE, or the database's own number or the socket's code, where there is one. */
  readonly code: string | undefined
  /** When it was given, in milliseconds since 1970. */
  readonly at: number
  /** The name of the span in which it happened, where there was one. */
  readonly span: string | undefined
  /** The fiber that was given it, such as `#12`. */
  readonly fiber: string | undefined
  /** The statement's text with placeholders, never with values; cut at 2,000 characters. */
  readonly statement: string | undefined
}

/**
 * What one database has counted since it was opened.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly database: string
  /** Engines opened under this name by this process, this one included: more than one when its layer was built again. */
  readonly engineCreations: number
  readonly sessions: { readonly opened: number; readonly active: number }
  /** Statements of the program, streams included; not the `BEGIN`, `COMMIT` and pings that dblive adds. */
  readonly statements: number
  /**
   * By `{error}.{reason}`, such as `QueryError.UniqueViolation`: every failure that was given to the program, and each
   * failed attempt to open a connection; one that is given to several, or passed on, is one.
   */
  readonly failures: Readonly<Record<string, number>>
  /** The last 50 of them, the newest first. */
  readonly recentFailures: ReadonlyArray<Failure>
  /** Connections that could not be opened, or were lost. */
  readonly connectionFailures: number
  readonly retries: number
  readonly transactions: { readonly [K in TransactionOutcome]: number }
  readonly durations: {
    /** Statements. */
    readonly operation: Durations
    /** Waits for a connection; those that found one idle count as 0. */
    readonly wait: Durations
    /** From the acquire of a connection to its release. */
    readonly use: Durations
    /** Opening a connection. */
    readonly create: Durations
  }
  /** The last 50, the newest first. */
  readonly slowStatements: ReadonlyArray<SlowStatement>
  readonly pool: PoolSnapshot
}

/**
 * The pool's figures.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolSnapshot {
  /** Connections it keeps. */
  readonly size: number
  /** Connections it may have: `size` and the overflow. */
  readonly capacity: number
  readonly open: number
  /** Open and not in use. */
  readonly idle: number
  /** Acquired and not yet released. */
  readonly inUse: number
  readonly opening: number
  readonly waiting: number
  /** Open ones beyond `size`. */
  readonly overflow: number
  /** Connections closed because they were lost, unclean, or too old, since the start. */
  readonly invalidated: number
  /** Waits that reached their limit, since the start. */
  readonly timeouts: number
  /** How long the first waiter has waited, in milliseconds. */
  readonly longestWaitMillis: number
}

/**
 * The pool's figures, and the holders of its connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolDetails extends PoolSnapshot {
  readonly holders: ReadonlyArray<Holder>
}

/**
 * The metrics of the databases that are open, by name.
 *
 * @since 0.1.0
 * @category models
 */
export interface DbMetrics {
  /** What a database has counted, or `undefined` when none of this name is open. */
  readonly snapshot: (database: string) => Snapshot | undefined
  /** All of them. */
  readonly snapshots: () => ReadonlyArray<Snapshot>
}

/**
 * The service that counts, provided by every database layer. Several databases share one service.
 *
 * @since 0.1.0
 * @category tags
 */
export const DbMetrics: Context.Tag<DbMetrics, DbMetrics> = Context.GenericTag<DbMetrics>("dblive/DbMetrics")

/**
 * The one `DbMetrics` of the process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const registry: DbMetrics = {
  snapshot: (database) => {
    let found: Snapshot | undefined
    for (const entry of open) {
      if (entry.name === database) {
        found = entry.snapshot()
      }
    }
    return found
  },
  snapshots: () => Array.from(open, (entry) => entry.snapshot())
}

/**
 * `error.type` of an error: its tag and its reason.
 *
 * @since 0.1.0
 * @category conversions
 */
export const errorType = (error: DbError): string => `${error._tag}.${error.reason}`
