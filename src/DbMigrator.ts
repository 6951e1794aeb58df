/**
 * Migrations with Flyway's names and rules: `V1__Create_note.sql` once and in order, `R__Views.sql` whenever it
 * changes, `U1__...sql` to go back; recorded in a history table, safe when many instances start at once.
 *
 * Every operation takes a database's tag and runs in one session of it.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DbError } from "./DbError.js"
import type { TransactionStatus } from "./driver/Driver.js"
import type { MigrationError } from "./internal/migrator/MigrationError.js"
import * as Operations from "./internal/migrator/Operations.js"
import type { Applied, Options, Planned, RunResult } from "./internal/migrator/Options.js"
import type { Access } from "./internal/migrator/RunContext.js"
import type { Repair, State } from "./internal/migrator/State.js"

export {
  /**
   * @since 0.1.0
   * @category constructors
   */
  fromDirectory,
  /**
   * @since 0.1.0
   * @category constructors
   */
  fromGlob,
  /**
   * @since 0.1.0
   * @category constructors
   */
  fromRecord
} from "./internal/migrator/Migration.js"

export {
  /**
   * @since 0.1.0
   * @category errors
   */
  MigrationError,
  /**
   * @since 0.1.0
   * @category errors
   */
  MigrationReason,
  /**
   * @since 0.1.0
   * @category errors
   */
  migrationReasons,
  /**
   * @since 0.1.0
   * @category models
   */
  Problem
} from "./internal/migrator/MigrationError.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  EffectMigration,
  /**
   * @since 0.1.0
   * @category models
   */
  Migration,
  /**
   * @since 0.1.0
   * @category models
   */
  Source
} from "./internal/migrator/Migration.js"

export {
  /**
   * @since 0.1.0
   * @category execution
   */
  create
} from "./internal/migrator/template.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  CreateOptions
} from "./internal/migrator/template.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Applied,
  /**
   * @since 0.1.0
   * @category models
   */
  MigrationEvent,
  /**
   * @since 0.1.0
   * @category models
   */
  Options,
  /**
   * @since 0.1.0
   * @category models
   */
  Planned,
  /**
   * @since 0.1.0
   * @category models
   */
  RunResult
} from "./internal/migrator/Options.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Info,
  /**
   * @since 0.1.0
   * @category models
   */
  Repair,
  /**
   * @since 0.1.0
   * @category models
   */
  Row,
  /**
   * @since 0.1.0
   * @category models
   */
  State,
  /**
   * @since 0.1.0
   * @category models
   */
  StateName
} from "./internal/migrator/State.js"

/**
 * What an operation needs of a database: its name, and a way to pin one connection. `Db` and every class made by
 * `Db.Tag` are such.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target<Self> {
  readonly info: Effect.Effect<{ readonly name: string }, never, Self>
  readonly session: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, Exclude<E, SqlError> | DbError, Exclude<R, SqlClient.SqlClient> | Self>
  readonly withLimits: (limits: {
    readonly statementTimeout?: Duration.DurationInput | undefined
    readonly transactionTimeout?: Duration.DurationInput | undefined
  }) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The state of the session's transaction. Without it, what a migration leaves open is not noticed. */
  readonly transactionStatus?: Effect.Effect<TransactionStatus, never, Self> | undefined
  /** Tells the texts of the session's statements. Without it, only what the database tells of a session is put back. */
  readonly watchStatements?:
    | ((listener: (text: string) => void) => Effect.Effect<void, never, Scope.Scope | Self>)
    | undefined
  /** Says that the session is held for long on purpose. Without it, a warning may be written of a long migration. */
  readonly keepSession?: (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Self>) | undefined
  /** Takes what tells the state of the migrations, for the database's health report. {@link layer} calls it. */
  readonly watchMigrations?:
    | ((status: Effect.Effect<HealthStatus | null>) => Effect.Effect<void, never, Self>)
    | undefined
}

/**
 * The state of a database's migrations in a word, for its health report.
 *
 * - `upToDate`: all are applied and unchanged.
 * - `pending`: some wait to be applied.
 * - `failed`: `run` would refuse: one failed and was not repaired, was edited, is missing, late or cannot be read.
 *
 * @since 0.1.0
 * @category models
 */
export type HealthStatus = "upToDate" | "pending" | "failed"

/** All that can go wrong. */
type Failure = MigrationError | DbError

type Operation<A, Self, R> = Effect.Effect<A, Failure, Self | Exclude<R, SqlClient.SqlClient>>

const on = <Self, A, R>(
  database: Target<Self>,
  operation: (name: string, access: Access) => Effect.Effect<A, Failure, R | SqlClient.SqlClient>
): Operation<A, Self, R> =>
  Effect.gen(function*() {
    const { name } = yield* database.info
    const context = yield* Effect.context<Self>()
    const migrating = Effect.suspend(() => operation(name, access))
    const inside = database.session(
      Effect.mapInputContext(
        database.keepSession?.(migrating) ?? migrating,
        (own: Context.Context<R | SqlClient.SqlClient>) => Context.merge(context, own)
      )
    )
    const access: Access = {
      status: Effect.mapInputContext(
        database.transactionStatus ?? Effect.succeed("idle"),
        (own: Context.Context<never>) => Context.merge(context, own)
      ),
      watch: (listener) =>
        Effect.mapInputContext(
          database.watchStatements?.(listener) ?? Effect.void,
          (own: Context.Context<Scope.Scope>) => Context.merge(context, own)
        )
    }
    return yield* inside
  }) as Operation<A, Self, R>
// The cast drops what TypeScript cannot compute: Exclude of a union with the type parameter R.

/** The limits of the program's statements are not those of migrations, which may take long. */
const withoutLimits = <Self, R>(database: Target<Self>, options: Options<R>) =>
  database.withLimits({ statementTimeout: options.statementTimeout ?? 0, transactionTimeout: 0 })

/**
 * Applies what is pending, in order, one runner at a time. Safe to call at every start of every instance: where nothing
 * is pending it reads the history once and takes no lock.
 *
 * Fails with a {@link MigrationError} that says where and why; what was applied before stays applied. Before anything
 * runs it is checked that the history is what the files say ({@link validate}), and that small files can be read.
 *
 * @example
 * ```ts
 * import { Db, DbLive, DbMigrator } from "dblive"
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect } from "effect"
 *
 * DbMigrator.run(Db, { migrations: DbMigrator.fromDirectory("migrations/default") }).pipe(
 *   Effect.provide([DbLive, NodeContext.layer])
 * )
 * ```
 *
 * @since 0.1.0
 * @category execution
 */
export const run = <Self, R>(database: Target<Self>, options: Options<R>): Operation<RunResult, Self, R> =>
  withoutLimits(database, options)(on(database, (name, access) => Operations.run(name, options, access)))

/**
 * The current version and the state of each migration. Changes nothing.
 *
 * @since 0.1.0
 * @category execution
 */
export const status = <Self, R>(database: Target<Self>, options: Options<R>): Operation<State, Self, R> =>
  on(database, (name, access) => Operations.status(name, options, access))

/**
 * The SQL that `run` would run. Changes nothing. Fails where `run` would refuse.
 *
 * @since 0.1.0
 * @category execution
 */
export const plan = <Self, R>(
  database: Target<Self>,
  options: Options<R>
): Operation<ReadonlyArray<Planned>, Self, R> => on(database, (name, access) => Operations.plan(name, options, access))

/**
 * Succeeds when everything is applied and unchanged. Fails with a {@link MigrationError}: `Checksum`, `Missing`,
 * `OutOfOrder`, `Failed`, `DuplicateVersion`, or `Pending`. Changes nothing.
 *
 * @since 0.1.0
 * @category execution
 */
export const validate = <Self, R>(database: Target<Self>, options: Options<R>): Operation<State, Self, R> =>
  on(database, (name, access) => Operations.validate(name, options, access))

/**
 * Removes failed rows from the history and sets checksums and descriptions to those of the files. Gives each change.
 * It touches nothing but the history table.
 *
 * @since 0.1.0
 * @category execution
 */
export const repair = <Self, R>(
  database: Target<Self>,
  options: Options<R>
): Operation<ReadonlyArray<Repair>, Self, R> => on(database, (name, access) => Operations.repair(name, options, access))

/**
 * Says of a database without history that it is at `version` already: migrations up to it will not run. Defaults to
 * version 1.
 *
 * @since 0.1.0
 * @category execution
 */
export const baseline = <Self, R>(
  database: Target<Self>,
  options: Options<R> & { readonly version?: string | undefined; readonly description?: string | undefined }
): Operation<void, Self, R> =>
  on(
    database,
    (name, access) =>
      Operations.baseline(name, options, access, {
        version: options.version ?? "1",
        description: options.description ?? "<< Baseline >>"
      })
  )

/**
 * Takes back the version applied last by its `U` migration; with `target`, every version from the last one down to and
 * including the target, as in Flyway. Gives what ran, in order.
 *
 * @since 0.1.0
 * @category execution
 */
export const undo = <Self, R>(
  database: Target<Self>,
  options: Options<R>
): Operation<ReadonlyArray<Applied>, Self, R> =>
  withoutLimits(database, options)(on(database, (name, access) => Operations.undo(name, options, access)))

/**
 * The state of the migrations in a word. Changes nothing. Fails only where the database cannot be asked.
 *
 * @example
 * ```ts
 * import { Db, DbMigrator } from "dblive"
 *
 * const status = DbMigrator.healthStatus(Db, { migrations: DbMigrator.fromDirectory("migrations/default") })
 * ```
 *
 * @since 0.1.0
 * @category execution
 */
export const healthStatus = <Self, R>(
  database: Target<Self>,
  options: Options<R>
): Effect.Effect<HealthStatus, DbError, Self | Exclude<R, SqlClient.SqlClient>> =>
  status(database, options).pipe(
    Effect.map(({ pending, problems }): HealthStatus =>
      problems.length > 0 ? "failed" : pending.length > 0 ? "pending" : "upToDate"
    ),
    Effect.catchTag("MigrationError", () => Effect.succeed<HealthStatus>("failed"))
  )

/** A health report waits no longer than this for the state of the migrations. */
const watchTimeout = "1 second"

/** How long an answer is given again: what a start has applied hardly changes afterwards. */
const watchCache = "10 seconds"

/** Lets the database's health report tell the state of its migrations; null as long as that could not be seen. */
const watch = <Self, R>(
  database: Target<Self>,
  options: Options<R>,
  known: HealthStatus | null
): Effect.Effect<void, never, Self | Exclude<R, SqlClient.SqlClient>> =>
  Effect.gen(function*() {
    if (database.watchMigrations === undefined) {
      return
    }
    const context = yield* Effect.context<Self | Exclude<R, SqlClient.SqlClient>>()
    let last = known
    const look = healthStatus(database, options).pipe(
      Effect.tap((status) => Effect.sync(() => last = status)),
      // A busy pool says nothing about migrations: what was seen last is still the best answer.
      Effect.timeout(watchTimeout),
      Effect.orElseSucceed(() => last),
      Effect.provide(context)
    )
    yield* database.watchMigrations(yield* Effect.cachedWithTTL(look, watchCache))
  })

/**
 * What a layer does about migrations when it is built.
 *
 * @since 0.1.0
 * @category models
 */
export type OnStart = "run" | "validate" | "off"

/**
 * A layer that runs or validates the migrations when it is built, and fails where they fail; with `off` it does neither.
 * In each case the database's health report tells their state from then on. Put it above the database's own layer.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Db, DbLive, DbMigrator } from "dblive"
 *
 * const migrations = DbMigrator.fromDirectory("migrations/default")
 * const AppDb = DbMigrator.layer(Db, { migrations, onStart: "run" }).pipe(
 *   Layer.provideMerge(DbLive),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <Self, R>(
  database: Target<Self>,
  options: Options<R> & {
    /** Defaults to `run`. */
    readonly onStart?: OnStart | undefined
  }
): Layer.Layer<never, Failure, Self | Exclude<R, SqlClient.SqlClient>> => {
  switch (options.onStart ?? "run") {
    case "run":
      return Layer.effectDiscard(Effect.zipRight(run(database, options), watch(database, options, "upToDate")))
    case "validate":
      return Layer.effectDiscard(Effect.zipRight(validate(database, options), watch(database, options, "upToDate")))
    case "off":
      return Layer.effectDiscard(watch(database, options, null))
  }
}
