/**
 * Errors of sessions and transactions, and of statements that are refused before they are sent.
 */
import { ConnectionError, type DbError, type Holder, type Outcome, QueryError, TimeoutError } from "../../DbError.js"
import type { TransactionLevel } from "./TransactionLevel.js"

/** An option of a transaction that the database, or the transaction around it, cannot keep. */
export const unsupportedOption = (database: string, what: string): QueryError =>
  new QueryError({
    message: `database "${database}": ${what}`,
    reason: "Parameter",
    outcome: "NotSent",
    database
  })

/** A statement that cannot be sent as it was given. */
export const unsendable = (database: string, what: string, statement: string | undefined): QueryError =>
  new QueryError({
    message: `database "${database}": ${what}`,
    reason: "Parameter",
    outcome: "NotSent",
    database,
    ...(statement === undefined ? {} : { statement })
  })

/** A statement that begins or ends a transaction, on a connection that goes back right behind it. */
export const controlOutside = (database: string, statement: string): QueryError =>
  unsendable(
    database,
    `"${
      statement.trim().slice(0, 40)
    }" outside of a session would do nothing: its connection goes back, cleaned, as soon as it has run. ` +
      "Use Db.transaction, or Db.session and Db.scoped where the transaction is to be in your own hands",
    statement
  )

/** A text that has left a transaction open on a connection that goes back right behind it. */
export const openOutside = (database: string, statement: string, outcome: Outcome): QueryError =>
  new QueryError({
    message:
      `database "${database}": a text outside of a session left a transaction open, and what was done in it is ` +
      "rolled back: its connection goes back as soon as it has run. Use Db.transaction, or end the transaction in the text",
    reason: "Parameter",
    outcome,
    database,
    statement
  })

const words = { session: "session", transaction: "transaction", savepoint: "nested transaction" } as const

const ended = (database: string, message: string): ConnectionError =>
  new ConnectionError({
    message: `database "${database}": ${message}`,
    reason: "Closed",
    outcome: "NotSent",
    database
  })

/** The level in which a statement was to run is over. */
export const outlived = (database: string, session: number, level: TransactionLevel): ConnectionError => {
  const what = words[level.kind]
  return ended(
    database,
    `this ${what} (session ${session}) has ended, and a fiber that outlived it tried to use its ` +
      `connection. Join or interrupt forked fibers before the ${what} ends`
  )
}

/** The level was ended while a statement was in it: one that ran (and was stopped), or one that waited for its turn. */
export const endedMeanwhile = (
  database: string,
  session: number,
  level: TransactionLevel,
  where: "running" | "waiting"
): ConnectionError => {
  const what = words[level.kind]
  return ended(
    database,
    `this ${what} (session ${session}) was ended ` +
      (where === "running"
        ? "while a statement of it ran, which was stopped"
        : "before a statement of it had its turn") +
      `. Wait for what runs in the ${what} before it is ended`
  )
}

/** A write in a transaction that only reads, on a database without a server to refuse it. */
export const readOnlyWrite = (database: string, statement: string): QueryError =>
  new QueryError({
    message: `database "${database}": a write in a read-only transaction was refused`,
    reason: "ReadOnly",
    outcome: "NotSent",
    database,
    statement
  })

/** The connection was busy with other statements of its session until the deadline. */
export const turnTimeout = (
  database: string,
  statement: string | undefined,
  limitMillis: number,
  holder: Holder
): TimeoutError =>
  new TimeoutError({
    message:
      `database "${database}": a statement waited for its turn on the connection of its session until its limit ` +
      `of ${limitMillis} ms was reached; it was not sent`,
    phase: "Acquire",
    outcome: "NotSent",
    database,
    limitMillis,
    holders: [holder],
    ...(statement === undefined ? {} : { statement })
  })

/** A transaction took longer than it may, and was rolled back for it. */
export const transactionTimeout = (database: string, limitMillis: number): TimeoutError =>
  new TimeoutError({
    message: `database "${database}": the transaction took longer than ${limitMillis} ms and was rolled back`,
    phase: "Transaction",
    outcome: "RolledBack",
    database,
    limitMillis
  })

/** A transaction whose connection is gone. */
export const lostInside = (database: string): ConnectionError =>
  new ConnectionError({
    message: `database "${database}": the connection was lost inside a transaction, which is rolled back by it`,
    reason: "Lost",
    outcome: "RolledBack",
    database
  })

/** A transaction stood open without a statement. */
export const idleTimeout = (database: string, limitMillis: number): TimeoutError =>
  new TimeoutError({
    message: `database "${database}": a transaction stood open without a statement for ${limitMillis} ms and was ` +
      "rolled back. Do nothing slow between the statements of a transaction",
    phase: "IdleInTransaction",
    outcome: "RolledBack",
    database,
    limitMillis
  })

/** A COMMIT whose answer did not come, whatever kept it away. */
export const commitUnknown = (error: DbError): DbError =>
  error._tag === "QueryError" ? error : new QueryError({
    message: `database "${error.database}": the answer to COMMIT did not come, so the transaction may or may not be ` +
      `applied: ${error.message}`,
    reason: "CommitUnknown",
    outcome: "Unknown",
    database: error.database,
    cause: error
  })

/** The pool was closed: of statements that are not sent any more. */
export const cutWaiting = (error: TimeoutError, isIdle: boolean): TimeoutError =>
  new TimeoutError({ ...error, message: error.message, outcome: isIdle ? "NotSent" : "RolledBack" })
