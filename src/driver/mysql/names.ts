/**
 * The names of constraints, tables and columns in the server's messages. MySQL gives them nowhere else.
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
  readonly position?: number
}

/** `d.t` or `t`. */
const tableIn = (name: string | undefined): Names => {
  if (name === undefined) return {}
  const dot = name.indexOf(".")
  return dot === -1 ? { table: name } : { schema: name.slice(0, dot), table: name.slice(dot + 1) }
}

const columnIn = (name: string | undefined): Names => name === undefined ? {} : { column: name }

/** The last quoted thing is the key, in every language of the server; the value before it may hold quotes itself. */
const keyIn = (message: string): Names => {
  const key = /.*'(.*)'/s.exec(message)?.[1]
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
  return columnIn(/.*'([^']+)'/s.exec(message)?.[1])
}

/** `near '...' at line 2`: the place in the statement, from 1. What is quoted is the rest of it, or the rest's beginning. */
const positionIn = (message: string, statement: string | undefined): Names => {
  const rest = /near '(.*)' at line \d+/s.exec(message)?.[1]
  if (rest === undefined || statement === undefined) return {}
  const at = statement.endsWith(rest) ? statement.length - rest.length : statement.indexOf(rest)
  return at === -1 ? {} : { position: at + 1 }
}

/**
 * The names in a message, by its number.
 *
 * @since 0.1.0
 * @category getters
 */
export const namesIn = (code: number, message: string, statement: string | undefined): Names => {
  switch (code) {
    case 1022:
    case 1062:
    case 1169:
    case 1586:
      return keyIn(message)
    case 1451:
    case 1452:
      return foreignKeyIn(message)
    case 1048:
    case 1054:
    case 1364:
      return columnIn(/'([^']*)'/.exec(message)?.[1])
    case 1264:
    case 1265:
    case 1292:
    case 1366:
    case 1406:
      return rowColumnIn(message)
    case 1051:
    case 1109:
    case 1146:
      return tableIn(/'([^']*)'/.exec(message)?.[1])
    case 3819: {
      const name = /'([^']*)'/.exec(message)?.[1]
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
