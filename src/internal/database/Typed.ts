/**
 * Where a session ends for its user: every `SqlError` becomes one of the three errors.
 */
import { SqlError } from "@effect/sql/SqlError"
import { type DbError, fromSqlError, isDbError } from "../../DbError.js"

/**
 * The error channel behind a session's boundary: every `SqlError` has become one of the three.
 *
 * @since 0.1.0
 * @category models
 */
export type Typed<E> = Exclude<E, SqlError> | DbError

export const typed = (database: string) => <E>(error: E): Typed<E> =>
  // What is no `SqlError` stays what it is, which is what `Typed` says.
  (error instanceof SqlError ? fromSqlError(error, database) : error) as Typed<E>

export const classify = (database: string) => (error: unknown): DbError | undefined => {
  if (error instanceof SqlError) {
    return fromSqlError(error, database)
  }
  return isDbError(error) ? error : undefined
}
