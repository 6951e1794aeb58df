/**
 * What PostgreSQL's and the socket's codes mean, in one table, and the typed errors made from it.
 */
import type {
  ConnectionError,
  ConnectionReason,
  DbError,
  Outcome,
  QueryReason,
  TimeoutPhase
} from "../../../DbError.js"
import { connectionReasons } from "../../../DbError.js"
import type { Mentioned } from "../../error/parameter.js"
import { failure, keptLimit, type Named } from "../failure.js"
import { socketCodes } from "../socketCodes.js"

/**
 * What one code means: as the reason why there is no link (any more), and as the answer to a statement. `timeout`
 * names the limit that the server kept, where the code says so by itself.
 */
export interface Code {
  readonly link?: ConnectionReason
  readonly statement?: QueryReason
  readonly timeout?: TimeoutPhase
}

/**
 * Every code that is told apart: SQLSTATEs (five characters), classes of SQLSTATEs (two characters, for those without
 * a line of their own) and the codes of sockets, name resolution and TLS. What is not listed is `Unknown`.
 */
export const codes = {
  "08": { link: "Lost" },
  "08001": { link: "Refused" },
  "08004": { link: "Authorization" },
  "08P01": { link: "Unknown" },
  "0A": { link: "Unsupported" },
  "0L": { statement: "Authorization" },
  "0P": { statement: "Authorization" },
  "21": { statement: "DataError" },
  "22": { link: "Unsupported", statement: "DataError" },
  "23": { statement: "CheckViolation" },
  "23001": { statement: "ForeignKeyViolation" },
  "23502": { statement: "NotNullViolation" },
  "23503": { statement: "ForeignKeyViolation" },
  "23505": { statement: "UniqueViolation" },
  "23514": { statement: "CheckViolation" },
  "23P01": { statement: "ExclusionViolation" },
  "25006": { link: "ReadOnlyServer", statement: "ReadOnly" },
  "25P01": { statement: "TransactionAborted" },
  "25P02": { statement: "TransactionAborted" },
  "25P03": { link: "ServerShutdown", timeout: "IdleInTransaction" },
  "25P04": { link: "ServerShutdown", timeout: "Transaction" },
  "26": { statement: "UndefinedObject" },
  "28": { link: "Authentication", statement: "Authorization" },
  "34": { statement: "UndefinedObject" },
  "3D": { link: "UnknownDatabase", statement: "UndefinedObject" },
  "3F": { statement: "UndefinedObject" },
  "40": { statement: "Serialization" },
  // A standby ends also sessions that stand in the way of its replay.
  "40001": { link: "ServerShutdown", statement: "Serialization" },
  "40P01": { statement: "Deadlock" },
  "42": { link: "Unsupported", statement: "SqlSyntax" },
  "42501": { link: "Authorization", statement: "Authorization" },
  "42703": { statement: "UndefinedObject" },
  "42704": { link: "Unsupported", statement: "UndefinedObject" },
  "42883": { statement: "UndefinedObject" },
  "42P01": { statement: "UndefinedObject" },
  "42P02": { statement: "UndefinedObject" },
  "44": { statement: "CheckViolation" },
  "53100": { link: "Unknown", statement: "DiskFull" },
  "53200": { link: "Unknown", statement: "OutOfMemory" },
  "53300": { link: "TooManyConnections" },
  // Limits of the server: what is too large is most often a value (an index row, a row, an array) ...
  "54": { statement: "DataError" },
  // ... but a stack is memory, and columns and arguments are counted in the text of the statement.
  "54001": { statement: "OutOfMemory" },
  "54011": { statement: "SqlSyntax" },
  "54023": { statement: "SqlSyntax" },
  "55006": { statement: "LockConflict" },
  "55P03": { statement: "LockConflict" },
  "57P01": { link: "ServerShutdown" },
  "57P02": { link: "ServerShutdown" },
  "57P03": { link: "ServerStarting" },
  "57P04": { link: "UnknownDatabase" },
  "57P05": { link: "ServerShutdown" },
  ...socketCodes,
  ERR_TLS: { link: "Tls" },
  ERR_SSL: { link: "Tls" },
  ERR_OSSL: { link: "Tls" },
  CERT: { link: "Tls" },
  CRL: { link: "Tls" },
  DEPTH_ZERO_SELF_SIGNED_CERT: { link: "Tls" },
  SELF_SIGNED_CERT_IN_CHAIN: { link: "Tls" },
  HOSTNAME_MISMATCH: { link: "Tls" },
  INVALID_CA: { link: "Tls" },
  INVALID_PURPOSE: { link: "Tls" },
  UNABLE_TO: { link: "Tls" }
} as const satisfies Record<string, Code>

const table: Readonly<Record<string, Code | undefined>> = codes
const socketPrefixes = ["ERR_TLS", "ERR_SSL", "ERR_OSSL", "CERT", "CRL", "UNABLE_TO"]
const none: Code = {}

/** The line of {@link codes} that applies to a code: its own, else that of its class or family. */
export const lookup = (code: string | undefined): Code => {
  if (code === undefined) return none
  const own = table[code]
  if (own !== undefined) return own
  if (code.length === 5 && !code.startsWith("E")) return table[code.slice(0, 2)] ?? none
  const family = socketPrefixes.find((prefix) => code.startsWith(prefix))
  return family === undefined ? none : table[family]!
}

/** The parts of `pg`'s `DatabaseError` that are read here. */
export interface ServerError extends Error {
  readonly severity?: string | undefined
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly position?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly constraint?: string | undefined
  readonly routine?: string | undefined
}

/** Whether the server ends the link with this error. `severity` is in the server's language, hence also the codes. */
export const isFatal = (error: ServerError): boolean =>
  error.severity === "FATAL" || error.severity === "PANIC" || error.severity === undefined ||
  (error.code !== undefined && (error.code.startsWith("57P0") || table[error.code]?.timeout !== undefined))

/** Of an error that is fatal: the server itself has said it. A pooler says with a code of class 08 that it has lost the server. */
export const isServersWord = ({ code = "", severity }: ServerError): boolean =>
  severity !== undefined && !code.startsWith("08")

/** What the server says of a statement that it refused, beside its message. */
const namedBy = (error: ServerError, hint: string | undefined): Named => {
  const position = Number(error.position)
  return {
    // `pg` gives what the server left out as empty, too.
    constraint: error.constraint || undefined,
    schema: error.schema || undefined,
    table: error.table || undefined,
    column: error.column || undefined,
    detail: error.detail || undefined,
    hint: error.hint || hint,
    position: position > 0 ? position : undefined
  }
}

/**
 * The server's message without the values it may quote: those of class 22 repeat the value that did not fit. The words of a
 * RAISE are the program's own, whatever its code is.
 */
const withoutValues = (error: ServerError): string =>
  error.code?.startsWith("22") === true && error.routine !== "exec_stmt_raise"
    ? error.message.replace(/".*"/su, "\"…\"")
    : error.message

/**
 * What to do where a prepared statement is missing, or there already, in spite of us: a pooler in transaction mode has
 * given its session to another client.
 */
export const poolerAdvice = (code: string | undefined): string | undefined =>
  code === "26000" || code === "42P05"
    ? "if a pooler in transaction mode lies in between, set prepare: false (?pgbouncer=true in the URL)"
    : undefined

/** The values of a statement are not as many as its parameters. The server calls it a violation of the protocol. */
const isMiscounted = ({ code, routine }: ServerError): boolean => code === "08P01" && routine === "exec_bind_message"

/** What to do, where a code alone does not say it. */
const adviceOf = (error: ServerError): string | undefined =>
  // The one syntax error that does not lie in a statement: the protocol prepares single ones.
  error.code === "42601" && error.routine === "exec_parse_message"
    ? "run the statements one by one, or all of them by Db.batch"
    : isMiscounted(error)
    ? "give one value for each $n of the statement"
    : poolerText(error)?.[2] ?? poolerAdvice(error.code)

/**
 * PgBouncer gives most of what it says, and before version 1.19 what the server said to it, the one code 08P01: only the
 * text tells what it is.
 */
const poolerTexts: ReadonlyArray<readonly [text: RegExp, reason: ConnectionReason, advice?: string]> = [
  [/^no such database|^database "[^]*" does not exist$/i, "UnknownDatabase"],
  [/authentication failed|^no such user|^role "[^]*" does not exist$/i, "Authentication"],
  [/^permission denied for database/i, "Authorization"],
  [
    /^no more connections allowed|too many clients|^too many connections|^remaining connection slots|^query_wait_timeout/i,
    "TooManyConnections"
  ],
  [/^the database system is starting up/i, "ServerStarting"],
  [
    /^(?:the database system|pgbouncer) is shutting down|^terminating connection due to administrator/i,
    "ServerShutdown"
  ],
  [
    /^(?:pgbouncer )?cannot connect to server|^server login (?:failed|has been failing)|^server_login_retry/i,
    "Refused"
  ],
  // "database removed" is what KILL says.
  [/^server conn(?:ection)? crashed|^server closed the connection|^database removed$|[_ ]timeout$/i, "Lost"],
  [/^unsupported (?:options )?startup parameter/i, "Unsupported"],
  [
    /^database "[^]*" is disabled$|^database does not allow connections/i,
    "Refused",
    "enable it in PgBouncer's console (ENABLE), or wait until it is enabled"
  ],
  [
    /^transaction blocks not allowed in statement pooling mode/i,
    "Unsupported",
    "set pool_mode = transaction or session in PgBouncer: in statement mode there are no transactions"
  ]
]

const poolerText = ({ code, message }: { readonly code?: string | undefined; readonly message: string }) =>
  code === "08P01" ? poolerTexts.find(([text]) => text.test(message)) : undefined

/** What PgBouncer says to a client that waits for a session of the server: nothing that this client sent has reached one. */
const stillWaiting = /^query_(?:wait_)?timeout$|^pgbouncer cannot connect to server/

/** Why there is no link (any more), by code, and where that says nothing, by a pooler's text. */
const linkReason = (error: ServerError): ConnectionReason | undefined =>
  poolerText(error)?.[1] ?? lookup(error.code).link

/** Where a server's error came from, and what was in force. */
export interface Circumstances {
  readonly database: string
  readonly outcome: Outcome
  readonly statement: string | undefined
  /** Whether the link is gone with it. */
  readonly fatal: boolean
  /** The statement was a COMMIT. */
  readonly commit: boolean
  /** What to do, where the server does not say it. */
  readonly hint?: string | undefined
  /** A cancel of ours is under way. */
  readonly cancelling: boolean
  /** Our limits, in milliseconds; 0: none. */
  readonly statementTimeout: number
  readonly lockTimeout: number
  readonly idleTimeout: number
  /** The program may have set limits of its own. */
  readonly foreignLimits: boolean
  /** For how long the server had what was sent last, in milliseconds. */
  readonly ranMillis: number
  /** For how long the connection can have been idle before that, in milliseconds. */
  readonly idleMillis: number
}

/** The parameter whose type the server cannot tell: in every language its message has the number, as the text writes it. */
const parameterOf = ({ code, message }: ServerError): Mentioned | undefined => {
  const number = code === "42P08" || code === "42P18" ? /\$(\d+)/.exec(message)?.[1] : undefined
  return number === undefined ? undefined : { number: Number(number) }
}

/** The typed error for an error of the server. */
export const classify = (error: ServerError, at: Circumstances): DbError => {
  const { code } = error
  const known = lookup(code)
  const what = withoutValues(error)
  const base = {
    what,
    code,
    advice: adviceOf(error),
    database: at.database,
    outcome: at.outcome === "Unknown" && code === "08P01" && stillWaiting.test(error.message) ? "NotSent" : at.outcome,
    statement: at.statement,
    cause: error
  } as const
  if (at.commit && at.fatal) {
    return failure({
      _tag: "QueryError",
      reason: "CommitUnknown",
      ...base,
      ...namedBy(error, at.hint),
      outcome: "Unknown"
    })
  }
  if (known.timeout !== undefined) {
    // `transaction_timeout` is never ours.
    const limit = known.timeout === "IdleInTransaction" ? at.idleTimeout : 0
    const limitMillis = keptLimit(limit, at.idleMillis, at.foreignLimits)
    return failure({ _tag: "TimeoutError", phase: known.timeout, limitMillis, ...base })
  }
  if (at.fatal) return failure({ _tag: "ConnectionError", reason: linkReason(error) ?? "Unknown", ...base })
  // Both a cancel and a limit end a statement from `ProcessInterrupts`; NOWAIT ends it from where the lock is taken.
  if (error.routine === "ProcessInterrupts" && !at.cancelling) {
    if (code === "57014") {
      const limitMillis = keptLimit(at.statementTimeout, at.ranMillis, at.foreignLimits)
      // The code is also that of a cancel by another session (`pg_cancel_backend`), which only the text tells apart.
      if (limitMillis !== undefined || at.foreignLimits || /\btimeout\b/.test(error.message)) {
        return failure({ _tag: "TimeoutError", phase: "Statement", limitMillis, ...base })
      }
    }
    if (code === "55P03") {
      const limitMillis = keptLimit(at.lockTimeout, at.ranMillis, at.foreignLimits)
      return failure({ _tag: "TimeoutError", phase: "Lock", limitMillis, ...base })
    }
  }
  const reason = known.statement ?? (isMiscounted(error) ? "Parameter" : "Unknown")
  return failure({ _tag: "QueryError", reason, ...base, ...namedBy(error, at.hint), parameter: parameterOf(error) })
}

/** The error of a failed attempt that says most: Node wraps one per address in an `AggregateError`. */
const innermost = (error: unknown): Error & { readonly code?: string | undefined } => {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  return error instanceof Error ? error : new Error(String(error))
}

/** The typed error for an attempt to open a link that failed, or for a link that broke. */
export const classifyLink = (cause: unknown, at: {
  readonly database: string
  readonly where: string
  readonly outcome: Outcome
  readonly otherwise: ConnectionReason
}): ConnectionError => {
  const error = innermost(cause)
  const reason = linkReason(error) ?? reasonOfText(error.message) ?? at.otherwise
  return failure({
    _tag: "ConnectionError",
    reason,
    what: `${at.where}: ${error.message || error.code || connectionReasons[reason].meaning}`,
    code: error.code,
    advice: poolerText(error)?.[2],
    outcome: at.outcome,
    database: at.database,
    cause: withoutCertificate(cause)
  })
}

/** Node hangs the server's certificates, which refer to each other in a circle, onto the error that refuses them. */
const withoutCertificate = (cause: unknown): unknown =>
  cause instanceof Error && "cert" in cause
    ? Object.assign(new Error(cause.message), { code: (cause as NodeJS.ErrnoException).code, stack: cause.stack })
    : cause

/** `pg`'s own errors carry no code. */
const reasonOfText = (message: string): ConnectionReason | undefined =>
  message.startsWith("SASL") || message.startsWith("Password must be")
    ? "Authentication"
    : message.includes("SSL connection")
    ? "Tls"
    : message.startsWith("Unknown authenticationOk")
    ? "Unsupported"
    : message.startsWith("Connection terminated")
    ? "Lost"
    : undefined
