/**
 * The functions that SQLite calls back for: T-SQL's arithmetic, conversions and aggregates, which SQLite has otherwise
 * or not at all. `1/0` is error 8134 here, not NULL; an overflow is error 8115, not a float.
 *
 * Exports: `registerFunctions`.
 */
import type Database from "better-sqlite3"
import { randomUUID } from "node:crypto"
import { formatDateTime, parseDateTime, ticksPerDay } from "../calendar.js"
import * as Types from "../types.js"
import { parseTypeText, type SqlType, TsqlError, unsupported, type Value } from "../types.js"
import { convert, decimalText, type Mode, parseDecimal, rescale } from "./convert.js"

const types = new Map<string, SqlType>()
const typeOf = (text: string): SqlType => {
  let type = types.get(text)
  if (type === undefined) {
    type = parseTypeText(text)
    types.set(text, type)
  }
  return type
}

const divideByZero = (): TsqlError => new TsqlError(8134, "Divide by zero error encountered.", 16, 1)

const integers = (operator: string, a: bigint, b: bigint): bigint => {
  switch (operator) {
    case "+":
      return a + b
    case "-":
      return a - b
    case "*":
      return a * b
    case "&":
      return a & b
    case "|":
      return a | b
    case "^":
      return a ^ b
    default:
      if (b === 0n) throw divideByZero()
      return operator === "/" ? a / b : a % b
  }
}

const floats = (operator: string, a: number, b: number): number => {
  switch (operator) {
    case "+":
      return a + b
    case "-":
      return a - b
    case "*":
      return a * b
    case "/":
      if (b === 0) throw divideByZero()
      return a / b
    default:
      throw unsupported(`${operator} between floats`)
  }
}

/** Both operands have the result's kind; decimals come as text. */
const arithmetic = (operator: string, a: Value, b: Value, type: SqlType): Value => {
  if (a === null || b === null) return null
  if (Types.isInteger(type)) {
    return convert(integers(operator, a as bigint, b as bigint), Types.bigint, type, "implicit")
  }
  if (Types.isFloat(type)) {
    const result = floats(operator, Number(a), Number(b))
    if (!Number.isFinite(result)) {
      throw new TsqlError(8115, "Arithmetic overflow error converting expression to data type float.", 16, 2)
    }
    return result
  }
  const [x, y] = [parseDecimal(a as string), parseDecimal(b as string)]
  if (operator === "/") {
    if (y.unscaled === 0n) throw divideByZero()
    // Cut, not rounded, at the result's scale.
    const unscaled = x.unscaled * 10n ** BigInt(type.scale + y.scale) / (y.unscaled * 10n ** BigInt(x.scale))
    return convert(decimalText({ unscaled, scale: type.scale }), Types.decimal(38, type.scale), type, "implicit")
  }
  const scale = operator === "*" ? x.scale + y.scale : Math.max(x.scale, y.scale)
  const unscaled = operator === "*"
    ? x.unscaled * y.unscaled
    : integers(operator, rescale(x, scale).unscaled, rescale(y, scale).unscaled)
  return convert(decimalText({ unscaled, scale }), Types.decimal(38, scale), type, "implicit")
}

/** A text that sorts as the number does. */
const decimalKey = (value: string): string => {
  const { scale, unscaled } = parseDecimal(value)
  return (unscaled * 10n ** BigInt(38 - scale) + 10n ** 77n).toString().padStart(78, "0")
}

/** T-SQL's LIKE, with its character classes, as a regular expression. */
const likePattern = (pattern: string, escape: string | null): RegExp => {
  let source = ""
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!
    if (escape !== null && char === escape) {
      i++
      source += (pattern[i] ?? "").replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
    } else if (char === "%") source += "[\\s\\S]*"
    else if (char === "_") source += "[\\s\\S]"
    else if (char === "[" && pattern.indexOf("]", i) > i) {
      const end = pattern.indexOf("]", i)
      source += `[${pattern.slice(i + 1, end).replace(/[\\[]/g, "\\$&")}]`
      i = end
    } else source += char.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
  }
  return new RegExp(`^${source}$`, "u")
}

interface Sum {
  total: bigint
  float: number
  scale: number
  count: number
}

/** Makes T-SQL's functions known to one SQLite connection. `identity` gives a table's next identity value. */
export const registerFunctions = (db: Database.Database, identity: (table: string) => bigint): void => {
  const define = (name: string, deterministic: boolean, fn: (...args: Array<never>) => Value): void => {
    db.function(name, { deterministic, safeIntegers: true, varargs: true }, fn as (...args: Array<unknown>) => unknown)
  }
  define(
    "ts_conv",
    true,
    (value: Value, from: string, to: string, mode: Mode) => convert(value, typeOf(from), typeOf(to), mode)
  )
  define("ts_try", true, (value: Value, from: string, to: string) => {
    try {
      return convert(value, typeOf(from), typeOf(to), "cast")
    } catch (error) {
      if (error instanceof TsqlError && error.number !== 529 && error.number !== 49_000) return null
      throw error
    }
  })
  define(
    "ts_math",
    true,
    (operator: string, a: Value, b: Value, type: string) => arithmetic(operator, a, b, typeOf(type))
  )
  define("ts_key", true, (value: string | null) => value === null ? null : decimalKey(value))
  define("ts_concat", true, (...parts: Array<Value>) => parts.includes(null) ? null : parts.join(""))
  define("ts_concat_all", true, (...parts: Array<Value>) => parts.map((part) => part ?? "").join(""))
  define(
    "ts_bytes",
    true,
    (a: Buffer | null, b: Buffer | null) => a === null || b === null ? null : Buffer.concat([a, b])
  )
  define(
    "ts_like",
    true,
    (value: Value, pattern: Value, escape: string | null) =>
      value === null || pattern === null ? null : likePattern(String(pattern), escape).test(String(value)) ? 1n : 0n
  )
  define("ts_newid", false, () => randomUUID().toUpperCase())
  define("ts_ident", false, (table: string) => identity(table))
  define("ts_len", true, (value: string | null) => value === null ? null : BigInt(value.replace(/ +$/, "").length))
  define("ts_substring", true, (value: string | Buffer | null, start: bigint | null, length: bigint | null) => {
    if (value === null || start === null || length === null) return null
    if (length < 0n) {
      throw new TsqlError(537, "Invalid length parameter passed to the LEFT or SUBSTRING function.", 16, 3)
    }
    const from = Number(start) - 1
    return value.slice(Math.max(0, from), Math.max(0, from + Number(length)))
  })
  define(
    "ts_repeat",
    true,
    (value: string | null, count: bigint | null) =>
      value === null || count === null || count < 0n ? null : value.repeat(Number(count))
  )
  define("ts_upper", true, (value: string | null) => value === null ? null : value.toUpperCase())
  define("ts_lower", true, (value: string | null) => value === null ? null : value.toLowerCase())
  define(
    "ts_replace",
    true,
    (value: string | null, from: string | null, to: string | null) =>
      value === null || from === null || to === null ? null : from === "" ? value : value.replaceAll(from, to)
  )
  define(
    "ts_charindex",
    true,
    (part: string | null, value: string | null, start: bigint) =>
      part === null || value === null ? null : BigInt(value.indexOf(part, Math.max(0, Number(start) - 1)) + 1)
  )
  define("ts_many", false, () => {
    throw new TsqlError(
      512,
      "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression."
    )
  })
  define(
    "ts_datalength",
    true,
    (value: string | null, size: bigint) => value === null ? null : BigInt(value.length) * size
  )
  define("ts_dateadd", true, (millis: bigint, amount: bigint | null, value: string | null, type: string) => {
    if (amount === null || value === null) return null
    const to = typeOf(type)
    const moment = convert(value, to, Types.datetimeoffset(7), "cast") as string
    const { days, ticks } = parseDateTime(moment.slice(0, 27))
    // A day of 100 ns units times some million days is beyond a double's integers.
    const total = BigInt(days) * BigInt(ticksPerDay) + BigInt(ticks) + millis * amount * 10_000n
    const shifted = formatDateTime(Number(total / BigInt(ticksPerDay)), Number(total % BigInt(ticksPerDay)))
    return convert(shifted + moment.slice(27), Types.datetimeoffset(7), to, "cast")
  })
  define("ts_datediff", true, (millis: bigint, from: string | null, to: string | null) => {
    if (from === null || to === null) return null
    const boundary = (text: string): bigint => {
      const { days, ticks } = parseDateTime(text.slice(0, 27))
      return (BigInt(days) * BigInt(ticksPerDay) + BigInt(ticks)) / (millis * 10_000n)
    }
    return convert(boundary(to) - boundary(from), Types.bigint, Types.int, "implicit")
  })

  db.aggregate("ts_sum", {
    start: (): Sum => ({ total: 0n, float: 0, scale: 0, count: 0 }),
    step: (sum: Sum, value: Value) => add(sum, value),
    result: (sum: Sum) => sum.count === 0 ? null : sumText(sum),
    safeIntegers: true
  } as never)
  db.aggregate("ts_avg", {
    start: (): Sum => ({ total: 0n, float: 0, scale: 0, count: 0 }),
    step: (sum: Sum, value: Value) => add(sum, value),
    // An integer average is an integer; a decimal one has at least 6 decimals.
    result: (sum: Sum) => {
      if (sum.count === 0) return null
      const total = sumText(sum)
      if (typeof total === "bigint") return total / BigInt(sum.count)
      if (typeof total === "number") return total / sum.count
      const scale = Math.max(6, sum.scale)
      const shifted = rescale(parseDecimal(total), scale)
      return decimalText({ unscaled: shifted.unscaled / BigInt(sum.count), scale })
    },
    safeIntegers: true
  } as never)
}

const add = (sum: Sum, value: Value): Sum | undefined => {
  if (value === null) return undefined
  sum.count++
  if (typeof value === "bigint") sum.total += value
  else if (typeof value === "number") {
    sum.float += value
    sum.scale = -1
  } else {
    const decimal = parseDecimal(value as string)
    const scale = Math.max(sum.scale, decimal.scale)
    sum.total = rescale({ unscaled: sum.total, scale: sum.scale }, scale).unscaled + rescale(decimal, scale).unscaled
    sum.scale = scale
  }
  return sum
}

const sumText = (sum: Sum): bigint | number | string => {
  if (sum.scale === -1) return sum.float
  if (sum.scale > 0) return decimalText({ unscaled: sum.total, scale: sum.scale })
  if (sum.total > 2n ** 63n - 1n || sum.total < -(2n ** 63n)) {
    throw new TsqlError(8115, "Arithmetic overflow error converting expression to data type bigint.", 16, 2)
  }
  return sum.total
}
