/**
 * Values on their way from SQL Server. tedious reads decimals, money and times into doubles and `Date`s, and drops
 * offsets; here they are read from the same bytes without loss.
 *
 * tedious has no hook for this. Its reader of values is replaced by one that knows the marks which
 * {@link markColumn} puts on the columns of our own connections; everything else goes to the reader that was there.
 */
import * as Module from "node:module"
import type { ColumnMetadata } from "tedious/lib/token/colmetadata-token-parser.js"
import { Timestamp } from "../Timestamp.js"
import { Moment } from "./moment.js"

/** The part of a column's description that tedious's reader looks at. */
interface Metadata {
  type: { readonly name: string }
  readonly scale?: number | undefined
}

interface Read {
  (buffer: Buffer, offset: number, metadata: Metadata, options: unknown): {
    readonly value: unknown
    readonly offset: number
  }
}

/** What a marked column's bytes become. */
interface Decode {
  (bytes: Buffer, scale: number): unknown
}

const digits = (unscaled: bigint, isNegative: boolean, scale: number): string => {
  const text = unscaled.toString().padStart(scale + 1, "0")
  const sign = isNegative && unscaled !== 0n ? "-" : ""
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

const unsigned = (bytes: Buffer, from: number, to: number): bigint => {
  let value = 0n
  for (let i = to - 1; i >= from; i--) value = value << 8n | BigInt(bytes[i]!)
  return value
}

const decimal: Decode = (bytes, scale) => digits(unsigned(bytes, 1, bytes.length), bytes[0] === 0, scale)

const money: Decode = (bytes) => {
  // The high half stands first.
  const value = bytes.length === 4
    ? BigInt(bytes.readInt32LE(0))
    : BigInt(bytes.readInt32LE(0)) << 32n | BigInt(bytes.readUInt32LE(4))
  return digits(value < 0n ? -value : value, value < 0n, 4)
}

/** Units of 100 ns since midnight. */
const unitsOf = (bytes: Buffer, length: number, scale: number): number =>
  bytes.readUIntLE(0, length) * 10 ** (7 - scale)

const two = (value: number): string => String(value).padStart(2, "0")

const time: Decode = (bytes, scale) => {
  const units = unitsOf(bytes, bytes.length, scale)
  const seconds = Math.floor(units / 10_000_000)
  const fraction = String(units % 10_000_000).padStart(7, "0").slice(0, scale)
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${
    scale === 0 ? "" : `.${fraction}`
  }`
}

const dayMillis = 86_400_000
const firstDay = -62_135_596_800_000

const moment = (bytes: Buffer, scale: number, timeLength: number, offset: number | undefined): Date => {
  const units = unitsOf(bytes, timeLength, scale)
  const millis = firstDay + bytes.readUIntLE(timeLength, 3) * dayMillis + Math.floor(units / 10_000)
  const micros = Math.floor(units % 10_000 / 10)
  const hundreds = units % 10
  if (hundreds !== 0 || offset !== undefined) return new Moment(millis, micros, hundreds, offset)
  return micros === 0 ? new Date(millis) : new Timestamp(millis, micros)
}

const dateTime2: Decode = (bytes, scale) => moment(bytes, scale, bytes.length - 3, undefined)

const dateTimeOffset: Decode = (bytes, scale) => {
  const offset = bytes.readInt16LE(bytes.length - 2)
  return moment(bytes, scale, bytes.length - 5, offset === 0 ? undefined : offset)
}

const decoders: Readonly<Record<string, Decode>> = {
  DecimalN: decimal,
  NumericN: decimal,
  MoneyN: money,
  Money: money,
  SmallMoney: money,
  Time: time,
  DateTime2: dateTime2,
  DateTimeOffset: dateTimeOffset
}

/** Columns that are never NULL come without a number of bytes before each value. */
const fixedLengths: Readonly<Record<string, number>> = { Money: 8, SmallMoney: 4 }

/** A type whose values we read. */
class Marked {
  readonly decode: Decode
  readonly fixedLength: number | undefined
  constructor(type: { readonly name: string }, readonly name: string) {
    Object.assign(this, type, { name })
    this.decode = decoders[type.name]!
    this.fixedLength = fixedLengths[type.name]
  }
}

const marks = new Map<string, Marked>()

/** To be called for each column of an answer before its rows are read: tedious's `columnNameReplacer`. */
export const markColumn = (name: string, _: number, metadata: Pick<ColumnMetadata, "type">): string => {
  const { type } = metadata
  if (decoders[type.name] === undefined) return name
  let mark = marks.get(type.name)
  if (mark === undefined) {
    mark = new Marked(type, `dblive:${type.name}`)
    marks.set(type.name, mark)
  } // tedious reads nothing of it but the name and flags that were copied.

  ;(metadata as { type: unknown }).type = mark
  return name
}

/** Replaces tedious's reader, once. Returns why that cannot be done. */
const install = (): string | undefined => {
  try {
    const require = Module.createRequire(import.meta.url)
    // CommonJS: its modules look each other's functions up when they call them.
    const parser = require("tedious/lib/value-parser") as { readValue?: Read }
    const helpers = require("tedious/lib/token/helpers") as { NotEnoughDataError?: new(length: number) => Error }
    const { NotEnoughDataError } = helpers
    const read = parser.readValue
    if (typeof read !== "function" || typeof NotEnoughDataError !== "function") return "its inner modules have changed"
    parser.readValue = (buffer, offset, metadata, options) => {
      const { type } = metadata
      if (!(type instanceof Marked)) return read(buffer, offset, metadata, options)
      const start = type.fixedLength === undefined ? offset + 1 : offset
      if (buffer.length < start) throw new NotEnoughDataError(start)
      const length = type.fixedLength ?? buffer[offset]!
      const end = start + length
      if (buffer.length < end) throw new NotEnoughDataError(end)
      return {
        value: length === 0 ? null : type.decode(buffer.subarray(start, end), metadata.scale ?? 0),
        offset: end
      }
    }
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Why values cannot be read without loss; `undefined` where they can. */
export const unreadable: string | undefined = install()

/** Columns of type `bigint`: their values come as text. */
const isBigInt = (metadata: ColumnMetadata): boolean =>
  metadata.type.name === "BigInt" || (metadata.type.name === "IntN" && metadata.dataLength === 8)

/** How the rows of one answer become what the caller asked for. */
export class RowBuilder {
  private readonly names: ReadonlyArray<string>
  private readonly bigints: ReadonlyArray<boolean>
  private readonly isUnsafe: boolean

  constructor(columns: ReadonlyArray<ColumnMetadata>, private readonly givesObjects: boolean, safeIntegers: boolean) {
    this.names = columns.map((column) => column.colName)
    this.bigints = columns.map((column) => isBigInt(column) && safeIntegers)
    this.isUnsafe = this.names.includes("__proto__")
  }

  row(columns: ReadonlyArray<{ readonly value: unknown }>): unknown {
    const { bigints, names } = this
    if (!this.givesObjects) {
      return columns.map(({ value }, i) => bigints[i] && value !== null ? BigInt(value as string) : value)
    }
    const row: Record<string, unknown> = {}
    for (let i = 0; i < columns.length; i++) {
      const given = columns[i]!.value
      // tedious gives the digits of a bigint as text.
      const value = bigints[i] && given !== null ? BigInt(given as string) : given
      if (this.isUnsafe) {
        Object.defineProperty(row, names[i]!, { value, enumerable: true, configurable: true, writable: true })
      } else {
        row[names[i]!] = value
      }
    }
    return row
  }
}
