/**
 * The `SqlClient` of a database. The same client value works outside sessions, in a session and in a transaction: each
 * statement looks up, when it runs, the level in which its fiber is, under a key of this database only.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { type QueryError, toSqlError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { isTraced, transformerOf } from "./effect/context.js"
import { asConnection, fragmentKey, fragmentMark, helperTest, marks, Runnable, segmentsOf } from "./effect/sqlClient.js"
import type { Engine } from "./Engine.js"
import { unsendable } from "./error/engine.js"
import type { AnyFiber } from "./fiber/Caller.js"
import { levelOf, statementLimit } from "./fiber/fiberContext.js"
import { describeError, describeStatement, inStatementSpan } from "./observe/tracing.js"
import {
  asRaw,
  asResult,
  asRows,
  asValues,
  execute,
  ExecuteOptions,
  makeRequest,
  unprepared,
  type Way
} from "./request/execute.js"
import { makeStream, type TransformRows } from "./request/stream.js"
import type { Session } from "./session/Session.js"
import type { SessionLevel } from "./session/Session.js"
import { reserveSession, withTransaction } from "./session/transaction.js"
import { type CompiledInsert, Insert, InsertTexts } from "./sql/InsertTexts.js"
import { checked, faulty, Problem } from "./sql/pieces.js"
import { look, type Rules } from "./sql/template.js"

// -----------------------------------------------------------------------------
// statements
// -----------------------------------------------------------------------------

/** What all statements of one client share. */
class Core {
  /** The text of a template whose arguments are all plain parameters never changes: it is compiled once. */
  private readonly texts = new WeakMap<TemplateStringsArray, string>()
  private readonly inserts = new InsertTexts()
  readonly base: Statement.Constructor
  private readonly isHelper: (value: object) => boolean
  readonly rules: Rules

  constructor(
    readonly engine: Engine,
    readonly compiler: Statement.Compiler,
    readonly transformRows: TransformRows,
    /** Where a statement of this client runs when a fiber runs it. */
    readonly level: (fiber: AnyFiber) => SessionLevel | undefined
  ) {
    this.base = Statement.make(
      // Never run: our statements run themselves. It is the source of fragments, helpers and compiled texts.
      Effect.dieMessage("a statement of dblive ran outside its engine"),
      compiler,
      engine.spanAttributes,
      transformRows
    )
    this.isHelper = helperTest(this.base)
    const { dialect, mostParameters = Number.POSITIVE_INFINITY } = engine.driver
    this.rules = {
      dialect,
      mostParameters,
      sql: this.base,
      isHelper: this.isHelper
    }
  }

  isPlain(value: unknown): boolean {
    return typeof value !== "object" || value === null ||
      !(fragmentKey in value || this.isHelper(value))
  }

  /** The text and its parameters, or why there is none. */
  compile(statement: ClientStatement<unknown>, isUntransformed: boolean): Compiled | QueryError {
    const { args, inserted, strings } = statement
    if (strings === undefined) {
      return this.compileSegments(statement, isUntransformed)
    }
    let place = 0
    while (place < args.length && this.isPlain(args[place])) {
      place++
    }
    if (place === args.length) {
      let text = this.texts.get(strings)
      if (text === undefined) {
        text = this.compiler.compile(statement, isUntransformed)[0]
        this.texts.set(strings, text)
      }
      return [text, args]
    }
    if (inserted?.isUntransformed === isUntransformed) {
      return [inserted.text, inserted.params]
    }
    const insert = inserted === undefined && !statement.hasSegments
      ? Insert.of(args, place, (value) => this.isPlain(value), isUntransformed)
      : undefined
    if (insert === undefined) {
      return this.compileSegments(statement, isUntransformed)
    }
    const found = this.inserts.find(strings, insert)
    if (found !== undefined) {
      statement.inserted = found
      return [found.text, found.params]
    }
    const compiled = this.compileSegments(statement, isUntransformed)
    if (isCompiled(compiled)) {
      this.inserts.keep(strings, insert, compiled)
    }
    return compiled
  }

  private compileSegments(statement: ClientStatement<unknown>, isUntransformed: boolean): Compiled | QueryError {
    const problem = statement.problem
    return problem === undefined
      ? this.compiler.compile(statement, isUntransformed)
      : unsendable(this.engine.name, problem.what, statement.strings?.join("?"))
  }
}

type Compiled = readonly [sql: string, params: ReadonlyArray<unknown>]

const isCompiled = (compiled: Compiled | QueryError): compiled is Compiled => Array.isArray(compiled)

/** What is not even sent is a failure, too. */
const refused = (engine: Engine, fiber: AnyFiber, error: QueryError): Effect.Effect<never, SqlError> => {
  engine.failed(error, fiber)
  return Effect.fail(toSqlError(error))
}

/** A statement of a client of dblive's. */
export class ClientStatement<A> extends Runnable<A> implements Statement.Statement<A> {
  private fragments: ReadonlyArray<Statement.Segment> | undefined = undefined
  private fault: Problem | undefined = undefined
  /** What it was compiled to without its segments. Kept, as a compiler keeps what it made: rows that change later change nothing. */
  inserted: CompiledInsert | undefined = undefined

  constructor(
    private readonly core: Core,
    readonly strings: TemplateStringsArray | undefined,
    readonly args: ReadonlyArray<unknown>,
    readonly unsafeText: string | undefined
  ) {
    super()
  }

  get [fragmentKey]() {
    return fragmentMark
  }

  get segments(): ReadonlyArray<Statement.Segment> {
    return this.fragments ??= this.strings === undefined
      ? this.core.base.unsafe(this.unsafeText!, this.args).segments
      : this.looked(segmentsOf(this.core.base, this.strings, this.args))
  }

  get hasSegments(): boolean {
    return this.fragments !== undefined
  }

  /** Why it cannot be compiled. */
  get problem(): Problem | undefined {
    return this.segments === undefined ? undefined : this.fault
  }

  private looked(segments: ReadonlyArray<Statement.Segment>): ReadonlyArray<Statement.Segment> {
    const looked = look(segments, this.core.rules)
    if (!(looked instanceof Problem)) {
      return looked
    }
    this.fault = looked
    return segments
  }

  /** @param ownLimit `undefined`: it has that of its fiber */
  private ask<X>(
    way: Way,
    isUntransformed: boolean,
    transformRows: TransformRows,
    ownLimit?: number
  ): Effect.Effect<X, SqlError> {
    return Effect.withFiberRuntime<X, SqlError>((fiber) => {
      const { core } = this
      const transform = transformerOf(fiber)
      const plain = (statement: ClientStatement<A>, span: Tracer.Span | undefined): Effect.Effect<X, SqlError> => {
        let text: string
        let params: ReadonlyArray<unknown>
        if (statement.strings === undefined) {
          text = statement.unsafeText!
          params = statement.args
        } else {
          const compiled = core.compile(statement, isUntransformed)
          if (!isCompiled(compiled)) {
            return refused(core.engine, fiber, compiled)
          }
          ;[text, params] = compiled
        }
        if (span !== undefined) {
          describeStatement(span, core.engine, core.level(fiber), text)
        }
        const result = execute(
          core.engine,
          fiber,
          core.level(fiber),
          text,
          params,
          new ExecuteOptions(way, ownLimit ?? statementLimit(core.engine.config, fiber), span),
          toSqlError
        )
        // The mode decides the shape of the answer, and each caller of `ask` names the one its mode gives.
        return (transformRows === undefined
          ? result
          : Effect.map(result, (rows) => transformRows(rows as ReadonlyArray<object>))) as Effect.Effect<X, SqlError>
      }
      if (transform === undefined && !isTraced(fiber)) {
        return plain(this, undefined)
      }
      return inStatementSpan(core.engine, (span) =>
        transform === undefined ? plain(this, span) : Effect.flatMap(
          transform(this, makeConstructor(core), span),
          (statement) => plain(asClientStatement(core, statement), span)
        ))
    })
  }

  get withoutTransform(): Effect.Effect<ReadonlyArray<A>, SqlError> {
    return this.ask(asRows, true, undefined)
  }

  get raw(): Effect.Effect<unknown, SqlError> {
    return this.ask(asRaw, true, undefined)
  }

  get values(): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return this.ask(asValues, false, undefined)
  }

  get unprepared(): Effect.Effect<ReadonlyArray<A>, SqlError> {
    return this.ask(unprepared, false, this.core.transformRows)
  }

  isOf(engine: Engine): boolean {
    return this.core.engine === engine
  }

  /** The values of its rows, within a limit of its own. */
  valuesWithin(limit: number | undefined): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return this.ask(asValues, false, undefined, limit)
  }

  /** What it gave and did, within a limit of its own. */
  resultWithin(limit: number | undefined): Effect.Effect<Driver.StatementResult, SqlError> {
    const { transformRows } = this.core
    const result = this.ask<Driver.StatementResult<object>>(asResult, false, undefined, limit)
    return transformRows === undefined
      ? result
      : Effect.map(result, (result) => ({ ...result, rows: transformRows(result.rows) }))
  }

  get stream(): Stream.Stream<A, SqlError> {
    const { core } = this
    return Stream.unwrapScoped(
      Effect.withFiberRuntime<Stream.Stream<unknown, SqlError>, SqlError, Scope.Scope>((fiber) => {
        const compiled = core.compile(this, false)
        if (!isCompiled(compiled)) {
          return refused(core.engine, fiber, compiled)
        }
        const [text, params] = compiled
        const limit = statementLimit(core.engine.config, fiber)
        const stream = makeStream(core.engine, fiber, core.level(fiber), {
          makeRequest: () => makeRequest(core.engine, fiber, text, params, new ExecuteOptions(asRows, limit)),
          limit,
          transformRows: core.transformRows
        })
        if (!isTraced(fiber)) {
          return stream
        }
        return Effect.flatMap(
          Effect.makeSpanScoped("sql.execute", { kind: "client", captureStackTrace: false }),
          (span) => {
            describeStatement(span, core.engine, core.level(fiber), text)
            return Effect.map(
              Effect.tapError(stream, (error) => Effect.sync(() => describeError(span, error, core.engine.name))),
              Stream.tapError((error) => Effect.sync(() => describeError(span, error, core.engine.name)))
            )
          }
        )
      })
      // The rows' type is the caller's word, as everywhere in @effect/sql.
    ) as Stream.Stream<A, SqlError>
  }

  /** Throws the `QueryError` of a statement that cannot be compiled: its type has no place for it. */
  compile(isUntransformed?: boolean | undefined): readonly [sql: string, params: ReadonlyArray<unknown>] {
    const compiled = this.core.compile(this, isUntransformed ?? false)
    if (!isCompiled(compiled)) {
      throw compiled
    }
    return compiled
  }

  override commit(): Effect.Effect<ReadonlyArray<A>, SqlError> {
    return this.ask(asRows, false, this.core.transformRows)
  }

  override toJSON(): unknown {
    const compiled = this.core.compile(this, false)
    const [sql, params] = isCompiled(compiled) ? compiled : [compiled.message, []]
    return { _id: "@effect/sql/Statement", segments: this.segments, sql, params }
  }
}

/** A statement that a transformer gave: ours, or one made of segments by other code. */
const asClientStatement = <A>(core: Core, statement: Statement.Statement<unknown>): ClientStatement<A> => {
  if (statement instanceof ClientStatement) {
    return statement
  }
  const [text, params] = statement.compile()
  return new ClientStatement<A>(core, undefined, params, text)
}

/** The texts of a template around one value. */
const around: TemplateStringsArray = Object.assign(["", ""], { raw: ["", ""] })

/** `sql(name)` without a name. */
const noName = (name: unknown): Statement.Fragment =>
  faulty(
    `sql(...) was given ${name === undefined || name === null ? String(name) : "what is no text"}: it takes the name ` +
      "of a column or a table, or stands in front of a template"
  )

const isTemplate = (strings: unknown): strings is TemplateStringsArray => Array.isArray(strings) && "raw" in strings

const makeConstructor = (core: Core): Statement.Constructor =>
  Object.assign(
    function sql(strings: unknown, ...args: Array<unknown>): unknown {
      return typeof strings === "string"
        ? core.base(strings)
        : isTemplate(strings)
        ? new ClientStatement(core, strings, args, undefined)
        : new ClientStatement(core, around, [noName(strings)], undefined)
    },
    core.base,
    checked(core.base, core.rules.isHelper),
    {
      unsafe: <A extends object>(text: string, params: ReadonlyArray<unknown> = []): Statement.Statement<A> =>
        new ClientStatement<A>(core, undefined, params, text)
    }
    // The template and the identifier form are one function; `Constructor` describes both as overloads.
  ) as unknown as Statement.Constructor

// -----------------------------------------------------------------------------
// the client
// -----------------------------------------------------------------------------

/** A connection whose statements run in a level, which is asked for when they run. */
export const makeConnection = (engine: Engine, place: () => SessionLevel): SqlConnection.Connection => {
  // The mode decides the shape of the answer, and each member asks in the mode that gives what it promises.
  const ask = <A>(
    text: string,
    params: ReadonlyArray<unknown>,
    way: Way
  ): Effect.Effect<A, SqlError> =>
    Effect.withFiberRuntime<A, SqlError>((fiber) =>
      execute(
        engine,
        fiber,
        place(),
        text,
        params,
        new ExecuteOptions(way, statementLimit(engine.config, fiber)),
        toSqlError
      ) as Effect.Effect<A, SqlError>
    )
  const transformed = (rows: Effect.Effect<ReadonlyArray<object>, SqlError>, transformRows: TransformRows) =>
    transformRows === undefined ? rows : Effect.map(rows, transformRows)
  return asConnection({
    execute: (sql, params, transformRows) => transformed(ask(sql, params, asRows), transformRows),
    executeRaw: (sql, params) => ask(sql, params, asRaw),
    executeValues: (sql, params) => ask(sql, params, asValues),
    executeUnprepared: (sql, params, transformRows) => transformed(ask(sql, params, unprepared), transformRows),
    executeStream: (sql, params, transformRows) =>
      Stream.unwrapScoped(
        Effect.withFiberRuntime((fiber) => {
          const limit = statementLimit(engine.config, fiber)
          return makeStream(engine, fiber, place(), {
            makeRequest: () => makeRequest(engine, fiber, sql, params, new ExecuteOptions(asRows, limit)),
            limit,
            transformRows
          })
        })
      )
  })
}

/** Makes the client of an engine; of one session of it, when that is given. */
export const make = (
  engine: Engine,
  session?: Session
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> =>
  Effect.map(Reactivity.Reactivity, (reactivity) => {
    const { driver } = engine
    const place = session === undefined
      ? (fiber: AnyFiber) => levelOf(engine, fiber)
      : () => session.innermost
    const reserve: Effect.Effect<SqlConnection.Connection, SqlError, Scope.Scope> = Effect.mapBoth(
      session === undefined ? reserveSession(engine) : Effect.succeed(session),
      {
        onFailure: toSqlError,
        onSuccess: (session) => makeConnection(engine, () => session.innermost)
      }
    )
    const build = (core: Core): SqlClient.SqlClient => {
      let plain: SqlClient.SqlClient | undefined = undefined
      const client = Object.assign(makeConstructor(core), {
        ...marks(place),
        reserve,
        withTransaction: <R, E, A>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
          withTransaction(
            engine,
            effect,
            // As everything written for @effect/sql expects it.
            { followsCommits: true },
            toSqlError,
            () => undefined
          ),
        withoutTransforms: (): SqlClient.SqlClient =>
          core.transformRows === undefined
            ? client
            : plain ??= build(new Core(engine, driver.compiler.withoutTransform, undefined, place)),
        reactive: reactivity.stream,
        reactiveMailbox: reactivity.query
        // `safe` is the client itself, which is set below.
      }) as unknown as SqlClient.SqlClient
      Object.assign(client, { safe: client })
      return client
    }
    return build(new Core(engine, driver.compiler, driver.transformRows, place))
  })
