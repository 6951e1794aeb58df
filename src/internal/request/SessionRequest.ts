/**
 * A request on its way through a session: a statement, the next rows of a cursor, a COMMIT.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { TransactionLevel } from "../session/TransactionLevel.js"
import type { Deadline } from "./Deadline.js"
import { type EngineContext, Request } from "./Request.js"

/** The queue of a session's requests. */
export interface RequestOwner {
  readonly engine: EngineContext
  /** The session's number, for reports. */
  readonly number: number
  readonly submit: (request: SessionRequest) => void
  readonly withdraw: (request: SessionRequest, settled: () => void) => void
  /** It has run, and has left the connection. */
  readonly requestEnded: (request: SessionRequest, error: DbError | undefined, value: unknown) => void
}

/** Sends what is not one statement that `Connection.execute` runs. */
export type Send = (
  connection: Driver.Connection,
  begin: string | undefined,
  done: Driver.Done<unknown>
) => void

export class SessionRequest extends Request {
  /** What `text` would be if it were known when the request is made. */
  readonly text: string | undefined
  fiber: AnyFiber | undefined = undefined
  /** A BEGIN that travels with it. */
  begin: string | undefined = undefined

  // One after the other, and not in an object, because one is made for each statement.
  constructor(
    readonly session: RequestOwner,
    readonly level: TransactionLevel,
    readonly kind: Request["kind"],
    readonly request: Driver.Request | undefined,
    private readonly onEnd: (error: DbError | undefined, value: unknown) => void,
    limit: number,
    deadline: Deadline | undefined,
    /** `undefined`: `request` is a statement to be executed. */
    private readonly send?: Send,
    /** Whether a BEGIN that is still to be sent goes ahead of it. */
    readonly carriesBegin = kind !== "control"
  ) {
    super(session.engine, limit, deadline)
    this.text = request?.text
  }

  start(): void {
    this.session.submit(this)
  }

  withdraw(settled: () => void): void {
    this.session.withdraw(this, settled)
  }

  protected launch(connection: Driver.Connection, done: Driver.Done<unknown>): void {
    const { begin, request, send } = this
    if (send !== undefined) {
      send(connection, begin, done)
    } else {
      // Without `send` there is a statement.
      connection.execute(begin === undefined ? request! : { ...request!, begin }, done)
    }
  }

  protected ended(error: DbError | undefined, value: unknown): void {
    this.session.requestEnded(this, error, value)
  }

  resolve(error: DbError | undefined, value: unknown): void {
    this.onEnd(error, value)
    this.settled()
  }

  /** It is not run at all. */
  refuse(error: DbError): void {
    if (this.kind !== "control") {
      this.engine.failed(error, this.fiber)
    }
    this.onEnd(error, undefined)
  }
}
