/**
 * The names of constraints, tables and columns in the server's messages. SQL Server gives them nowhere else.
 */

/** What a message names, with the fields of a `QueryError`. */
export interface Names {
  readonly constraint?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
}

/**
 * The table in a name of so many parts (`dbo.t`: 2, `db.dbo.t`: 3). In one of more parts a name holds a dot, and nothing says which
 * dot it is.
 */
const tableIn = (name: string | undefined, count: number): Names => {
  const parts = name?.split(".") ?? []
  return parts.length === count ? { schema: parts[count - 2]!, table: parts[count - 1]! } : {}
}

/** As it stands in the statement: with its schema or without. */
const objectIn = (name: string | undefined): Names => {
  if (name === undefined) return {}
  const parts = name.split(".")
  const table = parts[parts.length - 1]!
  const schema = parts[parts.length - 2]
  return schema === undefined ? { table } : { schema, table }
}

const named = (key: "constraint" | "column" | "table" | "schema", name: string | undefined): Names =>
  name === undefined ? {} : { [key]: name }

/** The names in a message, each behind its words. Values, which may hold any words, come behind them. */
type Read = (message: string) => ReadonlyArray<string | undefined> | undefined

/** The message as the server has it in English, so that a name may hold quotes and words of its own. */
const english = (pattern: RegExp): Read => (message) => pattern.exec(message)?.slice(1)

/** In the other languages: what stands in quotes, in the message's order. An apostrophe within a word is none. */
const quotedBy = (quote: "'" | "\""): Read => (message) => {
  const pattern = new RegExp(
    `(?<![A-Za-z\\u00C0-\\u024F])${quote}([^${quote}]*)${quote}(?![A-Za-z\\u00C0-\\u024F])`,
    "g"
  )
  return Array.from(message.matchAll(pattern), ([, name]) => name)
}

const single = quotedBy("'")
const double = quotedBy("\"")

const first = (message: string, ...reads: ReadonlyArray<Read>): ReadonlyArray<string | undefined> => {
  for (const read of reads) {
    const found = read(message)
    if (found !== undefined) return found
  }
  return []
}

const duplicateKey = english(
  /^Violation of .*? constraint '(.*?)'\. Cannot insert duplicate key in object '(.*?)'\.(?: The duplicate key value is |\s*$)/s
)
const duplicateRow = english(
  /^Cannot insert duplicate key row in object '(.*?)' with unique index '(.*?)'\.(?: The duplicate key value is |\s*$)/s
)
const conflict = english(
  /^The .*? statement conflicted with the .*? constraint "(.*?)"\. The conflict occurred in database ".*?", table "(.*?)"(?:, column '(.*)')?\.\s*$/s
)
const nullValue = english(
  /^Cannot insert the value NULL into column '(.*?)', table '(.*)'; column does not allow nulls\./s
)
const truncated = english(
  /^String or binary data would be truncated in table '(.*?)', column '(.*?)'\.(?: Truncated value: '|\s*$)/s
)
const columnName = english(/^Invalid column name '(.*)'\.\s*$/s)
const objectName = english(/^Invalid object name '(.*)'\.\s*$/s)
const permission = english(
  /^The .*? permission was denied on the object '(.*)', database '.*', schema '(.*)'\.\s*$/s
)

/** A name of the last part of a message, where there is one: `, column 'x'`. */
const lastOf = (read: Read, message: string): string | undefined => read(message)?.at(-1)

/**
 * Whether 547 is about a check. The kind of constraint is a word of the language, not of the message's translation, and stands before
 * the first name.
 */
export const isCheck = (message: string): boolean => /\bCHECK\b/.test(message.split("\"", 1)[0]!)

/** The names in a message with this number. What cannot be told is left out. */
export const namesIn = (number: number, message: string): Names => {
  switch (number) {
    case 2627: {
      const [constraint, table] = first(message, duplicateKey, single)
      return { ...named("constraint", constraint), ...tableIn(table, 2) }
    }
    case 2601: {
      const [table, constraint] = first(message, duplicateRow, single)
      return { ...tableIn(table, 2), ...named("constraint", constraint) }
    }
    case 547: {
      const known = conflict(message)
      if (known !== undefined) {
        const [constraint, table, column] = known
        return { ...named("constraint", constraint), ...tableIn(table, 2), ...named("column", column) }
      }
      const [constraint, , table] = first(message, double)
      return { ...named("constraint", constraint), ...tableIn(table, 2), ...named("column", lastOf(single, message)) }
    }
    case 515: {
      const [column, table] = first(message, nullValue, single)
      return { ...named("column", column), ...tableIn(table, 3) }
    }
    case 2628: {
      const [table, column] = first(message, truncated, single)
      return { ...tableIn(table, 3), ...named("column", column) }
    }
    case 207:
      return named("column", first(message, columnName, single)[0])
    case 208:
      return objectIn(first(message, objectName, single)[0])
    case 229: {
      const known = permission(message)
      const [table, schema] = known ?? [single(message)?.[0], single(message)?.[2]]
      return { ...named("table", table), ...named("schema", schema) }
    }
    default:
      return {}
  }
}
