/**
 * Where a fiber stands: in which frame of which session, and what a span says of a failure there.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Tracer from "effect/Tracer"
import { type DbError, fromSqlError } from "../DbError.js"
import { errorType } from "../DbMetrics.js"
import type { Engine } from "./Engine.js"
import type { Frame } from "./Frame.js"
import type { AnyFiber } from "./Origin.js"

/** The frame in which a fiber runs on this engine's database, if any. */
export const frameOf = (engine: Engine, fiber: AnyFiber): Frame | undefined => {
  // Only `provideFrame` writes under this key.
  const frame = fiber.currentContext.unsafeMap.get(engine.frameKey) as Frame | undefined
  return frame !== undefined && frame.session.ground === engine ? frame : undefined
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
