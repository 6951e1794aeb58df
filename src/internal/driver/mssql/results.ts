/**
 * What is given of an answer, by the request's mode.
 */
import type { Request, StatementResult } from "../../../driver/Driver.js"
import type { Exchange } from "./exchange.js"
import { givesNone, givesWritten } from "./texts.js"

type Sets = ReadonlyArray<ReadonlyArray<unknown>>

/**
 * The published client's `raw` is the rows, of all statements together. What tedious tells beside them can be read by
 * name, and is not enumerable.
 */
const rawOf = (sets: Sets, rowCount: number): ReadonlyArray<unknown> =>
  Object.defineProperties(sets.flat(), { rowCount: { value: rowCount }, recordsets: { value: sets } })

const resultOf = (text: string, { lastCount, writtenCount }: Exchange, sets: Sets): StatementResult => ({
  rows: givesNone(text) ? [] : sets.at(-1) ?? [],
  // A SELECT counts the rows that it gives.
  rowsAffected: givesWritten(text) ? lastCount : writtenCount,
  lastInsertId: undefined
})

/** The sets of rows in the shape of the request's mode. */
export const shape = ({ mode, text }: Request, exchange: Exchange, sets: Sets, rowCount: number): unknown => {
  switch (mode) {
    case "raw":
      return rawOf(sets, rowCount)
    case "result":
      return resultOf(text, exchange, sets)
    case "sets":
      return sets
    default:
      return sets.length === 1 ? sets[0] : sets.flat()
  }
}
