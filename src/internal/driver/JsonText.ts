/**
 * JSON with numbers that a double cannot hold: `JSON.parse` would round them, `JSON.stringify` fails for them.
 */
import { randomUUID } from "node:crypto"
import type { JsonNumbers } from "../../DbConfig.js"
import { JsonNumber } from "./JsonNumber.js"

/** A number that is not to be rounded. Its message fits behind "a value of the answer is". */
export class Inexact extends Error {
  constructor() {
    super("JSON with a number that a double cannot hold, which jsonNumbers: \"refuse\" does not let through")
  }
}

/** So many digits are in every double. */
const safeDigits = 15

const isDigit = (code: number): boolean => code >= 48 && code <= 57
const isDigitOrPoint = (code: number): boolean => code === 46 || isDigit(code)
const isExponent = (code: number): boolean => (code | 32) === 101
const isSign = (code: number): boolean => code === 43 || code === 45

/** Whether a number may stand behind this character: not within a string, save one that looks the same. */
const precedesNumber = (code: number): boolean =>
  // What is before the beginning is not a number.
  code !== code || code <= 32 || isSign(code) || isExponent(code) || code === 44 || code === 58 || code === 91

/**
 * Whether a text may hold a number with more digits than a double has. Only each 16th character is looked at: a longer run of digits
 * has one of them.
 */
const mayBeLong = (text: string): boolean => {
  for (let at = safeDigits; at < text.length; at += safeDigits + 1) {
    if (!isDigitOrPoint(text.charCodeAt(at))) continue
    let first = at
    while (isDigitOrPoint(text.charCodeAt(first - 1))) first--
    let last = at
    while (isDigitOrPoint(text.charCodeAt(last + 1))) last++
    if (last - first >= safeDigits && precedesNumber(text.charCodeAt(first - 1))) return true
    at += (last - at) - (last - at) % (safeDigits + 1)
  }
  return false
}

/** An exponent of three digits, with which a double becomes infinite, or 0, or loses digits. */
const scaled = /\d[eE][-+]?\d{3}/

/** A number as its significant digits and the power of ten behind them: equal for equal numbers. */
const canonical = (number: string): string => {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.replace(/^-/, "").split(".")
  const digits = (whole + fraction).replace(/^0+/, "")
  const significant = digits.replace(/0+$/, "")
  if (significant === "") return "0"
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length)
  return `${number.startsWith("-") ? "-" : ""}${significant}e${power}`
}

/** Whether the double that is nearest is written as the same number. */
const isExact = (digits: string): boolean => {
  const double = Number(digits)
  return Number.isFinite(double) && canonical(digits) === canonical(String(double))
}

/** The place behind the string that begins here. */
const afterString = (text: string, at: number): number => {
  for (let end = text.indexOf("\"", at + 1); end !== -1; end = text.indexOf("\"", end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === 92) slashes++
    if (slashes % 2 === 0) return end + 1
  }
  return text.length
}

const isOfNumber = (code: number): boolean => isDigitOrPoint(code) || isSign(code) || isExponent(code)

/** Replaces the numbers of a text that a double cannot hold; `undefined` where there are none. */
const replaced = (text: string, replace: (digits: string) => string): string | undefined => {
  let made = ""
  let copied = 0
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 34) {
      at = afterString(text, at)
    } else if (code === 45 || isDigit(code)) {
      let end = at + 1
      while (isOfNumber(text.charCodeAt(end))) end++
      const digits = text.slice(at, end)
      if (!isExact(digits)) {
        made += text.slice(copied, at) + replace(digits)
        copied = end
      }
      at = end
    } else {
      at++
    }
  }
  return copied === 0 ? undefined : made + text.slice(copied)
}

/** Ahead of what is no string in a text in which it has to be one. Not to be guessed, so no string of a database begins with it. */
const mark = `${randomUUID()}:`

/** What stands for such a number in the answer. */
const kept = (digits: string, numbers: JsonNumbers): unknown =>
  numbers === "bigint" && /^-?\d+$/.test(digits) ? BigInt(digits) : new JsonNumber(digits)

const isMarked = (item: unknown): item is string => typeof item === "string" && item.startsWith(mark)

/** Puts the numbers back, in place. `JSON.parse` with a function would call itself for each level, and run out of stack. */
const unmarked = (root: unknown, numbers: JsonNumbers): unknown => {
  if (isMarked(root)) return kept(root.slice(mark.length), numbers)
  if (typeof root !== "object" || root === null) return root
  // The keys of an array are its indexes. What JSON.parse makes has `__proto__` as a key of its own, where it is one.
  const left = [root as Record<string, unknown>]
  for (let within = left.pop(); within !== undefined; within = left.pop()) {
    for (const key of Object.keys(within)) {
      const item = within[key]
      if (isMarked(item)) within[key] = kept(item.slice(mark.length), numbers)
      else if (typeof item === "object" && item !== null) left.push(item as Record<string, unknown>)
    }
  }
  return root
}

/**
 * What `JSON.parse` makes of a text, but for numbers that a double cannot hold. Throws a `SyntaxError` as it does, and
 * {@link Inexact}.
 *
 * @param hasExponents `false` where the server writes no exponents (`jsonb`)
 */
export const parse = (text: string, numbers: JsonNumbers, hasExponents: boolean): unknown => {
  if (numbers === "number" || !(mayBeLong(text) || hasExponents && scaled.test(text))) return JSON.parse(text)
  // A text that is no JSON is told so by `JSON.parse`, before its parts are taken for numbers.
  const value: unknown = JSON.parse(text)
  const marked = replaced(text, (digits) => {
    if (numbers === "refuse") throw new Inexact()
    return `"${mark}${digits}"`
  })
  return marked === undefined ? value : unmarked(JSON.parse(marked), numbers)
}

/** Is shown each value of what becomes JSON; of a long number also its digits. */
interface Look {
  (item: unknown, digits?: string): void
}

/**
 * What `JSON.stringify` makes of a value, with every digit of the bigints and the {@link JsonNumber}s in it. Throws what it throws
 * for anything else.
 *
 * @param look is called with each value in it
 */
export const stringify = (value: unknown, look?: Look): string | undefined => {
  const { asked } = JsonNumber
  try {
    const text = JSON.stringify(
      value,
      look && ((_, item: unknown) => {
        look(item)
        return item
      })
    )
    if (JsonNumber.asked === asked) return text
  } catch (cause) {
    // A bigint is told from a cycle by what it is when it is looked at.
    if (!(cause instanceof TypeError)) throw cause
  }
  const text = JSON.stringify(value, function(this: Record<string, unknown>, key, item: unknown) {
    const given = this[key]
    const digits = given instanceof JsonNumber ? given.digits : typeof item === "bigint" ? item.toString() : undefined
    look?.(item, digits)
    return digits === undefined ? item : mark + digits
  }) as string | undefined
  return text?.replace(marks, "$1")
}

const marks = new RegExp(`"${mark}([^"]*)"`, "g")
