/**
 * Where a column that its table declares NOT NULL gives NULL all the same: outer joins, groups over nothing, unions, and what hides the
 * join of another statement. Told from the statement's tokens, and rather once too often than too rarely.
 */
import type { Dialect } from "@effect/sql/Statement"
import { isIdentifier, isSign, isWord, type Token } from "./tokens.js"

/** Which columns may be NULL whatever their tables declare. */
export interface Doubts {
  /** All of them. */
  readonly all: boolean
  /** Those of these tables, by their names in small letters. */
  readonly tables: ReadonlySet<string>
}

const aggregates = new Set(
  ("AVG COUNT GROUP_CONCAT JSON_ARRAYAGG JSON_GROUP_ARRAY JSON_GROUP_OBJECT JSON_OBJECTAGG MAX MEDIAN MIN STRING_AGG SUM TOTAL " +
    "BIT_AND BIT_OR BIT_XOR STD STDDEV VARIANCE").split(" ")
)

/** Behind these a SELECT in parentheses is no value. */
const aroundQueries = ["FROM", "JOIN", "IN", "EXISTS", "AS", "MATERIALIZED", "ANY", "ALL", "SOME", "LATERAL", "INTO"]

/** The table at the right of an outer join at this token; `undefined` where it is not a table's name alone. */
const joined = (tokens: ReadonlyArray<Token>, from: number): string | undefined => {
  let at = from
  if (!isIdentifier(tokens[at])) return undefined
  while (isSign(tokens[at + 1], ".") && isIdentifier(tokens[at + 2])) at += 2
  const table = tokens[at]!
  if (isSign(tokens[at + 1], "(")) return undefined
  for (let i = at + 1; i < tokens.length; i++) {
    const token = tokens[i]!
    if (token.depth < table.depth) return undefined
    if (isWord(token, "ON", "USING")) return table.id
    // A second join before the condition of the first stands within it.
    if (isWord(token, "JOIN")) return undefined
  }
  return undefined
}

/** The groups of a statement are more than those that its rows make. */
const hasEmptyGroups = (tokens: ReadonlyArray<Token>): boolean => {
  const calls = (names: ReadonlySet<string>) =>
    tokens.some((token, i) =>
      token.kind === "word" && names.has(token.text) && isSign(tokens[i + 1], "(") && !isWindow(tokens, i + 1)
    )
  return tokens.some((token) => isWord(token, "ROLLUP", "CUBE", "GROUPING")) ||
    calls(aggregates) && !tokens.some((token, i) => isWord(token, "GROUP") && isWord(tokens[i + 1], "BY"))
}

/** Whether a call, whose parenthesis opens here, is over a window: then it makes no groups. */
const isWindow = (tokens: ReadonlyArray<Token>, open: number): boolean => {
  const { depth } = tokens[open]!
  let close = open + 1
  while (close < tokens.length && !(isSign(tokens[close], ")") && tokens[close]!.depth === depth)) close++
  return isWord(tokens[close + 1], "OVER")
}

/** Whether the columns of the answer may be taken from elsewhere than the tables that are named. */
const hides = (tokens: ReadonlyArray<Token>, dialect: Dialect, views: ReadonlySet<string>): boolean =>
  tokens.some((token, i) =>
    isWord(token, "UNION", "EXCEPT", "INTERSECT") ||
    isIdentifier(token) && views.has(token.id) ||
    // What a row was, or will be: on an insert there is none before.
    isWord(token, "OLD", "NEW") && isSign(tokens[i + 1], ".") ||
    // SQLite tells the column of a SELECT that is a value, and that has none where it finds no row.
    dialect === "sqlite" && isWord(token, "SELECT") && isSign(tokens[i - 1], "(") &&
      !(tokens[i - 2]?.kind === "word" && aroundQueries.includes(tokens[i - 2]!.text))
  )

/** Which columns of a statement may be NULL whatever their tables declare. `views`: by their names in small letters. */
export const doubtsOf = (
  tokens: ReadonlyArray<Token>,
  dialect: Dialect,
  views: ReadonlySet<string>
): Doubts => {
  const tables = new Set<string>()
  let areAll = hasEmptyGroups(tokens) || hides(tokens, dialect, views)
  tokens.forEach((token, i) => {
    const join = isWord(tokens[i + 1], "OUTER") ? i + 2 : i + 1
    if (!isWord(tokens[join], "JOIN") || !isWord(token, "LEFT", "RIGHT", "FULL")) return
    const table = isWord(token, "LEFT") ? joined(tokens, join + 1) : undefined
    // A common table expression has a name of its own, and the columns of other tables.
    if (table === undefined || isWord(tokens[0], "WITH")) areAll = true
    else tables.add(table)
  })
  return { all: areAll, tables }
}
