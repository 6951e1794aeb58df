/**
 * The engine of one of the servers of a database, as the choice among them uses it.
 */
import type * as Effect from "effect/Effect"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { Restore } from "../fiber/fiberContext.js"
import type { Fork } from "../pool/DeadlineTimer.js"
import type { EngineContext } from "../request/Request.js"
import type { Session } from "../session/Session.js"
import type { AcquireOptions } from "../session/SessionWait.js"

export interface Server extends EngineContext {
  readonly poolName: string
  readonly fork: Fork
  readonly serverVersion: string | undefined
  onFailure: ((error: DbError) => void) | undefined
  readonly openSession: <A, E, R, E2>(
    fiber: AnyFiber,
    restore: Restore,
    asked: AcquireOptions,
    fail: (error: DbError) => E2,
    use: (session: Session) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | E2, R>
  readonly closeSession: (session: Session) => Effect.Effect<void>
  readonly endSession: (session: Session) => Effect.Effect<void> | undefined
  /** A question of our own, on the reserved place. */
  readonly ask: <A>(
    send: (connection: Driver.Connection, done: Driver.Done<A>) => void,
    failsFast: boolean
  ) => Effect.Effect<A, DbError>
  /** The same in a session. */
  readonly askIn: <A>(
    session: Session,
    send: (connection: Driver.Connection, done: Driver.Done<A>) => void
  ) => Effect.Effect<A, DbError>
}
