/**
 * The name of a unique index. SQLite tells the columns that were not unique, and not the index; other databases tell the
 * index, by which programs catch the error.
 */
import { Fault } from "./codes.js"
import type { Database } from "./module.js"

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
