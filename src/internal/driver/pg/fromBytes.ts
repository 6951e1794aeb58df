/**
 * Values straight from the bytes of a row, where that gives the same as their text would.
 */
import { textOf } from "./dataRow.js"
import type { Decode } from "./values.js"
import { asBoolean, asNumber, asText } from "./values.js"

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
