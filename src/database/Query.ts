/**
 * A statement as a text with parameters.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { ConnectionError, type DbError, QueryError } from "../DbError.js"
import * as Batch from "../engine/Batch.js"
import type { Engine } from "../engine/Engine.js"
import * as NamedParams from "../engine/NamedParams.js"
import { type AnyFiber, statementLimit } from "../engine/Origin.js"
import { frameOf } from "../engine/Place.js"
import * as Sending from "../engine/Sending.js"

/**
 * Options of one statement.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueryOptions {
  /** The longest it may run. Defaults to the configured `limits.statementTimeout`. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Values for `:name` parameters, or for the driver's own placeholders in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Params = Readonly<Record<string, unknown>> | ReadonlyArray<unknown>

const compile = (
  engine: Engine,
  text: string,
  params: Params | undefined
): Either.Either<readonly [string, ReadonlyArray<unknown>], QueryError> => {
  if (Array.isArray(params)) {
    return Either.right([text, params])
  }
  return Either.mapLeft(
    // An array was dealt with above; what is left is a record, or nothing.
    NamedParams.compile(text, params as Readonly<Record<string, unknown>> | undefined, engine.driver.dialect),
    (problem) =>
      new QueryError({
        message: `database "${engine.name}": ${problem}`,
        reason: "Parameter",
        outcome: "NotSent",
        database: engine.name,
        statement: text
      })
  )
}

/** The statements as one list, where the database takes such and there is nothing to be said against any of them. */
export const batched = (engine: Engine, fiber: AnyFiber, statements: ReadonlyArray<readonly [string, Params?]>) => {
  const frame = frameOf(engine, fiber)
  const list: Array<Batch.Listed> = []
  for (const [text, params] of statements) {
    const compiled = compile(engine, text, params)
    if (Either.isLeft(compiled)) {
      return undefined
    }
    list.push(compiled.right)
  }
  return frame && Batch.run(engine, fiber, frame, list, statementLimit(engine.config, fiber))
}

/** What is not even sent is a failure, too. */
const refused = (engine: Engine, fiber: AnyFiber, error: DbError): Effect.Effect<never, DbError> => {
  engine.failed(error, fiber)
  return Effect.fail(error)
}

const unstoppable = (engine: Engine): ConnectionError =>
  new ConnectionError({
    message: `database "${engine.name}": a statement cannot be stopped in this process, so its timeout could not be ` +
      "kept: open the database with `threads`",
    reason: "Unsupported",
    outcome: "NotSent",
    database: engine.name
  })

/** Runs a text and gives its rows. */
export const run = (
  engine: Engine,
  text: string,
  params: Params | undefined,
  { timeout }: QueryOptions
): Effect.Effect<unknown, DbError> =>
  Effect.withFiberRuntime((fiber) => {
    const compiled = compile(engine, text, params)
    if (Either.isLeft(compiled)) {
      return refused(engine, fiber, compiled.left)
    }
    const [sql, values] = compiled.right
    if (timeout === undefined) {
      return Sending.query(engine, fiber, sql, values, statementLimit(engine.config, fiber))
    }
    return engine.driver.capabilities.synchronous
      ? refused(engine, fiber, unstoppable(engine))
      : Sending.query(engine, fiber, sql, values, Duration.toMillis(timeout))
  })
