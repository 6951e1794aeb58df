/**
 * Types of parameters for tedious, where its own lose something: decimals beyond a double, microseconds, offsets.
 */
import * as Tedious from "tedious"
import type { DataType, ParameterData } from "tedious/lib/data-type.js"
import { microsecondsOf } from "../Timestamp.js"
import { Moment } from "./moment.js"

/** What tedious asks of a type, without the parts that only its own types have. */
type Generate = Pick<
  DataType,
  | "id"
  | "type"
  | "name"
  | "declaration"
  | "generateTypeInfo"
  | "generateParameterLength"
  | "generateParameterData"
  | "validate"
  | "resolvePrecision"
  | "resolveScale"
>

/** tedious declares more than it uses: `hasTableName` and the like are for columns. */
const dataType = (generate: Generate): DataType => generate as DataType

const dayMillis = 86_400_000
/** 0001-01-01 in JavaScript's count. */
const firstDay = -62_135_596_800_000

const nothing = Buffer.from([0])

/** Time of day in units of 100 ns (5 bytes) and day (3 bytes), as the types of scale 7 have them. */
const momentBytes = (date: Date): Buffer => {
  const millis = date.getTime() - firstDay
  const day = Math.floor(millis / dayMillis)
  const units = (millis - day * dayMillis) * 10_000 + microsecondsOf(date) * 10 +
    (date instanceof Moment ? date.hundreds : 0)
  const bytes = Buffer.alloc(8)
  bytes.writeUIntLE(units, 0, 5)
  bytes.writeUIntLE(day, 5, 3)
  return bytes
}

/** `datetime2(7)` in UTC, with all digits that a date has. */
export const dateTime2: DataType = dataType({
  id: 0x2a,
  type: "DATETIME2N",
  name: "DateTime2",
  declaration: () => "datetime2(7)",
  resolveScale: () => 7,
  generateTypeInfo: () => Buffer.from([0x2a, 7]),
  generateParameterLength: ({ value }: ParameterData) => value === null ? nothing : Buffer.from([8]),
  *generateParameterData({ value }: ParameterData) {
    if (value !== null) yield momentBytes(value as Date)
  },
  validate: (value: unknown) => value
})

/** `datetimeoffset(7)`. */
export const dateTimeOffset: DataType = dataType({
  id: 0x2b,
  type: "DATETIMEOFFSETN",
  name: "DateTimeOffset",
  declaration: () => "datetimeoffset(7)",
  resolveScale: () => 7,
  generateTypeInfo: () => Buffer.from([0x2b, 7]),
  generateParameterLength: ({ value }: ParameterData) => value === null ? nothing : Buffer.from([10]),
  *generateParameterData({ value }: ParameterData) {
    if (value === null) return
    const offset = Buffer.alloc(2)
    offset.writeInt16LE(value instanceof Moment ? value.offset ?? 0 : 0)
    yield Buffer.concat([momentBytes(value as Date), offset])
  },
  validate: (value: unknown) => value
})

/** `float`. tedious takes a number by way of its text, in which -0 is 0. */
export const float: DataType = dataType({
  id: 0x3e,
  type: "FLT8",
  name: "Float",
  declaration: () => "float",
  generateTypeInfo: () => Buffer.from([0x6d, 8]),
  generateParameterLength: ({ value }: ParameterData) => value === null ? nothing : Buffer.from([8]),
  *generateParameterData({ value }: ParameterData) {
    if (value === null) return
    const bytes = Buffer.alloc(8)
    // `validate` has made it a number.
    bytes.writeDoubleLE(value as number)
    yield bytes
  },
  validate: (value: unknown) => {
    if (value === null || value === undefined) return null
    const number = typeof value === "number" ? value : Number(value)
    if (!Number.isFinite(number)) throw new TypeError("Invalid number.")
    return number
  }
})

const decimalPattern = /^([+-]?)(\d*)(?:\.(\d*))?$/

/** The digits of a number, and how many of them stand behind the point. */
const digitsOf = (
  value: unknown
): { readonly negative: boolean; readonly whole: string; readonly fraction: string } => {
  const match = decimalPattern.exec(String(value))
  if (match === null || (match[2] === "" && (match[3] ?? "") === "")) throw new TypeError("Invalid number.")
  return { negative: match[1] === "-", whole: match[2]!.replace(/^0+/, ""), fraction: match[3] ?? "" }
}

/** The digits of the longest. */
const longestDecimal = 38

const decimalLength = (precision: number): number =>
  precision <= 9 ? 4 : precision <= 19 ? 8 : precision <= 28 ? 12 : 16

/** `decimal(p, s)` from a text, a bigint or a number, digit by digit: what does not fit is refused, not rounded. */
export const decimal: DataType = dataType({
  id: 0x6a,
  type: "DECIMALN",
  name: "Decimal",
  declaration: (parameter) => `decimal(${decimal.resolvePrecision!(parameter)}, ${decimal.resolveScale!(parameter)})`,
  resolvePrecision: (parameter) => {
    if (parameter.precision !== undefined) return parameter.precision
    if (parameter.value === null || parameter.value === undefined) return 38
    const { fraction, whole } = digitsOf(parameter.value)
    return Math.max(1, whole.length + fraction.length)
  },
  resolveScale: (parameter) =>
    parameter.scale ??
      (parameter.value === null || parameter.value === undefined ? 0 : digitsOf(parameter.value).fraction.length),
  generateTypeInfo: ({ precision, scale }: ParameterData) => {
    if (precision! > longestDecimal || scale! > precision!) {
      throw new TypeError("No decimal has such a precision and scale.")
    }
    return Buffer.from([0x6a, decimalLength(precision!) + 1, precision!, scale!])
  },
  generateParameterLength: ({ precision, value }: ParameterData) =>
    value === null || value === undefined ? nothing : Buffer.from([decimalLength(precision!) + 1]),
  *generateParameterData({ precision, scale, value }: ParameterData) {
    if (value === null || value === undefined) return
    const { fraction, negative: isNegative, whole } = digitsOf(value)
    const kept = fraction.replace(/0+$/, "").length <= scale! ? fraction.slice(0, scale).padEnd(scale!, "0") : undefined
    if (kept === undefined || whole.length > precision! - scale!) {
      throw new TypeError("Does not fit the precision and scale.")
    }
    let magnitude = BigInt(`0${whole}${kept}`)
    const bytes = Buffer.alloc(decimalLength(precision!) + 1)
    bytes[0] = isNegative ? 0 : 1
    for (let i = 1; i < bytes.length; i++) {
      bytes[i] = Number(magnitude & 0xffn)
      magnitude >>= 8n
    }
    yield bytes
  },
  validate: (value: unknown) => {
    if (value === null || value === undefined) return null
    digitsOf(value)
    return value
  }
})

const exact: Readonly<Record<string, DataType>> = {
  Decimal: decimal,
  Numeric: decimal,
  Float: float,
  DateTime2: dateTime2,
  DateTimeOffset: dateTimeOffset
}

/** By name: a type may come from another copy of tedious. `TYPES` is an object of such types, with fixed keys in its own. */
const known = Tedious.TYPES as unknown as Readonly<Record<string, DataType | undefined>>

/** The type to send for one that a caller named: ours where tedious's loses something. */
export const exactType = (type: DataType): DataType => exact[type.name] ?? known[type.name] ?? type
