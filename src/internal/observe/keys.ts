/**
 * Names, units and tags of the metrics, under which they stand in Effect's registry.
 *
 * Source of the names and the histogram's boundaries: OpenTelemetry semantic conventions, "Database client metrics".
 */
import { counter, gauge, type Histogram, histogram, tagged } from "../effect/metricKey.js"

/** The tag under which every metric carries the name of its database. */
export const poolName = "db.client.connection.pool.name"

/** The tag of `db.client.connection.count`: `idle` or `used`. */
export const connectionState = "db.client.connection.state"

/** The conventions' own, in seconds. */
const boundaries = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]

const duration = (name: string, description: string): Histogram =>
  histogram(name, { boundaries, description, unit: "s" })

export const operationDuration = duration(
  "db.client.operation.duration",
  "Duration of database client operations, in seconds"
)

export const createTime = duration(
  "db.client.connection.create_time",
  "The time it took to create a new connection, in seconds"
)

export const waitTime = duration(
  "db.client.connection.wait_time",
  "The time it took to obtain an open connection from the pool, in seconds"
)

export const useTime = duration(
  "db.client.connection.use_time",
  "The time between borrowing a connection and returning it to the pool, in seconds"
)

export const connectionTimeouts = counter(
  "db.client.connection.timeouts",
  "Connection timeouts when trying to obtain a connection from the pool"
)

export const connectionCount = gauge(
  "db.client.connection.count",
  `Connections that are currently in the state described by the tag ${connectionState}`
)

export const connectionMax = gauge("db.client.connection.max", "The maximum number of open connections allowed")

export const connectionIdleMax = gauge(
  "db.client.connection.idle.max",
  "The maximum number of idle open connections allowed"
)

export const connectionIdleMin = gauge(
  "db.client.connection.idle.min",
  "The minimum number of idle open connections allowed"
)

export const pendingRequests = gauge(
  "db.client.connection.pending_requests",
  "Current pending requests for an open connection"
)

export const engineCreations = counter("dblive.engine.creations", "Engines opened")

export const sessions = counter("dblive.sessions", "Sessions opened")

export const failures = counter("dblive.failures", "Failures by error.type")

export const retries = counter("dblive.retries", "Attempts repeated")

export const transactions = counter("dblive.transactions", "Transactions by outcome")

/** The tag of `dblive.reads`. */
export const readReason = "dblive.read.reason"

export const reads = counter(
  "dblive.reads",
  "Sessions for reading of a database with replicas, by the server that they ran on, and why there"
)

export const replicationLag = tagged(
  gauge("dblive.replication.lag", "How far the standby was behind its primary at the last health check, in seconds"),
  "unit",
  "s"
)

/** One of these statuses is 1, the others are 0: a state set, as OpenMetrics has it. */
export const health = gauge("dblive.health", "The status of the last health check: 1 for the one that it has")

export const migrations = gauge(
  "dblive.migrations",
  "The state of the migrations at the last health check: 1 for the one that they have"
)
