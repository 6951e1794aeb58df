import * as SqlClient from "effect/sql/SqlClient"

/** The service of the connection of a transaction: one for all clients of dblive. */
export const transactionConnection = SqlClient.TransactionConnection(-1)
