/**
 * Rows as objects, and what they are gathered and handed over in. That is never a literal: V8 soon makes the literals of one
 * place in its old space, where a dead one keeps the rows that were put into it alive until the next full collection.
 */
import type { Fetched, StatementResult } from "../../driver/Driver.js"

const none: ReadonlyArray<never> = []

/** An array to gather rows in. */
export const emptyRows = <Row = unknown>(): Array<Row> => none.slice()

class SomeRows implements Fetched {
  constructor(readonly rows: ReadonlyArray<unknown>, readonly done: boolean) {}
}

/** What a fetch has given. */
export const fetched = (rows: ReadonlyArray<unknown>, isDone: boolean): Fetched => new SomeRows(rows, isDone)

/** What a fetch gives behind the last row, or beside an error. */
export const noMore = fetched(none, true)

/** What a text without statements gives and does. */
export const noResult: StatementResult = { rows: none, rowsAffected: 0, lastInsertId: undefined }

/**
 * Puts the values of a row into an object under these names, the last of which counts where a name comes twice. Copying an
 * object that has all columns gives every row the same hidden class at once, so that rows are made and read fast.
 */
export const rowReader = <Value, Row>(
  names: ReadonlyArray<string>,
  /** Gives the value of a column. */
  read: (row: Row, column: number) => Value
): (row: Row) => Record<string, Value | null> => {
  const empty: Record<string, Value | null> = {}
  for (const name of names) {
    // Not by assignment: a column may be called `__proto__`.
    Object.defineProperty(empty, name, { value: null, writable: true, enumerable: true, configurable: true })
  }
  const isOrdinary = !names.includes("__proto__")
  return (row) => {
    const made = { ...empty }
    for (let i = 0; i < names.length; i++) {
      const value = read(row, i)
      if (isOrdinary) made[names[i]!] = value
      else Object.defineProperty(made, names[i]!, { value })
    }
    return made
  }
}

/** The same of rows whose values are there. */
export const rowMaker = <Value, Given = Value>(
  names: ReadonlyArray<string>,
  /** What is made of the value of a column. */
  read: (value: Given, column: number) => Value
): (values: ReadonlyArray<Given>) => Record<string, Value | null> =>
  rowReader<Value, ReadonlyArray<Given>>(names, (values, column) => read(values[column]!, column))
