/**
 * The names of constraints, tables and columns in the server's messages. MySQL gives them nowhere else.
 */

/** What a message names, with the fields of a `QueryError`. */
export interface Names {
  readonly constraint?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly position?: number
}

/** `d.t` or `t`. */
const tableIn = (name: string | undefined): Names => {
  if (name === undefined) return {}
  const dot = name.indexOf(".")
  return dot === -1 ? { table: name } : { schema: name.slice(0, dot), table: name.slice(dot + 1) }
}

const columnIn = (name: string | undefined): Names => name === undefined ? {} : { column: name }

/**
 * What a message holds between its own words in English, so that a name may hold quotes and words of its own; in another language, what
 * `otherwise` finds.
 */
const within = (message: string, english: RegExp, otherwise: RegExp): string | undefined =>
  (english.exec(message) ?? otherwise.exec(message))?.[1]

/** The first quoted thing. A quote in a name ends it. */
const firstQuoted = /'([^']*)'/
/** The last quoted thing: the value before it may hold quotes itself. */
const lastQuoted = /.*'(.*)'/s

const keyIn = (message: string): Names => {
  const key = within(message, /^.* for key '(.*)'\s*$/s, lastQuoted)
  if (key === undefined) return {}
  const dot = key.indexOf(".")
  // MySQL 8 writes `table.key`, MariaDB `key`.
  return dot === -1 ? { constraint: key } : { table: key.slice(0, dot), constraint: key.slice(dot + 1) }
}

const identifier = "`((?:[^`]|``)*)`"
const unquote = (name: string): string => name.replaceAll("``", "`")

/** ``(`d`.`t`, CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES ...)`` */
const foreignKeyIn = (message: string): Names => {
  const found = new RegExp(`\\(${identifier}\\.${identifier}, CONSTRAINT ${identifier}`).exec(message)
  return found === null
    ? {}
    : { schema: unquote(found[1]!), table: unquote(found[2]!), constraint: unquote(found[3]!) }
}

/** ``... column `d`.`t`.`c` at row 1`` (MariaDB) or `... column 'c' at row 1`. */
const rowColumnIn = (message: string): Names => {
  const long = new RegExp(`.*${identifier}\\.${identifier}\\.${identifier}`, "s").exec(message)
  if (long !== null) return { schema: unquote(long[1]!), table: unquote(long[2]!), column: unquote(long[3]!) }
  return columnIn(within(message, /^.* column '(.*)' at row \d+\s*$/s, /.*'([^']+)'/s))
}

/** `near '...' at line 2`: the place in the statement, from 1. What is quoted is the rest of it, or the rest's beginning. */
const positionIn = (message: string, statement: string | undefined): Names => {
  const rest = /near '(.*)' at line \d+/s.exec(message)?.[1]
  if (rest === undefined || statement === undefined) return {}
  const at = statement.endsWith(rest) ? statement.length - rest.length : statement.indexOf(rest)
  return at === -1 ? {} : { position: at + 1 }
}

/** The names in a message, by its number. */
export const namesIn = (code: number, message: string, statement: string | undefined): Names => {
  switch (code) {
    case 1062:
    case 1586:
      return keyIn(message)
    // Can't write; duplicate key in table 't'. The key is not told.
    case 1022:
    case 1169:
      return tableIn(within(message, /^.* table '(.*)'\s*$/s, lastQuoted))
    case 1451:
    case 1452:
      return foreignKeyIn(message)
    case 1048:
      return columnIn(within(message, /^Column '(.*)' cannot be null\s*$/s, firstQuoted))
    case 1054:
      return columnIn(within(message, /^Unknown column '(.*)' in '[^']*'\s*$/s, firstQuoted))
    case 1364:
      return columnIn(within(message, /^Field '(.*)' doesn't have a default value\s*$/s, firstQuoted))
    case 1264:
    case 1265:
    case 1292:
    case 1366:
    case 1406:
      return rowColumnIn(message)
    case 1051:
    case 1109:
    case 1146:
      return tableIn(within(message, /^(?:Unknown table|Table) '(.*)'(?: in .*| doesn't exist.*)?\s*$/s, firstQuoted))
    case 3819: {
      const name = within(message, /^Check constraint '(.*)' is violated\.?\s*$/s, firstQuoted)
      return name === undefined ? {} : { constraint: name }
    }
    case 4025: {
      // CONSTRAINT `c` failed for `d`.`t`
      const found = new RegExp(`${identifier}.*${identifier}\\.${identifier}`).exec(message)
      return found === null
        ? {}
        : { constraint: unquote(found[1]!), schema: unquote(found[2]!), table: unquote(found[3]!) }
    }
    case 1064:
      return positionIn(message, statement)
    default:
      return {}
  }
}
