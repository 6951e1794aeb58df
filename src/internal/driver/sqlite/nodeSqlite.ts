/**
 * Node's own SQLite (`node:sqlite`), with the operations and the manners of better-sqlite3: what the driver relies on, and
 * `node:sqlite` does otherwise or not at all, is made up for here.
 *
 * - It reads the first statement of a text and ignores the rest; it binds NULL to parameters without a value. Both are refused.
 * - It does not tell `sqlite3_stmt_readonly`: SQLite's bytecode does.
 * - Its errors carry SQLite's number, not its name.
 * - An integer beyond 2^53 that is read as a number is an error instead of a rounded number.
 * - The changes that a statement tells may be those of an earlier one.
 * - Its rows have no prototype.
 */
import * as Fs from "node:fs"
import { pathToFileURL } from "node:url"
import { emptyRows, rowMaker } from "../row.js"
import { codeOf } from "./codes.js"
import type {
  BackupMetadata,
  Constructor,
  Database,
  Loaded,
  OpenOptions,
  RunResult,
  Statement
} from "./moduleContract.js"
import { nameOf } from "./names.js"
import { anonymousParameters, head } from "./text.js"

/** `StatementSync` of `node:sqlite`, as far as it is used. The types of the oldest supported Node have none. */
interface StatementSync {
  readonly sourceSQL: string
  run(...params: ReadonlyArray<unknown>): { changes: number | bigint; lastInsertRowid: number | bigint }
  all(...params: ReadonlyArray<unknown>): Array<unknown>
  iterate(...params: ReadonlyArray<unknown>): Iterator<unknown>
  columns(): ReadonlyArray<{ readonly name: string }>
  setReturnArrays(on: boolean): void
  setReadBigInts(on: boolean): void
}

/** `DatabaseSync` of `node:sqlite`, as far as it is used. */
interface DatabaseSync {
  readonly isOpen: boolean
  readonly isTransaction: boolean
  prepare(text: string): StatementSync
  exec(text: string): void
  function(name: string, options: object, f: (...args: Array<never>) => unknown): void
  serialize(): Uint8Array
  deserialize(bytes: Uint8Array): void
  enableLoadExtension(on: boolean): void
  loadExtension(path: string): void
  close(): void
}

interface Module {
  readonly DatabaseSync: new(path: string | URL, options: object) => DatabaseSync
  readonly backup: (
    db: DatabaseSync,
    path: string,
    options: { readonly rate: number; readonly progress: (progress: BackupMetadata) => void }
  ) => Promise<number>
}

/** The versions of Node whose `node:sqlite` has all that is needed, for people. */
export const since = "24.16 or later (26: 26.1 or later)"

const find = (): Module | undefined => {
  const get = (process as { readonly getBuiltinModule?: (name: string) => unknown }).getBuiltinModule
  // Node 22 has the module, experimental and without `serialize`, and warns when it is loaded.
  return Number.parseInt(process.versions.node, 10) < 24 ? undefined : get?.("node:sqlite") as Module | undefined
}

/** Why this Node's `node:sqlite` is not used; `undefined` where it can be. Loads it, which opens nothing. */
export const lacking = (): string | undefined => {
  const module = find()
  return typeof module?.DatabaseSync.prototype.serialize === "function" ?
    undefined :
    `Node ${process.versions.node} has ${
      module === undefined ? "no node:sqlite that is stable" : "a node:sqlite that cannot copy a database in memory"
    }`
}

/** An error of SQLite, as better-sqlite3 has it. */
class SqliteError extends Error {
  override readonly name = "SqliteError"

  constructor(readonly code: string, cause: Error) {
    super(cause.message, { cause })
  }
}

const closed = (cause: unknown): TypeError => new TypeError("The database connection is not open", { cause })

/** What was thrown, as better-sqlite3 throws it. */
const translated = (cause: unknown): unknown => {
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
const calling = <A>(f: () => A): A => {
  try {
    return f()
  } catch (cause) {
    throw translated(cause)
  }
}

/** What may stand behind a statement: spaces, semicolons and comments. */
const tail = /^(?:[\s;]|--[^\n]*|\/\*[^]*?(?:\*\/|$))*$/u

/** Statements whose first word says what `sqlite3_stmt_readonly` does. */
const readers = new Set(["SELECT", "VALUES"])
const writers = new Set([
  "INSERT",
  "REPLACE",
  "UPDATE",
  "DELETE",
  "CREATE",
  "DROP",
  "ALTER",

  "ANALYZE",
  "VACUUM"
])

/** The instructions that make a program one that may write: `OP_Transaction` where its second operand says so. */
const writing = new Set(["Checkpoint", "Vacuum", "JournalMode"])

/** Statements that count the rows they change. */
const counting = new Set(["INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"])

/** Up to so many rows are read as objects and copied; the names of the columns, which arrays need, cost as much. */
const few = 4

class NodeStatement implements Statement {
  readonly source: string
  readonly reader: boolean
  readonly readonly: boolean
  private readonly parameters: number
  private readonly counts: boolean
  private arrays = false
  private plucks = false
  private bigints = false
  /** Whether the statement itself gives arrays, and bigints. */
  private givesArrays = false
  private givesBigints = false
  /** Whether it gave many rows when it was last read. */
  private many = false

  constructor(db: DatabaseSync, private readonly statement: StatementSync, text: string) {
    const keyword = head(text, 1)[0] ?? ""
    this.source = text
    this.reader = statement.columns().length > 0
    this.counts = counting.has(keyword)
    this.readonly = readers.has(keyword) || !writers.has(keyword) && !NodeStatement.writes(db, text, keyword)
    this.parameters = anonymousParameters(text)
  }

  /** SQLite computes `sqlite3_stmt_readonly` from the same instructions. */
  private static writes(db: DatabaseSync, text: string, keyword: string): boolean {
    if (keyword === "EXPLAIN" || keyword === "PRAGMA") {
      // What a PRAGMA does is done when it is prepared, and so when it is explained; the driver looks at its words.
      return false
    }
    const instructions = db.prepare(`EXPLAIN ${text.replace(leading, "")}`).all() as ReadonlyArray<Instruction>
    return instructions.some(({ opcode, p2 }) => writing.has(opcode) || opcode === "Transaction" && p2 !== 0)
  }

  /** A value for each parameter, as `node:sqlite` would not see to it. */
  private check(params: ReadonlyArray<unknown>): void {
    const wanted = this.parameters
    if (wanted < 0) {
      throw new RangeError("Named and numbered parameters are not supported: give each value its own ?")
    }
    if (params.length !== wanted) {
      throw new RangeError(`Too ${params.length < wanted ? "few" : "many"} parameter values were provided`)
    }
  }

  private shape(arrays: boolean, bigints: boolean): void {
    if (this.givesArrays !== arrays) {
      this.statement.setReturnArrays(arrays)
      this.givesArrays = arrays
    }
    if (this.givesBigints !== bigints) {
      this.statement.setReadBigInts(bigints)
      this.givesBigints = bigints
    }
  }

  raw(on: boolean): this {
    this.arrays = on
    return this
  }

  pluck(): this {
    this.plucks = true
    return this
  }

  safeIntegers(on: boolean): this {
    this.bigints = on
    return this
  }

  columns(): ReadonlyArray<{ readonly name: string }> {
    return calling(() => this.statement.columns())
  }

  run(params: ReadonlyArray<unknown> = []): RunResult {
    this.check(params)
    return calling(() => {
      this.shape(true, true)
      const { changes, lastInsertRowid } = this.statement.run(...params)
      return {
        changes: this.counts ? Number(changes) : 0,
        lastInsertRowid: this.bigints ? lastInsertRowid : Number(lastInsertRowid)
      }
    })
  }

  all(params: ReadonlyArray<unknown> = []): Array<unknown> {
    this.check(params)
    try {
      return this.read(params, this.bigints)
    } catch (cause) {
      if (codeOf(cause) !== "ERR_OUT_OF_RANGE") {
        throw translated(cause)
      }
      // As better-sqlite3 gives it: rounded, which the driver notices.
      return calling(() => this.read(params, true).map(rounded))
    }
  }

  private read(params: ReadonlyArray<unknown>, bigints: boolean): Array<unknown> {
    const { statement } = this
    const arrays = this.arrays || this.plucks || this.many
    this.shape(arrays, bigints)
    const rows = statement.all(...params)
    this.many = rows.length > few
    if (this.plucks) {
      return rows.map((row) => asBuffer((row as ReadonlyArray<unknown>)[0]))
    }
    if (this.arrays) {
      rows.forEach((row) => withBlobs(row as Array<unknown>))
    }
    if (this.arrays || rows.length === 0) {
      return rows
    }
    // After the rows were read: the first step compiles the statement anew when the schema has changed.
    const make = arrays ? rowMaker(statement.columns().map(({ name }) => name), asBuffer) : ordinary
    const made = emptyRows()
    for (let i = 0; i < rows.length; i++) {
      // `arrays` says which of the two they are.
      made.push(make(rows[i] as never))
    }
    return made
  }

  get(...params: ReadonlyArray<unknown>): unknown {
    return this.all(params)[0]
  }

  iterate(params: ReadonlyArray<unknown>): Iterator<unknown> {
    this.check(params)
    const rows = calling(() => {
      this.shape(true, this.bigints)
      return this.statement.iterate(...params)
    })
    return {
      next: () =>
        calling(() => {
          const next = rows.next()
          if (next.done !== true) {
            withBlobs(next.value as Array<unknown>)
          }
          return next
        }),
      return: () => {
        try {
          rows.return?.()
        } catch (cause) {
          // Where the database was closed, nothing is left to be freed.
          if (codeOf(cause) !== "ERR_INVALID_STATE") {
            throw translated(cause)
          }
        }
        return { done: true, value: undefined }
      }
    }
  }
}

interface Instruction {
  readonly opcode: string
  readonly p2: number
}

/** Empty statements ahead of the one that is prepared. */
const leading = /^(?:[\s;]|--[^\n]*\n|\/\*[^]*?\*\/)+/u

/** Blobs as buffers. */
const asBuffer = (value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value

/** Gives a row that is an array buffers for its blobs, which are the only objects in it. */
const withBlobs = (row: Array<unknown>): void => {
  for (let i = 0; i < row.length; i++) {
    if (typeof row[i] === "object" && row[i] !== null) {
      row[i] = asBuffer(row[i])
    }
  }
}

/** With the prototype that objects have. */
const ordinary = (given: Readonly<Record<string, unknown>>): object => {
  const row = { ...given }
  for (const name in row) {
    if (typeof row[name] === "object" && row[name] !== null) {
      row[name] = asBuffer(row[name])
    }
  }
  return row
}

/** Values that were read as bigints, as numbers. */
const rounded = (row: unknown): unknown => {
  if (typeof row === "bigint") {
    return Number(row)
  }
  if (typeof row === "object" && row !== null) {
    // An array or an object, whose own properties are the columns; a blob stays what it is.
    const values = row as Record<string, unknown>
    for (const name of Object.keys(values)) {
      const value = values[name]
      if (typeof value === "bigint") {
        values[name] = Number(value)
      }
    }
  }
  return row
}

/** What is opened. Only a URI tells SQLite to create no file. */
const placeOf = (filename: string | Buffer, { fileMustExist = false, readonly = false }: OpenOptions): string | URL => {
  if (typeof filename !== "string") {
    return ":memory:"
  }
  if (!fileMustExist || readonly || filename === ":memory:") {
    return filename
  }
  const url = pathToFileURL(filename)
  url.searchParams.set("mode", "rw")
  return url
}

const make = ({ backup, DatabaseSync }: Module): Constructor =>
  class NodeDatabase implements Database {
    private readonly db: DatabaseSync
    private readonly extensible = !("permission" in process)
    private closing = false
    /** Backups that are under way: their steps run on another thread, on this handle. */
    private copies = 0

    constructor(filename: string | Buffer, options: OpenOptions = {}) {
      this.db = calling(() => {
        const db = new DatabaseSync(placeOf(filename, options), {
          readOnly: options.readonly === true,
          timeout: options.timeout ?? 0,
          defensive: true,
          // Only with it the method can be used; Node's permission model forbids it.
          allowExtension: this.extensible
        })
        if (this.extensible) {
          // The SQL function `load_extension` stays off.
          db.enableLoadExtension(false)
        }
        if (typeof filename !== "string") {
          db.deserialize(filename)
        }
        return db
      })
    }

    get open(): boolean {
      return !this.closing && this.db.isOpen
    }

    get inTransaction(): boolean {
      return this.db.isTransaction
    }

    private check(): void {
      if (this.closing) {
        throw closed(undefined)
      }
    }

    prepare(text: string): Statement {
      this.check()
      return calling(() => {
        let statement: StatementSync
        try {
          statement = this.db.prepare(text)
        } catch (cause) {
          throw codeOf(cause) === "ERR_INVALID_ARG_VALUE"
            ? new RangeError("The supplied SQL string contains no statements", { cause })
            : cause
        }
        const rest = text.slice(statement.sourceSQL.length)
        if (rest !== "" && !tail.test(rest)) {
          throw new RangeError("The supplied SQL string contains more than one statement")
        }
        return new NodeStatement(this.db, statement, text)
      })
    }

    exec(text: string): void {
      this.check()
      calling(() => this.db.exec(text))
    }

    pragma(text: string, options: { readonly simple?: boolean } = {}): unknown {
      const statement = this.prepare(`PRAGMA ${text}`)
      return options.simple === true ? statement.pluck().get() : statement.all()
    }

    function(
      name: string,
      options: { readonly deterministic: boolean; readonly safeIntegers: boolean },
      f: (...args: Array<never>) => unknown
    ): void {
      calling(() =>
        this.db.function(
          name,
          { deterministic: options.deterministic, useBigIntArguments: options.safeIntegers },
          f
        )
      )
    }

    async backup(
      filename: string,
      options: { readonly progress: (progress: BackupMetadata) => number }
    ): Promise<BackupMetadata> {
      this.check()
      const isNew = !Fs.existsSync(filename)
      this.copies++
      try {
        const totalPages = await backup(this.db, filename, {
          rate: pagesPerStep,
          progress: (progress) => {
            this.check()
            options.progress(progress)
          }
        })
        return { totalPages, remainingPages: 0 }
      } catch (cause) {
        if (isNew) {
          Fs.rmSync(filename, { force: true })
        }
        throw translated(cause)
      } finally {
        this.copies--
        if (this.closing && this.copies === 0 && this.db.isOpen) {
          this.db.close()
        }
      }
    }

    serialize(): Uint8Array {
      this.check()
      return calling(() => Buffer.from(this.db.serialize()))
    }

    loadExtension(path: string): void {
      this.check()
      if (!this.extensible) {
        throw new SqliteError("SQLITE_AUTH", new Error("Node's permission model forbids extensions of SQLite"))
      }
      this.db.enableLoadExtension(true)
      try {
        calling(() => this.db.loadExtension(path))
      } finally {
        this.db.enableLoadExtension(false)
      }
    }

    close(): void {
      if (this.closing || !this.db.isOpen) {
        return
      }
      if (this.copies > 0) {
        this.closing = true
      } else {
        calling(() => this.db.close())
      }
    }
  }

/** As in the backups of the other module. */
const pagesPerStep = 100

/** The module. Only where nothing is {@link lacking}. */
export const load = (): Loaded => ({ Database: make(find()!), name: `node:sqlite@${process.versions.node}` })
