/**
 * How each dialect writes what can hide code from a reader of SQL: the table of the lexer.
 */
import type { Dialect } from "@effect/sql/Statement"

/** The lexical rules of a dialect. */
export interface Syntax {
  /** Block comments nest. */
  readonly nestedComments: boolean
  /** Strings in which a backslash escapes: those with the prefix `E`, or all. */
  readonly backslash: "never" | "prefixed" | "always"
  /** Letters that belong to the string behind them: `N'...'`. */
  readonly prefixes: string
  /** `"` opens a string, in which a backslash escapes too; elsewhere a name. */
  readonly doubleQuotedStrings: boolean
  readonly backticks: boolean
  /** Names in brackets; `doubled` where `]]` stands for a bracket. */
  readonly brackets: "none" | "plain" | "doubled"
  /** `$$...$$` and `$tag$...$tag$` are strings. */
  readonly dollarQuotes: boolean
  /** What begins a parameter. */
  readonly parameters: "$" | "?" | "$?" | ""
  /** `#` comments, `--` only before white space, and code of some servers in `/*!`. */
  readonly mysql: boolean
  /** Words may begin with `@` and `#` and hold them. */
  readonly signedWords: boolean
  /** A line comment ends at a carriage return, too. */
  readonly returnEndsLine: boolean
  /** The text is a file for a client: lines end with a CR alone, too, a no-break space is white, and what is in `/*!` is code. */
  readonly file: boolean
}

const standard: Syntax = {
  nestedComments: false,
  backslash: "never",
  prefixes: "xX",
  doubleQuotedStrings: false,
  backticks: false,
  brackets: "none",
  dollarQuotes: false,
  parameters: "?",
  mysql: false,
  signedWords: false,
  returnEndsLine: false,
  file: false
}

/** The table of dialects. */
export const syntaxes: Readonly<Record<Dialect, Syntax>> = {
  // https://www.postgresql.org/docs/current/sql-syntax-lexical.html
  pg: {
    ...standard,
    nestedComments: true,
    backslash: "prefixed",
    prefixes: "bBxXnN",
    dollarQuotes: true,
    parameters: "$",
    returnEndsLine: true
  },
  // https://www.sqlite.org/lang_expr.html, and tokenize.c
  sqlite: { ...standard, backticks: true, brackets: "plain", parameters: "$?" },
  // https://dev.mysql.com/doc/refman/8.4/en/language-structure.html
  mysql: {
    ...standard,
    backslash: "always",
    prefixes: "bBxXnN",
    doubleQuotedStrings: true,
    backticks: true,
    mysql: true
  },
  // https://learn.microsoft.com/en-us/sql/t-sql/language-reference
  mssql: {
    ...standard,
    nestedComments: true,
    prefixes: "nN",
    brackets: "doubled",
    parameters: "",
    signedWords: true,
    returnEndsLine: true
  },
  clickhouse: { ...standard, backslash: "always", backticks: true }
}
