/**
 * Running again what had no effect.
 */
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type * as Schedule from "effect/Schedule"
import type * as Tracer from "effect/Tracer"
import { type DbError, isRetryable } from "../../DbError.js"
import { initialState, nextStep } from "../effect/schedule.js"
import type { Engine } from "../Engine.js"
import { spanOf } from "../fiber/Caller.js"
import { deadlineOf, levelOf } from "../fiber/fiberContext.js"
import { ofError } from "../observe/Log.js"
import type { SessionLevel } from "./Session.js"

/** Repeats what may be repeated: nothing was applied, and the reason is transient. */
export const withRetry = <A, E, R>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  schedule: Schedule.Schedule<unknown, DbError>,
  classify: (error: E) => DbError | undefined,
  options: { readonly isIdempotent?: boolean; readonly span?: Tracer.Span | undefined } = {}
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((fiber) => {
    const deadline = deadlineOf(fiber)
    const level = levelOf(engine, fiber)
    const span = options.span ?? spanOf(fiber)
    const loop = (attempt: number, state: unknown): Effect.Effect<A, E, R> =>
      Effect.catchAll(effect, (error) => {
        const typed = classify(error)
        if (typed === undefined || !mayRepeat(typed, options.isIdempotent === true) || hasLost(level)) {
          return Effect.fail(error)
        }
        const now = engine.clock.unsafeCurrentTimeMillis()
        return Effect.flatMap(nextStep(schedule, now, typed, state), (step) => {
          // A next attempt that could not even begin in time is not waited for.
          if (step === undefined || (deadline !== undefined && now + step.waitMillis >= deadline.at)) {
            return Effect.fail(error)
          }
          const wait = step.waitMillis
          const log = engine.log.line(LogLevel.Debug, "retrying", {
            operation: "retry",
            attempt,
            reason: typed.reason,
            ...ofError(typed),
            waitMillis: wait
          })
          return Effect.zipRight(
            wait > 0 ? Effect.zipRight(log, Effect.sleep(wait)) : log,
            Effect.suspend(() => {
              engine.metrics.retry()
              span?.attribute("dblive.retries", attempt)
              return loop(attempt + 1, step.state)
            })
          )
        })
      })
    return loop(1, initialState(schedule))
  })

/** An idempotent effect may be run again whatever became of it. */
const mayRepeat = (error: DbError, isIdempotent: boolean): boolean =>
  isRetryable(error) || (isIdempotent && (error.isTransient || error.reason === "CommitUnknown"))

/** In a session whose connection is lost, nothing can succeed any more. */
const hasLost = (level: SessionLevel | undefined): boolean => level !== undefined && level.session.connection.lost
