/**
 * What the splitter has to know of each database's SQL.
 *
 * @since 0.1.0
 */
import type { Dialect } from "@effect/sql/Statement"
import { StoredProgram } from "./StoredProgram.js"

/**
 * How a dialect writes what can hide a statement's end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Syntax {
  /** `;` ends a statement. Where not (SQL Server), only `GO` on a line of its own does. */
  readonly semicolon: boolean
  /** The client's `DELIMITER` command and `#` comments; `--` needs white space behind it; `/*!` holds code. */
  readonly mysql: boolean
  readonly nestedComments: boolean
  /** Strings in which a backslash escapes: those with the prefix `E`, or all. */
  readonly backslash: "never" | "prefixed" | "always"
  /** Dollar quotes; parentheses and `BEGIN ATOMIC` bodies hold their semicolons; `\` begins a command of `psql`. */
  readonly postgres: boolean
  readonly backticks: boolean
  readonly brackets: boolean
  /** `CREATE TRIGGER` ends at `; END ;`. */
  readonly sqliteTriggers: boolean
}

const postgres: Syntax = {
  semicolon: true,
  mysql: false,
  nestedComments: true,
  backslash: "prefixed",
  postgres: true,
  backticks: false,
  brackets: false,
  sqliteTriggers: false
}

const sqlite: Syntax = {
  ...postgres,
  nestedComments: false,
  backslash: "never",
  postgres: false,
  backticks: true,
  brackets: true,
  sqliteTriggers: true
}

/**
 * The table of dialects. A dialect that is not listed is split as standard SQL.
 *
 * @since 0.1.0
 * @category models
 */
export const syntaxes: Readonly<Record<Dialect, Syntax>> = {
  pg: postgres,
  sqlite,
  mysql: { ...sqlite, mysql: true, backslash: "always", brackets: false, sqliteTriggers: false },
  mssql: { ...sqlite, semicolon: false, nestedComments: true, backticks: false, sqliteTriggers: false },
  clickhouse: { ...sqlite, backslash: "always", brackets: false, sqliteTriggers: false }
}

/**
 * Follows the words of one statement to know whether a semicolon ends it, and what kind of statement it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Words {
  /** The first words, in capitals. */
  readonly first: ReadonlyArray<string>
  /** A word outside of strings, comments and quoted names. */
  readonly word: (text: string, afterDot: boolean) => void
  /** Anything else that is not white space or a comment. */
  readonly other: (char: string) => void
  /** A semicolon: `true` when it ends the statement. */
  readonly semicolon: () => boolean
}

const remembered = 16

/** psql's rule (psqlscan.l): parentheses, and `BEGIN`/`CASE` ... `END` in CREATE FUNCTION or PROCEDURE. */
const postgresWords = (): Words => {
  const first: Array<string> = []
  let parentheses = 0
  let depth = 0
  const isRoutine = () => {
    const kind = first[1] === "OR" && first[2] === "REPLACE" ? first[3] : first[1]
    return first[0] === "CREATE" && (kind === "FUNCTION" || kind === "PROCEDURE")
  }
  return {
    first,
    word: (text) => {
      const word = text.toUpperCase()
      if (first.length < remembered) {
        first.push(word)
      }
      if (parentheses === 0 && (word === "BEGIN" || word === "CASE" || word === "END") && isRoutine()) {
        if (word === "END") {
          depth = Math.max(0, depth - 1)
        } else if (word === "BEGIN" || depth > 0) {
          depth++
        }
      }
    },
    other: (char) => {
      if (char === "(") {
        parentheses++
      } else if (char === ")") {
        parentheses = Math.max(0, parentheses - 1)
      }
    },
    semicolon: () => parentheses === 0 && depth === 0
  }
}

/** SQLite's own rule (sqlite3_complete): CREATE [TEMP] TRIGGER ends at `;` `END` `;` with nothing between. */
const sqliteWords = (): Words => {
  const first: Array<string> = []
  let tail: "" | ";" | "END" = ""
  const isTrigger = () => {
    const rest = first.filter((word) => word !== "EXPLAIN" && word !== "QUERY" && word !== "PLAN")
    const kind = rest[1] === "TEMP" || rest[1] === "TEMPORARY" ? rest[2] : rest[1]
    return rest[0] === "CREATE" && kind === "TRIGGER"
  }
  return {
    first,
    word: (text) => {
      const word = text.toUpperCase()
      if (first.length < remembered) {
        first.push(word)
      }
      tail = tail === ";" && word === "END" ? "END" : ""
    },
    other: () => {
      tail = ""
    },
    semicolon: () => {
      if (!isTrigger() || tail === "END") {
        return true
      }
      tail = ";"
      return false
    }
  }
}

/** MySQL and MariaDB: stored programs, and MariaDB's blocks outside of one. */
const mysqlWords = (): Words => {
  const first: Array<string> = []
  const program = new StoredProgram()
  return {
    first,
    word: (text, afterDot) => {
      const word = text.toUpperCase()
      if (first.length < remembered) {
        first.push(word)
      }
      if (afterDot) {
        program.other("0")
      } else {
        program.word(word)
      }
    },
    other: (char) => program.other(char),
    semicolon: () => program.semicolon()
  }
}

const plainWords = (): Words => {
  const first: Array<string> = []
  return {
    first,
    word: (text) => {
      if (first.length < remembered) {
        first.push(text.toUpperCase())
      }
    },
    other: () => {},
    semicolon: () => true
  }
}

/**
 * Begins to follow a statement's words.
 *
 * @since 0.1.0
 * @category constructors
 */
export const words = (syntax: Syntax): Words =>
  syntax.postgres
    ? postgresWords()
    : syntax.sqliteTriggers
    ? sqliteWords()
    : syntax.mysql
    ? mysqlWords()
    : plainWords()
