/**
 * The engine's errors: of the pool, of sessions and transactions, and of statements that are refused before they are sent.
 */
import { ConnectionError, type DbError, type Holder, QueryError, TimeoutError, withFields } from "./classes.js"
import { excerpt } from "./message.js"
import type { Outcome } from "./reasons.js"

// -----------------------------------------------------------------------------
// the pool
// -----------------------------------------------------------------------------

/** What owned the connections has ended. */
export const closed = (
  database: string,
  what = "its layer has ended",
  advice = "keep the layer open while it is used"
): ConnectionError => new ConnectionError({ database, what, advice, reason: "Closed", outcome: "NotSent" })

/** Too many wait already. */
export const overloaded = (database: string, what: string): ConnectionError =>
  new ConnectionError({ database, what, reason: "Overloaded", outcome: "NotSent" })

/** A wait is over, or would never end. */
export const acquireTimeout = (
  pool: {
    readonly database: string
    readonly capacity: number
    readonly inUse: number
    readonly holders: ReadonlyArray<Holder>
  },
  waiter: { readonly waitLimit: number; readonly waitingSince: number },
  now: number,
  what: string
): TimeoutError => {
  const { capacity, database, holders, inUse } = pool
  const longest = holders.reduce<Holder | undefined>(
    (a, b) => a === undefined || b.heldForMillis > a.heldForMillis ? b : a,
    undefined
  )
  const held = longest === undefined
    ? "none is open"
    // Several may hold one together.
    : `${inUse} of ${capacity} are held, the longest by ${longest.span ?? longest.fiber} ` +
      `for ${longest.heldForMillis} ms${longest.statement === undefined ? "" : ` (last: ${longest.statement})`}`
  return new TimeoutError({
    database,
    what: `${what}; waited ${now - waiter.waitingSince} ms; ${held}`,
    phase: "Acquire",
    outcome: "NotSent",
    limitMillis: waiter.waitLimit,
    holders
  })
}

/** Each connection is held by a fiber that waits for another one. */
export const deadlock = (
  pool: Parameters<typeof acquireTimeout>[0],
  waiter: Parameters<typeof acquireTimeout>[1],
  now: number
): TimeoutError =>
  acquireTimeout(
    pool,
    waiter,
    now,
    "every connection is held by a fiber that itself waits for one, so none can ever become free: " +
      "use the session that is open already, or make the pool larger"
  )

/** The layer closed while a session was still running. */
export const cut = (database: string, limitMillis: number): TimeoutError =>
  new TimeoutError({
    database,
    what: "its layer closed and did not wait any longer for this session",
    phase: "Close",
    outcome: "Unknown",
    limitMillis
  })

/** No replica can serve a read, and the primary is not to. */
export const noReplica = (database: string, absences: string, reason: string): ConnectionError =>
  new ConnectionError({
    database,
    what: `no replica can serve the read (${absences === "" ? reason : absences}), and whenNoReplica is "fail"`,
    reason: "NoReplica",
    outcome: "NotSent"
  })

// -----------------------------------------------------------------------------
// statements
// -----------------------------------------------------------------------------

/** A statement that cannot be sent as it was given. */
export const unsendable = (
  database: string,
  what: string,
  statement: string | undefined,
  advice = "correct the statement, or the values that it is given"
): QueryError => new QueryError({ database, what, advice, reason: "Parameter", outcome: "NotSent", statement })

/** A statement of another database's client. */
export const foreign = (database: string): QueryError =>
  unsendable(
    database,
    "the statement was made by the client of another database",
    undefined,
    "make it with the `sql` of this database, or give it to the other one"
  )

/** A row was asked for, and there is none. */
export const notFound = (database: string, statement: string): QueryError =>
  new QueryError({ database, what: "the statement gave no row", reason: "NotFound", outcome: "Applied", statement })

/** One row or value was asked for, and there are more. */
export const tooMany = (database: string, found: string, statement: string): QueryError =>
  new QueryError({ database, what: `the statement gave ${found}`, reason: "TooMany", outcome: "Applied", statement })

/** A statement that begins or ends a transaction, on a connection that goes back right behind it. */
export const controlOutside = (database: string, statement: string): QueryError =>
  unsendable(
    database,
    `"${statement.trim().slice(0, 40)}" outside of a session would do nothing: its connection goes back, cleaned, ` +
      "as soon as it has run",
    statement,
    "use Db.transaction, or Db.session and Db.reserve to control the transaction yourself"
  )

/** A text that has left a transaction open on a connection that goes back right behind it. */
export const openOutside = (database: string, statement: string, outcome: Outcome): QueryError =>
  new QueryError({
    database,
    what:
      "a text outside of a session left a transaction open, and what was done in it is rolled back: its connection " +
      "goes back as soon as it has run",
    advice: "use Db.transaction, or end the transaction in the text",
    reason: "Parameter",
    outcome,
    statement
  })

/** A write in a transaction that only reads, on a database without a server to refuse it. */
export const readOnlyWrite = (database: string, statement: string): QueryError =>
  new QueryError({
    database,
    what: "a write in a read-only transaction was refused",
    reason: "ReadOnly",
    outcome: "NotSent",
    statement
  })

/** A limit for a statement that nothing can stop. */
export const unstoppable = (database: string): ConnectionError =>
  new ConnectionError({
    database,
    what: "a statement cannot be stopped in this process, so its timeout could not be kept",
    advice: "open the database with `workers`",
    reason: "Unsupported",
    outcome: "NotSent"
  })

/** A driver that threw while it sent a statement. */
export const sendFailed = (database: string, statement: string | undefined, cause: unknown): QueryError =>
  new QueryError({
    database,
    what: "a statement failed while it was sent, and its connection is dropped for it",
    advice: "look at the cause",
    reason: "Unknown",
    outcome: "Unknown",
    statement,
    cause
  })

/** A connection that was dropped, and whose driver did not answer. */
export const dropped = (database: string): ConnectionError =>
  new ConnectionError({
    database,
    what: "the connection was dropped while a statement ran",
    reason: "Lost",
    outcome: "Unknown"
  })

/** A statement that shares its connection, and whose answer is not waited for. */
export const letGo = (
  database: string,
  statement: string,
  outcome: "NotSent" | "Unknown" = "Unknown"
): ConnectionError =>
  new ConnectionError({
    database,
    what: outcome === "NotSent"
      ? `a statement was stopped before it was sent: ${excerpt(statement)}`
      : `the answer to a statement that shares its connection was not waited for: ${excerpt(statement)}`,
    reason: "Lost",
    outcome
  })

/** A statement reached its limit: before it was sent (`NotSent`), or while it ran. */
export const statementTimeout = (
  database: string,
  statement: string | undefined,
  limitMillis: number,
  outcome: Outcome
): TimeoutError =>
  new TimeoutError({
    database,
    what: (outcome === "NotSent"
      ? "the limit was reached before a statement was sent"
      : "a statement had no answer within its limit, and is not waited for any more") +
      (statement === undefined ? "" : `: ${excerpt(statement)}`),
    phase: "Statement",
    outcome,
    limitMillis,
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
    database,
    what:
      "a statement waited for its turn on the connection of its session until its limit was reached; it was not sent",
    phase: "Acquire",
    outcome: "NotSent",
    limitMillis,
    holders: [holder],
    statement
  })

/** A write did not get the lock that one transaction at a time has. */
export const lockTimeout = (database: string, what: string, limitMillis: number, advice?: string): TimeoutError =>
  new TimeoutError({ database, what, advice, phase: "Lock", outcome: "NotSent", limitMillis })

// -----------------------------------------------------------------------------
// sessions and transactions
// -----------------------------------------------------------------------------

/** An option of a transaction that the database, or the transaction around it, cannot keep. */
export const unsupportedOption = (database: string, what: string): QueryError =>
  unsendable(database, what, undefined, "leave the option out, or use it where it is supported")

/** What ended, or was used behind its end. */
interface Level {
  readonly kind: keyof typeof words
}

const words = { session: "session", transaction: "transaction", savepoint: "nested transaction" } as const

/** The level in which a statement was to run is over. */
export const outlived = (database: string, session: number, { kind }: Level): ConnectionError =>
  closed(
    database,
    `this ${words[kind]} (session ${session}) has ended, and a fiber that outlived it tried to use its connection`,
    `join or interrupt forked fibers before the ${words[kind]} ends`
  )

/** The level was ended while a statement was in it: one that ran (and was stopped), or one that waited for its turn. */
export const endedMeanwhile = (
  database: string,
  session: number,
  { kind }: Level,
  where: "running" | "waiting"
): ConnectionError =>
  closed(
    database,
    `this ${words[kind]} (session ${session}) was ended ` +
      (where === "running"
        ? "while a statement of it ran, which was stopped"
        : "before a statement of it had its turn"),
    `wait for what runs in the ${words[kind]} before it is ended`
  )

/** A transaction took longer than it may, and was rolled back for it. */
export const transactionTimeout = (database: string, limitMillis: number): TimeoutError =>
  new TimeoutError({
    database,
    what: "the transaction took longer than its limit and was rolled back",
    phase: "Transaction",
    outcome: "RolledBack",
    limitMillis
  })

/** A transaction was left open without a statement. */
export const idleTimeout = (database: string, limitMillis: number): TimeoutError =>
  new TimeoutError({
    database,
    what: "a transaction stood open without a statement and was rolled back",
    phase: "IdleInTransaction",
    outcome: "RolledBack",
    limitMillis
  })

/** A transaction whose connection is gone. */
export const lostInside = (
  database: string,
  what = "the connection was lost inside a transaction, which is rolled back by it",
  cause?: unknown
): ConnectionError => new ConnectionError({ database, what, reason: "Lost", outcome: "RolledBack", cause })

/** A transaction that cannot go on. */
export const aborted = (
  database: string,
  what: string,
  fields: {
    readonly outcome: Outcome
    readonly statement?: string | undefined
    readonly advice?: string | undefined
    /** Its first error, which explains it. */
    readonly first?: DbError | undefined
  }
): QueryError =>
  new QueryError({
    database,
    what: fields.first === undefined ? what : `${what}; it failed first with: ${fields.first.what}`,
    advice: fields.advice,
    reason: "TransactionAborted",
    outcome: fields.outcome,
    statement: fields.statement,
    cause: fields.first
  })

/** The pool was closed: of statements that are not sent any more. */
export const cutWaiting = (error: TimeoutError, isIdle: boolean): TimeoutError =>
  withFields(error, { outcome: isIdle ? "NotSent" : "RolledBack" })

/** Why a statement that was sent is given up: what became of it is not known where the reason is one for what was not sent. */
export const ofSent = (error: DbError | undefined): DbError | undefined =>
  error?.outcome === "NotSent" ? withFields(error, { outcome: "Unknown" }) : error

/** A COMMIT whose answer did not come, whatever kept it away. */
export const commitUnknown = (error: DbError): QueryError =>
  error._tag === "QueryError" ? error : new QueryError({
    database: error.database,
    what: `the answer to COMMIT did not come, so the transaction may or may not be applied: ${error.what}`,
    code: error.code,
    reason: "CommitUnknown",
    outcome: "Unknown",
    cause: error
  })

/** A description of a statement, by a driver that gives none. */
export const undescribable = (database: string): ConnectionError =>
  new ConnectionError({
    database,
    what: "this driver cannot say what a statement gives without running it",
    advice: "check statements on SQLite in this process (workers: 0), PostgreSQL, PGlite, MySQL or MariaDB",
    reason: "Unsupported",
    outcome: "NotSent"
  })

/** A file that is to hold a statement. */
export const sqlFile = (database: string, what: string, cause?: unknown): QueryError =>
  new QueryError({ database, what, reason: "SqlFile", outcome: "NotSent", cause })
