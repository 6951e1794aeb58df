/**
 * Expressions whose answer is known from their words: `count(*)` is never NULL, a literal neither.
 */
import { isIdentifier, isSign, isWord, type Token } from "./tokens.js"

/** What is known of an expression. */
export interface Known {
  readonly notNull: boolean
  /** TypeScript's type on SQLite, which tells none of an expression. */
  readonly read?: string | undefined
}

const table = (words: string, known: Known): ReadonlyArray<readonly [string, Known]> =>
  words.split(" ").map((word) => [word, known])

/** By the function's name. Their values may be NULL where their arguments are, unless it is said. */
const functions = new Map<string, Known>([
  ...table("COUNT EXISTS ROW_NUMBER RANK DENSE_RANK NTILE CHANGES TOTAL_CHANGES TOTAL", {
    notNull: true,
    read: "number"
  }),
  ...table("TYPEOF QUOTE SQLITE_VERSION", { notNull: true, read: "string" }),
  ...table("NOW CLOCK_TIMESTAMP GEN_RANDOM_UUID VERSION", { notNull: true }),
  ...table("LENGTH INSTR UNICODE SIGN AVG ROUND JULIANDAY UNIXEPOCH JSON_ARRAY_LENGTH", {
    notNull: false,
    read: "number"
  }),
  ...table("SUM", { notNull: false, read: "number" }),
  ...table(
    "UPPER LOWER TRIM LTRIM RTRIM SUBSTR SUBSTRING REPLACE GROUP_CONCAT STRING_AGG PRINTF FORMAT HEX DATE TIME DATETIME STRFTIME " +
      "JSON JSON_OBJECT JSON_ARRAY JSON_GROUP_ARRAY JSON_GROUP_OBJECT CONCAT CONCAT_WS",
    { notNull: false, read: "string" }
  )
])

const current = new Set(["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"])

const clauses = ["FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "INTO"]

/** The index of the parenthesis that closes the one at `open`. */
const closing = (tokens: ReadonlyArray<Token>, open: number): number =>
  tokens.findIndex((token, i) => i > open && isSign(token, ")") && token.depth === tokens[open]!.depth)

/** The expressions of a statement's SELECT, where none stands for several columns. */
const items = (tokens: ReadonlyArray<Token>): ReadonlyArray<ReadonlyArray<Token>> | undefined => {
  if (tokens.some((token) => token.depth === 0 && isWord(token, "UNION", "EXCEPT", "INTERSECT"))) return undefined
  const select = tokens.findIndex((token) => token.depth === 0 && isWord(token, "SELECT"))
  if (select < 0) return undefined
  let at = select + 1
  if (isWord(tokens[at], "DISTINCT", "ALL")) at++
  if (isWord(tokens[at], "ON") && isSign(tokens[at + 1], "(")) at = closing(tokens, at + 1) + 1
  const found: Array<Array<Token>> = [[]]
  for (; at < tokens.length; at++) {
    const token = tokens[at]!
    if (token.depth === 0 && token.kind === "word" && clauses.includes(token.text)) break
    if (token.depth === 0 && isSign(token, ",")) found.push([])
    else found.at(-1)!.push(token)
  }
  return found.some((item) => isSign(item.at(-1), "*")) ? undefined : found
}

/** An expression without its alias. */
const withoutAlias = (item: ReadonlyArray<Token>): ReadonlyArray<Token> =>
  isWord(item.at(-2), "AS")
    ? item.slice(0, -2)
    : item.length > 1 && isIdentifier(item.at(-1)) && !isSign(item.at(-2), ".") && item.at(-2)!.kind !== "word"
    ? item.slice(0, -1)
    : item

const literal = (item: ReadonlyArray<Token>): Known | undefined => {
  const [token] = item
  return item.length !== 1
    ? undefined
    : token!.kind === "number"
    ? { notNull: true, read: "number" }
    : token!.kind === "string"
    ? { notNull: true, read: "string" }
    : token!.kind === "word" && current.has(token!.text)
    ? { notNull: true, read: "string" }
    : undefined
}

/** The type that SQLite casts to. */
const cast = (type: ReadonlyArray<Token>): Known | undefined => {
  const words = type.map(({ text }) => text).join(" ").toUpperCase()
  const read = /INT/.test(words)
    ? "number"
    : /CHAR|CLOB|TEXT/.test(words)
    ? "string"
    : /BLOB/.test(words)
    ? "Buffer"
    : /REAL|FLOA|DOUB|NUM|DEC/.test(words)
    ? "number"
    : undefined
  return read === undefined ? undefined : { notNull: false, read }
}

const knownOf = (given: ReadonlyArray<Token>): Known | undefined => {
  const item = withoutAlias(given)
  const fixed = literal(item)
  if (fixed !== undefined) return fixed
  const [first] = item
  if (first?.kind !== "word") return undefined
  if (first.text === "NOT" && isWord(item[1], "EXISTS")) return knownOf(item.slice(1))
  if (!isSign(item[1], "(")) return undefined
  const close = closing(item, 1)
  const inside = item.slice(2, close)
  // Behind a call only its window: everything else makes another expression of it.
  if (close < item.length - 1 && !isWord(item[close + 1], "OVER", "FILTER")) return undefined
  if (first.text === "CAST") {
    const as = inside.findLastIndex((token) => token.depth === first.depth + 1 && isWord(token, "AS"))
    return as < 0 ? undefined : cast(inside.slice(as + 1))
  }
  if (first.text === "COALESCE" || first.text === "IFNULL") {
    const comma = inside.findLastIndex((token) => token.depth === first.depth + 1 && isSign(token, ","))
    return literal(inside.slice(comma + 1)) === undefined ? undefined : { notNull: true }
  }
  return functions.get(first.text)
}

/** What is known of each column; `undefined` where the columns cannot be told apart. */
export const knownColumns = (
  tokens: ReadonlyArray<Token>,
  count: number
): ReadonlyArray<Known | undefined> | undefined => {
  const list = items(tokens)
  return list?.length === count ? list.map(knownOf) : undefined
}
