/**
 * Rows as they are asked for: by a schema, and so many.
 */
import type { Statement } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { DbError, QueryError } from "../../DbError.js"
import type { StatementResult } from "../../driver/Driver.js"
import type { Engine } from "../Engine.js"
import { notFound, tooMany } from "../error/engine.js"
import { excerpt } from "../error/message.js"
import * as Query from "./Query.js"

/**
 * Options of a statement whose rows a schema decodes.
 *
 * @since 0.2.0
 * @category models
 */
export interface SchemaOptions<A, I, R> extends Query.QueryOptions {
  /** What each row is decoded by; of `scalar`, the value. */
  readonly schema: Schema.Schema<A, I, R>
}

/** What is given of rows of one type, by the name of the member. */
interface Given<A> {
  readonly query: ReadonlyArray<A>
  readonly one: A
  readonly option: Option.Option<A>
  readonly execute: StatementResult<A>
}

/**
 * A member that runs a statement and gives something of its rows. It takes a text with its parameters, or a statement of this database's
 * `sql`. With a schema the rows are decoded; without one their type is taken on trust.
 *
 * @since 0.2.0
 * @category models
 */
export interface RowsMember<Self, Name extends keyof Given<unknown>> {
  <A, I, R>(
    text: string,
    params: Query.Params | undefined,
    options: SchemaOptions<A, I, R>
  ): Effect.Effect<Given<A>[Name], DbError | ParseResult.ParseError, Self | R>
  <A, I, R>(
    statement: Statement<object>,
    options: SchemaOptions<A, I, R>
  ): Effect.Effect<Given<A>[Name], DbError | ParseResult.ParseError, Self | R>
  <A extends object = Readonly<Record<string, unknown>>>(
    text: string,
    params?: Query.Params,
    options?: Query.QueryOptions
  ): Effect.Effect<Given<A>[Name], DbError, Self>
  <A extends object>(
    statement: Statement<A>,
    options?: Query.QueryOptions
  ): Effect.Effect<Given<A>[Name], DbError, Self>
}

/**
 * A member that runs a statement and gives its only value.
 *
 * @since 0.2.0
 * @category models
 */
export interface ScalarMember<Self> {
  <A, I, R>(
    text: string,
    params: Query.Params | undefined,
    options: SchemaOptions<A, I, R>
  ): Effect.Effect<A, DbError | ParseResult.ParseError, Self | R>
  <A, I, R>(
    statement: Statement<object>,
    options: SchemaOptions<A, I, R>
  ): Effect.Effect<A, DbError | ParseResult.ParseError, Self | R>
  <A = unknown>(
    text: string,
    params?: Query.Params,
    options?: Query.QueryOptions
  ): Effect.Effect<A, DbError, Self>
  <A = unknown>(statement: Statement<object>, options?: Query.QueryOptions): Effect.Effect<A, DbError, Self>
}

/** What is asked, with a schema or without. */
export interface Asked extends Query.Asked {
  readonly options: Query.QueryOptions & { readonly schema?: Schema.Schema.All | undefined }
}

// -----------------------------------------------------------------------------
// decoding
// -----------------------------------------------------------------------------

/** What kind of value was found: never the value. */
const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== "object") return `a ${typeof value}`
  if (Array.isArray(value)) return "an array"
  if (value instanceof Date) return "a Date"
  return value instanceof Uint8Array ? "bytes" : "an object"
}

/** Where in the rows a fault is, and what was expected there. */
interface Found {
  readonly path: ReadonlyArray<PropertyKey>
  readonly what: string
}

/** Of rows, and of values: row and column, or row alone. What lies deeper are the names and places of a document, which are data. */
type Depth = 1 | 2

const expected = (ast: AST.AST, actual: unknown): string => `expected ${String(ast)}, got ${kindOf(actual)}`

const stepsOf = (step: ParseResult.Path): ReadonlyArray<PropertyKey> =>
  // A path is one name, or an array of them.
  Array.isArray(step) ? step : [step as PropertyKey]

/** The path of a filter, or of a transformation, is text of the program's: it is told where it is a column. */
const isColumn = (actual: unknown, [name]: ReadonlyArray<PropertyKey>): boolean =>
  typeof actual === "object" && actual !== null && name !== undefined && Object.hasOwn(actual, name)

/** The first fault of an issue. */
const find = (issue: ParseResult.ParseIssue, path: ReadonlyArray<PropertyKey>, depth: Depth): Found => {
  const extended = (step: ParseResult.Path) => path.concat(stepsOf(step)).slice(0, depth)
  switch (issue._tag) {
    case "Pointer":
      return find(issue.issue, extended(issue.path), depth)
    case "Composite": {
      const { issues } = issue
      // The members of a union are each at fault in their own way.
      return AST.isUnion(issue.ast) || path.length === depth
        ? { path, what: expected(issue.ast, issue.actual) }
        : find("_tag" in issues ? issues : issues[0], path, depth)
    }
    case "Refinement":
    case "Transformation":
      // The text of a filter or a transformation may hold the value.
      return issue.kind === "Predicate" || issue.kind === "Transformation"
        ? {
          path: issue.issue._tag === "Pointer" && isColumn(issue.actual, stepsOf(issue.issue.path))
            ? extended(issue.issue.path)
            : path,
          what: expected(issue.ast, issue.actual)
        }
        : find(issue.issue, path, depth)
    case "Missing":
      return { path, what: "the answer has no such column" }
    case "Unexpected":
      return { path, what: "the schema has no such column" }
    case "Type":
    case "Forbidden":
      return { path, what: expected(issue.ast, issue.actual) }
  }
}

/** The error of rows that are not as their schema says: it names the row, from 1, and the column, and no value. */
const parseError = (issue: ParseResult.ParseIssue, statement: string, depth: Depth): ParseResult.ParseError => {
  const { path, what } = find(issue, [], depth)
  const [row, column] = path
  const place = `row ${Number(row) + 1}${column === undefined ? "" : `, column "${String(column)}"`}`
  const text = `${place}: ${what}, in the answer to ${excerpt(statement)}`
  return ParseResult.parseError(
    new ParseResult.Pointer(
      [row ?? 0, ...path.slice(1)],
      undefined,
      new ParseResult.Type(AST.unknownKeyword, undefined, text)
    )
  )
}

type Decode = (rows: unknown) => Effect.Effect<ReadonlyArray<unknown>, ParseResult.ParseIssue, unknown>

/** How rows are decoded by a schema: made once for each. */
const decoders = new WeakMap<Schema.Schema.All, Decode>()

const decoderOf = (schema: Schema.Schema.All): Decode => {
  let decode = decoders.get(schema)
  if (decode === undefined) {
    // What a schema of any kind requires is in the type of the member that was given it.
    decode = ParseResult.decodeUnknown(Schema.Array(schema as Schema.Schema<unknown, unknown, unknown>))
    decoders.set(schema, decode)
  }
  return decode
}

/** The rows as the schema has them, where there is one. */
const decoded = (
  rows: ReadonlyArray<unknown>,
  asked: Asked,
  depth: Depth = 2
): Effect.Effect<ReadonlyArray<unknown>, ParseResult.ParseError, unknown> =>
  asked.options.schema === undefined
    ? Effect.succeed(rows)
    : Effect.mapError(decoderOf(asked.options.schema)(rows), (issue) => parseError(issue, Query.textOf(asked), depth))

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

/** Where a statement fails: in the database, or where its rows are not as they are asked for. */
type Failure = DbError | ParseResult.ParseError

/** Runs a statement and gives its rows; those of the last statement, where the text has several. */
export const query = (engine: Engine, asked: Asked): Effect.Effect<ReadonlyArray<unknown>, Failure, unknown> =>
  asked.options.schema === undefined
    ? Query.run(engine, asked)
    : Effect.flatMap(Query.run(engine, asked), (rows) => decoded(rows, asked))

/** Runs a statement and gives what it gave and did. */
export const execute = (engine: Engine, asked: Asked): Effect.Effect<StatementResult, Failure, unknown> =>
  Effect.flatMap(
    Query.execute(engine, asked),
    (result) => Effect.map(decoded(result.rows, asked), (rows) => ({ ...result, rows }))
  )

/** Fails where there are several rows. */
const atMostOne = (engine: Engine, rows: ReadonlyArray<unknown>, asked: Asked): Effect.Effect<void, QueryError> =>
  rows.length <= 1 ? Effect.void : Effect.fail(tooMany(engine.name, `${rows.length} rows`, Query.textOf(asked)))

/** Runs a statement and gives its row, or none. */
export const option = (engine: Engine, asked: Asked): Effect.Effect<Option.Option<unknown>, Failure, unknown> =>
  Query.run(engine, asked).pipe(
    Effect.tap((rows) => atMostOne(engine, rows, asked)),
    Effect.flatMap((rows) => decoded(rows, asked)),
    Effect.map(Option.fromIterable)
  )

/** Runs a statement and gives its only row. */
export const one = (engine: Engine, asked: Asked): Effect.Effect<unknown, Failure, unknown> =>
  Effect.flatMap(
    option(engine, asked),
    Option.match({
      onNone: () => Effect.fail(notFound(engine.name, Query.textOf(asked))),
      onSome: Effect.succeed
    })
  )

/** Runs a statement and gives the only value of its only row. */
export const scalar = (engine: Engine, asked: Asked): Effect.Effect<unknown, Failure, unknown> =>
  Effect.flatMap(Query.values(engine, asked), (rows): Effect.Effect<unknown, Failure, unknown> => {
    const [row = []] = rows
    return rows.length > 1
      ? Effect.fail(tooMany(engine.name, `${rows.length} rows`, Query.textOf(asked)))
      : row.length > 1
      ? Effect.fail(tooMany(engine.name, `a row of ${row.length} columns`, Query.textOf(asked)))
      : row.length === 0
      ? Effect.fail(notFound(engine.name, Query.textOf(asked)))
      : Effect.map(decoded(row, asked, 1), ([value]) => value)
  })
