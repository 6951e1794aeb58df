/**
 * What a statement gives, as SQLite knows it before the statement runs: the tables' columns, with their declared types.
 */
import type { DescribedColumn, Description } from "../../../driver/Driver.js"
import type { ColumnOf } from "./moduleContract.js"
import type { Prepared } from "./statements.js"
import { anonymousParameters } from "./text.js"

export type { Description } from "../../../driver/Driver.js"

interface Types {
  readonly read: string | undefined
  readonly written: string | undefined
}

const unknown: Types = { read: undefined, written: undefined }

/**
 * By the words of a declared type, the first that fits: SQLite's rules of affinity, and within them the names that programs use.
 * A column may hold any value all the same, unless its table is STRICT.
 */
const declared: ReadonlyArray<readonly [RegExp, Types]> = [
  [/BIG ?INT|INT8/, { read: "number | bigint", written: "number | bigint" }],
  [/INT/, { read: "number", written: "number | bigint" }],
  [/CHAR|CLOB|TEXT/, { read: "string", written: "string" }],
  [/BLOB/, { read: "Buffer", written: "Uint8Array | ArrayBuffer" }],
  [/REAL|FLOA|DOUB/, { read: "number", written: "number" }],
  [/BOOL/, { read: "number", written: "boolean | number" }],
  [/DATE|TIME/, { read: "string | number", written: "string | number | Date" }],
  [/DEC|NUM/, { read: "number | string", written: "number | bigint | string" }]
]

const typesOf = (type: string | null): Types => {
  if (type === null) return unknown
  const words = type.toUpperCase()
  return declared.find(([pattern]) => pattern.test(words))?.[1] ?? unknown
}

const columnOf = ({ column, name, table, type }: ColumnOf): DescribedColumn => ({
  name,
  ...typesOf(type),
  origin: table === null || column === null ? undefined : { table, column },
  notNull: false
})

/** Where they are named or numbered there is at least one. */
const parametersOf = (text: string): number => Math.abs(anonymousParameters(text))

/** SQLite gives parameters no types. */
export const describe = ({ reader: givesRows, statement, text }: Prepared): Description => ({
  parameters: Array.from({ length: parametersOf(text) }, () => undefined),
  columns: givesRows ? statement.columns().map(columnOf) : undefined
})
