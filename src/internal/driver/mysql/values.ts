/**
 * Values on their way to MySQL and back. What the way would change without a word is refused.
 */
import * as Redacted from "effect/Redacted"
import type { FieldPacket } from "mysql2"
import Mysql from "mysql2"
import type { JsonNumbers } from "../../../DbConfig.js"
import type { Request } from "../../../driver/Driver.js"
import { JsonNumber } from "../JsonNumber.js"
import * as JsonText from "../JsonText.js"
import { microsecondsOf, Timestamp } from "../Timestamp.js"
import { undisguise } from "./columns.js"

// Of the default import: mysql2 makes these two by getters, which Node does not see as named exports.
const { TypedParameter, Types } = Mysql

/** Why a parameter is not sent. Never holds its value. */
export class Refused {
  constructor(readonly index: number, readonly what: string, readonly advice: string) {}
}

/** mysql2 reads milliseconds and writes them times 1000 into a field of microseconds, without the fraction. */
class WireDate extends Date {
  constructor(date: Date) {
    super(date.getTime())
    this.micros = date.getUTCMilliseconds() * 1000 + microsecondsOf(date)
  }
  private readonly micros: number
  override getUTCMilliseconds(): number {
    // The half keeps the product above the whole number, whichever way floating point rounds it.
    return (this.micros + 0.5) / 1000
  }
}

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n
const maxUint64 = 2n ** 64n - 1n
/** A DECIMAL has 65 digits. */
const maxDecimal = 10n ** 65n

/** Node 20 has `isWellFormed`; the ES2023 library of TypeScript does not know it yet. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

const halfSurrogate = "text with half of a surrogate pair"

/** MySQL makes doubles of other numbers in its JSON; MariaDB keeps the text. */
const isInMysqlJson = (digits: string): boolean =>
  /^-?\d+$/.test(digits) && BigInt(digits) >= minInt64 && BigInt(digits) <= maxUint64

const encodeObject = (value: object, index: number, isMariadb: boolean): unknown => {
  if (value instanceof Date) {
    const year = value.getUTCFullYear()
    if (Number.isNaN(year)) return new Refused(index, "an invalid Date", "check the date before it is written")
    if (year < 0 || year > 9999) {
      return new Refused(index, "a Date outside of the years 0000 to 9999", "store it as text or as a number")
    }
    return TypedParameter.DATETIME(new WireDate(value))
  }
  if (Buffer.isBuffer(value)) return value
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (value instanceof ArrayBuffer) return Buffer.from(value)
  if (value instanceof JsonNumber) return value.digits
  if (Redacted.isRedacted(value)) {
    return new Refused(index, "a Redacted", "unwrap it with Redacted.value where the secret itself is to be stored")
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (
    !Array.isArray(value) && prototype !== Object.prototype && prototype !== null &&
    typeof (value as { readonly toJSON?: unknown }).toJSON !== "function"
  ) {
    return new Refused(index, "an object that is neither plain nor has toJSON", "convert it first")
  }
  let lossy: string | undefined
  try {
    const text = JsonText.stringify(value, (item, digits) => {
      if (digits !== undefined && !isMariadb && !isInMysqlJson(digits)) lossy = "a number that MySQL would round"
      if (typeof item === "number" && !Number.isFinite(item)) lossy = "NaN or an infinity"
      if (typeof item === "symbol" || typeof item === "function") lossy = `a ${typeof item}`
    })
    if (lossy === undefined && text !== undefined) return TypedParameter.JSON(text)
  } catch (error) {
    // Told apart by type: a cycle is what JSON.stringify itself throws for.
    lossy = error instanceof TypeError ? "a cycle" : "what its toJSON refuses"
  }
  return new Refused(index, `an object that JSON cannot hold: there is ${lossy ?? "nothing"} in it`, "convert it first")
}

const encodeOne = (value: unknown, index: number, isMariadb: boolean): unknown => {
  switch (typeof value) {
    case "string":
      return isWellFormed(value)
        ? value
        : new Refused(index, halfSurrogate, "it has no form in UTF-8: correct the text")
    case "number":
      // As integers, because MySQL takes no DOUBLE in a LIMIT. -0 with them: the server stores 0 for either.
      if (Number.isSafeInteger(value)) return TypedParameter.LONGLONG(value)
      if (Number.isFinite(value)) return TypedParameter.DOUBLE(value)
      return new Refused(
        index,
        Number.isNaN(value) ? "NaN" : "an infinity",
        "MySQL has no such number: write null or text"
      )
    case "bigint":
      if (value >= minInt64 && value <= maxInt64) return TypedParameter.LONGLONG(value)
      if (value > 0n && value <= maxUint64) return TypedParameter.LONGLONG.unsigned(value)
      if (value > -maxDecimal && value < maxDecimal) return TypedParameter.NEWDECIMAL(value)
      return new Refused(index, "a bigint of more than 65 digits", "store it as text")
    case "boolean":
      return value
    case "object":
      return value === null ? null : encodeObject(value, index, isMariadb)
    case "undefined":
      return new Refused(index, "undefined", "use null for a missing value")
    default:
      return new Refused(index, `a ${typeof value}`, "MySQL has no such value: convert it first")
  }
}

/**
 * Parameters as mysql2 is to send them, or why one of them is refused.
 *
 * @param isMariadb whether the server is one of MariaDB, which keeps every digit of JSON
 */
export const encode = (params: ReadonlyArray<unknown>, isMariadb: boolean): Array<unknown> | Refused => {
  const encoded = new Array<unknown>(params.length)
  for (let i = 0; i < params.length; i++) {
    try {
      const value = encodeOne(params[i], i, isMariadb)
      if (value instanceof Refused) return value
      encoded[i] = value
    } catch {
      return new Refused(i, "a value that fails when it is read", "convert it first")
    }
  }
  return encoded
}

/** `YYYY-MM-DD[ hh:mm:ss[.ffffff]]` as a date in UTC. What is no date (`0000-00-00`, `2024-00-15`) stays the text it is. */
const decodeDate = (text: string): Date | string => {
  const year = Number(text.slice(0, 4))
  const month = Number(text.slice(5, 7))
  const day = Number(text.slice(8, 10))
  const fraction = text.length > 20 ? text.slice(20).padEnd(6, "0") : "000000"
  const millis = Number(fraction.slice(0, 3))
  const micros = Number(fraction.slice(3, 6))
  const date = micros === 0 ? new Date(0) : new Timestamp(0, micros)
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day)
  if (text.length > 10) {
    date.setUTCHours(Number(text.slice(11, 13)), Number(text.slice(14, 16)), Number(text.slice(17, 19)), millis)
  }
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date : text
}

/** The binary protocol drops trailing zeros of the fraction, the text protocol keeps them. */
const decodeTime = (decimals: number) => (text: string): string => {
  const point = text.lastIndexOf(".")
  const shown = point === -1 ? 0 : text.length - point - 1
  return shown >= decimals ? text : `${text}${point === -1 ? "." : ""}${"0".repeat(decimals - shown)}`
}

const decodeJson = (numbers: JsonNumbers) => (text: string): unknown => {
  try {
    return JsonText.parse(text, numbers, true)
  } catch (cause) {
    if (cause instanceof JsonText.Inexact) throw cause
    // A LONGTEXT that calls itself JSON on MariaDB and has lost its check: the text says what is there.
    return text
  }
}

type Decode = (value: never) => unknown

const decoderOf = (field: FieldPacket, safeIntegers: boolean, numbers: JsonNumbers): Decode | undefined => {
  if (field.extendedFormat === "json") return decodeJson(numbers)
  switch (field.columnType) {
    case Types.DATE:
    case Types.NEWDATE:
    case Types.DATETIME:
    case Types.TIMESTAMP:
      return decodeDate
    case Types.TIME:
      return field.decimals > 0 && field.decimals <= 6 ? decodeTime(field.decimals) : undefined
    case Types.JSON:
      return decodeJson(numbers)
    case Types.LONGLONG:
      return safeIntegers ? (BigInt as (value: number | string) => bigint) : undefined
    default:
      return undefined
  }
}

interface Column {
  /** Its place in an array, or its name in an object. */
  readonly key: string | number
  readonly decode: Decode
}

/**
 * What is to be done to the rows of one answer. mysql2 gives them as arrays or objects, with dates and JSON as text and
 * integers beyond 2^53 as decimal text.
 */
export class RowDecoder {
  /** Only those whose values change. */
  private readonly columns: ReadonlyArray<Column>
  private readonly named: ((row: Record<string, unknown>) => Record<string, unknown>) | undefined

  constructor(
    fields: ReadonlyArray<FieldPacket>,
    { mode, safeIntegers }: Pick<Request, "mode" | "safeIntegers">,
    numbers: JsonNumbers
  ) {
    const givesArrays = mode === "values"
    const columns: Array<Column> = []
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!
      const decode = decoderOf(field, safeIntegers, numbers)
      if (givesArrays) {
        if (decode !== undefined) columns.push({ key: i, decode })
      } else if (decode !== undefined && !fields.slice(i + 1).some((other) => other.name === field.name)) {
        // Of two columns of one name the object has the last.
        columns.push({ key: field.name, decode })
      }
    }
    this.columns = columns
    this.named = givesArrays ? undefined : undisguise(fields)
  }

  /** Changes the row in place, as long as it can keep its names. Throws `Inexact`, where such numbers are refused. */
  row(row: Record<string | number, unknown>): unknown {
    for (const { decode, key } of this.columns) {
      const value = row[key]
      // Each decoder takes what mysql2 gives for its column type, which TypeScript cannot follow.
      if (value !== null) row[key] = decode(value as never)
    }
    return this.named === undefined ? row : this.named(row)
  }

  /** Changes the rows in place, as long as they can keep their names. */
  rows(rows: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    if (this.named !== undefined) return rows.map((row) => this.row(row as Record<string, unknown>))
    if (this.columns.length > 0) {
      // Arrays or objects, as mysql2 was told to give.
      for (const row of rows) this.row(row as Record<string | number, unknown>)
    }
    return rows
  }
}

/** No character takes more bytes in UTF-8, counted by JavaScript's units. */
const bytesPerUnit = 3
/** What surrounds a value in a packet, at most. */
const overhead = 16

/** The part of a value that may have any length; JSON is text within a value of mysql2's. */
const contentOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "value" in value ? value.value : value

const bytesOf = (value: unknown, isExact: boolean): number => {
  const content = contentOf(value)
  return overhead + (typeof content === "string"
    ? isExact ? Buffer.byteLength(content) : content.length * bytesPerUnit
    : Buffer.isBuffer(content)
    ? content.byteLength
    : 0)
}

/**
 * Whether a statement is larger than the server takes. It would hang up, and nothing would say what became of the
 * statement. The parameters are those that `encode` gives.
 */
export const exceeds = (text: string, params: ReadonlyArray<unknown>, limit: number): boolean => {
  // The text and the parameters travel apart.
  const size = (isExact: boolean): number => {
    let total = 0
    for (let i = 0; i < params.length; i++) total += bytesOf(params[i], isExact)
    return Math.max(total, bytesOf(text, isExact))
  }
  // Counting the bytes of a text is slow, and nearly never needed.
  return size(false) > limit && size(true) > limit
}
