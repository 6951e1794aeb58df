/**
 * What the engine reads from a fiber and puts into it: its limits, and where it runs, in which level of which session. The level
 * is the service `SqlClient.TransactionConnection` of the fiber's
 * context, as in every client of `@effect/sql`: forked fibers inherit it, request resolvers tell transactions apart by it, and
 * an effect without it runs outside of all transactions.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import type * as DbConfig from "../../DbConfig.js"
import { contextInLevel } from "../effect/commit.js"
import { serviceIn, withService } from "../effect/context.js"
import { ContextOverride } from "../effect/fiberState.js"
import { contained } from "../effect/requests.js"
import { transactionConnection } from "../effect/transactionConnection.js"
import type { Deadline } from "../request/Deadline.js"
import type { SessionLevel } from "../session/Session.js"
import type { AnyFiber } from "./Caller.js"

// -----------------------------------------------------------------------------
// limits and tracing
// -----------------------------------------------------------------------------

/** The moment until which the work of this fiber has to be done. */
export const currentDeadline: FiberRef.FiberRef<Deadline | undefined> = FiberRef.unsafeMake<Deadline | undefined>(
  undefined
)

/** The limits of statements and transactions that hold for a fiber instead of the configured ones. */
export const currentLimits: FiberRef.FiberRef<Partial<DbConfig.Limits>> = FiberRef.unsafeMake<
  Partial<DbConfig.Limits>
>({})

/** The longest a statement of this fiber may run, in milliseconds; 0 for no limit. */
export const statementLimit = (config: DbConfig.DbConfig, fiber: AnyFiber): number =>
  fiber.getFiberRef(currentLimits).statementTimeout ?? config.limits.statementTimeout

/** The longest a transaction of this fiber may take, in milliseconds; 0 for no limit. */
export const transactionLimit = (config: DbConfig.DbConfig, fiber: AnyFiber): number =>
  fiber.getFiberRef(currentLimits).transactionTimeout ?? config.limits.transactionTimeout

export const deadlineOf = (fiber: AnyFiber): Deadline | undefined => fiber.getFiberRef(currentDeadline)

// -----------------------------------------------------------------------------
// continuations
// -----------------------------------------------------------------------------

/**
 * A class, because V8 soon makes the object literals of one place in its old space, where a dead one keeps what its functions
 * have seen, a whole session, alive until the next full collection.
 */
class Handlers<A, E, B, E2, R2, C, E3, R3> {
  constructor(
    readonly onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>,
    readonly onSuccess: (value: A) => Effect.Effect<C, E3, R3>
  ) {}
}

/** `Effect.matchCauseEffect`, for where it is called for each session, transaction or statement. */
export const matchCause = <A, E, R, B, E2, R2, C, E3, R3>(
  effect: Effect.Effect<A, E, R>,
  onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>,
  onSuccess: (value: A) => Effect.Effect<C, E3, R3>
): Effect.Effect<B | C, E2 | E3, R | R2 | R3> => Effect.matchCauseEffect(effect, new Handlers(onFailure, onSuccess))

// -----------------------------------------------------------------------------
// levels
// -----------------------------------------------------------------------------

/** The client of a database, and its connections of `@effect/sql`: what an engine has for a fiber's context. */
interface ClientSource {
  readonly client: SqlClient.SqlClient
  readonly connect: (level: () => SessionLevel) => SqlConnection.Connection
}

const noService: ReadonlyArray<unknown> = [undefined, undefined]

/**
 * A level as the connection in a fiber's context. A fiber can be in levels of several databases; the context has one connection,
 * so that each refers to that of the level around it on another database.
 */
class LevelConnection implements SqlConnection.Connection {
  /** The service's value. There is one for each level: resolvers put requests into one batch when theirs is the same. */
  readonly service: readonly [SqlConnection.Connection, depth: number]
  private made: SqlConnection.Connection | undefined = undefined

  constructor(
    readonly engine: ClientSource,
    readonly level: SessionLevel,
    readonly around: LevelConnection | undefined
  ) {
    // A copy that is filled, not a literal, for the reason told at Handlers. So the types do not see what it holds.
    const service = noService.slice()
    service[0] = this
    service[1] = level.depth
    this.service = service as unknown as LevelConnection["service"]
  }

  /** This object; what a proxy gives in its place is another one. */
  get self(): LevelConnection {
    return this
  }

  /** Puts this object, and no proxy of it, where the caller asks for it: a proxy hands arguments on as they are. */
  reveal(to: { connection: LevelConnection | undefined }): void {
    to.connection = this
  }

  private get statements(): SqlConnection.Connection {
    return this.made ??= this.engine.connect(() => this.level)
  }

  execute(...args: Parameters<SqlConnection.Connection["execute"]>) {
    return this.statements.execute(...args)
  }

  executeRaw(...args: Parameters<SqlConnection.Connection["executeRaw"]>) {
    return this.statements.executeRaw(...args)
  }

  executeStream(...args: Parameters<SqlConnection.Connection["executeStream"]>) {
    return this.statements.executeStream(...args)
  }

  executeValues(...args: Parameters<SqlConnection.Connection["executeValues"]>) {
    return this.statements.executeValues(...args)
  }

  executeValuesUnprepared(...args: Parameters<SqlConnection.Connection["executeValues"]>) {
    return this.statements.executeValues(...args)
  }

  executeUnprepared(...args: Parameters<SqlConnection.Connection["executeUnprepared"]>) {
    return this.statements.executeUnprepared(...args)
  }
}

/**
 * The innermost level's connection. A client that is not ours may have put another one there, and `@effect/sql-kysely` puts a proxy
 * around all that an effect made of a query touches, contexts with it.
 */
const connectionOf = (context: Context.Context<never>): LevelConnection | undefined => {
  const connection = serviceIn(context, transactionConnection)?.[0]
  if (!(connection instanceof LevelConnection)) {
    return undefined
  }
  if (connection.self === connection) {
    return connection
  }
  const revealed: { connection: LevelConnection | undefined } = { connection: undefined }
  connection.reveal(revealed)
  return revealed.connection
}

/** The level in which a fiber runs on this engine's database, if any. */
export const levelOf = (engine: ClientSource, fiber: AnyFiber): SessionLevel | undefined => {
  for (let connection = connectionOf(fiber.currentContext); connection !== undefined; connection = connection.around) {
    if (connection.engine === engine) {
      return connection.level
    }
  }
  return undefined
}

/** The connections of the other databases. */
const without = (engine: ClientSource, connection: LevelConnection | undefined): LevelConnection | undefined => {
  if (connection === undefined) {
    return undefined
  }
  const around = without(engine, connection.around)
  return connection.engine === engine
    ? around
    : around === connection.around
    ? connection
    : connectionFor(connection.engine, connection.level, around)
}

const connectionFor = (
  engine: ClientSource,
  level: SessionLevel,
  around: LevelConnection | undefined
): LevelConnection => {
  const known = level.connection
  if (known instanceof LevelConnection && known.around === around) {
    return known
  }
  const made = new LevelConnection(engine, level, around)
  level.connection = made
  return made
}

/** In this context statements go to the level, and `SqlClient` is this database's client. */
const contextOf = (
  engine: ClientSource,
  level: SessionLevel,
  span: Tracer.Span | undefined,
  around: Context.Context<never>
): Context.Context<never> => {
  const connection = connectionFor(engine, level, without(engine, connectionOf(around)))
  let context = withService(around, transactionConnection, connection.service)
  if (serviceIn(context, SqlClient.SqlClient) !== engine.client) {
    context = withService(context, SqlClient.SqlClient, engine.client)
  }
  context = contextInLevel(level, context)
  return span === undefined ? context : withService(context, Tracer.ParentSpan, span)
}

/** An effect that runs in a level. */
export const inLevel = <A, E, R>(
  engine: ClientSource,
  level: SessionLevel,
  span: Tracer.Span | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((fiber) =>
    Effect.locally(effect, FiberRef.currentContext, contextOf(engine, level, span, fiber.currentContext))
  )

/** Gives interruption back to the user's effect, where it was given around ours. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Runs an effect in a level, and then what ends the level. To be called by the fiber that runs it, where interruption is masked.
 * That fiber runs the end, too: `contained` keeps the effect from being continued in another one.
 */
export const withLevel = <A, E, R, B, E2>(
  engine: ClientSource,
  fiber: AnyFiber,
  restore: Restore,
  level: SessionLevel,
  span: Tracer.Span | undefined,
  effect: Effect.Effect<A, E, R>,
  end: (exit: Exit.Exit<A, E>) => Effect.Effect<B, E2>
  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: called for each session
): Effect.Effect<B, E2, R> => {
  const override = new ContextOverride(fiber, contextOf(engine, level, span, fiber.currentContext))
  const ended = (exit: Exit.Exit<A, E>) => {
    override.end()
    return end(exit)
  }
  return matchCause(
    contained(fiber, restore(effect)),
    (cause) => ended(Exit.failCause(cause)),
    (value) => ended(Exit.succeed(value))
  )
}
