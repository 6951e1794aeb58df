/**
 * The words of T-SQL.
 *
 * Exports: `tokenize`, `Token`.
 */
import { TsqlError } from "../types.js"

export type TokenKind = "word" | "name" | "variable" | "string" | "nstring" | "number" | "binary" | "symbol" | "end"

export interface Token {
  readonly kind: TokenKind
  /** As written; of quoted names and strings what stands between the quotes. */
  readonly text: string
  /** In upper case, of words alone. */
  readonly upper: string
  readonly line: number
  /** Where it begins and ends in the text. */
  readonly start: number
  readonly end: number
}

const symbols = ["<>", "<=", ">=", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "::"]
const wordStart = /[\p{L}_#]/u
const wordPart = /[\p{L}\p{N}_#$@]/u

/** The tokens of a batch. An unclosed quote or comment is an error, as on the server. */
export const tokenize = (text: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let at = 0
  let line = 1
  const push = (kind: TokenKind, value: string, start: number, from = line): void => {
    tokens.push({ kind, text: value, upper: kind === "word" ? value.toUpperCase() : "", line: from, start, end: at })
  }
  const quoted = (close: string): string => {
    const begin = line
    at++
    let value = ""
    for (;;) {
      const char = text[at]
      if (char === undefined) {
        throw new TsqlError(105, `Unclosed quotation mark after the character string '${value}'.`, 15, 1, begin)
      }
      if (char === "\n") line++
      at++
      if (char === close) {
        if (text[at] !== close) return value
        at++
      }
      value += char
    }
  }
  while (at < text.length) {
    const start = at
    const char = text[at]!
    if (char === "\n") {
      line++
      at++
    } else if (/\s/.test(char)) {
      at++
    } else if (text.startsWith("--", at)) {
      while (at < text.length && text[at] !== "\n") at++
    } else if (text.startsWith("/*", at)) {
      const begin = line
      let depth = 0
      do {
        if (at >= text.length) throw new TsqlError(113, "Missing end comment mark '*/'.", 15, 1, begin)
        if (text.startsWith("/*", at)) {
          depth++
          at += 2
        } else if (text.startsWith("*/", at)) {
          depth--
          at += 2
        } else {
          if (text[at] === "\n") line++
          at++
        }
      } while (depth > 0)
    } else if (char === "'") {
      const from = line
      push("string", quoted("'"), start, from)
    } else if ((char === "N" || char === "n") && text[at + 1] === "'") {
      const from = line
      at++
      push("nstring", quoted("'"), start, from)
    } else if (char === "[") {
      const from = line
      push("name", quoted("]"), start, from)
    } else if (char === "\"") {
      const from = line
      push("name", quoted("\""), start, from)
    } else if (char === "@") {
      at++
      while (at < text.length && (wordPart.test(text[at]!) || text[at] === "@")) at++
      push("variable", text.slice(start, at), start)
    } else if (/^0x/i.test(text.slice(at, at + 2))) {
      at += 2
      while (at < text.length && /[0-9a-f]/i.test(text[at]!)) at++
      push("binary", text.slice(start + 2, at), start)
    } else if (/\d/.test(char) || (char === "." && /\d/.test(text[at + 1] ?? ""))) {
      while (at < text.length && /\d/.test(text[at]!)) at++
      if (text[at] === ".") {
        at++
        while (at < text.length && /\d/.test(text[at]!)) at++
      }
      const exponent = /^e[+-]?\d+/i.exec(text.slice(at, at + 8))
      if (exponent !== null) at += exponent[0].length
      push("number", text.slice(start, at), start)
    } else if (wordStart.test(char)) {
      while (at < text.length && wordPart.test(text[at]!)) at++
      push("word", text.slice(start, at), start)
    } else {
      const two = symbols.find((symbol) => text.startsWith(symbol, at))
      at += two === undefined ? 1 : 2
      const value = two ?? char
      if (two === undefined && !"()+-*/%=<>,.;&|^~".includes(value)) {
        throw new TsqlError(102, `Incorrect syntax near '${value}'.`, 15, 1, line)
      }
      push("symbol", value, start)
    }
  }
  push("end", "", at)
  return tokens
}
