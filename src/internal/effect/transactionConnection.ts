import * as SqlClient from "@effect/sql/SqlClient"

/** The service of the connection of a transaction: one tag for all clients. */
export const transactionConnection = SqlClient.TransactionConnection
