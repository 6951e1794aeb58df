/**
 * The audit: every statement, and how each transaction ended, written by the fiber that ran it, so that its log
 * annotations say on whose behalf. Texts, never values.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import type { Engine } from "../Engine.js"
import type { EngineContext } from "../request/Request.js"
import type { SessionLevel } from "../session/Session.js"

/** What became of a statement, in a word or two. */
const resultOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "ok" : Cause.isInterruptedOnly(exit.cause) ? "interrupted" : "failed"

/** Writes down a statement when it has ended. */
export const audited = <A, E, R>(
  engine: Engine,
  level: SessionLevel | undefined,
  text: string,
  statement: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const started = engine.clock.unsafeCurrentTimeMillis()
    return Effect.onExit(Effect.suspend(statement), (exit) =>
      (level?.session.engine ?? engine).log.line(LogLevel.Info, "statement", {
        operation: "statement",
        ...(level === undefined ? {} : { session: level.session.number }),
        statement: text,
        result: resultOf(exit),
        durationMillis: engine.clock.unsafeCurrentTimeMillis() - started
      }))
  })

/** Writes down how a transaction ended. */
export const auditEnd = (
  engine: EngineContext,
  session: number,
  isNested: boolean,
  result: "committed" | "rolled_back" | "unknown"
): Effect.Effect<void> =>
  engine.log.line(LogLevel.Info, isNested ? "nested transaction" : "transaction", {
    operation: "transaction",
    session,
    result
  })
