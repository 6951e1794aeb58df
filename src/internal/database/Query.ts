/**
 * A statement as a text with parameters.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as SqlStatement from "@effect/sql/Statement"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type DbError, fromSqlError, type QueryError } from "../../DbError.js"
import type { Mode, StatementResult } from "../../driver/Driver.js"
import type { Engine } from "../Engine.js"
import { withParameterName } from "../error/classes.js"
import { foreign, unsendable, unstoppable } from "../error/engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { levelOf, statementLimit } from "../fiber/fiberContext.js"
import { type Listed, run as runList } from "../request/batch.js"
import { executeQuery } from "../request/execute.js"
import { classify, isCall } from "../sql/classify.js"
import * as NamedParams from "../sql/NamedParams.js"
import { ClientStatement } from "../SqlClient.js"

type Statement = SqlStatement.Statement<object>

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
 * An object that goes as JSON, where the database takes JSON: with known keys or any, and no function, collection, promise or value of
 * Effect.
 *
 * @since 0.2.0
 * @category models
 */
export type ParamObject =
  | Readonly<Record<string, unknown>>
  | object & {
    readonly call?: never
    readonly exec?: never
    readonly pipe?: never
    readonly then?: never
    readonly [Symbol.iterator]?: never
  }

/**
 * The value of a parameter. What of these a database takes is in docs/values.md; there is no `undefined` among them: a value that is
 * missing is `null`. An array in the list of an `IN` gives the values of the list; elsewhere it is an array or JSON.
 *
 * @since 0.2.0
 * @category models
 */
export type Param =
  | string
  | number
  | bigint
  | boolean
  | null
  | Date
  | ArrayBuffer
  | ArrayBufferView
  | ReadonlyArray<Param>
  | ParamObject

/**
 * Values for `:name` parameters, or for the driver's own placeholders in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Params = Readonly<Record<string, Param>> | ReadonlyArray<Param>

const compile = (
  engine: Engine,
  text: string,
  params: Params | undefined
): Either.Either<readonly [string, ReadonlyArray<unknown>], QueryError> => {
  if (Array.isArray(params)) {
    return Either.right([text, params])
  }
  const { dialect, mostParameters } = engine.driver
  try {
    // An array was dealt with above; what is left is a record, or nothing.
    const record = params as Readonly<Record<string, unknown>> | undefined
    const compiled = NamedParams.compile(text, record, dialect, mostParameters)
    return Either.isRight(compiled)
      ? Either.right(compiled.right)
      : Either.left(unsendable(engine.name, compiled.left, text))
  } catch {
    // A getter of the program's has thrown.
    return Either.left(unsendable(engine.name, "the value of a parameter fails when it is read", text))
  }
}

/** An error that speaks of a parameter, with the name that the text gives it. */
const named = (engine: Engine, text: string, params: Params | undefined, error: DbError): DbError => {
  if (error._tag !== "QueryError" || params === undefined || Array.isArray(params)) {
    return error
  }
  const { dialect, mostParameters } = engine.driver
  return withParameterName(
    error,
    // It is no array.
    (number) =>
      NamedParams.namesOf(text, params as Readonly<Record<string, unknown>>, dialect, mostParameters)[number - 1]
  )
}

/** The statements as one list, where the database takes such and there is nothing to be said against any of them. */
export const batched = (engine: Engine, fiber: AnyFiber, statements: ReadonlyArray<readonly [string, Params?]>) => {
  const level = levelOf(engine, fiber)
  const list: Array<Listed> = []
  for (const [text, params] of statements) {
    const compiled = compile(engine, text, params)
    if (Either.isLeft(compiled)) {
      return undefined
    }
    if (mayBeSeveral(engine, text)) {
      return undefined
    }
    list.push(compiled.right)
  }
  const all = level && runList(engine, fiber, level, list, statementLimit(engine.config, fiber))
  return all && Effect.mapError(all, (error) => {
    const at = error._tag === "QueryError" ? list.findIndex(([sql]) => sql === error.statement) : -1
    return at < 0 ? error : named(engine, statements[at]![0], statements[at]![1], error)
  })
}

/** What is not even sent is a failure, too. */
export const refused = (engine: Engine, error: DbError): Effect.Effect<never, DbError> =>
  Effect.withFiberRuntime((fiber) => {
    engine.failed(error, fiber)
    return Effect.fail(error)
  })

type Sets = ReadonlyArray<ReadonlyArray<unknown>>

/** The rows of each statement: those of a single one are no arrays. */
const setsOf = (answer: unknown): Sets => {
  // What the mode gives: rows, or an array of such arrays.
  const rows = answer as ReadonlyArray<unknown>
  return Array.isArray(rows[0]) ? rows as Sets : [rows]
}

/** Whether there may be several statements in a text, or sets of rows in the answer of one. */
const mayBeSeveral = (engine: Engine, text: string): boolean =>
  (text.includes(";") && classify(text, engine.driver.dialect).several) || isCall(text, engine.driver.dialect)

/** What is asked of a database: a text with its parameters, or a statement that has them. */
export interface Asked {
  readonly source: string | Statement
  readonly params: Params | undefined
  readonly options: QueryOptions
}

/** The text of what was asked, for errors. */
export const textOf = ({ source }: Asked): string => typeof source === "string" ? source : source.compile()[0]

/** Runs what is asked and gives the rows of its last statement, which nearly always is its only one. */
export const run = (engine: Engine, asked: Asked): Effect.Effect<ReadonlyArray<unknown>, DbError> => {
  const { options, params, source } = asked
  return typeof source !== "string" || mayBeSeveral(engine, source)
    ? Effect.map(execute(engine, asked), ({ rows }) => rows)
    // What the mode gives for a single statement.
    : send(engine, source, params, options, "rows") as Effect.Effect<ReadonlyArray<unknown>, DbError>
}

/** Runs a statement of this engine's client. */
const runStatement = <A>(
  engine: Engine,
  statement: ClientStatement<unknown>,
  { timeout }: QueryOptions,
  ask: (limit: number | undefined) => Effect.Effect<A, SqlError>
): Effect.Effect<A, DbError> =>
  !statement.isOf(engine)
    ? refused(engine, foreign(engine.name))
    : timeout !== undefined && engine.driver.capabilities.synchronous
    ? refused(engine, unstoppable(engine.name))
    : Effect.mapError(
      ask(timeout === undefined ? undefined : Duration.toMillis(timeout)),
      (error) => fromSqlError(error, engine.name)
    )

/** Runs what is asked in a mode that has the answer's shape. */
const runAs = <A>(
  engine: Engine,
  { options, params, source }: Asked,
  mode: Mode,
  ask: (statement: ClientStatement<unknown>, limit: number | undefined) => Effect.Effect<A, SqlError>
): Effect.Effect<A, DbError> => {
  if (source instanceof ClientStatement) {
    return runStatement(engine, source, options, (limit) => ask(source, limit))
  }
  const [text, values] = typeof source === "string" ? [source, params] : source.compile()
  // The caller names the mode that gives this; and what a statement was compiled to are parameters.
  return send(engine, text, values as Params | undefined, options, mode) as Effect.Effect<A, DbError>
}

/** Whether there may be several statements in what is asked. One that cannot be compiled fails when it runs. */
const asksSeveral = (engine: Engine, { source }: Asked): boolean =>
  typeof source === "string"
    ? mayBeSeveral(engine, source)
    : !(source instanceof ClientStatement && source.problem !== undefined) && mayBeSeveral(engine, source.compile()[0])

/**
 * Runs what is asked and gives the rows of its last statement, each as an array. Of several statements only the rows as objects can be
 * had: columns of one name are one there.
 */
export const values = (engine: Engine, asked: Asked): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, DbError> =>
  asksSeveral(engine, asked)
    ? Effect.map(execute(engine, asked), ({ rows }) => rows.map((row) => Object.values(row as object)))
    : runAs(engine, asked, "values", (statement, limit) => statement.valuesWithin(limit))

/** Runs what is asked and gives what its last statement gave and did. */
export const execute = (engine: Engine, asked: Asked): Effect.Effect<StatementResult, DbError> =>
  runAs(engine, asked, "result", (statement, limit) => statement.resultWithin(limit))

/** Runs a text and gives the rows of each of its statements. */
export const script = (
  engine: Engine,
  text: string,
  params: Params | undefined,
  options: QueryOptions
): Effect.Effect<Sets, DbError> => Effect.map(send(engine, text, params, options, "sets"), setsOf)

const send = (
  engine: Engine,
  text: string,
  params: Params | undefined,
  { timeout }: QueryOptions,
  mode: Mode
): Effect.Effect<unknown, DbError> =>
  Effect.withFiberRuntime((fiber) => {
    const compiled = compile(engine, text, params)
    if (Either.isLeft(compiled)) {
      return refused(engine, compiled.left)
    }
    if (timeout !== undefined && engine.driver.capabilities.synchronous) {
      return refused(engine, unstoppable(engine.name))
    }
    const [sql, values] = compiled.right
    const limit = timeout === undefined ? statementLimit(engine.config, fiber) : Duration.toMillis(timeout)
    return values.length === 0 || Array.isArray(params)
      ? executeQuery(engine, fiber, sql, values, limit, mode)
      : executeQuery(engine, fiber, sql, values, limit, mode, (error) => named(engine, text, params, error))
  })
