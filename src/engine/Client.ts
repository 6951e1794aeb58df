/**
 * The `SqlClient` of a database. The same client value works outside sessions, in a session and in a transaction: each
 * statement looks up, when it runs, the frame in which its fiber is, under a key of this database only.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { type DbError, toSqlError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { audited } from "./Audit.js"
import { commented } from "./Comment.js"
import type { Engine } from "./Engine.js"
import type { Frame } from "./Frame.js"
import { Job } from "./Job.js"
import { type AnyFiber, deadlineOf, isTraced, statementLimit } from "./Origin.js"
import { frameOf } from "./Place.js"
import { makeStream, type TransformRows } from "./RowStream.js"
import type { Session } from "./Session.js"
import { SingleStatement } from "./SingleStatement.js"
import { describeError, describeStatement, inStatementSpan } from "./Trace.js"
import { reserveSession, withTransaction } from "./Transaction.js"

/** What a statement asks for beyond its text. */
export interface Ask {
  readonly mode: Driver.Mode
  readonly prepare: boolean
  /** The statement's own limit in milliseconds, 0 for none. */
  readonly limit: number
  /** The statement's own span. */
  readonly span?: Tracer.Span | undefined
}

const asRows: Omit<Ask, "limit"> = { mode: "rows", prepare: true }
const asValues: Omit<Ask, "limit"> = { mode: "values", prepare: true }
const asRaw: Omit<Ask, "limit"> = { mode: "raw", prepare: true }
const unprepared: Omit<Ask, "limit"> = { mode: "rows", prepare: false }

const makeRequest = (
  engine: Engine,
  fiber: AnyFiber,
  text: string,
  params: ReadonlyArray<unknown>,
  ask: Ask
): Driver.Request => {
  let statementTimeout: number | undefined = undefined
  if (engine.driver.capabilities.serverLimits) {
    // The server keeps a limit of its own only where it differs from the one the connection was opened with.
    const deadline = deadlineOf(fiber)
    const configured = engine.config.limits.statementTimeout
    const left = deadline === undefined
      ? Infinity
      : Math.max(Math.ceil(deadline.at - engine.clock.unsafeCurrentTimeMillis()), 1)
    const limit = Math.min(ask.limit > 0 ? ask.limit : Infinity, left)
    // 0 takes the configured limit away.
    statementTimeout = limit === Infinity ? configured > 0 ? 0 : undefined : limit === configured ? undefined : limit
  }
  return {
    text,
    params,
    mode: ask.mode,
    prepare: ask.prepare,
    begin: undefined,
    statementTimeout,
    lockTimeout: undefined,
    safeIntegers: fiber.currentContext.unsafeMap.get(SqlClient.SafeIntegers.key) === true
  }
}

interface Started {
  readonly start: () => void
  readonly withdraw: (settled: () => void) => void
}

const prepareRun = (
  engine: Engine,
  fiber: AnyFiber,
  frame: Frame | undefined,
  request: Driver.Request,
  limit: number,
  resume: (error: DbError | undefined, value: unknown) => void
): Started => {
  if (frame === undefined) {
    return new SingleStatement(engine, request, limit, deadlineOf(fiber), fiber, resume)
  }
  const session = frame.session
  session.usedBy(fiber)
  const job = new Job(
    frame,
    "statement",
    request,
    (connection, begin, done) => connection.execute(begin === undefined ? request : { ...request, begin }, done),
    resume,
    limit,
    deadlineOf(fiber)
  )
  job.fiber = fiber
  return { start: () => session.submit(job), withdraw: (settled) => session.withdraw(job, settled) }
}

/** What is sent: the text with its comment. One with a `traceparent` differs each time, and cannot be prepared. */
const withComment = (engine: Engine, fiber: AnyFiber, text: string, ask: Ask): readonly [string, Ask] => {
  const { config } = engine
  if (!config.tracing.comments || config.type === "sqlite") {
    return [text, ask]
  }
  const span = isTraced(fiber) ? ask.span ?? fiber.currentSpan : undefined
  const sent = commented(text, config.applicationName, span)
  return [sent, span === undefined || sent === text ? ask : { ...ask, prepare: false }]
}

/** Runs a statement for this fiber: in its frame, or on a connection of its own. */
export const run = <E>(
  engine: Engine,
  fiber: AnyFiber,
  frame: Frame | undefined,
  text: string,
  params: ReadonlyArray<unknown>,
  ask: Ask,
  fail: (error: DbError) => E
): Effect.Effect<unknown, E> => {
  if (!engine.isWatched) {
    return send(engine, fiber, frame, text, params, ask, fail)
  }
  const [sent, how] = withComment(engine, fiber, text, ask)
  // It begins when `send` is called, not when its effect runs.
  const sending = () => send(engine, fiber, frame, sent, params, how, fail)
  return engine.config.log.audit ? audited(engine, frame, text, sending) : sending()
}

const send = <E>(
  engine: Engine,
  fiber: AnyFiber,
  frame: Frame | undefined,
  text: string,
  params: ReadonlyArray<unknown>,
  ask: Ask,
  fail: (error: DbError) => E
): Effect.Effect<unknown, E> => {
  const request = makeRequest(engine, fiber, text, params, ask)
  if (engine.driver.capabilities.synchronous) {
    // An answer that is there at once needs no suspension of the fiber.
    let exit: Exit.Exit<unknown, E> | undefined = undefined
    const work = prepareRun(engine, fiber, frame, request, ask.limit, (error, value) => {
      exit = error === undefined ? Exit.succeed(value) : Exit.fail(fail(error))
    })
    work.start()
    if (exit !== undefined) {
      return exit
    }
    // It has to wait after all. Nobody would tell the work of an interrupt that comes before the wait begins; so it is
    // taken back and begun again where interruption is masked.
    work.withdraw(() => {})
    if (exit !== undefined && (exit as Exit.Exit<unknown, E>)._tag === "Success") {
      return exit
    }
  }
  return Effect.uninterruptibleMask((restore) => {
    let exit: Exit.Exit<unknown, E> | undefined = undefined
    let resume: ((exit: Exit.Exit<unknown, E>) => void) | undefined = undefined
    const work = prepareRun(engine, fiber, frame, request, ask.limit, (error, value) => {
      exit = error === undefined ? Exit.succeed(value) : Exit.fail(fail(error))
      resume?.(exit)
    })
    work.start()
    if (exit !== undefined) {
      return exit
    }
    const wait = Effect.async<unknown, E>((resume_) => {
      if (exit !== undefined) {
        resume_(exit)
      } else {
        resume = resume_
      }
    })
    // Not by a canceller of `async`: a fiber may be interrupted after that has begun the work and before it knows it.
    return Effect.matchCauseEffect(restore(wait), {
      onFailure: (cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.flatMap(
            Effect.async<void>((done) => work.withdraw(() => done(Effect.void))),
            () => Exit.failCause(cause)
          )
          : Exit.failCause(cause),
      onSuccess: Exit.succeed
    })
  })
}

/** Runs a text of `Db.query`, in a span of its own where somebody traces. */
export const query = (
  engine: Engine,
  fiber: AnyFiber,
  text: string,
  params: ReadonlyArray<unknown>,
  limit: number
): Effect.Effect<unknown, DbError> => {
  const frame = frameOf(engine, fiber)
  return isTraced(fiber)
    ? inStatementSpan(engine, (span) => {
      describeStatement(span, engine, text)
      return run(engine, fiber, frame, text, params, { ...asRows, limit, span }, identity)
    })
    : run(engine, fiber, frame, text, params, { mode: "rows", prepare: true, limit }, identity)
}

// -----------------------------------------------------------------------------
// statements
// -----------------------------------------------------------------------------

/** What all statements of one client share. */
class Core {
  /** The text of a template whose arguments are all plain parameters never changes: it is compiled once. */
  private readonly texts = new WeakMap<TemplateStringsArray, string>()
  readonly base: Statement.Constructor
  private readonly helpers: ReadonlyArray<unknown>

  constructor(
    readonly engine: Engine,
    readonly compiler: Statement.Compiler,
    readonly transformRows: TransformRows,
    /** Where a statement of this client runs when a fiber runs it. */
    readonly place: (fiber: AnyFiber) => Frame | undefined
  ) {
    this.base = Statement.make(
      // Never run: our statements run themselves. It is the source of fragments, helpers and compiled texts.
      Effect.dieMessage("a statement of dblive ran outside its engine"),
      compiler,
      engine.spanAttributes,
      transformRows
    )
    // The classes of @effect/sql's helpers are not exported; a value is a helper when it is an instance of one of these.
    this.helpers = [
      this.base("x"),
      this.base.in([]),
      this.base.insert({}),
      this.base.update({}),
      this.base.updateValues([{}], "x")
    ].map((helper) => helper.constructor)
  }

  isPlain(value: unknown): boolean {
    return typeof value !== "object" || value === null ||
      !(Statement.FragmentId in value || this.helpers.includes(value.constructor))
  }

  compile(statement: ClientStatement<unknown>, withoutTransform: boolean): readonly [string, ReadonlyArray<unknown>] {
    const { args, strings } = statement
    if (strings !== undefined) {
      let isPlain = true
      for (let i = 0; i < args.length; i++) {
        if (!this.isPlain(args[i])) {
          isPlain = false
          break
        }
      }
      if (isPlain) {
        let text = this.texts.get(strings)
        if (text === undefined) {
          text = this.compiler.compile(statement, withoutTransform)[0]
          this.texts.set(strings, text)
        }
        return [text, args]
      }
    }
    return this.compiler.compile(statement, withoutTransform)
  }
}

class ClientStatement<A> extends Effectable.Class<ReadonlyArray<A>, SqlError> implements Statement.Statement<A> {
  private fragments: ReadonlyArray<Statement.Segment> | undefined = undefined

  constructor(
    private readonly core: Core,
    readonly strings: TemplateStringsArray | undefined,
    readonly args: ReadonlyArray<unknown>,
    readonly unsafeText: string | undefined
  ) {
    super()
  }

  get [Statement.FragmentId]() {
    return identity
  }

  get segments(): ReadonlyArray<Statement.Segment> {
    return this.fragments ??= this.strings === undefined
      ? this.core.base.unsafe(this.unsafeText!, this.args).segments
      : this.core.base(this.strings, ...this.args).segments
  }

  private ask<X>(
    ask: Omit<Ask, "limit">,
    withoutTransform: boolean,
    transformRows: TransformRows
  ): Effect.Effect<X, SqlError> {
    return Effect.withFiberRuntime<X, SqlError>((fiber) => {
      const { core } = this
      const transformer = fiber.getFiberRef(Statement.currentTransformer)
      const plain = (statement: ClientStatement<A>, span: Tracer.Span | undefined): Effect.Effect<X, SqlError> => {
        let text: string
        let params: ReadonlyArray<unknown>
        if (statement.strings === undefined) {
          text = statement.unsafeText!
          params = statement.args
        } else {
          ;[text, params] = core.compile(statement, withoutTransform)
        }
        if (span !== undefined) {
          describeStatement(span, core.engine, text)
        }
        const result = run(
          core.engine,
          fiber,
          core.place(fiber),
          text,
          params,
          { mode: ask.mode, prepare: ask.prepare, limit: statementLimit(core.engine.config, fiber), span },
          toSqlError
        )
        // The mode decides the shape of the answer, and each caller of `ask` names the one its mode gives.
        return (transformRows === undefined
          ? result
          : Effect.map(result, (rows) => transformRows(rows as ReadonlyArray<object>))) as Effect.Effect<X, SqlError>
      }
      if (transformer._tag === "None" && !isTraced(fiber)) {
        return plain(this, undefined)
      }
      return inStatementSpan(core.engine, (span) =>
        transformer._tag === "None" ? plain(this, span) : Effect.flatMap(
          transformer.value(this, makeConstructor(core), fiber.getFiberRefs(), span),
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

  get stream(): Stream.Stream<A, SqlError> {
    const { core } = this
    return Stream.unwrapScoped(
      Effect.withFiberRuntime<Stream.Stream<unknown, SqlError>, SqlError, Scope.Scope>((fiber) => {
        const [text, params] = this.compile()
        const limit = statementLimit(core.engine.config, fiber)
        const request = () => makeRequest(core.engine, fiber, text, params, { ...asRows, limit })
        const stream = makeStream(core.engine, fiber, core.place(fiber), request, limit, core.transformRows)
        if (!isTraced(fiber)) {
          return stream
        }
        return Effect.flatMap(
          Effect.makeSpanScoped("sql.execute", { kind: "client", captureStackTrace: false }),
          (span) => {
            describeStatement(span, core.engine, text)
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

  compile(withoutTransform?: boolean | undefined): readonly [sql: string, params: ReadonlyArray<unknown>] {
    return this.core.compile(this, withoutTransform ?? false)
  }

  commit(): Effect.Effect<ReadonlyArray<A>, SqlError> {
    return this.ask(asRows, false, this.core.transformRows)
  }

  toJSON(): unknown {
    const [sql, params] = this.compile()
    return { _id: "@effect/sql/Statement", segments: this.segments, sql, params }
  }
}

/** A statement that a transformer gave: ours, or one made of segments by somebody else. */
const asClientStatement = <A>(core: Core, statement: Statement.Statement<unknown>): ClientStatement<A> => {
  if (statement instanceof ClientStatement) {
    return statement
  }
  const [text, params] = statement.compile()
  return new ClientStatement<A>(core, undefined, params, text)
}

const makeConstructor = (core: Core): Statement.Constructor =>
  Object.assign(
    function sql(strings: unknown, ...args: Array<unknown>): unknown {
      return typeof strings === "string"
        ? core.base(strings)
        : new ClientStatement(core, strings as TemplateStringsArray, args, undefined)
    },
    core.base,
    {
      unsafe: <A extends object>(text: string, params: ReadonlyArray<unknown> = []): Statement.Statement<A> =>
        new ClientStatement<A>(core, undefined, params, text)
    }
    // The template and the identifier form are one function; `Constructor` describes both as overloads.
  ) as unknown as Statement.Constructor

// -----------------------------------------------------------------------------
// the client
// -----------------------------------------------------------------------------

const makeConnection = (engine: Engine, session: Session): SqlConnection.Connection => {
  // The mode decides the shape of the answer, and each member asks in the mode that gives what it promises.
  const ask = <A>(text: string, params: ReadonlyArray<unknown>, ask: Omit<Ask, "limit">): Effect.Effect<A, SqlError> =>
    Effect.withFiberRuntime<A, SqlError>((fiber) =>
      run(
        engine,
        fiber,
        session.innermost,
        text,
        params,
        { mode: ask.mode, prepare: ask.prepare, limit: statementLimit(engine.config, fiber) },
        toSqlError
      ) as Effect.Effect<A, SqlError>
    )
  const transformed = (rows: Effect.Effect<ReadonlyArray<object>, SqlError>, transformRows: TransformRows) =>
    transformRows === undefined ? rows : Effect.map(rows, transformRows)
  return {
    execute: (sql, params, transformRows) => transformed(ask(sql, params, asRows), transformRows),
    executeRaw: (sql, params) => ask(sql, params, asRaw),
    executeValues: (sql, params) => ask(sql, params, asValues),
    executeUnprepared: (sql, params, transformRows) => transformed(ask(sql, params, unprepared), transformRows),
    executeStream: (sql, params, transformRows) =>
      Stream.unwrapScoped(
        Effect.withFiberRuntime((fiber) => {
          const limit = statementLimit(engine.config, fiber)
          const request = () => makeRequest(engine, fiber, sql, params, { ...asRows, limit })
          return makeStream(engine, fiber, session.innermost, request, limit, transformRows)
        })
      )
  }
}

/** Makes the client of an engine; of one session of it, when that is given. */
export const make = (
  engine: Engine,
  session?: Session
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> =>
  Effect.map(Reactivity.Reactivity, (reactivity) => {
    const { driver } = engine
    const place = session === undefined
      ? (fiber: AnyFiber) => frameOf(engine, fiber)
      : () => session.innermost
    const reserve: Effect.Effect<SqlConnection.Connection, SqlError, Scope.Scope> = Effect.mapBoth(
      session === undefined ? reserveSession(engine) : Effect.succeed(session),
      {
        onFailure: toSqlError,
        onSuccess: (session) => makeConnection(engine, session)
      }
    )
    const build = (core: Core): SqlClient.SqlClient => {
      let plain: SqlClient.SqlClient | undefined = undefined
      const client = Object.assign(makeConstructor(core), {
        [SqlClient.TypeId]: SqlClient.TypeId as SqlClient.TypeId,
        reserve,
        withTransaction: <R, E, A>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
          withTransaction(
            engine,
            effect,
            {},
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
