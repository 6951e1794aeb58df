/**
 * Counts for one open database: as plain numbers, so that counting costs nothing, each mirrored into Effect's metric
 * registry at the moment it changes, where all databases of the process that share a name add up.
 */
import type * as Metric from "effect/Metric"
import type { DbError } from "../../DbError.js"
import type { MigrationStatus, Report, Status } from "../../DbHealth.js"
import {
  type Durations,
  errorType,
  type Failure,
  type PoolSnapshot,
  type SlowStatement,
  type Snapshot,
  type TransactionOutcome
} from "../../DbMetrics.js"
import { metricOf, tagged, untagged } from "../effect/metricKey.js"
import * as keys from "./keys.js"

/** How many slow statements, and how many failures, are remembered. */
const kept = 50

/** The newest first. */
const remember = <A>(list: Array<A>, newest: A): void => {
  if (list.length === kept) {
    list.pop()
  }
  list.unshift(newest)
}

const statuses: ReadonlyArray<Status> = ["healthy", "degraded", "unhealthy"]

/** As they stand in a report's JSON, and in the report. */
const migrationStatuses: ReadonlyArray<readonly [string, MigrationStatus]> = [
  ["up_to_date", "upToDate"],
  ["pending", "pending"],
  ["failed", "failed"]
]

/** A power of two, so that a place in the ring is found without a division. */
const keptDurations = 1024

/** The durations of one kind of thing: totals since the start, and the last ones as they were, for percentiles. */
class DurationReservoir {
  private readonly samples = new Float64Array(keptDurations)
  count = 0
  private total = 0
  private max = 0

  /** On the path of every statement: no allocation, no search. */
  add(millis: number): void {
    this.samples[this.count++ & (keptDurations - 1)] = millis
    this.total += millis
    if (millis > this.max) {
      this.max = millis
    }
  }

  /** @param immediate how many more took no time at all, and were not added. */
  durations(immediate = 0): Durations {
    const count = this.count + immediate
    return {
      count,
      totalMillis: this.total,
      maxMillis: this.max,
      percentiles: count === 0 ? undefined : this.percentiles(immediate / count)
    }
  }

  private percentiles(zeros: number): NonNullable<Durations["percentiles"]> {
    const sorted = this.samples.slice(0, Math.min(this.count, keptDurations)).sort()
    // The nearest rank: a duration that really was, never one between two.
    const at = (share: number): number =>
      share <= zeros ? 0 : sorted[Math.max(Math.ceil(((share - zeros) / (1 - zeros)) * sorted.length) - 1, 0)]!
    return { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99) }
  }
}

export class MetricsRecorder {
  private readonly metrics
  private readonly failuresBy = new Map<string, Metric.Metric.Counter<number>>()
  /** An error that is passed on, or given to several, is one failure. */
  private readonly counted = new WeakSet<DbError>()
  private readonly operations = new DurationReservoir()
  readonly waits = new DurationReservoir()
  private readonly uses = new DurationReservoir()
  private readonly creations = new DurationReservoir()
  private readonly slow: Array<SlowStatement> = []
  private readonly failures: Record<string, number> = {}
  /** By why they ran here. */
  readonly reads: Record<string, number> = {}
  private readonly readsBy = new Map<string, Metric.Metric.Counter<number>>()
  private readonly recent: Array<Failure> = []
  private readonly transactions = { committed: 0, rolledBack: 0, unknown: 0 }
  private opened = 0
  private hasLagged = false
  private active = 0
  private connectionFailures = 0
  private retries = 0

  constructor(private readonly name: string) {
    this.metrics = {
      operation: metricOf(keys.operationDuration, keys.poolName, this.name),
      create: metricOf(keys.createTime, keys.poolName, this.name),
      wait: metricOf(keys.waitTime, keys.poolName, this.name),
      use: metricOf(keys.useTime, keys.poolName, this.name),
      timeouts: metricOf(keys.connectionTimeouts, keys.poolName, this.name),
      creations: metricOf(keys.engineCreations, keys.poolName, this.name),
      opened: metricOf(keys.sessions, keys.poolName, this.name),
      retried: metricOf(keys.retries, keys.poolName, this.name),
      transactions: {
        committed: metricOf(tagged(keys.transactions, "outcome", "committed"), keys.poolName, this.name),
        rolledBack: metricOf(tagged(keys.transactions, "outcome", "rolled_back"), keys.poolName, this.name),
        unknown: metricOf(tagged(keys.transactions, "outcome", "unknown"), keys.poolName, this.name)
      }
    }
    // A counter that appears with its first event has not risen, for a monitor: alerts would miss that event.
    const { retried, timeouts, transactions } = this.metrics
    for (const counter of [retried, timeouts, ...Object.values(transactions)]) {
      counter.unsafeUpdate(0, untagged)
    }
  }

  /** Engines opened under this name by this process. */
  get engineCreations(): number {
    return this.metrics.creations.unsafeValue(untagged).count
  }

  engineCreated(): void {
    this.metrics.creations.unsafeUpdate(1, untagged)
  }

  sessionOpened(): void {
    this.opened++
    this.active++
    this.metrics.opened.unsafeUpdate(1, untagged)
  }

  sessionClosed(): void {
    this.active--
  }

  statement(millis: number): void {
    this.operations.add(millis)
    this.metrics.operation.unsafeUpdate(millis / 1000, untagged)
  }

  slowStatement(statement: SlowStatement): void {
    remember(this.slow, statement)
  }

  /** Returns whether it had not been counted before. */
  failure(error: DbError): boolean {
    if (this.counted.has(error)) {
      return false
    }
    this.counted.add(error)
    const type = errorType(error)
    this.failures[type] = (this.failures[type] ?? 0) + 1
    if (error._tag === "TimeoutError" && error.phase === "Acquire") {
      this.metrics.timeouts.unsafeUpdate(1, untagged)
    }
    let metric = this.failuresBy.get(type)
    if (metric === undefined) {
      metric = metricOf(tagged(keys.failures, "error.type", type), keys.poolName, this.name)
      this.failuresBy.set(type, metric)
    }
    metric.unsafeUpdate(1, untagged)
    return true
  }

  recentFailure(failure: Failure): void {
    remember(this.recent, failure)
  }

  /** One could not be opened, or was lost. */
  connectionFailed(): void {
    this.connectionFailures++
  }

  retry(): void {
    this.retries++
    this.metrics.retried.unsafeUpdate(1, untagged)
  }

  transaction(outcome: TransactionOutcome): void {
    this.transactions[outcome]++
    this.metrics.transactions[outcome].unsafeUpdate(1, untagged)
  }

  /** What a health check has found. */
  healthChecked({ migrationStatus, status }: Pick<Report, "status" | "migrationStatus">): void {
    for (const one of statuses) {
      metricOf(tagged(keys.health, "status", one), keys.poolName, this.name).unsafeUpdate(
        one === status ? 1 : 0,
        untagged
      )
    }
    if (migrationStatus === null) {
      return
    }
    for (const [tag, one] of migrationStatuses) {
      metricOf(tagged(keys.migrations, "status", tag), keys.poolName, this.name).unsafeUpdate(
        one === migrationStatus ? 1 : 0,
        untagged
      )
    }
  }

  /** A session for reading ran on this server of several. */
  read(reason: string): void {
    this.reads[reason] = (this.reads[reason] ?? 0) + 1
    let metric = this.readsBy.get(reason)
    if (metric === undefined) {
      metric = metricOf(tagged(keys.reads, keys.readReason, reason.replaceAll(" ", "_")), keys.poolName, this.name)
      this.readsBy.set(reason, metric)
    }
    metric.unsafeUpdate(1, untagged)
  }

  /** How far the server is behind its primary, in seconds; `undefined` where it is no standby, also after it was promoted. */
  replicationLag(seconds: number | undefined): void {
    if (seconds === undefined && !this.hasLagged) {
      return
    }
    this.hasLagged = true
    metricOf(keys.replicationLag, keys.poolName, this.name).unsafeUpdate(seconds ?? 0, untagged)
  }

  connectionCreated(millis: number): void {
    this.creations.add(millis)
    this.metrics.create.unsafeUpdate(millis / 1000, untagged)
  }

  waited(millis: number): void {
    this.waits.add(millis)
    this.metrics.wait.unsafeUpdate(millis / 1000, untagged)
  }

  used(millis: number): void {
    this.uses.add(millis)
    this.metrics.use.unsafeUpdate(millis / 1000, untagged)
  }

  /** @param immediate how many did not wait for a connection, and were not told of by `waited`. */
  snapshot(pool: PoolSnapshot, immediate: number): Snapshot {
    return {
      database: this.name,
      engineCreations: this.engineCreations,
      sessions: { opened: this.opened, active: this.active },
      statements: this.operations.count,
      failures: { ...this.failures },
      recentFailures: [...this.recent],
      connectionFailures: this.connectionFailures,
      retries: this.retries,
      transactions: { ...this.transactions },
      durations: {
        operation: this.operations.durations(),
        wait: this.waits.durations(immediate),
        use: this.uses.durations(),
        create: this.creations.durations()
      },
      slowStatements: [...this.slow],
      pool
    }
  }
}
