/**
 * The name of a unique index. SQLite tells the columns that were not unique, and not the index; other databases tell the
 * index, by which programs catch the error.
 */
import { codeOf, Fault } from "./codes.js"
import type { Database } from "./moduleContract.js"

/** `origin = 'c'`: made by CREATE INDEX. The others have names that SQLite has made up. */
const ofColumns = `
  SELECT list.name FROM pragma_index_list(?) AS list
  WHERE list."unique" AND list.origin = 'c' AND ? = (
    SELECT group_concat(column, ', ') FROM (
      SELECT ? || '.' || info.name AS column FROM pragma_index_info(list.name) AS info ORDER BY info.seqno
    )
  )
  ORDER BY list.seq LIMIT 1`

/** The fault with the index in place of its columns, where CREATE UNIQUE INDEX made one. */
export const withIndex = (db: Database, fault: Fault): Fault => {
  const { fields } = fault
  if (fields._tag !== "QueryError" || fields.reason !== "UniqueViolation" || fields.table === undefined) {
    return fault
  }
  try {
    const name = db.prepare(ofColumns).pluck().get(fields.table, fields.constraint, fields.table)
    return typeof name === "string" ? new Fault(fault.place, { ...fields, constraint: name }) : fault
  } catch {
    // The error to be told is the one that there was.
    return fault
  }
}

const failing = /\b(?:or|on\s+conflict)\s+fail\b|\braise\s*\(\s*fail\b/i

/** The triggers, and what may say FAIL. */
const schema = `
  SELECT type, sql FROM (SELECT type, sql FROM sqlite_schema UNION ALL SELECT type, sql FROM sqlite_temp_schema)
  WHERE type = 'trigger' OR sql LIKE '%fail%'`

/**
 * Whether a statement that failed may have left something behind: with FAIL as the resolution of a conflict, and with `RAISE(FAIL)`,
 * SQLite keeps what was done before the row that failed. It counts the rows of the statement itself; those that triggers wrote are not
 * counted, so there the schema has to tell.
 */
export const keepsRows = (db: Database, cause: unknown, text: string): boolean => {
  const code = codeOf(cause)
  // A foreign key knows no FAIL: SQLite undoes the whole statement, also where it is checked at the commit behind it.
  if (code?.startsWith("SQLITE_CONSTRAINT") !== true || code === "SQLITE_CONSTRAINT_FOREIGNKEY") {
    return false
  }
  try {
    const changed = db.prepare("SELECT changes()").pluck().get()
    if (changed !== 0) {
      return true
    }
    const found = db.prepare(schema).all([]) as ReadonlyArray<{ readonly type: string; readonly sql: string | null }>
    return found.some(({ type }) => type === "trigger") &&
      (failing.test(text) || found.some(({ sql }) => sql !== null && failing.test(sql)))
  } catch {
    // What is not known is not claimed.
    return true
  }
}
