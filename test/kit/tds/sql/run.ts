/**
 * What the statements of a batch share while they run: the session, the variables, the names.
 *
 * Exports: `Run`, `Variables`, `makeContext`, `evaluate`, `test`, `assign`, `finished`.
 */
import * as Types from "../types.js"
import { type SqlType, TsqlError, unsupported, type Value } from "../types.js"
import type { Expression, Predicate } from "./ast.js"
import { sqliteName } from "./catalog.js"
import { compileExpression, compilePredicate } from "./compile.js"
import { convert } from "./convert.js"
import { coerce, type Context } from "./scope.js"
import type { Session, Sink } from "./session.js"
import { sessionFunction } from "./sessionFunctions.js"
import { fromSqlite, toSqlite } from "./storage.js"
import { systemTables } from "./systemTables.js"

export type Variables = Map<string, { readonly type: SqlType; value: Value }>

export interface Run {
  readonly session: Session
  readonly sink: Sink
  readonly variables: Variables
  readonly signal: AbortSignal
  /** The error that a CATCH block handles. */
  caught: TsqlError | undefined
  /** How many TRY blocks are around. */
  tries: number
  failed: boolean
}

export const makeContext = (run: Run): Context => {
  const { session, variables } = run
  const context: Context = {
    variable: (name, line) => {
      const found = variables.get(name.replace(/^@/, ""))
      if (found === undefined) throw new TsqlError(137, `Must declare the scalar variable "${name}".`, 15, 2, line)
      return found
    },
    table: (name) => session.catalog.find(sqliteName(name)),
    systemTable: (name) => {
      const key = `${name.schema ?? ""}.${name.name}`.toLowerCase()
      const found = systemTables[key]
      if (found === undefined) {
        if (["sys", "information_schema"].includes(name.schema?.toLowerCase() ?? "")) {
          throw unsupported(`the view ${name.schema}.${name.name}`, name.line)
        }
        return undefined
      }
      session.definitions = { tables: session.catalog.all(), schemas: session.catalog.schemas() }
      return { name: key, columns: found.columns }
    },
    checkPermission: (action, table) => {
      if (session.catalog.isDenied(session.login.user, table.sqlite, action)) {
        throw new TsqlError(
          229,
          `The ${action} permission was denied on the object '${table.name}', database '${session.database.name}', schema '${table.schema}'.`,
          14,
          5
        )
      }
    },
    session: (name, args) => sessionFunction(run, name, args),
    evaluate: (compiled) => {
      const bound = toSqlite(context.parameters)
      const row = session.db.prepare(`SELECT ${compiled.sql}`).raw(true).safeIntegers(true).get(bound) as ReadonlyArray<
        unknown
      >
      return fromSqlite(row[0])
    },
    parameters: {},
    ctes: new Map(),
    locking: false,
    reads: false
  }
  return context
}

/** The value of an expression, as a type where one is given. */
export const evaluate = async (run: Run, e: Expression, type?: SqlType): Promise<Value> => {
  const context = makeContext(run)
  const compiled = compileExpression(context, undefined, e)
  if (context.reads) await run.session.access("read", run.signal)
  return context.evaluate(type === undefined ? compiled : coerce(compiled, type, "assign"))
}

/** Whether a condition holds. */
export const test = async (run: Run, predicate: Predicate): Promise<boolean> => {
  const context = makeContext(run)
  const sql = compilePredicate(context, undefined, predicate)
  if (context.reads) await run.session.access(context.locking ? "write" : "read", run.signal)
  return context.evaluate({ sql: `CASE WHEN ${sql} THEN 1 ELSE 0 END`, type: Types.int, nullable: false }) === 1n
}

/** Sets a variable. */
export const assign = (run: Run, name: string, from: SqlType, value: Value, line: number): void => {
  const variable = run.variables.get(name.replace(/^@/, ""))
  if (variable === undefined) throw new TsqlError(137, `Must declare the scalar variable "${name}".`, 15, 1, line)
  // A variable cuts what is too long, without an error.
  variable.value = convert(value, from, variable.type, "cast")
}

/** The end of a statement that counts rows. */
export const finished = (run: Run, command: number, count: bigint): void => {
  run.session.lastRowCount = count
  run.sink.done(command, run.session.options.noCount ? undefined : count, false)
}
