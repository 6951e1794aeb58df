/**
 * The rows of one statement that a session reads piece by piece.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { type Deadline, settleLimit } from "../request/Deadline.js"
import { type RequestOwner, SessionRequest } from "../request/Request.js"
import type { TransactionLevel } from "./TransactionLevel.js"

/** How many rows are read at a time to make way for another statement. */
const aheadFetch = 1024

/** The queue through which a cursor's fetches go. */
interface CursorOwner extends RequestOwner {
  readonly innermost: TransactionLevel
  readonly detach: (cursor: SessionCursor) => void
}

export class SessionCursor {
  /** What fetches have brought and was not taken yet. */
  readonly unread: Array<ReadonlyArray<unknown>> = []
  /** It is closed already. */
  isDone = false
  /** Why there is no more. */
  failed: DbError | undefined = undefined

  constructor(
    private readonly queue: CursorOwner,
    private readonly cursor: Driver.Cursor,
    /** The longest that a fetch may take, in milliseconds; 0 for none. */
    private readonly limit: number
  ) {}

  /** Whether other statements may run between its fetches. */
  get interleaves(): boolean {
    return this.cursor.interleaves
  }

  /** It is in no session that has anything else to do. */
  alone(): void {
    this.cursor.alone?.()
  }

  /** A request for more rows. Reading ahead happens in whichever level is the innermost one. */
  fetch(
    count: number,
    done: (error: DbError | undefined) => void,
    deadline: Deadline | undefined
  ): SessionRequest {
    let isSent = false
    return new SessionRequest(
      this.queue,
      this.queue.innermost,
      "cursor",
      undefined,
      (error, value) => {
        if (error === undefined) {
          // `fetch` answers with this type; a request carries it as unknown.
          this.fetched(value as Driver.Fetched)
        } else {
          this.failed = error
          if (isSent) {
            this.ended()
          }
        }
        done(error)
      },
      this.limit,
      deadline,
      (_, __, answer) => {
        isSent = true
        this.cursor.fetch(count, answer)
      }
    )
  }

  /** A request for the next of its rows, to make way for another statement. */
  fetchAhead(): SessionRequest {
    return this.fetch(aheadFetch, () => {}, undefined)
  }

  private fetched({ done: isDone, rows }: Driver.Fetched): void {
    if (rows.length > 0) {
      this.unread.push(rows)
    }
    if (isDone) {
      this.ended()
    }
  }

  /** The driver has closed it. One whose fetch was not even sent is still to be closed. */
  private ended(): void {
    this.isDone = true
    this.queue.detach(this)
  }

  /** Closes it where it is still open. The wait cannot be interrupted, so it has a limit. */
  close(done: () => void): void {
    if (this.isDone) {
      return done()
    }
    this.queue.detach(this)
    this.queue.submit(
      new SessionRequest(
        this.queue,
        this.queue.innermost,
        "cursor",
        undefined,
        () => done(),
        settleLimit,
        undefined,
        (_, __, answer) => this.cursor.close(answer)
      )
    )
  }
}
