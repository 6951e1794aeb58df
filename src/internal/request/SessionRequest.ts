/**
 * A request on its way through a session: a statement, the next rows of a cursor, a COMMIT.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { TransactionLevel } from "../session/TransactionLevel.js"
import type { Deadline } from "./Deadline.js"
import { Request } from "./Request.js"

/** A request on its way through a session. */
export class SessionRequest extends Request {
  /** What `text` would be if it were known when the job is made. */
  readonly text: string | undefined
  constructor(
    readonly level: TransactionLevel,
    readonly kind: Request["kind"],
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
    super(level.session.engine, limit, deadline)
    this.text = request?.text
  }

  fiber: AnyFiber | undefined = undefined

  get session() {
    return this.level.session
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
    this.level.session.requestEnded(this, error, value)
  }

  resolve(error: DbError | undefined, value: unknown): void {
    this.onEnd(error, value)
  }

  /** It is not run at all. */
  refuse(error: DbError): void {
    if (this.kind !== "control") {
      this.engine.failed(error, this.fiber)
    }
    this.onEnd(error, undefined)
  }
}

/** Rows that a session hands out piece by piece. */
export interface SessionCursor {
  readonly cursor: Driver.Cursor
  readonly level: TransactionLevel
  /** The longest that a fetch may take, in milliseconds; 0 for none. */
  readonly limit: number
  /** What fetches have brought and nobody has taken yet. */
  readonly unread: Array<ReadonlyArray<unknown>>
  /** It is closed already. */
  done: boolean
  /** Why there is no more. */
  failed: DbError | undefined
}
