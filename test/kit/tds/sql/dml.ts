/**
 * INSERT, UPDATE and DELETE as SQLite's SQL, and SQLite's complaints as SQL Server's errors.
 *
 * Exports: `compileInsert`, `compileUpdate`, `compileDelete`, `constraintError`.
 */
import { TsqlError, unsupported } from "../types.js"
import * as Types from "../types.js"
import type { Expression, ObjectName, SelectItem, Statement } from "./ast.js"
import { type Catalog, type ColumnInfo, quote, type TableInfo } from "./catalog.js"
import { compileExpression, compilePredicate, renamed } from "./compile.js"
import { Cursor } from "./cursor.js"
import { tokenize } from "./lexer.js"
import { compileItems, compileQuery, compileSources, type QueryColumn, tableSource } from "./query.js"
import { parseExpression } from "./queryParser.js"
import { coerce, type Compiled, type Context, makeScope, objectMissing, type ScopeSource } from "./scope.js"

export interface CompiledWrite {
  readonly sql: string
  /** The columns of OUTPUT, where there is one. */
  readonly columns: ReadonlyArray<QueryColumn> | undefined
  readonly table: TableInfo
  /** Of an INSERT of one row of values: each column's value, to name the key that is there already. */
  readonly row: ReadonlyMap<string, Compiled> | undefined
  /** Whether the statement makes identity values. */
  readonly identity: boolean
}

const target = (context: Context, name: ObjectName, action: string): TableInfo => {
  if (context.systemTable(name) !== undefined) {
    throw new TsqlError(259, "Ad hoc updates to system catalogs are not allowed.", 16, 1, name.line)
  }
  const table = context.table(name)
  if (table === undefined) throw objectMissing(name)
  context.checkPermission(action, table)
  return table
}

const columnOf = (table: TableInfo, name: string, line: number): ColumnInfo => {
  const column = table.columns.find((one) => one.name.toLowerCase() === name.toLowerCase())
  if (column === undefined) throw new TsqlError(207, `Invalid column name '${name}'.`, 16, 1, line)
  return column
}

/** The value that a column has when none is given. */
export const defaultOf = (context: Context, column: ColumnInfo): Compiled => {
  if (column.default === undefined) return { sql: "NULL", type: column.type, nullable: true }
  const expression = parseExpression(new Cursor(tokenize(column.default), column.default))
  return coerce(compileExpression(context, undefined, expression), column.type, "assign")
}

/** RETURNING knows the columns of the table alone, without a name before them. */
const returning = (
  context: Context,
  table: TableInfo,
  output: ReadonlyArray<SelectItem> | undefined,
  alias: "INSERTED" | "DELETED"
): { readonly sql: string; readonly columns: ReadonlyArray<QueryColumn> | undefined } => {
  if (output === undefined) return { sql: "", columns: undefined }
  context.checkPermission("SELECT", table)
  const source: ScopeSource = {
    alias,
    columns: tableSource(table.columns, alias).columns.map((column) => ({ ...column, sql: quote(column.name) }))
  }
  const items = compileItems(context, makeScope([source], undefined), output)
  return {
    sql: ` RETURNING ${items.map((item) => item.sql).join(", ")}`,
    columns: items.map((item) => ({
      name: item.name,
      type: item.type ?? Types.int,
      nullable: item.nullable,
      identity: item.identity
    }))
  }
}

const place = (table: TableInfo): string => `${table.temporary ? "temp." : "main."}${quote(table.sqlite)}`

export const compileInsert = (
  context: Context,
  statement: Extract<Statement, { tag: "insert" }>,
  identityInsert: string | undefined
): CompiledWrite => {
  const table = target(context, statement.table, "INSERT")
  const identity = table.columns.find((column) => column.identity !== undefined)
  const explicit = identityInsert?.toLowerCase() === table.sqlite.toLowerCase()
  const given = statement.columns === undefined
    ? table.columns.filter((column) => column.identity === undefined || explicit)
    : statement.columns.map((name) => columnOf(table, name, statement.line))
  if (new Set(given.map((_) => _.name)).size !== given.length) {
    throw new TsqlError(
      264,
      "The column name is specified more than once in the SET clause or column list of an INSERT.",
      16
    )
  }
  if (identity !== undefined && given.includes(identity) !== explicit && (given.includes(identity) || explicit)) {
    throw explicit
      ? new TsqlError(
        545,
        `Explicit value must be specified for identity column in table '${table.name}' when IDENTITY_INSERT is set to ON.`
      )
      : new TsqlError(
        544,
        `Cannot insert explicit value for identity column in table '${table.name}' when IDENTITY_INSERT is set to OFF.`
      )
  }
  const missing = table.columns.filter((column) => !given.includes(column))
  const filled = missing.map((column) =>
    column.identity === undefined ? defaultOf(context, column).sql : `ts_ident('${table.sqlite.replaceAll("'", "''")}')`
  )
  const columns = [...given, ...missing].map((column) => quote(column.name)).join(", ")
  const { columns: outputs, sql: suffix } = returning(context, table, statement.output, "INSERTED")
  const finish = (
    body: string,
    row: ReadonlyMap<string, Compiled> | undefined
  ): CompiledWrite => ({
    sql: `INSERT INTO ${place(table)} (${columns}) ${body}${suffix}`,
    columns: outputs,
    table,
    row,
    identity: identity !== undefined
  })
  const { source } = statement
  if (source.tag === "defaults") {
    const values = [...given.map((column) => defaultOf(context, column).sql), ...filled]
    return finish(`VALUES (${values.join(", ")})`, undefined)
  }
  if (source.tag === "rows") {
    const rows = source.rows.map((row) => {
      if (row.length !== given.length) {
        throw new TsqlError(
          statement.columns === undefined ? 213 : row.length < given.length ? 109 : 110,
          statement.columns === undefined
            ? "Column name or number of supplied values does not match table definition."
            : "There are more or fewer columns in the INSERT statement than values specified in the VALUES clause.",
          15
        )
      }
      return row.map((e: Expression | undefined, i) =>
        e === undefined
          ? defaultOf(context, given[i]!)
          : coerce(compileExpression(context, undefined, e), given[i]!.type, "assign")
      )
    })
    const lines = rows.map((row) => `(${[...row.map((_) => _.sql), ...filled].join(", ")})`)
    return finish(
      `VALUES ${lines.join(", ")}`,
      rows.length === 1 ? new Map(given.map((column, i) => [column.name, rows[0]![i]!])) : undefined
    )
  }
  const query = compileQuery(context, source.query, undefined)
  if (query.columns.length !== given.length) {
    throw new TsqlError(
      query.columns.length < given.length ? 120 : 121,
      "The select list for the INSERT statement contains more or fewer items than the insert list."
    )
  }
  const values = query.columns.map((column, i) =>
    coerce({ sql: `"c${i}"`, type: column.type, nullable: true }, given[i]!.type, "assign").sql
  )
  // WHERE true: without it SQLite takes what follows for an upsert clause.
  return finish(
    `SELECT ${[...values, ...filled].join(", ")} FROM (${renamed(query.sql, query.columns.length)}) WHERE true`,
    undefined
  )
}

export const compileUpdate = (context: Context, statement: Extract<Statement, { tag: "update" }>): CompiledWrite => {
  const table = target(context, statement.target, "UPDATE")
  const own = tableSource(table.columns, statement.target.name)
  const from = statement.from === undefined ? undefined : compileSources(context, statement.from, undefined)
  if (from?.sources.some((source) => source.alias.toLowerCase() === own.alias.toLowerCase()) === true) {
    throw unsupported("UPDATE whose FROM names its own table", statement.line)
  }
  const scope = makeScope([own, ...(from?.sources ?? [])], undefined)
  const assignments = statement.assignments.map(({ column: name, value: e }) => {
    const column = columnOf(table, name, statement.line)
    if (column.identity !== undefined) throw new TsqlError(8102, `Cannot update identity column '${column.name}'.`)
    const compiled = e === undefined
      ? defaultOf(context, column)
      : coerce(compileExpression(context, scope, e), column.type, "assign")
    return `${quote(column.name)} = ${compiled.sql}`
  })
  const where = statement.where === undefined ? "" : ` WHERE ${compilePredicate(context, scope, statement.where)}`
  const { columns, sql } = returning(context, table, statement.output, "INSERTED")
  return {
    sql: `UPDATE ${place(table)} AS ${quote(own.alias)} SET ${assignments.join(", ")}${
      from === undefined ? "" : ` FROM ${from.sql}`
    }${where}${sql}`,
    columns,
    table,
    row: undefined,
    identity: false
  }
}

export const compileDelete = (context: Context, statement: Extract<Statement, { tag: "delete" }>): CompiledWrite => {
  const table = target(context, statement.target, "DELETE")
  const scope = makeScope([tableSource(table.columns, statement.target.name)], undefined)
  const where = statement.where === undefined ? "" : ` WHERE ${compilePredicate(context, scope, statement.where)}`
  const { columns, sql } = returning(context, table, statement.output, "DELETED")
  return {
    sql: `DELETE FROM ${place(table)} AS ${quote(statement.target.name)}${where}${sql}`,
    columns,
    table,
    row: undefined,
    identity: false
  }
}

/** What SQLite's refusal is on SQL Server, or undefined where it is a fault of this server. */
export const constraintError = (
  message: string,
  verb: "INSERT" | "UPDATE" | "DELETE",
  database: string,
  table: TableInfo,
  catalog: Catalog,
  keyValue: (columns: ReadonlyArray<string>) => string
): TsqlError | undefined => {
  const object = `${table.schema}.${table.name}`
  const notNull = /^NOT NULL constraint failed: (.+)\.([^.]+)$/.exec(message)
  if (notNull !== null) {
    return new TsqlError(
      515,
      `Cannot insert the value NULL into column '${
        notNull[2]
      }', table '${database}.${object}'; column does not allow nulls. ${verb} fails.`,
      16,
      2
    )
  }
  const unique = /^UNIQUE constraint failed: (.+)$/.exec(message)
  if (unique !== null) {
    const index = /^index '(.+)\/([^/]+)'$/.exec(unique[1]!)
    const columns = index === null ? unique[1]!.split(", ").map((_) => _.slice(table.sqlite.length + 1)) : []
    const key = table.keys.find((one) =>
      index !== null
        ? one.name === index[2]
        : one.columns.length === columns.length &&
          one.columns.every((name, i) => name.toLowerCase() === columns[i]!.toLowerCase())
    )
    if (key === undefined) return undefined
    const value = keyValue(key.columns)
    return key.kind === "index"
      ? new TsqlError(
        2601,
        `Cannot insert duplicate key row in object '${object}' with unique index '${key.name}'.${value}`,
        14
      )
      : new TsqlError(
        2627,
        `Violation of ${
          key.kind === "primary" ? "PRIMARY KEY" : "UNIQUE KEY"
        } constraint '${key.name}'. Cannot insert duplicate key in object '${object}'.${value}`,
        14
      )
  }
  const check = /^CHECK constraint failed: (.+)$/.exec(message)
  if (check !== null) {
    return new TsqlError(
      547,
      `The ${verb} statement conflicted with the CHECK constraint "${
        check[1]
      }". The conflict occurred in database "${database}", table "${object}".`,
      16,
      0
    )
  }
  const foreign = /^(foreign|reference):([^:]+):(.+)$/.exec(message)
  if (foreign !== null) {
    const child = catalog.find(foreign[3]!)
    const key = child?.foreign.find((one) => one.name === foreign[2])
    if (child === undefined || key === undefined) return undefined
    return foreign[1] === "foreign"
      ? new TsqlError(
        547,
        `The ${verb} statement conflicted with the FOREIGN KEY constraint "${key.name}". The conflict occurred in database "${database}", table "dbo.${key.table}", column '${
          key.references[0]
        }'.`,
        16,
        0
      )
      : new TsqlError(
        547,
        `The ${verb} statement conflicted with the REFERENCE constraint "${key.name}". The conflict occurred in database "${database}", table "${child.schema}.${child.name}", column '${
          key.columns[0]
        }'.`,
        16,
        0
      )
  }
  return undefined
}
