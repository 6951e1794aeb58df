/**
 * The stored procedures that EXECUTE and RPC can call.
 *
 * Exports: `runProcedure`, `callProcedure`.
 */
import { command } from "../tokens.js"
import * as Types from "../types.js"
import { type SqlType, TsqlError, typeText, unsupported, type Value } from "../types.js"
import type { Expression, Statement } from "./ast.js"
import { sqliteName, type TableInfo } from "./catalog.js"
import { convert } from "./convert.js"
import { parseBatch } from "./parser.js"
import { evaluate, type Run } from "./run.js"
import { objectMissing } from "./scope.js"

export interface Argument {
  /** Without `@`; undefined where given by position. */
  readonly name: string | undefined
  readonly type: SqlType
  readonly value: Value
}

const known: Readonly<Record<string, ReadonlyArray<string>>> = {
  sp_getapplock: ["resource", "lockmode", "lockowner", "locktimeout", "dbprincipal"],
  sp_releaseapplock: ["resource", "lockowner", "dbprincipal"],
  sp_set_session_context: ["key", "value", "read_only"],
  sp_describe_undeclared_parameters: ["tsql", "params"]
}

const missing = (name: string): TsqlError => new TsqlError(2812, `Could not find stored procedure '${name}'.`, 16, 62)

/** Runs a procedure and returns its status. */
export const callProcedure = async (run: Run, name: string, given: ReadonlyArray<Argument>): Promise<number> => {
  const parameters = known[name]
  if (parameters === undefined) throw missing(name)
  const args = new Map<string, Argument>()
  given.forEach((argument, i) => {
    const key = argument.name?.toLowerCase() ?? parameters[i]
    if (key === undefined || !parameters.includes(key)) {
      throw argument.name === undefined
        ? new TsqlError(8144, `Procedure or function ${name} has too many arguments specified.`, 16, 2)
        : new TsqlError(8145, `@${argument.name} is not a parameter for procedure ${name}.`, 16, 1)
    }
    args.set(key, argument)
  })
  const text = (key: string, fallback?: string): string => {
    const found = args.get(key)
    const value = found === undefined ? null : convert(found.value, found.type, Types.nvarchar(-1), "cast")
    if (typeof value === "string") return value
    if (fallback === undefined) {
      throw new TsqlError(
        201,
        `Procedure or function '${name}' expects parameter '@${key}', which was not supplied.`,
        16,
        4
      )
    }
    return fallback
  }
  const { session, signal } = run
  const ownedByTransaction = (): boolean => text("lockowner", "Transaction").toLowerCase() === "transaction"
  switch (name) {
    case "sp_getapplock": {
      const transaction = ownedByTransaction()
      if (transaction && session.transactionCount === 0) return -999
      const mode = text("lockmode").toLowerCase()
      if (!["shared", "update", "intentshared", "intentexclusive", "exclusive"].includes(mode)) return -999
      const limit = args.get("locktimeout")
      const millis = limit === undefined
        ? session.options.lockTimeout
        : Number(convert(limit.value, limit.type, Types.int, "cast"))
      return session.applicationLock(
        text("resource"),
        mode !== "shared" && mode !== "intentshared",
        transaction,
        millis,
        signal
      )
    }
    case "sp_releaseapplock": {
      if (session.releaseApplicationLock(text("resource"), ownedByTransaction())) return 0
      throw new TsqlError(
        1223,
        `Cannot release the application lock (Database Principal: 'public', Resource: '${
          text("resource")
        }') because it is not currently held.`
      )
    }
    case "sp_set_session_context": {
      const value = args.get("value")
      session.sessionContext.set(text("key"), {
        type: value?.type ?? Types.nvarchar(4000),
        value: value?.value ?? null
      })
      return 0
    }
    case "sp_describe_undeclared_parameters": {
      const types = undeclared(run, text("tsql"))
      const columns = [
        { name: "parameter_ordinal", type: Types.int, nullable: false, identity: false },
        { name: "name", type: Types.nvarchar(128), nullable: false, identity: false },
        { name: "suggested_system_type_name", type: Types.nvarchar(256), nullable: true, identity: false }
      ]
      run.sink.columns(columns)
      let ordinal = 0n
      for (const [parameter, type] of types) {
        ordinal++
        await run.sink.row(columns, [ordinal, parameter, typeText(type)])
      }
      run.sink.done(command.select, ordinal, false)
      return 0
    }
    default:
      throw missing(name)
  }
}

/** The parameters of a text by where they stand: as the value of a column that is written. Elsewhere it cannot tell. */
const undeclared = (run: Run, text: string): ReadonlyMap<string, SqlType> => {
  const [statement, ...rest] = parseBatch(text)
  const found = new Map<string, SqlType>()
  const columnType = (table: TableInfo, name: string): SqlType =>
    table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())!.type
  const see = (table: TableInfo, column: string, e: Expression | undefined): void => {
    if (e?.tag === "variable") found.set(e.name, columnType(table, column))
    else if (e !== undefined && e.tag !== "number" && e.tag !== "string" && e.tag !== "null") {
      throw unsupported("the types of parameters in this expression")
    }
  }
  if (rest.length > 0) throw unsupported("the types of parameters of several statements")
  if (statement?.tag === "insert" && statement.source.tag === "rows") {
    const table = run.session.catalog.find(sqliteName(statement.table))
    if (table === undefined) throw objectMissing(statement.table)
    const names = statement.columns ?? table.columns.filter((_) => _.identity === undefined).map((_) => _.name)
    for (const row of statement.source.rows) row.forEach((e, i) => see(table, names[i]!, e))
    return found
  }
  if (statement?.tag === "update" && statement.where === undefined) {
    const table = run.session.catalog.find(sqliteName(statement.target))
    if (table === undefined) throw objectMissing(statement.target)
    for (const { column, value } of statement.assignments) see(table, column, value)
    return found
  }
  throw unsupported("the types of parameters of this statement")
}

/** EXECUTE of a procedure. */
export const runProcedure = async (
  run: Run,
  statement: Extract<Statement, { tag: "execute" }>,
  assign: (run: Run, name: string, from: SqlType, value: Value, line: number) => void
): Promise<void> => {
  const args: Array<Argument> = []
  for (const { name, output, value } of statement.args) {
    if (output !== undefined) throw new TsqlError(49_000, "the test server does not know OUTPUT arguments of EXECUTE")
    const variable = value.tag === "variable" ? run.variables.get(value.name.slice(1)) : undefined
    args.push(
      variable === undefined
        ? { name, type: Types.nvarchar(4000), value: await evaluate(run, value, Types.nvarchar(4000)) }
        : { name, type: variable.type, value: variable.value }
    )
  }
  const status = await callProcedure(run, statement.procedure, args)
  if (statement.into !== undefined) assign(run, statement.into, Types.int, BigInt(status), statement.line)
}
