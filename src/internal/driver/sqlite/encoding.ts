/**
 * Text that is not UTF-8. SQLite keeps any bytes as text; a string has U+FFFD in the place of those that are none, so that what is
 * read would not be what is stored.
 */
import { isUtf8 } from "node:buffer"
import type { Database } from "./moduleContract.js"
import type { Prepared } from "./statements.js"

/** Whether a value may be text that was read otherwise than it is stored. A text that holds U+FFFD itself looks the same. */
export const isReplaced = (value: unknown): boolean => typeof value === "string" && value.includes("\uFFFD")

/** A statement, because a pragma cannot be run beside an open cursor. */
const encodingOf = (db: Database): unknown => db.prepare("SELECT encoding FROM pragma_encoding").pluck().get()

/**
 * The first column of a SELECT that holds text which is not UTF-8; `undefined` where none does, or where that cannot be asked: of a
 * pragma, and in a database of another encoding. Runs the statement once more.
 */
export const malformedColumn = (
  db: Database,
  prepared: Prepared,
  params: ReadonlyArray<unknown>
): string | undefined => {
  if (!/^(?:SELECT|WITH|VALUES)$/.test(prepared.keyword) || encodingOf(db) !== "UTF-8") {
    return undefined
  }
  const names = prepared.statement.columns().map(({ name }) => name)
  const columns = names.map((_, i) => `c${i}`)
  const bytes = columns.map((column) => `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) END`)
  // The line feed ends a comment at the end of the statement.
  const text = prepared.text.replace(/;\s*$/, "")
  const statement = db.prepare(`WITH q (${columns.join(", ")}) AS (${text}\n) SELECT ${bytes.join(", ")} FROM q`)
  const rows = statement.raw(true).iterate(params)
  for (let next = rows.next(); next.done !== true; next = rows.next()) {
    // In raw mode every row is an array.
    const row = next.value as ReadonlyArray<unknown>
    const at = row.findIndex((value) => value instanceof Uint8Array && !isUtf8(value))
    if (at >= 0) {
      rows.return?.()
      return names[at]
    }
  }
  return undefined
}
