/**
 * A session as a scoped resource.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { DbError } from "../../DbError.js"
import type { Engine } from "../Engine.js"
import { unsupportedOption } from "../error/engine.js"
import { inLevel } from "../fiber/fiberContext.js"
import type { Session as EngineSession } from "../session/Session.js"
import { beginInnermost, endInnermost, reserveSession } from "../session/transaction.js"
import * as Client from "../SqlClient.js"
import { type TransactionOptions, within } from "./Transaction.js"
import { type Typed, typed } from "./Typed.js"

/**
 * A session as a scoped resource: its connection is reserved until the scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session {
  /** Its number in this process, as logs and spans tell it. */
  readonly number: number
  /** A client whose statements all run on this session's connection. */
  readonly sql: SqlClient.SqlClient
  /** Runs an effect in this session, so that the database's own client uses its connection there. */
  readonly use: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, Typed<E>, Exclude<R, SqlClient.SqlClient>>
  /** Begins a transaction, or a savepoint in the one that is open. Ended by `commit` or `rollback`, else rolled back with the scope. */
  readonly begin: (options?: Omit<TransactionOptions, "retry" | "timeout">) => Effect.Effect<void, DbError>
  /** Ends what was begun last. Succeeds only when the database says that it is committed. */
  readonly commit: Effect.Effect<void, DbError>
  /** Undoes what was begun last. */
  readonly rollback: Effect.Effect<void, DbError>
}

const handle = (engine: Engine, session: EngineSession, sql: SqlClient.SqlClient): Session => ({
  number: session.number,
  sql,
  use: (effect) =>
    Effect.mapError(
      Effect.suspend(() => inLevel(engine, session.innermost, undefined, effect)),
      typed(engine.name)
      // `inLevel` provides the client.
    ) as never,
  begin: (options = {}) =>
    Effect.suspend(() => {
      const { readOnly } = within(engine, options)
      const begin = engine.driver.transaction.begin({ ...options, readOnly })
      if (typeof begin !== "string") {
        return Effect.fail(unsupportedOption(engine.name, begin.unsupported))
      }
      return beginInnermost(session, begin, { ...options, readOnly })
    }),
  commit: endInnermost(engine, session, "commit"),
  rollback: endInnermost(engine, session, "rollback")
})

/** Takes a session of its own for the scope. */
export const make = (engine: Engine): Effect.Effect<Session, DbError, Scope.Scope> =>
  Effect.flatMap(reserveSession(engine), (session) =>
    Effect.map(
      Effect.provide(Client.make(engine, session), Reactivity.layer),
      (sql) => handle(engine, session, sql)
    ))
