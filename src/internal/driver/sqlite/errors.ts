/**
 * Typed errors, made where a fault leaves the driver.
 */
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import { connectionError, queryError, timeoutError } from "../Failure.js"
import type { Fault } from "./codes.js"

/** The typed error of a fault. */
export const toError = (fault: Fault): DbError => {
  const { fields, outcome, place } = fault
  const parts = { ...fields, outcome, database: place.database, statement: place.text }
  switch (fields._tag) {
    case "ConnectionError":
      return connectionError(fields.reason, parts)
    case "QueryError":
      return queryError(fields.reason, parts)
    case "TimeoutError":
      return timeoutError(fields.phase, fields.limitMillis, parts)
  }
}

/**
 * The typed error of a fault of opening, which is never that of a statement.
 */
export const toOpenError = (fault: Fault): ConnectionError | TimeoutError => {
  const error = toError(fault)
  // `open` makes only these two; the cast would hold, the branch also does when that changes.
  return error._tag === "QueryError"
    ? connectionError("Unknown", { ...fault.fields, outcome: "NotSent", database: error.database })
    : error
}
