/** INSERT, UPDATE and DELETE: parsed, compiled and run; and SQLite's complaints as SQL Server's errors. */
import * as Tokens from "../tokens.js"
import { TsqlError, type Value } from "../types.js"
import { finished, type Run, type Statement } from "./batch.js"
import type { ColumnInfo, TableInfo } from "./catalog.js"
import { Cursor, type ObjectName } from "./cursor.js"
import { type Expression, parseExpression, parsePredicate } from "./expression.js"
import { parseItems, parseSource, toColumn } from "./query.js"
import {
  coerce,
  type Column,
  type Compiled,
  Context,
  literal,
  objectMissing,
  quote,
  same,
  type Scope,
  tableSource
} from "./scope.js"
import { systemTable } from "./system.js"

type Verb = "INSERT" | "UPDATE" | "DELETE"

interface Write {
  readonly sql: string
  /** The columns of OUTPUT, where there is one. */
  readonly columns: ReadonlyArray<Column> | undefined
  readonly table: TableInfo
  /** Of an INSERT of one row of values: each column's value, to name the key that is there already. */
  readonly row?: ReadonlyMap<string, Compiled> | undefined
}

const target = ({ session }: Context, name: ObjectName): TableInfo => {
  const table = systemTable(session, name) === undefined ? session.catalog.find(name) : undefined
  if (table === undefined) throw objectMissing(name)
  return table
}

const columnOf = (table: TableInfo, name: string): ColumnInfo => {
  const column = table.columns.find((one) => same(one.name, name))
  if (column === undefined) throw new TsqlError(207, `Invalid column name '${name}'.`)
  return column
}

/** The value that a column has when none is given. */
export const defaultOf = (context: Context, table: TableInfo, column: ColumnInfo): Compiled => {
  if (column.identity !== undefined) {
    return { sql: `ts_ident(${literal(table.name)})`, type: column.type, nullable: false }
  }
  if (column.default === undefined) return { sql: "NULL", type: column.type, nullable: true }
  return coerce(parseExpression(new Cursor(column.default)).compile({ context, sources: [] }), column.type, "assign")
}

/** A value for a column. */
const assigned = (scope: Scope, table: TableInfo, column: ColumnInfo, given: Expression | undefined): Compiled => {
  if (given === undefined) return defaultOf(scope.context, table, column)
  if (given.variable !== undefined && !scope.context.variables.has(given.variable)) {
    scope.context.described?.set(given.variable, column.type)
  }
  return coerce(given.compile(scope), column.type, "assign")
}

type Output = (scope: Scope, table: TableInfo) => Pick<Write, "columns" | "sql">

/** OUTPUT. SQLite's RETURNING knows the columns of the table alone, without a name before them. */
const parseOutput = (c: Cursor, alias: "INSERTED" | "DELETED"): Output => {
  if (!c.words("OUTPUT")) return () => ({ sql: "", columns: undefined })
  const items = parseItems(c)
  return ({ context }, table) => {
    const { columns } = tableSource(table.columns, alias)
    const source = { alias, columns: columns.map((column) => ({ ...column, sql: quote(column.name) })) }
    const compiled = items({ context, sources: [source] })
    return { sql: ` RETURNING ${compiled.map(({ sql }) => sql).join(", ")}`, columns: compiled.map(toColumn) }
  }
}

/** A value, or DEFAULT. */
const parseGiven = (c: Cursor): Expression | undefined => c.words("DEFAULT") ? undefined : parseExpression(c)

export const parseInsert = (c: Cursor): Statement => {
  c.words("INTO")
  const name = c.objectName()
  const names = c.isSymbol("(") ? c.nameList() : undefined
  const output = parseOutput(c, "INSERTED")
  const rows = c.words("DEFAULT", "VALUES")
    ? [[]]
    : (c.expect("VALUES"), c.list(() => c.inside(() => c.list(() => parseGiven(c)))))
  return write("INSERT", (context) => {
    const scope: Scope = { context, sources: [] }
    const table = target(context, name)
    const explicit = context.session.identityInsert === table.name.toLowerCase()
    const all = table.columns.filter(({ identity }) => identity === undefined || explicit)
    const given = rows[0]?.length === 0 ? [] : names?.map((one) => columnOf(table, one)) ?? all
    const identity = table.columns.find((column) => column.identity !== undefined)
    if (identity !== undefined && given.includes(identity) !== explicit) {
      const number = explicit ? 545 : 544
      throw new TsqlError(number, `The identity column in table '${table.name}' against what IDENTITY_INSERT says.`)
    }
    const missing = table.columns.filter((column) => !given.includes(column))
    const filled = missing.map((column) => defaultOf(context, table, column).sql)
    const { columns, sql: returning } = output(scope, table)
    const compiled = rows.map((row) => {
      if (row.length !== given.length) {
        throw new TsqlError(213, "Column name or number of supplied values does not match table definition.")
      }
      return row.map((one, i) => assigned(scope, table, given[i]!, one))
    })
    const lines = compiled.map((row) => `(${[...row.map(({ sql }) => sql), ...filled].join(", ")})`)
    const written = [...given, ...missing].map((column) => quote(column.name))
    return {
      sql: `INSERT INTO ${table.place} (${written.join(", ")}) VALUES ${lines.join(", ")}${returning}`,
      columns,
      table,
      row: compiled.length === 1 ? new Map(given.map((column, i) => [column.name, compiled[0]![i]!])) : undefined
    }
  })
}

export const parseUpdate = (c: Cursor): Statement => {
  const name = c.objectName()
  c.expect("SET")
  const assignments = c.list(() => {
    const column = c.name()
    c.expectSymbol("=")
    return { column, value: parseGiven(c) }
  })
  const output = parseOutput(c, "INSERTED")
  const from = c.words("FROM") ? parseSource(c) : undefined
  const where = c.words("WHERE") ? parsePredicate(c) : undefined
  return write("UPDATE", (context) => {
    const table = target(context, name)
    const source = from?.(context, undefined)
    const scope: Scope = { context, sources: [tableSource(table.columns, name.name), ...source?.sources ?? []] }
    const sets = assignments.map(({ column, value }) => {
      const found = columnOf(table, column)
      return `${quote(found.name)} = ${assigned(scope, table, found, value).sql}`
    })
    const { columns, sql } = output(scope, table)
    return {
      sql: `UPDATE ${table.place} AS ${quote(name.name)} SET ${sets.join(", ")}${
        source === undefined ? "" : ` FROM ${source.sql}`
      }${where === undefined ? "" : ` WHERE ${where(scope)}`}${sql}`,
      columns,
      table
    }
  })
}

export const parseDelete = (c: Cursor): Statement => {
  c.words("FROM")
  const name = c.objectName()
  const output = parseOutput(c, "DELETED")
  const where = c.words("WHERE") ? parsePredicate(c) : undefined
  return write("DELETE", (context) => {
    const table = target(context, name)
    const scope: Scope = { context, sources: [tableSource(table.columns, name.name)] }
    const { columns, sql } = output(scope, table)
    const condition = where === undefined ? "" : ` WHERE ${where(scope)}`
    return {
      sql: `DELETE FROM ${table.place} AS ${quote(name.name)}${condition}${sql}`,
      columns,
      table
    }
  })
}

const commands = {
  INSERT: Tokens.command.insert,
  UPDATE: Tokens.command.update,
  DELETE: Tokens.command.delete
} as const

const write = (verb: Verb, compile: (context: Context) => Write): Statement => async (run) => {
  const { session, signal, sink, variables } = run
  const look = new Context(session, variables)
  look.described = run.described
  compile(look)
  if (run.described !== undefined) return
  await session.write(signal)
  let rows: ReadonlyArray<ReadonlyArray<Value>> = []
  let count: bigint
  let columns: Write["columns"]
  try {
    // Once more: what happened while it waited may have changed what the names mean.
    const context = new Context(session, variables)
    const compiled = compile(context)
    columns = compiled.columns
    try {
      const prepared = session.db.prepare(compiled.sql).safeIntegers(true)
      // Rows of values as SQLite has them.
      if (columns !== undefined) rows = prepared.raw(true).all(context.parameters) as Array<ReadonlyArray<Value>>
      count = columns === undefined ? BigInt(prepared.run(context.parameters).changes) : BigInt(rows.length)
    } catch (error) {
      throw constraintError(run, error, verb, compiled, context)
    }
    session.autocommit()
    if (columns !== undefined) sink.columns(columns)
    for (const row of rows) await sink.row(columns!, row)
    finished(run, commands[verb], count)
  } catch (error) {
    if (session.transactionCount === 0) session.rollbackAll(undefined)
    throw error
  }
}

/** What SQLite's refusal is on SQL Server; the error itself where it is a fault of this server. */
const constraintError = (
  run: Run,
  error: unknown,
  verb: Verb,
  { row, table }: Write,
  context: Context
): unknown => {
  if (!(error instanceof Error) || !String(Reflect.get(error, "code")).startsWith("SQLITE_CONSTRAINT")) return error
  const { catalog, database } = run.session
  const object = `dbo.${table.name}`
  const notNull = /^NOT NULL constraint failed: .+\.([^.]+)$/.exec(error.message)
  if (notNull !== null) {
    return new TsqlError(
      515,
      `Cannot insert the value NULL into column '${notNull[1]}', table '${database.name}.${object}'; ` +
        `column does not allow nulls. ${verb} fails.`
    )
  }
  const unique = /^UNIQUE constraint failed: index '.+\/([^/]+)'$/.exec(error.message)
  const key = table.keys.find(({ name }) => name === unique?.[1])
  if (key !== undefined) {
    const values = row === undefined ? [] : key.columns.flatMap((name) => row.get(name) ?? [])
    const value = values.length === 0
      ? ""
      : ` The duplicate key value is (${values.map((one) => String(context.evaluate(one))).join(", ")}).`
    return key.kind === "index"
      ? new TsqlError(
        2601,
        `Cannot insert duplicate key row in object '${object}' with unique index '${key.name}'.${value}`,
        14
      )
      : new TsqlError(
        2627,
        `Violation of ${key.kind === "primary" ? "PRIMARY KEY" : "UNIQUE KEY"} constraint '${key.name}'. ` +
          `Cannot insert duplicate key in object '${object}'.${value}`,
        14
      )
  }
  const check = /^CHECK constraint failed: (.+)$/.exec(error.message)
  const foreign = /^(FOREIGN KEY|REFERENCE):([^:]+):(.+)$/.exec(error.message)
  const [kind, name] = check === null ? [foreign?.[1], foreign?.[2]] : ["CHECK", check[1]]
  if (name === undefined) return error
  const child = catalog.all().find(({ name }) => name === foreign?.[3])
  const parent = child?.foreign.find((one) => one.name === name)?.table
  const at = kind === "CHECK" ? object : kind === "REFERENCE" ? `dbo.${child?.name}` : `dbo.${parent}`
  return new TsqlError(
    547,
    `The ${verb} statement conflicted with the ${kind} constraint "${name}". ` +
      `The conflict occurred in database "${database.name}", table "${at}".`
  )
}
