/**
 * A request on its way through a session: a statement, the next rows of a cursor, a COMMIT.
 */
import type { DbError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import type { Deadline } from "./Deadline.js"
import type { Frame } from "./Frame.js"
import type { AnyFiber } from "./Origin.js"
import { Work } from "./Work.js"

/** A request on its way through a session. */
export class Job extends Work {
  /** What `text` would be if it were known when the job is made. */
  readonly text: string | undefined
  constructor(
    readonly frame: Frame,
    readonly kind: Work["kind"],
    readonly request: Driver.Request | undefined,
    private readonly send: (
      connection: Driver.Connection,
      begin: string | undefined,
      done: Driver.Done<unknown>
    ) => void,
    private readonly onEnd: (error: DbError | undefined, value: unknown) => void,
    limit: number,
    deadline: Deadline | undefined,
    /** Called when its turn has come, before it is sent. */
    readonly onTurn?: () => void
  ) {
    super(frame.session.ground, limit, deadline)
    this.text = request?.text
  }

  fiber: AnyFiber | undefined = undefined

  get session() {
    return this.frame.session
  }

  start(): void {
    this.session.submit(this)
  }

  withdraw(settled: () => void): void {
    this.session.withdraw(this, settled)
  }

  /** A BEGIN that travels with it. */
  begin: string | undefined = undefined

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    this.send(connection, this.begin, done)
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    this.frame.session.jobEnded(this, error, value)
  }

  resolve(error: DbError | undefined, value: unknown): void {
    this.onEnd(error, value)
  }

  /** It is not run at all. */
  refuse(error: DbError): void {
    if (this.kind !== "control") {
      this.ground.failed(error, this.fiber)
    }
    this.onEnd(error, undefined)
  }
}

/** Rows that a session hands out piece by piece. */
export interface SessionCursor {
  readonly cursor: Driver.Cursor
  readonly frame: Frame
  /** The longest that a fetch may take, in milliseconds; 0 for none. */
  readonly limit: number
  /** What fetches have brought and nobody has taken yet. */
  readonly unread: Array<ReadonlyArray<unknown>>
  /** It is closed already. */
  done: boolean
  /** Why there is no more. */
  failed: DbError | undefined
}
