/**
 * The one lexer of SQL: it cuts a text into tokens by the table of its dialect. Everything that reads SQL stands on it.
 */
import type { Syntax } from "./Syntax.js"

/** What a token is. `sign` is any other character. */
export type Kind =
  | "space"
  | "comment"
  | "word"
  | "number"
  | "string"
  | "name"
  | "parameter"
  | "delimiter"
  | "sign"

const LF = 10
const CR = 13
const backslash = 92

/** 0 to 9. */
export const isDigit = (code: number): boolean => code >= 48 && code <= 57

const isLetter = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || code > 127

/** What a word goes on with in every dialect. */
export const isWordPart = (code: number): boolean => isLetter(code) || isDigit(code) || code === 36

const isWhite = (code: number): boolean => code === 32 || (code >= 9 && code <= 13) || code === 0xfeff

const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y

/** Code for the servers that know its mark. */
const executable = /\/\*M?!/y
/** The mark of mariadb-dump's sandbox is for its client, and no code for any server. */
const sandbox = "/*M!999999\\-"

const matchesAt = (pattern: RegExp, text: string, at: number): boolean => {
  pattern.lastIndex = at
  return pattern.test(text)
}

/**
 * Moves over a text token by token. The tokens cover the text without a gap. What is never closed is a token up to the end, with
 * {@link isOpen}.
 *
 * A text may be given in pieces: with {@link isFinal} off, {@link next} stops where a token depends on what is not there yet. A string,
 * a quoted name or a block comment is then given in pieces, too, each but the last with {@link isOpen}.
 */
export class Lexer {
  kind: Kind = "space"
  start = 0
  /** The end of the token, and where the next one begins. */
  at = 0
  /** The token is not closed. */
  isOpen = false
  /** The token is a further piece of the last one. */
  isRest = false
  /** Whether the string or quoted name holds a backslash that does not escape. */
  hasBackslash = false
  /** Whether white space has held a line end. */
  hasLineEnd = false
  delimiter = ";"

  private close = 0
  private escapes = false
  private doubles = true
  private depth = 0
  private tag = ""
  /** PostgreSQL: a string with the prefix E goes on with a quote in one of the next lines. */
  private continues: "no" | "behind" | "line" = "no"

  constructor(public syntax: Syntax, public text = "", public isFinal = true) {}

  /** Moves to the next token. `false` at the end, and where more has to be seen. */
  next(): boolean {
    const { at, text } = this
    this.isRest = this.isOpen
    this.start = at
    if (at >= text.length) {
      return false
    }
    if (this.isOpen) {
      return this.inside(at)
    }
    const code = text.charCodeAt(at)
    if (isWhite(code) || (code === 0xa0 && this.syntax.file)) {
      return this.space(at)
    }
    if (code === this.delimiter.charCodeAt(0)) {
      if (!this.sees(this.delimiter.length - 1)) {
        return false
      }
      if (text.startsWith(this.delimiter, at)) {
        return this.end("delimiter", at + this.delimiter.length)
      }
    }
    return isLetter(code) ? this.word(at) : isDigit(code) ? this.run("number", at + 1) : this.other(at, code)
  }

  /** Moves to the next token that is neither white space nor a comment. */
  nextCode(): boolean {
    while (this.next()) {
      if (this.kind !== "space" && this.kind !== "comment") {
        return true
      }
    }
    return false
  }

  /** The text of the token. */
  get token(): string {
    return this.text.slice(this.start, this.at)
  }

  /** Gives the token back: the next one begins where it began. */
  back(): void {
    this.at = this.start
  }

  /** Whether `count` characters behind the current one can be seen; at the end of the text always. */
  private sees(count: number): boolean {
    return this.isFinal || this.at + count < this.text.length
  }

  private end(kind: Kind, at: number): boolean {
    this.kind = kind
    this.at = at
    if (kind !== "comment" || this.text.charCodeAt(this.start) !== 45) {
      this.continues = "no"
    }
    return true
  }

  private space(from: number): boolean {
    const { syntax, text } = this
    let at = from
    this.hasLineEnd = false
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === LF || code === CR) this.hasLineEnd = true
      else if (!isWhite(code) && !(code === 0xa0 && syntax.file)) break
    }
    if (this.hasLineEnd && this.continues === "behind") this.continues = "line"
    this.kind = "space"
    this.at = at
    return true
  }

  /** Goes on over what words consist of. */
  private run(kind: Kind, from: number): boolean {
    const { text } = this
    const { signedWords: hasSignedWords } = this.syntax
    // A delimiter of one's own may be written right behind a word, and with characters of words: `END$$`.
    const custom = this.delimiter === ";" ? undefined : this.delimiter
    let at = from
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (!isWordPart(code) && !(hasSignedWords && (code === 64 || code === 35))) break
      if (custom !== undefined && text.startsWith(custom, at)) break
    }
    return (at < text.length || this.isFinal) && this.end(kind, at)
  }

  private word(at: number): boolean {
    const { syntax, text } = this
    const next = text.charCodeAt(at + 1)
    if (next === 39) {
      const isEscape = syntax.backslash === "prefixed" && (text.charCodeAt(at) | 32) === 101
      if (isEscape || syntax.prefixes.includes(text[at]!)) {
        return this.quoted("string", at + 2, 39, isEscape || syntax.backslash === "always")
      }
    }
    return this.run("word", at + 1)
  }

  private other(at: number, code: number): boolean {
    const { syntax, text } = this
    switch (code) {
      case 39: // '
        return this.quoted("string", at + 1, 39, syntax.backslash === "always" || this.continues === "line")
      case 34: // "
        return syntax.doubleQuotedStrings
          ? this.quoted("string", at + 1, 34, syntax.backslash === "always")
          : this.quoted("name", at + 1, 34, false)
      case 96: // `
        return syntax.backticks ? this.quoted("name", at + 1, 96, false) : this.end("sign", at + 1)
      case 91: // [
        return syntax.brackets === "none"
          ? this.end("sign", at + 1)
          : this.quoted("name", at + 1, 93, false, syntax.brackets === "doubled")
      case 45: // -
        return this.dash(at)
      case 35: // #
        return syntax.mysql
          ? this.lineComment(at)
          : syntax.signedWords
          ? this.run("word", at + 1)
          : this.end("sign", at + 1)
      case 64: // @
        return syntax.signedWords ? this.run("word", at + 1) : this.end("sign", at + 1)
      case 47: // /
        return this.slash(at)
      case 42: // *
        if (!syntax.mysql || !syntax.file) return this.end("sign", at + 1)
        // The end of a comment that holds code.
        return this.sees(1) && (text.charCodeAt(at + 1) === 47 ? this.end("comment", at + 2) : this.end("sign", at + 1))
      case 36: // $
        return this.dollar(at)
      case 63: // ?
        return syntax.parameters.includes("?") ? this.question(at) : this.end("sign", at + 1)
      default:
        return this.end("sign", at + 1)
    }
  }

  private question(from: number): boolean {
    const { text } = this
    let at = from + 1
    if (this.syntax.parameters === "$?") {
      while (isDigit(text.charCodeAt(at))) at++
      if (at >= text.length && !this.isFinal) return false
    }
    return this.end("parameter", at)
  }

  private dash(at: number): boolean {
    if (!this.sees(2)) {
      return false
    }
    const { syntax, text } = this
    // MySQL takes 5--3 for 5 - -3.
    return text.charCodeAt(at + 1) === 45 && !(syntax.mysql && text.charCodeAt(at + 2) > 32)
      ? this.lineComment(at)
      : this.end("sign", at + 1)
  }

  private slash(at: number): boolean {
    const { syntax, text } = this
    if (!this.sees(1)) {
      return false
    }
    if (text.charCodeAt(at + 1) !== 42) {
      return this.end("sign", at + 1)
    }
    if (syntax.mysql && syntax.file) {
      if (!this.sees(sandbox.length - 1)) {
        return false
      }
      if (matchesAt(executable, text, at) && !text.startsWith(sandbox, at)) {
        return this.end("comment", at + 3)
      }
    }
    this.depth = 1
    this.end("comment", at + 2)
    this.isOpen = true
    return this.inside(at + 2) || this.isOpen
  }

  private lineComment(at: number): boolean {
    const { isFinal, syntax, text } = this
    let end = at
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end)
      if (code === LF || (code === CR && (syntax.returnEndsLine || syntax.file))) break
    }
    return (end < text.length || isFinal) && this.end("comment", end)
  }

  private dollar(at: number): boolean {
    const { syntax, text } = this
    if (!syntax.parameters.includes("$")) {
      return this.end("sign", at + 1)
    }
    dollarTag.lastIndex = at
    const tag = syntax.dollarQuotes ? dollarTag.exec(text)?.[0] : undefined
    if (tag === undefined) {
      return this.run("parameter", at + 1)
    }
    this.end("string", at + tag.length)
    this.tag = tag
    this.hasBackslash = false
    this.isOpen = true
    return this.inside(this.at) || this.isOpen
  }

  private quoted(kind: Kind, from: number, close: number, escapes: boolean, doubles = true): boolean {
    this.end(kind, from)
    this.close = close
    this.escapes = escapes
    this.doubles = doubles
    this.hasBackslash = false
    this.isOpen = true
    return this.inside(from) || this.isOpen
  }

  /** Goes on in what is open. `false` where nothing of it can be told yet. */
  private inside(from: number): boolean {
    if (this.kind === "comment") {
      this.insideComment(from)
    } else if (this.tag !== "") {
      this.insideDollars(from)
    } else {
      this.insideQuotes(from)
    }
    return this.at > from || !this.isOpen
  }

  private insideQuotes(from: number): void {
    const { close, doubles, escapes, isFinal, text } = this
    let at = from
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === close) {
        if (doubles && at + 1 >= text.length && !isFinal) break
        if (!doubles || text.charCodeAt(at + 1) !== close) {
          this.at = at + 1
          this.isOpen = false
          if (escapes && this.syntax.backslash === "prefixed") this.continues = "behind"
          return
        }
        at++
      } else if (code === backslash) {
        if (escapes) {
          if (at + 1 >= text.length && !isFinal) break
          at++
        } else {
          this.hasBackslash = true
        }
      }
    }
    this.at = Math.min(at, text.length)
  }

  private insideDollars(from: number): void {
    const { tag, text } = this
    const found = text.indexOf(tag, from)
    if (found < 0) {
      // The tag may be cut: what could be its beginning stays.
      this.at = this.isFinal ? text.length : Math.max(from, text.length - tag.length + 1)
      return
    }
    this.at = found + tag.length
    this.tag = ""
    this.isOpen = false
  }

  private insideComment(from: number): void {
    const { isFinal, text } = this
    const nests = this.syntax.nestedComments
    let at = from
    for (; at + 1 < text.length; at++) {
      const code = text.charCodeAt(at)
      const next = text.charCodeAt(at + 1)
      if (code === 42 && next === 47) {
        at++
        this.depth--
        if (this.depth === 0) {
          this.at = at + 1
          this.isOpen = false
          return
        }
      } else if (nests && code === 47 && next === 42) {
        at++
        this.depth++
      }
    }
    this.at = isFinal ? text.length : Math.min(at, text.length)
  }
}
