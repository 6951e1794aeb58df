/** What names mean while a statement is compiled to SQLite's SQL. */
import * as Types from "../types.js"
import { type SqlType, TsqlError, typeText, type Value } from "../types.js"
import { allowed, convert, type Mode } from "./convert.js"
import type { ObjectName } from "./cursor.js"
import type { Session } from "./session.js"

export type Variables = Map<string, { readonly type: SqlType; value: Value }>

/** A value expression in SQLite's SQL. `type` is undefined for a bare NULL. */
export interface Compiled {
  readonly sql: string
  readonly type: SqlType | undefined
  readonly nullable: boolean
}

/** A column of an answer, or one that a name can mean. */
export interface Column {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean
  readonly identity: boolean
}

export interface ScopeSource {
  readonly alias: string
  /** `sql`: how SQLite names it. */
  readonly columns: ReadonlyArray<Column & { readonly sql: string }>
}

/** The sources of one SELECT. */
export interface Scope {
  readonly context: Context
  readonly sources: ReadonlyArray<ScopeSource>
  readonly parent?: Scope | undefined
}

/** What one statement is compiled with. */
export class Context {
  /** Values bound to the statement, by name. */
  readonly parameters: Record<string, Value> = {}
  /** Common table expressions in view. */
  readonly ctes = new Map<string, ReadonlyArray<Column>>()
  /** Whether stored tables were read. */
  reads = false
  /** The types of undeclared variables, where the statement is only looked at. */
  described: Map<string, SqlType> | undefined
  #bound = 0

  constructor(readonly session: Session, readonly variables: Variables) {}

  /** A value bound to the statement. */
  value(bound: Value, type: SqlType): Compiled {
    if (bound === null) return { sql: "NULL", type, nullable: true }
    if (typeof bound === "bigint" && bound >= 0n && bound <= 2147483647n) {
      return { sql: bound.toString(), type, nullable: false }
    }
    const name = `p${this.#bound++}`
    this.parameters[name] = bound
    return { sql: `:${name}`, type, nullable: false }
  }

  /** The value of an expression that has no columns. */
  evaluate(compiled: Compiled): Value {
    // A row of one column, of the types that SQLite has.
    return this.session.db.prepare(`SELECT ${compiled.sql}`).pluck().safeIntegers(true).get(this.parameters) as Value
  }
}

export const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** A text as SQLite's SQL writes it. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

export const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** A table's columns under an alias. */
export const tableSource = (
  columns: ReadonlyArray<{ readonly name: string; readonly type: SqlType; readonly nullable?: boolean }>,
  alias: string
): ScopeSource => ({
  alias,
  columns: columns.map((column) => ({
    name: column.name,
    type: column.type,
    nullable: column.nullable ?? true,
    identity: "identity" in column && column.identity !== undefined && column.identity !== false,
    sql: `${quote(alias)}.${quote(column.name)}`
  }))
})

/** Whether every value of one type is one of the other as it stands. */
const isSame = (from: SqlType, to: SqlType): boolean => {
  if (typeText(from) === typeText(to)) return true
  if (Types.isInteger(from) && Types.isInteger(to)) {
    const sizes = ["bit", "tinyint", "smallint", "int", "bigint"]
    return to.kind !== "bit" && sizes.indexOf(from.kind) <= sizes.indexOf(to.kind)
  }
  const fits = to.length === -1 || (from.length !== -1 && from.length <= to.length)
  return fits && (to.kind === "nvarchar" ? Types.isString(from) : from.kind === to.kind && to.kind.startsWith("var"))
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

/** What a column's name means, looking outwards from a scope. */
export const resolveColumn = (scope: Scope, table: string | undefined, name: string): Column & Compiled => {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const sources = table === undefined ? at.sources : at.sources.filter((source) => same(source.alias, table))
    const found = sources.flatMap((source) => source.columns.filter((column) => same(column.name, name)))
    if (found.length > 1) throw new TsqlError(209, `Ambiguous column name '${name}'.`)
    if (found.length === 1) return found[0]!
  }
  throw new TsqlError(207, `Invalid column name '${name}'.`)
}

export const objectMissing = ({ name, schema }: ObjectName): TsqlError =>
  new TsqlError(208, `Invalid object name '${schema === undefined ? "" : `${schema}.`}${name}'.`)
