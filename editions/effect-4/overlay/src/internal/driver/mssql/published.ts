/**
 * The client of SQL Server, and its compiler. Effect 4 has no published client of it.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { DataType } from "tedious/lib/data-type.js"
import type { ParameterOptions } from "tedious/lib/request.js"

/** What the client says of its configuration. */
export interface MssqlClientConfig {
  readonly server: string
  readonly instanceName?: string | undefined
  readonly port?: number | undefined
  readonly domain?: string | undefined
  readonly authType?: string | undefined
  readonly database?: string | undefined
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
  readonly encrypt?: boolean | undefined
  readonly trustServer?: boolean | undefined
  readonly connectTimeout?: Duration.Input | undefined
  readonly connectionTTL?: Duration.Input | undefined
  readonly minConnections?: number | undefined
  readonly maxConnections?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
}

/** The type of a parameter. */
export interface Described {
  readonly type: DataType
  readonly options: ParameterOptions
}

/** A stored procedure, and the values that it is called with. */
export interface Procedure {
  readonly name: string
  readonly params: Readonly<Record<string, Described>>
  readonly outputParams: Readonly<Record<string, Described>>
  readonly values: Readonly<Record<string, unknown>>
}

/** What a procedure gives: its output parameters, and the rows of all its results. */
export interface ProcedureResult {
  readonly output: Readonly<Record<string, unknown>>
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/** What a client of SQL Server is marked with. */
export const mark = { "~dblive/MssqlClient": "~dblive/MssqlClient" } as const

/** The client of a database: `SqlClient` with `param`, `call` and its configuration. */
export interface MssqlClient extends SqlClient {
  readonly "~dblive/MssqlClient": "~dblive/MssqlClient"
  readonly config: MssqlClientConfig
  /** A value whose type is named. */
  readonly param: (type: DataType, value: unknown, options?: ParameterOptions) => Statement.Fragment
  readonly call: (procedure: Procedure) => Effect.Effect<ProcedureResult, SqlError>
}

export const MssqlClient: Context.Service<MssqlClient, MssqlClient> = Context.Service<MssqlClient>("dblive/MssqlClient")

interface Param extends Statement.Custom<"MssqlParam", DataType, unknown, ParameterOptions> {}

const escape = (name: string): string => `[${name.replaceAll("]", "]]").replaceAll(".", "].[")}]`

/** The clause by which a statement gives what it has written. */
const output = (returning: string): string => returning === "*" ? "OUTPUT INSERTED.*" : `OUTPUT ${returning}`

export const makeCompiler = (transform?: (name: string) => string): Statement.Compiler =>
  Statement.makeCompiler<Param>({
    dialect: "mssql",
    placeholder: (index) => `@${index}`,
    onIdentifier: transform === undefined
      ? escape
      : (value, isUntransformed) => escape(isUntransformed ? value : transform(value)),
    onRecordUpdate: (placeholders, alias, columns, values, returning) => [
      `${returning === undefined ? "" : `${output(returning[0])} `}FROM (values ${placeholders}) AS ${alias}${columns}`,
      returning === undefined ? values.flat() : returning[1].concat(values.flat())
    ],
    onInsert: (columns, placeholders, values, returning) => [
      `(${columns.join(",")})${returning === undefined ? "" : ` ${output(returning[0])}`} VALUES ${placeholders}`,
      returning === undefined ? values.flat() : returning[1].concat(values.flat())
    ],
    // The driver reads the type from the piece itself.
    onCustom: (param, placeholder) => [placeholder(undefined), [param]]
  })
