/**
 * Rows as they are asked for: by a schema, and so many.
 */
import * as Schema from "effect/Schema"
import * as Option from "effect/Option"
import * as Effect from "effect/Effect"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Statement } from "effect/sql/Statement"
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
  readonly schema: Schema.Codec<A, I, R, unknown>
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
  ): Effect.Effect<Given<A>[Name], DbError | Schema.SchemaError, Self | R>
  <A, I, R>(
    statement: Statement<object>,
    options: SchemaOptions<A, I, R>
  ): Effect.Effect<Given<A>[Name], DbError | Schema.SchemaError, Self | R>
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
  ): Effect.Effect<A, DbError | Schema.SchemaError, Self | R>
  <A, I, R>(
    statement: Statement<object>,
    options: SchemaOptions<A, I, R>
  ): Effect.Effect<A, DbError | Schema.SchemaError, Self | R>
  <A = unknown>(
    text: string,
    params?: Query.Params,
    options?: Query.QueryOptions
  ): Effect.Effect<A, DbError, Self>
  <A = unknown>(statement: Statement<object>, options?: Query.QueryOptions): Effect.Effect<A, DbError, Self>
}

/** What is asked, with a schema or without. */
export interface Asked extends Query.Asked {
  readonly options: Query.QueryOptions & { readonly schema?: Schema.Constraint | undefined }
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

/** Of rows, and of values: row and column, or row alone. What lies deeper are the names and places of a document, which are data. */
type Depth = 1 | 2

/** Where in the rows a fault is, and what is wrong there: never the value. */
interface Found {
  readonly path: ReadonlyArray<PropertyKey>
  readonly what: string
}

/** `Expected string`: what the schema says of itself, without a value. */
const expectation = (ast: SchemaAST.AST): string => SchemaIssue.defaultLeafHook(new SchemaIssue.InvalidType(ast))

const expected = ({ ast, input }: SchemaIssue.Issue & { readonly ast: SchemaAST.AST }): string => {
  const text = expectation(ast)
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}, got ${kindOf(input)}`
}

/** What a check says of itself. The text of its issue may hold the value. */
const refused = (
  { filter, input }: SchemaIssue.Filter,
  checked: SchemaIssue.Issue & { readonly ast: SchemaAST.AST }
): string => {
  const wanted = filter.annotations?.expected
  return typeof wanted === "string" ? `expected ${wanted}, got ${kindOf(input)}` : expected(checked)
}

/** The first fault of an issue. */
const find = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>, depth: Depth): Found => {
  switch (issue._tag) {
    case "Pointer":
      return find(issue.issue, path.concat(issue.path).slice(0, depth), depth)
    case "Composite": {
      const [first] = issue.issues
      return first._tag === "Filter"
        ? { path, what: refused(first, issue) }
        : path.length === depth
        ? { path, what: expected(issue) }
        : find(first, path, depth)
    }
    case "Encoding":
      // What a transformation itself says, a path or a text, may hold the value.
      return !(path.length === depth && issue.ast.annotations?.identifier !== undefined) &&
          (issue.issue._tag === "Composite" || issue.issue._tag === "InvalidType")
        ? find(issue.issue, path, depth)
        : { path, what: expected(issue) }
    case "MissingKey":
      return { path, what: "the answer has no such column" }
    case "UnexpectedKey":
      return { path, what: "the schema has no such column" }
    case "InvalidType":
    case "AnyOf":
    case "OneOf":
      return { path, what: expected(issue) }
    default:
      return { path, what: "the value is not as the schema has it" }
  }
}

/** The error of rows that are not as their schema says: it names the row, from 1, and the column, and no value. */
const parseError = (issue: SchemaIssue.Issue, statement: string, depth: Depth): Schema.SchemaError => {
  const { path, what } = find(issue, [], depth)
  const [row, column] = path
  const place = `row ${Number(row) + 1}${column === undefined ? "" : `, column "${String(column)}"`}`
  const text = `${place}: ${what}, in the answer to ${excerpt(statement)}`
  return new Schema.SchemaError(
    new SchemaIssue.Pointer([row ?? 0, ...path.slice(1)], new SchemaIssue.InvalidValue({ message: text }))
  )
}

type Decode = (rows: unknown) => Effect.Effect<ReadonlyArray<unknown>, Schema.SchemaError, unknown>

/** How rows are decoded by a schema: made once for each. */
const decoders = new WeakMap<Schema.Constraint, Decode>()

const decoderOf = (schema: Schema.Constraint): Decode => {
  let decode = decoders.get(schema)
  if (decode === undefined) {
    // What a schema of any kind requires is in the type of the member that was given it.
    decode = Schema.decodeUnknownEffect(Schema.Array(schema as Schema.Codec<unknown, unknown, unknown, unknown>), {
      reportInput: true
    })
    decoders.set(schema, decode)
  }
  return decode
}

/** The rows as the schema has them, where there is one. */
const decoded = (
  rows: ReadonlyArray<unknown>,
  asked: Asked,
  depth: Depth = 2
): Effect.Effect<ReadonlyArray<unknown>, Schema.SchemaError, unknown> =>
  asked.options.schema === undefined
    ? Effect.succeed(rows)
    : Effect.mapError(decoderOf(asked.options.schema)(rows), (error) => parseError(error.issue, Query.textOf(asked), depth))

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

/** Where a statement fails: in the database, or where its rows are not as they are asked for. */
type Failure = DbError | Schema.SchemaError

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
