/**
 * Reading an answer's rows where that can fail, and answers that are not read at all.
 */
import type { DbError, Outcome } from "../../../DbError.js"
import type { Request } from "../../../driver/Driver.js"
import { failure } from "../failure.js"
import { Inexact } from "../JsonText.js"
import { DataRow } from "./reader.js"
import type { SessionState } from "./session.js"
import type { Shape } from "./shape.js"
import { Unreadable } from "./unreadable.js"

/** What is said of a value that cannot be read. */
export const readError = (session: SessionState, cause: unknown, statement: string): DbError =>
  failure({
    _tag: "QueryError",
    reason: "DataError",
    what: cause instanceof Unreadable || cause instanceof Inexact
      ? `a value of the answer is ${cause.message}`
      : "a value of the answer could not be read",
    outcome: "Unknown",
    database: session.failures.database,
    statement,
    cause
  })

/**
 * Reads rows that were kept as they came, in place, when the types of their columns are known. Gives what went wrong.
 */
export const decode = (
  session: SessionState,
  request: Pick<Request, "text" | "mode" | "safeIntegers">,
  rows: Array<unknown>,
  shape: Shape
): DbError | undefined => {
  try {
    // After the question everything is known.
    const read = shape.reader(request.mode, request.safeIntegers, session.types)!
    const row = new DataRow()
    for (let i = 0; i < rows.length; i++) {
      // What was kept are the bytes of a row.
      const kept = rows[i] as Buffer
      row.take(kept, 0, kept.length)
      rows[i] = read(row)
    }
    return undefined
  } catch (cause) {
    return readError(session, cause, request.text)
  }
}

/**
 * What a COPY from or to the client is answered with.
 *
 * @param outcome `Unknown` for a COPY to the client: it has done what stands in it (an INSERT with RETURNING, perhaps), and
 * its transaction can be committed
 */
export const copyError = (session: SessionState, statement: string, outcome: Outcome): DbError =>
  failure({
    _tag: "QueryError",
    reason: "Unknown",
    what: "COPY from STDIN or to STDOUT is not supported: its data would be lost",
    outcome,
    database: session.failures.database,
    statement
  })
