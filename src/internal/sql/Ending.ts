/**
 * Which semicolon ends a statement: those in the body of a routine or a trigger do not.
 */
import type { Dialect } from "@effect/sql/Statement"
import { StoredProgram } from "./StoredProgram.js"

/** Follows the tokens of one statement. */
export interface Ending {
  /** A word outside of strings, comments and quoted names, in capitals. */
  word(word: string, afterDot: boolean): void
  /** Anything else that is not white space or a comment: its first character, `'` for what is quoted, `0` for a number. */
  other(sign: string): void
  /** A semicolon: `true` when it ends the statement. */
  semicolon(): boolean
}

/** psql's rule (psqlscan.l): parentheses, and `BEGIN`/`CASE` ... `END` in CREATE FUNCTION or PROCEDURE. */
class PgEnding implements Ending {
  private count = 0
  private isRoutine: boolean | undefined = undefined
  private parentheses = 0
  private depth = 0

  word(word: string): void {
    this.count++
    if (this.isRoutine === undefined) this.head(word)
    if (this.isRoutine !== true || this.parentheses > 0) return
    if (word === "END") this.depth = Math.max(0, this.depth - 1)
    else if (word === "BEGIN" || (word === "CASE" && this.depth > 0)) this.depth++
  }

  private head(word: string): void {
    if (this.count === 1) {
      if (word !== "CREATE") this.isRoutine = false
    } else if (word !== "OR" && word !== "REPLACE") {
      this.isRoutine = word === "FUNCTION" || word === "PROCEDURE"
    }
  }

  other(sign: string): void {
    if (sign === "(") this.parentheses++
    else if (sign === ")") this.parentheses = Math.max(0, this.parentheses - 1)
  }

  semicolon(): boolean {
    return this.parentheses === 0 && this.depth === 0
  }
}

const explaining = new Set(["EXPLAIN", "QUERY", "PLAN"])

/** SQLite's own rule (sqlite3_complete): CREATE [TEMP] TRIGGER ends at `;` `END` `;` with nothing between. */
class SqliteEnding implements Ending {
  private previous = ""
  private isTrigger: boolean | undefined = undefined
  private tail: "" | ";" | "END" = ""

  word(word: string): void {
    if (this.isTrigger === undefined && !explaining.has(word)) {
      if (this.previous === "") {
        if (word !== "CREATE") this.isTrigger = false
      } else if (this.previous !== "CREATE" || (word !== "TEMP" && word !== "TEMPORARY")) {
        this.isTrigger = word === "TRIGGER"
      }
      this.previous = word
    }
    this.tail = this.tail === ";" && word === "END" ? "END" : ""
  }

  other(): void {
    this.tail = ""
  }

  semicolon(): boolean {
    if (this.isTrigger !== true || this.tail === "END") return true
    this.tail = ";"
    return false
  }
}

const plain: Ending = { word: () => {}, other: () => {}, semicolon: () => true }

/** Begins to follow a statement. */
export const endingOf = (dialect: Dialect): Ending => {
  switch (dialect) {
    case "pg":
      return new PgEnding()
    case "sqlite":
      return new SqliteEnding()
    case "mysql":
      return new StoredProgram()
    case "mssql":
    case "clickhouse":
      return plain
  }
}
