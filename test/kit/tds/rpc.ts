/** Remote procedure calls: `sp_executesql`, the prepared statements, and the procedures that EXECUTE knows too. */
import type { Parameter, Rpc } from "./requests.js"
import type { Response } from "./response.js"
import { runBatch } from "./sql/batch.js"
import { convert } from "./sql/convert.js"
import { callProcedure } from "./sql/procedures.js"
import type { Variables } from "./sql/scope.js"
import type { Prepared, Session } from "./sql/session.js"
import * as Types from "./types.js"
import { parseTypeText, type SqlType, TsqlError, type Value } from "./types.js"

/** The parameters that a text such as `@a int, @b decimal(10, 2) output` declares. */
const parseDeclaration = (text: string): ReadonlyArray<{ readonly name: string; readonly type: SqlType }> =>
  Array.from(text.matchAll(/@([\w#$@]+)\s+(\w+(?:\s*\([^)]*\))?)/g), ([, name, type]) => ({
    name: name!.toLowerCase(),
    type: parseTypeText(type!)
  }))

/** Declared parameters with the values given for them, by name or by position. */
const bind = (declaration: string, given: ReadonlyArray<Parameter>): Variables => {
  const named = new Map(given.map((one) => [one.name.toLowerCase(), one]))
  const variables: Variables = new Map()
  for (const [i, { name, type }] of parseDeclaration(declaration).entries()) {
    const parameter = named.get(name) ?? given[i]
    if (parameter === undefined) {
      throw new TsqlError(8178, `The parameterized query expects the parameter '@${name}', which was not supplied.`)
    }
    variables.set(name, { type, value: convert(parameter.value, parameter.type, type, "implicit") })
  }
  return variables
}

const unknownHandle = (handle: Value): TsqlError =>
  new TsqlError(8179, `Could not find prepared statement with handle ${String(handle)}.`, 16, 2)

const text = (parameter: Parameter | undefined): string => String(parameter?.value ?? "")

/** The text that a call runs and the declaration of its parameters, where it is one of a text. */
export const textOf = ({ parameters, procedure }: Rpc, session: Session): Prepared | undefined => {
  const [first, second, third] = parameters
  switch (procedure) {
    case "sp_executesql":
      return { text: text(first), declaration: text(second) }
    case "sp_prepexec":
      return { text: text(third), declaration: text(second) }
    case "sp_execute":
      return session.prepared.get(Number(first?.value))
    default:
      return undefined
  }
}

/** How many parameters stand before those of the text. */
const ownParameters: Readonly<Record<string, number>> = { sp_executesql: 2, sp_prepexec: 3, sp_execute: 1 }

export const runRpc = async (session: Session, response: Response, rpc: Rpc, signal: AbortSignal): Promise<void> => {
  const { parameters, procedure } = rpc
  let handle: number | undefined
  let failed = false
  let status = 0

  const execute = async ({ declaration, text }: Prepared, given: ReadonlyArray<Parameter>): Promise<void> => {
    const variables = bind(declaration, given)
    const { isolation, options } = session
    session.enterScope()
    try {
      failed = await runBatch(session, response, text, variables, signal)
    } finally {
      session.leaveScope()
      // What a procedure SETs is put back when it ends.
      session.options = options
      session.isolation = isolation
    }
  }
  const own = ownParameters[procedure]
  const first = parameters[0]?.value ?? null
  try {
    const statement = textOf(rpc, session)
    if (procedure === "sp_unprepare") session.prepared.delete(Number(first))
    else if (own === undefined) {
      const run = { session, sink: response, variables: new Map(), signal, failed }
      status = await callProcedure(run, procedure, [...parameters])
    } else {
      if (statement === undefined) throw unknownHandle(first)
      if (procedure === "sp_prepexec") handle = session.prepare(statement)
      await execute(statement, parameters.slice(own))
    }
  } catch (error) {
    if (!(error instanceof TsqlError)) throw error
    failed = true
    session.lastError = error.number
    response.error(error)
    if (session.options.xactAbort) session.rollbackAll(response)
  }
  response.endProcedure(failed ? session.lastError : status, failed, () => {
    if (handle !== undefined) response.returnValue(`@${parameters[0]!.name}`, Types.int, BigInt(handle))
  })
}
