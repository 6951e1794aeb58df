/**
 * What is said when something on a connection fails.
 */
import type { ConnectionError, DbError, Outcome, QueryError } from "../../../DbError.js"
import type { Request } from "../../../driver/Driver.js"
import { excerpt } from "../../error/message.js"
import { refusedParameter } from "../../error/parameter.js"
import { failure } from "../failure.js"
import type { ServerError } from "./codes.js"
import { classify, classifyLink, poolerAdvice } from "./codes.js"
import type { Fault } from "./values.js"
import { Unsendable } from "./values.js"

/** The limits the session was opened with, in milliseconds; 0: none. */
export interface SessionLimits {
  readonly statementTimeout: number
  readonly lockTimeout: number
  readonly idleInTransactionTimeout: number
  readonly transactionTimeout: number
}

/** Limits of a statement or of a transaction, in milliseconds; `undefined` or NaN where the session's apply. */
export type OwnLimits = Pick<Request, "statementTimeout" | "lockTimeout">

/** What is known of a statement that fails. */
export interface Failing {
  readonly outcome: Outcome
  readonly statement: string | undefined
  readonly commit: boolean
  /** The limits the statement was given for itself. */
  readonly limits?: OwnLimits
  /** What to do, where the server does not say it. */
  readonly hint?: string | undefined
}

/** How the connection stands at that moment. */
export interface Standing {
  readonly isCancelling: boolean
  /** The limits that hold where the statement has none of its own. */
  readonly limits: OwnLimits
  /** The program may have set limits of its own. */
  readonly foreignLimits: boolean
  /** For how long the server has had what was sent last, in milliseconds. */
  readonly ranMillis: number
  /** For how long it can have been idle before, in milliseconds. */
  readonly idleMillis: number
}

/** Where nothing of a statement was under way. */
export const nothingSent: Failing = { outcome: "NotSent", statement: undefined, commit: false }

const isServerError = (error: Error | undefined): error is ServerError => error !== undefined && "severity" in error

/** Makes the typed errors of one database's connections. */
export class Failures {
  /**
   * @param database the name of the database
   * @param where the server, in words
   */
  constructor(readonly database: string, readonly where: string, private readonly limits: SessionLimits) {}

  private classify(error: ServerError, at: Failing, now: Standing, isFatal: boolean): DbError {
    const { limits } = this
    const own = at.limits ?? now.limits
    return classify(error, {
      outcome: at.outcome,
      statement: at.statement,
      commit: at.commit,
      database: this.database,
      fatal: isFatal,
      hint: at.hint,
      cancelling: now.isCancelling,
      statementTimeout: own.statementTimeout || now.limits.statementTimeout || limits.statementTimeout,
      lockTimeout: own.lockTimeout || now.limits.lockTimeout || limits.lockTimeout,
      idleTimeout: limits.idleInTransactionTimeout,
      foreignLimits: now.foreignLimits,
      ranMillis: now.ranMillis,
      idleMillis: now.idleMillis
    })
  }

  /** The server has answered with an error, and the link lives. */
  refused(error: ServerError, at: Failing, now: Standing): DbError {
    return this.classify(error, at, now, false)
  }

  /** The link is gone. `cause` is the server's last word or the socket's error. */
  broken(cause: Error | undefined, at: Failing, now: Standing): DbError {
    if (isServerError(cause)) return this.classify(cause, at, now, true)
    const error = cause ?? new Error("the connection ended")
    return at.commit
      ? failure({
        _tag: "QueryError",
        reason: "CommitUnknown",
        what: `the connection broke before the answer to COMMIT came: ${error.message}`,
        outcome: "Unknown",
        database: this.database,
        statement: at.statement,
        cause: error
      })
      : this.link(error, at.outcome)
  }

  link(cause: Error | undefined, outcome: Outcome): ConnectionError {
    return classifyLink(cause ?? new Error("the connection ended"), {
      database: this.database,
      where: this.where,
      outcome,
      otherwise: "Lost"
    })
  }

  /** The server accepted writes when the connection was opened, and does so no more. */
  readOnlyServer(error: ServerError, { outcome }: Failing): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "ReadOnlyServer",
      what: `${this.where}: the server accepts no writes any more: ${error.message}`,
      advice: "try again: the primary is looked for, and this connection is not used again",
      code: error.code,
      outcome,
      database: this.database,
      cause: error
    })
  }

  /** Why a connection is not used again. */
  retired(): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "ReadOnlyServer",
      what: `${this.where}: the server is not the primary any more`,
      outcome: "NotSent",
      database: this.database
    })
  }

  commitWasRollback(statement: string): QueryError {
    return failure({
      _tag: "QueryError",
      reason: "TransactionAborted",
      what: "the server answered COMMIT with ROLLBACK, because a statement of the transaction had failed",
      outcome: "RolledBack",
      database: this.database,
      statement
    })
  }

  /**
   * A statement that was prepared from what is no longer so, in a transaction.
   *
   * @param isByItself the transaction itself has changed it; otherwise another one has, and to run it again helps
   */
  planChanged(error: ServerError, statement: string, isByItself: boolean): QueryError {
    return failure({
      _tag: "QueryError",
      reason: isByItself ? "Unknown" : "Serialization",
      what: isByItself
        ? `the transaction has changed what the statement was prepared from, by a function: ${error.message}`
        : `what the statement was prepared from has changed meanwhile: ${error.message}`,
      outcome: "RolledBack",
      code: error.code,
      advice: poolerAdvice(error.code),
      database: this.database,
      statement,
      cause: error,
      hint: isByItself
        ? "run the statement unprepared, or the change as a statement of its own (ALTER TABLE ...), not within a function"
        : "the statement is prepared anew when the transaction is run again"
    })
  }

  /** A text that cannot be sent as it is. */
  text(fault: string, statement: string): QueryError {
    return failure({
      _tag: "QueryError",
      reason: "SqlSyntax",
      what: fault,
      outcome: "NotSent",
      database: this.database,
      statement
    })
  }

  /** Text would be taken for other text, and be kept as that. */
  encoding(encoding: string, statement: string): QueryError {
    return failure({
      _tag: "QueryError",
      reason: "DataError",
      what: `client_encoding was set to ${encoding}, and text is sent and read as UTF-8 only`,
      advice: "leave client_encoding alone: RESET client_encoding",
      outcome: "NotSent",
      database: this.database,
      statement
    })
  }

  /** A parameter that cannot be sent without changing it. */
  parameter({ at, cause }: Fault, statement: string): QueryError {
    const kind = cause instanceof Unsendable
      ? cause.kind
      : cause instanceof RangeError
      ? "a structure that is circular or too deep"
      : "a value that fails when it is read"
    return failure({
      _tag: "QueryError",
      reason: "Parameter",
      ...refusedParameter(at, kind, `$${at + 1}`),
      outcome: "NotSent",
      database: this.database,
      statement
    })
  }

  tooManyParameters(count: number, most: number, statement: string): QueryError {
    return failure({
      _tag: "QueryError",
      reason: "Parameter",
      what: `the statement has ${count} parameters; PostgreSQL takes ${most}`,
      outcome: "NotSent",
      database: this.database,
      statement
    })
  }

  /** What a session would keep, where there is no session but for the time of a transaction. */
  lasting(what: string, statement: string): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      what:
        `${what} would outlast its transaction, and prepare: false says that a pooler in transaction mode gives each ` +
        `transaction another session of the server: ${excerpt(statement)}`,
      advice:
        "use what ends with the transaction (SET LOCAL, CREATE TEMP TABLE ... ON COMMIT DROP, pg_advisory_xact_lock) " +
        "in Db.transaction; for anything else, and for migrations, use a direct URL without prepare: false",
      outcome: "NotSent",
      database: this.database
    })
  }

  /** What the configuration asks for, and a statement could not be given. */
  notCarried(wishes: string, what: string, statement: string): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      what: `behind a pooler ${wishes} can only be given to a transaction, and this is ${what}: ${excerpt(statement)}`,
      advice: "use a direct URL for it, or give the setting to the role (ALTER ROLE ... SET ...) in place of the URL",
      outcome: "NotSent",
      database: this.database
    })
  }

  busy(): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "Unknown",
      what: "another request is under way on this connection",
      outcome: "NotSent",
      database: this.database
    })
  }

  stillInTransaction(): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "Unknown",
      what: "the transaction could not be ended",
      outcome: "Unknown",
      database: this.database
    })
  }
}
