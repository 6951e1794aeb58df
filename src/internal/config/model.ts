/**
 * A complete configuration, decoded from its options.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type {
  HealthOptions,
  LimitOptions,
  LogOptions,
  PoolOptions,
  ReplicationOptions,
  SheddingOptions,
  TracingOptions
} from "./options.js"
import type {
  ChannelBinding,
  DatabaseType,
  Environment,
  JsonNumbers,
  Secret,
  SqliteModule,
  SslMode,
  TargetSessionAttrs,
  TypeParsers
} from "./values.js"

/** Options, complete and decoded: lengths of time in milliseconds. */
type Complete<O> = {
  readonly [K in keyof O]-?: Duration.DurationInput extends O[K] ? number : Exclude<O[K], undefined>
}

/**
 * The pool's settings, decoded: durations in milliseconds, 0 for "never".
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool extends Complete<Omit<PoolOptions, "shedding">> {
  readonly shedding: Complete<SheddingOptions> | undefined
}

/**
 * The limits, decoded: milliseconds, 0 for "no limit".
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits extends Complete<LimitOptions> {}

/**
 * When an answering database is called degraded, and how a check is bounded, decoded: milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Health extends Complete<HealthOptions> {}

/**
 * What is logged, decoded: milliseconds, 0 for none.
 *
 * @since 0.1.0
 * @category models
 */
export interface Log extends Complete<LogOptions> {}

/**
 * What statements carry, decoded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tracing extends Complete<TracingOptions> {}

/**
 * Which replica a read goes to, decoded: milliseconds.
 *
 * @since 0.2.0
 * @category models
 */
export interface Replication extends Complete<ReplicationOptions> {}

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
  /** Nothing says which database is meant: it is the embedded file of its name. */
  readonly isUnconfigured: boolean
  /** SQLite only. An absolute path, or `:memory:`. */
  readonly filename: string | undefined
  /** Servers, tried in order; empty for SQLite. */
  readonly hosts: ReadonlyArray<Host>
  /** `target_session_attrs` of libpq. */
  readonly targetSessionAttrs: TargetSessionAttrs
  /** PostgreSQL only: `channel_binding` of libpq. */
  readonly channelBinding: ChannelBinding | undefined
  readonly database: string | undefined
  readonly username: string | Effect.Effect<string, unknown> | undefined
  readonly password: Secret | undefined
  readonly ssl: {
    readonly mode: SslMode
    readonly ca: string | undefined
    readonly cert: string | undefined
    readonly key: Redacted.Redacted<string> | undefined
    /** The options that were given as an object, as Node takes them; they win. */
    readonly options?: Redacted.Redacted<object> | undefined
  }
  readonly access: "read-write" | "read-only"
  readonly applicationName: string
  readonly settings: Readonly<Record<string, string>>
  /** 0: do not prepare. */
  readonly prepareCacheSize: number
  /** PostgreSQL: `false` behind a pooler in transaction mode. */
  readonly prepare: boolean
  readonly workers: number
  /** PostgreSQL only. */
  readonly types: TypeParsers | undefined
  readonly transformQueryNames: ((name: string) => string) | undefined
  readonly transformResultNames: ((name: string) => string) | undefined
  readonly transformJson: boolean
  readonly jsonNumbers: JsonNumbers
  readonly spanAttributes: Readonly<Record<string, unknown>>
  readonly pool: Pool
  readonly limits: Limits
  readonly health: Health
  readonly log: Log
  readonly tracing: Tracing
  /** Each as a configuration of its own; that of the primary with what the replica's URL says in its place. */
  readonly replicas: ReadonlyArray<DbConfig>
  readonly replication: Replication
  readonly connectOnStart: boolean
  readonly sqliteModule: SqliteModule
  readonly createDatabase: boolean
}
