/** The stored procedures that EXECUTE and RPC can call. */
import { command } from "../tokens.js"
import * as Types from "../types.js"
import { type SqlType, TsqlError, typeText, unsupported, type Value } from "../types.js"
import { assign, evaluate, parseBatch, type Run, type Statement } from "./batch.js"
import { convert } from "./convert.js"
import type { Cursor } from "./cursor.js"
import { parseExpression } from "./expression.js"

export interface Argument {
  /** Without `@`; undefined where given by position. */
  readonly name: string | undefined
  readonly type: SqlType
  readonly value: Value
}

interface Procedure {
  /** Their names, in order. */
  readonly parameters: ReadonlyArray<string>
  readonly run: (run: Run, args: ReadonlyMap<string, Argument>) => number | Promise<number>
}

const text = (args: ReadonlyMap<string, Argument>, key: string, fallback = ""): string => {
  const found = args.get(key)
  return found === undefined ? fallback : String(convert(found.value, found.type, Types.nvarchar(-1), "cast"))
}

/** The name of a lock of a session: that is the one kind of owner here. */
const resource = (args: ReadonlyMap<string, Argument>): string => {
  if (text(args, "lockowner").toLowerCase() !== "session") throw unsupported("a lock of a transaction")
  return text(args, "resource")
}

const procedures: Readonly<Record<string, Procedure>> = {
  sp_getapplock: {
    parameters: ["resource", "lockmode", "lockowner", "locktimeout"],
    run: ({ session, signal }, args) =>
      session.applicationLock(
        resource(args),
        Number(text(args, "locktimeout", String(session.options.lockTimeout))),
        signal
      )
  },
  sp_releaseapplock: {
    parameters: ["resource", "lockowner"],
    run: ({ session }, args) => {
      if (session.releaseApplicationLock(resource(args))) return 0
      throw new TsqlError(1223, `Cannot release the application lock because it is not currently held.`)
    }
  },
  sp_set_session_context: {
    parameters: ["key", "value"],
    run: ({ session }, args) => {
      const { type, value } = args.get("value")!
      session.sessionContext.set(text(args, "key"), { type, value })
      return 0
    }
  },
  // By where they stand: as the value of a column that is written. Elsewhere it cannot tell.
  sp_describe_undeclared_parameters: {
    parameters: ["tsql"],
    run: async (run, args) => {
      const described = new Map<string, SqlType>()
      for (const statement of parseBatch(text(args, "tsql"))) await statement.run({ ...run, described })
      const columns = [
        { name: "name", type: Types.nvarchar(128), nullable: false, identity: false },
        { name: "suggested_system_type_name", type: Types.nvarchar(256), nullable: true, identity: false }
      ]
      run.sink.columns(columns)
      for (const [name, type] of described) await run.sink.row(columns, [`@${name}`, typeText(type)])
      run.sink.done(command.select, BigInt(described.size), false)
      return 0
    }
  }
}

/** Runs a procedure and returns its status. */
export const callProcedure = async (run: Run, name: string, given: ReadonlyArray<Argument>): Promise<number> => {
  const procedure = procedures[name]
  if (procedure === undefined) throw new TsqlError(2812, `Could not find stored procedure '${name}'.`, 16, 62)
  const args = new Map(given.map((argument, i) => [argument.name?.toLowerCase() ?? procedure.parameters[i]!, argument]))
  const unknown = [...args.keys()].find((key) => !procedure.parameters.includes(key))
  if (unknown !== undefined) throw new TsqlError(8145, `@${unknown} is not a parameter for procedure ${name}.`)
  return procedure.run(run, args)
}

export const parseExecute = (c: Cursor): Statement => {
  const into = c.token.kind === "variable" ? c.variable() : undefined
  if (into !== undefined) c.expectSymbol("=")
  const name = c.objectName().name.toLowerCase()
  const args = c.isSymbol(";") || c.isEnd ? [] : c.list(() => {
    const parameter = c.peek().text === "=" ? c.variable() : undefined
    if (parameter !== undefined) c.next()
    return { parameter, value: parseExpression(c) }
  })
  return async (run) => {
    const given = args.map(({ parameter, value }): Argument => {
      const variable = value.variable === undefined ? undefined : run.variables.get(value.variable)
      return {
        name: parameter,
        type: variable?.type ?? Types.nvarchar(4000),
        value: variable?.value ?? evaluate(run, value, Types.nvarchar(4000))
      }
    })
    const status = await callProcedure(run, name, given)
    if (into !== undefined) assign(run, into, Types.int, BigInt(status))
  }
}
