/**
 * The parameters of MySQL's and MariaDB's URLs: those of their clients, and those of mysql2, JDBC, Go, providers and
 * Prisma.
 */
import { boolean, word } from "./kinds.js"
import type { Parameter } from "./parameter.js"
import {
  applicationName,
  connectionLimit,
  connectSeconds,
  database,
  host,
  ignored,
  millis,
  only,
  password,
  poolTimeout,
  port,
  socket,
  sslAccept,
  sslCert,
  sslFlag,
  sslKey,
  sslMode,
  sslRootCert,
  statementSeconds,
  take,
  username
} from "./parameter.js"

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A flag, a word, or mysql2's object as JSON: `{"rejectUnauthorized":true}`. */
const sslObject: Parameter = (value, draft) => {
  if (!value.trim().startsWith("{")) {
    return sslFlag(value, draft) === undefined
      ? undefined
      : "true, false, a word of sslmode, or {\"rejectUnauthorized\":true}; a certificate authority is given as ssl-ca"
  }
  const given = parseJson(value)
  if (typeof given !== "object" || given === null) return "JSON such as {\"rejectUnauthorized\":true}"
  // An object was just seen.
  const { ca, minVersion, rejectUnauthorized = true, ...others } = given as Record<string, unknown>
  if (
    Object.keys(others).length > 0 || typeof rejectUnauthorized !== "boolean" ||
    (ca !== undefined && typeof ca !== "string") || (minVersion !== undefined && minVersion !== "TLSv1.2")
  ) {
    return "{\"rejectUnauthorized\":true or false}, with ca as PEM text or path; certificate and key are ssl-cert and ssl-key"
  }
  draft.options.ssl = rejectUnauthorized ? "verify-full" : "require"
  if (ca !== undefined) draft.options.sslRootCert = ca
  return undefined
}

/** Go's word. */
const tlsWord = take(word(["true", "false", "skip-verify", "preferred"]), (how, draft) => {
  draft.options.ssl = how === "true"
    ? "verify-full"
    : how === "false"
    ? "disable"
    : how === "preferred"
    ? "prefer"
    : "require"
})

/** UTF-8 under any of its names; a collation of utf8mb4 becomes that of the connection. */
const charset: Parameter = (value, draft) => {
  const match = /^utf-?8(mb[34])?(_\w+)?$/i.exec(value)
  if (match === null) return "utf8mb4, or a collation of it: text is sent and read as UTF-8"
  if (match[1]?.toLowerCase() === "mb4" && match[2] !== undefined) {
    draft.settings["collation_connection"] = value.toLowerCase()
  }
  return undefined
}

const timezone: Parameter = (value) =>
  /^(?:z|utc|gmt|etc\/utc|[+ ]00:?00)$/i.test(value)
    ? undefined
    : "UTC (or Z, +00:00): dates are sent and read as UTC, whatever the zone of the process or the server is"

/** By their names in lower case. */
export const mysql: Readonly<Record<string, Parameter>> = {
  host,
  port,
  database,
  db: database,
  ssl: sslObject,
  tls: tlsWord,
  sslaccept: sslAccept,
  sslmode: sslMode,
  "ssl-mode": sslMode,
  ssl_mode: sslMode,
  "ssl-ca": sslRootCert,
  ssl_ca: sslRootCert,
  // Prisma's word for the certificate of the authority.
  sslcert: sslRootCert,
  "ssl-cert": sslCert,
  ssl_cert: sslCert,
  "ssl-key": sslKey,
  ssl_key: sslKey,
  user: username,
  password,
  unix_socket: socket,
  socket,
  socketpath: socket,
  localsocket: socket,
  charset,
  characterencoding: charset,
  collation: charset,
  connectioncollation: charset,
  timezone,
  time_zone: timezone,
  servertimezone: timezone,
  connectiontimezone: timezone,
  loc: timezone,
  usessl: take(boolean, (encrypts, draft) => {
    draft.options.ssl ??= encrypts ? "require" : "disable"
  }),
  requiressl: take(boolean, (encrypts, draft) => {
    if (encrypts) draft.options.ssl ??= "require"
  }),
  verifyservercertificate: take(boolean, (checks, draft) => {
    if (checks) draft.strict = true
  }),
  allowpublickeyretrieval: ignored,
  useunicode: ignored,
  autoreconnect: ignored,
  parsetime: ignored,
  zerodatetimebehavior: ignored,
  rewritebatchedstatements: ignored,
  uselegacydatetimecode: ignored,
  enablekeepalive: ignored,
  keepaliveinitialdelay: ignored,
  waitforconnections: only("true", "1"),
  sockettimeout: take(millis, (limit, draft) => {
    draft.limits.statementTimeout = limit
  }),
  socket_timeout: statementSeconds,
  connectionlimit: connectionLimit,
  application_name: applicationName,
  program_name: applicationName,
  connect_timeout: connectSeconds,
  connecttimeout: take(millis, (limit, draft) => {
    if (limit > 0) draft.pool.connectTimeout = limit
  }),
  acquiretimeout: take(millis, (limit, draft) => {
    if (limit > 0) draft.pool.acquireTimeout = limit
  }),
  connection_limit: connectionLimit,
  pool_timeout: poolTimeout
}
