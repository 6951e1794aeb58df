/**
 * Queries as SQLite's SQL.
 *
 * Exports: `compileQuery`, `compileSources`, `compileItems`, `QueryColumn`.
 */
import * as Types from "../types.js"
import { type SqlType, TsqlError, unsupported } from "../types.js"
import type { Expression, Query, Select, SelectItem, SetOperation, Source } from "./ast.js"
import { quote } from "./catalog.js"
import { compileExpression, compilePredicate, renamed, sortKey, unify } from "./compile.js"
import { commonType } from "./convert.js"
import {
  coerce,
  type Compiled,
  type Context,
  makeScope,
  objectMissing,
  type Scope,
  type ScopeColumn,
  type ScopeSource
} from "./scope.js"

/** A column of an answer. */
export interface QueryColumn {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean
  readonly identity: boolean
}

export interface CompiledQuery {
  readonly sql: string
  readonly columns: ReadonlyArray<QueryColumn>
  /** Where every item sets a variable: their names, in order. */
  readonly assigns: ReadonlyArray<string> | undefined
}

const lockingHints = new Set(["UPDLOCK", "XLOCK", "TABLOCKX"])

/** A table's columns under an alias. */
export const tableSource = (
  columns: ReadonlyArray<
    { readonly name: string; readonly type: SqlType; readonly nullable?: boolean; readonly identity?: unknown }
  >,
  alias: string
): ScopeSource => ({
  alias,
  columns: columns.map((column) => ({
    name: column.name,
    type: column.type,
    nullable: column.nullable ?? true,
    identity: column.identity !== undefined,
    sql: `${quote(alias)}.${quote(column.name)}`
  }))
})

/** A FROM clause in SQLite's SQL, with what its names mean. */
export const compileSources = (
  context: Context,
  source: Source,
  parent: Scope | undefined
): { readonly sql: string; readonly sources: ReadonlyArray<ScopeSource> } => {
  switch (source.tag) {
    case "table": {
      const alias = source.alias ?? source.name.name
      const cte = source.name.schema === undefined ? context.ctes.get(source.name.name.toLowerCase()) : undefined
      if (cte !== undefined) {
        return { sql: `${quote(source.name.name)} AS ${quote(alias)}`, sources: [tableSource(cte, alias)] }
      }
      const system = context.systemTable(source.name)
      if (system !== undefined) {
        return { sql: `${quote(system.name)} AS ${quote(alias)}`, sources: [tableSource(system.columns, alias)] }
      }
      const info = context.table(source.name)
      if (info === undefined) throw objectMissing(source.name)
      context.checkPermission("SELECT", info)
      if (!info.temporary) context.reads = true
      if (source.hints.some((hint) => lockingHints.has(hint))) context.locking = true
      return {
        sql: `${info.temporary ? "temp." : "main."}${quote(info.sqlite)} AS ${quote(alias)}`,
        sources: [tableSource(info.columns, alias)]
      }
    }
    case "derived": {
      const query = compileQuery(context, source.query, undefined)
      const names = source.columns ?? query.columns.map((_) => _.name)
      if (names.length !== query.columns.length) {
        throw new TsqlError(8158, `'${source.alias}' has more columns than were specified in the column list.`)
      }
      if (names.some((name) => name === "")) {
        throw new TsqlError(
          8155,
          `No column name was specified for column ${names.indexOf("") + 1} of '${source.alias}'.`
        )
      }
      return {
        sql: `(${namedColumns(query.sql, names)}) AS ${quote(source.alias)}`,
        sources: [
          tableSource(
            query.columns.map((column, i) => ({ ...column, identity: undefined, name: names[i]! })),
            source.alias
          )
        ]
      }
    }
    case "values": {
      const rows = source.rows.map((row) => row.map((e) => compileExpression(context, parent, e)))
      const width = source.columns.length
      if (rows.some((row) => row.length !== width)) {
        throw new TsqlError(8158, `'${source.alias}' has a different number of columns than its column list.`)
      }
      const columns = source.columns.map((name, i) => ({ name, ...unify(rows.map((row) => row[i]!)) }))
      const lines = rows.map((_, r) => `(${columns.map((column) => column.sql[r]).join(", ")})`)
      return {
        sql: `(${namedColumns(`VALUES ${lines.join(", ")}`, source.columns)}) AS ${quote(source.alias)}`,
        sources: [tableSource(columns.map(({ name, type }) => ({ name, type })), source.alias)]
      }
    }
    case "join": {
      const left = compileSources(context, source.left, parent)
      const right = compileSources(context, source.right, parent)
      const outer = source.kind === "LEFT"
        ? right.sources.map((one) => ({
          ...one,
          columns: one.columns.map((column) => ({ ...column, nullable: true }))
        }))
        : right.sources
      const sources = [...left.sources, ...outer]
      const on = source.on === undefined
        ? ""
        : ` ON ${compilePredicate(context, makeScope(sources, parent), source.on)}`
      return { sql: `${left.sql} ${source.kind} JOIN ${right.sql}${on}`, sources }
    }
  }
}

const namedColumns = (sql: string, names: ReadonlyArray<string>): string =>
  `WITH "q"(${names.map(quote).join(", ")}) AS (${sql}) SELECT * FROM "q"`

interface Item extends Compiled {
  readonly name: string
  readonly identity: boolean
}

/** A select list (or OUTPUT list) with its stars written out. */
export const compileItems = (context: Context, scope: Scope, items: ReadonlyArray<SelectItem>): ReadonlyArray<Item> =>
  items.flatMap((item): ReadonlyArray<Item> => {
    if (item.tag === "star") {
      const sources = item.table === undefined
        ? scope.sources
        : scope.sources.filter((source) => source.alias.toLowerCase() === item.table!.toLowerCase())
      if (sources.length === 0) {
        throw item.table === undefined
          ? new TsqlError(263, "Must specify table to select from.")
          : new TsqlError(
            107,
            `The column prefix '${item.table}' does not match with a table name or alias name used in the query.`
          )
      }
      return sources.flatMap((source) =>
        source.columns.map((column) => {
          if (!scope.insideAggregate) scope.seen.columns.push({ sql: column.sql, name: column.name })
          return { ...column }
        })
      )
    }
    const compiled = compileExpression(context, scope, item.expression)
    const column = item.tag === "expression" && item.expression.tag === "column"
      ? scope.sources.flatMap((_) => _.columns).find((_) => _.sql === compiled.sql)
      : undefined
    return [{
      ...compiled,
      name: item.tag === "assign" ? "" : item.alias ?? column?.name ?? "",
      identity: column?.identity ?? false
    }]
  })

const rowCount = (context: Context, scope: Scope | undefined, e: Expression): string => {
  const compiled = compileExpression(context, scope, e)
  if (compiled.type === undefined || !Types.isInteger(compiled.type)) {
    throw new TsqlError(
      1060,
      "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.",
      15
    )
  }
  return compiled.sql
}

const toColumn = (item: Item): QueryColumn => ({
  name: item.name,
  type: item.type ?? Types.int,
  nullable: item.nullable,
  identity: item.identity
})

/** One SELECT, with the ORDER BY and row limits that belong to it. */
const compileSelect = (
  context: Context,
  select: Select,
  parent: Scope | undefined,
  outer: Pick<Query, "order" | "offset" | "fetch"> | undefined
): CompiledQuery => {
  if (select.into !== undefined) throw unsupported("SELECT INTO here", select.line)
  const from = select.from === undefined ? undefined : compileSources(context, select.from, parent)
  const scope = makeScope(from?.sources ?? [], parent)
  const where = select.where === undefined ? undefined : compilePredicate(context, scope, select.where)
  const groups = select.groupBy.map((e) => {
    if (e.tag !== "column") throw unsupported("GROUP BY of an expression", select.line)
    return compileExpression(context, scope, e).sql
  })
  scope.seen.columns.length = 0
  const items = compileItems(context, scope, select.items)
  const having = select.having === undefined ? undefined : compilePredicate(context, scope, select.having)
  const order = (outer?.order ?? []).map(({ descending, expression }) => {
    const key = orderKey(context, scope, items, expression)
    return key + (descending ? " DESC" : "")
  })
  if (scope.seen.aggregate || groups.length > 0) {
    const bare = scope.seen.columns.find((column) => !groups.includes(column.sql))
    if (bare !== undefined) {
      throw new TsqlError(
        8120,
        `Column '${bare.name}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.`,
        16,
        1,
        select.line
      )
    }
  }
  const assigns = select.items.filter((item) => item.tag === "assign").map((item) => item.variable)
  if (assigns.length > 0 && assigns.length !== select.items.length) {
    throw new TsqlError(
      141,
      "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.",
      15
    )
  }
  let sql = `SELECT ${select.distinct ? "DISTINCT " : ""}${
    items.map((item, i) => `${item.sql} AS ${quote(item.name === "" ? `c${i}` : item.name)}`).join(", ")
  }`
  if (from !== undefined) sql += ` FROM ${from.sql}`
  if (where !== undefined) sql += ` WHERE ${where}`
  if (groups.length > 0) sql += ` GROUP BY ${groups.join(", ")}`
  if (having !== undefined) sql += ` HAVING ${having}`
  if (order.length > 0) sql += ` ORDER BY ${order.join(", ")}`
  if (select.top !== undefined) {
    if (outer?.offset !== undefined) {
      throw new TsqlError(10741, "A TOP can not be used in the same query or sub-query as a OFFSET.", 15)
    }
    sql = `SELECT * FROM (${sql} LIMIT ${rowCount(context, undefined, select.top)})`
  } else sql += rowLimits(context, outer)
  return { sql, columns: items.map(toColumn), assigns: assigns.length === 0 ? undefined : assigns }
}

const rowLimits = (context: Context, outer: Pick<Query, "offset" | "fetch"> | undefined): string => {
  if (outer?.offset === undefined) return ""
  const fetch = outer.fetch === undefined ? "-1" : rowCount(context, undefined, outer.fetch)
  return ` LIMIT ${fetch} OFFSET ${rowCount(context, undefined, outer.offset)}`
}

/** ORDER BY takes a column's number, an alias of the select list, or an expression. */
const orderKey = (context: Context, scope: Scope, items: ReadonlyArray<Item>, e: Expression): string => {
  if (e.tag === "number") {
    const item = items[Number(e.text) - 1]
    if (item === undefined) {
      throw new TsqlError(
        108,
        `The ORDER BY position number ${e.text} is out of range of the number of items in the select list.`,
        15
      )
    }
    return sortKey(item.sql, item.type ?? Types.int)
  }
  if (e.tag === "column" && e.table === undefined) {
    const item = items.find((one) => one.name.toLowerCase() === e.name.toLowerCase())
    if (item !== undefined) return sortKey(item.sql, item.type ?? Types.int)
  }
  const compiled = compileExpression(context, scope, e)
  return sortKey(compiled.sql, compiled.type ?? Types.int)
}

const compileUnion = (context: Context, body: Select | SetOperation, parent: Scope | undefined): CompiledQuery => {
  if (body.tag === "select") return compileSelect(context, body, parent, undefined)
  const left = compileUnion(context, body.left, parent)
  const right = compileUnion(context, body.right, parent)
  if (left.columns.length !== right.columns.length) {
    throw new TsqlError(
      205,
      "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists."
    )
  }
  const columns = left.columns.map((column, i): QueryColumn => ({
    name: column.name,
    type: commonType(column.type, right.columns[i]!.type),
    nullable: column.nullable || right.columns[i]!.nullable,
    identity: false
  }))
  const side = (query: CompiledQuery): string =>
    `SELECT ${
      query.columns.map((column, i) =>
        coerce({ sql: `"c${i}"`, type: column.type, nullable: true }, columns[i]!.type, "implicit").sql
      ).join(", ")
    } FROM (${renamed(query.sql, columns.length)})`
  return { sql: `${side(left)} ${body.operator} ${side(right)}`, columns, assigns: undefined }
}

/** A whole query. `parent`: the scope around a subquery. */
export const compileQuery = (context: Context, query: Query, parent: Scope | undefined): CompiledQuery => {
  const ctes: Array<string> = []
  const added: Array<string> = []
  for (const cte of query.with) {
    // A recursive one refers to itself in the second half: its columns are those of the first.
    const body = cte.query.body
    const name = cte.name.toLowerCase()
    const first = body.tag === "union" ? compileUnion(context, body.left, undefined) : undefined
    const describe = (columns: ReadonlyArray<QueryColumn>): ReadonlyArray<ScopeColumn> =>
      columns.map((column, i) => ({
        ...column,
        identity: false,
        name: cte.columns?.[i] ?? column.name,
        sql: ""
      }))
    if (first !== undefined) context.ctes.set(name, describe(first.columns))
    const compiled = recursive(context, cte.query, cte.name) ?? compileQuery(context, cte.query, undefined)
    const columns = describe(compiled.columns)
    context.ctes.set(name, columns)
    added.push(name)
    ctes.push(`${quote(cte.name)}(${columns.map((column) => quote(column.name)).join(", ")}) AS (${compiled.sql})`)
  }
  const compiled = query.body.tag === "select"
    ? compileSelect(context, query.body, parent, query)
    : orderUnion(context, compileUnion(context, query.body, parent), query)
  for (const name of added) context.ctes.delete(name)
  return ctes.length === 0 ? compiled : { ...compiled, sql: `WITH RECURSIVE ${ctes.join(", ")} ${compiled.sql}` }
}

/** A recursive expression must stay a plain UNION ALL for SQLite. */
const recursive = (context: Context, query: Query, name: string): CompiledQuery | undefined => {
  const { body } = query
  if (body.tag !== "union" || body.operator !== "UNION ALL" || body.right.tag !== "select") return undefined
  if (!mentions(body.right.from, name)) return undefined
  const left = compileUnion(context, body.left, undefined)
  const right = compileSelect(context, body.right, undefined, undefined)
  left.columns.forEach((column, i) => {
    const other = right.columns[i]
    if (other === undefined || Types.typeText(other.type) !== Types.typeText(column.type)) {
      throw new TsqlError(
        240,
        `Types don't match between the anchor and the recursive part in column "${column.name}" of recursive query "${name}".`
      )
    }
  })
  return { ...left, sql: `${left.sql} UNION ALL ${right.sql}` }
}

const mentions = (source: Source | undefined, name: string): boolean =>
  source !== undefined && (source.tag === "table"
    ? source.name.name.toLowerCase() === name.toLowerCase()
    : source.tag === "join" && (mentions(source.left, name) || mentions(source.right, name)))

const orderUnion = (context: Context, union: CompiledQuery, query: Query): CompiledQuery => {
  if (query.order.length === 0) return union
  const keys = query.order.map(({ descending, expression }) => {
    const index = expression.tag === "number"
      ? Number(expression.text) - 1
      : expression.tag === "column"
      ? union.columns.findIndex((column) => column.name.toLowerCase() === expression.name.toLowerCase())
      : -1
    const column = union.columns[index]
    if (column === undefined) {
      throw new TsqlError(
        104,
        "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator."
      )
    }
    return sortKey(`"c${index}"`, column.type) + (descending ? " DESC" : "")
  })
  return {
    ...union,
    sql: `${renamed(union.sql, union.columns.length)} ORDER BY ${keys.join(", ")}${rowLimits(context, query)}`
  }
}
