/**
 * Errors of Node's own SQLite, as better-sqlite3 has them.
 */
import { codeOf } from "./codes.js"
import { nameOf } from "./names.js"

/** An error of SQLite, as better-sqlite3 has it. */
export class SqliteError extends Error {
  override readonly name = "SqliteError"

  constructor(readonly code: string, cause: Error) {
    super(cause.message, { cause })
  }
}

/** What better-sqlite3 throws where the database was closed. */
export const closed = (cause: unknown): TypeError => new TypeError("The database connection is not open", { cause })

/** What was thrown, as better-sqlite3 throws it. */
export const translated = (cause: unknown): unknown => {
  if (!(cause instanceof Error)) {
    return cause
  }
  switch (codeOf(cause)) {
    case "ERR_SQLITE_ERROR": {
      const { errcode } = cause as { readonly errcode?: unknown }
      return typeof errcode === "number" ? new SqliteError(nameOf(errcode), cause) : cause
    }
    case "ERR_LOAD_SQLITE_EXTENSION":
      return new SqliteError("SQLITE_ERROR", cause)
    case "ERR_INVALID_STATE":
      return /not open|finalized/.test(cause.message) ? closed(cause) : cause
    default:
      return cause
  }
}

/** Runs a call of `node:sqlite`. */
export const calling = <A>(f: () => A): A => {
  try {
    return f()
  } catch (cause) {
    throw translated(cause)
  }
}
