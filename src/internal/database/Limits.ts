/** The limits of an effect: those of its statements and transactions, and the moment that bounds all it does. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as DbConfig from "../../DbConfig.js"
import { currentDeadline, currentLimits } from "../fiber/fiberContext.js"

/** Limits of the statements and transactions of an effect. Without a name outside: declarations write what it is. */
type Limits = Pick<DbConfig.LimitOptions, "statementTimeout" | "transactionTimeout">

/** The earlier of two moments holds. */
export const withTimeout: {
  (duration: Duration.DurationInput): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.DurationInput): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.DurationInput) =>
    Effect.flatMap(Effect.clock, (clock) =>
      Effect.withFiberRuntime<A, E, R>((fiber) => {
        const limit = Duration.toMillis(duration)
        const at = clock.unsafeCurrentTimeMillis() + limit
        const around = fiber.getFiberRef(currentDeadline)
        return around !== undefined && around.at <= at
          ? effect
          : Effect.locally(effect, currentDeadline, { at, limit })
      }))
)

/** The inner of two limits holds. */
export const withLimits: {
  (limits: Limits): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, limits: Limits): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, limits: Limits) =>
    Effect.locallyWith(effect, currentLimits, (around) => ({
      ...around,
      ...(limits.statementTimeout === undefined
        ? {}
        : { statementTimeout: Duration.toMillis(limits.statementTimeout) }),
      ...(limits.transactionTimeout === undefined
        ? {}
        : { transactionTimeout: Duration.toMillis(limits.transactionTimeout) })
    }))
)
