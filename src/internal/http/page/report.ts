/**
 * What `/debug/db` answers, as far as the status page reads it. The server's answer and the page's script are both checked
 * against it.
 */

export type Status = "healthy" | "degraded" | "unhealthy"

export interface Report {
  /** When, as an ISO date. */
  readonly at: string
  /** The worst status of the databases. */
  readonly status: Status
  readonly process: { readonly id: number; readonly uptimeMillis: number }
  readonly databases: ReadonlyArray<Database>
}

/** One that could not be opened has no info, pool and metrics. */
export interface Database {
  readonly name: string
  readonly health: Health
  readonly info?: Info | undefined
  readonly pool?: Pool | undefined
  readonly metrics?: Metrics | undefined
  /** The pool in the last ten minutes, the oldest first; with `?since=`, what came after that time. */
  readonly poolHistory: ReadonlyArray<PoolSample>
}

/** What the pool did at a moment. */
export interface PoolSample {
  /** In milliseconds since 1970. */
  readonly at: number
  readonly capacity: number
  readonly inUse: number
  readonly idle: number
  readonly waiting: number
}

export interface Health {
  readonly status: Status
  readonly database_type: string
  readonly error: string | null
  readonly response_time_ms: number
  readonly migration_status: string | null
  readonly replicas?: ReadonlyArray<Replica> | undefined
}

export interface Replica {
  readonly name: string
  readonly available: boolean
  readonly reason: string | null
  readonly lag_seconds: number | null
  readonly reads: number
  readonly in_use: number
  readonly waiting: number
}

export interface Info {
  readonly serverVersion?: string | undefined
  readonly uri: string
  readonly access: string
}

export interface Pool {
  readonly capacity: number
  readonly open: number
  readonly opening: number
  readonly inUse: number
  readonly idle: number
  readonly waiting: number
  readonly holders: ReadonlyArray<Holder>
}

export interface Holder {
  readonly span?: string | undefined
  readonly fiber: string
  readonly state: string
  readonly heldForMillis: number
  readonly statement?: string | undefined
}

export interface Metrics {
  readonly statements: number
  readonly retries: number
  readonly sessions: { readonly opened: number; readonly active: number }
  readonly transactions: { readonly committed: number; readonly rolledBack: number; readonly unknown: number }
  readonly failures: Readonly<Record<string, number>>
  readonly recentFailures: ReadonlyArray<Failure>
  readonly durations: { readonly [K in Measured]: Durations }
  readonly slowStatements: ReadonlyArray<SlowStatement>
}

export type Measured = "operation" | "wait" | "use" | "create"

interface Durations {
  readonly maxMillis: number
  readonly percentiles?: { readonly p50: number; readonly p95: number; readonly p99: number } | undefined
}

/** Where and when something happened. */
interface Event {
  /** In milliseconds since 1970. */
  readonly at: number
  readonly span?: string | undefined
  readonly fiber?: string | undefined
}

export interface Failure extends Event {
  readonly error: string
  readonly code?: string | undefined
  readonly statement?: string | undefined
}

export interface SlowStatement extends Event {
  readonly text: string
  readonly millis: number
  readonly error?: string | undefined
}
