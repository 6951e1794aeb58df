/**
 * Reads on replicas, and what they are not to be older than, as members of a tag.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as Types from "effect/Types"
import type { DbError } from "../../DbError.js"
import type { Engine } from "../Engine.js"
import { ofRead, refusedOption } from "./callOptions.js"
import { token, withToken } from "./token.js"
import * as Transaction from "./Transaction.js"
import type { Typed } from "./Typed.js"

/** Any effect: what tells it from options. */
type AnyEffect = Effect.Effect<unknown, unknown, unknown>

/** Gives an effect the engine of the tag's database. */
export interface WithEngine<Self> {
  <A, E, R>(f: (engine: Engine) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Self>
}

/**
 * The members that read on replicas, and tell what a read is not to be older than.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReadMembers<Self> {
  /**
   * Runs the effect as a read: in a read-only transaction, on the replica with the fewest borrowers that shows what this fiber has
   * written or was shown before; without one, on the primary. A write is refused by the server: `QueryError` with reason `ReadOnly`.
   *
   *     effect.pipe(Db.read)
   *     effect.pipe(Db.read({ staleness: "2 seconds" }))
   *
   * Inside a transaction or a session of the same database it stays there. Fails as `transaction` does, and with reason `NoReplica` where
   * `replication.whenNoReplica` is `fail`.
   */
  readonly read: <
    Arg extends AnyEffect | Types.NoExcessProperties<Transaction.ReadOptions, Arg>
  >(
    effectOrOptions: Arg,
    options?: Transaction.ReadOptions
  ) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
    ? Transaction.Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>
    : <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ) => Transaction.Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self>

  /**
   * What this fiber has written and was shown, as a short text: a read that is given it by `withToken`, also in another process, shows
   * nothing older. `undefined` where there is nothing, and on databases that have no replicas. PostgreSQL: a place in the log (LSN).
   *
   * Fails where the primary has to be asked, and does not answer.
   */
  readonly token: Effect.Effect<string | undefined, DbError, Self>

  /**
   * Runs the effect as one that has seen what the token says. It is no secret and no right: one that was made up can only send reads to
   * the primary. A text that is no token is a `QueryError` with reason `Parameter`.
   */
  readonly withToken: {
    (
      token: string | undefined
    ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DbError, R | Self>
    <A, E, R>(effect: Effect.Effect<A, E, R>, token: string | undefined): Effect.Effect<A, E | DbError, R | Self>
  }
}

/** The members of a tag. */
export const readMembers = <Self>(withEngine: WithEngine<Self>): ReadMembers<Self> => {
  const asRead = (effect: AnyEffect, options: Transaction.ReadOptions = {}): AnyEffect =>
    withEngine((engine) => refusedOption(engine, options, ofRead) ?? Transaction.read(engine, effect, options))
  const withTokenOf = (effect: AnyEffect, token: string | undefined): AnyEffect =>
    withEngine((engine) => withToken(engine, effect, token))
  return {
    read:
      ((effectOrOptions: AnyEffect | Transaction.ReadOptions, options?: Transaction.ReadOptions) =>
        Effect.isEffect(effectOrOptions)
          ? asRead(effectOrOptions, options)
          // As a transaction is.
          : (effect: AnyEffect) => asRead(effect, effectOrOptions)) as ReadMembers<Self>["read"],
    token: withEngine(token),
    withToken: ((effectOrToken: AnyEffect | string | undefined, token?: string) =>
      Effect.isEffect(effectOrToken)
        ? withTokenOf(effectOrToken, token)
        // The forms differ by their first argument.
        : (effect: AnyEffect) => withTokenOf(effect, effectOrToken)) as ReadMembers<Self>["withToken"]
  }
}
