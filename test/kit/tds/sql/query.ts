/** Queries: parsed once, compiled to SQLite's SQL. */
import * as Types from "../types.js"
import { unsupported } from "../types.js"
import { commonType } from "./convert.js"
import type { Cursor } from "./cursor.js"
import { type Expression, parseExpression, parsePredicate, type Predicate, sortKey, unify } from "./expression.js"
import {
  type Column,
  type Compiled,
  type Context,
  objectMissing,
  quote,
  same,
  type Scope,
  type ScopeSource,
  tableSource
} from "./scope.js"
import { systemTable } from "./system.js"

export interface CompiledQuery {
  readonly sql: string
  readonly columns: ReadonlyArray<Column>
}

/** `parent`: the scope around a subquery. */
export type Query = (context: Context, parent: Scope | undefined) => CompiledQuery

type Source = (
  context: Context,
  parent: Scope | undefined
) => { readonly sql: string; readonly sources: ReadonlyArray<ScopeSource> }

/** A query whose columns have these names. */
const withNames = (sql: string, names: ReadonlyArray<string>): string =>
  `WITH "q"(${names.map(quote).join(", ")}) AS (${sql}) SELECT * FROM "q"`

// --- FROM

const alias = (c: Cursor): string | undefined => {
  const as = c.words("AS")
  if (as && c.token.kind === "string") return c.next().text
  return as || c.isName ? c.name() : undefined
}

const parseOneSource = (c: Cursor): Source => {
  if (!c.isSymbol("(")) {
    const name = c.objectName()
    if (c.isSymbol("(")) throw unsupported(`the table function ${name.name}`)
    const as = alias(c) ?? name.name
    return (context) => {
      const cte = name.schema === undefined ? context.ctes.get(name.name.toLowerCase()) : undefined
      if (cte !== undefined) {
        return { sql: `${quote(name.name)} AS ${quote(as)}`, sources: [tableSource(cte, as)] }
      }
      const system = systemTable(context.session, name)
      if (system !== undefined) {
        return { sql: `${quote(system.name)} AS ${quote(as)}`, sources: [tableSource(system.columns, as)] }
      }
      const info = context.session.catalog.find(name)
      if (info === undefined) throw objectMissing(name)
      context.reads ||= !info.temporary
      return { sql: `${info.place} AS ${quote(as)}`, sources: [tableSource(info.columns, as)] }
    }
  }
  const inner = c.inside(() => c.words("VALUES") ? parseValues(c) : parseQuery(c))
  c.words("AS")
  const as = c.name()
  const names = c.isSymbol("(") ? c.nameList() : undefined
  return (context, parent) => {
    const query = inner(context, parent)
    const columns = query.columns.map((column, i) => ({ ...column, name: names?.[i] ?? column.name }))
    return {
      sql: `(${withNames(query.sql, columns.map(({ name }) => name))}) AS ${quote(as)}`,
      sources: [tableSource(columns, as)]
    }
  }
}

/** The rows of VALUES as a query without names. */
const parseValues = (c: Cursor): Query => {
  const rows = c.list(() => c.inside(() => c.list(() => parseExpression(c))))
  return (context, parent) => {
    const compiled = rows.map((row) => row.map((one) => one.compile({ context, sources: [], parent })))
    const columns = rows[0]!.map((_, i) => unify(compiled.map((row) => row[i]!)))
    const lines = rows.map((_, r) => `(${columns.map(({ sql }) => sql[r]).join(", ")})`)
    return {
      sql: `VALUES ${lines.join(", ")}`,
      columns: columns.map(({ nullable, type }) => ({ name: "", type, nullable, identity: false }))
    }
  }
}

/** What stands after FROM. */
export const parseSource = (c: Cursor): Source => {
  let left = parseOneSource(c)
  for (;;) {
    const kind = c.words("LEFT", "JOIN")
      ? "LEFT"
      : c.words("INNER", "JOIN") || c.words("JOIN")
      ? "INNER"
      : undefined
    if (kind === undefined) return left
    const [first, second] = [left, parseOneSource(c)]
    c.expect("ON")
    const on = parsePredicate(c)
    left = (context, parent) => {
      const [a, b] = [first(context, parent), second(context, parent)]
      const outer = (source: ScopeSource): ScopeSource => ({
        ...source,
        columns: source.columns.map((column) => ({ ...column, nullable: true }))
      })
      const sources = [...a.sources, ...(kind === "LEFT" ? b.sources.map(outer) : b.sources)]
      return { sql: `${a.sql} ${kind} JOIN ${b.sql} ON ${on({ context, sources, parent })}`, sources }
    }
  }
}

// --- SELECT

interface Item extends Compiled {
  readonly name: string
  readonly identity: boolean
}

/** What stands between SELECT (or OUTPUT) and the next clause. */
export const parseItems = (c: Cursor): (scope: Scope) => ReadonlyArray<Item> => {
  const parts = c.list((): (scope: Scope) => ReadonlyArray<Item> => {
    if (c.symbol("*")) return ({ sources }) => sources.flatMap(({ columns }) => columns)
    if (c.isName && c.peek().text === "." && c.peek(2).text === "*") {
      const table = c.name()
      c.next()
      c.next()
      return ({ sources }) => sources.filter((one) => same(one.alias, table)).flatMap(({ columns }) => columns)
    }
    if (c.isName && c.peek().text === "=") {
      const name = c.name()
      c.next()
      return item(parseExpression(c), name)
    }
    const expression = parseExpression(c)
    return item(expression, alias(c))
  })
  return (scope) => parts.flatMap((part) => part(scope))
}

const item = (expression: Expression, name: string | undefined) => (scope: Scope): ReadonlyArray<Item> => {
  // A column brings its own name and whether it is an identity.
  const column: Compiled & { readonly name?: string; readonly identity?: boolean } = expression.compile(scope)
  return [{ ...column, name: name ?? column.name ?? "", identity: column.identity ?? false }]
}

export const toColumn = ({ identity, name, nullable, type }: Item): Column => ({
  name,
  type: type ?? Types.int,
  nullable,
  identity
})

interface Tail {
  readonly order: ReadonlyArray<{ readonly expression: Expression; readonly descending: boolean }>
  readonly offset?: Expression | undefined
  readonly fetch?: Expression | undefined
}
const noTail: Tail = { order: [] }

type Body = (context: Context, parent: Scope | undefined, tail: Tail) => CompiledQuery

const limits = (context: Context, { fetch, offset }: Tail): string => {
  if (offset === undefined) return ""
  const scope: Scope = { context, sources: [] }
  return ` LIMIT ${fetch === undefined ? "-1" : fetch.compile(scope).sql} OFFSET ${offset.compile(scope).sql}`
}

/** ORDER BY takes a name of the select list, or an expression. */
const orderBy = (scope: Scope, items: ReadonlyArray<Item>, { order }: Tail): string => {
  const keys = order.map(({ descending, expression }) => {
    const found = items.find(({ name }) => expression.column !== undefined && same(name, expression.column))
    return sortKey(found ?? expression.compile(scope)) + (descending ? " DESC" : "")
  })
  return keys.length === 0 ? "" : ` ORDER BY ${keys.join(", ")}`
}

const parseSelect = (c: Cursor): Body => {
  c.expect("SELECT")
  const distinct = c.words("DISTINCT") ? "DISTINCT " : ""
  const top = !c.words("TOP")
    ? undefined
    : c.isSymbol("(")
    ? c.inside(() => parseExpression(c))
    : parseExpression(c)
  const items = parseItems(c)
  const from = c.words("FROM") ? parseSource(c) : undefined
  const where: Predicate | undefined = c.words("WHERE") ? parsePredicate(c) : undefined
  return (context, parent, tail) => {
    const source = from?.(context, parent)
    const scope: Scope = { context, sources: source?.sources ?? [], parent }
    const compiled = items(scope)
    const list = compiled.map(({ name, sql }, i) => `${sql} AS ${quote(name === "" ? `c${i}` : name)}`)
    const sql = [
      `SELECT ${distinct}${list.join(", ")}`,
      ...(source === undefined ? [] : [`FROM ${source.sql}`]),
      ...(where === undefined ? [] : [`WHERE ${where(scope)}`])
    ].join(" ") + orderBy(scope, compiled, tail)
    const cut = top === undefined ? limits(context, tail) : ` LIMIT ${top.compile({ context, sources: [] }).sql}`
    return { sql: sql + cut, columns: compiled.map(toColumn) }
  }
}

const unionAll = (left: Body, right: Body): Body => (context, parent, tail) => {
  if (tail.order.length > 0) throw unsupported("ORDER BY after UNION")
  const [a, b] = [left(context, parent, noTail), right(context, parent, noTail)]
  const columns = a.columns.map((column, i): Column => {
    const { nullable, type } = b.columns[i] ?? column
    if (type.kind !== column.type.kind) throw unsupported("UNION of different types")
    return { ...column, type: commonType(column.type, type), nullable: column.nullable || nullable, identity: false }
  })
  return { sql: `${a.sql} UNION ALL ${b.sql}`, columns }
}

/** The halves of UNION ALL, from left to right. */
const parseHalves = (c: Cursor): ReadonlyArray<Body> => {
  const halves = [parseSelect(c)]
  while (c.words("UNION", "ALL")) halves.push(parseSelect(c))
  return halves
}

/** One of WITH: compiled, it is in view by its name. One that refers to itself stays a plain UNION ALL for SQLite. */
const parseCte = (c: Cursor): (context: Context) => { readonly name: string; readonly sql: string } => {
  const written = c.name()
  const name = written.toLowerCase()
  const names = c.isSymbol("(") ? c.nameList() : undefined
  c.expect("AS")
  const halves = c.inside(() => parseHalves(c))
  return (context) => {
    const sql = halves.map((half) => {
      const { columns, sql } = half(context, undefined, noTail)
      const own = columns.map((column, i) => ({ ...column, identity: false, name: names?.[i] ?? column.name }))
      context.ctes.set(name, context.ctes.get(name) ?? own)
      return sql
    })
    const columns = context.ctes.get(name)!.map((column) => quote(column.name))
    return { name, sql: `${quote(written)}(${columns.join(", ")}) AS (${sql.join(" UNION ALL ")})` }
  }
}

/** A query, with what may stand before and after it. */
export const parseQuery = (c: Cursor): Query => {
  const ctes = c.words("WITH") ? c.list(() => parseCte(c)) : []
  const body = parseHalves(c).reduce(unionAll)
  const order = !c.words("ORDER", "BY") ? [] : c.list(() => {
    const expression = parseExpression(c)
    const descending = c.words("DESC")
    if (!descending) c.words("ASC")
    return { expression, descending }
  })
  const rows = (): Expression => {
    const count = parseExpression(c)
    c.expect("ROWS")
    return count
  }
  const offset = order.length > 0 && c.words("OFFSET") ? rows() : undefined
  const fetch = offset !== undefined && c.words("FETCH", "NEXT") ? rows() : undefined
  if (fetch !== undefined) c.expect("ONLY")
  if (c.words("OPTION")) {
    c.inside(() => {
      c.expect("MAXRECURSION")
      return c.integer()
    })
  }
  return (context, parent) => {
    const parts = ctes.map((cte) => cte(context))
    const query = body(context, parent, { order, offset, fetch })
    for (const { name } of parts) context.ctes.delete(name)
    return parts.length === 0
      ? query
      : { ...query, sql: `WITH RECURSIVE ${parts.map(({ sql }) => sql).join(", ")} ${query.sql}` }
  }
}
