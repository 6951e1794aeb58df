/**
 * Opening a SQLite file: its folder, its handle, its pragmas and its functions.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { SqliteModule } from "../../../DbConfig.js"
import { classify, codeOf, connectionFault, connectTimeout, Fault, FunctionError, isBusy } from "./codes.js"
import { pause } from "./lock.js"
import type { Constructor, Database } from "./moduleContract.js"

/** What a connection is opened with. Plain data: it crosses to the process that runs the statements. */
export interface Spec {
  /** Name of the database's tag. */
  readonly database: string
  /** An absolute path, or `:memory:`. */
  readonly filename: string
  /** What opens it. */
  readonly module: SqliteModule
  readonly readOnly: boolean
  /** Whether the file was there before, and so is not created. */
  readonly mustExist?: boolean | undefined
  /** Pragmas beside those of the driver, or in their place. */
  readonly settings: Readonly<Record<string, string>>
  /** Statements kept prepared; 0: none. */
  readonly prepareCacheSize: number
  /** The longest wait for another connection's lock, in milliseconds; 0: no limit. */
  readonly lockTimeout: number
  /** The longest opening, in milliseconds; 0: no limit. */
  readonly connectTimeout: number
  /** The bytes of a database that one in memory begins as. */
  readonly image?: Uint8Array | undefined
  /** When the opening began, in milliseconds of the epoch, where that was in another process. */
  readonly since?: number | undefined
}

/**
 * How many compiled patterns of REGEXP a connection keeps. A statement uses one or a few; the bound only keeps patterns
 * that are data from piling up.
 */
const maxPatterns = 64

const regexp = (): (pattern: unknown, value: unknown) => bigint | null => {
  const compiled = new Map<string, RegExp>()
  let lastText: string | undefined
  let last: RegExp | undefined
  const textOf = (value: unknown): string =>
    value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value)
  const compile = (text: string): RegExp => {
    const known = compiled.get(text)
    if (known !== undefined) {
      return known
    }
    let pattern: RegExp
    try {
      pattern = new RegExp(text, "u")
    } catch {
      // The engine's own message holds the pattern, which may be a parameter's value.
      throw new FunctionError("the pattern of REGEXP is no valid JavaScript regular expression (flag u)")
    }
    if (compiled.size >= maxPatterns) {
      compiled.clear()
    }
    compiled.set(text, pattern)
    return pattern
  }
  return (pattern, value) => {
    if (pattern === null || value === null) {
      return null
    }
    const text = textOf(pattern)
    if (text !== lastText) {
      last = compile(text)
      lastText = text
    }
    return last!.test(textOf(value)) ? 1n : 0n
  }
}

const quote = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** The pragmas of a connection, in the order in which they are set. */
const pragmas = (spec: Spec): ReadonlyArray<readonly [name: string, value: string]> => {
  const isInMemory = spec.filename === ":memory:"
  const wanted = new Map<string, string>()
  if (!spec.readOnly && !isInMemory) {
    wanted.set("journal_mode", "WAL")
  }
  wanted.set("synchronous", "NORMAL")
  wanted.set("foreign_keys", "ON")
  wanted.set("cache_size", "-65536")
  for (const [name, value] of Object.entries(spec.settings)) {
    wanted.delete(name.toLowerCase())
    wanted.set(name.toLowerCase(), value)
  }
  if (spec.readOnly) {
    // Last, and for a file as well: it also keeps ATTACHed databases from being written.
    wanted.set("query_only", "ON")
  }
  return [...wanted]
}

const checkSettings = (db: Database, spec: Spec): Fault | undefined => {
  const names = Object.keys(spec.settings)
  if (names.length === 0) {
    return undefined
  }
  const known = new Set(db.prepare("SELECT name FROM pragma_pragma_list").pluck().all() as Array<string>)
  const unknown = names.filter((name) => !known.has(name.toLowerCase()))
  const place = { database: spec.database }
  if (unknown.length > 0) {
    return connectionFault(place, {
      reason: "Unsupported",
      outcome: "NotSent",
      what: `SQLite has no pragma ${unknown.map((name) => JSON.stringify(name)).join(", ")}`,
      advice: "correct the names in settings"
    })
  }
  if (names.some((name) => name.toLowerCase() === "busy_timeout")) {
    return connectionFault(place, {
      reason: "Unsupported",
      outcome: "NotSent",
      what: "SQLite's own busy_timeout would stop the event loop while it waits",
      advice: "set limits.lockTimeout instead"
    })
  }
  return undefined
}

/** Makes sure that the file can be there at all, with better words than SQLite's "unable to open database file". */
const prepareFile = (spec: Spec): Fault | undefined => {
  const { filename } = spec
  const place = { database: spec.database }
  const cannot = (what: string, cause?: unknown) =>
    connectionFault(place, {
      reason: "CannotOpen",
      outcome: "NotSent",
      what: `cannot open ${filename}: ${what}`,
      code: codeOf(cause),
      cause
    })
  if (filename === ":memory:") {
    return undefined
  }
  if (filename.trim() !== filename || filename === "" || filename.includes("\0")) {
    // better-sqlite3 trims names, and would open another file.
    return cannot("the name of the file is empty, or begins or ends with a space, or holds a NUL")
  }
  try {
    if (Fs.statSync(filename, { throwIfNoEntry: false })?.isDirectory() === true) {
      return cannot("it is a folder")
    }
    if (spec.readOnly) {
      return Fs.existsSync(filename) ? undefined : cannot("there is no such file, and read-only access creates none")
    }
    if (spec.mustExist === true) {
      return Fs.existsSync(filename) ? undefined : cannot(
        "it was removed while the database was open. A new one would be empty, and is created when the program starts again"
      )
    }
    Fs.mkdirSync(Path.dirname(filename), { recursive: true })
    return undefined
  } catch (cause) {
    return cannot(`its folder cannot be used or created (${codeOf(cause) ?? "unknown error"})`, cause)
  }
}

/** Opens and sets up one handle. Throws what better-sqlite3 throws, or a typed error. */
const openNow = (Database: Constructor, spec: Spec): Database => {
  const refused = prepareFile(spec)
  if (refused !== undefined) {
    throw refused
  }
  const isInMemory = spec.filename === ":memory:"
  // SQLite's own waiting for locks would stop the event loop; connections repeat the statement instead.
  const content = isInMemory && spec.image !== undefined ? Buffer.from(spec.image) : spec.filename
  const db = new Database(content, {
    timeout: 0,
    readonly: spec.readOnly && !isInMemory,
    fileMustExist: spec.mustExist === true && !isInMemory
  })
  try {
    const wrong = checkSettings(db, spec)
    if (wrong !== undefined) {
      throw wrong
    }
    // The first look into the file: here SQLite notices that it is none of its own.
    db.pragma("schema_version")
    for (const [name, value] of pragmas(spec)) {
      db.pragma(`${name} = ${quote(value)}`)
    }
    // SQLite creates the write-ahead log of a new file at the next look: a log is watched from the opening on.
    db.pragma("schema_version")
    // safeIntegers: an integer beyond 2^53 is matched by its own digits.
    db.function("regexp", { deterministic: true, safeIntegers: true }, regexp())
    return db
  } catch (cause) {
    db.close()
    throw cause
  }
}

/** Whatever goes wrong while a file is opened is a matter of the connection, not of a statement. */
const failure = (spec: Spec, cause: unknown): Fault => {
  if (cause instanceof Fault) {
    return cause
  }
  const place = { database: spec.database }
  const { fields } = classify(place, cause)
  return connectionFault(place, {
    reason: fields._tag === "ConnectionError"
      ? fields.reason === "Lost" ? "CannotOpen" : fields.reason
      : fields._tag === "QueryError" && fields.reason === "ReadOnly"
      ? "CannotOpen"
      : "Unknown",
    outcome: "NotSent",
    what: `cannot open ${spec.filename}: ${fields.what}`,
    code: fields.code,
    cause
  })
}

/**
 * Opens a handle, waiting for a locked file without blocking the event loop. Returns how to give up; `done` is not
 * called after that.
 */
export const open = (
  Database: Constructor,
  spec: Spec,
  done: (fault: Fault | undefined, db: Database | undefined) => void
): () => void => {
  const started = performance.now() - (spec.since === undefined ? 0 : Date.now() - spec.since)
  const place = { database: spec.database }
  let timer: ReturnType<typeof setTimeout> | undefined
  let attempts = 0
  const attempt = () => {
    let db: Database
    try {
      db = openNow(Database, spec)
    } catch (cause) {
      if (!isBusy(cause)) {
        return done(failure(spec, cause), undefined)
      }
      const limit = spec.connectTimeout
      if (limit > 0 && performance.now() - started >= limit) {
        return done(connectTimeout(place, limit, `${spec.filename} stayed locked`, cause), undefined)
      }
      timer = setTimeout(attempt, pause(attempts++))
      return
    }
    done(undefined, db)
  }
  attempt()
  return () => clearTimeout(timer)
}
