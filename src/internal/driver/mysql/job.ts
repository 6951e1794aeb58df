/**
 * What is under way on a connection.
 *
 * @since 0.1.0
 */
import type { DbError } from "../../../DbError.js"
import type { Traits } from "./texts.js"

/**
 * One request from its first command to its end. A cancel and a break of the link find it here.
 *
 * @since 0.1.0
 * @category models
 */
export class Job {
  /** What has been sent so far: settings and BEGIN, the text to be prepared, or the statement itself. */
  phase: "ahead" | "prepare" | "run" = "ahead"
  finished = false
  /** Nothing further is to be sent. */
  cancelled = false
  /** A limit that the driver keeps in the server's place, in milliseconds, and whether it has run out. */
  limit = 0
  timedOut = false
  timer: NodeJS.Timeout | undefined = undefined
  /** When the statement was sent, by `performance.now()`. */
  sentAt = 0
  /** Why it failed, known before its end. */
  verdict: DbError | undefined = undefined
  /** Results that have come: of several statements those stay that ran before a failure. */
  results = 0
  /** Of several statements the one under way, where each is sent by itself. */
  part: { readonly text: string; readonly number: number; readonly of: number } | undefined = undefined
  /** Lets go of rows that nobody will read, so that the end can arrive. */
  discard: (() => void) | undefined = undefined
  readonly whenFinished: Array<() => void> = []

  constructor(
    /** `undefined` for what the driver does on its own account. */
    readonly text: string | undefined,
    public traits: Traits,
    /** A transaction was open, or its BEGIN goes ahead of the statement. */
    readonly inTransaction: boolean,
    private readonly end: (error: DbError | undefined, value: unknown) => void
  ) {}

  /** Statements that are applied, whatever becomes of the one under way. */
  get applied(): boolean {
    return this.traits.several && this.results > 0
  }

  finish(error: DbError | undefined, value: unknown): void {
    this.finished = true
    clearTimeout(this.timer)
    this.end(error, value)
    for (const listener of this.whenFinished) listener()
  }
}
