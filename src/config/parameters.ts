/**
 * The parameters behind the `?` (for SQL Server: also between the `;`), per family: those of the databases' own
 * clients, and those that URLs bring along from other programs.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import type { DatabaseType } from "../DbConfig.js"
import type { Draft } from "./draft.js"
import { decode, parseHosts, parsePort } from "./draft.js"
import type { Kind } from "./kinds.js"
import { boolean, duration, integer, ssl, sslModes, word } from "./kinds.js"
import { nearest } from "./nearest.js"
import { address } from "./settings.js"

/** Takes a parameter's value; answers with what is accepted when it is not. */
interface Parameter {
  (value: string, draft: Draft): string | undefined
}

const take = <A>(kind: Kind<A>, put: (value: A, draft: Draft) => void): Parameter => (value, draft) => {
  const found = kind.fromText(value)
  if (found === undefined) {
    return kind.accepted
  }
  put(found, draft)
  return undefined
}

const any = (put: (value: string, draft: Draft) => void): Parameter => (value, draft) => {
  put(value, draft)
  return undefined
}

/** A parameter that says what is so anyway. */
const only = (...words: ReadonlyArray<string>): Parameter => take(word(words), () => {})

const ignored: Parameter = () => undefined

const seconds: Kind<number> = {
  ...duration(),
  accepted: "a number of seconds, above 0",
  fromText: (text) => duration().fromText(`${text}s`)
}

/** PostgreSQL's own way to write a length of time: milliseconds, or a number with a unit. */
const millis: Kind<number> = {
  ...duration("none"),
  accepted: "a number of milliseconds; 0: none",
  fromText: (text) => duration("none").fromText(/^\d+$/.test(text) ? `${text}ms` : text)
}

const host: Parameter = (value, draft) => {
  parseHosts(value, draft)
  return undefined
}

const port: Parameter = (value, draft) => {
  const ports = value.split(",").map(parsePort)
  if (!ports.every((port) => port !== undefined)) {
    return "a number from 1 to 65535; for several hosts, several separated by commas"
  }
  draft.ports = ports
  return undefined
}

const database = any((value, draft) => {
  draft.options.database = value
})
const username = any((value, draft) => {
  draft.options.username = value
})
const password = any((value, draft) => {
  draft.options.password = Redacted.make(value)
})
const applicationName = any((value, draft) => {
  draft.options.applicationName = value
})
const sslRootCert = any((value, draft) => {
  draft.options.sslRootCert = value
})
const sslCert = any((value, draft) => {
  draft.options.sslCert = value
})
const sslKey = any((value, draft) => {
  draft.options.sslKey = Redacted.make(value)
})
const sslMode = take(sslModes, (mode, draft) => {
  draft.options.ssl = mode
})
const sslFlag = take(ssl, (mode, draft) => {
  draft.options.ssl = mode
})
const connectSeconds = take(seconds, (limit, draft) => {
  draft.pool.connectTimeout = limit
})
/** Prisma's figures. */
const connectionLimit = take(integer(1, 10_000), (size, draft) => {
  draft.pool.size = size
  draft.pool.overflow = 0
})
const poolTimeout = take(seconds, (limit, draft) => {
  draft.pool.acquireTimeout = limit
})

/** `-c name=value --other-name=value`, with `\` before spaces that belong to a value. */
const serverOptions: Parameter = (value, draft) => {
  // Some programs write + for the space between two options.
  const words = value.replace(/\+(?=-)|(?<=-c)\+/g, " ").match(/(?:\\[^]|[^\s\\])+/g) ?? []
  for (let i = 0; i < words.length; i++) {
    const text = words[i] === "-c" ? words[++i] ?? "" : words[i]!.replace(/^(-c|--)/, "\0")
    const match = (words[i - 1] === "-c" ? /^([A-Za-z_][\w.-]*)=([^]*)$/ : /^\0([A-Za-z_][\w.-]*)=([^]*)$/).exec(text)
    if (match === null) {
      return "-c name=value, several separated by spaces (\\ before a space that belongs to a value)"
    }
    draft.settings[match[1]!.replaceAll("-", "_")] = match[2]!.replace(/\\([^])/g, "$1")
  }
  return undefined
}

const postgresql: Readonly<Record<string, Parameter>> = {
  host,
  port,
  dbname: database,
  user: username,
  password,
  sslmode: sslMode,
  ssl: sslFlag,
  sslrootcert: (value, draft) => {
    // libpq's word for the roots of the system, which demands the full check.
    if (value === "system") {
      draft.options.ssl = "verify-full"
    } else {
      draft.options.sslRootCert = value
    }
    return undefined
  },
  sslcert: sslCert,
  sslkey: sslKey,
  application_name: applicationName,
  fallback_application_name: any((value, draft) => {
    draft.options.applicationName ??= value
  }),
  options: serverOptions,
  connect_timeout: connectSeconds,
  target_session_attrs: take(address.targetSessionAttrs.kind, (value, draft) => {
    draft.options.targetSessionAttrs = value
  }),
  channel_binding: take(address.channelBinding.kind, (value, draft) => {
    draft.options.channelBinding = value
  }),
  statement_timeout: take(millis, (limit, draft) => {
    draft.limits.statementTimeout = limit
  }),
  lock_timeout: take(millis, (limit, draft) => {
    draft.limits.lockTimeout = limit
  }),
  idle_in_transaction_session_timeout: take(millis, (limit, draft) => {
    draft.limits.idleInTransactionTimeout = limit
  }),
  client_encoding: only("utf8", "utf-8", "auto"),
  gssencmode: only("disable", "prefer"),
  sslsni: only("1"),
  keepalives: only("1"),
  keepalives_idle: ignored,
  keepalives_interval: ignored,
  keepalives_count: ignored,
  uselibpqcompat: only("true"),
  schema: any((value, draft) => {
    draft.settings.search_path = `"${value.replaceAll("\"", "\"\"")}"`
  }),
  pgbouncer: take(boolean, (transactionMode, draft) => {
    draft.options.prepare = !transactionMode
  }),
  prepared_statement_cache_size: take(integer(0, 100_000), (size, draft) => {
    draft.options.prepareCacheSize = size
  }),
  connection_limit: connectionLimit,
  pool_timeout: poolTimeout
}

const mysql: Readonly<Record<string, Parameter>> = {
  ssl: sslFlag,
  sslmode: sslMode,
  "ssl-mode": sslMode,
  ssl_mode: sslMode,
  "ssl-ca": sslRootCert,
  ssl_ca: sslRootCert,
  "ssl-cert": sslCert,
  ssl_cert: sslCert,
  "ssl-key": sslKey,
  ssl_key: sslKey,
  user: username,
  password,
  unix_socket: host,
  socket: host,
  socketpath: host,
  charset: only("utf8mb4", "utf8"),
  application_name: applicationName,
  program_name: applicationName,
  connect_timeout: connectSeconds,
  connecttimeout: take(millis, (limit, draft) => {
    draft.pool.connectTimeout = limit
  }),
  connection_limit: connectionLimit,
  pool_timeout: poolTimeout
}

/** `host`, `host,port`, `tcp:host,port`, `host\instance`. */
const server: Parameter = (value, draft) => {
  draft.hosts = []
  parseHosts(value.trim().replace(/^tcp:/i, "").replace(/\s*,\s*(?=\d+$)/, ":"), draft)
  return undefined
}

const encrypt = take(
  word(["true", "false"], {
    yes: "true",
    mandatory: "true",
    require: "true",
    no: "false",
    optional: "false",
    disable: "false"
  }),
  (flag, draft) => {
    draft.encrypt = flag === "true"
  }
)

/** Names without regard to case, spaces and underlines, as this database's own clients read them. */
const mssql: Readonly<Record<string, Parameter>> = {
  server,
  servername: server,
  datasource: server,
  port,
  portnumber: port,
  instancename: (value, draft) => {
    draft.instance = value
    return undefined
  },
  database,
  databasename: database,
  initialcatalog: database,
  user: username,
  username,
  userid: username,
  uid: username,
  password,
  pwd: password,
  encrypt,
  trustservercertificate: take(boolean, (trust, draft) => {
    draft.trust = trust
  }),
  applicationintent: take(word(["readonly", "readwrite"]), (intent, draft) => {
    draft.options.access = intent === "readonly" ? "read-only" : "read-write"
  }),
  applicationname: applicationName,
  app: applicationName,
  logintimeout: connectSeconds,
  connecttimeout: connectSeconds,
  connectiontimeout: connectSeconds,
  integratedsecurity: only("false", "no"),
  trustedconnection: only("false", "no"),
  multisubnetfailover: ignored,
  multipleactiveresultsets: ignored,
  marsconnection: ignored,
  driver: ignored,
  connectionlimit: connectionLimit,
  pooltimeout: poolTimeout
}

const sqlite: Readonly<Record<string, Parameter>> = {
  mode: take(word(["ro", "rwc", "memory"]), (mode, draft) => {
    if (mode === "memory") {
      draft.options.filename = ":memory:"
    } else {
      draft.options.access = mode === "ro" ? "read-only" : "read-write"
    }
  }),
  cache: only("shared", "private"),
  timeout: take(seconds, (limit, draft) => {
    draft.limits.lockTimeout = limit
  }),
  check_same_thread: take(boolean, () => {}),
  uri: take(boolean, () => {})
}

/** The parameters of each family. */
export const parameters: Readonly<Record<DatabaseType, Readonly<Record<string, Parameter>>>> = {
  sqlite,
  postgresql,
  mysql,
  mariadb: mysql,
  mssql
}

/** Parameters that may be given several times. */
const repeatable = new Set(["host"])

/**
 * Takes `name=value` pairs that are decoded already (`undefined`: an escape was broken). `what` names such a pair in
 * faults: "query parameter".
 */
export const takeAll = (
  what: string,
  pairs: Iterable<readonly [name: string | undefined, value: string | undefined]>,
  draft: Draft
): void => {
  const known = parameters[draft.type]
  const seen = new Set<string>()
  let index = 0
  for (const [name, value] of pairs) {
    index++
    const key = draft.type === "mssql" ? name?.toLowerCase().replace(/[\s_]/g, "") : name?.toLowerCase()
    const parameter = key !== undefined && Object.hasOwn(known, key) ? known[key] : undefined
    if (key === undefined || parameter === undefined) {
      const meant = key === undefined ? undefined : nearest(key, Object.keys(known))
      draft.faults.push(
        `${what} ${index} is not known` + (meant === undefined ? "" : ` (is ${meant} meant?)`) +
          `; accepted: ${Object.keys(known).join(", ")}`
      )
    } else if (value === undefined) {
      draft.faults.push(`${what} ${key} has a % that begins no escape; accepted: % is written %25`)
    } else if (seen.has(key) && !repeatable.has(key)) {
      draft.faults.push(`${what} ${key} is given twice; accepted: once`)
    } else {
      if (key === "host" && !seen.has(key)) {
        draft.hosts = []
      }
      seen.add(key)
      const accepted = parameter(value, draft)
      if (accepted !== undefined) {
        draft.faults.push(`${what} ${key} has a value that cannot be used; accepted: ${accepted}`)
      }
    }
  }
}

/** Takes what stands behind the `?`. */
export const parseQuery = (query: string, draft: Draft): void =>
  takeAll(
    "query parameter",
    query.split("&").filter((part) => part !== "").map((part) => {
      const equals = part.indexOf("=")
      return equals < 0 ? [decode(part), ""] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))]
    }),
    draft
  )
