/**
 * A statement of Node's own SQLite, with the manners of better-sqlite3: see nodeSqlite.ts.
 */
import { emptyRows, rowMaker } from "../row.js"
import { codeOf } from "./codes.js"
import type { ColumnOf, RunResult, Statement } from "./moduleContract.js"
import { calling, translated } from "./nodeErrors.js"
import { anonymousParameters, head } from "./text.js"

/** `StatementSync` of `node:sqlite`, as far as it is used. The types of the oldest supported Node have none. */
export interface StatementSync {
  readonly sourceSQL: string
  run(...params: ReadonlyArray<unknown>): { changes: number | bigint; lastInsertRowid: number | bigint }
  all(...params: ReadonlyArray<unknown>): Array<unknown>
  iterate(...params: ReadonlyArray<unknown>): Iterator<unknown>
  columns(): ReadonlyArray<ColumnOf>
  setReturnArrays(on: boolean): void
  setReadBigInts(on: boolean): void
}

/** What a statement is explained by. */
interface Preparer {
  prepare(text: string): StatementSync
}

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

export class NodeStatement implements Statement {
  readonly source: string
  readonly reader: boolean
  readonly readonly: boolean
  private readonly parameters: number
  private readonly counts: boolean
  private wantsArrays = false
  private plucks = false
  private wantsBigints = false
  /** Whether the statement itself gives arrays, and bigints. */
  private givesArrays = false
  private givesBigints = false
  /** Whether it gave many rows when it was last read. */
  private hasMany = false

  constructor(db: Preparer, private readonly statement: StatementSync, text: string) {
    const keyword = head(text, 1)[0] ?? ""
    this.source = text
    this.reader = statement.columns().length > 0
    this.counts = counting.has(keyword)
    this.readonly = readers.has(keyword) || !writers.has(keyword) && !NodeStatement.writes(db, text, keyword)
    this.parameters = anonymousParameters(text)
  }

  /** SQLite computes `sqlite3_stmt_readonly` from the same instructions. */
  private static writes(db: Preparer, text: string, keyword: string): boolean {
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

  private shape(wantsArrays: boolean, wantsBigints: boolean): void {
    if (this.givesArrays !== wantsArrays) {
      this.statement.setReturnArrays(wantsArrays)
      this.givesArrays = wantsArrays
    }
    if (this.givesBigints !== wantsBigints) {
      this.statement.setReadBigInts(wantsBigints)
      this.givesBigints = wantsBigints
    }
  }

  raw(isOn: boolean): this {
    this.wantsArrays = isOn
    return this
  }

  pluck(): this {
    this.plucks = true
    return this
  }

  safeIntegers(isOn: boolean): this {
    this.wantsBigints = isOn
    return this
  }

  columns(): ReadonlyArray<ColumnOf> {
    return calling(() => this.statement.columns())
  }

  run(params: ReadonlyArray<unknown> = []): RunResult {
    this.check(params)
    return calling(() => {
      this.shape(true, true)
      const { changes, lastInsertRowid } = this.statement.run(...params)
      return {
        changes: this.counts ? Number(changes) : 0,
        lastInsertRowid: this.wantsBigints ? lastInsertRowid : Number(lastInsertRowid)
      }
    })
  }

  all(params: ReadonlyArray<unknown> = []): Array<unknown> {
    this.check(params)
    try {
      return this.read(params, this.wantsBigints)
    } catch (cause) {
      if (codeOf(cause) !== "ERR_OUT_OF_RANGE") {
        throw translated(cause)
      }
      // As better-sqlite3 gives it: rounded, which the driver notices.
      return calling(() => this.read(params, true).map(rounded))
    }
  }

  private read(params: ReadonlyArray<unknown>, wantsBigints: boolean): Array<unknown> {
    const { statement } = this
    const wantsArrays = this.wantsArrays || this.plucks || this.hasMany
    this.shape(wantsArrays, wantsBigints)
    const rows = statement.all(...params)
    this.hasMany = rows.length > few
    if (this.plucks) {
      return rows.map((row) => asBuffer((row as ReadonlyArray<unknown>)[0]))
    }
    if (this.wantsArrays) {
      rows.forEach((row) => withBlobs(row as Array<unknown>))
    }
    if (this.wantsArrays || rows.length === 0) {
      return rows
    }
    // After the rows were read: the first step compiles the statement anew when the schema has changed.
    const make = wantsArrays ? rowMaker(statement.columns().map(({ name }) => name), asBuffer) : ordinary
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
      this.shape(true, this.wantsBigints)
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
