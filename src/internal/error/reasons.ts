/**
 * Every reason of an error, with its meaning, whether it is transient, and what to do.
 */
import * as Schema from "effect/Schema"

/**
 * What is known about a write that failed.
 *
 * - `NotSent`: the database never ran it; nothing changed.
 * - `RolledBack`: the database undid it, or will (the transaction it belonged to cannot be committed any more).
 * - `Unknown`: it may or may not have been applied; the answer was lost. Never retried by `dblive`.
 * - `Applied`: the database ran it, and what fails is what was asked of its rows. What it wrote is kept, or belongs to the open
 *   transaction.
 *
 * @since 0.1.0
 * @category models
 */
export const Outcome = Schema.Literal("NotSent", "RolledBack", "Unknown", "Applied")

/**
 * What is known about a write that failed.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = typeof Outcome.Type

/** One row of a reason table: what it means, whether a retry may help, what to do. */
interface Reason {
  readonly isTransient: boolean
  readonly meaning: string
  readonly advice: string
}

/**
 * Every reason of a {@link ConnectionError}, with its meaning, whether it is transient, and what to do.
 *
 * @since 0.1.0
 * @category errors
 */
export const connectionReasons = {
  Refused: {
    isTransient: true,
    meaning: "nothing listens at the address",
    advice: "check that the server runs and that host and port are right"
  },
  HostNotFound: {
    isTransient: false,
    meaning: "the host name cannot be resolved",
    advice: "check the host name and the machine's DNS"
  },
  Unreachable: {
    isTransient: true,
    meaning: "there is no route to the server",
    advice: "check the network between this machine and the server"
  },
  Authentication: {
    isTransient: false,
    meaning: "the server did not accept the user or the password",
    advice: "check user name and password, and the server's authentication rules"
  },
  Authorization: {
    isTransient: false,
    meaning: "the user may not connect to this database",
    advice: "grant the user the right to connect"
  },
  UnknownDatabase: {
    isTransient: false,
    meaning: "the server has no database of this name",
    advice: "check the name, or create the database"
  },
  Tls: {
    isTransient: false,
    meaning: "an encrypted link with the required checks could not be made",
    advice: "check sslmode, the server's certificate and the root certificate"
  },
  TooManyConnections: {
    isTransient: true,
    meaning: "the server has no connection left",
    advice: "lower the pool sizes of all clients or raise the server's limit"
  },
  ServerStarting: {
    isTransient: true,
    meaning: "the server is starting or recovering",
    advice: "try again in a moment"
  },
  ServerShutdown: {
    isTransient: true,
    meaning: "the server is shutting down or ended this connection",
    advice: "try again when the server is back"
  },
  Lost: {
    isTransient: true,
    meaning: "the connection broke",
    advice: "try again; if it recurs, look at the network and the server's log"
  },
  Closed: {
    isTransient: false,
    meaning: "the layer, session or transaction that owned the connection has ended",
    advice: "do not let a fiber outlive its session; do not use a database after its layer is closed"
  },
  Overloaded: {
    isTransient: true,
    meaning: "too many already wait for a connection",
    advice: "shed load, or raise the pool size or maxWaiters"
  },
  ReadOnlyServer: {
    isTransient: true,
    meaning: "the server accepts no writes (a standby, or set read-only)",
    advice: "connect to the primary (target_session_attrs=read-write)"
  },
  StaleTimeline: {
    isTransient: true,
    meaning:
      "the server accepts writes on an older timeline than one that was seen before: it was the primary, and another was promoted",
    advice: "stop that server, or make it a standby of the new primary (pg_rewind, or a new base backup)"
  },
  NoReplica: {
    isTransient: true,
    meaning: "every replica is down, too far behind, or left out for now, and reads are not to go to the primary",
    advice: "try again in a moment; or set replication.whenNoReplica to primary"
  },
  Unsupported: {
    isTransient: false,
    meaning: "this driver, server or mode cannot do what was asked",
    advice: "see the message for what can"
  },
  CannotOpen: {
    isTransient: false,
    meaning: "the database file cannot be opened",
    advice: "check the path and the permissions of the file and its folder"
  },
  NotADatabase: {
    isTransient: false,
    meaning: "the file is not a database, or is damaged",
    advice: "check the path; restore the file from a backup if it is damaged"
  },
  Unknown: {
    isTransient: false,
    meaning: "the connection failed for a reason dblive does not know",
    advice: "look at the cause"
  }
} as const satisfies Record<string, Reason>

/**
 * Every reason of a {@link QueryError}, with its meaning, whether it is transient, and what to do.
 *
 * @since 0.1.0
 * @category errors
 */
export const queryReasons = {
  SqlSyntax: {
    isTransient: false,
    meaning: "the statement is not valid SQL",
    advice: "correct the statement, at its `position` where there is one"
  },
  UndefinedObject: {
    isTransient: false,
    meaning: "a table, column, function or other object does not exist",
    advice: "check the name, the schema search path and pending migrations"
  },
  UniqueViolation: {
    isTransient: false,
    meaning: "a row with this key exists already",
    advice: "catch it by `constraint`, or use an upsert"
  },
  ForeignKeyViolation: {
    isTransient: false,
    meaning: "a referenced row is missing, or a referencing row remains",
    advice: "write the referenced row first, delete the referencing one first"
  },
  NotNullViolation: {
    isTransient: false,
    meaning: "a column that must have a value got NULL",
    advice: "give the column a value"
  },
  CheckViolation: {
    isTransient: false,
    meaning: "a value does not satisfy a check constraint",
    advice: "validate the value before it is written"
  },
  ExclusionViolation: {
    isTransient: false,
    meaning: "a row conflicts with another by an exclusion constraint",
    advice: "catch it by `constraint`"
  },
  DataError: {
    isTransient: false,
    meaning: "a value does not fit its type",
    advice: "check the value's range and format"
  },
  Authorization: {
    isTransient: false,
    meaning: "the user may not do this",
    advice: "grant the right, or use another user"
  },
  ReadOnly: {
    isTransient: false,
    meaning: "a write was tried where only reads are allowed",
    advice: "write in a transaction that is not read-only, on a database that is writable"
  },
  Deadlock: {
    isTransient: true,
    meaning: "the database chose this transaction to break a deadlock",
    advice: "retry the whole transaction; take locks in one order"
  },
  Serialization: {
    isTransient: true,
    meaning: "the transaction conflicts with a concurrent one",
    advice: "retry the whole transaction"
  },
  LockConflict: {
    isTransient: true,
    meaning: "another transaction holds a lock",
    advice: "retry the whole transaction, or wait for the lock"
  },
  TransactionAborted: {
    isTransient: false,
    meaning: "the transaction had failed or ended before this statement",
    advice: "let the first error leave the transaction; use a nested transaction to recover inside one"
  },
  DiskFull: {
    isTransient: false,
    meaning: "the database has no space left",
    advice: "free space on the server"
  },
  OutOfMemory: {
    isTransient: true,
    meaning: "the database has no memory left for this statement",
    advice: "make the statement smaller, or give the server memory"
  },
  CommitUnknown: {
    isTransient: false,
    meaning: "the answer to COMMIT was lost: the transaction may or may not be applied",
    advice: "look before you try again, or use `resolveCommit` where the database can tell"
  },
  SqlFile: {
    isTransient: false,
    meaning: "the file of a statement cannot be read, or does not hold one statement",
    advice: "check the path, which begins in the folder that the process runs in, and the file"
  },
  Parameter: {
    isTransient: false,
    meaning: "a parameter cannot be sent to this database without changing it",
    advice: "convert the parameter first"
  },
  NotFound: {
    isTransient: false,
    meaning: "a row was asked for, and the statement gave none",
    advice: "use `option` where there may be none, or catch this reason"
  },
  TooMany: {
    isTransient: false,
    meaning: "one row or value was asked for, and the statement gave more",
    advice: "make the statement more selective, or ask for all its rows by `query`"
  },
  Unknown: {
    isTransient: false,
    meaning: "the database refused the statement for a reason dblive does not know",
    advice: "look at `code` and the cause"
  }
} as const satisfies Record<string, Reason>

/**
 * Every phase of a {@link TimeoutError}, with its meaning, whether it is transient, and what to do.
 *
 * @since 0.1.0
 * @category errors
 */
export const timeoutPhases = {
  Connect: {
    isTransient: true,
    meaning: "the server did not complete a new connection in time",
    advice: "check the network and the server's load; raise connectTimeout"
  },
  Acquire: {
    isTransient: true,
    meaning: "no connection became free in time",
    advice: "look at `holders`; make sessions shorter or the pool larger"
  },
  Statement: {
    isTransient: false,
    meaning: "the statement had no answer within its limit: it was stopped, or is not waited for any more",
    advice: "make it cheaper, or give it a larger limit"
  },
  Lock: {
    isTransient: true,
    meaning: "a lock was not granted in time",
    advice: "retry; look for long transactions"
  },
  IdleInTransaction: {
    isTransient: false,
    meaning: "a transaction was left open without a statement for too long and was ended",
    advice: "do nothing slow between the statements of a transaction"
  },
  Transaction: {
    isTransient: false,
    meaning: "the transaction took longer than its limit and was rolled back",
    advice: "make it shorter, or give it a larger limit"
  },
  Close: {
    isTransient: false,
    meaning: "sessions were still running when the time to close ran out; they were cut",
    advice: "end sessions before the layer closes, or raise closeTimeout"
  }
} as const satisfies Record<string, Reason>

const literals = <T extends Record<string, Reason>>(table: T) =>
  Schema.Literal(...(Object.keys(table) as [keyof T & string, ...Array<keyof T & string>]))

/**
 * The reasons of a {@link ConnectionError}, as a schema.
 *
 * @since 0.1.0
 * @category errors
 */
export const ConnectionReason = literals(connectionReasons)

/**
 * Why a connection could not be obtained or used: a key of {@link connectionReasons}.
 *
 * @since 0.1.0
 * @category errors
 */
export type ConnectionReason = typeof ConnectionReason.Type

/**
 * The reasons of a {@link QueryError}, as a schema.
 *
 * @since 0.1.0
 * @category errors
 */
export const QueryReason = literals(queryReasons)

/**
 * Why a statement was refused: a key of {@link queryReasons}.
 *
 * @since 0.1.0
 * @category errors
 */
export type QueryReason = typeof QueryReason.Type

/**
 * The phases of a {@link TimeoutError}, as a schema.
 *
 * @since 0.1.0
 * @category errors
 */
export const TimeoutPhase = literals(timeoutPhases)

/**
 * Which wait reached its limit: a key of {@link timeoutPhases}.
 *
 * @since 0.1.0
 * @category errors
 */
export type TimeoutPhase = typeof TimeoutPhase.Type
