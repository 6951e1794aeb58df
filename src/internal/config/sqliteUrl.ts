/**
 * SQLite's URLs: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://:memory:`, `sqlite:x.db`, and SQLite's
 * own `file:x.db?mode=ro`.
 */
import * as Draft from "./draft.js"
import { parseQuery } from "./parameters.js"

const forms =
  "sqlite:///relative.db, sqlite:////absolute.db, sqlite:///C:/folder/x.db, sqlite://:memory:, file:x.db?mode=ro"

const isMemory = (path: string) => path === ":memory:" || path === "/:memory:"

const isDrive = (path: string) => /^\/?[A-Za-z]:[\\/]/.test(path)

/** The path behind `sqlite:`, where three slashes mean a relative path and four an absolute one. */
const sqlitePath = (rest: string): string | undefined => {
  if (!rest.startsWith("//")) {
    return rest === "" ? undefined : rest
  }
  const path = rest.slice(2)
  if (path.startsWith("/")) {
    return path === "/" ? undefined : path.slice(1)
  }
  // SQLAlchemy's way to say "in memory" is to say nothing. There is no host, but a relative path is written so too.
  return path === "" ? ":memory:" : isMemory(path) || isDrive(path) || !/[:@]/.test(path) ? path : undefined
}

/** The path behind `file:`, as SQLite reads it: with two slashes a host follows, which can only be this machine. */
const filePath = (rest: string): string | undefined => {
  const match = /^\/\/(localhost)?(\/[^]*)$/i.exec(rest)
  const path = match === null ? (rest.startsWith("//") ? "" : rest) : match[2]!
  return path === "" || path === "/" ? undefined : path
}

/** Reads what follows the scheme. */
export const parseSqlite = (isFile: boolean, rest: string): Draft.Draft => {
  const draft = Draft.make("sqlite")
  const [, beforeQuery, query] = /^([^?]*)(?:\?([^]*))?$/.exec(rest)!
  let raw = isFile ? filePath(beforeQuery!) : sqlitePath(beforeQuery!)
  // SQLAlchemy passes SQLite's own URIs on: sqlite:///file:x.db?mode=ro&uri=true
  if (!isFile && raw?.startsWith("file:")) {
    raw = filePath(raw.slice(5))
  }
  const path = raw === undefined ? undefined : Draft.decode(raw)
  if (raw === undefined) {
    draft.faults.push(`it has no path; accepted: ${forms}`)
  } else if (path === undefined) {
    draft.faults.push("the path has a % that begins no escape; accepted: % is written %25")
  } else if (path.includes("\0")) {
    draft.faults.push(`the path holds a NUL character; accepted: ${forms}`)
  } else {
    draft.options.filename = isMemory(path) ? ":memory:" : isDrive(path) ? path.replace(/^\//, "") : path
  }
  if (query !== undefined) {
    parseQuery(query, draft)
  }
  return draft
}
