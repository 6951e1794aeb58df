/**
 * The attributes of spans: those of OpenTelemetry's semantic conventions for databases, and ours where they have none.
 * Nothing here runs without a tracer.
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import { type DbError, fromSqlError } from "../../DbError.js"
import { errorType } from "../../DbMetrics.js"
import type * as Driver from "../../driver/Driver.js"
import { isTraced } from "../effect/context.js"
import type { Engine } from "../Engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { EngineContext } from "../request/Request.js"
import type { SessionLevel } from "../session/Session.js"

/** OpenTelemetry's attributes of a server and its database. */
export const describeServer = (span: Tracer.Span, { spanAttributes }: Pick<EngineContext, "spanAttributes">): void => {
  for (const [key, value] of spanAttributes) {
    span.attribute(key, value)
  }
}

/**
 * OpenTelemetry's attributes of a statement, with those of the server on which it runs: in a read, that may be a replica. Its name is a
 * keyword, or nothing where the text begins otherwise.
 */
export const describeStatement = (
  span: Tracer.Span,
  engine: Engine,
  level: SessionLevel | undefined,
  text: string
): void => {
  describeServer(span, level?.session.engine ?? engine)
  span.attribute("db.query.text", text)
  const operation = /^\s*([a-z]+)\b/i.exec(text)?.[1]
  if (operation !== undefined) {
    span.attribute("db.operation.name", operation.toUpperCase())
  }
}

/** OpenTelemetry's attributes of a failed database call. */
export const describeError = (span: Tracer.Span, error: unknown, database: string): void => {
  if (typeof error !== "object" || error === null || !("_tag" in error)) {
    return
  }
  // A failed statement fails with `SqlError`; a session's boundary with one of the three.
  const typed = error._tag === "SqlError" ? fromSqlError(error as SqlError, database) : (error as DbError)
  span.attribute("error.type", errorType(typed))
  if (typed.code !== undefined) {
    span.attribute("db.response.status_code", typed.code)
  }
}

/** Ours, of a transaction that begins. */
export const describeTransaction = (span: Tracer.Span, { isolation, readOnly }: Driver.BeginOptions): void => {
  span.attribute("dblive.retries", 0)
  if (isolation !== undefined) {
    span.attribute("dblive.isolation", isolation)
  }
  if (readOnly !== undefined) {
    span.attribute("dblive.read_only", readOnly)
  }
}

/** A statement in a span of its own, which says how it failed. */
export const inStatementSpan = <A, E, R>(
  engine: Engine,
  f: (span: Tracer.Span) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.useSpan(
    "sql.execute",
    { kind: "client", captureStackTrace: false },
    (span) =>
      Effect.tapError(Effect.suspend(() => f(span)), (error) =>
        Effect.sync(() => describeError(span, error, engine.name)))
  )

/** A session or transaction in its span, where a tracer is set. */
export const inSessionSpan = <A, E, R>(
  engine: Engine,
  fiber: AnyFiber,
  name: string,
  f: (span: Tracer.Span | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  isTraced(fiber)
    ? Effect.useSpan(name, { kind: "client", captureStackTrace: false }, (span) => {
      describeServer(span, engine)
      return Effect.tapError(f(span), (error) => Effect.sync(() => describeError(span, error, engine.name)))
    })
    : f(undefined)
