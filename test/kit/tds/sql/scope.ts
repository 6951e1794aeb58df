/**
 * What names mean while a statement is compiled to SQLite's SQL.
 *
 * Exports: `Context`, `Scope`, `Compiled`, `coerce`, `value`.
 */
import { type SqlType, TsqlError, typeText, type Value } from "../types.js"
import * as Types from "../types.js"
import type { ObjectName } from "./ast.js"
import type { TableInfo } from "./catalog.js"
import { allowed, convert, type Mode } from "./convert.js"

/** A value expression in SQLite's SQL. `type` is undefined for a bare NULL. */
export interface Compiled {
  readonly sql: string
  readonly type: SqlType | undefined
  readonly nullable: boolean
}

/** A column that a name can mean. */
export interface ScopeColumn {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean
  readonly identity: boolean
  /** How SQLite names it. */
  readonly sql: string
}

export interface ScopeSource {
  readonly alias: string
  readonly columns: ReadonlyArray<ScopeColumn>
}

/** The sources of one SELECT. */
export interface Scope {
  readonly sources: ReadonlyArray<ScopeSource>
  readonly parent: Scope | undefined
  /** Columns seen outside an aggregate, and whether an aggregate was seen. */
  readonly seen: { readonly columns: Array<{ readonly sql: string; readonly name: string }>; aggregate: boolean }
  insideAggregate: boolean
}

export const makeScope = (sources: ReadonlyArray<ScopeSource>, parent: Scope | undefined): Scope => ({
  sources,
  parent,
  seen: { columns: [], aggregate: false },
  insideAggregate: false
})

/** A table that the server makes up from its own state. */
export interface SystemTable {
  readonly name: string
  readonly columns: ReadonlyArray<{ readonly name: string; readonly type: SqlType }>
}

/** What the compiler asks of the session. */
export interface Context {
  readonly variable: (name: string, line: number) => { readonly type: SqlType; readonly value: Value }
  readonly table: (name: ObjectName) => TableInfo | undefined
  readonly systemTable: (name: ObjectName) => SystemTable | undefined
  readonly checkPermission: (action: string, table: TableInfo) => void
  /** The value of a function of the session's state, such as `@@SPID`; undefined where there is none of that name. */
  readonly session: (
    name: string,
    args: ReadonlyArray<Value>
  ) => { readonly type: SqlType; readonly value: Value } | undefined
  /** Evaluates an expression that has no columns. */
  readonly evaluate: (compiled: Compiled) => Value
  /** Values bound to the statement, by name. */
  readonly parameters: Record<string, Value>
  /** Common table expressions in view. */
  readonly ctes: Map<string, ReadonlyArray<ScopeColumn>>
  /** Whether a table was read with a lock that writers take. */
  locking: boolean
  /** Whether stored tables were read. */
  reads: boolean
}

/** A value bound to the statement. */
export const value = (context: Context, bound: Value, type: SqlType): Compiled => {
  if (bound === null) return { sql: "NULL", type, nullable: true }
  if (typeof bound === "bigint" && bound >= -2147483648n && bound <= 2147483647n) {
    return { sql: bound < 0n ? `(${bound})` : bound.toString(), type, nullable: false }
  }
  const name = `p${Object.keys(context.parameters).length}`
  context.parameters[name] = bound
  return { sql: `:${name}`, type, nullable: false }
}

/** Whether every value of one type is one of the other as it stands. */
const isSame = (from: SqlType, to: SqlType): boolean => {
  if (typeText(from) === typeText(to)) return true
  if (Types.isInteger(from) && Types.isInteger(to)) {
    const sizes = ["bit", "tinyint", "smallint", "int", "bigint"]
    return to.kind !== "bit" && sizes.indexOf(from.kind) <= sizes.indexOf(to.kind)
  }
  const fits = to.length === -1 || (from.length !== -1 && from.length <= to.length)
  if (to.kind === "nvarchar" && Types.isString(from)) return fits
  if (to.kind === from.kind && (to.kind === "varchar" || to.kind === "varbinary")) return fits
  return to.kind === "varchar" && from.kind === "char" && fits
}

/** The expression as a value of another type. */
export const coerce = (from: Compiled, to: SqlType, mode: Mode): Compiled => {
  if (from.type === undefined) return { sql: "NULL", type: to, nullable: true }
  if (isSame(from.type, to)) return { ...from, type: to }
  // Refuses what no conversion exists for, for NULL too.
  if (!allowed(from.type, to, mode === "cast")) convert(null, from.type, to, mode)
  return {
    sql: `ts_conv(${from.sql}, '${typeText(from.type)}', '${typeText(to)}', '${mode}')`,
    type: to,
    nullable: from.nullable
  }
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** What a column's name means, looking outwards from a scope. */
export const resolveColumn = (
  scope: Scope | undefined,
  table: string | undefined,
  name: string,
  line: number
): { readonly column: ScopeColumn; readonly scope: Scope } => {
  for (let at = scope; at !== undefined; at = at.parent) {
    const sources = table === undefined ? at.sources : at.sources.filter((source) => same(source.alias, table))
    const found = sources.flatMap((source) => source.columns.filter((column) => same(column.name, name)))
    if (found.length > 1) throw new TsqlError(209, `Ambiguous column name '${name}'.`, 16, 1, line)
    if (found.length === 1) return { column: found[0]!, scope: at }
  }
  if (table !== undefined) {
    let known = false
    for (let at = scope; at !== undefined; at = at.parent) {
      known ||= at.sources.some((source) => same(source.alias, table))
    }
    if (!known) {
      throw new TsqlError(4104, `The multi-part identifier "${table}.${name}" could not be bound.`, 16, 1, line)
    }
  }
  throw new TsqlError(207, `Invalid column name '${name}'.`, 16, 1, line)
}

export const objectMissing = (name: ObjectName): TsqlError =>
  new TsqlError(
    208,
    `Invalid object name '${name.schema === undefined ? "" : `${name.schema}.`}${name.name}'.`,
    16,
    1,
    name.line
  )
