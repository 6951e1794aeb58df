/** The words of a batch, and a place among them, with what every part of the parser asks of it. */
import { makeType, type SqlType, TsqlError, unsupported } from "../types.js"

type TokenKind = "word" | "name" | "variable" | "string" | "nstring" | "number" | "binary" | "symbol" | "end"

interface Token {
  readonly kind: TokenKind
  /** As written; of quoted names and strings what stands between the quotes. */
  readonly text: string
  /** In upper case, of words alone. */
  readonly upper: string
  readonly line: number
  readonly start: number
  readonly end: number
}

/** A name with its schema, where one is given. */
export interface ObjectName {
  readonly schema: string | undefined
  readonly name: string
}

const pattern = new RegExp(
  [
    String.raw`(?<space>(?:\s|--[^\n]*)+)`,
    String.raw`(?<nstring>N'[^']*(?:''[^']*)*')`,
    String.raw`(?<string>'[^']*(?:''[^']*)*')`,
    String.raw`(?<name>\[[^\]]*(?:\]\][^\]]*)*\]|"[^"]*(?:""[^"]*)*")`,
    String.raw`(?<variable>@[\p{L}\p{N}_#$@]*)`,
    String.raw`(?<binary>0x[0-9a-f]*)`,
    String.raw`(?<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)`,
    String.raw`(?<word>[\p{L}_#][\p{L}\p{N}_#$@]*)`,
    String.raw`(?<symbol><>|<=|>=|!=|[()+\-*/%=<>,.;])`
  ].join("|"),
  "iuy"
)

/** Where a comment that begins here ends: comments nest. */
const commentEnd = (text: string, start: number): number => {
  const mark = /\/\*|\*\//g
  mark.lastIndex = start
  let depth = 0
  for (let match = mark.exec(text); match !== null; match = mark.exec(text)) {
    depth += match[0] === "/*" ? 1 : -1
    if (depth === 0) return mark.lastIndex
  }
  throw new TsqlError(113, "Missing end comment mark '*/'.", 15)
}

const unquoted: Readonly<Record<string, (text: string) => string>> = {
  string: (text) => text.slice(1, -1).replaceAll("''", "'"),
  nstring: (text) => text.slice(2, -1).replaceAll("''", "'"),
  name: (text) => text.slice(1, -1).replaceAll(text.endsWith("]") ? "]]" : "\"\"", text.slice(-1)),
  binary: (text) => text.slice(2)
}

const tokenize = (text: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let at = 0
  let line = 1
  while (at < text.length) {
    const start = at
    if (text.startsWith("/*", at)) at = commentEnd(text, at)
    else {
      pattern.lastIndex = at
      const groups = pattern.exec(text)?.groups
      if (groups === undefined) {
        throw "'\"[".includes(text[at]!)
          ? new TsqlError(105, "Unclosed quotation mark after the character string.", 15, 1, line)
          : new TsqlError(102, `Incorrect syntax near '${text[at]}'.`, 15, 1, line)
      }
      at = pattern.lastIndex
      const kind = Object.keys(groups).find((one) => groups[one] !== undefined)!
      const written = groups[kind]!
      if (kind !== "space") {
        tokens.push({
          // The groups of the pattern are the kinds of tokens.
          kind: kind as TokenKind,
          text: unquoted[kind]?.(written) ?? written,
          upper: kind === "word" ? written.toUpperCase() : "",
          line,
          start,
          end: at
        })
      }
    }
    for (let i = start; i < at; i++) if (text[i] === "\n") line++
  }
  tokens.push({ kind: "end", text: "", upper: "", line, start: at, end: at })
  return tokens
}

/** Words that cannot be a name or an alias unless they are quoted. */
const reserved = new Set(
  `ALL ALTER AND ANY AS ASC BEGIN BETWEEN BREAK BY CASCADE CASE CHECK COMMIT CONSTRAINT CONTINUE CONVERT CREATE CROSS
  CURRENT_TIMESTAMP DATABASE DECLARE DEFAULT DELETE DENY DESC DISTINCT DROP ELSE END ESCAPE EXEC EXECUTE EXISTS FETCH FOR
  FOREIGN FROM FULL GRANT GROUP HAVING IDENTITY IF IN INDEX INNER INSERT INTO IS JOIN KEY KILL LEFT LIKE MERGE NOT NULL
  NULLIF OFF ON OPTION OR ORDER OUTER OVER PRIMARY PRINT RAISERROR REFERENCES RETURN REVOKE RIGHT ROLLBACK SAVE SELECT SET
  TABLE THEN TO TOP TRAN TRANSACTION TRUNCATE UNION UNIQUE UPDATE USE USER VALUES WAITFOR WHEN WHERE WHILE WITH`.split(
    /\s+/
  )
)

export class Cursor {
  readonly #tokens: ReadonlyArray<Token>
  #at = 0
  constructor(readonly text: string) {
    this.#tokens = tokenize(text)
  }

  get token(): Token {
    return this.#tokens[this.#at]!
  }

  get isEnd(): boolean {
    return this.token.kind === "end"
  }

  peek(ahead = 1): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)]!
  }

  next(): Token {
    const token = this.token
    if (!this.isEnd) this.#at++
    return token
  }

  /** The text from a token to the one before this place. */
  textFrom(start: Token): string {
    return this.text.slice(start.start, this.#tokens[this.#at - 1]!.end)
  }

  fail(): TsqlError {
    const { kind, line, text, upper } = this.token
    return kind === "word" && reserved.has(upper)
      ? new TsqlError(156, `Incorrect syntax near the keyword '${text}'.`, 15, 1, line)
      : new TsqlError(102, `Incorrect syntax near '${text}'.`, 15, 1, line)
  }

  isWord(...words: ReadonlyArray<string>): boolean {
    return words.includes(this.token.upper)
  }

  isSymbol(...texts: ReadonlyArray<string>): boolean {
    return this.token.kind === "symbol" && texts.includes(this.token.text)
  }

  /** Takes the words when all of them stand here. */
  words(...words: ReadonlyArray<string>): boolean {
    if (!words.every((word, i) => this.peek(i).upper === word)) return false
    this.#at += words.length
    return true
  }

  symbol(text: string): boolean {
    if (!this.isSymbol(text)) return false
    this.#at++
    return true
  }

  expect(...words: ReadonlyArray<string>): void {
    if (!this.words(...words)) throw this.fail()
  }

  expectSymbol(text: string): void {
    if (!this.symbol(text)) throw this.fail()
  }

  /** `a, b, c` */
  list<A>(one: () => A): Array<A> {
    const all = [one()]
    while (this.symbol(",")) all.push(one())
    return all
  }

  /** What stands in parentheses. */
  inside<A>(body: () => A): A {
    this.expectSymbol("(")
    const value = body()
    this.expectSymbol(")")
    return value
  }

  get isName(): boolean {
    return this.token.kind === "name" || (this.token.kind === "word" && !reserved.has(this.token.upper))
  }

  name(): string {
    if (!this.isName) throw this.fail()
    return this.next().text
  }

  /** Without `@`, in lower case. */
  variable(): string {
    if (this.token.kind !== "variable" || this.token.text.startsWith("@@")) throw this.fail()
    return this.next().text.slice(1).toLowerCase()
  }

  integer(): bigint {
    const sign = this.symbol("-") ? "-" : ""
    if (this.token.kind !== "number" || !/^\d+$/.test(this.token.text)) throw this.fail()
    return BigInt(sign + this.next().text)
  }

  objectName(): ObjectName {
    const parts = [this.name()]
    while (this.symbol(".")) parts.push(this.name())
    if (parts.length > 2) throw unsupported(`names of ${parts.length} parts`)
    return { schema: parts.length === 2 ? parts[0] : undefined, name: parts[parts.length - 1]! }
  }

  /** `(a, b, c)` */
  nameList(): Array<string> {
    return this.inside(() =>
      this.list(() => {
        const name = this.name()
        if (!this.words("ASC")) this.words("DESC")
        return name
      })
    )
  }

  /** `declared`: of a column or a variable. */
  type(declared: boolean): SqlType {
    const name = this.name()
    const args = this.isSymbol("(")
      ? this.inside(() => this.list(() => this.words("MAX") ? -1 : Number(this.integer())))
      : []
    return makeType(name, args, declared)
  }
}
