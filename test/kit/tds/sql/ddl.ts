/** Tables and indexes: parsed and run. */
import { command } from "../tokens.js"
import { TsqlError, unsupported } from "../types.js"
import type { Statement } from "./batch.js"
import { type ColumnInfo, type ForeignInfo, type KeyInfo, named, type TableInfo } from "./catalog.js"
import { Cursor, type ObjectName } from "./cursor.js"
import { parseExpression, parsePredicate } from "./expression.js"
import { Context, literal, quote, same, tableSource } from "./scope.js"
import type { Session } from "./session.js"

/** What a column or a constraint adds to a table. */
type Part = (table: TableInfo, session: Session) => Partial<TableInfo>

const missing = (number: number, { name }: ObjectName): TsqlError =>
  new TsqlError(number, `Cannot find the object '${name}', because it does not exist or you do not have permission.`)

/** A change of definitions: all of it, or nothing. */
const change = (body: (session: Session) => void): Statement => async ({ session, signal, sink }) => {
  await session.write(signal)
  session.db.exec(`SAVEPOINT "statement"`)
  try {
    body(session)
    session.db.exec(`RELEASE "statement"`)
    session.autocommit()
  } catch (error) {
    session.db.exec(`ROLLBACK TO "statement"; RELEASE "statement"`)
    if (session.transactionCount === 0) session.rollbackAll(undefined)
    throw error
  }
  sink.done(command.none, undefined, false)
}

/** A condition as SQLite takes it in a definition: its values are written out. */
const checkSql = (session: Session, columns: ReadonlyArray<ColumnInfo>, text: string): string => {
  const context = new Context(session, new Map())
  const source = tableSource(columns, "t")
  const own = { ...source, columns: source.columns.map((column) => ({ ...column, sql: quote(column.name) })) }
  const sql = parsePredicate(new Cursor(text))({ context, sources: [own] })
  return sql.replace(/:(p\d+)/g, (_, name: string) => {
    const value = context.parameters[name]
    return typeof value === "string" ? literal(value) : String(value)
  })
}

const keyPart = (name: string | undefined, kind: KeyInfo["kind"], columns: ReadonlyArray<string>): Part => (table) => {
  const given = name ?? `${kind === "primary" ? "PK" : "UQ"}__${table.name}__${table.keys.length}`
  return {
    keys: [...table.keys, { name: given, kind, columns }],
    columns: table.columns.map((column) =>
      kind === "primary" && columns.some((one) => same(one, column.name)) ? { ...column, nullable: false } : column
    )
  }
}

const foreignPart = (c: Cursor, name: string | undefined, columns: ReadonlyArray<string>): Part => {
  c.expect("REFERENCES")
  const to = c.objectName()
  const references = c.nameList()
  return (table, session) => {
    const referred = session.catalog.find(to)
    if (referred === undefined) throw missing(1767, to)
    const key: ForeignInfo = {
      name: name ?? `FK__${table.name}__${table.foreign.length}`,
      columns,
      table: referred.name,
      references
    }
    return { foreign: [...table.foreign, key] }
  }
}

const checkPart = (c: Cursor, name: string | undefined): Part =>
  c.inside(() => {
    const first = c.token
    parsePredicate(c)
    const text = c.textFrom(first)
    return (table, session) => ({
      checks: [...table.checks, {
        name: name ?? `CK__${table.name}__${table.checks.length}`,
        sqlite: checkSql(session, table.columns, text)
      }]
    })
  })

/** A constraint that begins here; those of a column stand behind it. */
const parseConstraint = (c: Cursor, column: string | undefined): Part | undefined => {
  const name = c.words("CONSTRAINT") ? c.name() : undefined
  const columns = (): ReadonlyArray<string> => column === undefined ? c.nameList() : [column]
  if (c.words("PRIMARY", "KEY")) return keyPart(name, "primary", columns())
  if (c.words("UNIQUE")) return keyPart(name, "unique", columns())
  if (c.words("CHECK")) return checkPart(c, name)
  if (c.words("FOREIGN", "KEY") || (column !== undefined && c.isWord("REFERENCES"))) {
    return foreignPart(c, name, columns())
  }
  if (name !== undefined) throw c.fail()
  return undefined
}

/** A column with what stands behind its type. */
const parseColumn = (c: Cursor): { readonly column: ColumnInfo; readonly parts: ReadonlyArray<Part> } => {
  let column: ColumnInfo = { name: c.name(), type: c.type(true), nullable: true }
  const parts: Array<Part> = []
  for (;;) {
    if (c.words("NOT", "NULL")) column = { ...column, nullable: false }
    else if (c.words("NULL")) column = { ...column, nullable: true }
    else if (c.words("IDENTITY")) column = { ...column, identity: true, nullable: false }
    else if (c.words("DEFAULT")) {
      const first = c.token
      parseExpression(c)
      column = { ...column, default: c.textFrom(first) }
    } else {
      const part = parseConstraint(c, column.name)
      if (part === undefined) return { column, parts }
      parts.push(part)
    }
  }
}

const parseTable = (c: Cursor): Statement => {
  const name = c.objectName()
  const columns: Array<ColumnInfo> = []
  const parts: Array<Part> = []
  c.inside(() =>
    c.list(() => {
      const constraint = parseConstraint(c, undefined)
      if (constraint !== undefined) return parts.push(constraint)
      const one = parseColumn(c)
      parts.push(...one.parts)
      return columns.push(one.column)
    })
  )
  return change((session) => {
    const { catalog } = session
    if (catalog.find(name) !== undefined) {
      throw new TsqlError(2714, `There is already an object named '${name.name}' in the database.`, 16, 6)
    }
    let table: TableInfo = { ...named(name), id: catalog.nextId(), columns, keys: [], checks: [], foreign: [] }
    for (const part of parts) table = { ...table, ...part(table, session) }
    catalog.create(table)
    session.created(table)
  })
}

export const parseCreate = (c: Cursor): Statement => {
  if (c.words("TABLE")) return parseTable(c)
  const unique = c.words("UNIQUE")
  if (!c.words("INDEX")) throw unsupported(`CREATE ${c.token.text.toUpperCase()}`)
  const name = c.name()
  c.expect("ON")
  const on = c.objectName()
  const columns = c.nameList()
  return change(({ catalog }) => {
    const table = catalog.find(on)
    if (table === undefined) throw missing(1088, on)
    // What is not unique changes no answer.
    if (unique) catalog.addKey(table, { name, kind: "index", columns })
  })
}

export const parseDrop = (c: Cursor): Statement => {
  if (!c.words("TABLE")) throw unsupported(`DROP ${c.token.text.toUpperCase()}`)
  const ifExists = c.words("IF", "EXISTS")
  const name = c.objectName()
  return change((session) => {
    const table = session.catalog.find(name)
    if (table === undefined) {
      if (ifExists) return
      throw missing(3701, name)
    }
    session.catalog.drop(table)
  })
}
