/**
 * The table of every setting: its option, its variables, its default per preset, what it accepts, what it means.
 * `resolve`, the environment and the README all read this one value.
 *
 * @since 0.1.0
 */
import type { ChannelBinding, Health, JsonNumbers, Limits, Log, Pool, Setting, Tracing } from "../../DbConfig.js"
import { fromHostOption } from "./draft.js"
import type { Kind } from "./kinds.js"
import {
  boolean,
  duration,
  integer,
  pairs,
  password,
  secret,
  sqliteModules,
  ssl,
  targets,
  text,
  types,
  username,
  word
} from "./kinds.js"

/** The columns of defaults. */
export type Preset = "production" | "development" | "test worker"

/** One row of the table. `A` is the decoded value. */
export interface Row<A> {
  readonly option: string
  /** What follows `DATABASE_`; the first is the name, the others are accepted too. */
  readonly suffixes: readonly [string, ...Array<string>]
  readonly kind: Kind<A>
  /** Values, or words for what depends on more than the preset. */
  readonly defaults: Readonly<Record<Preset, A>> | string
  readonly meaning: string
  readonly example: string
  /** Its value is never shown. */
  readonly secret: boolean
  /** The variable may be given as `..._FILE`: the path of a file that holds the value. */
  readonly file: boolean
  /** Says which database is meant: belongs to the URL, and is not looked for below the place of the URL. */
  readonly address: boolean
  /** May be given once for all databases of an environment. */
  readonly shared: boolean
}

const pem = "PEM text (-----BEGIN ...), or the path of a file that holds it"

type Suffixes = readonly [string, ...Array<string>]

interface Tuned<A> {
  readonly kind: Kind<A>
  readonly defaults: NoInfer<A> | readonly [production: NoInfer<A>, development: NoInfer<A>, testWorker: NoInfer<A>]
  readonly meaning: string
  readonly example: string
  readonly address?: boolean
  readonly shared?: boolean
}

const isTriple = <A>(u: A | readonly [A, A, A]): u is readonly [A, A, A] => Array.isArray(u)

/** A row whose defaults are values. */
const tuned = <A>(option: string, suffixes: Suffixes, { defaults, ...row }: Tuned<A>) => {
  const [production, development, worker] = isTriple(defaults) ? defaults : [defaults, defaults, defaults]
  return {
    option,
    suffixes,
    secret: false,
    file: false,
    address: false,
    shared: true,
    ...row,
    defaults: { production, development, "test worker": worker }
  } satisfies Row<A>
}

interface Given<A> {
  readonly kind: Kind<A>
  readonly defaults: string
  readonly meaning: string
  readonly example: string
  readonly secret?: boolean
  readonly file?: boolean
  readonly address?: boolean
}

/** A row without a default of its own. */
const given = <A>(option: string, suffixes: Suffixes, row: Given<A>): Row<A> => ({
  option,
  suffixes,
  secret: false,
  file: false,
  address: true,
  shared: false,
  ...row
})

/** How many connections, and how long they are waited for, kept and lent. */
export const pool = {
  size: tuned("pool.size", ["POOL_SIZE"], {
    kind: integer(1, 10_000),
    defaults: [10, 5, 1],
    meaning: "connections kept; for SQLite: readers beside the one writer",
    example: "10"
  }),
  overflow: tuned("pool.overflow", ["POOL_OVERFLOW", "MAX_OVERFLOW"], {
    kind: integer(0, 10_000),
    defaults: [20, 10, 1],
    meaning: "further connections under load",
    example: "20"
  }),
  overflowIdle: tuned("pool.overflowIdle", ["POOL_OVERFLOW_IDLE"], {
    kind: duration("closed at once"),
    defaults: 10_000,
    meaning: "how long an overflow connection stays when idle",
    example: "10s"
  }),
  acquireTimeout: tuned("pool.acquireTimeout", ["ACQUIRE_TIMEOUT", "TIMEOUT"], {
    kind: duration(),
    defaults: 10_000,
    meaning: "the longest wait for a connection (`_TIMEOUT` also takes a bare number: seconds)",
    example: "10s"
  }),
  connectTimeout: tuned("pool.connectTimeout", ["CONNECT_TIMEOUT"], {
    kind: duration(),
    defaults: 5000,
    meaning: "the longest opening of one connection",
    example: "5s"
  }),
  validateAfter: tuned("pool.validateAfter", ["VALIDATE_AFTER"], {
    kind: duration("always"),
    defaults: [500, 500, 0],
    meaning:
      "a connection idle for this long is pinged before it is lent; always: also one that goes from one session straight to the next",
    example: "500ms"
  }),
  maxLifetime: tuned("pool.maxLifetime", ["MAX_LIFETIME"], {
    kind: duration("off"),
    defaults: 3_600_000,
    meaning: "a connection is replaced at this age, less up to 10 % jitter",
    example: "1h"
  }),
  idleTimeout: tuned("pool.idleTimeout", ["IDLE_TIMEOUT"], {
    kind: duration("off"),
    defaults: 600_000,
    meaning: "idle connections above `minIdle` are closed after this",
    example: "10min"
  }),
  minIdle: tuned("pool.minIdle", ["MIN_IDLE"], {
    kind: integer(0, 10_000),
    defaults: [1, 1, 0],
    meaning: "idle connections that `idleTimeout` leaves",
    example: "1"
  }),
  keepalive: tuned("pool.keepalive", ["KEEPALIVE"], {
    kind: duration("off"),
    defaults: [120_000, 0, 0],
    meaning: "idle connections are pinged this often",
    example: "2min"
  }),
  leakThreshold: tuned("pool.leakThreshold", ["LEAK_THRESHOLD"], {
    kind: duration("off"),
    defaults: [60_000, 10_000, 0],
    meaning: "a connection held this long is reported",
    example: "60s"
  }),
  maxWaiters: tuned("pool.maxWaiters", ["MAX_WAITERS"], {
    kind: integer(0, 1_000_000),
    defaults: 10_000,
    meaning: "waiters beyond this number fail at once",
    example: "10000"
  }),
  resetOnReturn: tuned("pool.resetOnReturn", ["RESET_ON_RETURN"], {
    kind: word(["rollback", "commit", "discard", "none"]),
    defaults: ["rollback", "rollback", "commit"],
    meaning: "how a connection is cleaned when it comes back",
    example: "rollback"
  }),
  closeTimeout: tuned("pool.closeTimeout", ["CLOSE_TIMEOUT"], {
    kind: duration("cut at once"),
    defaults: [10_000, 2000, 1000],
    meaning: "how long closing the layer waits for running sessions",
    example: "10s"
  })
} satisfies { readonly [K in Exclude<keyof Pool, "shedding">]: Row<Pool[K]> }

/** When load is shed: not at all unless one of them is given. */
export const shedding = {
  target: tuned("pool.shedding.target", ["SHEDDING_TARGET"], {
    kind: duration(),
    defaults: 50,
    meaning: "load is shed (only where this or the next is given) when all waits are longer than this ...",
    example: "50ms"
  }),
  interval: tuned("pool.shedding.interval", ["SHEDDING_INTERVAL"], {
    kind: duration(),
    defaults: 2000,
    meaning: "... for this long",
    example: "1s"
  })
}

/** How long statements and transactions may take. */
export const limits = {
  statementTimeout: tuned("limits.statementTimeout", ["STATEMENT_TIMEOUT"], {
    kind: duration("off"),
    defaults: 60_000,
    meaning: "the longest a statement may run (none for SQLite in this process, which cannot stop one)",
    example: "30s"
  }),
  lockTimeout: tuned("limits.lockTimeout", ["LOCK_TIMEOUT"], {
    kind: duration("off"),
    defaults: 30_000,
    meaning: "the longest wait for a lock",
    example: "5s"
  }),
  idleInTransactionTimeout: tuned("limits.idleInTransactionTimeout", ["IDLE_IN_TRANSACTION_TIMEOUT"], {
    kind: duration("off"),
    defaults: 60_000,
    meaning: "the longest a transaction may stay open without a statement",
    example: "1min"
  }),
  transactionTimeout: tuned("limits.transactionTimeout", ["TRANSACTION_TIMEOUT"], {
    kind: duration("off"),
    defaults: 0,
    meaning: "the longest a transaction may take",
    example: "2min"
  })
} satisfies { readonly [K in keyof Limits]: Row<Limits[K]> }

/** When an answering database is called degraded, and how a check is bounded. */
export const health = {
  slow: tuned("health.slow", ["HEALTH_SLOW"], {
    kind: duration(),
    defaults: 500,
    meaning: "health: an answer slower than this is degraded",
    example: "500ms"
  }),
  longWait: tuned("health.longWait", ["HEALTH_LONG_WAIT"], {
    kind: duration(),
    defaults: 1000,
    meaning: "health: a wait for a connection longer than this is degraded",
    example: "1s"
  }),
  recent: tuned("health.recent", ["HEALTH_RECENT"], {
    kind: duration("not at all"),
    defaults: 30_000,
    meaning: "health: for how long a wait that reached its limit is degraded",
    example: "30s"
  }),
  timeout: tuned("health.timeout", ["HEALTH_TIMEOUT"], {
    kind: duration(),
    defaults: 3000,
    meaning: "health: the longest check",
    example: "3s"
  }),
  cache: tuned("health.cache", ["HEALTH_CACHE"], {
    kind: duration("not at all"),
    defaults: 1000,
    meaning: "health: how long a report is given again",
    example: "1s"
  })
} satisfies { readonly [K in keyof Health]: Row<Health[K]> }

/** What is logged. */
export const log = {
  slowStatement: tuned("log.slowStatement", ["SLOW_STATEMENT"], {
    kind: duration("off"),
    defaults: [1000, 500, 0],
    meaning: "a statement that takes longer is logged and remembered",
    example: "200ms"
  }),
  audit: tuned("log.audit", ["AUDIT"], {
    kind: boolean,
    defaults: false,
    meaning: "log every statement, with the log annotations of its fiber",
    example: "true"
  })
} satisfies { readonly [K in keyof Log]: Row<Log[K]> }

/** What statements carry. */
export const tracing = {
  comments: tuned("tracing.comments", ["TRACE_COMMENTS"], {
    kind: boolean,
    defaults: false,
    meaning: "add the application and `traceparent` to each statement as a comment (sqlcommenter)",
    example: "true"
  })
} satisfies { readonly [K in keyof Tracing]: Row<Tracing[K]> }

/** A URL in the place of a name would be shown with its password wherever the name is. */
const isNoUrl = (text: string): boolean => !text.includes("://")

/** Which database, and how it is spoken to. */
export const address = {
  url: given("url", ["URL", "CONNECTION_STRING"], {
    kind: secret("a URL of a database"),
    defaults: "none",
    meaning: "the database as one URL; the settings below win over its parts",
    example: "postgresql://user:password@host:5432/name",
    secret: true,
    file: true
  }),
  type: given("type", ["TYPE"], {
    kind: types,
    defaults: "that of the URL; else sqlite outside production",
    meaning: "the database's family",
    example: "postgresql"
  }),
  filename: given("filename", ["PATH"], {
    kind: text("a file or folder (a URL is given as DATABASE_URL), or :memory:", isNoUrl),
    defaults: "the current folder",
    meaning: "SQLite: the file, or the folder of the file `{name}.db`, or `:memory:`",
    example: "./data/app.db"
  }),
  host: given("host", ["HOST"], {
    kind: text(
      "a host name, an address, or the folder of a unix socket, each with :port or without; several separated by " +
        "commas",
      (host) => fromHostOption("mssql", host).faults.length === 0
    ),
    defaults: "localhost",
    meaning: "the server; several (`a:5432,b:5432`) are tried in order",
    example: "db.example.com"
  }),
  port: given("port", ["PORT"], {
    kind: integer(1, 65_535),
    defaults: "5432, 3306, 1433",
    meaning: "the server's port",
    example: "5432"
  }),
  database: given("database", ["NAME"], {
    kind: text("a name (a URL is given as DATABASE_URL)", isNoUrl),
    defaults: "the server's; SQLite: dblive, or the tag's name",
    meaning: "the database's name on its server; for SQLite: the file's name",
    example: "app"
  }),
  username: given("username", ["USER", "USERNAME"], {
    kind: username,
    defaults: "the driver's",
    meaning: "who connects; in code: an Effect is asked again for every connection",
    example: "app",
    file: true
  }),
  password: given("password", ["PASSWORD"], {
    kind: password,
    defaults: "none",
    meaning: "the password; in code: an Effect is asked again for every connection, and so is a file",
    example: "...",
    secret: true,
    file: true
  }),
  ssl: given("ssl", ["SSL"], {
    kind: ssl,
    defaults: "prefer; SQL Server: verify-full",
    meaning: "how much of TLS is asked for",
    example: "verify-full"
  }),
  sslRootCert: given("sslRootCert", ["SSL_ROOT_CERT"], {
    kind: text(pem),
    defaults: "the system's",
    meaning: "the certificate authority",
    example: "/etc/ssl/db-ca.pem",
    file: true
  }),
  sslCert: given("sslCert", ["SSL_CERT"], {
    kind: text(pem),
    defaults: "none",
    meaning: "the client's certificate",
    example: "/run/secrets/client.pem",
    file: true
  }),
  sslKey: given("sslKey", ["SSL_KEY"], {
    kind: secret(pem),
    defaults: "none",
    meaning: "the key of the client's certificate",
    example: "/run/secrets/client.key",
    secret: true,
    file: true
  }),
  targetSessionAttrs: tuned("targetSessionAttrs", ["TARGET_SESSION_ATTRS"], {
    kind: targets,
    defaults: "any",
    address: true,
    shared: false,
    meaning: "which of several PostgreSQL servers is taken",
    example: "read-write"
  }),
  channelBinding: tuned("channelBinding", ["CHANNEL_BINDING"], {
    kind: word<ChannelBinding>(["disable", "prefer", "require"]),
    defaults: "prefer",
    address: true,
    shared: false,
    meaning: "PostgreSQL: whether the password's proof is bound to the TLS channel",
    example: "require"
  }),
  settings: given("settings", ["SETTINGS"], {
    kind: pairs,
    defaults: "none",
    meaning: "settings of the session (SQLite: pragmas)",
    example: "search_path=app;TimeZone=UTC"
  })
}

/** The rest. */
export const behaviour = {
  access: tuned("access", ["ACCESS"], {
    kind: word<"read-write" | "read-only">(["read-write", "read-only"]),
    defaults: "read-write",
    meaning: "`read-only`: writes and migrations are refused",
    example: "read-only",
    shared: false
  }),
  prefix: given("prefix", ["PREFIX"], {
    kind: text("words of letters, digits, _ and -, joined by dots", (prefix) => /^[\w-]+(\.[\w-]+)*$/.test(prefix)),
    defaults: "none",
    meaning: "put before the database's name with a dot",
    example: "test.payment",
    address: false
  }),
  applicationName: given("applicationName", ["APPLICATION_NAME"], {
    kind: text("a text"),
    defaults: "dblive; in a test worker {app}_test_{worker}_{pid}",
    meaning: "names the program to the server",
    example: "billing",
    address: false
  }),
  prepare: tuned("prepare", ["PREPARE"], {
    kind: boolean,
    defaults: true,
    meaning: "`false` for a pooler in transaction mode: no named prepared statements",
    example: "false",
    shared: false
  }),
  prepareCacheSize: tuned("prepareCacheSize", ["PREPARE_CACHE_SIZE"], {
    kind: integer(0, 100_000),
    defaults: 256,
    meaning: "statements prepared per connection; 0: none",
    example: "256",
    shared: false
  }),
  threads: tuned("threads", ["THREADS"], {
    kind: integer(0, 1024),
    defaults: 0,
    meaning: "SQLite: worker processes that run the statements; 0: this process",
    example: "2",
    shared: false
  }),
  sqliteModule: tuned("sqliteModule", ["SQLITE_MODULE"], {
    kind: sqliteModules,
    defaults: "auto",
    meaning: "SQLite: what opens its files; `auto`: better-sqlite3 where it can be loaded, else node:sqlite",
    example: "node:sqlite",
    shared: false
  }),
  jsonNumbers: tuned("jsonNumbers", ["JSON_NUMBERS"], {
    kind: word<JsonNumbers>(["exact", "bigint", "refuse", "number"]),
    defaults: "exact",
    meaning: "a number in JSON that a double cannot hold: kept with its digits, as a bigint, refused, or rounded",
    example: "refuse",
    shared: false
  }),
  connectOnStart: tuned("connectOnStart", ["CONNECT_ON_START"], {
    kind: boolean,
    defaults: true,
    meaning: "open the first connection when the layer is built",
    example: "false",
    shared: false
  }),
  createDatabase: tuned("createDatabase", ["CREATE"], {
    kind: boolean,
    defaults: false,
    meaning: "create the database when its server has none of its name (an SQLite file always is)",
    example: "true",
    shared: false
  })
}

/** Every row, in the order of the README. */
export const rows: ReadonlyArray<Row<unknown>> = [address, behaviour, pool, shedding, limits, health, log, tracing]
  .flatMap((group): ReadonlyArray<Row<unknown>> => Object.values(group))

const defaultText = <A>(row: Row<A>, preset: Preset): string =>
  typeof row.defaults === "string" ? row.defaults : row.kind.show(row.defaults[preset])

/** The rows as they are shown: names, defaults as texts. */
export const table: ReadonlyArray<Setting> = rows.map((row) => ({
  option: row.option,
  variable: `DATABASE_${row.suffixes[0]}`,
  aliases: row.suffixes.slice(1).map((suffix) => `DATABASE_${suffix}`),
  file: row.file,
  defaults: {
    production: defaultText(row, "production"),
    development: defaultText(row, "development"),
    testWorker: defaultText(row, "test worker")
  },
  accepted: row.kind.accepted,
  meaning: row.meaning,
  example: row.example
}))

const cell = (text: string) => text.replaceAll("|", "\\|")

const defaultCell = ({ defaults: { development, production, testWorker } }: Setting): string =>
  production === development && development === testWorker
    ? production
    : `${production}; development ${development}; test worker ${testWorker}`

/** The rows as a table in Markdown. */
export const markdown: string = [
  "| option | variable | default | meaning |",
  "|---|---|---|---|",
  ...table.map((setting) =>
    `| ${
      [
        `\`${setting.option}\``,
        [setting.variable, ...setting.file ? [`${setting.variable}_FILE`] : [], ...setting.aliases]
          .map((variable) => `\`${variable}\``).join(" "),
        defaultCell(setting),
        setting.meaning
      ].map(cell).join(" | ")
    } |`
  )
].join("\n")
