/** The errors of a sandbox itself. */
import type { ConnectionError, Outcome, QueryError } from "../../DbError.js"
import { failure } from "../driver/failure.js"

/** As a server says it by the answer to COMMIT. */
export const commitWasRollback = (database: string): QueryError =>
  failure({
    _tag: "QueryError",
    reason: "TransactionAborted",
    database,
    what: "COMMIT was answered with ROLLBACK, because a statement of the transaction had failed",
    outcome: "RolledBack"
  })

export const gone = (database: string, outcome: Outcome): ConnectionError =>
  failure({ _tag: "ConnectionError", reason: "Lost", database, what: "the connection was dropped", outcome })

/** What would run after the sandbox's transaction would stay. */
export const transactionEnded = (database: string): QueryError =>
  failure({
    _tag: "QueryError",
    reason: "TransactionAborted",
    database,
    what:
      "the sandbox's own transaction has ended, so nothing would be undone: a statement of the code under test ended " +
      "it (a COMMIT in a text of several statements, or DDL that commits by itself)",
    advice: "test this on a database of its own, such as DbTest.postgres() or DbTest.sqlite()",
    outcome: "NotSent"
  })

export const writeRefused = (database: string, statement: string): QueryError =>
  failure({
    _tag: "QueryError",
    reason: "ReadOnly",
    database,
    what: "a write in a read-only transaction was refused",
    outcome: "NotSent",
    statement
  })
