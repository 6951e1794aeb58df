/**
 * What is under way on a connection.
 *
 * @since 0.1.0
 */
import type { DbError } from "../../../DbError.js"
import type { Traits } from "./texts.js"

/**
 * One request from its first message to its end. A cancel and a break of the link find it here.
 *
 * @since 0.1.0
 * @category models
 */
export class Job {
  /** Whether the statement itself has been sent, or only what goes ahead of it. */
  sent = false
  finished = false
  /** Nothing further is to be sent. */
  cancelled = false
  /** A limit that the driver keeps, in milliseconds, and whether it has run out. */
  limit = 0
  timedOut = false
  timer: NodeJS.Timeout | undefined = undefined
  /** When the statement was sent, by `performance.now()`. */
  sentAt = 0
  /** Statements that have counted rows: of several those stay that ran, whatever became of the others. */
  counted = 0
  readonly whenFinished: Array<() => void> = []

  constructor(
    /** `undefined` for what the driver does on its own account. */
    readonly text: string | undefined,
    readonly traits: Traits,
    /** A transaction was open, or its BEGIN goes ahead of the statement. */
    readonly inTransaction: boolean,
    private readonly end: (error: DbError | undefined, value: unknown) => void
  ) {}

  finish(error: DbError | undefined, value: unknown): void {
    this.finished = true
    clearTimeout(this.timer)
    this.end(error, value)
    for (const listener of this.whenFinished.splice(0)) listener()
  }
}
