/**
 * Typed errors, made where a fault leaves the driver.
 */
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import { failure } from "../failure.js"
import type { Fault } from "./codes.js"

/** The typed error of a fault. */
export const toError = ({ fields, outcome, place }: Fault): DbError =>
  failure({ ...fields, outcome, database: place.database, statement: place.text })

/**
 * The typed error of a fault of opening, which is never that of a statement.
 */
export const toOpenError = (fault: Fault): ConnectionError | TimeoutError => {
  const error = toError(fault)
  // `open` makes only these two; the cast would hold, the branch also does when that changes.
  return error._tag === "QueryError"
    ? failure({
      ...fault.fields,
      _tag: "ConnectionError",
      reason: "Unknown",
      outcome: "NotSent",
      database: error.database
    })
    : error
}
