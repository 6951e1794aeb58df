/**
 * Values of columns in the forms that databases give them, and the texts that are written. `None`: a form that no database gives.
 */
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

const digits = /^-?\d+$/

export const toBigInt = (value: bigint | number | string): Option.Option<bigint> =>
  typeof value === "bigint" || (typeof value === "number" ? Number.isSafeInteger(value) : digits.test(value))
    ? Option.some(BigInt(value))
    : Option.none()

export const toSafe = (value: bigint | number | string): Option.Option<number> =>
  Option.filter(Option.map(toBigInt(value), Number), Number.isSafeInteger)

/** More than any database keeps; without a limit a few characters of input, `1e999999999`, would become a text of as many. */
const mostZeros = 200_000

/** The text of a number without an exponent, which not every database reads; `None` where it would be too long. */
export const decimalText = (decimal: BigDecimal.BigDecimal): Option.Option<string> => {
  const { scale, value } = BigDecimal.normalize(decimal)
  if (Math.abs(scale) > mostZeros) {
    return Option.none()
  }
  const sign = value < 0n ? "-" : ""
  const all = `${value < 0n ? -value : value}${"0".repeat(Math.max(0, -scale))}`
  if (scale <= 0) {
    return Option.some(sign + all)
  }
  const padded = all.padStart(scale + 1, "0")
  return Option.some(`${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`)
}

export const toDecimal = (value: bigint | number | string): Option.Option<BigDecimal.BigDecimal> =>
  Option.map(
    typeof value === "bigint"
      ? Option.some(BigDecimal.fromBigInt(value))
      : typeof value === "number"
      ? BigDecimal.safeFromNumber(value)
      : value.trim() === ""
      ? Option.none()
      : BigDecimal.fromString(value),
    BigDecimal.normalize
  )

export const toBoolean = (value: boolean | bigint | number | Uint8Array): Option.Option<boolean> => {
  // A BIT(1) of MySQL is a byte.
  const single = value instanceof Uint8Array ? value.length === 1 ? value[0] : undefined : value
  return single === true || single === 1 || single === 1n
    ? Option.some(true)
    : single === false || single === 0 || single === 0n
    ? Option.some(false)
    : Option.none()
}

/** A date, or date and time, as SQL and ISO 8601 write it; without an offset it is in UTC. */
const moment = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.]\d+)?)?) ?(?:Z|([+-]\d\d)(?::?(\d\d))?)?)?$/i

export const toDateTime = (value: Date | string): Option.Option<DateTime.Utc> => {
  if (typeof value !== "string") {
    return DateTime.make(value)
  }
  const [, day, time = "00:00", hours, minutes = "00"] = moment.exec(value) ?? []
  // JavaScript reads the 30th of February as the 2nd of March.
  return day === undefined || new Date(`${day}T00:00Z`).getUTCDate() !== Number(day.slice(-2))
    ? Option.none()
    : DateTime.make(`${day}T${time}${hours === undefined ? "Z" : `${hours}:${minutes}`}`)
}

/** What JSON has for an object or an array: a moment is a text there, and bytes are none of both. */
const isDocument = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !(value instanceof Date) && !ArrayBuffer.isView(value)

/** A document that was read already, or is read from its text. */
export const toDocument = (value: unknown): Option.Option<object> => {
  let document = value
  if (typeof value === "string") {
    try {
      document = JSON.parse(value)
    } catch {
      return Option.none()
    }
  }
  return isDocument(document) ? Option.some(document) : Option.none()
}

/** The text of an object or an array; `None` of anything else, and of what JSON cannot hold. */
export const documentText = (value: unknown): Option.Option<string> => {
  if (!isDocument(value)) {
    return Option.none()
  }
  try {
    // By its `toJSON`, an object may make of itself what is no document.
    const text: string | undefined = JSON.stringify(value)
    return text?.startsWith("{") === true || text?.startsWith("[") === true ? Option.some(text) : Option.none()
  } catch {
    // A circle, or a bigint.
    return Option.none()
  }
}
