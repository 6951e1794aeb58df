/**
 * The key of an inserted row. SQLite keeps the rowid of the last insert of a connection, and gives it also behind a statement that has
 * inserted no row with one: into a table WITHOUT ROWID, or where ON CONFLICT has updated a row instead.
 */
import { memoized } from "../../sql/classify.js"
import { Lexer } from "../../sql/Lexer.js"
import { syntaxes } from "../../sql/Syntax.js"
import type { Database, Statement } from "./moduleContract.js"
import { narrow } from "./rows.js"

/** What an INSERT writes to. */
interface Insert {
  readonly schema: string | undefined
  readonly table: string
  /** ON CONFLICT DO UPDATE. */
  readonly mayUpdate: boolean
}

const quotes: Readonly<Record<string, string>> = { "\"": "\"", "'": "'", "`": "`", "[": "]" }

const nameOf = (token: string): string => {
  const quote = quotes[token[0]!]
  return quote === undefined ? token : token.slice(1, -1).replaceAll(quote + quote, quote)
}

/** The tokens of a statement as they are written: SQLite folds the case of ASCII in names, and takes a string for a name. */
const tokensOf = (text: string): ReadonlyArray<string> => {
  const tokens: Array<string> = []
  const lexer = new Lexer(syntaxes.sqlite, text)
  while (lexer.nextCode()) tokens.push(lexer.token)
  return tokens
}

const isWord = (token: string | undefined, word: string): boolean => token?.toUpperCase() === word

/** What a text inserts into; `undefined` where it is no INSERT. */
export const insertOf: (text: string) => Insert | undefined = memoized((text) => {
  const tokens = tokensOf(text)
  // REPLACE and INSERT OR ... are inserts, too; behind WITH they stand further back.
  const at = tokens.findIndex((token, i) =>
    isWord(token, "INTO") && (/^(?:INSERT|REPLACE)$/i.test(tokens[i - 1] ?? "") || isWord(tokens[i - 2], "OR"))
  )
  const name = tokens[at + 1]
  if (at < 0 || name === undefined) {
    return undefined
  }
  const isQualified = tokens[at + 2] === "."
  return {
    schema: isQualified ? nameOf(name) : undefined,
    table: nameOf(isQualified ? tokens[at + 3] ?? "" : name),
    mayUpdate: tokens.some((token, i) => isWord(token, "DO") && isWord(tokens[i + 1], "UPDATE"))
  }
})

const quoted = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** Whether a table is made WITHOUT ROWID: the words stand behind its columns. */
const isWithoutRowid: (sql: string) => boolean = memoized((sql) => {
  const tokens = tokensOf(sql)
  const options = tokens.slice(tokens.lastIndexOf(")"))
  return options.some((token, i) => isWord(token, "WITHOUT") && isWord(options[i + 1], "ROWID"))
})

/** What a schema says of a table or view. */
interface Entry {
  readonly type: string
  readonly sql: string
}

const schemasText = "SELECT name FROM pragma_database_list WHERE name NOT IN ('temp', 'main') ORDER BY seq"

/**
 * What a look at the database finds, or this where it fails: another program may hold a lock. The statement itself may have run, and
 * what failed because of a lock would be run again.
 */
const orElse = <A>(look: () => A, otherwise: A): A => {
  try {
    return look()
  } catch {
    return otherwise
  }
}

type Key = number | bigint | undefined

/** Asks one connection for keys. No failure of it is one of the statement. */
export class InsertedKeys {
  private rowid: Statement | undefined = undefined
  private readonly entries = new Map<string, Statement>()

  constructor(private readonly db: Database) {}

  private last(): Key {
    this.rowid ??= this.db.prepare("SELECT last_insert_rowid()").pluck().safeIntegers(true)
    // A rowid is an integer.
    return narrow(this.rowid.get()) as number | bigint
  }

  /** As SQLite looks for a name: first among temporary tables, then in the database, then in attached ones, which may be locked. */
  private *schemas(): Generator<string> {
    yield* ["temp", "main"]
    yield* this.db.prepare(schemasText).pluck().all() as ReadonlyArray<string>
  }

  private entry(schema: string, table: string): Entry | undefined {
    let statement = this.entries.get(schema)
    if (statement === undefined) {
      statement = this.db.prepare(
        `SELECT type, sql FROM ${
          quoted(schema)
        }.sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')`
      )
      this.entries.set(schema, statement)
    }
    // The columns of the statement.
    return statement.get(table) as Entry | undefined
  }

  private hasRowid({ schema, table }: Insert): boolean {
    for (const one of schema === undefined ? this.schemas() : [schema]) {
      const entry = this.entry(one, table)
      if (entry !== undefined) return entry.type === "table" && !isWithoutRowid(entry.sql)
    }
    return true
  }

  /** Whether there is a row of that key. */
  private hasRow({ schema, table }: Insert, key: Key): boolean {
    const name = [...(schema === undefined ? [] : [schema]), table].map(quoted).join(".")
    return this.db.prepare(`SELECT 1 FROM ${name} WHERE _rowid_ = ?`).get(key) !== undefined
  }

  /** To be called before a statement runs; the function it gives, behind it, with the number of rows that were written. */
  watch(text: string): (rowsAffected: number) => Key {
    const insert = insertOf(text)
    if (insert === undefined || !orElse(() => this.hasRowid(insert), false)) {
      return () => undefined
    }
    const before = orElse(() => this.last(), undefined)
    // Where ON CONFLICT may update, the last key stays then; or it is the same again, in another table.
    const isThere = insert.mayUpdate && orElse(() => this.hasRow(insert, before), true)
    return (rowsAffected) => {
      const last = rowsAffected > 0 ? orElse(() => this.last(), undefined) : undefined
      const isInserted = !insert.mayUpdate || last !== before ||
        (!isThere && orElse(() => this.hasRow(insert, last), false))
      return isInserted ? last : undefined
    }
  }
}
