/**
 * The table of every setting: its option, its variables, its default per preset, what it accepts, what it means. The place of a row in
 * it is the path of its option; the compiler compares the two. Resolving, the variables and the documentation read this one value.
 */
/* eslint-disable max-lines -- A table: one entry a setting. */
import { fromHostOption } from "./draft.js"
import {
  attributes,
  boolean,
  duration,
  environments,
  integer,
  pairs,
  password,
  renaming,
  replicas,
  secret,
  sqliteModules,
  ssl,
  targets,
  text,
  typeParsers,
  types,
  username,
  word
} from "./kinds.js"
import type {
  HealthOptions,
  LimitOptions,
  LogOptions,
  Options,
  PoolOptions,
  ReplicationOptions,
  SheddingOptions,
  TracingOptions
} from "./options.js"
import type { Row, RowsOf, ValuesOf } from "./row.js"
import { given, named, rowsOf, tuned } from "./row.js"
import type { ChannelBinding, DatabaseType, JsonNumbers, SslMode } from "./values.js"

/** The options that hold others. */
type Group =
  | PoolOptions
  | SheddingOptions
  | LimitOptions
  | HealthOptions
  | LogOptions
  | TracingOptions
  | ReplicationOptions

/** The port where none is given. */
export const defaultPorts: Readonly<Record<Exclude<DatabaseType, "sqlite">, number>> = {
  postgresql: 5432,
  mysql: 3306,
  mariadb: 3306,
  mssql: 1433
}

/** How much of TLS is asked for where nothing is said. */
export const defaultSslMode = (type: DatabaseType): SslMode => type === "mssql" ? "verify-full" : "prefer"

const pem = "PEM text (-----BEGIN ...), or the path of a file that holds it"

/** A URL in the place of a name would be shown with its password wherever the name is. */
const isNoUrl = (text: string): boolean => !text.includes("://")

/** Every setting. What stands in a group may be given once for all databases of an environment. */
export const settings = named(
  {
    url: given(["URL", "CONNECTION_STRING"], {
      address: true,
      kind: secret("a URL of a database"),
      defaults: "none",
      meaning: "the database as one URL; the settings below win over its parts",
      example: "postgresql://user:password@host:5432/name",
      secret: true,
      file: true
    }),
    type: given(["TYPE"], {
      address: true,
      kind: types,
      defaults: "that of the URL; else sqlite outside production",
      meaning: "the database's family",
      example: "postgresql"
    }),
    filename: given(["PATH"], {
      address: true,
      kind: text("a file or folder (a URL is given as DATABASE_URL), or :memory:", isNoUrl),
      defaults: "the current folder",
      meaning: "SQLite: the file, or the folder of the file `{name}.db`, or `:memory:`",
      example: "./data/app.db"
    }),
    host: tuned(["HOST"], {
      address: true,
      kind: text(
        "a host name, an address, or the folder of a unix socket, each with :port or without; several separated by " +
          "commas",
        (host) => fromHostOption("mssql", host).faults.length === 0
      ),
      defaults: "localhost",
      meaning: "the server; several (`a:5432,b:5432`) are tried in order",
      example: "db.example.com"
    }),
    port: given(["PORT"], {
      address: true,
      kind: integer(1, 65_535),
      defaults: [...new Set(Object.values(defaultPorts))].join(", "),
      meaning: "the server's port",
      example: "5432"
    }),
    database: given(["NAME"], {
      address: true,
      kind: text("a name (a URL is given as DATABASE_URL)", isNoUrl),
      defaults: "the server's; SQLite: dblive, or the tag's name",
      meaning: "the database's name on its server; for SQLite: the file's name",
      example: "app"
    }),
    username: given(["USER", "USERNAME"], {
      address: true,
      kind: username,
      defaults: "the driver's",
      meaning: "the user of the database; in code: an Effect is asked again for every connection",
      example: "app",
      file: true
    }),
    password: given(["PASSWORD"], {
      address: true,
      kind: password,
      defaults: "none",
      meaning: "the password; in code: an Effect is asked again for every connection, and so is a file",
      example: "...",
      secret: true,
      file: true
    }),
    ssl: given(["SSL"], {
      address: true,
      kind: ssl,
      defaults: `${defaultSslMode("postgresql")}; SQL Server: ${defaultSslMode("mssql")}`,
      meaning: "how much of TLS is asked for",
      example: "verify-full"
    }),
    sslRootCert: given(["SSL_ROOT_CERT"], {
      address: true,
      kind: text(pem),
      defaults: "the system's",
      meaning: "the certificate authority",
      example: "/etc/ssl/db-ca.pem",
      file: true
    }),
    sslCert: given(["SSL_CERT"], {
      address: true,
      kind: text(pem),
      defaults: "none",
      meaning: "the client's certificate",
      example: "/run/secrets/client.pem",
      file: true
    }),
    sslKey: given(["SSL_KEY"], {
      address: true,
      kind: secret(pem),
      defaults: "none",
      meaning: "the key of the client's certificate",
      example: "/run/secrets/client.key",
      secret: true,
      file: true
    }),
    replicas: given(["REPLICA_URLS"], {
      address: true,
      kind: replicas,
      defaults: "none",
      meaning: "PostgreSQL: the standbys that reads go to; what their URLs leave out is the primary's",
      example: "\"postgresql://replica-1 postgresql://replica-2\"",
      secret: true,
      file: true
    }),
    targetSessionAttrs: tuned(["TARGET_SESSION_ATTRS"], {
      kind: targets,
      defaults: "any",
      address: true,
      meaning: "which of several PostgreSQL servers is taken",
      example: "read-write"
    }),
    channelBinding: tuned(["CHANNEL_BINDING"], {
      kind: word<ChannelBinding>(["disable", "prefer", "require"]),
      defaults: "prefer",
      address: true,
      meaning: "PostgreSQL: whether the password's proof is bound to the TLS channel",
      example: "require"
    }),
    settings: given(["SETTINGS"], {
      address: true,
      kind: pairs,
      defaults: "none",
      meaning: "settings of the session (SQLite: pragmas)",
      example: "search_path=app;TimeZone=UTC"
    }),
    access: tuned(["ACCESS"], {
      kind: word<"read-write" | "read-only">(["read-write", "read-only"]),
      defaults: "read-write",
      meaning: "`read-only`: writes and migrations are refused",
      example: "read-only"
    }),
    prefix: given(["PREFIX"], {
      kind: text("words of letters, digits, _ and -, joined by dots", (prefix) => /^[\w-]+(\.[\w-]+)*$/.test(prefix)),
      defaults: "none",
      meaning: "put before the database's name with a dot",
      example: "test.payment"
    }),
    applicationName: tuned(["APPLICATION_NAME"], {
      kind: text("a text"),
      defaults: "dblive",
      meaning: "names the program to the server; in a test worker `{app}_test_{worker}_{pid}`",
      example: "billing"
    }),
    prepare: tuned(["PREPARE"], {
      kind: boolean,
      defaults: true,
      meaning: "`false` for a pooler in transaction mode: no named prepared statements",
      example: "false"
    }),
    prepareCacheSize: tuned(["PREPARE_CACHE_SIZE"], {
      kind: integer(0, 100_000),
      defaults: 256,
      meaning: "statements prepared per connection; 0: none",
      example: "256"
    }),
    workers: tuned(["WORKERS"], {
      kind: integer(0, 1024),
      defaults: 0,
      meaning: "SQLite: worker processes that run the statements; 0: this process",
      example: "2"
    }),
    sqliteModule: tuned(["SQLITE_MODULE"], {
      kind: sqliteModules,
      defaults: "auto",
      meaning: "SQLite: what opens its files; `auto`: better-sqlite3 where it can be loaded, else node:sqlite",
      example: "node:sqlite"
    }),
    jsonNumbers: tuned(["JSON_NUMBERS"], {
      kind: word<JsonNumbers>(["exact", "bigint", "refuse", "number"]),
      defaults: "exact",
      meaning: "a number in JSON that a double cannot hold: kept with its digits, as a bigint, refused, or rounded",
      example: "refuse"
    }),
    connectOnStart: tuned(["CONNECT_ON_START"], {
      kind: boolean,
      defaults: true,
      meaning: "open the first connection when the layer is built",
      example: "false"
    }),
    createDatabase: tuned(["CREATE"], {
      kind: boolean,
      defaults: false,
      meaning: "create the database when its server has none of its name (an SQLite file always is)",
      example: "true"
    }),
    environment: given([], {
      kind: environments,
      defaults: "that of APP_ENV, else NODE_ENV, else development",
      meaning: "which column of defaults applies"
    }),
    types: given([], {
      kind: typeParsers,
      defaults: "none",
      meaning: "PostgreSQL: parsers for values of some types"
    }),
    transformQueryNames: given([], {
      kind: renaming,
      defaults: "none",
      meaning: "renames identifiers on their way into SQL"
    }),
    transformResultNames: given([], {
      kind: renaming,
      defaults: "none",
      meaning: "renames the columns of rows"
    }),
    transformJson: tuned([], {
      kind: boolean,
      defaults: true,
      meaning: "whether the keys of JSON values are renamed too"
    }),
    spanAttributes: given([], {
      kind: attributes,
      defaults: "none",
      meaning: "added to the spans of statements"
    }),
    // How many connections, and how long they are waited for, kept and used.
    pool: {
      size: tuned(["POOL_SIZE"], {
        kind: integer(1, 10_000),
        defaults: [10, 5, 1],
        meaning: "connections kept; for SQLite: readers beside the one writer",
        example: "10"
      }),
      overflow: tuned(["POOL_OVERFLOW", "MAX_OVERFLOW"], {
        kind: integer(0, 10_000),
        defaults: [20, 10, 1],
        meaning: "further connections under load",
        example: "20"
      }),
      overflowIdle: tuned(["POOL_OVERFLOW_IDLE"], {
        kind: duration("closed at once"),
        defaults: 10_000,
        meaning: "how long an overflow connection stays when idle",
        example: "10s"
      }),
      acquireTimeout: tuned(["ACQUIRE_TIMEOUT", "TIMEOUT"], {
        kind: duration(),
        defaults: 10_000,
        meaning: "the longest wait for a connection (`_TIMEOUT` also takes a bare number: seconds)",
        example: "10s"
      }),
      connectTimeout: tuned(["CONNECT_TIMEOUT"], {
        kind: duration(),
        defaults: 5000,
        meaning: "the longest opening of one connection",
        example: "5s"
      }),
      validateAfter: tuned(["VALIDATE_AFTER"], {
        kind: duration("always"),
        defaults: [500, 500, 0],
        meaning:
          "a connection idle for this long is pinged before it is used; always: also one that goes from one session straight to the next",
        example: "500ms"
      }),
      maxLifetime: tuned(["MAX_LIFETIME"], {
        kind: duration("off"),
        defaults: 3_600_000,
        meaning: "a connection is replaced at this age, less up to 10 % jitter",
        example: "1h"
      }),
      idleTimeout: tuned(["IDLE_TIMEOUT"], {
        kind: duration("off"),
        defaults: 600_000,
        meaning: "idle connections above `minIdle` are closed after this",
        example: "10min"
      }),
      minIdle: tuned(["MIN_IDLE"], {
        kind: integer(0, 10_000),
        defaults: [1, 1, 0],
        meaning: "idle connections that `idleTimeout` leaves",
        example: "1"
      }),
      keepalive: tuned(["KEEPALIVE"], {
        kind: duration("off"),
        defaults: [120_000, 0, 0],
        meaning: "idle connections are pinged this often",
        example: "2min"
      }),
      leakThreshold: tuned(["LEAK_THRESHOLD"], {
        kind: duration("off"),
        defaults: [60_000, 10_000, 0],
        meaning: "a connection held this long is reported",
        example: "60s"
      }),
      maxWaiters: tuned(["MAX_WAITERS"], {
        kind: integer(0, 1_000_000),
        defaults: 10_000,
        meaning: "waiters beyond this number fail at once",
        example: "10000"
      }),
      resetOnReturn: tuned(["RESET_ON_RETURN"], {
        kind: word(["rollback", "commit", "discard", "none"]),
        defaults: ["rollback", "rollback", "commit"],
        meaning: "how a connection is cleaned when it comes back",
        example: "rollback"
      }),
      sharing: tuned(["SHARING"], {
        kind: word(["reads", "all", "off"]),
        defaults: "reads",
        meaning: "which short statements outside of sessions may share a connection (PostgreSQL)",
        example: "reads"
      }),
      sharingDepth: tuned(["SHARING_DEPTH"], {
        kind: integer(1, 1000),
        defaults: 128,
        meaning: "how many statements may share one connection",
        example: "128"
      }),
      closeTimeout: tuned(["CLOSE_TIMEOUT"], {
        kind: duration("cut at once"),
        defaults: [10_000, 2000, 1000],
        meaning: "how long closing the layer waits for running sessions",
        example: "10s"
      }),
      // Load is not shed at all unless one of them is given.
      shedding: {
        target: tuned(["SHEDDING_TARGET"], {
          kind: duration(),
          defaults: 50,
          meaning: "load is shed (only where this or the next is given) when all waits are longer than this ...",
          example: "50ms"
        }),
        interval: tuned(["SHEDDING_INTERVAL"], {
          kind: duration(),
          defaults: 2000,
          meaning: "... for this long",
          example: "1s"
        })
      }
    },
    // How long statements and transactions may take.
    limits: {
      statementTimeout: tuned(["STATEMENT_TIMEOUT"], {
        kind: duration("off"),
        defaults: 60_000,
        meaning: "the longest a statement may run (none for SQLite in this process, which cannot stop one)",
        example: "30s"
      }),
      lockTimeout: tuned(["LOCK_TIMEOUT"], {
        kind: duration("off"),
        defaults: 30_000,
        meaning: "the longest wait for a lock",
        example: "5s"
      }),
      idleInTransactionTimeout: tuned(["IDLE_IN_TRANSACTION_TIMEOUT"], {
        kind: duration("off"),
        defaults: 60_000,
        meaning: "the longest a transaction may stay open without a statement",
        example: "1min"
      }),
      transactionTimeout: tuned(["TRANSACTION_TIMEOUT"], {
        kind: duration("off"),
        defaults: 0,
        meaning: "the longest a transaction may take",
        example: "2min"
      })
    },
    // When an answering database is called degraded, and how a check is bounded.
    health: {
      slow: tuned(["HEALTH_SLOW"], {
        kind: duration(),
        defaults: 500,
        meaning: "health: an answer slower than this is degraded",
        example: "500ms"
      }),
      longWait: tuned(["HEALTH_LONG_WAIT"], {
        kind: duration(),
        defaults: 1000,
        meaning: "health: a wait for a connection longer than this is degraded",
        example: "1s"
      }),
      recent: tuned(["HEALTH_RECENT"], {
        kind: duration("not at all"),
        defaults: 30_000,
        meaning: "health: for how long a wait that reached its limit is degraded",
        example: "30s"
      }),
      timeout: tuned(["HEALTH_TIMEOUT"], {
        kind: duration(),
        defaults: 3000,
        meaning: "health: the longest check",
        example: "3s"
      }),
      cache: tuned(["HEALTH_CACHE"], {
        kind: duration("not at all"),
        defaults: 1000,
        meaning: "health: how long a report is given again",
        example: "1s"
      })
    },
    // What is logged.
    log: {
      slowStatement: tuned(["SLOW_STATEMENT"], {
        kind: duration("off"),
        defaults: [1000, 500, 0],
        meaning: "a statement that takes longer is logged and remembered",
        example: "200ms"
      }),
      audit: tuned(["AUDIT"], {
        kind: boolean,
        defaults: false,
        meaning: "log every statement, with the log annotations of its fiber",
        example: "true"
      })
    },
    // What statements carry.
    tracing: {
      comments: tuned(["TRACE_COMMENTS"], {
        kind: boolean,
        defaults: false,
        meaning: "add the application and `traceparent` to each statement as a comment (sqlcommenter)",
        example: "true"
      })
    },
    // Which replica a read goes to.
    replication: {
      staleness: tuned(["REPLICA_STALENESS"], {
        kind: duration("off"),
        defaults: 0,
        meaning: "how old the data of a read may be; off: it has at least what its fiber has written or was shown",
        example: "2s"
      }),
      waitTimeout: tuned(["REPLICA_WAIT_TIMEOUT"], {
        kind: duration("not at all"),
        defaults: 100,
        meaning: "how long a read waits for a replica to catch up, before it goes to the primary",
        example: "50ms"
      }),
      maxLag: tuned(["REPLICA_MAX_LAG"], {
        kind: duration("off"),
        defaults: 30_000,
        meaning: "a replica further behind is left out",
        example: "10s"
      }),
      retryAfter: tuned(["REPLICA_RETRY_AFTER"], {
        kind: duration(),
        defaults: 5000,
        meaning: "a replica that was left out is tried again after this",
        example: "10s"
      }),
      whenNoReplica: tuned(["WHEN_NO_REPLICA"], {
        kind: word<"primary" | "fail">(["primary", "fail"]),
        defaults: "primary",
        meaning: "where a read goes when no replica can serve it: to the primary, or nowhere, with an error",
        example: "fail"
      })
    }
  } satisfies RowsOf<Options, Group>
)

/** What the settings decode to. One without a default of its own may be missing. */
export type Values = ValuesOf<typeof settings>

/** Every row, in the order of the documentation. */
export const rows: ReadonlyArray<Row<unknown>> = rowsOf(settings)
