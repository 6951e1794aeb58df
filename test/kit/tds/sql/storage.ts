/**
 * Values as SQLite holds them. SQLite's text is UTF-8, which has no place for half a surrogate pair: such a half is
 * kept as a private character of plane 16, and comes back as it was.
 *
 * Exports: `toSqlite`, `fromSqlite`.
 */
import { unsupported, type Value } from "../types.js"

const base = 0x10d800 - 0xd800

const isWellFormed = (text: string): boolean =>
  !/[\ud800-\udfff]/.test(text) || !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)

const privateHalf = /[\u{10d800}-\u{10dfff}]/u

const encodeText = (text: string): string => {
  if (privateHalf.test(text)) throw unsupported("characters from U+10D800 to U+10DFFF")
  if (isWellFormed(text)) return text
  let out = ""
  for (const char of text) {
    const code = char.codePointAt(0)!
    out += code >= 0xd800 && code <= 0xdfff ? String.fromCodePoint(base + code) : char
  }
  return out
}

const decodeText = (text: string): string =>
  privateHalf.test(text)
    ? text.replaceAll(/[\u{10d800}-\u{10dfff}]/gu, (char) => String.fromCharCode(char.codePointAt(0)! - base))
    : text

/** The parameters of a statement. */
export const toSqlite = (parameters: Readonly<Record<string, Value>>): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(parameters)) {
    out[name] = typeof value === "string" ? encodeText(value) : value
  }
  return out
}

/** A value of a row. */
export const fromSqlite = (value: unknown): Value => {
  switch (typeof value) {
    case "bigint":
    case "number":
      return value
    case "string":
      return decodeText(value)
    default:
      if (value === null || value === undefined) return null
      if (Buffer.isBuffer(value)) return value
      throw new Error(`test server fault: SQLite gave a ${typeof value}`)
  }
}
