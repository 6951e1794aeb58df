/**
 * An effect as a transaction: what may be asked of it, and what comes out.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Schedule from "effect/Schedule"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { Engine } from "../Engine.js"
import { levelOf } from "../fiber/fiberContext.js"
import { withTransaction } from "../session/transaction.js"
import { classify, type Typed, typed } from "./Typed.js"

/**
 * An effect that is applied wholly or not at all, so that it may be run again: what `Db.transaction` gives. `Db.retry`
 * takes no other, unless it is told that the effect is idempotent.
 *
 * That holds for the database of the transaction. What the effect does elsewhere (in another database, over HTTP) is not undone with it,
 * and is done again when it is run again: the types do not see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Atomic<out A, out E = never, out R = never> extends Effect.Effect<A, E, R> {
  /** For the compiler alone, which shows this name where something else is given to `Db.retry`. */
  readonly "Db.retry takes a Db.transaction, or { idempotent: true }": true
}

/**
 * How a transaction is to run.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransactionOptions {
  /**
   * Defaults to the database's own default. A nested transaction has that of the outermost one; asking for another is a
   * `QueryError` with reason `Parameter`.
   */
  readonly isolation?: Driver.IsolationLevel | undefined
  /**
   * The transaction only reads. On SQLite it then runs beside a writer. Defaults to false; on a database whose access is
   * read-only it is always true. In a nested transaction it defaults to what holds around it, and true is kept on SQLite
   * and PostgreSQL; where it cannot be kept (and for a nested one that is to write in one that only reads) it is a
   * `QueryError` with reason `Parameter`.
   */
  readonly readOnly?: boolean | undefined
  /** PostgreSQL, with `serializable` and `readOnly`: wait for a snapshot that cannot conflict. Only the outermost transaction can. Defaults to false. */
  readonly deferrable?: boolean | undefined
  /** The longest it may take, nested or not. Defaults to the configured `limits.transactionTimeout` for the outermost one. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Runs the whole transaction again, as the schedule says, when nothing of it was applied and the reason is transient.
   * In a nested transaction it does nothing: only the outermost one can be run again. Defaults to no retry.
   */
  readonly retry?: Schedule.Schedule<unknown, DbError> | undefined
  /**
   * PostgreSQL: when the answer to COMMIT is lost, ask the server what became of it. A database that could not say refuses
   * the transaction (`QueryError` with reason `Parameter`); test layers whose COMMIT cannot be lost take it. Defaults to false.
   */
  readonly resolveCommit?: boolean | undefined
}

/**
 * How a read is to run.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReadOptions extends Pick<TransactionOptions, "isolation" | "timeout" | "retry"> {
  /**
   * How old the data may be, in place of what its fiber has seen: `"2 seconds"`; 0: nothing older than its fiber has written or was
   * shown. Defaults to the configured `replication.staleness`, which is 0 unless it is set.
   */
  readonly staleness?: Duration.DurationInput | undefined
}

/** A database whose access is read-only has no other transactions: READ WRITE would lift what its server refuses. */
export const within = (engine: Engine, options: Driver.BeginOptions): Driver.BeginOptions =>
  engine.config.access === "read-only" ? { ...options, readOnly: true } : options

/** Runs an effect in a transaction. The caller says that its client is provided, and that it is whole or not at all. */
export const run = <A, E, R>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  { retry, staleness, timeout, ...begin }: TransactionOptions & Pick<ReadOptions, "staleness">
): Effect.Effect<A, Typed<E>, R> =>
  Effect.mapError(
    withTransaction(
      engine,
      effect,
      {
        ...within(engine, begin),
        retry,
        timeout: timeout === undefined ? undefined : Duration.toMillis(timeout),
        staleness: staleness === undefined ? undefined : Duration.toMillis(staleness)
      },
      identity,
      classify(engine.name)
    ),
    typed(engine.name)
  )

/**
 * Runs an effect as a read: in a read-only transaction, which a replica takes, where there is one. In a transaction of the same database
 * it is a part of that one; where the database cannot make a part read-only, the part is as the whole.
 */
export const read = <A, E, R>(
  engine: Engine,
  effect: Effect.Effect<A, E, R>,
  options: ReadOptions
): Effect.Effect<A, Typed<E>, R> =>
  Effect.withFiberRuntime<A, Typed<E>, R>((fiber) => {
    const level = levelOf(engine, fiber)
    const { capabilities, transaction } = engine.driver
    const isKept = level === undefined || level.kind === "session" || level.options.readOnly === true ||
      capabilities.singleWriter || transaction.readOnlyWithin !== undefined
    return run(engine, effect, isKept ? { ...options, readOnly: true } : options)
  })
