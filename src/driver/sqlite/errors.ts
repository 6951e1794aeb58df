/**
 * Typed errors, made where a fault leaves the driver.
 */
import {
  ConnectionError,
  connectionReasons,
  type DbError,
  QueryError,
  queryReasons,
  TimeoutError,
  timeoutPhases
} from "../../DbError.js"
import type { Fault } from "./codes.js"

const optional = <K extends string, A>(key: K, value: A | undefined): { readonly [P in K]?: A } =>
  // The computed key is `K` itself, which TypeScript widens to `string`.
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: A }

/** The typed error of a fault. */
export const toError = (fault: Fault): DbError => {
  const { fields, outcome, place } = fault
  const message = (advice: string) => `${fields.what} (database "${place.database}"): ${fields.advice ?? advice}`
  const common = {
    outcome,
    database: place.database,
    ...optional("code", fields.code),
    ...optional("cause", fields.cause)
  }
  switch (fields._tag) {
    case "ConnectionError":
      return new ConnectionError({
        ...common,
        message: message(connectionReasons[fields.reason].advice),
        reason: fields.reason
      })
    case "QueryError":
      return new QueryError({
        ...common,
        message: message(queryReasons[fields.reason].advice),
        reason: fields.reason,
        ...optional("constraint", fields.constraint),
        ...optional("table", fields.table),
        ...optional("column", fields.column),
        ...optional("statement", place.text)
      })
    case "TimeoutError":
      return new TimeoutError({
        ...common,
        message: message(timeoutPhases[fields.phase].advice),
        phase: fields.phase,
        limitMillis: fields.limitMillis,
        ...optional("statement", place.text)
      })
  }
}

/**
 * The typed error of a fault of opening, which is never that of a statement.
 */
export const toOpenError = (fault: Fault): ConnectionError | TimeoutError => {
  const error = toError(fault)
  // `open` makes only these two; the cast would hold, the branch also does when that changes.
  return error._tag === "QueryError"
    ? new ConnectionError({
      message: error.message,
      reason: "Unknown",
      outcome: "NotSent",
      database: error.database,
      ...optional("cause", error.cause)
    })
    : error
}
