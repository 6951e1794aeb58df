/**
 * The names of constraints, tables and columns in the server's messages. SQL Server gives them nowhere else.
 *
 * @since 0.1.0
 */

/**
 * What a message names, with the fields of a `QueryError`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Names {
  readonly constraint?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
}

/** `dbo.t`, `db.dbo.t` or `t`. */
const tableIn = (name: string | undefined): Names => {
  if (name === undefined) return {}
  const parts = name.split(".")
  const table = parts[parts.length - 1]!
  const schema = parts[parts.length - 2]
  return schema === undefined ? { table } : { schema, table }
}

const named = (key: "constraint" | "column", name: string | undefined): Names =>
  name === undefined ? {} : { [key]: name }

/** What stands in quotes, in the message's order. Names come before values, in every language of the server. */
const quoted = (message: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const match of message.matchAll(/'([^']*)'|"([^"]*)"/g)) found.push(match[1] ?? match[2]!)
  return found
}

/**
 * The names in a message with this number.
 *
 * @since 0.1.0
 * @category getters
 */
export const namesIn = (number: number, message: string): Names => {
  const all = quoted(message)
  switch (number) {
    // Violation of UNIQUE KEY constraint 'c'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key ...
    case 2627:
      return { ...named("constraint", all[0]), ...tableIn(all[1]) }
    // Cannot insert duplicate key row in object 'dbo.t' with unique index 'i'. The duplicate key ...
    case 2601:
      return { ...tableIn(all[0]), ...named("constraint", all[1]) }
    // The INSERT statement conflicted with the CHECK constraint "c". The conflict occurred in database "d", table "dbo.t", column 'x'.
    case 547:
      return { ...named("constraint", all[0]), ...tableIn(all[2]), ...named("column", all[3]) }
    // Cannot insert the value NULL into column 'c', table 'd.dbo.t'; ...
    case 515:
      return { ...named("column", all[0]), ...tableIn(all[1]) }
    // String or binary data would be truncated in table 'd.dbo.t', column 'c'. Truncated value: '...'.
    case 2628:
      return { ...tableIn(all[0]), ...named("column", all[1]) }
    case 207:
      return named("column", all[0])
    case 208:
      return tableIn(all[0])
    // The SELECT permission was denied on the object 't', database 'd', schema 'dbo'.
    case 229:
      return { ...(all[0] === undefined ? {} : { table: all[0] }), ...(all[2] === undefined ? {} : { schema: all[2] }) }
    default:
      return {}
  }
}
