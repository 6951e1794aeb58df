/**
 * What the numbers of MySQL and MariaDB and the codes of sockets mean, in one table, and the typed errors made from it.
 */
import type { ConnectionError, DbError, Outcome, QueryError } from "../../../DbError.js"
import { type ConnectionReason, connectionReasons, type QueryReason, queryReasons } from "../../../DbError.js"
import { failure } from "../failure.js"
import { socketCodes } from "../socketCodes.js"
import { namesIn } from "./names.js"

/**
 * What one code means: as the reason why there is no link (any more), as the answer to a statement, or as a limit that
 * the server kept.
 */
export interface Code {
  readonly link?: ConnectionReason
  readonly statement?: QueryReason
  readonly timeout?: "Statement" | "Lock"
  /** What is known of a statement that got it. Defaults to `RolledBack`: the server undoes a statement that fails. */
  readonly outcome?: Outcome
  /** The transaction goes on after it. Where this is not said the server is asked. */
  readonly goesOn?: true
  /** The server's message repeats values, so it is `detail` and not `message`. Unknown codes are taken to do so. */
  readonly quotes?: true
}

const refused = { outcome: "NotSent", goesOn: true } as const
const failed = { goesOn: true, quotes: true } as const

/**
 * Every code that is told apart: numbers of the server, and the names that sockets, name resolution and mysql2 use.
 * What is not listed is `Unknown`.
 */
export const codes = {
  1005: { statement: "Unknown" },
  1007: { statement: "SqlSyntax", ...refused },
  1008: { statement: "UndefinedObject", ...refused },
  1020: { statement: "Serialization" },
  1021: { statement: "DiskFull" },
  1022: { statement: "UniqueViolation", ...failed },
  1034: { statement: "Unknown" },
  1037: { statement: "OutOfMemory" },
  1038: { statement: "OutOfMemory" },
  1040: { link: "TooManyConnections" },
  1041: { statement: "OutOfMemory" },
  1044: { link: "Authorization", statement: "Authorization", ...refused },
  1045: { link: "Authentication", statement: "Authorization", ...refused },
  1046: { statement: "UndefinedObject", ...refused },
  // A node of a Galera cluster that has not joined yet, or has lost the others.
  1047: { link: "ServerStarting" },
  1048: { statement: "NotNullViolation", goesOn: true },
  1049: { link: "UnknownDatabase", statement: "UndefinedObject", ...refused },
  1050: { statement: "SqlSyntax", ...refused },
  1051: { statement: "UndefinedObject", ...refused },
  1052: { statement: "SqlSyntax", ...refused },
  1053: { link: "ServerShutdown" },
  1054: { statement: "UndefinedObject", ...refused },
  1055: { statement: "SqlSyntax", ...refused },
  1056: { statement: "SqlSyntax", ...refused },
  1060: { statement: "SqlSyntax", ...refused },
  1061: { statement: "SqlSyntax", ...refused },
  1062: { statement: "UniqueViolation", ...failed },
  1064: { statement: "SqlSyntax", ...refused },
  1065: { statement: "SqlSyntax", ...refused },
  1066: { statement: "SqlSyntax", ...refused },
  1072: { statement: "UndefinedObject", ...refused },
  1091: { statement: "UndefinedObject", ...refused },
  1094: { statement: "UndefinedObject", ...refused },
  1109: { statement: "UndefinedObject", ...refused },
  1110: { statement: "SqlSyntax", ...refused },
  1111: { statement: "SqlSyntax", ...refused },
  1114: { statement: "DiskFull" },
  1116: { statement: "SqlSyntax", ...refused },
  1117: { statement: "SqlSyntax", ...refused },
  // A thread's stack, here and as 1436: too deep an expression, or a routine that calls itself too often.
  1119: { statement: "OutOfMemory" },
  1129: { link: "Authorization" },
  1130: { link: "Authorization" },
  1136: { statement: "SqlSyntax", ...refused },
  1140: { statement: "SqlSyntax", ...refused },
  1142: { statement: "Authorization", ...refused },
  1143: { statement: "Authorization", ...refused },
  1146: { statement: "UndefinedObject", ...refused },
  // LOAD DATA LOCAL, here and as 3948 and 4166: the driver does not offer files of the client to the server.
  1148: { statement: "Authorization", ...refused },
  1149: { statement: "SqlSyntax", ...refused },
  1152: { link: "Lost" },
  // The statement is larger than max_allowed_packet: it was not read, and the server hangs up.
  1153: { statement: "DataError", outcome: "NotSent" },
  1158: { link: "Lost" },
  1159: { link: "Lost" },
  1160: { link: "Lost" },
  1161: { link: "Lost" },
  1169: { statement: "UniqueViolation", ...failed },
  1180: { statement: "CommitUnknown", outcome: "Unknown" },
  1184: { link: "Lost" },
  1193: { link: "Unsupported", statement: "UndefinedObject", ...refused },
  1203: { link: "TooManyConnections" },
  1205: { timeout: "Lock" },
  1206: { statement: "OutOfMemory" },
  1210: { statement: "Parameter", ...refused },
  1213: { statement: "Deadlock" },
  1216: { statement: "ForeignKeyViolation", ...failed },
  1217: { statement: "ForeignKeyViolation", ...failed },
  1222: { statement: "SqlSyntax", ...refused },
  1226: { link: "TooManyConnections", statement: "Authorization", ...refused },
  1227: { link: "Authorization", statement: "Authorization", ...refused },
  1231: { link: "Unsupported", statement: "DataError", ...refused, quotes: true },
  1232: { link: "Unsupported", statement: "DataError", ...refused },
  1238: { link: "Unsupported", statement: "SqlSyntax", ...refused },
  1241: { statement: "SqlSyntax", ...refused },
  1251: { link: "Authentication" },
  1264: { statement: "DataError", goesOn: true },
  1265: { statement: "DataError", ...failed },
  1290: { statement: "Authorization", ...refused },
  1292: { statement: "DataError", ...failed },
  1295: { statement: "SqlSyntax", ...refused },
  1298: { link: "Unsupported", statement: "DataError", ...refused, quotes: true },
  1305: { statement: "UndefinedObject", ...refused },
  1317: { statement: "Unknown", goesOn: true },
  1318: { statement: "SqlSyntax", ...refused },
  1364: { statement: "NotNullViolation", goesOn: true },
  1365: { statement: "DataError", goesOn: true },
  1366: { statement: "DataError", ...failed },
  1367: { statement: "DataError", ...failed },
  1370: { statement: "Authorization", ...refused },
  1390: { statement: "Parameter", ...refused },
  1406: { statement: "DataError", goesOn: true },
  1411: { statement: "DataError", ...failed },
  1426: { statement: "SqlSyntax", ...refused },
  1436: { statement: "OutOfMemory" },
  1451: { statement: "ForeignKeyViolation", goesOn: true },
  1452: { statement: "ForeignKeyViolation", goesOn: true },
  1461: { statement: "OutOfMemory", ...refused },
  1524: { link: "Authentication" },
  1557: { statement: "ForeignKeyViolation", ...failed },
  1568: { statement: "SqlSyntax", ...refused },
  1586: { statement: "UniqueViolation", ...failed },
  1613: { statement: "TransactionAborted" },
  1614: { statement: "Deadlock" },
  // SIGNAL without an error number of its own: what it means only the program knows that raised it, and the words are its own.
  // With MYSQL_ERRNO it is classified by that (https://dev.mysql.com/doc/refman/8.4/en/signal.html).
  1644: { statement: "Unknown" },
  1690: { statement: "DataError", ...failed },
  1698: { link: "Authentication", statement: "Authorization", ...refused },
  1792: { statement: "ReadOnly", ...refused },
  1820: { link: "Authentication", statement: "Authorization", ...refused },
  1836: { link: "ReadOnlyServer" },
  1862: { link: "Authentication" },
  1927: { link: "ServerShutdown" },
  1969: { timeout: "Statement", goesOn: true },
  2006: { link: "Lost" },
  2013: { link: "Lost" },
  3024: { timeout: "Statement", goesOn: true },
  3032: { link: "ServerShutdown" },
  3101: { statement: "Serialization" },
  3118: { link: "Authentication" },
  3140: { statement: "DataError", ...failed },
  3141: { statement: "DataError", ...failed },
  3144: { statement: "DataError", ...failed },
  3156: { statement: "DataError", ...failed },
  3159: { link: "Tls" },
  3169: { link: "ServerShutdown" },
  3572: { statement: "LockConflict", goesOn: true },
  3819: { statement: "CheckViolation", goesOn: true },
  3948: { statement: "Authorization", ...refused },
  4025: { statement: "CheckViolation", goesOn: true },
  4031: { link: "Lost" },
  4038: { statement: "DataError", ...failed },
  4151: { link: "Authentication" },
  4166: { statement: "Authorization", ...refused },
  ...socketCodes,
  PROTOCOL_CONNECTION_LOST: { link: "Lost" },
  HANDSHAKE_NO_SSL_SUPPORT: { link: "Tls" },
  HANDSHAKE_SSL_ERROR: { link: "Tls" },
  AUTH_SWITCH_PLUGIN_ERROR: { link: "Authentication" }
} as const satisfies Record<string | number, Code>

const table: Readonly<Record<string | number, Code | undefined>> = codes
const unlisted: Code = { quotes: true }
const noTrigger: Code = { statement: "UndefinedObject", ...refused }

/** The classes of the server's own SQLSTATEs: https://mariadb.com/kb/en/sqlstate/ and MySQL's reference of errors. */
const classes = new Set([
  "00",
  "01",
  "02",
  "08",
  "0A",
  "0K",
  "0Z",
  "20",
  "21",
  "22",
  "23",
  "24",
  "25",
  "28",
  "2F",
  "34",
  "3D",
  "40",
  "42",
  "44",
  "70",
  "HY",
  "XA"
])

/** Raised by SIGNAL or RESIGNAL, under a number or a SQLSTATE that the server does not use itself: the words are the program's. */
const isRaised = ({ errno, sqlState }: RawError, known: Code): boolean =>
  errno === 1644 ||
  (known === unlisted && sqlState !== undefined && /^[0-9A-Z]{5}$/.test(sqlState) &&
    (sqlState === "45000" || !classes.has(sqlState.slice(0, 2))))

/** An error as mysql2 gives it. */
export interface RawError extends Error {
  readonly errno?: number | undefined
  readonly code?: string | undefined
  readonly sqlState?: string | undefined
  readonly fatal?: boolean | undefined
}

/** The error of a failed attempt that says most: Node wraps one per address in an `AggregateError`. */
const innermost = (error: unknown): RawError =>
  error instanceof AggregateError && error.errors.length > 0
    ? innermost(error.errors[0])
    : error instanceof Error
    ? error
    : new Error(String(error))

/** A socket's `errno` is negative: its code is the name. */
const codeOf = (error: RawError): string | number | undefined =>
  error.errno !== undefined && error.errno > 0 ? error.errno : error.code

/** The line of {@link codes} for an error. */
export const lookup = (error: RawError): Code =>
  // MySQL's words for a link that was idle for too long; MariaDB gives the number to a trigger that FOLLOWS none.
  error.errno === 4031 && /\btrigger\b/i.test(error.message) ? noTrigger : table[codeOf(error) ?? ""] ?? unlisted

/** Where an error came up, and what was in force. */
export interface Circumstances {
  readonly database: string
  readonly statement: string | undefined
  readonly commit: boolean
  /** Set where more is known than the code says. */
  readonly outcome: Outcome | undefined
  /** Which one of several statements it was. */
  readonly note?: string | undefined
  /** Limits in force, in milliseconds; `undefined` where they are not ours. */
  readonly statementTimeout: number | undefined
  readonly lockTimeout: number | undefined
}

/** The typed error for what the server answered to a statement. */
export const classify = (cause: RawError, at: Circumstances): DbError => {
  const known = lookup(cause)
  const code = codeOf(cause)
  const noted = (what: string): string => at.note === undefined ? what : `${what}, in ${at.note}`
  const parts = {
    database: at.database,
    code,
    cause,
    statement: at.statement,
    outcome: at.outcome ?? known.outcome ?? "RolledBack"
  }
  const what = noted(cause.message)
  // With the names that the server's message holds.
  const refused = (reason: QueryReason, what: string, detail?: string): QueryError =>
    failure({
      _tag: "QueryError",
      reason,
      ...parts,
      ...(typeof code === "number" ? namesIn(code, cause.message, at.statement) : {}),
      what,
      detail
    })
  // 1290 names the option that forbids the statement, and nothing else tells a read-only server from the others.
  const isReadOnlyServer = code === 1836 || (code === 1290 && /read.only/.test(cause.message))
  if (isReadOnlyServer) {
    return failure({ _tag: "ConnectionError", reason: "ReadOnlyServer", ...parts, what, outcome: "NotSent" })
  }
  if (at.commit && (known.link !== undefined || known === unlisted) && known.statement === undefined) {
    return failure({ _tag: "QueryError", reason: "CommitUnknown", ...parts, what: "COMMIT failed", outcome: "Unknown" })
  }
  if (known.timeout === "Statement") {
    return failure({ _tag: "TimeoutError", phase: "Statement", limitMillis: at.statementTimeout, ...parts, what })
  }
  if (known.timeout === "Lock") {
    return at.statement !== undefined && /\bnowait\b/i.test(at.statement)
      ? refused("LockConflict", noted("the lock is held by another transaction"))
      : failure({ _tag: "TimeoutError", phase: "Lock", limitMillis: at.lockTimeout, ...parts, what })
  }
  if (known.link !== undefined && known.statement === undefined) {
    return failure({ _tag: "ConnectionError", reason: known.link, ...parts, what })
  }
  const reason = known.statement ?? "Unknown"
  if (isRaised(cause, known)) {
    return refused(reason, what, cause.message)
  }
  return known.quotes === true
    ? refused(reason, noted(queryReasons[reason].meaning), cause.message)
    : refused(reason, what)
}

/** The typed error for an attempt to open a link that failed, or for a link that broke. */
export const classifyLink = (raw: unknown, at: {
  readonly database: string
  readonly where: string
  readonly outcome: Outcome
  readonly otherwise: ConnectionReason
}): ConnectionError => {
  const error = innermost(raw)
  const code = codeOf(error)
  const known = lookup(error)
  const reason = known.link ?? at.otherwise
  const said = known.quotes === true && code !== undefined ? connectionReasons[reason].meaning : error.message
  return failure({
    _tag: "ConnectionError",
    reason,
    database: at.database,
    what: `${at.where}: ${said === "" ? connectionReasons[reason].meaning : said}`,
    outcome: at.outcome,
    code,
    cause: raw
  })
}
