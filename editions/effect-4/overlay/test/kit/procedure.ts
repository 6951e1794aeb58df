/** Stored procedures as values, for `call` of a client of SQL Server. */
import type { Described, Procedure } from "../../src/internal/driver/mssql/published.js"

type Options = Described["options"]

/** What a procedure is before it has values. */
type Blank = Omit<Procedure, "values">

export const make = (
  name: string
): { readonly pipe: (...steps: ReadonlyArray<(blank: Blank) => Blank>) => Blank } & Blank => {
  const blank: Blank = { name, params: {}, outputParams: {} }
  return { ...blank, pipe: (...steps) => steps.reduce((made, step) => step(made), blank) }
}

export const param =
  <_Value>() => (name: string, type: Described["type"], options: Options = {}) => (blank: Blank): Blank => ({
    ...blank,
    params: { ...blank.params, [name]: { type, options } }
  })

export const compile = (blank: Blank) => (values: Procedure["values"]): Procedure => ({ ...blank, values })
