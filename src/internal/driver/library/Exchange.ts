/**
 * What is under way on a connection.
 */
import type { DbError } from "../../../DbError.js"

/** What the text of a request says, as far as it is asked here. */
export interface Traits {
  /** May leave something on the connection that outlives its transaction. */
  readonly dirties: boolean
  /** May set a limit of its own. */
  readonly limits: boolean
}

/** One request from its first command to its end. A cancel and a break of the link find it here. */
export abstract class Exchange<T extends Traits = Traits> {
  finished = false
  /** Nothing further is to be sent. */
  cancelled = false
  /** A limit that the driver keeps in the server's place, in milliseconds, and whether it has run out. */
  limit = 0
  timedOut = false
  timer: NodeJS.Timeout | undefined = undefined
  /** When the statement was sent, by `performance.now()`. */
  sentAt = 0
  readonly whenFinished: Array<() => void> = []

  constructor(
    /** `undefined` for what the driver does on its own account. */
    readonly text: string | undefined,
    public traits: T,
    /** A transaction was open, or its BEGIN goes ahead of the statement. */
    readonly inTransaction: boolean,
    private readonly end: (error: DbError | undefined, value: unknown) => void
  ) {}

  finish(error: DbError | undefined, value: unknown): void {
    this.finished = true
    clearTimeout(this.timer)
    this.end(error, value)
    for (const listener of this.whenFinished) listener()
  }
}
