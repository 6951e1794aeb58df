/**
 * What a database is configured with: options, defaults, presets, URLs and environment variables.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as internalDotenv from "./internal/config/dotenv.js"
import * as environment from "./internal/config/environment.js"
import { all, fault } from "./internal/config/faults.js"
import type { DbConfig } from "./internal/config/model.js"
import type { Options } from "./internal/config/options.js"
import * as internalResolve from "./internal/config/resolve.js"
import type { Setting } from "./internal/config/table.js"
import { table } from "./internal/config/table.js"
import * as internalUri from "./internal/config/uri.js"
import * as url from "./internal/config/url.js"

export type {
  ChannelBinding,
  DatabaseType,
  Environment,
  JsonNumbers,
  Pem,
  Secret,
  SqliteModule,
  SslMode,
  TargetSessionAttrs,
  TlsOptions,
  TypeParsers
} from "./internal/config/values.js"

export type {
  HealthOptions,
  LimitOptions,
  LogOptions,
  Options,
  PoolOptions,
  ReplicaOptions,
  ReplicationOptions,
  SheddingOptions,
  TracingOptions
} from "./internal/config/options.js"

export type { DbConfig, Health, Host, Limits, Log, Pool, Replication, Tracing } from "./internal/config/model.js"

export type { Setting } from "./internal/config/table.js"

/**
 * Checks options and fills in defaults. All faults are reported at once.
 *
 * The environment comes from `APP_ENV`, else `NODE_ENV`, else it is development; a test worker (`DBLIVE_WORKER`, or
 * Vitest's) of the test environment has defaults of its own, and its `applicationName` becomes `{app}_test_{worker}_{pid}`. These
 * variables are asked of the `ConfigProvider` first and of the process second.
 *
 * With neither `url` nor `type` nor any part of an address, an SQLite file in the current folder is meant, except in
 * production, where that is a fault.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resolve: (
  name: string,
  options: Options
) => Effect.Effect<DbConfig, ConfigError.ConfigError> = (name, options) => internalResolve.resolve(name, options)

/**
 * Reads a URL as options. A fault names the part that cannot be read and what is accepted; it never repeats the URL.
 *
 * @example
 * ```ts
 * import { DbConfig } from "dblive"
 *
 * DbConfig.parseUrl("postgresql+asyncpg://app:secret@db-1:5432,db-2:5433/orders?sslmode=verify-full")
 * DbConfig.parseUrl("sqlite:///data/app.db?mode=ro")
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const parseUrl = (text: string): Either.Either<Options, ConfigError.ConfigError> =>
  Either.mapLeft(
    url.parse(text),
    ([first, ...others]) => all([fault("url", first), ...others.map((problem) => fault("url", problem))])
  )

/**
 * The options of a database as variables give them, through whatever `ConfigProvider` is current. What wins, from the
 * first to the last, for the database `NAME` (`SurveyHub` is `SURVEY_HUB` or `SURVEYHUB`) in `ENVIRONMENT`:
 *
 * 1. `{ENVIRONMENT}_GLOBAL_{NAME}_*`, such as `PRODUCTION_GLOBAL_SURVEY_HUB_CONNECTION_STRING`
 * 2. `{NAME}_DATABASE_*`, such as `SURVEY_HUB_DATABASE_URL`
 * 3. for the database "default": `DATABASE_*`
 * 4. for pool and limits: `{ENVIRONMENT}_GLOBAL_DATABASE_*`, and `{ENVIRONMENT}_GLOBAL_CONNECTION_POOL_SIZE`
 * 5. the parts of the URL
 * 6. the defaults of the environment
 *
 * The parts of an address (host, user, password, ...) are looked for down to the place where the URL was found and no
 * further. An empty variable counts as missing. `..._FILE` names a file that holds the value; of user names and
 * passwords it is read again for every new connection.
 *
 * Fails with all faults at once, each with its variable, what it held (unless secret), what is accepted and an example.
 *
 * @since 0.1.0
 * @category constructors
 */
export const config = (name: string): Config.Config<Options> => environment.config(name)

/**
 * The complete configuration of a database, from variables alone: {@link config}, then {@link resolve}, with the faults
 * of both at once. Variables that look like typos of known ones are warned of in the log.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromEnv = (name: string): Effect.Effect<DbConfig, ConfigError.ConfigError> => environment.fromEnv(name)

/**
 * Adds the files `.env.{environment}` and `.env` of a folder to the current `ConfigProvider`: what it has itself (the
 * process's environment, unless another is set) wins, then the first file, then the second. Missing files are fine. A
 * URL found in one of them is not changed by a host, user or password of a later one.
 *
 * @example
 * ```ts
 * import { DbConfig, DbLive } from "dblive"
 * import { Layer } from "effect"
 *
 * const live = DbLive.pipe(Layer.provide(DbConfig.dotenv(".")))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const dotenv: (folder: string) => Layer.Layer<never, ConfigError.ConfigError> = internalDotenv.dotenv

/**
 * What names the database, as a URI without password and parameters. {@link parseUrl} reads it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const uri: (config: DbConfig) => string = internalUri.uri

/**
 * Every setting that has a variable, in the order of the documentation.
 *
 * @since 0.1.0
 * @category constants
 */
export const settings: ReadonlyArray<Setting> = table
