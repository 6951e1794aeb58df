/**
 * What the driver has to know about a statement's text without SQLite's help: where one statement ends and the next
 * begins, and whether it leaves something behind on the connection.
 */
import { head as headOf, memoized, statementsOf, wordSet } from "../../sql/classify.js"
import { endingOf } from "../../sql/Ending.js"
import { Lexer } from "../../sql/Lexer.js"
import { syntaxes } from "../../sql/Syntax.js"

/** What a statement may leave behind that the next borrower would see. */
export type Change =
  | { readonly _tag: "Temp" }
  | { readonly _tag: "Attach" }
  | { readonly _tag: "Pragma"; readonly schema: string | undefined; readonly name: string }

/**
 * The statements of a text, in order, without the empty ones. A trigger's body belongs to its CREATE TRIGGER.
 */
export const split = (text: string): ReadonlyArray<string> =>
  statementsOf(text, syntaxes.sqlite, () => endingOf("sqlite")).map(({ end, start }) => text.slice(start, end))

/** The first `count` words and signs of a text, in upper case, comments and leading semicolons left out. */
export const head = (text: string, count: number): ReadonlyArray<string> => headOf(text, "sqlite", count)

/** Pragmas that only answer, although they take an argument. */
const asking = wordSet(`
  table_info table_xinfo table_list index_info index_list index_xinfo foreign_key_list foreign_key_check
  integrity_check quick_check
`)

/** Pragmas that change the file, their transaction or nothing, but leave nothing behind on the connection. */
const ofTheFile = wordSet(`
  application_id user_version wal_checkpoint optimize incremental_vacuum shrink_memory page_size auto_vacuum encoding
  defer_foreign_keys
`)

/** Pragmas that write to the file without an argument. */
const acting = wordSet("wal_checkpoint optimize incremental_vacuum")

/** Statements that end, begin or forbid a transaction of several statements, or change the connection. */
const apart = wordSet("begin commit end rollback savepoint release pragma vacuum attach detach")

const unquote = (name: string): string => /^["'`[]/.test(name) ? name.slice(1, -1) : name

const pragma = (words: ReadonlyArray<string>) => {
  const schema = words[2] === "." ? unquote(words[1]!) : undefined
  const name = unquote(words[schema === undefined ? 1 : 3] ?? "")
  const sign = words[schema === undefined ? 2 : 4]
  return { schema, name, assigns: sign === "=" || sign === "(" }
}

/** What a pragma with an argument sets, as SQLite reads it: a word that it does not know is off. */
export const switchesOn = (text: string): boolean => {
  const words = head(text, 9)
  const at = words.findIndex((word) => word === "=" || word === "(")
  const value = unquote(words[at + 1] ?? "")
  return /^\d/.test(value) ? (Number.parseInt(value, 10) & 0xff) !== 0 : /^(?:ON|YES|TRUE)$/.test(value)
}

/** What a statement of one connection is, by its text. */
export interface Facts {
  /** The first word, in upper case. */
  readonly keyword: string
  readonly change: Change | undefined
  /** A PRAGMA that may write to the file, whatever `sqlite3_stmt_readonly` says of it. */
  readonly pragmaWrites: boolean
}

export const facts = (text: string): Facts => {
  const all = head(text, 9)
  // EXPLAIN PRAGMA is a PRAGMA: SQLite runs it when it is prepared.
  const at = all[0] === "EXPLAIN" ? all.indexOf("PRAGMA") : -1
  const words = at < 0 ? all : all.slice(at)
  const keyword = words[0] ?? ""
  switch (keyword) {
    case "PRAGMA": {
      const { assigns, name, schema } = pragma(words)
      const changes = assigns && !asking.has(name) && !ofTheFile.has(name)
      return {
        keyword,
        change: changes ? { _tag: "Pragma", schema, name } : undefined,
        pragmaWrites: assigns ? !asking.has(name) : acting.has(name)
      }
    }
    case "ATTACH":
      return { keyword, change: { _tag: "Attach" }, pragmaWrites: false }
    case "CREATE":
      // Conservative: a table called "temp" in the main schema only costs a look into the temp schema.
      return { keyword, change: /\btemp(orary)?\b/i.test(text) ? { _tag: "Temp" } : undefined, pragmaWrites: false }
    default:
      return { keyword, change: undefined, pragmaWrites: false }
  }
}

/** What the last statement of a text leaves on its connection for statements to come, in words. */
export const leftBehind = (text: string): string | undefined => {
  const last = split(text).at(-1)
  const change = last === undefined ? undefined : facts(last).change
  switch (change?._tag) {
    case "Temp": {
      const words = head(last!, 9)
      // A table of the file that is only called so is none.
      const isTemporary = words[1] === "TEMP" || words[1] === "TEMPORARY" ||
        words.some((word, i) => unquote(word) === "TEMP" && words[i + 1] === ".")
      return isTemporary ? "a temporary table, view or trigger" : undefined
    }
    case "Attach":
      return "ATTACH"
    case "Pragma":
      // Every connection to a file has WAL unless the configuration says otherwise.
      return change.name === "JOURNAL_MODE" && head(last!, 9).includes("WAL")
        ? undefined
        : `PRAGMA ${change.name.toLowerCase()}`
    default:
      return undefined
  }
}

/** How many `?` a text has, each of which takes a value of its own; -1 where it has numbered or named parameters. */
export const anonymousParameters = (text: string): number => {
  let count = 0
  const lexer = new Lexer(syntaxes.sqlite, text)
  while (lexer.nextCode()) {
    const { kind, start } = lexer
    if (kind === "parameter") {
      if (lexer.at - start > 1) {
        return -1
      }
      count += text[start] === "?" ? 1 : 0
    } else if ((kind === "word" || kind === "number") && (text[start - 1] === ":" || text[start - 1] === "@")) {
      return -1
    }
  }
  return count
}

/** Whether several statements may be run as one transaction, and if so how it begins. */
export const together = (statements: ReadonlyArray<string>): "BEGIN" | "BEGIN IMMEDIATE" | undefined => {
  let reads = true
  for (const statement of statements) {
    const keyword = head(statement, 1)[0] ?? ""
    if (apart.has(keyword)) {
      return undefined
    }
    reads = reads && (keyword === "SELECT" || keyword === "VALUES" || keyword === "EXPLAIN")
  }
  return reads ? "BEGIN" : "BEGIN IMMEDIATE"
}

const readers = wordSet("select values explain commit end rollback savepoint release attach detach")

/** By its first word; by another one where that does not tell. Rather yes than no. */
const statementMayWrite = (text: string): boolean => {
  const { keyword, pragmaWrites } = facts(text)
  switch (keyword) {
    case "PRAGMA":
      return pragmaWrites
    case "BEGIN":
      return /^(IMMEDIATE|EXCLUSIVE)$/.test(head(text, 2)[1] ?? "")
    case "WITH":
      return head(text, Number.POSITIVE_INFINITY).some((word, i, all) =>
        /^(INSERT|UPDATE|DELETE|REPLACE)$/.test(word) && all[i + 1] !== "("
      )
    default:
      return !readers.has(keyword)
  }
}

/**
 * Whether a text may need the write lock, where SQLite cannot be asked because it runs elsewhere. Where this says no and
 * SQLite yes, the statement waits for its lock in the file instead of in the queue.
 */
export const mayWrite = memoized((text) => split(text).some(statementMayWrite), Number.POSITIVE_INFINITY)
