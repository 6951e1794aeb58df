/**
 * Remote procedure calls: `sp_executesql`, the prepared statements, and the procedures that EXECUTE knows too.
 *
 * Exports: `runRpc`.
 */
import type { Parameter, Rpc } from "./requests.js"
import type { Response } from "./response.js"
import { convert } from "./sql/convert.js"
import { runBatch } from "./sql/interpreter.js"
import { callProcedure } from "./sql/procedures.js"
import type { Variables } from "./sql/run.js"
import type { Prepared, Session } from "./sql/session.js"
import * as Types from "./types.js"
import { parseTypeText, type SqlType, TsqlError, unsupported, type Value } from "./types.js"

interface Declared {
  readonly name: string
  readonly type: SqlType
  readonly output: boolean
}

/** The parameters that a text such as `@a int, @b decimal(10, 2) output` declares. */
const parseDeclaration = (text: string): ReadonlyArray<Declared> => {
  const parts: Array<string> = []
  let depth = 0
  let part = ""
  for (const char of text) {
    if (char === "(") depth++
    if (char === ")") depth--
    if (char === "," && depth === 0) {
      parts.push(part)
      part = ""
    } else part += char
  }
  if (part.trim() !== "") parts.push(part)
  return parts.map((one) => {
    const match = /^\s*@([\w#$@]+)\s+(?:as\s+)?(.+?)(\s+out(?:put)?)?\s*$/is.exec(one)
    if (match === null) throw new TsqlError(102, `Incorrect syntax near '${one.trim()}'.`, 15)
    return { name: match[1]!.toLowerCase(), type: parseTypeText(match[2]!), output: match[3] !== undefined }
  })
}

/** Declared parameters with the values given for them, by name or by position. */
const bind = (declared: ReadonlyArray<Declared>, given: ReadonlyArray<Parameter>): Variables => {
  const variables: Variables = new Map()
  for (const one of declared) variables.set(one.name, { type: one.type, value: null })
  if (given.length > declared.length) {
    throw new TsqlError(8144, "Procedure or function has too many arguments specified.", 16, 2)
  }
  const supplied = new Set<string>()
  given.forEach((parameter, i) => {
    const name = parameter.name === "" ? declared[i]!.name : parameter.name.toLowerCase()
    const variable = variables.get(name)
    if (variable === undefined) throw new TsqlError(8145, `@${name} is not a parameter for procedure.`, 16, 2)
    supplied.add(name)
    variable.value = convert(parameter.value, parameter.type, variable.type, "implicit")
  })
  const missing = declared.find((one) => !supplied.has(one.name))
  if (missing !== undefined) {
    throw new TsqlError(
      8178,
      `The parameterized query expects the parameter '@${missing.name}', which was not supplied.`
    )
  }
  return variables
}

const text = (parameter: Parameter | undefined, what: string): string => {
  if (parameter === undefined || !Types.isUnicode(parameter.type)) {
    throw new TsqlError(214, `Procedure expects parameter '${what}' of type 'ntext/nchar/nvarchar'.`, 16, 2)
  }
  return parameter.value === null ? "" : String(parameter.value)
}

const unknownHandle = (handle: Value): TsqlError =>
  new TsqlError(8179, `Could not find prepared statement with handle ${String(handle)}.`, 16, 2)

export const runRpc = async (session: Session, response: Response, rpc: Rpc, signal: AbortSignal): Promise<void> => {
  if (rpc.parameters.length > 2100) {
    throw new TsqlError(
      8003,
      "The incoming request has too many parameters. The server supports a maximum of 2100 parameters. Reduce the number of parameters and resend the request."
    )
  }
  const depth = session.transactionCount
  const outputs: Array<() => void> = []
  let failed = false
  let status = 0

  const execute = async (
    { declaration, text: statement }: Prepared,
    given: ReadonlyArray<Parameter>
  ): Promise<void> => {
    const declared = parseDeclaration(declaration)
    const variables = bind(declared, given)
    session.enterScope()
    const options = session.options
    const isolation = session.isolation
    try {
      failed = await runBatch(session, response, statement, variables, signal)
    } finally {
      session.leaveScope()
      // What a procedure SETs is put back when it ends.
      session.options = options
      session.isolation = isolation
    }
    const base = rpc.parameters.length - given.length
    given.forEach((parameter, i) => {
      if (!parameter.output) return
      const name = parameter.name === "" ? declared[i]!.name : parameter.name.toLowerCase()
      const variable = variables.get(name)!
      outputs.push(() => response.returnValue(base + i, `@${parameter.name}`, variable.type, variable.value))
    })
  }
  const prepare = (
    declaration: Parameter | undefined,
    statement: Parameter | undefined
  ): readonly [number, Prepared] => {
    const prepared = {
      declaration: declaration?.value === null || declaration === undefined ? "" : text(declaration, "@params"),
      text: text(statement, "@stmt")
    }
    parseDeclaration(prepared.declaration)
    const handle = session.nextHandle()
    session.prepared.set(handle, prepared)
    return [handle, prepared]
  }
  const [first, second, third, ...rest] = rpc.parameters
  const giveHandle = (handle: number): void => {
    outputs.push(() => response.returnValue(0, `@${first!.name}`, Types.int, BigInt(handle)))
  }
  try {
    switch (rpc.procedure.toLowerCase()) {
      case "sp_executesql":
        await execute(
          { text: text(first, "@statement"), declaration: second === undefined ? "" : text(second, "@params") },
          rpc.parameters.slice(2)
        )
        break
      case "sp_prepare": {
        const [handle] = prepare(second, third)
        giveHandle(handle)
        break
      }
      case "sp_prepexec": {
        const [handle, prepared] = prepare(second, third)
        giveHandle(handle)
        await execute(prepared, rest)
        break
      }
      case "sp_execute": {
        const prepared = session.prepared.get(Number(first?.value))
        if (prepared === undefined) throw unknownHandle(first?.value ?? null)
        await execute(prepared, rpc.parameters.slice(1))
        break
      }
      case "sp_unprepare":
        if (!session.prepared.delete(Number(first?.value))) throw unknownHandle(first?.value ?? null)
        break
      case "sp_reset_connection":
        throw unsupported("sp_reset_connection as a call")
      default:
        status = await callProcedure(
          { session, sink: response, variables: new Map(), signal, caught: undefined, tries: 0, failed: false },
          rpc.procedure.toLowerCase(),
          rpc.parameters.map((one) => ({
            name: one.name === "" ? undefined : one.name,
            type: one.type,
            value: one.value
          }))
        )
    }
  } catch (error) {
    if (!(error instanceof TsqlError)) throw error
    failed = true
    session.lastError = error.number
    response.error(error)
    if (session.options.xactAbort && session.transactionCount > 0) session.rollbackAll(response)
  }
  if (session.transactionCount !== depth && !(depth > 0 && session.transactionCount === 0 && failed)) {
    failed = true
    response.error(
      new TsqlError(
        266,
        `Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = ${depth}, current count = ${session.transactionCount}.`,
        16,
        2
      )
    )
  }
  response.endProcedure(failed ? session.lastError : status, failed, () => {
    for (const output of outputs) output()
  })
}
