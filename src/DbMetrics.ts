/**
 * What a database counts and measures, per database: for Effect's `Metric` (and whatever exports it) under the names
 * of OpenTelemetry's semantic conventions for database clients, and as a typed snapshot.
 *
 * The counts of one open database are plain numbers, so that counting costs nothing; each is mirrored into Effect's
 * metric registry at the moment it changes, where all databases of the process that share a name add up.
 *
 * Source of the names and the histogram's boundaries: OpenTelemetry semantic conventions, "Database client metrics".
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import type { DbError } from "./DbError.js"

/** In seconds, as the conventions ask. */
const boundaries = MetricBoundaries.fromIterable([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])

/**
 * How long statements took, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const operationDuration = Metric.histogram(
  "db.client.operation.duration",
  boundaries,
  "Duration of database client operations, in seconds"
)

/**
 * How long opening a connection took, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const createTime = Metric.histogram(
  "db.client.connection.create_time",
  boundaries,
  "The time it took to create a new connection, in seconds"
)

/**
 * How long borrowers waited for a connection, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const waitTime = Metric.histogram(
  "db.client.connection.wait_time",
  boundaries,
  "The time it took to obtain an open connection from the pool, in seconds"
)

/**
 * How long connections were borrowed, in seconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const useTime = Metric.histogram(
  "db.client.connection.use_time",
  boundaries,
  "The time between borrowing a connection and returning it to the pool, in seconds"
)

/**
 * Waits for a connection that reached their limit.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionTimeouts = Metric.counter("db.client.connection.timeouts", {
  description: "Connection timeouts when trying to obtain a connection from the pool",
  incremental: true
})

/**
 * Connections by state (`idle`, `used`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionCount = Metric.gauge("db.client.connection.count", {
  description: "Connections that are currently in the state described by the state tag"
})

/**
 * Connections the pool may have at most.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionMax = Metric.gauge("db.client.connection.max", {
  description: "The maximum number of open connections allowed"
})

/**
 * Idle connections the pool keeps at most.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionIdleMax = Metric.gauge("db.client.connection.idle.max", {
  description: "The maximum number of idle open connections allowed"
})

/**
 * Idle connections the pool keeps at least.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connectionIdleMin = Metric.gauge("db.client.connection.idle.min", {
  description: "The minimum number of idle open connections allowed"
})

/**
 * Borrowers that wait for a connection.
 *
 * @since 0.1.0
 * @category metrics
 */
export const pendingRequests = Metric.gauge("db.client.connection.pending_requests", {
  description: "Current pending requests for an open connection"
})

/**
 * Engines opened.
 *
 * @since 0.1.0
 * @category metrics
 */
export const engineCreations = Metric.counter("dblive.engine.creations", {
  description: "Engines opened",
  incremental: true
})

/**
 * Sessions opened.
 *
 * @since 0.1.0
 * @category metrics
 */
export const sessions = Metric.counter("dblive.sessions", { description: "Sessions opened", incremental: true })

/**
 * Failures, by error and reason (`error.type`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const failures = Metric.counter("dblive.failures", { description: "Failures by error.type", incremental: true })

/**
 * Attempts that were repeated.
 *
 * @since 0.1.0
 * @category metrics
 */
export const retries = Metric.counter("dblive.retries", { description: "Attempts repeated", incremental: true })

/**
 * Transactions by outcome (`committed`, `rolled_back`, `unknown`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const transactions = Metric.counter("dblive.transactions", {
  description: "Transactions by outcome",
  incremental: true
})

/**
 * How a transaction ended.
 *
 * @since 0.1.0
 * @category models
 */
export type TransactionOutcome = "committed" | "rolledBack" | "unknown"

/**
 * What one database has counted since it was opened.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  readonly database: string
  readonly engineCreations: number
  readonly sessions: { readonly opened: number; readonly active: number }
  readonly statements: number
  /** By `{error}.{reason}`, such as `QueryError.UniqueViolation`. */
  readonly failures: Readonly<Record<string, number>>
  readonly connectionFailures: number
  readonly retries: number
  readonly transactions: { readonly [K in TransactionOutcome]: number }
  readonly pool: PoolSnapshot
}

/**
 * The pool's figures.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolSnapshot {
  /** Connections it may have. */
  readonly capacity: number
  readonly open: number
  readonly idle: number
  readonly inUse: number
  readonly opening: number
  readonly waiting: number
  /** Open ones beyond `size`. */
  readonly overflow: number
  /** Connections closed because they were lost, unclean, or too old, since the start. */
  readonly invalidated: number
  /** Waits that reached their limit, since the start. */
  readonly timeouts: number
  /** How long the first in line has waited, in milliseconds. */
  readonly longestWaitMillis: number
}

/** What the engine tells; implemented here, so that each count has one place. */
export interface Recorder {
  readonly engineCreated: () => void
  readonly sessionOpened: () => void
  readonly sessionClosed: () => void
  readonly statement: (millis: number) => void
  readonly failure: (error: DbError) => void
  readonly retry: () => void
  readonly transaction: (outcome: TransactionOutcome) => void
  readonly connectionCreated: (millis: number) => void
  readonly waited: (millis: number) => void
  readonly used: (millis: number) => void
  readonly snapshot: (pool: PoolSnapshot) => Snapshot
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

/** The databases open in this process: where {@link registry} and the recorders meet. */
const open = new Set<{ readonly name: string; readonly snapshot: () => Snapshot }>()

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

/** Registers a database while it is open; returns what takes it out. */
export const register = (name: string, snapshot: () => Snapshot, figures: () => PoolSnapshot): () => void => {
  const entry = { name, snapshot }
  open.add(entry)
  void figures
  return () => {
    open.delete(entry)
  }
}

/** `error.type` of an error: its tag and its reason. */
export const errorType = (error: DbError): string => `${error._tag}.${error.reason}`

/** Where one database's share of a metric is counted. */
interface Share<In> {
  readonly update: (input: In) => void
}

/**
 * One database's share of a metric. A metric made by `Metric.tagged` puts its tags together and looks itself up in the
 * registry at every update, which costs more than a statement does; the array of tags, kept, is looked up once.
 */
const share = <Type, In, Out>(
  metric: Metric.Metric<Type, In, Out>,
  tags: ReadonlyArray<MetricLabel.MetricLabel>
): Share<In> => ({ update: (input) => metric.unsafeUpdate(input, tags) })

/** Counts for one open database. */
export const makeRecorder = (name: string): Recorder => {
  const pool = MetricLabel.make("db.client.connection.pool.name", name)
  const tagged = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>, key?: string, value = ""): Share<In> =>
    share(metric, key === undefined ? [pool] : [MetricLabel.make(key, value), pool])
  const operation = tagged(operationDuration)
  const create = tagged(createTime)
  const wait = tagged(waitTime)
  const use = tagged(useTime)
  const timeouts = tagged(connectionTimeouts)
  const creations = tagged(engineCreations)
  const opened = tagged(sessions)
  const retried = tagged(retries)
  const transactionsBy = {
    committed: tagged(transactions, "outcome", "committed"),
    rolledBack: tagged(transactions, "outcome", "rolled_back"),
    unknown: tagged(transactions, "outcome", "unknown")
  }
  const failuresBy = new Map<string, Share<number>>()
  const counts = {
    engineCreations: 0,
    opened: 0,
    active: 0,
    statements: 0,
    connectionFailures: 0,
    retries: 0,
    failures: {} as Record<string, number>,
    transactions: { committed: 0, rolledBack: 0, unknown: 0 }
  }
  return {
    engineCreated() {
      counts.engineCreations++
      creations.update(1)
    },
    sessionOpened() {
      counts.opened++
      counts.active++
      opened.update(1)
    },
    sessionClosed() {
      counts.active--
    },
    statement(millis) {
      counts.statements++
      operation.update(millis / 1000)
    },
    failure(error) {
      const type = errorType(error)
      counts.failures[type] = (counts.failures[type] ?? 0) + 1
      if (error._tag === "ConnectionError") {
        counts.connectionFailures++
      }
      if (error._tag === "TimeoutError" && error.phase === "Acquire") {
        timeouts.update(1)
      }
      let metric = failuresBy.get(type)
      if (metric === undefined) {
        metric = tagged(failures, "error.type", type)
        failuresBy.set(type, metric)
      }
      metric.update(1)
    },
    retry() {
      counts.retries++
      retried.update(1)
    },
    transaction(outcome) {
      counts.transactions[outcome]++
      transactionsBy[outcome].update(1)
    },
    connectionCreated(millis) {
      create.update(millis / 1000)
    },
    waited(millis) {
      wait.update(millis / 1000)
    },
    used(millis) {
      use.update(millis / 1000)
    },
    snapshot: (pool) => ({
      database: name,
      engineCreations: counts.engineCreations,
      sessions: { opened: counts.opened, active: counts.active },
      statements: counts.statements,
      failures: { ...counts.failures },
      connectionFailures: counts.connectionFailures,
      retries: counts.retries,
      transactions: { ...counts.transactions },
      pool
    })
  }
}
