/**
 * The options of a database, as they are given. Each property has one row in `settings.ts`; the default that its comment names is that
 * of the row.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type {
  ChannelBinding,
  DatabaseType,
  Environment,
  JsonNumbers,
  Secret,
  SqliteModule,
  SslMode,
  TargetSessionAttrs,
  TlsOptions,
  TypeParsers
} from "./values.js"

/**
 * The pool's settings, as given.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolOptions {
  /**
   * Connections kept. For SQLite: readers beside the one writer. Defaults to 10; development 5; test worker 1.
   */
  readonly size?: number | undefined
  /** Further connections under load. Defaults to 20; development 10; test worker 1. */
  readonly overflow?: number | undefined
  /** How long an overflow connection stays when idle. Defaults to 10 s. */
  readonly overflowIdle?: Duration.DurationInput | undefined
  /** The longest wait for a connection. Defaults to 10 s. */
  readonly acquireTimeout?: Duration.DurationInput | undefined
  /** The longest opening of one connection. Defaults to 5 s. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * A connection idle for this long is pinged before it is used; 0: each is, also one that goes from one session
   * straight to the next, which costs every session a round trip. Defaults to 500 ms; test worker always.
   */
  readonly validateAfter?: Duration.DurationInput | undefined
  /** A connection is replaced at this age, less up to 10 % jitter. Defaults to 1 h. */
  readonly maxLifetime?: Duration.DurationInput | undefined
  /** Idle connections above `minIdle` are closed after this. Defaults to 10 min. */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /** Idle connections that `idleTimeout` leaves. Defaults to 1; test worker 0. */
  readonly minIdle?: number | undefined
  /** Idle connections are pinged this often; 0: never. Defaults to 2 min; development off; test worker off. */
  readonly keepalive?: Duration.DurationInput | undefined
  /**
   * A connection held this long is reported; 0: never. Defaults to 1 min; development 10 s; test worker off.
   */
  readonly leakThreshold?: Duration.DurationInput | undefined
  /** Waiters beyond this number fail at once. Defaults to 10,000. */
  readonly maxWaiters?: number | undefined
  /** How a connection is cleaned when it comes back. Defaults to rollback; test worker commit. */
  readonly resetOnReturn?: "rollback" | "commit" | "discard" | "none" | undefined
  /**
   * Which short statements outside of sessions may share a connection, each for itself: those that only read, all,
   * or none. On PostgreSQL alone; elsewhere the protocol takes one at a time. Defaults to reads.
   */
  readonly sharing?: "reads" | "all" | "off" | undefined
  /** How many statements may share one connection. Defaults to 128. */
  readonly sharingDepth?: number | undefined
  /**
   * How long closing the layer waits for running sessions. Defaults to 10 s; development 2 s; test worker 1 s.
   */
  readonly closeTimeout?: Duration.DurationInput | undefined
  /** Sheds load when waits stay long (CoDel). Defaults to off. */
  readonly shedding?: SheddingOptions | false | undefined
}

/**
 * When the pool sheds load: all waits were longer than `target` for `interval`. One that is not given has its default.
 *
 * @since 0.2.0
 * @category models
 */
export interface SheddingOptions {
  /** A wait longer than this is long. Defaults to 50 ms. */
  readonly target?: Duration.DurationInput | undefined
  /** How long waits have to be long. Defaults to 2 s. */
  readonly interval?: Duration.DurationInput | undefined
}

/**
 * The limits of statements and transactions, as given. 0 means no limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface LimitOptions {
  /** A statement. Defaults to 1 min, for SQLite in this process, which cannot stop one, to none. */
  readonly statementTimeout?: Duration.DurationInput | undefined
  /** Wait for a lock. Defaults to 30 s. */
  readonly lockTimeout?: Duration.DurationInput | undefined
  /** A transaction open without a statement. Defaults to 1 min. */
  readonly idleInTransactionTimeout?: Duration.DurationInput | undefined
  /** A whole transaction. Defaults to off. */
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
  /** A wait for a connection longer than this is long. Defaults to 1 s. */
  readonly longWait?: Duration.DurationInput | undefined
  /** A wait for a connection that reached its limit is recent for this long. Defaults to 30 s. */
  readonly recent?: Duration.DurationInput | undefined
  /** The longest check. Defaults to 3 s. */
  readonly timeout?: Duration.DurationInput | undefined
  /** How long a report is given again; 0: every caller asks, save those that ask at once. Defaults to 1 s. */
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
   * A statement that takes longer is logged as a warning, and remembered; 0: none. Defaults to 1 s; development 500 ms; test worker off.
   */
  readonly slowStatement?: Duration.DurationInput | undefined
  /**
   * Every statement and every end of a transaction is logged, by the fiber that ran it: its log annotations, such as the
   * user of a request, say on whose behalf. Texts, never values. Defaults to false.
   */
  readonly audit?: boolean | undefined
}

/**
 * What statements carry so that a request can be followed, as given.
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
 * A replica of a database, as given.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReplicaOptions {
  /**
   * The replica's URL. What it leaves out is the primary's: database, TLS, parameters, and user and password, which pass together.
   */
  readonly url: string | Redacted.Redacted<string>
  /** Its pool, where that is not to be as the primary's. Defaults to the primary's settings; its connections are its own. */
  readonly pool?: PoolOptions | undefined
}

/**
 * Which replica a read goes to, as given.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReplicationOptions {
  /**
   * How old the data of a read may be. Defaults to off: a read sees at least what its fiber has written or was shown before.
   */
  readonly staleness?: Duration.DurationInput | undefined
  /**
   * How long a read waits for a replica to replay what it has to show, before it goes to the primary; 0: not at all. Defaults to 100 ms.
   */
  readonly waitTimeout?: Duration.DurationInput | undefined
  /** A replica further behind is left out; 0: none is for that. Defaults to 30 s. */
  readonly maxLag?: Duration.DurationInput | undefined
  /** A replica that was left out is tried again after this. Defaults to 5 s. */
  readonly retryAfter?: Duration.DurationInput | undefined
  /** Where a read goes when no replica can serve it: to the primary, or nowhere, with an error. Defaults to `primary`. */
  readonly whenNoReplica?: "primary" | "fail" | undefined
}

/**
 * Everything that can be configured, as given. `url` and the fields may be mixed: a field wins over the URL's part.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The database as one URL; the other options win over its parts. Defaults to none. */
  readonly url?: string | Redacted.Redacted<string> | undefined
  /** The database's family. Defaults to that of the URL; else sqlite outside production. */
  readonly type?: DatabaseType | undefined
  /**
   * SQLite: the file, `:memory:`, or the folder of the file `{database}.db` (an existing folder, a path that ends with
   * a slash, or, where `database` is given, a new path that does not end in `.db` or `.sqlite`). Defaults to the current folder.
   */
  readonly filename?: string | undefined
  /**
   * A name, an address, or the folder of a unix socket. Several are separated by commas and tried in order; each may
   * have a port of its own (`a:5432,b:5433,[::1]:5434`). SQL Server: `host\\instance` for a named instance. Defaults to localhost.
   */
  readonly host?: string | undefined
  /** The server's port. Defaults to 5432, 3306, 1433, as the type says. */
  readonly port?: number | undefined
  /**
   * Name of the database on its server; for SQLite: of its file. Defaults to the server's; SQLite: dblive, or the tag's name.
   */
  readonly database?: string | undefined
  /**
   * Put before the database's name (for SQLite: the file's) with a dot, unless it stands there already: `test.payment`
   * makes `test.payment.NAME`. Defaults to none.
   */
  readonly prefix?: string | undefined
  /** The user's name. An Effect is asked again for every connection. Defaults to the driver's. */
  readonly username?: string | Effect.Effect<string, unknown> | undefined
  /** An Effect is asked again for every connection. Never shown. Defaults to none. */
  readonly password?: string | Secret | undefined
  /**
   * `true` is `verify-full`, `false` is `disable`; options of `node:tls` are `verify-full`, or `require` with
   * `rejectUnauthorized: false`. The options `sslRootCert`, `sslCert` and `sslKey` fill in what the object does not have; what
   * is given twice, and a URL that asks for no TLS or for a check that the object switches off, is a fault. Defaults to `prefer`;
   * SQL Server: `verify-full`.
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
  /** The certificate authority: PEM text, or the path of a file that holds it. Defaults to the system's. */
  readonly sslRootCert?: string | undefined
  /** The client's certificate: PEM text, or the path of a file that holds it. Defaults to none. */
  readonly sslCert?: string | undefined
  /** The key of the client's certificate: PEM text, or the path of a file that holds it. Defaults to none. */
  readonly sslKey?: string | Redacted.Redacted<string> | undefined
  /**
   * PostgreSQL: the standbys that `Db.read` and read-only transactions go to, each with a pool of its own; `url` and the parts of the
   * address are the primary's. Defaults to none.
   *
   * @example
   * ```ts
   * import { Db } from "dblive"
   *
   * const live = Db.layer({
   *   url: "postgres://app:secret@primary/app",
   *   replicas: [{ url: "postgres://replica-1" }, { url: "postgres://replica-2", pool: { size: 20 } }]
   * })
   * ```
   */
  readonly replicas?: ReadonlyArray<ReplicaOptions> | undefined
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
  /** Names the program to the server. Defaults to `dblive`. A test worker adds `_test_{worker}_{pid}`. */
  readonly applicationName?: string | undefined
  /**
   * Settings of the session (`search_path`, `TimeZone`, ...; for SQLite: pragmas), sent when a connection is opened. Defaults to none.
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
  readonly workers?: number | undefined
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
  /** Added to the spans of statements. Defaults to none. */
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
  /** Which replica a read goes to, and when to none. */
  readonly replication?: ReplicationOptions | undefined
  /** Open the first connection when the layer is built. Defaults to true. */
  readonly connectOnStart?: boolean | undefined
  /**
   * The database is created when its server has none of its name: the first time that opening a connection shows it.
   * Without `database` it is named after the tag. An SQLite file needs no such permission. Defaults to false.
   */
  readonly createDatabase?: boolean | undefined
  /** Which column of defaults applies. Defaults to that of `APP_ENV`, else `NODE_ENV`, else development. */
  readonly environment?: Environment | undefined
}
