/**
 * A place in a batch's tokens, with what every part of the parser asks of it.
 *
 * Exports: `Cursor`.
 */
import { makeType, type SqlType, TsqlError } from "../types.js"
import type { ObjectName } from "./ast.js"
import type { Token } from "./lexer.js"

/** Words that cannot be a name or an alias unless they are quoted. */
const reserved = new Set(
  `ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BY CASCADE CASE CHECK CLOSE COMMIT CONSTRAINT
  CONTINUE CONVERT CREATE CROSS CURRENT CURRENT_TIMESTAMP DATABASE DECLARE DEFAULT DELETE DENY DESC DISTINCT DROP ELSE
  END ESCAPE EXCEPT EXEC EXECUTE EXISTS FETCH FOR FOREIGN FROM FULL FUNCTION GRANT GROUP HAVING IDENTITY IF IN INDEX
  INNER INSERT INTERSECT INTO IS JOIN KEY KILL LEFT LIKE MERGE NOT NULL NULLIF OF OFF ON OPEN OPTION OR ORDER OUTER OVER
  PRIMARY PRINT PROCEDURE RAISERROR REFERENCES RETURN REVOKE RIGHT ROLLBACK SAVE SELECT SET SOME TABLE THEN TO TOP TRAN
  TRANSACTION TRIGGER TRUNCATE UNION UNIQUE UPDATE USE USER VALUES VIEW WAITFOR WHEN WHERE WHILE WITH`.split(/\s+/)
)

export class Cursor {
  private at = 0
  constructor(readonly tokens: ReadonlyArray<Token>, readonly text: string) {}

  get token(): Token {
    return this.tokens[this.at]!
  }

  get line(): number {
    return this.token.line
  }

  peek(ahead = 1): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]!
  }

  next(): Token {
    const token = this.token
    if (token.kind !== "end") this.at++
    return token
  }

  /** The text between two tokens. */
  textFrom(start: Token): string {
    return this.text.slice(start.start, this.tokens[this.at - 1]!.end)
  }

  fail(): TsqlError {
    const token = this.token
    return token.kind === "word" && reserved.has(token.upper)
      ? new TsqlError(156, `Incorrect syntax near the keyword '${token.text}'.`, 15, 1, token.line)
      : new TsqlError(102, `Incorrect syntax near '${token.text}'.`, 15, 1, token.line)
  }

  isWord(...words: ReadonlyArray<string>): boolean {
    return this.token.kind === "word" && words.includes(this.token.upper)
  }

  isSymbol(...texts: ReadonlyArray<string>): boolean {
    return this.token.kind === "symbol" && texts.includes(this.token.text)
  }

  /** Takes the word when it stands here. */
  word(word: string): boolean {
    if (!this.isWord(word)) return false
    this.at++
    return true
  }

  /** Takes the words when all of them stand here. */
  words(...words: ReadonlyArray<string>): boolean {
    for (let i = 0; i < words.length; i++) {
      const token = this.peek(i)
      if (token.kind !== "word" || token.upper !== words[i]) return false
    }
    this.at += words.length
    return true
  }

  symbol(text: string): boolean {
    if (!this.isSymbol(text)) return false
    this.at++
    return true
  }

  expectWord(word: string): void {
    if (!this.word(word)) throw this.fail()
  }

  expectSymbol(text: string): void {
    if (!this.symbol(text)) throw this.fail()
  }

  get isName(): boolean {
    return this.token.kind === "name" || (this.token.kind === "word" && !reserved.has(this.token.upper))
  }

  name(): string {
    if (!this.isName) throw this.fail()
    return this.next().text
  }

  variable(): string {
    if (this.token.kind !== "variable" || this.token.text.startsWith("@@")) throw this.fail()
    return this.next().text.toLowerCase()
  }

  integer(): bigint {
    const negative = this.symbol("-")
    if (this.token.kind !== "number" || !/^\d+$/.test(this.token.text)) throw this.fail()
    const value = BigInt(this.next().text)
    return negative ? -value : value
  }

  objectName(): ObjectName {
    const line = this.line
    const parts = [this.name()]
    while (this.symbol(".")) {
      // `db..table` leaves the schema out.
      parts.push(this.isSymbol(".") ? "" : this.name())
    }
    if (parts.length > 2) {
      throw new TsqlError(49_000, `the test server does not know names of ${parts.length} parts`, 16, 1, line)
    }
    const schema = parts.length === 2 ? parts[0] : undefined
    return { schema: schema === "" ? undefined : schema, name: parts[parts.length - 1]!, line }
  }

  /** `(a, b, c)` */
  nameList(): ReadonlyArray<string> {
    this.expectSymbol("(")
    const names: Array<string> = []
    do {
      names.push(this.name())
      if (!this.word("ASC")) this.word("DESC")
    } while (this.symbol(","))
    this.expectSymbol(")")
    return names
  }

  type(declared: boolean): SqlType {
    const line = this.line
    let name = this.name()
    if (name.toLowerCase() === "double" && this.word("PRECISION")) name = "double precision"
    const args: Array<number> = []
    if (this.symbol("(")) {
      do {
        args.push(this.word("MAX") ? -1 : Number(this.integer()))
      } while (this.symbol(","))
      this.expectSymbol(")")
    }
    return makeType(name, args, declared, line)
  }
}
