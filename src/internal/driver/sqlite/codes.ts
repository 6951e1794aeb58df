/**
 * SQLite's result codes: what each means to a program, and how a failure is classified.
 *
 * A failure is a {@link Fault}, plain data, until it leaves the driver: it may have to cross from the process that ran
 * the statement, which starts the faster the less it loads. `toError` makes the typed error of it.
 */
import type { ConnectionReason, Outcome, QueryReason } from "../../../DbError.js"
import type { Mentioned } from "../../error/parameter.js"

/** What one result code means. */
export type Code =
  & {
    /** SQLite's own number. */
    readonly number: number
    /** What is known about the statement that got it. */
    readonly outcome: Outcome
  }
  & (
    | { readonly error: "ConnectionError"; readonly reason: ConnectionReason }
    | { readonly error: "QueryError"; readonly reason: QueryReason }
  )

const query = (number: number, reason: QueryReason, outcome: Outcome = "RolledBack"): Code => ({
  number,
  outcome,
  error: "QueryError",
  reason
})

const connection = (number: number, reason: ConnectionReason, outcome: Outcome = "RolledBack"): Code => ({
  number,
  outcome,
  error: "ConnectionError",
  reason
})

/**
 * The result codes of SQLite that stand for failures. An extended code that is not listed means what its primary code
 * means (`SQLITE_IOERR_READ`: `SQLITE_IOERR`).
 *
 * A failed statement is `RolledBack`: SQLite undoes what it had done. A failed write to the disk is `Unknown`, because
 * it can come after the pages of the commit were written.
 */
export const codes = {
  SQLITE_ERROR: query(1, "Unknown"),
  SQLITE_ERROR_SNAPSHOT: query(769, "Serialization"),
  SQLITE_INTERNAL: query(2, "Unknown"),
  SQLITE_PERM: connection(3, "CannotOpen"),
  SQLITE_ABORT: query(4, "TransactionAborted"),
  SQLITE_ABORT_ROLLBACK: query(516, "TransactionAborted"),
  SQLITE_BUSY: query(5, "LockConflict"),
  SQLITE_BUSY_RECOVERY: query(261, "LockConflict"),
  SQLITE_BUSY_SNAPSHOT: query(517, "Serialization"),
  SQLITE_LOCKED: query(6, "LockConflict"),
  SQLITE_NOMEM: query(7, "OutOfMemory"),
  SQLITE_READONLY: query(8, "ReadOnly"),
  SQLITE_READONLY_DBMOVED: connection(1032, "Lost"),
  SQLITE_INTERRUPT: query(9, "Unknown"),
  SQLITE_IOERR: connection(10, "Lost", "Unknown"),
  SQLITE_IOERR_NOMEM: query(3082, "OutOfMemory"),
  SQLITE_CORRUPT: connection(11, "NotADatabase"),
  SQLITE_NOTFOUND: query(12, "Unknown"),
  SQLITE_FULL: query(13, "DiskFull"),
  SQLITE_CANTOPEN: connection(14, "CannotOpen"),
  SQLITE_PROTOCOL: query(15, "LockConflict"),
  SQLITE_SCHEMA: query(17, "LockConflict"),
  SQLITE_TOOBIG: query(18, "DataError"),
  SQLITE_CONSTRAINT: query(19, "CheckViolation"),
  SQLITE_CONSTRAINT_CHECK: query(275, "CheckViolation"),
  SQLITE_CONSTRAINT_DATATYPE: query(3091, "DataError"),
  SQLITE_CONSTRAINT_FOREIGNKEY: query(787, "ForeignKeyViolation"),
  SQLITE_CONSTRAINT_NOTNULL: query(1299, "NotNullViolation"),
  SQLITE_CONSTRAINT_PRIMARYKEY: query(1555, "UniqueViolation"),
  SQLITE_CONSTRAINT_ROWID: query(2579, "UniqueViolation"),
  SQLITE_CONSTRAINT_TRIGGER: query(1811, "CheckViolation"),
  SQLITE_CONSTRAINT_UNIQUE: query(2067, "UniqueViolation"),
  SQLITE_MISMATCH: query(20, "DataError"),
  SQLITE_MISUSE: query(21, "Unknown"),
  SQLITE_AUTH: query(23, "Authorization"),
  SQLITE_RANGE: query(25, "Parameter"),
  SQLITE_NOTADB: connection(26, "NotADatabase")
} as const satisfies Record<string, Code>

/**
 * SQLite gives `SQLITE_ERROR` alone for everything that is wrong in a statement's text; only the message tells which.
 */
const generic: ReadonlyArray<readonly [RegExp, QueryReason]> = [
  // First: what stands in the quotes is the statement's, whatever words it holds.
  [/^near "/, "SqlSyntax"],
  [
    /^no such (table|column|index|view|trigger|function|module|collation|savepoint|schema|database)/i,
    "UndefinedObject"
  ],
  [/^(unknown database|no such collation sequence|unknown table option)/i, "UndefinedObject"],
  [/has no column named/i, "UndefinedObject"],
  [/syntax error|^incomplete input|^unrecognized token|^wrong number of arguments/i, "SqlSyntax"],
  [
    /values for \d+ columns|has \d+ columns but \d+ values|^ambiguous column name|^misuse of|^parser stack overflow|may not be used/i,
    "SqlSyntax"
  ],
  // What SQLite's parser limits, https://www.sqlite.org/limits.html.
  [
    /^Expression tree is too large|^too many (columns|terms|arguments|FROM clause terms|references)|^at most \d+ tables in a join/i,
    "SqlSyntax"
  ],
  [/pattern too complex$/i, "DataError"],
  [/^too many SQL variables|^variable number must be between/i, "Parameter"],
  [/malformed JSON|^integer overflow|JSON path|^bad JSON/i, "DataError"]
]

/** The retryable forms of SQLite's `SQLITE_BUSY`. `SQLITE_BUSY_SNAPSHOT` is not one: it never ends. */
export const isBusy = (cause: unknown): boolean => {
  const code = codeOf(cause)
  return code === "SQLITE_BUSY" || code === "SQLITE_BUSY_RECOVERY" || code === "SQLITE_PROTOCOL"
}

/** The result code's name, where the cause is an error of SQLite. */
export const codeOf = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

const lookup = (code: string): Code => {
  const table: Record<string, Code> = codes
  let name = code
  for (;;) {
    const found = table[name]
    if (found !== undefined) {
      return found
    }
    const cut = name.lastIndexOf("_")
    if (cut <= 0) {
      return codes.SQLITE_INTERNAL
    }
    name = name.slice(0, cut)
  }
}

/** What is known about the place of a failure. */
export interface Place {
  readonly database: string
  readonly text?: string | undefined
  /** Set where something is known that the code does not say. */
  readonly outcome?: Outcome | undefined
}

interface Details {
  readonly outcome: Outcome
  /** What happened, in the middle of a sentence, without a parameter's value. */
  readonly what: string
  /** What to do; where it is left out, what the reason's table says. */
  readonly advice?: string | undefined
  readonly code?: string | undefined
  readonly cause?: unknown
}

interface ConnectionFields extends Details {
  readonly _tag: "ConnectionError"
  readonly reason: ConnectionReason
}

interface QueryFields extends Details {
  readonly _tag: "QueryError"
  readonly reason: QueryReason
  readonly constraint?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly parameter?: Mentioned | undefined
}

interface TimeoutFields extends Details {
  readonly _tag: "TimeoutError"
  readonly phase: "Connect" | "Lock"
  readonly limitMillis: number
}

/** The fields of a {@link Fault}. */
export type Fields = ConnectionFields | QueryFields | TimeoutFields

/** A classified failure. */
export class Fault {
  constructor(readonly place: Place, readonly fields: Fields) {}

  get outcome(): Outcome {
    return this.place.outcome ?? this.fields.outcome
  }
}

export const queryFault = (place: Place, fields: Omit<QueryFields, "_tag">): Fault =>
  new Fault(place, { _tag: "QueryError", ...fields })

export const connectionFault = (place: Place, fields: Omit<ConnectionFields, "_tag">): Fault =>
  new Fault(place, { _tag: "ConnectionError", ...fields })

export const lockTimeout = (place: Place, limitMillis: number, cause: unknown): Fault =>
  new Fault(place, {
    _tag: "TimeoutError",
    phase: "Lock",
    limitMillis,
    outcome: "RolledBack",
    what: `the database file stayed locked by another connection for ${limitMillis} ms`,
    code: codeOf(cause),
    cause
  })

export const connectTimeout = (place: Place, limitMillis: number, what: string, cause?: unknown): Fault =>
  new Fault(place, {
    _tag: "TimeoutError",
    phase: "Connect",
    limitMillis,
    outcome: "NotSent",
    what: `${what} for ${limitMillis} ms`,
    advice: "look for a process that holds the file, or raise connectTimeout",
    code: codeOf(cause),
    cause
  })

/**
 * The names in a constraint's message. SQLite gives them nowhere else: `UNIQUE constraint failed: note.body`,
 * `UNIQUE constraint failed: index 'note_lower'`, `CHECK constraint failed: positive`.
 */
const constraintOf = (reason: QueryReason, message: string) => {
  const names = /constraint failed: (.+)$/s.exec(message)?.[1]
  if (names === undefined) {
    return {}
  }
  if (reason === "CheckViolation") {
    return { constraint: names }
  }
  const index = /^index '(.+)'$/s.exec(names)?.[1]
  if (index !== undefined) {
    return { constraint: index }
  }
  return { ...(reason === "UniqueViolation" ? { constraint: names } : {}), ...columnsOf(names) }
}

/** `t.a`, or `t.a, t.b`. Where a name holds a dot nothing says which dot is the table's end, and nothing is said. */
const columnsOf = (names: string) => {
  const [first = ""] = names.split(", ")
  const [table = "", ...rest] = first.split(".")
  if (rest.length !== 1) {
    return {}
  }
  const columns = names.slice(table.length + 1).split(`, ${table}.`)
  return { table, ...(columns.length === 1 ? { column: columns[0] } : {}) }
}

/** What better-sqlite3 itself refuses, by the messages of its `TypeError`s and `RangeError`s: they carry no code. */
const refused = (place: Place, cause: Error): Fault => {
  if (/database connection is not open/.test(cause.message)) {
    return connectionFault(place, { reason: "Closed", outcome: "NotSent", what: "the connection is closed", cause })
  }
  const isParameter = /parameter|bind|bound/i.test(cause.message)
  const isText = /^the statement|SQL string/i.test(cause.message)
  return queryFault(place, {
    reason: isParameter ? "Parameter" : isText ? "SqlSyntax" : "Unknown",
    outcome: "NotSent",
    what: cause.message,
    advice: isParameter ? "give one value for each ? of the statement" : undefined,
    cause
  })
}

/** A failure inside a function that SQL called (REGEXP): it has its own words, and holds no value. */
export class FunctionError extends Error {
  override readonly name = "FunctionError"
}

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** What to do, where the reason's table does not say it, or what another database would need. */
const adviceOf = (reason: QueryReason, what: string): string | undefined =>
  // The table speaks of a position, which SQLite gives only within its message.
  reason === "SqlSyntax"
    ? "correct the statement"
    : reason === "ReadOnly"
    ? "open the database for writing (not mode=ro or access: \"read-only\"), set PRAGMA query_only=OFF, or let the program write to " +
      "the file and its folder"
    // Dumps of virtual tables write into the schema, which SQLite's defensive mode refuses.
    : /^table sqlite_(?:master|schema) may not be modified/.test(what)
    ? "restore a dump that sets PRAGMA writable_schema with the sqlite3 shell, or make its virtual tables by CREATE VIRTUAL TABLE " +
      "and insert their rows"
    : undefined

/** Classifies what better-sqlite3 threw. A fault stays what it is. */
export const classify = (place: Place, cause: unknown): Fault => {
  if (cause instanceof Fault) {
    return cause
  }
  const code = codeOf(cause)
  if (code === undefined || !code.startsWith("SQLITE_")) {
    if (cause instanceof FunctionError) {
      return queryFault(place, { reason: "DataError", outcome: "RolledBack", what: cause.message, cause })
    }
    return cause instanceof TypeError || cause instanceof RangeError
      ? refused(place, cause)
      : queryFault(place, { reason: "Unknown", outcome: "Unknown", what: messageOf(cause), cause })
  }
  const entry = lookup(code)
  const what = messageOf(cause)
  if (entry.error === "ConnectionError") {
    return connectionFault(place, { reason: entry.reason, outcome: entry.outcome, what, code, cause })
  }
  const reason = code === "SQLITE_ERROR"
    ? generic.find(([pattern]) => pattern.test(what))?.[1] ?? entry.reason
    : entry.reason
  return queryFault(place, {
    reason,
    outcome: entry.outcome,
    what,
    advice: adviceOf(reason, what),
    code,
    // A trigger's message is its author's.
    ...(code.startsWith("SQLITE_CONSTRAINT") && code !== "SQLITE_CONSTRAINT_TRIGGER" ? constraintOf(reason, what) : {}),
    cause
  })
}
