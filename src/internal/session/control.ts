/**
 * Requests for texts of the engine's own: BEGIN, SAVEPOINT, COMMIT and their like.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { Deadline } from "../request/Deadline.js"
import { type RequestOwner, SessionRequest } from "../request/Request.js"
import type { TransactionLevel } from "./TransactionLevel.js"

/** How such a text is sent. */
export interface ControlOptions {
  readonly limit?: number | undefined
  readonly deadline?: Deadline | undefined
  /** The text is more than one statement. */
  readonly several?: boolean | undefined
  /** Asks how far the server has written, or replayed, with a COMMIT. */
  readonly onPosition?: Driver.Request["onPosition"]
}

/** A request for such a text. */
export const control = (
  queue: RequestOwner,
  level: TransactionLevel,
  text: string,
  done: (error: DbError | undefined, value: unknown) => void,
  options: ControlOptions = {}
): SessionRequest =>
  new SessionRequest(
    queue,
    level,
    "control",
    {
      text,
      params: [],
      mode: "values",
      prepare: options.several !== true,
      begin: undefined,
      statementTimeout: undefined,
      lockTimeout: undefined,
      safeIntegers: false,
      onPosition: options.onPosition
    },
    done,
    options.limit ?? queue.engine.config.limits.statementTimeout,
    options.deadline
  )
