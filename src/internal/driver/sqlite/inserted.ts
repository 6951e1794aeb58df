/**
 * The key of an inserted row. SQLite keeps the rowid of the last insert of a connection, and gives it also behind a statement that has
 * inserted no row with one: into a table WITHOUT ROWID, or where ON CONFLICT has updated a row instead.
 */
import { memoized, statementsOf } from "../../sql/classify.js"
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

const quotes: Readonly<Record<string, string>> = { "\"": "\"", "`": "`", "[": "]" }

const nameOf = (token: string): string => {
  const quote = quotes[token[0]!]
  return quote === undefined ? token : token.slice(1, -1).replaceAll(quote + quote, quote)
}

/** What a text inserts into; `undefined` where it is no INSERT. */
export const insertOf: (text: string) => Insert | undefined = memoized((text) => {
  const tokens = statementsOf(text, syntaxes.sqlite)[0]?.tokens ?? []
  // REPLACE and INSERT OR ... are inserts, too; behind WITH they stand further back.
  const at = tokens.findIndex((token, i) =>
    token === "INTO" && (/^(?:INSERT|REPLACE)$/.test(tokens[i - 1] ?? "") || tokens[i - 2] === "OR")
  )
  const name = tokens[at + 1]
  if (at < 0 || name === undefined) {
    return undefined
  }
  const isQualified = tokens[at + 2] === "."
  return {
    schema: isQualified ? nameOf(name) : undefined,
    table: nameOf(isQualified ? tokens[at + 3] ?? "" : name),
    mayUpdate: tokens.some((token, i) => token === "DO" && tokens[i + 1] === "UPDATE")
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

  /** To be called before a statement runs; the function it gives, behind it, with the number of rows that were written. */
  watch(text: string): (rowsAffected: number) => number | bigint | undefined {
    const insert = insertOf(text)
    if (insert === undefined) {
      return () => undefined
    }
    const before = insert.mayUpdate ? this.last : undefined
    return (rowsAffected) => {
      if (rowsAffected === 0 || !this.hasRowid(insert)) {
        return undefined
      }
      const { last } = this
      // A rowid is an integer.
      return last === before ? undefined : last as number | bigint
    }
  }
}
