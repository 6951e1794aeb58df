/**
 * Splits a file of SQL into statements while it arrives, and says where each one stands. No more of the file is held
 * than the statement that is being read.
 *
 * @since 0.1.0
 */
import type { Dialect } from "@effect/sql/Statement"
import { CR, isDigit, isLetter, isWhite, isWordPart, LF, Scanner } from "./Scanner.js"
import type { Place, Statement } from "./Statement.js"
import { SplitFault } from "./Statement.js"
import { syntaxes, words as makeWords } from "./Syntax.js"
import type { Syntax, Words } from "./Syntax.js"

const enum Mode {
  Code,
  LineComment,
  BlockComment,
  Quoted,
  Dollar
}

/**
 * A file on its way through. Feed it with {@link Splitter.push}, in pieces cut anywhere, then call
 * {@link Splitter.end} once. Both throw a {@link SplitFault}.
 *
 * @since 0.1.0
 * @category models
 */
export class Splitter extends Scanner {
  private readonly syntax: Syntax
  /** Scanned text of the current statement that was cut from the buffer. */
  private parts: Array<string> = []
  private started = false
  /** Where the current statement's text begins in the buffer; 0 when some of it is in `parts`. */
  private start = 0
  private startPlace: Place = { line: 1, column: 1 }
  private words: Words
  private first = true
  private mode = Mode.Code
  private modePlace: Place = { line: 1, column: 1 }
  private depth = 0
  private quote = 0
  private escapes = false
  private tag = ""
  private delimiter = ";"
  /** Only white space so far on this line: where `GO`, `DELIMITER` and `\` commands may stand. */
  private lineIsBlank = true
  private afterDot = false
  /** PostgreSQL: an `E''` string that ended here goes on when the next line begins with a quote. */
  private continues: "no" | "quoted" | "line" = "no"
  private done: Array<Statement> = []
  /** Whether a statement was begun: directives stand before it. */
  private begun = false

  /**
   * @param dialect of the database that will run the statements
   * @param onComment receives each line comment's text (without `--`), with its place and whether a statement stood
   *   before it
   */
  constructor(
    dialect: Dialect,
    private readonly onComment: (text: string, place: Place, afterStatement: boolean) => void = () => {}
  ) {
    super()
    this.syntax = syntaxes[dialect]
    this.words = makeWords(this.syntax)
  }

  /** Scans a further piece and gives the statements that are complete with it. */
  push(chunk: string): ReadonlyArray<Statement> {
    if (chunk === "") {
      return []
    }
    if (this.first) {
      this.first = false
      if (chunk.charCodeAt(0) === 0xfeff) {
        chunk = chunk.slice(1)
      }
    }
    this.buffer = this.buffer === "" ? chunk : this.buffer + chunk
    return this.scan()
  }

  /** Scans the rest and gives the last statements. */
  end(): ReadonlyArray<Statement> {
    this.final = true
    const done = this.scan()
    if (
      this.mode === Mode.Quoted || this.mode === Mode.Dollar ||
      (this.mode === Mode.BlockComment && !this.endsComments())
    ) {
      const what = this.mode === Mode.BlockComment
        ? "comment"
        : this.mode === Mode.Dollar
        ? `string quoted by ${this.tag}`
        : this.quote === 39
        ? "string"
        : "quoted name"
      throw new SplitFault(
        `this ${what} is never closed`,
        this.modePlace.line,
        this.modePlace.column,
        `add the closing mark, or look at the quotes just before`
      )
    }
    if (this.started) {
      this.finish(this.buffer.length)
      const rest = this.done
      this.done = []
      return done.concat(rest)
    }
    return done
  }

  /** SQLite takes the end of the file for the end of a comment. */
  private endsComments() {
    return this.syntax.sqliteTriggers
  }

  private scan(): ReadonlyArray<Statement> {
    // Each step consumes some characters, or none when it needs to see more of the file first.
    while (this.at < this.buffer.length && this.step()) {
      // goes on
    }
    if (this.started) {
      this.parts.push(this.buffer.slice(this.start, this.at))
    }
    this.buffer = this.buffer.slice(this.at)
    this.at = 0
    this.start = 0
    if (this.final && this.started) {
      this.parts.push(this.buffer)
      this.buffer = ""
    }
    const done = this.done
    this.done = []
    return done
  }

  private step(): boolean {
    switch (this.mode) {
      case Mode.Code:
        return this.code()
      case Mode.LineComment:
        return this.lineComment()
      case Mode.BlockComment:
        return this.blockComment()
      case Mode.Quoted:
        return this.quoted()
      case Mode.Dollar:
        return this.dollar()
    }
  }

  private enter(mode: Mode, count: number) {
    this.mode = mode
    this.modePlace = this.place
    this.skip(count)
  }

  /** The current character belongs to a statement. */
  private touch() {
    this.lineIsBlank = false
    this.afterDot = false
    if (!this.started) {
      this.started = true
      this.begun = true
      this.start = this.at
      this.startPlace = this.place
    }
  }

  private finish(to: number, times = 1) {
    if (this.started) {
      const text = this.parts.join("") + this.buffer.slice(this.start, to)
      this.done.push({
        text: text.trimEnd(),
        line: this.startPlace.line,
        column: this.startPlace.column,
        words: this.words.first,
        times
      })
    }
    this.started = false
    this.parts = []
    this.words = makeWords(this.syntax)
    this.afterDot = false
    this.continues = "no"
  }

  private code(): boolean {
    const { buffer, syntax } = this
    const code = buffer.charCodeAt(this.at)
    if (isWhite(code)) {
      if (code === LF || code === CR) {
        this.lineIsBlank = true
        if (this.continues === "quoted") {
          this.continues = "line"
        }
      }
      this.skip(1)
      return true
    }
    if (syntax.semicolon && code === this.delimiter.charCodeAt(0)) {
      if (!this.sees(this.delimiter.length - 1)) {
        return false
      }
      if (buffer.startsWith(this.delimiter, this.at)) {
        return this.endMark()
      }
    }
    const next = buffer.charCodeAt(this.at + 1)
    switch (code) {
      case 45: // -
        if (!this.sees(2)) {
          return false
        }
        if (next === 45 && (!syntax.mysql || this.isSpaceOrEnd(this.at + 2))) {
          this.mode = Mode.LineComment
          return true
        }
        break
      case 35: // #
        if (syntax.mysql) {
          this.mode = Mode.LineComment
          return true
        }
        break
      case 47: // /
        if (!this.sees(11) && (next === 42 || !this.sees(3))) {
          return false
        }
        if (next === 42) {
          // The mark of mariadb-dump's sandbox is for its client, and no code for any server.
          const isSandbox = buffer.startsWith("/*M!999999\\-", this.at)
          if (syntax.mysql && !isSandbox && /^\/\*M?!/.test(buffer.slice(this.at, this.at + 4))) {
            // Code for the servers that know this mark; its end is skipped below.
            this.touch()
            this.skip(3)
            return true
          }
          this.depth = 1
          this.enter(Mode.BlockComment, 2)
          return true
        }
        break
      case 42: // *
        if (!this.sees(1)) {
          return false
        }
        if (syntax.mysql && next === 47) {
          this.skip(2)
          return true
        }
        break
      case 39: // '
        // A string that began with E goes on in the same way after a line end.
        this.escapes = syntax.backslash === "always" || this.continues === "line"
        return this.openQuote(39)
      case 34: // "
        this.escapes = syntax.backslash === "always"
        return this.openQuote(34)
      case 96: // `
        if (syntax.backticks) {
          this.escapes = false
          return this.openQuote(96)
        }
        break
      case 91: // [
        if (syntax.brackets) {
          this.escapes = false
          return this.openQuote(93)
        }
        break
      case 36: // $
        if (syntax.postgres) {
          return this.dollarSign()
        }
        break
      case 92: // \
        if (syntax.postgres) {
          const end = this.endOfLine(this.at)
          if (end < 0) {
            return false
          }
          // How pg_dump keeps psql from commands within the data: no statement, and nothing to be done.
          if (!this.started && this.lineIsBlank && /^\\(?:un)?restrict\s+\S+\s*$/.test(buffer.slice(this.at, end))) {
            this.skip(end - this.at)
            return true
          }
          throw new SplitFault(
            "a command of psql cannot be run by a migration",
            this.line,
            this.column,
            "remove the line that begins with a backslash, or run the file with psql"
          )
        }
        break
    }
    if (isLetter(code) || isDigit(code)) {
      return this.word()
    }
    this.touch()
    this.words.other(buffer[this.at]!)
    this.afterDot = code === 46
    this.continues = "no"
    this.skip(1)
    return true
  }

  private endMark(): boolean {
    // A delimiter of one's own ends whatever stands before it.
    if (this.delimiter === ";" && !this.words.semicolon()) {
      this.touch()
      this.skip(1)
      return true
    }
    const { first } = this.words
    if (
      this.syntax.postgres && first[0] === "COPY" &&
      first.some((word, i) => word === "FROM" && first[i + 1] === "STDIN")
    ) {
      throw new SplitFault(
        "COPY ... FROM stdin cannot be run by a migration: its rows are not SQL",
        this.startPlace.line,
        this.startPlace.column,
        "dump the rows as INSERT statements (pg_dump --rows-per-insert=1000), or load them with psql"
      )
    }
    this.finish(this.at)
    this.skip(this.delimiter.length)
    this.lineIsBlank = false
    return true
  }

  private openQuote(close: number): boolean {
    this.touch()
    this.words.other("'")
    this.quote = close
    this.enter(Mode.Quoted, 1)
    return true
  }

  private quoted(): boolean {
    const { buffer, escapes, quote } = this
    let i = this.at
    for (; i < buffer.length; i++) {
      const code = buffer.charCodeAt(i)
      if (code === quote) {
        if (i + 1 >= buffer.length && !this.final) {
          this.skip(i - this.at)
          return false
        }
        if (buffer.charCodeAt(i + 1) === quote) {
          i++
          continue
        }
        this.skip(i + 1 - this.at)
        this.mode = Mode.Code
        this.continues = quote === 39 && escapes && this.syntax.postgres ? "quoted" : "no"
        return true
      }
      if (escapes && code === 92) {
        if (i + 1 >= buffer.length && !this.final) {
          this.skip(i - this.at)
          return false
        }
        i++
      }
    }
    this.skip(buffer.length - this.at)
    return true
  }

  private dollarSign(): boolean {
    const match = /^\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?(\$?)/.exec(
      this.buffer.slice(this.at, this.at + 256)
    )!
    if (match[1] === "" && !this.sees(match[0].length)) {
      return false
    }
    this.touch()
    this.words.other("$")
    this.continues = "no"
    if (match[1] === "$") {
      this.tag = match[0]
      this.enter(Mode.Dollar, match[0].length)
    } else {
      this.skip(match[0].length)
    }
    return true
  }

  private dollar(): boolean {
    const { buffer, tag } = this
    const end = buffer.indexOf(tag, this.at)
    if (end >= 0) {
      this.skip(end + tag.length - this.at)
      this.mode = Mode.Code
      return true
    }
    // The tag may be cut: keep as much as could be its beginning.
    const keep = this.final ? 0 : tag.length - 1
    const count = buffer.length - keep - this.at
    if (count <= 0) {
      return false
    }
    this.skip(count)
    return true
  }

  private lineComment(): boolean {
    const { buffer } = this
    const end = this.endOfLine(this.at)
    if (end < 0) {
      return false
    }
    const marks = buffer.charCodeAt(this.at) === 35 ? 1 : 2
    this.onComment(buffer.slice(this.at + marks, end), this.place, this.begun)
    this.skip(end - this.at)
    this.mode = Mode.Code
    return true
  }

  private blockComment(): boolean {
    const { buffer } = this
    let i = this.at
    for (; i + 1 < buffer.length; i++) {
      const code = buffer.charCodeAt(i)
      const next = buffer.charCodeAt(i + 1)
      if (code === 42 && next === 47) {
        i++
        this.depth--
        if (this.depth === 0) {
          this.skip(i + 1 - this.at)
          this.mode = Mode.Code
          return true
        }
      } else if (this.syntax.nestedComments && code === 47 && next === 42) {
        i++
        this.depth++
      }
    }
    const count = this.final ? buffer.length - this.at : i - this.at
    this.skip(count)
    return count > 0
  }

  private word(): boolean {
    const { buffer } = this
    let end = this.at + 1
    // A delimiter of one's own may be written right behind a word, and with characters of words: `END$$`.
    const custom = this.delimiter === ";" ? undefined : this.delimiter
    while (
      end < buffer.length && isWordPart(buffer.charCodeAt(end)) &&
      (custom === undefined || !buffer.startsWith(custom, end))
    ) {
      end++
    }
    if (end >= buffer.length && !this.final) {
      return false
    }
    const text = buffer.slice(this.at, end)
    if (this.lineIsBlank && !this.syntax.semicolon && text.toUpperCase() === "GO") {
      const line = this.endOfLine(end)
      if (line < 0) {
        return false
      }
      const match = /^[^\S\r\n]*(\d+)?[^\S\r\n]*;?[^\S\r\n]*(?:--.*)?$/.exec(buffer.slice(end, line))
      if (match !== null) {
        this.finish(this.at, match[1] === undefined ? 1 : Number(match[1]))
        this.skip(line - this.at)
        return true
      }
    }
    if (this.lineIsBlank && this.syntax.mysql && !this.started && text.toUpperCase() === "DELIMITER") {
      const line = this.endOfLine(end)
      if (line < 0) {
        return false
      }
      const delimiter = buffer.slice(end, line).trim()
      if (delimiter === "") {
        throw new SplitFault("DELIMITER needs the text that ends statements", this.line, this.column)
      }
      this.delimiter = delimiter
      this.skip(line - this.at)
      return true
    }
    const { afterDot } = this
    this.touch()
    if (this.syntax.backslash === "prefixed" && (text === "E" || text === "e") && buffer.charCodeAt(end) === 39) {
      this.skip(1)
      this.escapes = true
      return this.openQuote(39)
    }
    this.continues = "no"
    if (isDigit(buffer.charCodeAt(this.at))) {
      this.words.other("0")
    } else {
      this.words.word(text, afterDot)
    }
    this.skip(end - this.at)
    return true
  }
}
