/**
 * What a database is configured with: options, defaults, presets, URLs and environment variables.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as internalDotenv from "./internal/config/dotenv.js"
import * as environment from "./internal/config/environment.js"
import { all, fault } from "./internal/config/faults.js"
import * as internalResolve from "./internal/config/resolve.js"
import * as internalSettings from "./internal/config/settings.js"
import * as internalUri from "./internal/config/uri.js"
import * as url from "./internal/config/url.js"

/**
 * The database families `dblive` speaks to.
 *
 * @since 0.1.0
 * @category models
 */
export type DatabaseType = "sqlite" | "postgresql" | "mysql" | "mariadb" | "mssql"

/**
 * Which preset of defaults applies.
 *
 * @since 0.1.0
 * @category models
 */
export type Environment = "production" | "development" | "test"

/**
 * What opens SQLite files.
 *
 * @since 0.2.0
 * @category models
 */
export type SqliteModule = "auto" | "better-sqlite3" | "node:sqlite"

/**
 * How much of TLS is asked for, with libpq's meaning of the words.
 *
 * @since 0.1.0
 * @category models
 */
export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full"

/**
 * A certificate or a key, as text or bytes, or several.
 *
 * @since 0.2.0
 * @category models
 */
export type Pem = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/**
 * Options of TLS, as `node:tls` takes them: what of its `ConnectionOptions` makes sense for a client of a database.
 *
 * They ask for TLS. The server's certificate is checked, with its name, unless `rejectUnauthorized` is `false`.
 *
 * @since 0.2.0
 * @category models
 */
export interface TlsOptions {
  /** The certificate authorities, where the system's are not meant. Defaults to those that Node brings. */
  readonly ca?: Pem | undefined
  /** The client's certificate, with those between it and its authority. Defaults to none. */
  readonly cert?: Pem | undefined
  /** A PKCS #12 archive. Never shown. */
  readonly pfx?: Pem | undefined
  /** The name that is asked for (SNI), and that the certificate has to bear. Defaults to the host. */
  readonly servername?: string | undefined
  /** `false`: any certificate is taken, as in the mode `require`. Defaults to true. */
  readonly rejectUnauthorized?: boolean | undefined
  /**
   * A check of one's own in place of that of the certificate's name; an error that it returns ends the connection. `node:tls`
   * gives it a `PeerCertificate`; without Node's types that has no name here.
   */
  readonly checkServerIdentity?: ((hostname: string, certificate: never) => Error | undefined) | undefined
  /** The lowest version of the protocol. Defaults to Node's (`tls.DEFAULT_MIN_VERSION`). */
  readonly minVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined
  /** The highest version of the protocol. Defaults to Node's (`tls.DEFAULT_MAX_VERSION`). */
  readonly maxVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined
  /** The ciphers, in OpenSSL's words. Defaults to Node's (`tls.DEFAULT_CIPHERS`). */
  readonly ciphers?: string | undefined
  /** The key of `cert`. Never shown. */
  readonly key?: Pem | Redacted.Redacted<string> | undefined
  /** The passphrase of the key or of `pfx`. Never shown. */
  readonly passphrase?: string | Redacted.Redacted<string> | undefined
}

/**
 * Which of several PostgreSQL hosts is taken, in libpq's words.
 *
 * @since 0.1.0
 * @category models
 */
export type TargetSessionAttrs = "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby"

/**
 * Whether the password's proof is bound to the TLS channel, in libpq's words.
 *
 * @since 0.1.0
 * @category models
 */
export type ChannelBinding = "disable" | "prefer" | "require"

/**
 * A secret that may change while the program runs: an effect is asked again for every new connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Secret = Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, unknown>

/**
 * How PostgreSQL's types are read, where they are not to be read as dblive reads them: `pg`'s own `types` has this shape.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypeParsers {
  /**
   * What reads the text of a value of the type with this oid, which is never NULL. `undefined`, or a parser of `pg`'s own, leaves
   * the type to dblive. What it throws is the statement's failure.
   */
  readonly getTypeParser: (oid: number, format: "text") => ((text: string) => unknown) | undefined
}

/**
 * What becomes of a number in JSON that a double cannot hold: an integer beyond 2^53, a long decimal, `1e400`.
 *
 * - `exact`: an object of a class that extends `Number`. It counts as the nearest double (`valueOf`), prints its digits
 *   (`String(n)`), and is written back with them.
 * - `bigint`: the same, but integers are `bigint`s.
 * - `refuse`: the statement fails with a `QueryError` of reason `DataError`.
 * - `number`: the nearest double, as `JSON.parse` makes it.
 *
 * @since 0.2.0
 * @category models
 */
export type JsonNumbers = "exact" | "bigint" | "refuse" | "number"

/**
 * The pool's settings, as given.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolOptions {
  /**
   * Connections kept. Defaults to 10 in production, 5 in development, 1 in a test worker. For SQLite: readers beside
   * the one writer.
   */
  readonly size?: number | undefined
  /** Further connections under load. Defaults to 20 in production, 10 in development, 1 in a test worker. */
  readonly overflow?: number | undefined
  /** How long an overflow connection stays when idle. Defaults to 10 seconds. */
  readonly overflowIdle?: Duration.DurationInput | undefined
  /** The longest wait for a connection. Defaults to 10 seconds. */
  readonly acquireTimeout?: Duration.DurationInput | undefined
  /** The longest opening of one connection. Defaults to 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * A connection idle for this long is pinged before it is lent; 0: each is, also one that goes from one session straight to
   * the next, which costs every session a round trip. Defaults to 500 ms, 0 in a test worker.
   */
  readonly validateAfter?: Duration.DurationInput | undefined
  /** A connection is replaced at this age, less up to 10 % jitter. Defaults to 1 hour. */
  readonly maxLifetime?: Duration.DurationInput | undefined
  /** Idle connections above `minIdle` are closed after this. Defaults to 10 minutes. */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /** Idle connections that `idleTimeout` leaves. Defaults to 1, 0 in a test worker. */
  readonly minIdle?: number | undefined
  /** Idle connections are pinged this often; 0: never. Defaults to 2 minutes in production, else 0. */
  readonly keepalive?: Duration.DurationInput | undefined
  /**
   * A connection held this long is reported; 0: never. Defaults to 60 seconds in production, 10 in development, else
   * 0.
   */
  readonly leakThreshold?: Duration.DurationInput | undefined
  /** Waiters beyond this number fail at once. Defaults to 10,000. */
  readonly maxWaiters?: number | undefined
  /** How a connection is cleaned when it comes back. Defaults to `rollback`, `commit` in a test worker. */
  readonly resetOnReturn?: "rollback" | "commit" | "discard" | "none" | undefined
  /**
   * How long closing the layer waits for running sessions. Defaults to 10 seconds, 2 in development, 1 in a test
   * worker.
   */
  readonly closeTimeout?: Duration.DurationInput | undefined
  /**
   * Sheds load when waits stay above `target` for `interval` (CoDel). Defaults to off; where it is given, `target` to
   * 50 ms and `interval` to 1 second.
   */
  readonly shedding?:
    | { readonly target?: Duration.DurationInput; readonly interval?: Duration.DurationInput }
    | false
    | undefined
}

/**
 * The limits of statements and transactions, as given. 0 means no limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface LimitOptions {
  /** A statement. Defaults to 60 seconds; to none for SQLite in this process, which cannot stop one. */
  readonly statementTimeout?: Duration.DurationInput | undefined
  /** Wait for a lock. Defaults to 30 seconds. */
  readonly lockTimeout?: Duration.DurationInput | undefined
  /** A transaction open without a statement. Defaults to 60 seconds. */
  readonly idleInTransactionTimeout?: Duration.DurationInput | undefined
  /** A whole transaction. Defaults to 0 (none). */
  readonly transactionTimeout?: Duration.DurationInput | undefined
}

/**
 * When an answering database is called degraded, and how a health check is bounded, as given.
 *
 * @since 0.1.0
 * @category models
 */
export interface HealthOptions {
  /** An answer slower than this is slow. Defaults to 500 ms. */
  readonly slow?: Duration.DurationInput | undefined
  /** Somebody who waits for a connection longer than this waits long. Defaults to 1 second. */
  readonly longWait?: Duration.DurationInput | undefined
  /** A wait for a connection that reached its limit is recent for this long. Defaults to 30 seconds. */
  readonly recent?: Duration.DurationInput | undefined
  /** The longest check. Defaults to 3 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
  /** How long a report is given again; 0: every caller asks, save those that ask at once. Defaults to 1 second. */
  readonly cache?: Duration.DurationInput | undefined
}

/**
 * What is written to Effect's log, as given.
 *
 * @since 0.1.0
 * @category models
 */
export interface LogOptions {
  /**
   * A statement that takes longer is logged as a warning, and remembered; 0: none. Defaults to 1 second, 500 ms in
   * development, 0 in a test worker.
   */
  readonly slowStatement?: Duration.DurationInput | undefined
  /**
   * Every statement and every end of a transaction is logged, by the fiber that ran it: its log annotations, such as the
   * user of a request, say on whose behalf. Texts, never values. Defaults to false.
   */
  readonly audit?: boolean | undefined
}

/**
 * What statements carry for whoever follows a request, as given.
 *
 * @since 0.1.0
 * @category models
 */
export interface TracingOptions {
  /**
   * Adds a comment to each statement in the format of sqlcommenter: the application, and `traceparent` where a tracer
   * sees the request, so that it is found in the server's log and its list of running statements. A text that differs
   * each time cannot be prepared, so statements with a `traceparent` are not. Not on SQLite. Defaults to false.
   */
  readonly comments?: boolean | undefined
}

/**
 * Everything that can be configured, as given. `url` and the fields may be mixed: a field wins over the URL's part.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The database as one URL; the other options win over its parts. */
  readonly url?: string | Redacted.Redacted<string> | undefined
  /** The database's family. Defaults to that of the URL. */
  readonly type?: DatabaseType | undefined
  /**
   * SQLite: the file, `:memory:`, or the folder of the file `{database}.db` (an existing folder, a path that ends with
   * a slash, or, where `database` is given, a new path that does not end in `.db` or `.sqlite`).
   */
  readonly filename?: string | undefined
  /**
   * A name, an address, or the folder of a unix socket. Several are separated by commas and tried in order; each may
   * have a port of its own (`a:5432,b:5433,[::1]:5434`). SQL Server: `host\\instance` for a named instance.
   */
  readonly host?: string | undefined
  /** Defaults to 5432, 3306 or 1433, as the type says. */
  readonly port?: number | undefined
  /** Name of the database on its server. */
  readonly database?: string | undefined
  /**
   * Put before the database's name (for SQLite: the file's) with a dot, unless it stands there already: `test.payment`
   * makes `test.payment.NAME`.
   */
  readonly prefix?: string | undefined
  /** Who connects. An Effect is asked again for every connection. */
  readonly username?: string | Effect.Effect<string, unknown> | undefined
  /** An Effect is asked again for every connection. Never shown. */
  readonly password?: string | Secret | undefined
  /**
   * `true` is `verify-full`, `false` is `disable`; options of `node:tls` are `verify-full`, or `require` with
   * `rejectUnauthorized: false`. The options `sslRootCert`, `sslCert` and `sslKey` fill in what the object does not have; what
   * is given twice, and a URL that asks for no TLS or for a check that the object switches off, is a fault. Defaults to `prefer`,
   * to `verify-full` for SQL Server.
   *
   * @example
   * ```ts
   * import { Db } from "dblive"
   * import { Redacted } from "effect"
   * import { readFileSync } from "node:fs"
   *
   * const live = Db.layer({
   *   url: "postgres://app@10.0.0.7/app",
   *   ssl: {
   *     ca: readFileSync("ca.pem"),
   *     cert: readFileSync("client.pem"),
   *     key: readFileSync("client.key"),
   *     passphrase: Redacted.make("secret"),
   *     // The name in the server's certificate
   *     servername: "db.example.org"
   *   }
   * })
   * ```
   */
  readonly ssl?: boolean | SslMode | TlsOptions | undefined
  /** The certificate authority, where the system's are not meant: PEM text, or the path of a file that holds it. */
  readonly sslRootCert?: string | undefined
  /** The client's certificate: PEM text, or the path of a file that holds it. */
  readonly sslCert?: string | undefined
  /** The key of the client's certificate: PEM text, or the path of a file that holds it. */
  readonly sslKey?: string | Redacted.Redacted<string> | undefined
  /** PostgreSQL: which of several hosts is taken, in libpq's words. Defaults to `any`. */
  readonly targetSessionAttrs?: TargetSessionAttrs | undefined
  /** PostgreSQL: whether the password's proof is bound to the TLS channel, in libpq's words. Defaults to `prefer`. */
  readonly channelBinding?: ChannelBinding | undefined
  /**
   * `read-only`: writes are refused by the server or the driver, transactions begin read-only, migrations are refused.
   * It keeps a program from writing by mistake; against one that means to, only the rights of its user help. Defaults
   * to `read-write`.
   */
  readonly access?: "read-write" | "read-only" | undefined
  /** Names the program to the server. Defaults to `dblive`. */
  readonly applicationName?: string | undefined
  /**
   * Settings of the session (`search_path`, `TimeZone`, ...; for SQLite: pragmas), sent when a connection is opened.
   */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** Statements prepared per connection; 0 switches preparing off. Defaults to 256. */
  readonly prepareCacheSize?: number | undefined
  /**
   * `false` for a pooler in transaction mode: no named prepared statements. On PostgreSQL also: nothing is sent that would
   * be true for one session of the server only; settings go with each transaction, and what would outlast its transaction
   * (SET, LISTEN, temporary tables, locks of the session, migrations) is refused. Defaults to true.
   */
  readonly prepare?: boolean | undefined
  /**
   * SQLite: run statements in this many worker processes, so that they can be stopped. Defaults to 0: in this process.
   */
  readonly threads?: number | undefined
  /**
   * PostgreSQL: parsers of one's own for values of some types. `SafeIntegers` wins for `int8`. Defaults to none.
   *
   * @example
   * ```ts
   * import { Db } from "dblive"
   *
   * const live = Db.layer({
   *   url: "postgres://app@localhost/app",
   *   // int8 as a number
   *   types: { getTypeParser: (oid) => oid === 20 ? Number : undefined }
   * })
   * ```
   */
  readonly types?: TypeParsers | undefined
  /**
   * SQLite: what opens its files. Defaults to `auto`: `better-sqlite3` where it is installed and can be loaded, else
   * `node:sqlite`, where Node has one that can do all (24.16 and later; of 26: 26.1 and later).
   */
  readonly sqliteModule?: SqliteModule | undefined
  /** Renames identifiers on their way into SQL (`sql('createdAt')`). Defaults to none. */
  readonly transformQueryNames?: ((name: string) => string) | undefined
  /** Renames the columns of rows. Defaults to none. */
  readonly transformResultNames?: ((name: string) => string) | undefined
  /** Whether the keys of JSON values are renamed too. Defaults to true. */
  readonly transformJson?: boolean | undefined
  /**
   * PostgreSQL, MySQL, MariaDB: what becomes of a number in JSON that a double cannot hold. Defaults to `exact`, which keeps its
   * digits.
   */
  readonly jsonNumbers?: JsonNumbers | undefined
  /** Added to the spans of statements. */
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  /** How many connections there are, and how they are kept. */
  readonly pool?: PoolOptions | undefined
  /** How long statements, locks and transactions may take. */
  readonly limits?: LimitOptions | undefined
  /** When a database counts as slow, and how long its report is given again. */
  readonly health?: HealthOptions | undefined
  /** What is logged of statements. */
  readonly log?: LogOptions | undefined
  /** What the spans of statements hold. */
  readonly tracing?: TracingOptions | undefined
  /** Open the first connection when the layer is built. Defaults to true. */
  readonly connectOnStart?: boolean | undefined
  /**
   * The database is created when its server has none of its name: the first time that opening a connection shows it.
   * Without `database` it is named after the tag. An SQLite file needs no such permission. Defaults to false.
   */
  readonly createDatabase?: boolean | undefined
  /** Defaults to that of `APP_ENV`, else `NODE_ENV`, else development. */
  readonly environment?: Environment | undefined
}

/**
 * The pool's settings, decoded: durations in milliseconds, 0 for "never".
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool {
  readonly size: number
  readonly overflow: number
  readonly overflowIdle: number
  readonly acquireTimeout: number
  readonly connectTimeout: number
  readonly validateAfter: number
  readonly maxLifetime: number
  readonly idleTimeout: number
  readonly minIdle: number
  readonly keepalive: number
  readonly leakThreshold: number
  readonly maxWaiters: number
  readonly resetOnReturn: "rollback" | "commit" | "discard" | "none"
  readonly closeTimeout: number
  readonly shedding: { readonly target: number; readonly interval: number } | undefined
}

/**
 * The limits, decoded: milliseconds, 0 for "no limit".
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly statementTimeout: number
  readonly lockTimeout: number
  readonly idleInTransactionTimeout: number
  readonly transactionTimeout: number
}

/**
 * When an answering database is called degraded, and how a check is bounded, decoded: milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Health {
  readonly slow: number
  readonly longWait: number
  readonly recent: number
  readonly timeout: number
  readonly cache: number
}

/**
 * What is logged, decoded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Log {
  /** In milliseconds, 0 for none. */
  readonly slowStatement: number
  readonly audit: boolean
}

/**
 * What statements carry, decoded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tracing {
  readonly comments: boolean
}

/**
 * A server to try: hosts are tried in order.
 *
 * @since 0.1.0
 * @category models
 */
export interface Host {
  /** A name, an address, or the folder of a unix socket (begins with `/`). */
  readonly host: string
  readonly port: number
  /** SQL Server: the named instance to look up, where no port was given. */
  readonly instance?: string | undefined
}

/**
 * A complete, checked configuration: what drivers and the engine take.
 *
 * @since 0.1.0
 * @category models
 */
export interface DbConfig {
  /** Name of the database's tag: `default`, or the named one's. */
  readonly name: string
  readonly environment: Environment
  readonly type: DatabaseType
  /** Nothing says which database is meant: it is the embedded file of its name. Defaults to false. */
  readonly isUnconfigured?: boolean | undefined
  /** SQLite only. An absolute path, or `:memory:`. */
  readonly filename: string | undefined
  /** Servers, tried in order; empty for SQLite. */
  readonly hosts: ReadonlyArray<Host>
  /** `target_session_attrs` of libpq. Defaults to `any`. */
  readonly targetSessionAttrs: TargetSessionAttrs
  /** PostgreSQL only: `channel_binding` of libpq. Defaults to `prefer`. */
  readonly channelBinding?: ChannelBinding | undefined
  readonly database: string | undefined
  readonly username: string | Effect.Effect<string, unknown> | undefined
  readonly password: Secret | undefined
  readonly ssl: {
    readonly mode: SslMode
    readonly ca: string | undefined
    readonly cert: string | undefined
    readonly key: Redacted.Redacted<string> | undefined
    /** The options that were given as an object, as Node takes them; they win. Defaults to none. */
    readonly options?: Redacted.Redacted<object> | undefined
  }
  readonly access: "read-write" | "read-only"
  readonly applicationName: string
  readonly settings: Readonly<Record<string, string>>
  /** 0: do not prepare. */
  readonly prepareCacheSize: number
  /** PostgreSQL: `false` behind a pooler in transaction mode. Defaults to `true`. */
  readonly prepare?: boolean | undefined
  readonly threads: number
  /** PostgreSQL only. Defaults to none. */
  readonly types?: TypeParsers | undefined
  readonly transformQueryNames: ((name: string) => string) | undefined
  readonly transformResultNames: ((name: string) => string) | undefined
  readonly transformJson: boolean
  /** Defaults to `exact`. */
  readonly jsonNumbers?: JsonNumbers | undefined
  readonly spanAttributes: Readonly<Record<string, unknown>>
  readonly pool: Pool
  readonly limits: Limits
  readonly health: Health
  readonly log: Log
  readonly tracing: Tracing
  readonly connectOnStart: boolean
  /** Defaults to `auto`. */
  readonly sqliteModule?: SqliteModule | undefined
  /** Defaults to false. */
  readonly createDatabase?: boolean | undefined
}

/**
 * Checks options and fills in defaults. All faults are reported at once.
 *
 * The environment comes from `APP_ENV`, else `NODE_ENV`, else it is development; in a test worker (`DBLIVE_WORKER`, or
 * Vitest's) of the test environment the pool is 1 + 1 and `applicationName` becomes `{app}_test_{worker}_{pid}`. These
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
 * @category diagnostics
 */
export const uri: (config: DbConfig) => string = internalUri.uri

/**
 * One setting, as the table of the documentation shows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Setting {
  /** Its path in {@link Options}, such as `pool.size`. */
  readonly option: string
  /** The variable of the database "default". */
  readonly variable: string
  /** Other names of the variable. */
  readonly aliases: ReadonlyArray<string>
  /** Whether the variable may be given as `..._FILE`, the path of a file that holds the value. */
  readonly file: boolean
  readonly defaults: { readonly production: string; readonly development: string; readonly testWorker: string }
  readonly accepted: string
  readonly meaning: string
  readonly example: string
}

/**
 * Every setting that has a variable, in the order of the documentation.
 *
 * @since 0.1.0
 * @category diagnostics
 */
export const settings: ReadonlyArray<Setting> = internalSettings.table
