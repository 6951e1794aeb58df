/**
 * The health check of a database: its probe, and what is made of the answer.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import type { MigrationStatus, ReplicaReport, Report, Status } from "../../DbHealth.js"
import type { PoolSnapshot } from "../../DbMetrics.js"

/** What is looked at to decide. */
interface Evidence {
  readonly answered: boolean
  readonly responseTime: number
  readonly pool: PoolSnapshot
  /** How long ago a wait for a connection reached its limit, in milliseconds. */
  readonly sinceTimeout: number
  readonly migrations: MigrationStatus | null
  readonly replicas: ReadonlyArray<ReplicaReport>
}

/** The status of a database that answered or not, and why it is not healthy. */
const judge = (
  { answered: isAnswered, migrations, pool, replicas, responseTime, sinceTimeout }: Evidence,
  options: DbConfig.Health
): { readonly status: Status; readonly why: string | null } => {
  if (!isAnswered) {
    return { status: "unhealthy", why: null }
  }
  const reasons: Array<string> = []
  if (responseTime > options.slow) {
    reasons.push(`answered in ${Math.round(responseTime)} ms, more than ${options.slow}`)
  }
  if (pool.longestWaitMillis > options.longWait) {
    reasons.push(`${pool.waiting} wait for a connection, the first for ${pool.longestWaitMillis} ms`)
  }
  if (sinceTimeout < options.recent) {
    reasons.push(`a wait for a connection reached its limit ${sinceTimeout} ms ago`)
  }
  if (pool.inUse >= pool.capacity) {
    reasons.push(`all ${pool.capacity} connections are in use`)
  }
  if (migrations === "pending" || migrations === "failed") {
    reasons.push(`migrations: ${migrations}`)
  }
  for (const { name, reason } of replicas) {
    if (reason !== null) reasons.push(`no reads go to ${name}: ${reason}`)
  }
  return reasons.length === 0
    ? { status: "healthy", why: null }
    : { status: "degraded", why: reasons.join("; ") }
}

/**
 * What a health check looks at.
 */
export interface Subject {
  readonly name: string
  readonly type: string
  /** The cheapest question to the database, on a connection of its own. */
  readonly probe: Effect.Effect<void, DbError>
  readonly pool: () => PoolSnapshot
  /** When a wait for a connection last reached its limit, in the clock's milliseconds. */
  readonly timedOutAt: () => number
  readonly migrations: Effect.Effect<MigrationStatus | null>
  /** Of a database that has some: asks them, and tells how they stand. */
  readonly replicas:
    | { readonly checked: Effect.Effect<unknown>; readonly report: ReadonlyArray<ReplicaReport> }
    | undefined
  /** Is given each new report. */
  readonly checked: (report: Report) => void
}

/** Whether an error shows that there is a connection, on which the question then failed. */
const hasConnection = (error: DbError): boolean =>
  error._tag === "QueryError" ||
  (error._tag === "TimeoutError" && error.phase !== "Connect" && error.phase !== "Acquire")

/** One look at the database, which ends within the limit. */
const look = (subject: Subject, options: DbConfig.Health, clock: Clock.Clock): Effect.Effect<Report> => {
  // What does not answer may take time to stop; that goes on behind.
  const within = <A, E>(effect: Effect.Effect<A, E>, millis: number): Effect.Effect<Option.Option<A>, E> =>
    Effect.timeoutOption(Effect.disconnect(effect), millis)
  return Effect.gen(function*() {
    const started = clock.unsafeCurrentTimeNanos()
    const millis = () => Number(clock.unsafeCurrentTimeNanos() - started) / 1e6
    const { replicas } = subject
    const asked = replicas === undefined ? undefined : yield* Effect.fork(within(replicas.checked, options.timeout))
    const answer = yield* Effect.either(within(subject.probe, options.timeout))
    const responseTime = millis()
    if (Either.isLeft(answer)) {
      // The pool is told of connections that are found lost behind the answer: a report comes when it has them no more.
      yield* Effect.yieldNow()
    }
    if (asked !== undefined) {
      yield* Fiber.join(asked)
    }
    const isAnswered = Either.isRight(answer) && Option.isSome(answer.right)
    const migrations = isAnswered
      ? Option.getOrNull(yield* within(subject.migrations, Math.max(options.timeout - responseTime, 0)))
      : null
    const now = clock.unsafeCurrentTimeMillis()
    const pool = subject.pool()
    const { status, why } = judge(
      {
        answered: isAnswered,
        responseTime,
        pool,
        sinceTimeout: now - subject.timedOutAt(),
        migrations,
        replicas: replicas?.report ?? []
      },
      options
    )
    return {
      databaseName: subject.name,
      databaseType: subject.type,
      status,
      connection: Either.isLeft(answer) ? hasConnection(answer.left) : isAnswered || pool.open > 0,
      queryTest: isAnswered,
      responseTimeMillis: responseTime,
      pool: {
        size: pool.size,
        capacity: pool.capacity,
        open: pool.open,
        idle: pool.idle,
        inUse: pool.inUse,
        opening: pool.opening,
        waiting: pool.waiting,
        overflow: pool.overflow,
        invalidated: pool.invalidated,
        timeouts: pool.timeouts,
        longestWaitMillis: pool.longestWaitMillis
      },
      migrationStatus: migrations,
      ...(replicas === undefined ? {} : { replicas: replicas.report }),
      error: Either.isLeft(answer)
        ? answer.left.message
        : isAnswered
        ? why
        : `the database did not answer within ${options.timeout} ms`,
      timestamp: new Date(now)
    }
  })
}

/**
 * Makes the health check of a database: concurrent callers share one probe, which none of them can interrupt for the
 * others, and its report is given again for `options.cache`. It never fails and ends within `options.timeout`. The probe
 * has a connection of its own, so a busy pool is not taken for a dead database.
 */
export const make = (
  subject: Subject,
  options: DbConfig.Health,
  clock: Clock.Clock,
  /** Runs the probe beside its callers. */
  fork: (effect: Effect.Effect<void>) => void
): Effect.Effect<Report> => {
  let running: Deferred.Deferred<Report> | undefined = undefined
  let last: { readonly report: Report; readonly at: number } | undefined = undefined
  return Effect.suspend(() => {
    if (last !== undefined && clock.unsafeCurrentTimeMillis() - last.at < options.cache) {
      return Effect.succeed(last.report)
    }
    if (running !== undefined) {
      return Deferred.await(running)
    }
    const mine = Deferred.unsafeMake<Report>(FiberId.none)
    running = mine
    fork(
      look(subject, options, clock).pipe(
        Effect.tap((report) =>
          Effect.sync(() => {
            last = { report, at: clock.unsafeCurrentTimeMillis() }
            subject.checked(report)
          })
        ),
        Effect.onExit((exit) => {
          running = undefined
          return Deferred.done(mine, exit)
        }),
        Effect.exit
      )
    )
    return Deferred.await(mine)
  })
}
