/**
 * The parameters of PostgreSQL's URLs: libpq's, and those of other clients, of providers and of Prisma.
 */
import { parsePort } from "./draft.js"
import { boolean, integer, word } from "./kinds.js"
import type { Parameter } from "./parameter.js"
import {
  any,
  applicationName,
  asSetting,
  connectionLimit,
  connectSeconds,
  database,
  host,
  ignored,
  instead,
  millis,
  only,
  password,
  poolTimeout,
  port,
  sslAccept,
  sslCert,
  sslFlag,
  sslKey,
  sslMode,
  statementSeconds,
  take,
  username
} from "./parameter.js"
import { settings } from "./settings.js"

/** `-c name=value --other-name=value`, with `\` before spaces that belong to a value. */
const serverOptions: Parameter = (value, draft) => {
  // Some programs write + for the space between two options.
  const words = value.replace(/\+(?=-)|(?<=-c)\+/g, " ").match(/(?:\\[^]|[^\s\\])+/g) ?? []
  for (let i = 0; i < words.length; i++) {
    // Tells a provider's proxy which database is meant; no setting of the server.
    if (/^(?:endpoint|project|reference)=[\w.-]+$/.test(words[i]!)) {
      draft.settings["options"] = [draft.settings["options"], words[i]!].filter(Boolean).join(" ")
      continue
    }
    const text = words[i] === "-c" ? words[++i] ?? "" : words[i]!.replace(/^(-c|--)/, "\0")
    const match = (words[i - 1] === "-c" ? /^([A-Za-z_][\w.-]*)=([^]*)$/ : /^\0([A-Za-z_][\w.-]*)=([^]*)$/).exec(text)
    if (match === null) {
      return "-c name=value, several separated by spaces (\\ before a space that belongs to a value), and endpoint=..., " +
        "project=... or reference=... for a provider's proxy"
    }
    draft.settings[match[1]!.replaceAll("-", "_")] = match[2]!.replace(/\\([^])/g, "$1")
  }
  return undefined
}

const transactionMode = take(boolean, (isPooled, draft) => {
  draft.options.prepare = !isPooled
})

const prepared = take(boolean, (isPrepared, draft) => {
  draft.options.prepare = isPrepared
})

const cacheSize = take(settings.prepareCacheSize.kind, (size, draft) => {
  draft.options.prepareCacheSize = size
})

/** `/folder/.s.PGSQL.5432`: the file of the socket, of which others are given the folder. */
const unixSock: Parameter = (value, draft) => {
  const match = /^(\/(?!\/)[^,@?#\0]+)\/\.s\.PGSQL\.(\d+)$/.exec(value)
  const found = match === null ? undefined : parsePort(match[2]!)
  if (found === undefined) return "the file of a socket, /folder/.s.PGSQL.5432"
  draft.socket = match![1]!
  draft.ports = [found]
  return undefined
}

const cloudSql = instead("nothing: the instance's socket is given as host=/cloudsql/project:region:instance")

/** By their names in lower case. */
export const postgresql: Readonly<Record<string, Parameter>> = {
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
  target_session_attrs: take(settings.targetSessionAttrs.kind, (value, draft) => {
    draft.options.targetSessionAttrs = value
  }),
  channel_binding: take(settings.channelBinding.kind, (value, draft) => {
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
  client_encoding: only("utf8", "utf-8", "auto", "unicode"),
  gssencmode: only("disable", "prefer"),
  sslsni: only("1"),
  sslaccept: sslAccept,
  sslnegotiation: only("postgres"),
  sslcompression: only("0"),
  ssl_min_protocol_version: only("tlsv1", "tlsv1.1", "tlsv1.2"),
  sslpassword: instead("nothing: a key without a passphrase is given as sslkey"),
  sslidentity: instead("nothing: certificate and key are given as sslcert and sslkey, in PEM"),
  sslfactory: instead("nothing: the check of certificates is given as sslmode"),
  hostaddr: instead("nothing: the address is given as the host"),
  service: instead("nothing: what the service's file says is given in the URL"),
  passfile: instead("nothing: the password is given in the URL, or as DATABASE_PASSWORD_FILE"),
  replication: only("false", "off", "0", "no"),
  load_balance_hosts: only("disable"),
  tcp_user_timeout: ignored,
  keepalives: only("1"),
  keepalives_idle: ignored,
  keepalives_interval: ignored,
  keepalives_count: ignored,
  uselibpqcompat: only("true"),
  schema: any((value, draft) => {
    draft.settings.search_path = `"${value.replaceAll("\"", "\"\"")}"`
  }),
  currentschema: asSetting("search_path"),
  search_path: asSetting("search_path"),
  timezone: asSetting("TimeZone"),
  pgbouncer: transactionMode,
  pool_mode: take(word(["transaction", "session"]), (mode, draft) => {
    draft.options.prepare = mode === "session"
  }),
  prepare: prepared,
  prepared_statements: prepared,
  // Of Supabase's integration with Vercel: the URL of its pooler in transaction mode.
  supa: any((value, draft) => {
    if (value.includes("pooler")) draft.options.prepare ??= false
  }),
  workaround: ignored,
  unix_sock: unixSock,
  socketfactory: cloudSql,
  cloudsqlinstance: cloudSql,
  applicationname: applicationName,
  logintimeout: connectSeconds,
  connecttimeout: connectSeconds,
  sockettimeout: statementSeconds,
  socket_timeout: statementSeconds,
  query_timeout: take(millis, (limit, draft) => {
    draft.limits.statementTimeout = limit
  }),
  tcpkeepalive: ignored,
  rewritebatchedinserts: ignored,
  stringtype: ignored,
  preparethreshold: take(integer(0, 1_000_000), (times, draft) => {
    if (times === 0) draft.options.prepare ??= false
  }),
  statement_cache_size: cacheSize,
  prepared_statement_cache_size: cacheSize,
  connection_limit: connectionLimit,
  pool_timeout: poolTimeout,
  pool: connectionLimit,
  pool_size: connectionLimit,
  pool_max_conns: connectionLimit
}
