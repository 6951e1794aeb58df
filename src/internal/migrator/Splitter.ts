/**
 * Splits a file of SQL into statements while it arrives, and says where each one stands. No more of the file is held
 * than the statement that is being read.
 */
import type { Dialect } from "@effect/sql/Statement"
import { type Ending, endingOf } from "../sql/Ending.js"
import { Lexer } from "../sql/Lexer.js"
import { syntaxes } from "../sql/Syntax.js"
import { Position, SplitFault } from "./Statement.js"
import type { Place, Statement } from "./Statement.js"

/** What a SET gives to the session's `sql_mode` of MySQL: a literal, or a variable or DEFAULT. */
const sqlMode =
  /(?<![\w$@.'"]|\b(?:global|persist|persist_only)\s+)(?:@@(?:(?:session|local)\s*\.\s*)?)?`?sql_mode`?\s*:?=\s*(?:(['"])(.*?)\1|@|default\b)/gi

/** The first words of a statement that are told. */
const remembered = 16

const upTo = (text: string, pattern: RegExp, from: number): number => {
  pattern.lastIndex = from
  return pattern.exec(text)?.index ?? -1
}

/**
 * A file on its way through. Feed it with {@link Splitter.push}, in pieces cut anywhere, then call
 * {@link Splitter.end} once. Both throw a {@link SplitFault}.
 */
export class Splitter {
  private readonly lexer: Lexer
  /** Where `counted` characters of the lexer's text end in the file. */
  private readonly position = new Position()
  private counted = 0
  /** Text of the current statement that was cut from the lexer's. */
  private parts: Array<string> = []
  private hasStarted = false
  /** Where the current statement's text begins in the lexer's; 0 when some of it is in `parts`. */
  private start = 0
  private startPlace: Place = { line: 1, column: 1 }
  private words: Array<string> = []
  private ending: Ending
  private isFirst = true
  /** Where the token that is not closed began, and the mark that closes it where it is one of its own. */
  private open: Place & { readonly tag: string | undefined } = { line: 1, column: 1, tag: undefined }
  /** Only white space and comments so far on this line: where `GO`, `DELIMITER` and `\` commands may stand. */
  private isLineBlank = true
  private isAfterDot = false
  private done: Array<Statement> = []
  /** Whether a statement was begun: directives stand before it. */
  private hasBegun = false

  /**
   * @param dialect of the database that will run the statements
   * @param onComment receives each line comment's text (without `--`), with its place and whether a statement stood
   *   before it
   */
  constructor(
    private readonly dialect: Dialect,
    private readonly onComment: (text: string, place: Place, afterStatement: boolean) => void = () => {}
  ) {
    this.lexer = new Lexer({ ...syntaxes[dialect], file: true }, "", false)
    this.ending = endingOf(dialect)
  }

  /** Reads a further piece and gives the statements that are complete with it. */
  push(chunk: string): ReadonlyArray<Statement> {
    if (chunk === "") {
      return []
    }
    const { lexer } = this
    const piece = this.isFirst && chunk.charCodeAt(0) === 0xfeff ? chunk.slice(1) : chunk
    this.isFirst = false
    lexer.text = lexer.text === "" ? piece : lexer.text + piece
    return this.read()
  }

  /** Reads the rest and gives the last statements. */
  end(): ReadonlyArray<Statement> {
    const { dialect, lexer } = this
    lexer.isFinal = true
    const done = this.read()
    const { open } = this
    // SQLite takes the end of the file for the end of a comment.
    if (lexer.isOpen && !(lexer.kind === "comment" && dialect === "sqlite")) {
      const what = lexer.kind === "name" ? "quoted name" : lexer.kind
      throw new SplitFault(
        `this ${open.tag === undefined ? what : `${what} quoted by ${open.tag}`} is never closed`,
        open.line,
        open.column,
        "add the closing mark, or look at the quotes just before"
      )
    }
    if (!this.hasStarted) {
      return done
    }
    this.finish(lexer.text.length)
    return done.concat(this.taken())
  }

  private taken(): ReadonlyArray<Statement> {
    const { done } = this
    this.done = []
    return done
  }

  private read(): ReadonlyArray<Statement> {
    const { lexer } = this
    while (lexer.next()) {
      if (!this.token()) {
        // More of the file has to be seen first.
        lexer.back()
        break
      }
    }
    this.placeOf(lexer.at)
    if (this.hasStarted) {
      this.parts.push(lexer.text.slice(this.start, lexer.at))
    }
    lexer.text = lexer.text.slice(lexer.at)
    lexer.at = 0
    this.counted = 0
    this.start = 0
    return this.taken()
  }

  /** The place of an index in the lexer's text, not before the last one that was asked for. */
  private placeOf(index: number): Place {
    this.position.advance(this.lexer.text, this.counted, index)
    this.counted = index
    return this.position.place
  }

  private token(): boolean {
    const { lexer } = this
    if (lexer.isRest) {
      return true
    }
    switch (lexer.kind) {
      case "space":
        this.isLineBlank ||= lexer.hasLineEnd
        return true
      case "comment":
        return this.comment()
      case "delimiter":
        return this.dialect === "mssql" ? this.other() : this.endMark()
      case "word":
        return this.word()
      default:
        return this.other()
    }
  }

  /** The token belongs to a statement. */
  private touch(): void {
    this.isLineBlank = false
    this.isAfterDot = false
    if (!this.hasStarted) {
      this.hasStarted = true
      this.hasBegun = true
      this.start = this.lexer.start
      this.startPlace = this.placeOf(this.start)
    }
  }

  private finish(to: number, times = 1): void {
    if (this.hasStarted) {
      const text = this.parts.join("") + this.lexer.text.slice(this.start, to)
      if (this.dialect === "mysql" && this.words[0] === "SET" && this.words.includes("SQL_MODE")) this.follow(text)
      this.done.push({ text: text.trimEnd(), ...this.startPlace, words: this.words, times })
    }
    this.hasStarted = false
    this.parts = []
    this.words = []
    this.ending = endingOf(this.dialect)
    this.isAfterDot = false
  }

  /**
   * From a SET of `sql_mode` on a backslash escapes or not as the server takes it. A variable is taken for the mode in which the file
   * began: dumps save it there.
   */
  private follow(text: string): void {
    for (const [, , literal] of text.matchAll(sqlMode)) {
      const backslash = literal !== undefined && /\bNO_BACKSLASH_ESCAPES\b/i.test(literal) ? "never" : "always"
      this.lexer.syntax = { ...this.lexer.syntax, backslash }
    }
  }

  private opened(): void {
    const { lexer } = this
    if (lexer.isOpen) {
      this.open = { ...this.placeOf(lexer.start), tag: /^\$[^$]*\$/.exec(lexer.token)?.[0] }
    }
  }

  private comment(): boolean {
    const { lexer } = this
    this.opened()
    const mark = lexer.text.charCodeAt(lexer.start)
    if (mark === 45 || mark === 35) {
      this.onComment(lexer.token.slice(mark === 35 ? 1 : 2), this.placeOf(lexer.start), this.hasBegun)
    } else if (mark === 47 && lexer.at === lexer.start + 3 && !lexer.isOpen) {
      // Code for the servers that know this mark.
      this.touch()
    }
    return true
  }

  /** Anything but a word. */
  private other(): boolean {
    const { lexer } = this
    const sign = lexer.text[lexer.start]!
    if (sign === "\\" && this.dialect === "pg") {
      return this.psql()
    }
    this.opened()
    this.touch()
    this.ending.other(
      lexer.kind === "number" ? "0" : lexer.kind === "string" || lexer.kind === "name" ? "'" : sign
    )
    this.isAfterDot = sign === "."
    return true
  }

  /** A line that is a command of psql. */
  private psql(): boolean {
    const { lexer } = this
    const end = this.endOfLine()
    if (end < 0) {
      return false
    }
    // How pg_dump keeps psql from commands within the data: no statement, and nothing to be done.
    if (
      !this.hasStarted && this.isLineBlank && /^\\(?:un)?restrict\s+\S+\s*$/.test(lexer.text.slice(lexer.start, end))
    ) {
      lexer.at = end
      return true
    }
    throw this.fault(
      "a command of psql cannot be run by a migration",
      "remove the line that begins with a backslash, or run the file with psql"
    )
  }

  private fault(message: string, advice?: string): SplitFault {
    const { column, line } = this.placeOf(this.lexer.start)
    return new SplitFault(message, line, column, advice)
  }

  /** The index of the end of the token's line, or -1 when it cannot be seen yet. */
  private endOfLine(): number {
    const { lexer } = this
    const end = upTo(lexer.text, /[\r\n]/g, lexer.at)
    return end < 0 && lexer.isFinal ? lexer.text.length : end
  }

  private endMark(): boolean {
    const { lexer, words } = this
    // A delimiter of one's own ends whatever stands before it.
    if (lexer.delimiter === ";" && !this.ending.semicolon()) {
      this.touch()
      return true
    }
    if (
      this.dialect === "pg" && words[0] === "COPY" &&
      words.some((word, i) => word === "FROM" && words[i + 1] === "STDIN")
    ) {
      throw new SplitFault(
        "COPY ... FROM stdin cannot be run by a migration: its rows are not SQL",
        this.startPlace.line,
        this.startPlace.column,
        "dump the rows as INSERT statements (pg_dump --rows-per-insert=1000), or load them with psql"
      )
    }
    this.finish(lexer.start)
    this.isLineBlank = false
    return true
  }

  private word(): boolean {
    const { isAfterDot, lexer } = this
    const word = lexer.token.toUpperCase()
    if (this.isLineBlank) {
      const command = word === "GO" && this.dialect === "mssql"
        ? this.go()
        : word === "DELIMITER" && this.dialect === "mysql" && !this.hasStarted
        ? this.delimiter()
        : "none"
      if (command !== "none") {
        return command === "done"
      }
    }
    this.touch()
    if (this.words.length < remembered) {
      this.words.push(word)
    }
    this.ending.word(word, isAfterDot)
    return true
  }

  /** `GO`, perhaps with a count, ends the batch of a file for SQL Server. */
  private go(): "done" | "unseen" | "none" {
    const { lexer } = this
    const end = this.endOfLine()
    if (end < 0) {
      return "unseen"
    }
    const match = /^[^\S\r\n]*(\d+)?[^\S\r\n]*;?[^\S\r\n]*(?:--.*)?$/.exec(lexer.text.slice(lexer.at, end))
    if (match === null) {
      return "none"
    }
    this.finish(lexer.start, match[1] === undefined ? 1 : Number(match[1]))
    lexer.at = end
    return "done"
  }

  private delimiter(): "done" | "unseen" {
    const { lexer } = this
    const end = this.endOfLine()
    if (end < 0) {
      return "unseen"
    }
    const delimiter = lexer.text.slice(lexer.at, end).trim()
    if (delimiter === "") {
      throw this.fault("DELIMITER needs the text that ends statements")
    }
    lexer.delimiter = delimiter
    lexer.at = end
    return "done"
  }
}
