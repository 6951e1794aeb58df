/**
 * The wait of a fiber for the connection of a session.
 */
import * as Exit from "effect/Exit"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { deadlineOf } from "../fiber/fiberContext.js"
import { type Acquirer, AcquireRequest } from "../pool/AcquireRequest.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import type { EngineContext } from "../request/Request.js"
import type { SessionLevel } from "./Session.js"

/** What a session is asked for. */
export interface AcquireOptions {
  /** It is to begin with a writing transaction. */
  readonly writes: boolean
  /** The level in which the fiber is that asks for another session. */
  readonly inside: SessionLevel | undefined
  /** For a question of the engine's own, which may have the reserved connection. */
  readonly reserved?: boolean
  /** Fails with the first failing opening instead of outwaiting it. */
  readonly failFast?: boolean
}

export class SessionWait implements Acquirer {
  entry: PoolEntry<Driver.Connection> | undefined = undefined
  readonly request: AcquireRequest
  private resume: (exit: Exit.Exit<void, DbError>) => void = () => {}

  constructor(
    engine: EngineContext,
    { failFast: failsFast, inside, reserved: isReserved, writes }: AcquireOptions,
    fiber: AnyFiber
  ) {
    this.request = new AcquireRequest(
      engine,
      { writes, inside: inside?.session, reserved: isReserved, failFast: failsFast },
      fiber,
      deadlineOf(fiber),
      this
    )
  }

  start(resume: (exit: Exit.Exit<void, DbError>) => void): void {
    this.resume = resume
    this.request.start()
  }

  onAcquired(entry: PoolEntry<Driver.Connection>): void {
    this.entry = entry
    this.resume(Exit.void)
  }

  onAcquireFailed(error: DbError): void {
    this.resume(Exit.fail(error))
  }
}
