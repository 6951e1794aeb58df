/**
 * What a text of SQL does, told by its tokens: its statements, and how they begin, end or divide a transaction. What only one
 * database has to know of a text is in its driver, on the same statements.
 */
import type { Dialect } from "@effect/sql/Statement"
import type { Ending } from "./Ending.js"
import { isDigit, isWordPart, Lexer } from "./Lexer.js"
import { type Syntax, syntaxes } from "./Syntax.js"

/** A table of words, which are compared in capitals. */
export const wordSet = (text: string): ReadonlySet<string> => new Set(text.toUpperCase().trim().split(/\s+/))

/** A statement of a text. */
export interface Statement {
  /** Without white space and comments: words in capitals, `''` for a string, `0` for a number, names and signs as they are written. */
  readonly tokens: ReadonlyArray<string>
  readonly start: number
  readonly end: number
  /** One of its strings holds a backslash that does not escape. */
  readonly hasBackslash: boolean
}

/** Code for the servers of MySQL that know its mark. */
export const executable = /^\/\*M?!/

/** Whether a token is a word: neither a sign, a number, a parameter nor quoted. */
export const isWord = (token: string): boolean => {
  const code = token.charCodeAt(0)
  return code === 64 || code === 35 ? token.length > 1 : code !== 36 && isWordPart(code) && !isDigit(code)
}

const notAscii = /[^\0-\x7f]/

/** A word in capitals. One with other letters than those of keywords is left as it is: `ſ` in capitals would be an `S`. */
const inCapitals = (word: string): string => notAscii.test(word) ? word : word.toUpperCase()

/** The token of a statement that the lexer stands on. */
const tokenOf = (lexer: Lexer): string => {
  switch (lexer.kind) {
    case "word":
    case "comment":
      return inCapitals(lexer.token)
    case "string":
      return "''"
    case "number":
      return "0"
    case "name":
      return lexer.token
    default:
      return lexer.text[lexer.start]!
  }
}

/**
 * The statements of a text, without the empty ones, up to so many tokens. Every semicolon ends one, unless an `ending` says
 * otherwise: what is cut in the body of a routine is taken for more than it is, and nothing is overlooked. On MySQL a comment that a
 * server may run is a token.
 */
export const statementsOf = (
  text: string,
  syntax: Syntax,
  ending?: () => Ending,
  most = Number.POSITIVE_INFINITY
): ReadonlyArray<Statement> => {
  const found: Array<Statement> = []
  const lexer = new Lexer(syntax, text)
  let tokens: Array<string> = []
  let start = 0
  let end = 0
  let hasBackslash = false
  let follow = ending?.()
  const finish = (): void => {
    if (tokens.length > 0) found.push({ tokens, start, end, hasBackslash })
    tokens = []
    hasBackslash = false
    follow = ending?.()
  }
  for (let count = 0; count < most && lexer.next();) {
    const { kind } = lexer
    if (kind === "space" || (kind === "comment" && !(syntax.mysql && executable.test(lexer.token)))) continue
    if (kind === "delimiter" && (follow === undefined || follow.semicolon())) {
      finish()
      continue
    }
    const token = tokenOf(lexer)
    if (tokens.length === 0) start = lexer.start
    end = lexer.at
    tokens.push(token)
    count++
    if (kind === "word") follow?.word(token, false)
    else if (kind === "string") hasBackslash ||= lexer.hasBackslash
    if (kind !== "word" && kind !== "delimiter") follow?.other(token)
  }
  finish()
  return found
}

/** The first `count` tokens of a text, in capitals, comments and leading semicolons left out. It reads no further. */
export const head = (text: string, dialect: Dialect, count: number): ReadonlyArray<string> => {
  const tokens: Array<string> = []
  const lexer = new Lexer(syntaxes[dialect], text)
  while (tokens.length < count && lexer.nextCode()) {
    if (lexer.kind !== "delimiter" || tokens.length > 0) tokens.push(inCapitals(lexer.token))
  }
  return tokens
}

const unquoted = (token: string): string => {
  const [quote] = token
  return quote === "\"" || quote === "`" || quote === "[" ? quote + quote : token
}

/** The tokens of a statement with a space between, and nothing in quotes: what the patterns of tables are written for. */
export const codeOf = (tokens: ReadonlyArray<string>): string => tokens.map(unquoted).join(" ")

/**
 * What a statement does to transactions. `savepoint` makes one, goes back to it or releases it; `prepared` is the second phase of a
 * `prepare`; `named` is of SQL Server, where the name may be a transaction's or a savepoint's; `isolation` is SET TRANSACTION;
 * `branch` is of MySQL: it begins, ends or prepares a transaction of XA on its connection.
 */
export type Control =
  | "begin"
  | "commit"
  | "rollback"
  | "savepoint"
  | "prepare"
  | "prepared"
  | "named"
  | "isolation"
  | "branch"

const work = "(?: (?:WORK|TRAN|TRANSACTION))?"
const chain = "(?: AND (?:NO )?CHAIN)?(?: (?:NO )?RELEASE)?$"
const modes = "WORK|TRAN|TRANSACTION|DEFERRED|IMMEDIATE|EXCLUSIVE|ISOLATION|READ|DEFERRABLE|NOT DEFERRABLE"
const controls: ReadonlyArray<readonly [Control, RegExp]> = [
  ["begin", new RegExp(`^(?:BEGIN(?: (?:${modes})\\b.*)?$|START TRANSACTION\\b)`)],
  ["commit", new RegExp(`^(?:COMMIT|END)${work}${chain}`)],
  ["rollback", new RegExp(`^(?:ROLLBACK|ABORT)${work}${chain}`)],
  [
    "savepoint",
    new RegExp(`^(?:SAVE(?:POINT| TRAN(?:SACTION)?)\\b|RELEASE (?:SAVEPOINT )?\\S+$|ROLLBACK${work} TO\\b)`)
  ],
  ["prepare", /^PREPARE TRANSACTION\b/],
  ["prepared", /^(?:COMMIT|ROLLBACK) PREPARED\b/],
  ["named", /^(?:COMMIT|ROLLBACK) TRAN(?:SACTION)? \S/],
  ["isolation", /^SET TRANSACTION\b/]
]
const controlling = wordSet("begin start commit end rollback abort save savepoint release prepare set")

/** What a statement does to transactions; `undefined` for nearly every one. */
export const controlOf = (tokens: ReadonlyArray<string>): Control | undefined => {
  if (!controlling.has(tokens[0] ?? "")) return undefined
  const code = codeOf(tokens.slice(0, 8))
  return controls.find(([, pattern]) => pattern.test(code))?.[0]
}

/** A COMMIT or ROLLBACK of XA may come on any connection, and is none. */
const branch = /^XA (?:START|BEGIN|END|PREPARE)\b/

const branchOf = (statements: ReadonlyArray<Statement>, dialect: Dialect): Control | undefined =>
  dialect === "mysql" && statements.length === 1 && branch.test(codeOf(statements[0]!.tokens.slice(0, 2)))
    ? "branch"
    : undefined

/** How a text ends the transaction in which it runs. */
export interface TransactionEnd {
  readonly how: "commit" | "rollback"
  /** It is not alone in its text, so an error of the text does not say that it did not run. */
  readonly beside: boolean
}

/** What can be told of a text of any database. */
export interface Traits {
  /** More than one statement, or one with semicolons of its own. */
  readonly several: boolean
  /** Whether its first statement calls a procedure. */
  readonly calls: boolean
  /**
   * What the whole text does to transactions, and nothing else. MySQL and SQL Server take the isolation level of a BEGIN in a
   * statement of its own: the two are one `begin`.
   */
  readonly control: Control | undefined
  /**
   * Where such a text begins another transaction at once (`ROLLBACK AND CHAIN`, or `ROLLBACK; BEGIN` in one text), the connection
   * stands as before, and only the text tells that what was done is gone.
   */
  readonly end: TransactionEnd | undefined
  /** It begins with a BEGIN, and nothing behind that begins, ends or divides a transaction. */
  readonly beginsFirst: boolean
}

/** Their bodies hold statements that do not run now, and an END that ends only them. */
const bodies = wordSet("create alter do declare begin")

const endOf = (
  statements: ReadonlyArray<Statement>,
  kinds: ReadonlyArray<Control | undefined>,
  dialect: Dialect
): TransactionEnd | undefined => {
  for (const [index, kind] of kinds.entries()) {
    // MySQL commits what is open before it begins another one.
    const isCommit = kind === "commit" || kind === "prepare" || (dialect === "mysql" && kind === "begin")
    if (isCommit || kind === "rollback") {
      return { how: isCommit ? "commit" : "rollback", beside: statements.length > 1 }
    }
    if (kind === undefined && bodies.has(statements[index]!.tokens[0]!)) return undefined
  }
  return undefined
}

/** Whether a backslash escapes depends on the server's mode: with one, what stands in quotes may be code. */
const isUnsure = (text: string, syntax: Syntax): boolean => syntax.backslash !== "never" && text.includes("\\")

/** A comment that a server of MySQL may run, and that ends a statement. */
const hidesEnd = ({ tokens }: Statement): boolean =>
  tokens.some((token) => executable.test(token) && token.includes(";"))

const look = (text: string, dialect: Dialect): Traits => {
  const syntax = syntaxes[dialect]
  const statements = statementsOf(text, syntax)
  const kinds = statements.map(({ tokens }) => controlOf(tokens))
  const [first, second] = kinds
  return {
    several: statements.length > 1 || statements.some(hidesEnd) ||
      (isUnsure(text, syntax) && /;\s*[^;\s]/.test(text)),
    calls: statements[0]?.tokens[0] === "CALL",
    control: statements.length === 1
      ? first ?? branchOf(statements, dialect)
      : statements.length === 2 && first === "isolation" && second === "begin"
      ? second
      : undefined,
    end: endOf(statements, kinds, dialect),
    beginsFirst: first === "begin" &&
      !kinds.some((kind, index) => index > 0 && kind !== undefined && kind !== "isolation")
  }
}

/** Of a text without a semicolon and without a word of transactions. */
const plain: Traits = { several: false, calls: false, control: undefined, end: undefined, beginsFirst: false }
const suspect = /;|\b(?:commit|rollback|abort|end|prepare|begin|start|save|savepoint|release|transaction|call)\b/i

/** Texts are few in a program; one that makes them up as it goes must not fill the memory, nor may long ones. */
const remembered = 1_000
const usual = 2_000

/** Remembers what was said of texts, but of those that are longer. */
export const memoized = <A>(look: (text: string) => A, longest = usual): (text: string) => A => {
  const known = new Map<string, A>()
  return (text) => {
    let found = known.get(text)
    if (found === undefined) {
      found = look(text)
      if (text.length <= longest) {
        if (known.size >= remembered) known.clear()
        known.set(text, found)
      }
    }
    return found
  }
}

const known = new Map<Dialect, (text: string) => Traits>()

/** Looks at a text, once. */
export const classify = (text: string, dialect: Dialect): Traits => {
  let traitsOf = known.get(dialect)
  if (traitsOf === undefined) {
    known.set(dialect, traitsOf = memoized((text) => suspect.test(text) ? look(text, dialect) : plain))
  }
  return traitsOf(text)
}

/** Whether a text may begin with a comment, by its first character with the bit of lower case. */
const isComment = (first: number): boolean => first === 45 || first === 47 || first === 35

/** Whether a first word may be one of those: SELECT, INSERT, UPDATE and most others are told apart by two letters. */
const mayControl = (text: string): boolean => {
  let at = 0
  while (text.charCodeAt(at) <= 32) at++
  const first = text.charCodeAt(at) | 32
  const second = text.charCodeAt(at + 1) | 32
  switch (first) {
    case 98: // begin
      return second === 101
    case 99: // commit
      return second === 111
    case 101: // end
      return second === 110
    case 97: // abort
      return second === 98
    case 114: // rollback, release
      return second === 111 || second === 101
    case 115: // start, savepoint, save
      return second === 116 || second === 97
    case 120: // xa
      return second === 97
    default:
      return isComment(first)
  }
}

const here = new Set<Control>(["begin", "commit", "rollback", "savepoint", "branch"])

/** Whether a text is a single statement that begins, ends or divides a transaction. It costs other texts a look at two letters. */
export const isControl = (text: string, dialect: Dialect): boolean => {
  if (!mayControl(text) || text.length > usual) return false
  const { control, several: hasSeveral } = classify(text, dialect)
  return !hasSeveral && control !== undefined && here.has(control)
}

/** Whether a text calls a procedure, which gives as many sets of rows as it likes. */
export const isCall = (text: string, dialect: Dialect): boolean => {
  let at = 0
  while (text.charCodeAt(at) <= 32) at++
  const first = text.charCodeAt(at) | 32
  // The pattern is left to the few texts that begin with its letter, and the rest to those that begin with a comment.
  return first === 99 ? /^\s*call\b/i.test(text) : isComment(first) && classify(text, dialect).calls
}
