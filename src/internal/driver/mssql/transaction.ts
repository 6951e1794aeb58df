/**
 * The T-SQL of transactions.
 */
import type { BeginOptions, TransactionSql } from "../../../driver/Driver.js"

/**
 * Marks the BEGIN of a transaction in which the driver refuses writes: SQL Server has no such transactions of its own.
 */
export const readOnlyMark = "/* read only */"

const begin = ({ deferrable, isolation, readOnly }: BeginOptions): string | { readonly unsupported: string } => {
  if (deferrable === true) return { unsupported: "SQL Server has no deferrable transactions" }
  const start = readOnly === true ? `BEGIN TRANSACTION ${readOnlyMark}` : "BEGIN TRANSACTION"
  return isolation === undefined ? start : `SET TRANSACTION ISOLATION LEVEL ${isolation.toUpperCase()}; ${start}`
}

/** Not by dots, as `@effect/sql-mssql` has it: a savepoint's name has no parts. */
const quote = (name: string): string => `[${name.replaceAll("]", "]]")}]`

export const transactionSql: TransactionSql = {
  begin,
  commit: "COMMIT TRANSACTION",
  rollback: "ROLLBACK TRANSACTION",
  savepoint: (name) => `SAVE TRANSACTION ${quote(name)}`,
  rollbackTo: (name) => `ROLLBACK TRANSACTION ${quote(name)}`,
  release: undefined
}
