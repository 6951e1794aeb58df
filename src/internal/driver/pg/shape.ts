/**
 * How the rows of one statement are read: its columns, their names and how each is decoded.
 */
import type { Mode, StatementResult } from "../../../driver/Driver.js"
import { rowReader } from "../row.js"
import { type DataRow, textOf } from "./reader.js"
import type { Types } from "./types.js"
import { asBoolean, asNumber, asText, type Decode } from "./values.js"

/** Reads the value between two places of what was read of the socket. */
export interface DecodeBytes {
  (bytes: Buffer, from: number, to: number): unknown
}

/** As many digits are exact as an integer, and so is their quotient by a power of ten as the nearest number. */
const exactDigits = 15
const minus = 45
const point = 46

const powers = Array.from({ length: exactDigits + 1 }, (_, exponent) => 10 ** exponent)

/** `Number` of digits with a sign and a point, or without; of anything else by its text. */
const numberOf = (bytes: Buffer, from: number, to: number): number => {
  const isNegative = bytes[from] === minus
  const first = isNegative ? from + 1 : from
  const length = to - first
  // With its point, a fraction is one longer.
  if (length < 1 || length > exactDigits + 1) return Number(textOf(bytes, from, to))
  let value = 0
  let pointAt = -1
  for (let at = first; at < to; at++) {
    const digit = bytes[at]! - 48
    if (digit >= 0 && digit <= 9) {
      value = value * 10 + digit
    } else if (digit === point - 48 && pointAt < 0 && at > first && at + 1 < to) {
      pointAt = at
    } else {
      return Number(textOf(bytes, from, to))
    }
  }
  if (pointAt >= 0) value /= powers[to - pointAt - 1]!
  else if (length > exactDigits) return Number(textOf(bytes, from, to))
  return isNegative ? -value : value
}

/** `t` is true, as in {@link asBoolean}. */
const booleanOf = (bytes: Buffer, from: number, to: number): boolean => to - from === 1 && bytes[from] === 116

const direct = new Map<Decode, DecodeBytes>([
  [asText, textOf],
  [asNumber, numberOf],
  [asBoolean, booleanOf]
])

/** Reads bytes as a decoder reads their text. */
export const fromBytes = (decode: Decode): DecodeBytes =>
  direct.get(decode) ?? ((bytes, from, to) => decode(textOf(bytes, from, to)))

/** A column as `pg` describes it. */
export interface Field {
  readonly name: string
  readonly tableID: number
  readonly columnID: number
  readonly dataTypeID: number
  readonly dataTypeSize: number
  readonly dataTypeModifier: number
  readonly format: string
}

export interface ReadRow {
  (row: DataRow): unknown
}

/** One value of a row. A decoder is code of the program's own, perhaps: it is called by what the row is, not as part of it. */
const valueOf = ({ bytes, from, to }: DataRow, column: number, decode: DecodeBytes): unknown =>
  to[column]! < 0 ? null : decode(bytes, from[column]!, to[column]!)

/** @throws of an answer with other columns than were described */
const check = (row: DataRow, columns: number): void => {
  if (row.count !== columns) throw new Error(`a row of ${row.count} columns, where ${columns} were described`)
}

const arrays = (decoders: ReadonlyArray<DecodeBytes>): ReadRow => {
  const empty: ReadonlyArray<unknown> = new Array<unknown>(decoders.length).fill(null)
  return (row) => {
    check(row, decoders.length)
    // Copied for the reason told in row.ts.
    const values = empty.slice()
    for (let i = 0; i < decoders.length; i++) values[i] = valueOf(row, i, decoders[i]!)
    return values
  }
}

const objects = (names: ReadonlyArray<string>, decoders: ReadonlyArray<DecodeBytes>): ReadRow => {
  const make = rowReader<unknown, DataRow>(names, (row, column) => valueOf(row, column, decoders[column]!))
  return (row) => {
    check(row, decoders.length)
    return make(row)
  }
}

/** The columns of an answer. Readers are made when the first row asks for them. */
export class Shape {
  private readonly readers: Array<ReadRow | undefined> = [undefined, undefined, undefined, undefined]

  constructor(readonly fields: ReadonlyArray<Field>) {}

  /** How its rows are read; `undefined` where the catalog has to be asked about {@link unknown} types first. */
  reader(mode: Mode, safeIntegers: boolean, types: Types): ReadRow | undefined {
    const at = (mode === "values" ? 2 : 0) + (safeIntegers ? 1 : 0)
    const known = this.readers[at]
    if (known !== undefined) return known
    const made = this.make(mode, safeIntegers, types)
    if (!types.isProvisional) this.readers[at] = made
    return made
  }

  private make(mode: Mode, safeIntegers: boolean, types: Types): ReadRow | undefined {
    const decoders: Array<DecodeBytes> = []
    for (const { dataTypeID } of this.fields) {
      const decoder = types.decoder(dataTypeID, safeIntegers)
      if (decoder === undefined) return undefined
      decoders.push(fromBytes(decoder))
    }
    return mode === "values" ? arrays(decoders) : objects(this.fields.map((field) => field.name), decoders)
  }

  /** Whether the types of all its columns are known, so that no question to the catalog follows an answer. */
  isReadable(types: Types): boolean {
    return this.readers[0] !== undefined || this.readers[2] !== undefined || this.unknown(types).length === 0
  }

  /** The types of its columns of which nothing is known yet. */
  unknown(types: Types): ReadonlyArray<number> {
    return [
      ...new Set(
        this.fields.map(({ dataTypeID }) => dataTypeID).filter((oid) => types.decoder(oid, false) === undefined)
      )
    ]
  }
}

/** The shape of a statement that gives no rows. */
export const noColumns = new Shape([])

/** As `pg` reads a command tag: only the first word of `CREATE TABLE`, and the oid of an old server's `INSERT`. */
const tagPattern = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/

/** What `pg` gives as the result of one statement. */
export interface Result {
  readonly command: string | null
  readonly rowCount: number | null
  readonly oid: number | null
  readonly rows: ReadonlyArray<unknown>
  readonly fields: ReadonlyArray<Field>
  readonly rowAsArray: boolean
}

export const result = (tag: string | undefined, rows: ReadonlyArray<unknown>, shape: Shape): Result => {
  const match = tag === undefined ? null : tagPattern.exec(tag)
  const count = match?.[3] ?? match?.[2]
  return {
    command: match === null ? null : match[1]!,
    rowCount: count === undefined ? null : Number(count),
    oid: match?.[3] === undefined ? null : Number(match[2]),
    rows,
    fields: shape.fields,
    rowAsArray: false
  }
}

/** The commands whose tag counts rows that were written. */
const writing: ReadonlySet<string | null> = new Set(["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"])

/** What a statement gave and did. `SELECT INTO` and `CREATE TABLE AS` have the tag of a SELECT, and no description of rows. */
export const statementResult = ({ command, fields, rowCount, rows }: Result): StatementResult => ({
  rows,
  rowsAffected: writing.has(command) || (command === "SELECT" && fields === noColumns.fields) ? rowCount ?? 0 : 0,
  lastInsertId: undefined
})
