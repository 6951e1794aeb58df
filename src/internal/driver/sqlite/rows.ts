/**
 * Rows: integers as JavaScript's (a number where it is exact, a bigint beyond 2^53), and rows as tables.
 */
import type { StatementResult } from "../../../driver/Driver.js"
import { emptyRows, rowMaker } from "../row.js"
import { isReplaced } from "./encoding.js"
import type { Prepared } from "./statements.js"

/** How rows are given. */
export interface Shape {
  /** As arrays: asked for so, or to travel as a table. */
  readonly arrays: boolean
  /** Every integer as a bigint. */
  readonly bigints: boolean
}

const maxSafe = BigInt(Number.MAX_SAFE_INTEGER)

/** A safe integer as a number; any other value as it is. */
export const narrow = (value: unknown): unknown =>
  typeof value === "bigint" && value <= maxSafe && value >= -maxSafe ? Number(value) : value

/** A REAL beyond 2^53 looks the same. */
const roundedInteger = 1
const replacedText = 2

/** What a value may be that was read otherwise than it is stored. */
const doubtOf = (value: unknown): number =>
  typeof value === "number"
    ? (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER ? roundedInteger : 0)
    : isReplaced(value)
    ? replacedText
    : 0

/**
 * What rows read without `safeIntegers` may hold that was read otherwise than it is stored. `arrays` says which of two shapes the
 * rows have, so the casts follow it.
 */
const doubtsOf = (rows: ReadonlyArray<unknown>, wantsArrays: boolean): number => {
  let doubts = 0
  for (let i = 0; i < rows.length; i++) {
    if (wantsArrays) {
      const row = rows[i] as ReadonlyArray<unknown>
      for (let j = 0; j < row.length; j++) {
        doubts |= doubtOf(row[j])
      }
    } else {
      const row = rows[i] as Readonly<Record<string, unknown>>
      // Not Object.keys: `for in` allocates nothing, and a row has no prototype of its own.
      for (const name in row) {
        doubts |= doubtOf(row[name])
      }
    }
  }
  return doubts
}

/** Narrows rows read with `safeIntegers`, in place. The casts follow `arrays`. */
const narrowRows = (rows: ReadonlyArray<unknown>, wantsArrays: boolean): ReadonlyArray<unknown> => {
  for (let i = 0; i < rows.length; i++) {
    if (wantsArrays) {
      const row = rows[i] as Array<unknown>
      for (let j = 0; j < row.length; j++) {
        row[j] = narrow(row[j])
      }
    } else {
      const row = rows[i] as Record<string, unknown>
      for (const name in row) {
        const value = row[name]
        if (typeof value === "bigint") {
          row[name] = narrow(value)
        }
      }
    }
  }
  return rows
}

/**
 * Rows, by their columns: as they travel from process to process, which costs a fraction of what rows do, because V8
 * writes an array of values of one type much faster than many small arrays.
 */
export interface Table {
  /** `undefined` where rows are asked for as arrays. */
  readonly names: ReadonlyArray<string> | undefined
  readonly columns: ReadonlyArray<ReadonlyArray<unknown>>
  readonly length: number
}

/** A {@link StatementResult}, whose rows may travel as a table. */
export interface SentResult extends Omit<StatementResult, "rows"> {
  readonly rows: ReadonlyArray<unknown> | Table
}

export const toTable = (
  names: ReadonlyArray<string> | undefined,
  rows: ReadonlyArray<ReadonlyArray<unknown>>
): Table => {
  const width = rows[0]?.length ?? 0
  const columns: Array<Array<unknown>> = []
  for (let j = 0; j < width; j++) {
    const column: Array<unknown> = emptyRows()
    for (let i = 0; i < rows.length; i++) {
      column.push(rows[i]![j])
    }
    columns.push(column)
  }
  return { names, columns, length: rows.length }
}

/** Blobs, the only objects, refer to the bytes of the message that they came with: a copy lets the rest of it go. */
const own = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? Buffer.from(value as Uint8Array) : value

export const fromTable = ({ columns, length, names }: Table): ReadonlyArray<unknown> => {
  const make = names && rowMaker(names, own)
  const rows: Array<unknown> = emptyRows()
  const values: Array<unknown> = []
  for (let i = 0; i < length; i++) {
    for (let j = 0; j < columns.length; j++) {
      values[j] = columns[j]![i]
    }
    rows.push(make === undefined ? values.map(own) : make(values))
  }
  return rows
}

/** Called where text was read that may not be what is stored; throws where it is not. */
export interface CheckText {
  (prepared: Prepared, params: ReadonlyArray<unknown>): void
}

/** All rows of a statement. Throws what better-sqlite3 throws, and what `checkText` does. */
export const readRows = (
  prepared: Prepared,
  params: ReadonlyArray<unknown>,
  shape: Shape,
  checkText: CheckText
): ReadonlyArray<unknown> => {
  const { statement } = prepared
  if (prepared.unnameable && !shape.arrays) {
    // Rows that are asked for as arrays are arrays.
    const rows = readRows(prepared, params, { ...shape, arrays: true }, checkText) as ReadonlyArray<
      ReadonlyArray<unknown>
    >
    return rows.map(rowMaker(namesOf(prepared), (value) => value))
  }
  const { arrays: wantsArrays } = shape
  const wantsBigints = shape.bigints || prepared.exact
  if (prepared.arrays !== wantsArrays) {
    statement.raw(wantsArrays)
    prepared.arrays = wantsArrays
  }
  if (prepared.bigints !== wantsBigints) {
    statement.safeIntegers(wantsBigints)
    prepared.bigints = wantsBigints
  }
  const rows = statement.all(params)
  const doubts = doubtsOf(rows, wantsArrays)
  if ((doubts & replacedText) !== 0 && prepared.reads) {
    checkText(prepared, params)
  }
  if (wantsBigints) {
    return shape.bigints ? rows : narrowRows(rows, wantsArrays)
  }
  if ((doubts & roundedInteger) !== 0) {
    // Reading again costs only those statements that meet such numbers, and those only once. A statement that
    // changes something is `exact` from the start, so it never comes here.
    prepared.exact = true
    return readRows(prepared, params, shape, checkText)
  }
  return rows
}

/** The names of a statement's columns: to be asked for after its first step, which compiles it anew when the schema has changed. */
export const namesOf = (prepared: Prepared): ReadonlyArray<string> =>
  prepared.statement.columns().map((column) => column.name)
