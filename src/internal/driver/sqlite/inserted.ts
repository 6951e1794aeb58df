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

/** As SQLite looks for a name: first among temporary tables, then in the database, then in attached ones. */
const tableText = "SELECT type = 'view' OR wr FROM pragma_table_list WHERE name = ? COLLATE NOCASE " +
  "AND (? IS NULL OR schema = ? COLLATE NOCASE) ORDER BY schema <> 'temp', schema <> 'main' LIMIT 1"

/** Asks one connection for keys. */
export class InsertedKeys {
  private rowid: Statement | undefined = undefined
  private table: Statement | undefined = undefined

  constructor(private readonly db: Database) {}

  private get last(): unknown {
    return narrow((this.rowid ??= this.db.prepare("SELECT last_insert_rowid()").pluck().safeIntegers(true)).get())
  }

  private hasRowid({ schema, table }: Insert): boolean {
    const statement = this.table ??= this.db.prepare(tableText).pluck()
    return statement.get(table, schema ?? null, schema ?? null) !== 1
  }

  /** Whether there is a row of that key. */
  private hasRow({ schema, table }: Insert, key: unknown): boolean {
    const name = [...(schema === undefined ? [] : [schema]), table].map((part) => `"${part.replaceAll("\"", "\"\"")}"`)
    return this.db.prepare(`SELECT 1 FROM ${name.join(".")} WHERE _rowid_ = ?`).get([key]) !== undefined
  }

  /** Where ON CONFLICT may update: the last key stays then, or is the same again, in another table. */
  private watchUpsert(insert: Insert): (rowsAffected: number) => number | bigint | undefined {
    if (!this.hasRowid(insert)) {
      return () => undefined
    }
    const before = this.last
    const hadRow = this.hasRow(insert, before)
    return (rowsAffected) => {
      const { last } = this
      const isInserted = rowsAffected > 0 && (last !== before || (!hadRow && this.hasRow(insert, last)))
      // A rowid is an integer.
      return isInserted ? last as number | bigint : undefined
    }
  }

  /** To be called before a statement runs; the function it gives, behind it, with the number of rows that were written. */
  watch(text: string): (rowsAffected: number) => number | bigint | undefined {
    const insert = insertOf(text)
    if (insert === undefined) {
      return () => undefined
    }
    return insert.mayUpdate
      ? this.watchUpsert(insert)
      // A rowid is an integer.
      : (rowsAffected) => rowsAffected > 0 && this.hasRowid(insert) ? this.last as number | bigint : undefined
  }
}
