/**
 * Stored procedures, as `call` of `MssqlClient` has them: a statement like any other, so that it runs in the session and
 * transaction it is called in.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { DataType } from "tedious/lib/data-type.js"
import type { ParameterOptions } from "tedious/lib/request.js"
import { asFragment } from "../../sql/fragment.js"
import type { MssqlClient } from "./published.js"
import { exactType } from "./types.js"

interface Described {
  readonly type: DataType
  readonly options: ParameterOptions
}

/** What `Procedure` of `@effect/sql-mssql` builds. */
interface Procedure {
  readonly name: string
  readonly params: Readonly<Record<string, Described>>
  readonly outputParams: Readonly<Record<string, Described>>
  readonly values: Readonly<Record<string, unknown>>
}

const typed = Statement.custom<Statement.Custom<"MssqlParam", unknown, unknown, unknown>>("MssqlParam")

const quote = (name: string): string =>
  name.split(".").map((part) => `[${part.replace(/^\[(.*)\]$/, "$1").replaceAll("]", "]]")}]`).join(".")

const declaration = (name: string, { options, type }: Described): string =>
  exactType(type).declaration(
    { type, name, value: undefined, output: true, ...options } as Parameters<
      DataType["declaration"]
    >[0]
  )

/** Runs a procedure on a client. The names of its parameters are its author's, and checked to be names. */
export const makeCall = (client: SqlClient): MssqlClient["call"] => {
  const call = (procedure: Procedure) => {
    const names = [...Object.keys(procedure.params), ...Object.keys(procedure.outputParams)]
    const odd = names.find((name) => !/^[\p{L}_][\p{L}\p{N}_@$#]*$/u.test(name))
    if (odd !== undefined) return Effect.dieMessage(`"${odd}" is no name of a parameter`)
    const inputs = Object.keys(procedure.params)
    const outputs = Object.keys(procedure.outputParams)
    const args = [
      ...inputs.map((name, i) => `@${name} = @${i + 1}`),
      ...outputs.map((name) => `@${name} = @out_${name} OUTPUT`)
    ]
    const lines = [
      ...outputs.map((name) => `DECLARE @out_${name} ${declaration(name, procedure.outputParams[name]!)};`),
      `EXEC ${quote(procedure.name)} ${args.join(", ")};`,
      // Always, so that the last of the answers is this one.
      `SELECT ${["1 AS [done]", ...outputs.map((name) => `@out_${name} AS ${quote(name)}`)].join(", ")};`
    ]
    const values = inputs.map((name) => {
      const { options, type } = procedure.params[name]!
      const { segments: [segment] } = asFragment(typed(type, procedure.values[name] ?? null, options))
      return segment
    })
    // What stands in `param`'s fragment is a parameter of this driver's, whatever the type of parameters says.
    const parameters = values as unknown as NonNullable<Parameters<SqlClient["unsafe"]>[1]>
    return Effect.map(client.unsafe(lines.join("\n"), parameters).raw, (answer) => {
      // What the driver gives in the mode "raw".
      const { recordsets } = answer as { readonly recordsets: ReadonlyArray<ReadonlyArray<Record<string, unknown>>> }
      const { done: _, ...output } = recordsets[recordsets.length - 1]![0]!
      return { output, rows: recordsets.slice(0, -1).flat() }
    })
  }
  // The public signature names the types of the procedure's parameters, which are not known here.
  return call as unknown as MssqlClient["call"]
}
