/**
 * What can be done with a database, as members of its tag.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { threadId } from "node:worker_threads"
import type { DbError, QueryError } from "../../DbError.js"
import type * as DbHealth from "../../DbHealth.js"
import * as DbKey from "../../DbKey.js"
import type { PoolDetails, Snapshot } from "../../DbMetrics.js"
import * as DbRetry from "../../DbRetry.js"
import type * as Driver from "../../driver/Driver.js"
import type { Engine } from "../Engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { levelOf } from "../fiber/fiberContext.js"
import { workerId } from "../observe/Log.js"
import { withRetry } from "../session/retry.js"
import { withSession } from "../session/transaction.js"
import { ofQuery, ofRows, ofTransaction, refusedOption } from "./callOptions.js"
import { type Database, engineOf as engineBehind } from "./Database.js"
import { withLimits, withTimeout } from "./Limits.js"
import * as Query from "./Query.js"
import { type ReadMembers, readMembers, type WithEngine } from "./reads.js"
import * as Rows from "./Rows.js"
import * as Session from "./Session.js"
import * as Transaction from "./Transaction.js"
import { classify, type Typed, typed } from "./Typed.js"

/** Any effect: what tells it from options. */
type AnyEffect = Effect.Effect<unknown, unknown, unknown>

/** When an effect is repeated. */
type RetrySchedule = Schedule.Schedule<unknown, DbError>

/**
 * How an effect is repeated that is no transaction.
 *
 * @since 0.2.0
 * @category models
 */
export interface RetryOptions {
  /** The declaration that the effect may be applied more than once. */
  readonly idempotent: true
  /** Defaults to `DbRetry.transient`. */
  readonly schedule?: RetrySchedule | undefined
}

/**
 * What can be done with a database, as members of its tag.
 *
 * What takes an effect and options is written in a pipe (`effect.pipe(Db.withTimeout("1 second"))`) or with the effect
 * first (`Db.withTimeout(effect, "1 second")`). `transaction` and `retry` need no options: `effect.pipe(Db.transaction)`.
 * Their one signature tells an effect from options by a conditional type, because `pipe` loses the types of an overload.
 *
 * @since 0.1.0
 * @category models
 */
export interface Members<Self> extends ReadMembers<Self> {
  /**
   * Pins one validated connection to the effect: its statements run on it, in order. It goes back, cleaned, on success,
   * failure, defect and interrupt. Inside a session of the same database it is that session.
   *
   * Fails with what the effect fails with, its `SqlError`s typed; with `TimeoutError` (phase `Acquire`) or
   * `ConnectionError` when no connection could be obtained.
   */
  readonly session: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>

  /** A session as a scoped resource, for manual control. It is another one than the session the fiber is in. */
  readonly reserve: Effect.Effect<Session.Session, DbError, Scope.Scope | Self>

  /**
   * Runs the effect in a transaction: committed when it succeeds (success means that the database said so), rolled
   * back when it fails, dies or is interrupted; then the first error is the one you see. Inside a transaction of the
   * same database it is a savepoint; siblings run one after the other.
   *
   *     effect.pipe(Db.transaction)
   *     effect.pipe(Db.transaction({ readOnly: true }))
   *     Db.transaction(effect, { readOnly: true })
   */
  readonly transaction: <
    Arg extends AnyEffect | Types.NoExcessProperties<Transaction.TransactionOptions, Arg>
  >(
    effectOrOptions: Arg,
    options?: Transaction.TransactionOptions
  ) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
    ? Transaction.Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>
    : <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ) => Transaction.Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>

  /**
   * Runs SQL with `:name` parameters and gives its rows; those of the last statement, where the text has several. An array of
   * values goes to the driver's own placeholders. A missing or unknown name is a `QueryError` with reason `Parameter`. The rows' type
   * is taken on trust, unless a schema decodes them: then they fail with a `ParseError` that names row and column and no value.
   *
   *     Db.query("SELECT id, body FROM note WHERE id < :id", { id: 10 })
   *     Db.query("SELECT id, body FROM note", {}, { schema: Note })
   *     Db.query(sql`SELECT id, body FROM note`, { schema: Note })
   */
  readonly query: Rows.RowsMember<Self, "query">

  /**
   * Runs a statement as `query` does and gives its only row. Fails with a `QueryError` of reason `NotFound` where it gives none, and
   * `TooMany` where it gives several: what it wrote is applied then.
   */
  readonly one: Rows.RowsMember<Self, "one">

  /** Runs a statement as `query` does and gives its row, or none. Fails with reason `TooMany` where it gives several. */
  readonly option: Rows.RowsMember<Self, "option">

  /**
   * Runs a statement as `query` does and gives the only value of its only row: `Db.scalar("SELECT count(*) FROM note")`. Fails with
   * reason `NotFound` where there is none, and `TooMany` where there are several rows or columns.
   */
  readonly scalar: Rows.ScalarMember<Self>

  /**
   * Runs a statement as `query` does and gives its rows, how many rows it has written, and the key that the database generated, where it
   * has such: those of the last statement, where the text has several.
   *
   *     const { rowsAffected } = yield* Db.execute("DELETE FROM note WHERE id = :id", { id })
   */
  readonly execute: Rows.RowsMember<Self, "execute">

  /**
   * The statement of a file, for `query` and its like: `Db.query(yield* Db.sqlFile("queries/report.sql"), params)`. The path begins in
   * the folder that the process runs in. The file holds one statement, and is read once; where it cannot be read, the error is a
   * `QueryError` with reason `SqlFile`. `dblive check` finds the calls whose path is a literal, and checks the statements.
   */
  readonly sqlFile: (path: string) => Effect.Effect<string, QueryError, Self>

  /**
   * Runs a text of several statements, in their order on one connection, and gives the rows of each; on SQL Server of each that
   * gives rows. Fails as `query` does. When one fails, those before it stay on MySQL and SQL Server, and the error's outcome is
   * `Unknown`; on SQLite and PostgreSQL nothing is kept. Parameters beside several statements are taken by MySQL and SQL Server.
   */
  readonly script: (
    text: string,
    params?: Query.Params,
    options?: Query.QueryOptions
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Readonly<Record<string, unknown>>>>, DbError, Self>

  /**
   * Runs statements in one transaction, in their order, and gives the rows of each; the first that fails ends it, and nothing
   * is kept. On SQLite they travel to a worker process together. Their statement limit is that of `limits`.
   */
  readonly batch: (
    statements: ReadonlyArray<readonly [text: string, params?: Query.Params]>,
    options?: Transaction.TransactionOptions
  ) => Transaction.Atomic<ReadonlyArray<ReadonlyArray<Readonly<Record<string, unknown>>>>, DbError, Self>

  /**
   * Repeats an effect while it fails with what may be repeated. It takes a transaction; anything else has to be
   * declared idempotent, and is then repeated after any transient failure, an unknown outcome included. Inside an open
   * transaction nothing is repeated. The schedule defaults to `DbRetry.transient`.
   *
   *     transaction.pipe(Db.retry)
   *     transaction.pipe(Db.retry(DbRetry.conflicts))
   *     Db.retry(effect, { idempotent: true })
   */
  readonly retry: <
    Arg extends [Options] extends [RetryOptions] ? AnyEffect
      : Transaction.Atomic<unknown, unknown, unknown> | RetrySchedule | Types.NoExcessProperties<RetryOptions, Arg>,
    Options extends RetrySchedule | Types.NoExcessProperties<RetryOptions, Options> = RetrySchedule
  >(
    effectOrOptions: Arg,
    options?: Options
  ) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
    ? [Options] extends [RetryOptions] ? Effect.Effect<A, E, R | Self> : Transaction.Atomic<A, E, R | Self>
    : [Arg] extends [RetryOptions] ? <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Self>
    : <A, E, R>(effect: Transaction.Atomic<A, E, R>) => Transaction.Atomic<A, E, R | Self>

  /**
   * Bounds everything the effect does with a database by one moment: waits for connections, statements, transactions
   * and retries. What reaches it fails with a `TimeoutError` that names its phase.
   */
  readonly withTimeout: {
    (duration: Duration.DurationInput): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.DurationInput): Effect.Effect<A, E, R>
  }

  /**
   * Another `statementTimeout` or `transactionTimeout` than the configured one for the statements and transactions of the effect;
   * 0 lifts it. For the few that are known to take long, such as migrations and reports.
   */
  readonly withLimits: typeof withLimits

  /** The `SqlClient` of this database. */
  readonly sql: Effect.Effect<SqlClient.SqlClient, never, Self>

  /**
   * The health of the database. Never fails, ends within `health.timeout` (3 seconds), and has a connection of its own:
   * a busy pool is `degraded`, not dead. Concurrent callers share one probe, whose report is given again for
   * `health.cache` (a second).
   */
  readonly health: Effect.Effect<DbHealth.Report, never, Self>

  /** Whether the database answers. */
  readonly ping: Effect.Effect<boolean, never, Self>

  /** The pool's figures, and the holders of its connections. */
  readonly pool: Effect.Effect<PoolDetails, never, Self>

  /** What this database is, what it is used by, and how often: for diagnosis. */
  readonly info: Effect.Effect<DbHealth.Info, never, Self>

  /** What this database has counted. */
  readonly metrics: Effect.Effect<Snapshot, never, Self>

  /**
   * How the transaction stands of the session that the fiber is in, by the database's own word after its last answer;
   * `idle` outside of a session. For code that runs statements it did not write, such as migrations.
   */
  readonly transactionStatus: Effect.Effect<Driver.TransactionStatus, never, Self>

  /**
   * Tells the text of each statement of the session that the fiber is in, just before it is sent, until the scope closes.
   * Outside of a session it does nothing. The listener must not throw.
   */
  readonly watchStatements: (
    listener: (text: string) => void
  ) => Effect.Effect<void, never, Scope.Scope | Self>

  /**
   * Says that the session around the effect is held for long on purpose: while the effect runs, no warning is written of it
   * (see `pool.leakThreshold`). Outside of a session it is the effect. A session that has taken a lock of its own
   * (`pg_advisory_lock`, `GET_LOCK`, `sp_getapplock`), or listens, needs no such word.
   */
  readonly keepSession: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Self>

  /**
   * Tells health how to ask for the state of the migrations. `DbMigrator.layer` calls it; a program that migrates by
   * other means may call it too. The effect should be quick: it runs with every probe.
   */
  readonly watchMigrations: (
    status: Effect.Effect<DbHealth.MigrationStatus | null>
  ) => Effect.Effect<void, never, Self>
}

/**
 * The members of a database that is opened read-only: those that do not write. `transaction` is `read` there.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReadOnlyMembers<Self> extends Omit<Members<Self>, "transaction" | "execute" | "script" | "batch"> {}

const noOptions = {}

const infoOf = (engine: Engine): DbHealth.Info => {
  const { connectionFailures, engineCreations, pool, sessions } = engine.snapshot
  return {
    name: engine.name,
    type: engine.config.type,
    uri: engine.driver.target.uri,
    access: engine.config.access,
    primaryKey: DbKey.primaryKey(engine.config.type),
    serverVersion: engine.serverVersion,
    sqliteModule: engine.driver.module?.(),
    processId: process.pid,
    threadId,
    workerId,
    opened: engine.serverVersion !== undefined,
    engineCreations,
    sessions,
    connectionFailures,
    pool,
    replicas: engine.replicas?.info ?? [],
    reads: { ...engine.metrics.reads }
  }
}

/** Repeats an effect, but not within a transaction: only the whole of that could be run again. */
const repeatedOn = (
  engine: Engine,
  effect: AnyEffect,
  options: RetrySchedule | RetryOptions | undefined
): AnyEffect => {
  const isIdempotent = options !== undefined && "idempotent" in options
  const schedule = (isIdempotent ? options.schedule : options) ?? DbRetry.transient
  return Effect.withFiberRuntime((fiber) => {
    const level = levelOf(engine, fiber)
    return level !== undefined && level.kind !== "session"
      ? effect
      : withRetry(engine, effect, schedule, classify(engine.name), { isIdempotent })
  })
}

const keepSession = <A, E, R>(engine: Engine, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const session = levelOf(engine, fiber)?.session
    return session === undefined ? effect : Effect.acquireUseRelease(
      Effect.sync(() => session.keeping++),
      () => effect,
      () => Effect.sync(() => session.keeping--)
    )
  })

/** The splitter of files is loaded when a file is read: other programs do not need it. */
const sqlFile = (engine: Engine, path: string): Effect.Effect<string, QueryError> =>
  Effect.flatMap(Effect.promise(() => import("./sqlFile.js")), ({ read }) => read(engine, path))

const transactionStatus = (engine: Engine): Effect.Effect<Driver.TransactionStatus> =>
  Effect.withFiberRuntime((fiber) => Effect.succeed(levelOf(engine, fiber)?.session.connection.transaction ?? "idle"))

const watchStatements = (
  engine: Engine,
  listener: (text: string) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.withFiberRuntime((fiber) => {
    const session = levelOf(engine, fiber)?.session
    return session === undefined ? Effect.void : Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const before = session.queue.onText
        session.queue.onText = before === undefined ? listener : (text) => {
          before(text)
          listener(text)
        }
        return before
      }),
      (before) => Effect.sync(() => session.queue.onText = before)
    ))
  })

/** The members that run one statement, each with another view of its rows. */
const rowsMembers = <Self>(
  withEngine: WithEngine<Self>
): Pick<Members<Self>, "query" | "one" | "option" | "scalar" | "execute"> => {
  const asks =
    (ask: (engine: Engine, asked: Rows.Asked) => Effect.Effect<unknown, unknown, unknown>) =>
    (source: Query.Asked["source"], paramsOrOptions?: unknown, options?: unknown): never => {
      // By the signatures of the members: a statement has its parameters.
      const [params, given] = typeof source === "string"
        ? [paramsOrOptions as Query.Params | undefined, options as Rows.Asked["options"] | undefined]
        : [undefined, paramsOrOptions as Rows.Asked["options"] | undefined]
      // What is given is of the caller's type, or of the schema's.
      return withEngine((engine) =>
        refusedOption(engine, given, ofRows) ?? ask(engine, { source, params, options: given ?? noOptions })
      ) as never
    }
  return {
    query: asks(Rows.query),
    one: asks(Rows.one),
    option: asks(Rows.option),
    scalar: asks(Rows.scalar),
    execute: asks(Rows.execute)
  }
}

/** The members of a tag. */
export const make = <Self>(tag: Context.Tag<Self, Database>): Members<Self> => {
  // What `R` says of an effect, its fiber's context holds.
  const engineOf = (fiber: AnyFiber): Engine =>
    engineBehind(Context.unsafeGet(fiber.currentContext as Context.Context<Self>, tag))
  const withEngine = <A, E, R>(f: (engine: Engine) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Self> =>
    Effect.withFiberRuntime<A, E, R | Self>((fiber) => f(engineOf(fiber)))
  const inTransaction = (
    effect: AnyEffect,
    options?: Transaction.TransactionOptions
  ): Effect.Effect<unknown, unknown, unknown> =>
    withEngine((engine) =>
      refusedOption(engine, options, ofTransaction) ?? Transaction.run(engine, effect, options ?? noOptions)
    )
  const repeated = (effect: AnyEffect, options: RetrySchedule | RetryOptions | undefined): AnyEffect =>
    withEngine((engine) => repeatedOn(engine, effect, options))
  const { execute, one, option, query, scalar } = rowsMembers<Self>(withEngine)
  return {
    session: (effect) =>
      // At run time the context holds what `R` says.
      withSession(engineOf, effect, (error, { name }) => typed(name)(error)) as never,
    reserve: withEngine(Session.make),
    transaction: ((
      effectOrOptions: AnyEffect | Transaction.TransactionOptions,
      options?: Transaction.TransactionOptions
    ) =>
      Effect.isEffect(effectOrOptions)
        ? inTransaction(effectOrOptions, options)
        // Whole or not at all; and `SqlClient` is provided to the effect by its level.
        : (effect: AnyEffect) => inTransaction(effect, effectOrOptions)) as Members<Self>["transaction"],
    ...readMembers(withEngine),
    query,
    one,
    option,
    scalar,
    execute,
    sqlFile: (path) => withEngine((engine) => sqlFile(engine, path)),
    script: (text, params, options = {}) =>
      // Rows are objects in this mode.
      withEngine((engine) =>
        refusedOption(engine, options, ofQuery) ?? Query.script(engine, text, params, options ?? noOptions)
      ) as never,
    batch: (statements, options) =>
      inTransaction(
        withEngine((engine) =>
          Effect.withFiberRuntime<unknown, DbError, Self>((fiber) =>
            Query.batched(engine, fiber, statements) ??
              Effect.forEach(statements, ([text, params]) => query(text, params))
          )
        ),
        options
      ) as never,
    retry:
      ((effectOrOptions: AnyEffect | RetrySchedule | RetryOptions, options?: RetrySchedule | RetryOptions) =>
        Effect.isEffect(effectOrOptions)
          ? repeated(effectOrOptions, options)
          : (effect: AnyEffect) => repeated(effect, effectOrOptions)) as Members<Self>["retry"],
    withTimeout,
    withLimits,
    sql: withEngine((engine) => Effect.succeed(engine.client)),
    health: Effect.flatMap(tag, (database) => database.health),
    ping: withEngine((engine) => engine.ping),
    pool: withEngine((engine) => Effect.sync(() => ({ ...engine.pool.figures, holders: engine.pool.holders }))),
    info: withEngine((engine) => Effect.sync(() => infoOf(engine))),
    metrics: withEngine((engine) => Effect.sync(() => engine.snapshot)),
    transactionStatus: withEngine(transactionStatus),
    keepSession: (effect) => withEngine((engine) => keepSession(engine, effect)),
    watchStatements: (listener) => withEngine((engine) => watchStatements(engine, listener)),
    watchMigrations: (status) =>
      Effect.map(tag, (database) => {
        database.migrations = status
      })
  }
}
