/**
 * What the numbers of SQL Server and the codes of sockets mean, in one table, and the typed errors made from it.
 */
import type { ConnectionError, DbError, Outcome, QueryError } from "../../../DbError.js"
import { type ConnectionReason, connectionReasons, type QueryReason, queryReasons } from "../../../DbError.js"
import { failure } from "../failure.js"
import { socketCodes } from "../socketCodes.js"
import { isCheck, namesIn } from "./names.js"

/**
 * What one code means: as the reason why there is no link (any more), as the answer to a statement, or as a limit that
 * the server kept.
 */
export interface Code {
  readonly link?: ConnectionReason
  readonly statement?: QueryReason
  readonly timeout?: "Lock"
  /** What is known of a statement that got it. Defaults to `RolledBack`: the server undoes a statement that fails. */
  readonly outcome?: Outcome
  /** The server's message repeats values, so it is `detail` and not `message`. Unknown codes are taken to do so. */
  readonly quotes?: true
}

/** Found before anything of the batch ran. */
const refused = { outcome: "NotSent" } as const
const quotes = { quotes: true } as const

/**
 * Every code that is told apart: numbers of the server, and the names that sockets, name resolution and tedious use.
 * What is not listed is `Unknown`.
 */
export const codes = {
  102: { statement: "SqlSyntax", ...refused, ...quotes },
  103: { statement: "SqlSyntax", ...refused },
  105: { statement: "SqlSyntax", ...refused, ...quotes },
  107: { statement: "UndefinedObject" },
  108: { statement: "SqlSyntax" },
  109: { statement: "SqlSyntax", ...refused },
  110: { statement: "SqlSyntax", ...refused },
  113: { statement: "SqlSyntax", ...refused },
  116: { statement: "SqlSyntax" },
  120: { statement: "SqlSyntax" },
  121: { statement: "SqlSyntax" },
  134: { statement: "SqlSyntax", ...refused },
  137: { statement: "SqlSyntax", ...refused },
  141: { statement: "SqlSyntax", ...refused },
  145: { statement: "SqlSyntax" },
  156: { statement: "SqlSyntax", ...refused },
  170: { statement: "SqlSyntax", ...refused },
  174: { statement: "SqlSyntax" },
  195: { statement: "UndefinedObject" },
  201: { statement: "Parameter" },
  205: { statement: "SqlSyntax" },
  206: { statement: "DataError" },
  207: { statement: "UndefinedObject" },
  208: { statement: "UndefinedObject" },
  209: { statement: "SqlSyntax" },
  213: { statement: "SqlSyntax" },
  // A value beyond the range of its type; the text repeats it.
  220: { statement: "DataError", ...quotes },
  229: { statement: "Authorization" },
  230: { statement: "Authorization" },
  235: { statement: "DataError" },
  241: { statement: "DataError" },
  242: { statement: "DataError" },
  244: { statement: "DataError", ...quotes },
  245: { statement: "DataError", ...quotes },
  248: { statement: "DataError", ...quotes },
  257: { statement: "DataError" },
  262: { statement: "Authorization" },
  264: { statement: "SqlSyntax" },
  266: { statement: "TransactionAborted" },
  297: { statement: "Authorization" },
  300: { statement: "Authorization" },
  402: { statement: "DataError" },
  512: { statement: "DataError" },
  515: { statement: "NotNullViolation" },
  529: { statement: "DataError" },
  537: { statement: "DataError" },
  544: { statement: "DataError" },
  545: { statement: "DataError" },
  // 547 is a foreign key or a check: the message says which.
  547: { statement: "ForeignKeyViolation" },
  596: { link: "Lost" },
  601: { statement: "Serialization" },
  628: { statement: "TransactionAborted" },
  701: { statement: "OutOfMemory" },
  802: { statement: "OutOfMemory" },
  911: { link: "UnknownDatabase", statement: "UndefinedObject" },
  916: { link: "Authorization", statement: "Authorization" },
  921: { link: "ServerStarting" },
  922: { link: "ServerStarting" },
  927: { link: "ServerStarting" },
  942: { link: "ServerStarting" },
  945: { link: "ServerStarting" },
  952: { link: "ServerStarting" },
  976: { link: "ServerStarting" },
  978: { link: "ReadOnlyServer" },
  979: { link: "ReadOnlyServer" },
  983: { link: "ServerStarting" },
  1060: { statement: "DataError" },
  1088: { statement: "UndefinedObject" },
  1101: { statement: "DiskFull" },
  1105: { statement: "DiskFull" },
  1204: { statement: "OutOfMemory" },
  1205: { statement: "Deadlock" },
  1221: { statement: "LockConflict" },
  1222: { timeout: "Lock" },
  1223: { statement: "UndefinedObject" },
  1505: { statement: "UniqueViolation", ...quotes },
  1767: { statement: "UndefinedObject" },
  1776: { statement: "UndefinedObject" },
  1911: { statement: "UndefinedObject" },
  1913: { statement: "SqlSyntax" },
  2601: { statement: "UniqueViolation", ...quotes },
  2627: { statement: "UniqueViolation", ...quotes },
  2628: { statement: "DataError", ...quotes },
  2705: { statement: "SqlSyntax" },
  2714: { statement: "SqlSyntax" },
  2715: { statement: "UndefinedObject" },
  2760: { statement: "UndefinedObject" },
  2801: { statement: "UndefinedObject" },
  2812: { statement: "UndefinedObject" },
  3701: { statement: "UndefinedObject" },
  3726: { statement: "ForeignKeyViolation" },
  3728: { statement: "UndefinedObject" },
  3902: { statement: "TransactionAborted" },
  3903: { statement: "TransactionAborted" },
  3906: { statement: "ReadOnly" },
  3908: { statement: "ReadOnly" },
  3930: { statement: "TransactionAborted" },
  3931: { statement: "TransactionAborted" },
  3951: { statement: "TransactionAborted" },
  3952: { statement: "Unknown" },
  3960: { statement: "Serialization" },
  3961: { statement: "Serialization" },
  3989: { statement: "TransactionAborted" },
  3998: { statement: "TransactionAborted" },
  4060: { link: "UnknownDatabase" },
  4064: { link: "UnknownDatabase" },
  4104: { statement: "UndefinedObject" },
  4121: { statement: "UndefinedObject" },
  4221: { link: "ServerStarting" },
  4712: { statement: "ForeignKeyViolation" },
  4901: { statement: "NotNullViolation" },
  4902: { statement: "UndefinedObject" },
  4924: { statement: "UndefinedObject" },
  6005: { link: "ServerShutdown" },
  6401: { statement: "TransactionAborted" },
  7202: { statement: "UndefinedObject" },
  // Too many parameters.
  8003: { statement: "Parameter", ...refused },
  8023: { statement: "Parameter", ...refused },
  8114: { statement: "DataError" },
  8115: { statement: "DataError" },
  8117: { statement: "DataError" },
  8120: { statement: "SqlSyntax" },
  8134: { statement: "DataError" },
  8144: { statement: "Parameter" },
  8145: { statement: "Parameter" },
  8152: { statement: "DataError" },
  8155: { statement: "SqlSyntax" },
  8158: { statement: "SqlSyntax" },
  8169: { statement: "DataError" },
  8178: { statement: "Parameter", ...refused },
  8645: { statement: "OutOfMemory" },
  8651: { statement: "OutOfMemory" },
  9002: { statement: "DiskFull" },
  10738: { statement: "SqlSyntax", ...refused },
  10928: { link: "TooManyConnections" },
  10929: { link: "TooManyConnections" },
  10936: { link: "TooManyConnections" },
  15151: { statement: "UndefinedObject" },
  15247: { statement: "Authorization" },
  17142: { link: "ServerStarting" },
  17187: { link: "ServerStarting" },
  17188: { link: "ServerShutdown" },
  17189: { link: "ServerStarting" },
  17809: { link: "TooManyConnections" },
  17892: { link: "Authorization" },
  18401: { link: "ServerStarting" },
  18451: { link: "ServerShutdown" },
  18452: { link: "Authentication" },
  18456: { link: "Authentication" },
  18461: { link: "TooManyConnections" },
  18470: { link: "Authentication" },
  18486: { link: "Authentication" },
  18487: { link: "Authentication" },
  18488: { link: "Authentication" },
  33184: { link: "ServerStarting" },
  40143: { link: "ServerShutdown" },
  40166: { link: "ServerShutdown" },
  40197: { link: "ServerShutdown" },
  40501: { link: "TooManyConnections" },
  40532: { link: "Authorization" },
  40540: { link: "ServerShutdown" },
  40544: { statement: "DiskFull" },
  40549: { link: "ServerShutdown" },
  40550: { link: "ServerShutdown" },
  40551: { link: "ServerShutdown" },
  40552: { link: "ServerShutdown" },
  40553: { link: "ServerShutdown" },
  40613: { link: "ServerStarting" },
  40615: { link: "Authorization" },
  41301: { statement: "Serialization" },
  41302: { statement: "Serialization" },
  41305: { statement: "Serialization" },
  41325: { statement: "Serialization" },
  41839: { statement: "Serialization" },
  49918: { link: "TooManyConnections" },
  49919: { link: "TooManyConnections" },
  49920: { link: "TooManyConnections" },
  ...socketCodes,
  // tedious's own.
  ECLOSE: { link: "Lost" },
  EENCRYPT: { link: "Tls" },
  EFEDAUTH: { link: "Authentication" },
  EINSTLOOKUP: { link: "Unreachable" },
  ELOGIN: { link: "Authentication" },
  ETDS: { link: "Unsupported" },
  EINTERFACENOTSUPP: { link: "Unsupported" }
} as const satisfies Record<string | number, Code>

const table: Readonly<Record<string | number, Code | undefined>> = codes
const unlisted: Code = { quotes: true }
/** From here on RAISERROR and THROW raise what the program has named: the words are the program's. */
const firstRaised = 50_000
const tlsCode = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(?:TLS|SSL|OSSL)/

/** An error as tedious gives it: of the server with a number, of the socket or its own with a code. */
export interface RawError extends Error {
  readonly number?: number | undefined
  readonly code?: string | undefined
}

/** The first of several errors is the one from which the others follow: tedious wraps them in an `AggregateError`. */
export const firstOf = (error: unknown): RawError =>
  error instanceof AggregateError && error.errors.length > 0
    ? firstOf(error.errors[0])
    : error instanceof Error
    ? error
    : new Error(String(error))

/** The number of the server's error, or the code of the socket's behind tedious's `ESOCKET`. */
const codeOf = (error: RawError): string | number | undefined => {
  if (error.number !== undefined) return error.number
  if (error.cause !== undefined && (error.code === "ESOCKET" || error.code === undefined)) {
    const inner = codeOf(firstOf(error.cause))
    if (inner !== undefined) return inner
  }
  return error.code
}

const lookup = (code: string | number | undefined): Code =>
  code === undefined
    ? unlisted
    : table[code] ?? (typeof code === "string" && tlsCode.test(code) ? { link: "Tls" } : unlisted)

/** Where an error came up, and what was in force. */
export interface Circumstances {
  readonly database: string
  readonly statement: string | undefined
  readonly commit: boolean
  /** Set where more is known than the code says. */
  readonly outcome: Outcome | undefined
  /** The limit in force, in milliseconds; `undefined` where it is not ours. */
  readonly lockTimeout: number | undefined
}

/** The typed error for what the server answered to a statement. */
export const classify = (raw: unknown, at: Circumstances): DbError => {
  const error = firstOf(raw)
  const code = codeOf(error)
  const known = lookup(code)
  const parts = {
    database: at.database,
    code,
    cause: raw,
    statement: at.statement,
    outcome: at.outcome ?? known.outcome ?? "RolledBack"
  }
  // With the names that the server's message holds.
  const refused = (reason: QueryReason, what: string, detail?: string): QueryError =>
    failure({
      _tag: "QueryError",
      reason,
      ...parts,
      ...(typeof code === "number" ? namesIn(code, error.message) : {}),
      what,
      detail
    })
  if (known.timeout === "Lock") {
    return at.lockTimeout === 0
      ? refused("LockConflict", "the lock is held by another transaction")
      : failure({ _tag: "TimeoutError", phase: "Lock", limitMillis: at.lockTimeout, ...parts, what: error.message })
  }
  if (known.link !== undefined && known.statement === undefined) {
    return at.commit
      ? failure({ _tag: "QueryError", reason: "CommitUnknown", ...parts, what: "COMMIT failed", outcome: "Unknown" })
      : failure({
        _tag: "ConnectionError",
        reason: known.link,
        ...parts,
        what: error.message,
        outcome: at.outcome ?? "Unknown"
      })
  }
  const reason = code === 547 && isCheck(error.message) ? "CheckViolation" : known.statement ?? "Unknown"
  const isRaised = typeof code === "number" && code >= firstRaised
  const what = known.quotes === true && !isRaised ? queryReasons[reason].meaning : error.message
  return refused(reason, what, known.quotes === true || isRaised ? error.message : undefined)
}

/** The typed error for an attempt to open a link that failed, or for a link that broke. */
export const classifyLink = (raw: unknown, at: {
  readonly database: string
  readonly where: string
  readonly outcome: Outcome
  readonly otherwise: ConnectionReason
}): ConnectionError => {
  const error = firstOf(raw)
  const code = codeOf(error)
  const reason = lookup(code).link ?? at.otherwise
  return failure({
    _tag: "ConnectionError",
    reason,
    database: at.database,
    what: `${at.where}: ${error.message === "" ? connectionReasons[reason].meaning : error.message}`,
    outcome: at.outcome,
    // A number says more than tedious's word for a failed login.
    code: code === "ESOCKET" ? undefined : code,
    cause: raw
  })
}
