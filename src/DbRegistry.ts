/**
 * All configured databases by name, where names are known only at run time: tenants, shards, whatever an environment
 * file lists. A database that the program knows by name is better a tag (`Db.Tag`): then the types say what needs it.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Database } from "./Db.js"
import { Db } from "./Db.js"
import * as DbConfig from "./DbConfig.js"
import type { DbError } from "./DbError.js"
import type * as DbHealth from "./DbHealth.js"
import { DbMetrics, registry } from "./DbMetrics.js"
import { configured } from "./internal/config/names.js"
import { nearest } from "./internal/config/nearest.js"
import { engineOf } from "./internal/database/Database.js"
import { open } from "./internal/database/Opening.js"
import * as OpenPools from "./internal/registry/OpenPools.js"
import { SharedDatabases } from "./internal/registry/SharedDatabases.js"

/**
 * No database of this name is configured. The message lists those that are.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownDatabaseError extends Schema.TaggedError<UnknownDatabaseError>("dblive/UnknownDatabaseError")(
  "UnknownDatabaseError",
  {
    message: Schema.String,
    /** The name that was asked for. */
    database: Schema.String,
    /** The names there are. */
    known: Schema.Array(Schema.String)
  }
) {}

/**
 * What goes wrong when a database is asked for by name: there is none, or it cannot be opened.
 *
 * @since 0.1.0
 * @category errors
 */
export type OpenError = UnknownDatabaseError | DbError

/**
 * How a registry keeps its databases.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * A database that was not used for this long is closed, and opened again when it is asked for. Defaults to never:
   * it stays open until the layer is closed. An in-memory database is gone with its last connection.
   */
  readonly idleTimeToLive?: Duration.DurationInput | undefined
}

/**
 * The members of {@link DbRegistry}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** All names, whether their databases are open or not. */
  readonly names: ReadonlyArray<string>

  /**
   * The database of a name, held open until the scope closes. It is opened by the first use and shared by all. A failed
   * opening is not remembered: the next use tries again. `SurveyHub` also finds `survey_hub`, which is how variables
   * spell it.
   *
   * Fails with {@link UnknownDatabaseError}, or with what opening it fails with: `ConnectionError`, `TimeoutError`;
   * `ConnectionError` reason `Closed` when the registry's layer is closed.
   */
  readonly get: (name: string) => Effect.Effect<Database, OpenError, Scope.Scope>

  /**
   * Runs an effect that needs `Db` on the database of a name: `Db.session`, `Db.transaction`, `Db.query` and
   * `SqlClient` in it are those of that database. Calls may be nested; the databases never mix.
   */
  readonly use: {
    (name: string): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | OpenError, Exclude<R, Provided>>
    <A, E, R>(effect: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E | OpenError, Exclude<R, Provided>>
  }

  /**
   * A report of each database, by name. Those that are not open are opened for it. Never fails: one that cannot be
   * opened is `unhealthy`. Ends within the limit of a report, 3 seconds, and that of opening, the same once more.
   */
  readonly health: Effect.Effect<Readonly<Record<string, DbHealth.Report>>>

  /**
   * The report of one database, as in `health`; the others are left alone.
   *
   * Fails with {@link UnknownDatabaseError} only.
   */
  readonly healthOf: (name: string) => Effect.Effect<DbHealth.Report, UnknownDatabaseError>
}

/**
 * What {@link use} provides to an effect.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided = Db | SqlClient.SqlClient | DbMetrics

/**
 * All configured databases by name.
 *
 * @since 0.1.0
 * @category tags
 */
export class DbRegistry extends Context.Tag("dblive/DbRegistry")<DbRegistry, Service>() {}

// -----------------------------------------------------------------------------
// the service
// -----------------------------------------------------------------------------

interface Opened {
  readonly database: Database
  /** What `use` provides. */
  readonly context: Context.Context<Provided>
}

const unknown = (name: string, known: ReadonlyArray<string>): UnknownDatabaseError => {
  const meant = nearest(name, known)
  return new UnknownDatabaseError({
    message: `no database "${name}" is configured` + (meant === undefined ? "" : ` (is "${meant}" meant?)`) +
      `; known: ${known.length === 0 ? "none" : known.join(", ")}`,
    database: name,
    known
  })
}

const acquire = (
  databases: SharedDatabases<Opened>,
  name: string
): Effect.Effect<Opened, OpenError, Scope.Scope> =>
  Effect.suspend((): Effect.Effect<Opened, OpenError, Scope.Scope> => {
    const known = databases.find(name)
    return known === undefined ? Effect.fail(unknown(name, databases.names)) : databases.acquire(known)
  })

/** The report of a database that could not be opened. */
const unopened = (name: string, type: string, error: string, millis: number, now: number): DbHealth.Report => ({
  databaseName: name,
  databaseType: type,
  status: "unhealthy",
  connection: false,
  queryTest: false,
  responseTimeMillis: millis,
  pool: {
    size: 0,
    capacity: 0,
    open: 0,
    idle: 0,
    inUse: 0,
    opening: 0,
    waiting: 0,
    overflow: 0,
    invalidated: 0,
    timeouts: 0,
    longestWaitMillis: 0
  },
  migrationStatus: null,
  error,
  timestamp: new Date(now)
})

const reportOf = (databases: SharedDatabases<Opened>, name: string): Effect.Effect<DbHealth.Report> =>
  Effect.scopedWith((scope) =>
    Effect.flatMap(Effect.clock, (clock) => {
      const started = clock.unsafeCurrentTimeMillis()
      const { timeout } = databases.configOf(name).health
      const failed = (error: string) => {
        const now = clock.unsafeCurrentTimeMillis()
        return unopened(name, databases.configOf(name).type, error, now - started, now)
      }
      return Scope.extend(acquire(databases, name), scope).pipe(
        Effect.timeoutOption(timeout),
        Effect.matchEffect({
          onFailure: (error) => Effect.succeed(failed(error.message)),
          onSuccess: Option.match({
            onNone: () => Effect.succeed(failed(`the database was not open within ${timeout} ms`)),
            onSome: ({ database }) => database.health
          })
        })
      )
    })
  )

/**
 * Makes a registry of databases with these configurations. It opens none of them. They are closed with the scope, all at
 * once, each as its own layer would.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  configs: ReadonlyArray<DbConfig.DbConfig>,
  options: Options = {}
): Effect.Effect<Service, never, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function*() {
    const runtime = yield* Effect.runtime<Reactivity.Reactivity>()
    const reactivity = yield* Reactivity.Reactivity
    const runFork = Runtime.runFork(runtime)
    const databases = new SharedDatabases<Opened>(
      configs,
      options.idleTimeToLive === undefined ? Infinity : Duration.toMillis(options.idleTimeToLive),
      // Layers are built where interruption is masked; what is opened later must not inherit that.
      (effect) => runFork(Effect.interruptible(effect)),
      (config) =>
        Effect.map(
          Effect.provideService(open(config), Reactivity.Reactivity, reactivity),
          ({ database, services }): Opened => ({
            database,
            context: Context.mergeAll(
              Context.make(Db, database),
              Context.make(SqlClient.SqlClient, database.sql),
              Context.make(DbMetrics, registry),
              services
            )
          })
        )
    )
    yield* Effect.addFinalizer(() => databases.close)
    const service: Service = {
      names: databases.names,
      get: (name) => Effect.map(acquire(databases, name), ({ database }) => database),
      use: dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, name: string) =>
        Effect.scopedWith((scope) =>
          Effect.flatMap(
            Scope.extend(acquire(databases, name), scope),
            ({ context }) => Effect.provide(effect, context)
          )
        )),
      health: Effect.suspend(() =>
        Effect.map(
          Effect.forEach(
            databases.names,
            (name) => Effect.map(reportOf(databases, name), (report) => [name, report] as const),
            { concurrency: "unbounded" }
          ),
          Object.fromEntries<DbHealth.Report>
        )
      ),
      healthOf: (name) => {
        const known = databases.find(name)
        return known === undefined ? Effect.fail(unknown(name, databases.names)) : reportOf(databases, known)
      }
    }
    return OpenPools.provide(service, (name) => {
      const opened = databases.peek(name)
      return opened && engineOf(opened.database).snapshot.pool
    })
  })

/** The faults of all configurations at once. */
const all = (
  names: ReadonlyArray<string>,
  resolve: (name: string) => Effect.Effect<DbConfig.DbConfig, ConfigError.ConfigError>
): Effect.Effect<ReadonlyArray<DbConfig.DbConfig>, ConfigError.ConfigError> =>
  Effect.flatMap(Effect.forEach(names, (name) => Effect.either(resolve(name))), (results) => {
    const [first, ...others] = results.flatMap((result) => Either.isLeft(result) ? [result.left] : [])
    return first === undefined
      ? Effect.succeed(results.flatMap((result) => Either.isRight(result) ? [result.right] : []))
      : Effect.fail(others.reduce(ConfigError.And, first))
  })

const scoped = (
  configs: Effect.Effect<ReadonlyArray<DbConfig.DbConfig>, ConfigError.ConfigError>,
  options: Options | undefined
): Layer.Layer<DbRegistry, ConfigError.ConfigError> =>
  Layer.provide(
    Layer.scoped(DbRegistry, Effect.flatMap(configs, (configs) => make(configs, options))),
    Reactivity.layer
  )

/**
 * A registry of databases with these options, by name. Fails with the faults of all of them at once; the path of each
 * begins with the database's name.
 *
 * @example
 * ```ts
 * import { Db, DbRegistry } from "dblive"
 * import { Effect } from "effect"
 *
 * const count = Db.query<{ n: number }>("SELECT count(*) AS n FROM survey")
 *
 * const program = Effect.gen(function*() {
 *   const names = yield* DbRegistry.names
 *   return yield* Effect.forEach(names, (name) => count.pipe(DbRegistry.use(name)))
 * })
 *
 * program.pipe(Effect.provide(DbRegistry.layer({
 *   north: { url: "postgres://localhost/north" },
 *   south: { url: "sqlite:///south.db" }
 * })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  databases: Readonly<Record<string, DbConfig.Options>>,
  options?: Options
): Layer.Layer<DbRegistry, ConfigError.ConfigError> =>
  scoped(
    all(Object.keys(databases), (name) =>
      Effect.mapError(DbConfig.resolve(name, databases[name]!), ConfigError.prefixed([name]))),
    options
  )

/**
 * A registry of databases with these names, each configured by the environment as `Db.Tag(name)` would be.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNames = (
  names: ReadonlyArray<string>,
  options?: Options
): Layer.Layer<DbRegistry, ConfigError.ConfigError> => scoped(all(names, DbConfig.fromEnv), options)

/**
 * A registry of all databases that the environment configures: `SURVEY_HUB_DATABASE_URL` or
 * `PRODUCTION_GLOBAL_SURVEY_HUB_CONNECTION_STRING` (also `..._TYPE`) make `survey_hub`, and `DATABASE_*` makes `default`,
 * which outside production needs no variable.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEnv: Layer.Layer<DbRegistry, ConfigError.ConfigError> = scoped(
  Effect.flatMap(configured, (names) => all(names, DbConfig.fromEnv)),
  undefined
)

// -----------------------------------------------------------------------------
// accessors
// -----------------------------------------------------------------------------

/**
 * All names, whether their databases are open or not.
 *
 * @since 0.1.0
 * @category accessors
 */
export const names: Effect.Effect<ReadonlyArray<string>, never, DbRegistry> = Effect.map(DbRegistry, (_) => _.names)

/**
 * The database of a name, held open until the scope closes: see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (name: string): Effect.Effect<Database, OpenError, DbRegistry | Scope.Scope> =>
  Effect.flatMap(DbRegistry, (_) => _.get(name))

/**
 * Runs an effect that needs `Db` on the database of a name: see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const use: {
  (
    name: string
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | OpenError, Exclude<R, Provided> | DbRegistry>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    name: string
  ): Effect.Effect<A, E | OpenError, Exclude<R, Provided> | DbRegistry>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, name: string) => Effect.flatMap(DbRegistry, (_) => _.use(effect, name))
)

/**
 * A report of each database, by name: see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const health: Effect.Effect<Readonly<Record<string, DbHealth.Report>>, never, DbRegistry> = Effect.flatMap(
  DbRegistry,
  (_) => _.health
)

/**
 * The report of one database: see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const healthOf = (name: string): Effect.Effect<DbHealth.Report, UnknownDatabaseError, DbRegistry> =>
  Effect.flatMap(DbRegistry, (_) => _.healthOf(name))
