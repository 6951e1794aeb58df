/**
 * What a database commits by itself in the middle of a transaction, as MySQL does before DDL. `Db.transaction` refuses what
 * follows. What is written for `@effect/sql` expects it to run: there each statement behind it is applied at once, a nested
 * transaction is one of its own, and an error that leaves the transaction does not claim that nothing was applied.
 */
import { SqlError } from "@effect/sql/SqlError"
import * as Exit from "effect/Exit"
import { type DbError, fromSqlError, isDbError, isOutcomeKnown, toSqlError } from "../../DbError.js"
import { withFields } from "../error/classes.js"
import type { TransactionLevel } from "./TransactionLevel.js"

/** The level whose BEGIN is the last that was sent; `undefined` outside of transactions. */
export const transactionOf = (innermost: TransactionLevel): TransactionLevel | undefined => {
  let level: TransactionLevel | undefined = innermost
  while (level !== undefined && level.kind === "savepoint") {
    level = level.parent
  }
  return level?.kind === "transaction" ? level : undefined
}

/**
 * Notes that the database has committed a transaction before this statement, down to its innermost level. Gives the outermost
 * level that does not go on after that, if there is one: it has to be closed.
 */
export const committed = (transaction: TransactionLevel, statement: string): TransactionLevel | undefined => {
  let over: TransactionLevel | undefined = undefined
  for (let level: TransactionLevel | undefined = transaction; level !== undefined; level = level.child) {
    level.committedBy = statement
    if (!level.followsCommits) {
      over ??= level
    }
  }
  return over
}

/** An error that leaves a transaction of which a part is committed. */
export const partly = (error: DbError, statement: string): DbError =>
  isOutcomeKnown(error)
    ? withFields(error, { outcome: "Unknown", committedBy: statement, cause: error.cause ?? error })
    : error

/** How an effect has ended that ran in such a transaction: its errors of the database say so. */
export const partlyCommitted = <A, E>(exit: Exit.Exit<A, E>, statement: string, database: string): Exit.Exit<A, E> =>
  Exit.mapError(exit, (error) => {
    if (isDbError(error)) {
      // Of the same class.
      return partly(error, statement) as E & DbError
    }
    if (!(error instanceof SqlError)) {
      return error
    }
    const typed = fromSqlError(error, database)
    // A SqlError again, as the effect's type has it.
    return isOutcomeKnown(typed) ? toSqlError(partly(typed, statement)) as E & SqlError : error
  })
