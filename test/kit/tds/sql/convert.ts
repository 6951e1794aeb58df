/**
 * Conversions between types, and the functions of T-SQL that SQLite has otherwise or not at all. Nothing is rounded away
 * or cut without being asked: SQL Server's error comes instead, as `1 / 0` is error 8134 here, not NULL.
 */
import type Database from "better-sqlite3"
import * as Calendar from "../calendar.js"
import { decimalText, fromCodePage, toCodePage } from "../codec.js"
import * as Types from "../types.js"
import { type Kind, parseTypeText, type SqlType, TsqlError, unsupported, type Value } from "../types.js"

/** How a value that is too long for its column is met: CAST cuts it, an assignment is refused. */
export type Mode = "cast" | "assign" | "implicit"

const ranges: Readonly<Partial<Record<Kind, readonly [bigint, bigint]>>> = {
  tinyint: [0n, 255n],
  smallint: [-(2n ** 15n), 2n ** 15n - 1n],
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
  smallmoney: [-(2n ** 31n), 2n ** 31n - 1n],
  money: [-(2n ** 63n), 2n ** 63n - 1n]
}

const overflow = (to: SqlType): TsqlError =>
  new TsqlError(8115, `Arithmetic overflow error converting expression to data type ${to.kind}.`, 16, 2)

const inRange = (value: bigint, to: SqlType): bigint => {
  const limit = 10n ** BigInt(to.precision) - 1n
  const [low, high] = ranges[to.kind] ?? [-limit, limit]
  if (value < low || value > high) throw overflow(to)
  return value
}

const failed = (value: string, from: SqlType, to: SqlType): TsqlError => {
  const number = Types.isTemporal(to)
    ? 241
    : to.kind === "uniqueidentifier"
    ? 8169
    : Types.isInteger(to) && to.kind !== "bigint"
    ? 245
    : 8114
  return new TsqlError(
    number,
    `Conversion failed when converting the ${from.kind} value '${value}' to data type ${to.kind}.`
  )
}

/** Whether a conversion exists at all: it is refused even for NULL where not, as the real server does when it compiles. */
export const allowed = (from: SqlType, to: SqlType, explicit: boolean): boolean =>
  from.kind === to.kind || Types.isString(to) ||
  (Types.isString(from) ? explicit || !Types.isBinary(to) : [Types.isNumeric, Types.isBinary, Types.isTemporal].some(
    (group) => group(from) && group(to)
  ))

const notAllowed = (from: SqlType, to: SqlType): TsqlError =>
  Types.isString(from) && Types.isBinary(to)
    ? new TsqlError(257, `Implicit conversion from data type ${from.kind} to ${to.kind} is not allowed.`, 16, 3)
    : new TsqlError(206, `Operand type clash: ${from.kind} is incompatible with ${to.kind}`, 16, 2)

/** An exact number of so many decimals, half away from zero where they are fewer. */
const exact = (value: Value, from: SqlType, to: SqlType): string => {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?\s*$/.exec(String(value))
  if (match === null || (match[2] === "" && (match[3] ?? "") === "")) throw failed(String(value), from, to)
  const [, sign, whole, fraction = ""] = match
  const digits = BigInt(`${whole}${fraction.slice(0, to.scale).padEnd(to.scale, "0")}`)
  const magnitude = digits + (fraction.charAt(to.scale) >= "5" ? 1n : 0n)
  return decimalText(inRange(sign === "-" ? -magnitude : magnitude, to), to.scale)
}

const toInteger = (value: Value, from: SqlType, to: SqlType): bigint => {
  const text = typeof value === "number" ? String(Math.trunc(value)) : String(value).trim()
  if (!/^[+-]?\d+(?:\.\d*)?$/.test(text)) throw failed(text, from, to)
  const whole = BigInt(text.replace(/^\+|\..*$/g, ""))
  return to.kind === "bit" ? (whole === 0n ? 0n : 1n) : inRange(whole, to)
}

/** A moment: what all types of date and time have in common. `offset` in minutes. */
interface Moment {
  readonly days: number
  readonly ticks: number
  readonly offset: number
}

const epoch1900 = Calendar.parseDate("1900-01-01")
const ticksPerMinute = 600_000_000
const datePattern =
  /^\s*(?:(\d{4}-\d{2}-\d{2}))?(?:[T ]?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?))?\s*(Z|[+-]\d{2}:\d{2})?\s*$/

/** The same moment on the clock of another offset. */
const shifted = ({ days, offset, ticks }: Moment, minutes: number): Moment => {
  const moved = ticks + minutes * ticksPerMinute
  const over = Math.floor(moved / Calendar.ticksPerDay)
  return { days: days + over, ticks: moved - over * Calendar.ticksPerDay, offset }
}

const momentOf = (value: string, from: SqlType, to: SqlType): Moment => {
  if (from.kind === "time") return { days: epoch1900, ticks: Calendar.parseTime(value), offset: 0 }
  if (from.kind === "datetimeoffset") {
    const offset = Calendar.parseOffset(value.slice(27))
    return shifted({ ...Calendar.parseDateTime(value.slice(0, 27)), offset }, offset)
  }
  if (!Types.isString(from)) return { ...Calendar.parseDateTime(value), offset: 0 }
  const match = datePattern.exec(value)
  const days = match?.[1] === undefined ? epoch1900 : Calendar.parseDate(match[1])
  const ticks = match?.[2] === undefined ? 0 : Calendar.parseTime(match[2])
  const offset = match?.[3] === undefined || match[3] === "Z" ? 0 : Calendar.parseOffset(match[3])
  if (match === null || Number.isNaN(days) || Number.isNaN(ticks) || Number.isNaN(offset)) throw failed(value, from, to)
  return { days, ticks, offset }
}

const fromMoment = (moment: Moment, to: SqlType): string => {
  const { days, offset } = moment
  const unit = 10 ** (7 - to.scale)
  // A datetime counts in 1/300 s.
  const ticks = to.kind === "datetime"
    ? Math.round(Math.round(moment.ticks * 3 / 100_000) * 10 / 3) * 10_000
    : Math.round(moment.ticks / unit) * unit
  switch (to.kind) {
    case "date":
      return Calendar.formatDate(days)
    case "time":
      return Calendar.formatTime(ticks % Calendar.ticksPerDay)
    case "datetimeoffset": {
      const utc = shifted({ days, ticks, offset }, -offset)
      return Calendar.formatDateTime(utc.days, utc.ticks) + Calendar.formatOffset(offset)
    }
    default:
      return Calendar.formatDateTime(days, ticks)
  }
}

const toText = (value: Value, from: SqlType): string => {
  if (typeof value === "string" && !Types.isTemporal(from)) return value
  if (typeof value === "bigint") return value.toString()
  if (typeof value === "string" && (from.kind === "datetime" || from.kind === "datetime2")) {
    return value.replace("T", " ").slice(0, from.scale === 0 ? 19 : 20 + from.scale)
  }
  throw unsupported(`${from.kind} as text`)
}

const cut = <A extends string | Buffer>(value: A, to: SqlType, mode: Mode): A => {
  if (to.length === -1 || value.length <= to.length) return value
  if (mode !== "cast") throw new TsqlError(2628, "String or binary data would be truncated in table, column.")
  // The same kind of thing, shorter.
  return value.slice(0, to.length) as A
}

/** The value as the other type has it, or an error as SQL Server would raise it. */
export const convert = (value: Value, from: SqlType, to: SqlType, mode: Mode): Value => {
  if (!allowed(from, to, mode === "cast")) throw notAllowed(from, to)
  if (value === null) return null
  if (Types.isBinary(to)) {
    if (!Buffer.isBuffer(value)) throw unsupported(`${from.kind} as binary`)
    return cut(value, to, mode)
  }
  if (Buffer.isBuffer(value)) throw unsupported(`binary as ${to.kind}`)
  if (Types.isInteger(to)) return toInteger(value, from, to)
  if (Types.isExact(to)) return exact(value, from, to)
  if (Types.isFloat(to)) {
    const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value)
    if (Number.isNaN(number)) throw failed(String(value), from, to)
    return to.kind === "real" ? Math.fround(number) : number
  }
  if (Types.isString(to)) {
    const text = toText(value, from)
    const stored = cut(Types.isUnicode(to) ? text : fromCodePage(toCodePage(text)), to, mode)
    return to.kind === "char" || to.kind === "nchar" ? stored.padEnd(to.length) : stored
  }
  if (to.kind === "uniqueidentifier") {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(String(value))) throw failed(String(value), from, to)
    return String(value).toUpperCase()
  }
  return fromMoment(momentOf(String(value), from, to), to)
}

const precedence =
  `datetimeoffset datetime2 datetime date time float real decimal money bigint int smallint tinyint bit uniqueidentifier
  nvarchar varchar varbinary`.split(/\s+/)

/** The type that two operands are brought to, by precedence. */
export const commonType = (a: SqlType, b: SqlType): SqlType => {
  const [high, low] = precedence.indexOf(a.kind) <= precedence.indexOf(b.kind) ? [a, b] : [b, a]
  if ((Types.isString(high) && Types.isString(low)) || (Types.isBinary(high) && Types.isBinary(low))) {
    return { ...high, length: high.length === -1 || low.length === -1 ? -1 : Math.max(high.length, low.length) }
  }
  return high
}

/** A sum or a quotient: both operands have the result's kind. */
const arithmetic = (operator: string, a: Value, b: Value, type: SqlType): Value => {
  if (a === null || b === null) return null
  if (operator === "/" && Number(b) === 0) throw new TsqlError(8134, "Divide by zero error encountered.")
  if (typeof a === "bigint" && typeof b === "bigint") return inRange(operator === "/" ? a / b : a + b, type)
  return operator === "/" ? Number(a) / Number(b) : Number(a) + Number(b)
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")

/** T-SQL's LIKE, with its character classes, as a regular expression. */
const likePattern = (pattern: string): RegExp =>
  new RegExp(
    `^${
      pattern.replace(/%|_|\[([^\]]+)\]|[\s\S]/g, (part, set?: string) =>
        part === "%"
          ? "[\\s\\S]*"
          : part === "_"
          ? "[\\s\\S]"
          : set === undefined
          ? escaped(part)
          : `[${set.replace(/[\\[]/g, "\\$&")}]`)
    }$`,
    "u"
  )

/** Makes T-SQL's functions known to one SQLite connection. `identity` gives a table's next identity value. */
export const registerFunctions = (db: Database.Database, identity: (table: string) => bigint): void => {
  const define = (name: string, fn: (...args: Array<never>) => Value): void => {
    db.function(name, { safeIntegers: true, varargs: true }, fn as (...args: Array<unknown>) => unknown)
  }
  define(
    "ts_conv",
    (value: Value, from: string, to: string, mode: Mode) => convert(value, parseTypeText(from), parseTypeText(to), mode)
  )
  define(
    "ts_math",
    (operator: string, a: Value, b: Value, type: string) => arithmetic(operator, a, b, parseTypeText(type))
  )
  define(
    "ts_like",
    (value: Value, pattern: Value) =>
      value === null || pattern === null ? null : likePattern(String(pattern)).test(String(value)) ? 1n : 0n
  )
  define("ts_ident", (table: string) => identity(table))
  define(
    "ts_repeat",
    (value: string | null, count: bigint | null) =>
      value === null || count === null ? null : value.repeat(Number(count))
  )
}
