/**
 * Conversions between types, with SQL Server's errors where a value does not fit: nothing is guessed, rounded away or
 * cut without being asked.
 *
 * Exports: `convert`, `decimalText`, `parseDecimal`, `commonType`.
 */
import {
  formatDate,
  formatDateTime,
  formatOffset,
  formatTime,
  parseDate,
  parseDateTime,
  parseOffset,
  parseTime,
  ticksPerDay
} from "../calendar.js"
import { fromCodePage, toCodePage } from "../codec.js"
import * as Types from "../types.js"
import { type SqlType, TsqlError, unsupported, type Value } from "../types.js"

const ranges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  bit: [0n, 1n],
  tinyint: [0n, 255n],
  smallint: [-32768n, 32767n],
  int: [-2147483648n, 2147483647n],
  bigint: [-9223372036854775808n, 9223372036854775807n]
}

/** An exact number: `unscaled / 10^scale`. */
export interface Decimal {
  readonly unscaled: bigint
  readonly scale: number
}

export const parseDecimal = (text: string): Decimal => {
  const point = text.indexOf(".")
  return point === -1
    ? { unscaled: BigInt(text), scale: 0 }
    : { unscaled: BigInt(text.slice(0, point) + text.slice(point + 1)), scale: text.length - point - 1 }
}

export const decimalText = ({ scale, unscaled }: Decimal): string => {
  const sign = unscaled < 0n ? "-" : ""
  const text = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

/** Half away from zero. */
export const rescale = (value: Decimal, scale: number): Decimal => {
  if (scale >= value.scale) return { unscaled: value.unscaled * 10n ** BigInt(scale - value.scale), scale }
  const divisor = 10n ** BigInt(value.scale - scale)
  const magnitude = value.unscaled < 0n ? -value.unscaled : value.unscaled
  const rounded = (magnitude + divisor / 2n) / divisor
  return { unscaled: value.unscaled < 0n ? -rounded : rounded, scale }
}

const fitDecimal = (value: Decimal, to: SqlType, from: string): string => {
  const rounded = rescale(value, to.scale)
  if (to.kind === "money" || to.kind === "smallmoney") {
    const limit = to.kind === "money" ? 2n ** 63n : 2n ** 31n
    if (rounded.unscaled >= limit || rounded.unscaled < -limit) throw overflow(to, from)
    return decimalText(rounded)
  }
  const magnitude = rounded.unscaled < 0n ? -rounded.unscaled : rounded.unscaled
  if (magnitude >= 10n ** BigInt(to.precision)) throw overflow(to, from)
  return decimalText(rounded)
}

const overflow = (to: SqlType, from: string): TsqlError =>
  new TsqlError(
    8115,
    `Arithmetic overflow error converting ${from} to data type ${to.kind === "decimal" ? "numeric" : to.kind}.`,
    16,
    2
  )

const fitInteger = (value: bigint, to: SqlType, from: SqlType): bigint => {
  if (to.kind === "bit") return value === 0n ? 0n : 1n
  const [low, high] = ranges[to.kind]!
  if (value >= low && value <= high) return value
  if ((to.kind === "tinyint" || to.kind === "smallint") && Types.isInteger(from)) {
    throw new TsqlError(220, `Arithmetic overflow error for data type ${to.kind}, value = ${value}.`, 16, 2)
  }
  throw overflow(to, from.kind === "decimal" ? "numeric to data type" : "expression")
}

const failed = (value: string, from: SqlType, to: SqlType): TsqlError => {
  switch (to.kind) {
    case "float":
    case "real":
    case "decimal":
      return new TsqlError(
        8114,
        `Error converting data type ${from.kind} to ${to.kind === "decimal" ? "numeric" : to.kind}.`,
        16,
        5
      )
    case "uniqueidentifier":
      return new TsqlError(
        8169,
        "Conversion failed when converting from a character string to uniqueidentifier.",
        16,
        2
      )
    case "money":
    case "smallmoney":
      return new TsqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.", 16, 0)
    case "date":
    case "time":
    case "datetime":
    case "smalldatetime":
    case "datetime2":
    case "datetimeoffset":
      return new TsqlError(241, "Conversion failed when converting date and/or time from character string.", 16, 1)
    default:
      return new TsqlError(
        245,
        `Conversion failed when converting the ${from.kind} value '${value}' to data type ${to.kind}.`,
        16,
        1
      )
  }
}

const notAllowed = (from: SqlType, to: SqlType, explicit: boolean): TsqlError =>
  explicit
    ? new TsqlError(529, `Explicit conversion from data type ${from.kind} to ${to.kind} is not allowed.`, 16, 2)
    : Types.isString(from) && Types.isBinary(to)
    ? new TsqlError(
      257,
      `Implicit conversion from data type ${from.kind} to ${to.kind}${
        to.length === -1 ? "(max)" : ""
      } is not allowed. Use the CONVERT function to run this query.`,
      16,
      3
    )
    : new TsqlError(206, `Operand type clash: ${from.kind} is incompatible with ${to.kind}`, 16, 2)

/** Whether a conversion exists at all: it is refused even for NULL where not, as the real server does when it compiles. */
export const allowed = (from: SqlType, to: SqlType, explicit: boolean): boolean => {
  if (from.kind === to.kind) return true
  const group = (type: SqlType): string =>
    Types.isNumeric(type)
      ? "number"
      : Types.isString(type)
      ? "string"
      : Types.isBinary(type)
      ? "binary"
      : Types.isTemporal(type)
      ? type.kind === "datetime" || type.kind === "smalldatetime" ? "old" : "temporal"
      : "guid"
  const [a, b] = [group(from), group(to)]
  if (a === b) return !((from.kind === "date" && to.kind === "time") || (from.kind === "time" && to.kind === "date"))
  if (a === "string") return b !== "binary" || explicit
  if (b === "string") return true
  if ((a === "old" && b === "temporal") || (a === "temporal" && b === "old")) return true
  if (a === "binary") return b === "number" ? !Types.isFloat(to) : b === "guid" || b === "old"
  if (b === "binary") return explicit || a === "number" || a === "guid"
  if (a === "number" && b === "old") return true
  if (a === "old" && b === "number") return explicit
  return false
}

const roundTicks = (ticks: number, scale: number): number => {
  const unit = 10 ** (7 - scale)
  return Math.round(ticks / unit) * unit
}

/** A moment: what all types of date and time have in common. `offset` in minutes. */
interface Moment {
  readonly days: number
  readonly ticks: number
  readonly offset: number
}

const epoch1900 = parseDate("1900-01-01")

const momentOf = (value: string, from: SqlType, to: SqlType): Moment => {
  if (from.kind === "date") return { days: parseDate(value), ticks: 0, offset: 0 }
  if (from.kind === "time") return { days: epoch1900, ticks: parseTime(value), offset: 0 }
  if (from.kind === "datetimeoffset") {
    const { days, ticks } = parseDateTime(value.slice(0, 27))
    const offset = parseOffset(value.slice(27))
    const local = ticks + offset * 600_000_000
    const over = Math.floor(local / ticksPerDay)
    return { days: days + over, ticks: local - over * ticksPerDay, offset }
  }
  if (Types.isString(from)) {
    const match =
      /^\s*(?:(\d{4})-?(\d{2})-?(\d{2}))?(?:[T ]?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?))?\s*(Z|[+-]\d{2}:\d{2})?\s*$/
        .exec(value)
    if (match === null || (match[1] === undefined && match[4] === undefined)) throw failed(value, from, to)
    const days = match[1] === undefined ? epoch1900 : parseDate(`${match[1]}-${match[2]}-${match[3]}`)
    const ticks = match[4] === undefined ? 0 : parseTime(match[4])
    const offset = match[5] === undefined || match[5] === "Z" ? 0 : parseOffset(match[5])
    if (Number.isNaN(days) || Number.isNaN(ticks) || Number.isNaN(offset)) throw failed(value, from, to)
    return { days, ticks, offset }
  }
  return { ...parseDateTime(value), offset: 0 }
}

const outOfRange = (to: SqlType): TsqlError =>
  new TsqlError(
    242,
    `The conversion to a ${to.kind} data type resulted in an out-of-range value.`,
    16,
    3
  )

const fromMoment = ({ days, offset, ticks }: Moment, to: SqlType): string => {
  const lastDay = 3652058
  const checked = (day: number): number => {
    if (day < 0 || day > lastDay) throw outOfRange(to)
    return day
  }
  switch (to.kind) {
    case "date":
      return formatDate(checked(days))
    case "time": {
      const rounded = roundTicks(ticks, to.scale)
      return formatTime(rounded >= ticksPerDay ? 0 : rounded)
    }
    case "datetime": {
      if (days < parseDate("1753-01-01")) throw outOfRange(to)
      const threeHundredths = Math.round(ticks * 3 / 100_000)
      return formatDateTime(days, Math.round(threeHundredths * 10 / 3) * 10_000)
    }
    case "smalldatetime":
      if (days < epoch1900 || days > epoch1900 + 65535) throw outOfRange(to)
      return formatDateTime(days, Math.round(ticks / 600_000_000) * 600_000_000)
    case "datetime2": {
      const rounded = roundTicks(ticks, to.scale)
      checked(days + (rounded >= ticksPerDay ? 1 : 0))
      return formatDateTime(days, rounded)
    }
    default: {
      const rounded = roundTicks(ticks, to.scale) - offset * 600_000_000
      const over = Math.floor(rounded / ticksPerDay)
      checked(days + over)
      return formatDateTime(days + over, rounded - over * ticksPerDay) + formatOffset(offset)
    }
  }
}

const momentText = (value: string, from: SqlType): string => {
  if (from.kind === "date") return value
  const cut = (time: string, scale: number): string => scale === 0 ? time.slice(0, 8) : time.slice(0, 9 + scale)
  if (from.kind === "time") return cut(value, from.scale)
  if (from.kind === "datetimeoffset") {
    const local = momentOf(value, from, from)
    return `${formatDate(local.days)} ${cut(formatTime(local.ticks), from.scale)} ${formatOffset(local.offset)}`
  }
  if (from.kind === "datetime2") return `${value.slice(0, 10)} ${cut(value.slice(11), from.scale)}`
  throw unsupported(`the text of a ${from.kind}: convert it to datetime2 first`)
}

const numberText = (value: number): string => {
  // Six significant digits, as CAST(float AS varchar) has them.
  const text = Number(value.toPrecision(6)).toString()
  if (text.includes("e")) throw unsupported("the text of a float this large or small")
  return text
}

const toText = (value: Value, from: SqlType): string => {
  if (typeof value === "bigint") return value.toString()
  if (typeof value === "number") return numberText(value)
  if (typeof value === "string") {
    if (Types.isTemporal(from)) return momentText(value, from)
    if (from.kind === "money" || from.kind === "smallmoney") return decimalText(rescale(parseDecimal(value), 2))
    return value
  }
  throw unsupported(`${from.kind} as text`)
}

const exactNumber = (value: Value, from: SqlType, to: SqlType): Decimal => {
  if (typeof value === "bigint") return { unscaled: value, scale: 0 }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw overflow(to, from.kind)
    if (Number.isInteger(value)) return { unscaled: BigInt(value), scale: 0 }
    const text = value.toString()
    const match = /^(-?\d+(?:\.\d+)?)e(-?\d+)$/.exec(text)
    if (match === null) return parseDecimal(text)
    const mantissa = parseDecimal(match[1]!)
    return { unscaled: mantissa.unscaled, scale: mantissa.scale - Number(match[2]) }
  }
  if (typeof value === "string") {
    const text = value.trim()
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)) throw failed(value, from, to)
    const sign = text.startsWith("-") ? "-" : ""
    const magnitude = text.replace(/^[+-]/, "").replace(/^\./, "0.").replace(/\.$/, "")
    return parseDecimal(sign + magnitude)
  }
  throw notAllowed(from, to, true)
}

const toInteger = (value: Value, from: SqlType, to: SqlType): bigint => {
  if (typeof value === "bigint") return fitInteger(value, to, from)
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw overflow(to, "expression")
    return fitInteger(to.kind === "bit" ? (value === 0 ? 0n : 1n) : BigInt(Math.trunc(value)), to, from)
  }
  if (typeof value === "string") {
    if (Types.isExact(from)) {
      const exact = parseDecimal(value)
      if (to.kind === "bit") return exact.unscaled === 0n ? 0n : 1n
      return fitInteger(exact.unscaled / 10n ** BigInt(exact.scale), to, from)
    }
    const text = value.trim()
    if (to.kind === "bit" && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true" ? 1n : 0n
    if (text === "") return 0n
    if (!/^[+-]?\d+$/.test(text)) {
      if (to.kind === "bigint") throw new TsqlError(8114, `Error converting data type ${from.kind} to bigint.`, 16, 5)
      throw failed(value, from, to)
    }
    const parsed = BigInt(text.replace(/^\+/, ""))
    const [low, high] = ranges[to.kind]!
    if (to.kind !== "bit" && (parsed < low || parsed > high)) {
      throw new TsqlError(
        248,
        `The conversion of the ${from.kind} value '${value}' overflowed an ${to.kind} column.`,
        16,
        1
      )
    }
    return fitInteger(parsed, to, from)
  }
  if (Buffer.isBuffer(value)) {
    let result = 0n
    for (const byte of value.subarray(-8)) result = result << 8n | BigInt(byte)
    const bits = to.kind === "bigint" ? 64 : to.kind === "int" ? 32 : to.kind === "smallint" ? 16 : 8
    return to.kind === "tinyint" || to.kind === "bit"
      ? fitInteger(BigInt.asUintN(8, result), to, from)
      : BigInt.asIntN(bits, result)
  }
  throw notAllowed(from, to, true)
}

/** How a value that is too long for its column is met: CAST cuts it, an assignment is refused. */
export type Mode = "cast" | "assign" | "implicit"

const fitLength = (value: string, to: SqlType, from: SqlType, mode: Mode): string => {
  const stored = Types.isUnicode(to) ? value : fromCodePage(toCodePage(value))
  const fixed = to.kind === "nchar" || to.kind === "char"
  if (to.length === -1 || stored.length <= to.length) return fixed ? stored.padEnd(to.length) : stored
  if (mode !== "cast" && stored.slice(to.length).trim() !== "") {
    throw new TsqlError(
      2628,
      `String or binary data would be truncated in table, column. Truncated value: '...'.`,
      16,
      1
    )
  }
  if (!Types.isString(from)) {
    throw new TsqlError(8115, `Arithmetic overflow error converting ${from.kind} to data type ${to.kind}.`, 16, 2)
  }
  return stored.slice(0, to.length)
}

/** The value as the other type has it, or an error as SQL Server would raise it. */
export const convert = (value: Value, from: SqlType, to: SqlType, mode: Mode): Value => {
  if (!allowed(from, to, mode === "cast")) throw notAllowed(from, to, mode === "cast")
  if (value === null) return null
  if (Types.isInteger(to)) return toInteger(value, from, to)
  if (Types.isExact(to)) {
    if (Buffer.isBuffer(value)) throw unsupported("binary as an exact number")
    return fitDecimal(exactNumber(value, from, to), to, from.kind === "decimal" ? "numeric" : from.kind)
  }
  if (Types.isFloat(to)) {
    const result = typeof value === "string"
      ? /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value) ? Number(value) : Number.NaN
      : Number(value)
    if (Number.isNaN(result)) throw failed(String(value), from, to)
    const narrowed = to.kind === "real" ? Math.fround(result) : result
    if (!Number.isFinite(narrowed)) throw overflow(to, "expression")
    return narrowed
  }
  if (Types.isString(to)) {
    if (Buffer.isBuffer(value)) {
      return fitLength(Types.isUnicode(to) ? value.toString("utf16le") : fromCodePage(value), to, from, mode)
    }
    return fitLength(toText(value, from), to, from, mode)
  }
  if (Types.isBinary(to)) {
    const bytes = Buffer.isBuffer(value)
      ? value
      : typeof value === "string" && Types.isString(from)
      ? Types.isUnicode(from) ? Buffer.from(value, "utf16le") : toCodePage(value)
      : undefined
    if (bytes === undefined) throw unsupported(`${from.kind} as binary`)
    const fixed = to.kind === "binary"
    if (to.length === -1 || bytes.length <= to.length) {
      return fixed ? Buffer.concat([bytes, Buffer.alloc(to.length - bytes.length)]) : bytes
    }
    if (mode !== "cast") {
      throw new TsqlError(2628, `String or binary data would be truncated in table, column. Truncated value: '...'.`)
    }
    return bytes.subarray(0, to.length)
  }
  if (to.kind === "uniqueidentifier") {
    if (typeof value === "string") {
      const match = /^\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?/i.exec(value.trim())
      if (match === null) throw failed(value, from, to)
      return match[1]!.toUpperCase()
    }
    throw unsupported(`${from.kind} as uniqueidentifier`)
  }
  if (typeof value !== "string") throw unsupported(`${from.kind} as ${to.kind}`)
  return fromMoment(momentOf(value, from, to), to)
}

const precedence: ReadonlyArray<Types.Kind> = [
  "datetimeoffset",
  "datetime2",
  "datetime",
  "smalldatetime",
  "date",
  "time",
  "float",
  "real",
  "decimal",
  "money",
  "smallmoney",
  "bigint",
  "int",
  "smallint",
  "tinyint",
  "bit",
  "uniqueidentifier",
  "nvarchar",
  "nchar",
  "varchar",
  "char",
  "varbinary",
  "binary"
]

const integerDigits: Readonly<Record<string, number>> = { bit: 1, tinyint: 3, smallint: 5, int: 10, bigint: 19 }

/** An integer or money type as the decimal that holds it. */
export const asDecimal = (type: SqlType): SqlType =>
  Types.isInteger(type) ? Types.decimal(integerDigits[type.kind]!, 0) : Types.decimal(type.precision, type.scale)

/** The type that two operands are brought to, by precedence. */
export const commonType = (a: SqlType, b: SqlType): SqlType => {
  const [high, low] = precedence.indexOf(a.kind) <= precedence.indexOf(b.kind) ? [a, b] : [b, a]
  if (high.kind === "decimal" && Types.isNumeric(low) && !Types.isFloat(low)) {
    const other = asDecimal(low)
    const scale = Math.max(high.scale, other.scale)
    const precision = Math.max(high.precision - high.scale, other.precision - other.scale) + scale
    return Types.decimal(Math.min(38, precision), scale)
  }
  if (Types.isString(high) && Types.isString(low) || Types.isBinary(high) && Types.isBinary(low)) {
    return { ...high, length: high.length === -1 || low.length === -1 ? -1 : Math.max(high.length, low.length) }
  }
  if (high.kind === low.kind) return { ...high, scale: Math.max(high.scale, low.scale) }
  return high
}
