/**
 * The front door: a database as a tag, what can be done with it, and the layers that open it.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import { identity } from "effect/Function"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { threadId } from "node:worker_threads"
import * as DbConfig from "./DbConfig.js"
import { ConnectionError, type DbError, fromSqlError, QueryError } from "./DbError.js"
import * as DbHealth from "./DbHealth.js"
import * as DbKey from "./DbKey.js"
import { DbMetrics, type PoolDetails, register, registry, type Snapshot } from "./DbMetrics.js"
import * as DbRetry from "./DbRetry.js"
import { creating } from "./driver/Creation.js"
import type * as Driver from "./driver/Driver.js"
import * as Batch from "./engine/Batch.js"
import * as Client from "./engine/Client.js"
import { Engine } from "./engine/Engine.js"
import * as Gauges from "./engine/Gauges.js"
import { workerId } from "./engine/Log.js"
import * as NamedParams from "./engine/NamedParams.js"
import { type AnyFiber, currentDeadline, currentLimits, statementLimit } from "./engine/Origin.js"
import { frameOf, inFrame } from "./engine/Place.js"
import { unsupportedOption } from "./engine/Refusal.js"
import { retried } from "./engine/Retrying.js"
import * as Sending from "./engine/Sending.js"
import type { Session as EngineSession } from "./engine/Session.js"
import { beginInnermost, endInnermost, reserveSession, withSession, withTransaction } from "./engine/Transaction.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("dblive/Db")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * An open database: what a tag stands for in the context. Everything is done through the tag's members.
 *
 * @since 0.1.0
 * @category models
 */
export interface Database {
  readonly [TypeId]: Engine
  readonly name: string
  readonly sql: SqlClient.SqlClient
  readonly health: Effect.Effect<DbHealth.Report>
  /** How its migrations stand, asked by `health`; set by {@link Members.watchMigrations}. */
  migrations: Effect.Effect<DbHealth.MigrationStatus | null>
}

/**
 * An effect that is applied wholly or not at all, so that it may be run again: what `Db.transaction` gives. `Db.retry`
 * takes no other, unless it is told that the effect is idempotent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Atomic<out A, out E = never, out R = never> extends Effect.Effect<A, E, R> {
  /** For the compiler alone, which shows this name where something else is given to `Db.retry`. */
  readonly "Db.retry takes a Db.transaction, or { idempotent: true }": true
}

/** The error channel behind a session's boundary: every `SqlError` has become one of the three. */
type Typed<E> = Exclude<E, SqlError> | DbError

/**
 * How a transaction is to run.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransactionOptions {
  /**
   * Defaults to the database's own default. A nested transaction has that of the outermost one; asking for another is a
   * `QueryError` with reason `Parameter`.
   */
  readonly isolation?: Driver.IsolationLevel | undefined
  /**
   * The transaction only reads. On SQLite it then runs beside a writer. Defaults to false; on a database whose access is
   * read-only it is always true. In a nested transaction it defaults to what holds around it, and true is kept on SQLite
   * and PostgreSQL; where it cannot be kept (and for a nested one that is to write in one that only reads) it is a
   * `QueryError` with reason `Parameter`.
   */
  readonly readOnly?: boolean | undefined
  /** PostgreSQL, with `serializable` and `readOnly`: wait for a snapshot that cannot conflict. Only the outermost transaction can. Defaults to false. */
  readonly deferrable?: boolean | undefined
  /** The longest it may take, nested or not. Defaults to the configured `limits.transactionTimeout` for the outermost one. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Runs the whole transaction again, as the schedule says, when nothing of it was applied and the reason is transient.
   * In a nested transaction it does nothing: only the outermost one can be run again. Defaults to no retry.
   */
  readonly retry?: Schedule.Schedule<unknown, DbError> | undefined
  /**
   * PostgreSQL: when the answer to COMMIT is lost, ask the server what became of it. A database that could not say refuses
   * the transaction (`QueryError` with reason `Parameter`); test layers whose COMMIT cannot be lost take it. Defaults to false.
   */
  readonly resolveCommit?: boolean | undefined
}

/**
 * Options of one statement.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueryOptions {
  /** The longest it may run. Defaults to the configured `limits.statementTimeout`. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Values for `:name` parameters, or for the driver's own placeholders in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Params = Readonly<Record<string, unknown>> | ReadonlyArray<unknown>

/**
 * A session in your hands: its connection is yours until the scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session {
  readonly number: number
  /** A client whose statements all run on this session's connection. */
  readonly sql: SqlClient.SqlClient
  /** Runs an effect in this session, so that the database's own client uses its connection there. */
  readonly use: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, Typed<E>, Exclude<R, SqlClient.SqlClient>>
  /** Begins a transaction, or a savepoint in the one that is open. Ended by `commit` or `rollback`, else rolled back with the scope. */
  readonly begin: (options?: Omit<TransactionOptions, "retry" | "timeout">) => Effect.Effect<void, DbError>
  /** Ends what was begun last. Succeeds only when the database says that it is committed. */
  readonly commit: Effect.Effect<void, DbError>
  readonly rollback: Effect.Effect<void, DbError>
}

/**
 * What can be done with a database, as members of its tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface Members<Self> {
  /**
   * Pins one validated connection to the effect: its statements run on it, in order. It goes back, cleaned, on success,
   * failure, defect and interrupt. Inside a session of the same database it is that session.
   *
   * Fails with what the effect fails with, its `SqlError`s typed; with `TimeoutError` (phase `Acquire`) or
   * `ConnectionError` when no connection could be had.
   */
  readonly session: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>

  /** A session as a scoped resource, for manual control. It is another one than the session the fiber is in. */
  readonly scoped: Effect.Effect<Session, DbError, Scope.Scope | Self>

  /**
   * Runs the effect in a transaction: committed when it succeeds (success means that the database said so), rolled
   * back when it fails, dies or is interrupted; then the first error is the one you see. Inside a transaction of the
   * same database it is a savepoint; siblings run one after the other.
   */
  readonly transaction: (
    options?: TransactionOptions
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>

  /**
   * Runs SQL with `:name` parameters and gives its rows. An array of values goes to the driver's own placeholders.
   * A missing or unknown name is a `QueryError` with reason `Parameter`.
   */
  readonly query: <A extends object = Readonly<Record<string, unknown>>>(
    text: string,
    params?: Params,
    options?: QueryOptions
  ) => Effect.Effect<ReadonlyArray<A>, DbError, Self>

  /**
   * Runs statements in one transaction, in their order, and gives the rows of each; the first that fails ends it, and nothing
   * is kept. On SQLite they travel to a worker process together. Their statement limit is that of `limits`.
   */
  readonly batch: (
    statements: ReadonlyArray<readonly [text: string, params?: Params]>,
    options?: TransactionOptions
  ) => Atomic<ReadonlyArray<ReadonlyArray<Readonly<Record<string, unknown>>>>, DbError, Self>

  /**
   * Repeats an effect while it fails with what may be repeated. It takes a transaction; anything else has to be
   * declared idempotent, and is then repeated after any transient failure, an unknown outcome included. Inside an open
   * transaction nothing is repeated.
   */
  readonly retry: {
    (schedule?: Schedule.Schedule<unknown, DbError>): <A, E, R>(
      effect: Atomic<A, E, R>
    ) => Atomic<A, E, R | Self>
    (options: { readonly idempotent: true; readonly schedule?: Schedule.Schedule<unknown, DbError> | undefined }): <
      A,
      E,
      R
    >(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Self>
  }

  /**
   * Bounds everything the effect does with a database by one moment: waits for connections, statements, transactions
   * and retries. What reaches it fails with a `TimeoutError` that names its phase.
   */
  readonly withTimeout: (
    duration: Duration.DurationInput
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  /**
   * Other limits than the configured ones for the statements and transactions of the effect; 0 lifts one. For the few that
   * are known to take long, such as migrations and reports.
   */
  readonly withLimits: (
    limits: Pick<DbConfig.LimitOptions, "statementTimeout" | "transactionTimeout">
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  /** The `SqlClient` of this database. */
  readonly sql: Effect.Effect<SqlClient.SqlClient, never, Self>

  /**
   * Whether the database is well. Never fails, ends within `health.timeout` (3 seconds), and has a connection of its own:
   * a busy pool is `degraded`, not dead. Concurrent callers share one probe, whose report is given again for
   * `health.cache` (a second).
   */
  readonly health: Effect.Effect<DbHealth.Report, never, Self>

  /** Whether the database answers. */
  readonly ping: Effect.Effect<boolean, never, Self>

  /** The pool's figures, and who holds its connections. */
  readonly pool: Effect.Effect<PoolDetails, never, Self>

  /** What this database is, who uses it from where, and how often: for whoever looks for a fault. */
  readonly info: Effect.Effect<DbHealth.Info, never, Self>

  /** What this database has counted. */
  readonly metrics: Effect.Effect<Snapshot, never, Self>

  /**
   * Tells health how to ask for the state of the migrations. `DbMigrator.layer` calls it; who migrates by other means
   * may. The effect should be quick: it runs with every probe.
   */
  readonly watchMigrations: (
    status: Effect.Effect<DbHealth.MigrationStatus | null>
  ) => Effect.Effect<void, never, Self>
}

/** What goes wrong when a layer is built. */
type LayerError = DbError | ConfigError

/**
 * The class of a named database: `class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}`.
 *
 * @since 0.1.0
 * @category models
 */
export interface TagClass<Self, Name extends string, Provided = Self | DbMetrics>
  extends Context.TagClass<Self, `dblive/Db/${Name}`, Database>, Members<Self>
{
  /** Opens the database with these options. */
  readonly layer: (options: DbConfig.Options) => Layer.Layer<Provided, LayerError>
  /** Opens the database with options that come from the environment. */
  readonly layerConfig: (options: Config.Config.Wrap<DbConfig.Options>) => Layer.Layer<Provided, LayerError>
  /** Opens the database with a driver of your own. */
  readonly layerDriver: (
    options: DbConfig.Options,
    driver: Driver.Make<DbConfig.DbConfig>
  ) => Layer.Layer<Provided, LayerError>
  /** Opens the database as the environment says. */
  readonly live: Layer.Layer<Provided, LayerError>
}

// -----------------------------------------------------------------------------
// opening
// -----------------------------------------------------------------------------

const missing = (database: string, packages: string) => (cause: unknown): ConnectionError =>
  new ConnectionError({
    message: `database "${database}": its driver could not be loaded. Install it: npm install ${packages}`,
    reason: "Unsupported",
    outcome: "NotSent",
    database,
    cause
  })

/** A driver's module is loaded when its database is opened, so that nobody needs the packages of the others. */
const loadDriver = (config: DbConfig.DbConfig): Effect.Effect<Driver.Make<DbConfig.DbConfig>, ConnectionError> => {
  switch (config.type) {
    case "sqlite":
      return Effect.tryPromise({
        try: () => import("./driver/Sqlite.js").then((_) => _.make),
        catch: missing(config.name, "better-sqlite3 @effect/sql-sqlite-node")
      })
    case "postgresql":
      return Effect.tryPromise({
        try: () => import("./driver/Pg.js").then((_) => _.make),
        catch: missing(config.name, "pg @effect/sql-pg")
      })
    case "mysql":
    case "mariadb":
      return Effect.tryPromise({
        try: () => import("./driver/Mysql.js").then((_) => _.make),
        catch: missing(config.name, "mysql2 @effect/sql-mysql2")
      })
    case "mssql":
      return Effect.tryPromise({
        try: () => import("./driver/Mssql.js").then((_) => _.make),
        catch: missing(config.name, "tedious @effect/sql-mssql")
      })
  }
}

/**
 * What a database is opened from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opening {
  readonly config: DbConfig.DbConfig
  readonly makeDriver: Driver.Make<DbConfig.DbConfig>
}

/**
 * Changes what every database is opened from, while its layer is built: how test layers put themselves between an
 * engine and its driver.
 *
 * @since 0.1.0
 * @category fiber refs
 */
export const currentOpening: FiberRef.FiberRef<(opening: Opening) => Opening> = globalValue(
  "dblive/Db/currentOpening",
  () => FiberRef.unsafeMake<(opening: Opening) => Opening>(identity)
)

/**
 * Opens a database with a driver: everything behind the layers. It is closed with the scope: new sessions are refused,
 * running ones are waited for up to `closeTimeout`, then cut.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  given: DbConfig.DbConfig,
  makeGivenDriver: Driver.Make<DbConfig.DbConfig>
): Effect.Effect<
  { readonly database: Database; readonly services: Context.Context<never> },
  DbError,
  Scope.Scope | Reactivity.Reactivity
> =>
  Effect.gen(function*() {
    const change = yield* FiberRef.get(currentOpening)
    const { config, makeDriver } = change({ config: given, makeDriver: makeGivenDriver })
    const driver = creating(yield* makeDriver(config), config)
    const runtime = yield* Effect.runtime<never>()
    const clock = yield* Effect.clock
    const started = clock.unsafeCurrentTimeMillis()
    const random = yield* Effect.random
    const runFork = Runtime.runFork(runtime)
    const engine = new Engine(
      config,
      driver,
      clock,
      // Layers are built where interruption is masked; what runs beside them must not inherit that.
      (effect) => runFork(Effect.interruptible(effect)),
      () => Effect.runSync(random.next),
      { openSchedule: DbRetry.connection }
    )
    engine.client = yield* Client.make(engine)
    yield* Effect.acquireRelease(
      Effect.sync(() => [register(config.name, () => engine.snapshot), Gauges.watch(config.name, engine)]),
      (registered) => Effect.sync(() => registered.forEach((unregister) => unregister()))
    )
    yield* Effect.addFinalizer(() => engine.close)
    if (config.connectOnStart) {
      yield* engine.pool.openOne
    }
    engine.metrics.engineCreated()
    const { acquireTimeout, maxLifetime, overflow, size, validateAfter } = config.pool
    // Tests open a database every moment.
    yield* engine.log.line(config.environment === "test" ? LogLevel.Debug : LogLevel.Info, "database opened", {
      operation: "open",
      engine: engine.metrics.engineCreations,
      durationMillis: clock.unsafeCurrentTimeMillis() - started,
      type: config.type,
      uri: driver.target.uri,
      "pool.size": size,
      "pool.overflow": overflow,
      "pool.acquireTimeout": acquireTimeout,
      "pool.validateAfter": validateAfter,
      "pool.maxLifetime": maxLifetime
    })
    const services = yield* driver.services({
      client: engine.client,
      database: config.name,
      connection: reserveSession(engine).pipe(
        Effect.map((session) => session.connection),
        Effect.mapError(toSql)
      )
    })
    const database: Database = {
      [TypeId]: engine,
      name: config.name,
      sql: engine.client,
      health: DbHealth.make(
        {
          name: config.name,
          type: config.type,
          probe: engine.probe,
          pool: () => engine.pool.figures,
          timedOutAt: () => engine.pool.timedOutAt,
          migrations: Effect.suspend(() => database.migrations)
        },
        config.health,
        clock,
        engine.fork
      ),
      migrations: Effect.succeed(null)
    }
    return { database, services }
  })

/**
 * Opens a database as its layers do, in a scope: with the driver of its type.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (config: DbConfig.DbConfig): ReturnType<typeof make> =>
  Effect.flatMap(loadDriver(config), (makeDriver) => make(config, makeDriver))

const toSql = (error: DbError): SqlError => new SqlError({ cause: error.cause ?? error, message: error.message })

// -----------------------------------------------------------------------------
// tags
// -----------------------------------------------------------------------------

const typed = (database: string) => <E>(error: E): Typed<E> =>
  // What is no `SqlError` stays what it is, which is what `Typed` says.
  (error instanceof SqlError ? fromSqlError(error, database) : error) as Typed<E>

const classify = (database: string) => (error: unknown): DbError | undefined => {
  if (error instanceof SqlError) {
    return fromSqlError(error, database)
  }
  return isTyped(error) ? error : undefined
}

const isTyped = (error: unknown): error is DbError =>
  typeof error === "object" && error !== null && "_tag" in error && "outcome" in error &&
  (error._tag === "ConnectionError" || error._tag === "QueryError" || error._tag === "TimeoutError")

const millis = (duration: Duration.DurationInput | undefined): number | undefined =>
  duration === undefined ? undefined : Duration.toMillis(duration)

const compileParams = (
  engine: Engine,
  text: string,
  params: Params | undefined
): Either.Either<readonly [string, ReadonlyArray<unknown>], QueryError> => {
  if (Array.isArray(params)) {
    return Either.right([text, params])
  }
  return Either.mapLeft(
    // An array was dealt with above; what is left is a record, or nothing.
    NamedParams.compile(text, params as Readonly<Record<string, unknown>> | undefined, engine.driver.dialect),
    (problem) =>
      new QueryError({
        message: `database "${engine.name}": ${problem}`,
        reason: "Parameter",
        outcome: "NotSent",
        database: engine.name,
        statement: text
      })
  )
}

/** The statements as one list, where the database takes such and there is nothing to be said against any of them. */
const batched = (engine: Engine, fiber: AnyFiber, statements: ReadonlyArray<readonly [string, Params?]>) => {
  const frame = frameOf(engine, fiber)
  const list: Array<Batch.Listed> = []
  for (const [text, params] of statements) {
    const compiled = compileParams(engine, text, params)
    if (Either.isLeft(compiled)) {
      return undefined
    }
    list.push(compiled.right)
  }
  return frame && Batch.run(engine, fiber, frame, list, statementLimit(engine.config, fiber))
}

/** A database whose access is read-only has no other transactions: READ WRITE would lift what its server refuses. */
const within = (engine: Engine, options: Driver.BeginOptions): Driver.BeginOptions =>
  engine.config.access === "read-only" ? { ...options, readOnly: true } : options

const handle = (engine: Engine, session: EngineSession, sql: SqlClient.SqlClient): Session => ({
  number: session.number,
  sql,
  use: (effect) =>
    Effect.mapError(
      Effect.suspend(() => inFrame(engine, session.innermost, undefined, effect)),
      typed(engine.name)
      // `inFrame` provides the client.
    ) as never,
  begin: (options = {}) =>
    Effect.suspend(() => {
      const { readOnly } = within(engine, options)
      const begin = engine.driver.transaction.begin({ ...options, readOnly })
      if (typeof begin !== "string") {
        return Effect.fail(unsupportedOption(engine.name, begin.unsupported))
      }
      return beginInnermost(session, begin, { ...options, readOnly })
    }),
  commit: endInnermost(engine, session, "commit"),
  rollback: endInnermost(engine, session, "rollback")
})

/** What is not even sent is a failure, too. */
const refused = (engine: Engine, fiber: AnyFiber, error: DbError): Effect.Effect<never, DbError> => {
  engine.failed(error, fiber)
  return Effect.fail(error)
}

const infoOf = (engine: Engine): DbHealth.Info => {
  const { connectionFailures, engineCreations, pool, sessions } = engine.snapshot
  return {
    name: engine.name,
    type: engine.config.type,
    uri: engine.driver.target.uri,
    access: engine.config.access,
    primaryKey: DbKey.primaryKey(engine.config.type),
    serverVersion: engine.serverVersion,
    processId: process.pid,
    threadId,
    workerId,
    opened: engine.serverVersion !== undefined,
    engineCreations,
    sessions,
    connectionFailures,
    pool
  }
}

const members = <Self>(tag: Context.Tag<Self, Database>): Members<Self> => {
  // What `R` says of an effect, its fiber's context holds.
  const engineOf = (fiber: AnyFiber): Engine =>
    Context.unsafeGet(fiber.currentContext as Context.Context<Self>, tag)[TypeId]
  const withEngine = <A, E, R>(f: (engine: Engine) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Self> =>
    Effect.withFiberRuntime<A, E, R | Self>((fiber) => f(engineOf(fiber)))
  const transaction: Members<Self>["transaction"] = (options = {}) => {
    const { retry, timeout, ...rest } = options
    return (effect) =>
      withEngine((engine) =>
        Effect.mapError(
          withTransaction(
            engine,
            effect,
            { ...within(engine, rest), retry, timeout: millis(timeout) },
            identity,
            classify(engine.name)
          ),
          typed(engine.name)
        )
        // Whole or not at all; and `SqlClient` is provided to the effect by its frame.
      ) as never
  }
  const query: Members<Self>["query"] = (text, params, options) =>
    withEngine((engine) =>
      Effect.withFiberRuntime<unknown, DbError>((fiber) => {
        const compiled = compileParams(engine, text, params)
        if (Either.isLeft(compiled)) {
          return refused(engine, fiber, compiled.left)
        }
        const [sql, values] = compiled.right
        if (options?.timeout !== undefined && engine.driver.capabilities.synchronous) {
          return refused(
            engine,
            fiber,
            new ConnectionError({
              message:
                `database "${engine.name}": a statement cannot be stopped in this process, so its timeout could not ` +
                "be kept: open the database with `threads`",
              reason: "Unsupported",
              outcome: "NotSent",
              database: engine.name
            })
          )
        }
        const limit = millis(options?.timeout) ?? statementLimit(engine.config, fiber)
        return Sending.query(engine, fiber, sql, values, limit)
      })
      // The rows' type is the caller's word.
    ) as never
  return {
    session: (effect) =>
      // At run time the context holds what `R` says.
      withSession(engineOf, effect, (error, { name }) => typed(name)(error)) as never,
    scoped: withEngine((engine) =>
      Effect.flatMap(reserveSession(engine), (session) =>
        Effect.map(
          Effect.provide(Client.make(engine, session), Reactivity.layer),
          (sql) => handle(engine, session, sql)
        ))
    ),
    transaction,
    query,
    batch: (statements, options) =>
      transaction(options)(
        withEngine((engine) =>
          Effect.withFiberRuntime<unknown, DbError, Self>((fiber) =>
            batched(engine, fiber, statements) ?? Effect.forEach(statements, ([text, params]) => query(text, params))
          )
        )
      ) as never,
    retry: ((
      input?: Schedule.Schedule<unknown, DbError> | {
        readonly idempotent: true
        readonly schedule?: Schedule.Schedule<unknown, DbError>
      }
    ) => {
      const isOptions = input !== undefined && "idempotent" in input
      const schedule = (isOptions ? input.schedule : input) ?? DbRetry.transient
      return (effect: Effect.Effect<unknown, unknown, unknown>) =>
        withEngine((engine) =>
          Effect.withFiberRuntime<unknown, unknown, unknown>((fiber) => {
            const frame = frameOf(engine, fiber)
            // Inside a transaction only the whole of it could be run again.
            return frame !== undefined && frame.kind !== "session"
              ? effect
              : retried(engine, effect, schedule, classify(engine.name), { isIdempotent: isOptions })
          })
        )
    }) as Members<Self>["retry"],
    withTimeout: (duration) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.flatMap(Effect.clock, (clock) =>
        Effect.withFiberRuntime<A, E, R>((fiber) => {
          const limit = Duration.toMillis(duration)
          const at = clock.unsafeCurrentTimeMillis() + limit
          const around = fiber.getFiberRef(currentDeadline)
          return around !== undefined && around.at <= at
            ? effect
            : Effect.locally(effect, currentDeadline, { at, limit })
        })),
    withLimits: (limits) => (effect) =>
      Effect.locallyWith(effect, currentLimits, (around) => ({
        ...around,
        ...(limits.statementTimeout === undefined
          ? {}
          : { statementTimeout: Duration.toMillis(limits.statementTimeout) }),
        ...(limits.transactionTimeout === undefined
          ? {}
          : { transactionTimeout: Duration.toMillis(limits.transactionTimeout) })
      })),
    sql: withEngine((engine) => Effect.succeed(engine.client)),
    health: Effect.flatMap(tag, (database) => database.health),
    ping: withEngine((engine) => engine.ping),
    pool: withEngine((engine) => Effect.sync(() => ({ ...engine.pool.figures, holders: engine.pool.holders }))),
    info: withEngine((engine) => Effect.sync(() => infoOf(engine))),
    metrics: withEngine((engine) => Effect.sync(() => engine.snapshot)),
    watchMigrations: (status) =>
      Effect.map(tag, (database) => {
        database.migrations = status
      })
  }
}

/** What the layers of one tag provide. */
const layers = <Self>(tag: Context.Tag<Self, Database>, name: string, isDefault: boolean) => {
  const open = (
    config: Effect.Effect<DbConfig.DbConfig, ConfigError>,
    load: (config: DbConfig.DbConfig) => Effect.Effect<Driver.Make<DbConfig.DbConfig>, ConnectionError> = loadDriver
  ) =>
    Layer.scopedContext(Effect.gen(function*() {
      const resolved = yield* config
      const { database, services } = yield* make(resolved, yield* load(resolved))
      const own = Context.make(tag, database).pipe(Context.add(DbMetrics, registry))
      // A named database must not take the place of the default one's client.
      return isDefault
        ? Context.mergeAll(own, Context.make(SqlClient.SqlClient, database.sql), services)
        : own
    })).pipe(Layer.provide(Reactivity.layer))
  return {
    layer: (options: DbConfig.Options) => open(DbConfig.resolve(name, options)),
    layerConfig: (options: Config.Config.Wrap<DbConfig.Options>) =>
      open(Effect.flatMap(Config.unwrap(options), (options) => DbConfig.resolve(name, options))),
    layerDriver: (options: DbConfig.Options, driver: Driver.Make<DbConfig.DbConfig>) =>
      open(DbConfig.resolve(name, options), () => Effect.succeed(driver)),
    live: open(DbConfig.fromEnv(name))
  }
}

/**
 * A named database: a tag of the same shape as `Db`.
 *
 * @example
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 *
 * class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}
 *
 * const count = SurveyHub.query("SELECT count(*) AS n FROM survey WHERE year = :year", { year: 2026 })
 *
 * const program = count.pipe(Effect.provide(SurveyHub.layer({ url: "sqlite://:memory:" })))
 *
 * @since 0.1.0
 * @category constructors
 */
export const Tag = <const Name extends string>(name: Name) => <Self>(): TagClass<Self, Name> => makeTag(name, false)

const makeTag = <Self, Name extends string, Provided>(
  name: Name,
  isDefault: boolean
): TagClass<Self, Name, Provided> => {
  const tag = Context.Tag(`dblive/Db/${name}`)<Self, Database>()
  // The members and layers complete the tag to what `TagClass` says; a class's static side cannot be written as a type.
  return Object.assign(tag, members(tag), layers(tag, name, isDefault)) as unknown as TagClass<Self, Name, Provided>
}

/**
 * The default database: the tag named "default".
 *
 * @example
 * import { SqlClient } from "@effect/sql"
 * import { Effect } from "effect"
 * import { Db, DbLive } from "dblive"
 *
 * const notes = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT id, body FROM note`
 * }).pipe(Db.session)
 *
 * const program = notes.pipe(Effect.provide(DbLive))
 *
 * @since 0.1.0
 * @category tags
 */
export class Db extends makeTag<Db, "default", Db | SqlClient.SqlClient | DbMetrics>("default", true) {
  /**
   * Makes the tag of a named database.
   *
   * @since 0.1.0
   */
  static readonly Tag = Tag
}

/**
 * Opens the default database as the environment says: `DATABASE_URL`, or `DATABASE_*`; with none of them an embedded
 * SQLite file in development, and an error in production.
 *
 * Fails with `ConfigError` when the configuration is wrong, and, since it connects at once, with `ConnectionError` or
 * `TimeoutError` (phase `Connect`) when the database cannot be reached.
 *
 * @since 0.1.0
 * @category layers
 */
export const DbLive: Layer.Layer<Db | SqlClient.SqlClient | DbMetrics, LayerError> = Db.live
