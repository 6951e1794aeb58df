/**
 * What a test's database is prepared with: migrations, then rows.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { type Database, Db, type Members } from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import type { DbMetrics } from "../../DbMetrics.js"
import * as DbMigrator from "../../DbMigrator.js"
import type * as Driver from "../../driver/Driver.js"
import { currentOpening } from "../database/Opening.js"
import { watched } from "./watch.js"

/**
 * A database's tag, with the layers it makes: `Db`, or a class made by `Db.Tag`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target<Self, Provided> extends Context.Tag<Self, Database>, Members<Self> {
  readonly layer: (options: DbConfig.Options) => Layer.Layer<Provided, DbError | ConfigError>
  readonly layerDriver: (
    options: DbConfig.Options,
    driver: Driver.Make<DbConfig.DbConfig>
  ) => Layer.Layer<Provided, DbError | ConfigError>
}

/**
 * What the layers of the default database provide.
 *
 * @since 0.1.0
 * @category models
 */
export type Provides = Db | SqlClient.SqlClient | DbMetrics

/**
 * What a test's database is prepared with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Preparation<Self, Provided, E, R, E2, R2> {
  /** The database's tag. Defaults to `Db`. */
  readonly database?: Target<Self, Provided> | undefined
  /**
   * Migrations, as `DbMigrator` takes them, or an effect that makes the schema, with `SqlClient` of one session. Defaults
   * to none.
   */
  readonly migrations?: DbMigrator.Source<R> | Effect.Effect<unknown, E, R> | undefined
  /**
   * Names what `migrations` makes, where that cannot be known (an effect in their place, or one among them without a
   * checksum), so that it can be made once and copied. Defaults to nothing: such migrations run in each new database.
   */
  readonly hash?: string | undefined
  /** Runs in one session of each new database, after the migrations. Defaults to nothing. */
  readonly seed?: Effect.Effect<unknown, E2, R2> | undefined
}

/**
 * What is left to be provided to the layer of a prepared database.
 *
 * @since 0.1.0
 * @category models
 */
export type Rest<Self, R> = Exclude<Exclude<R, SqlClient.SqlClient>, Self>

/**
 * What can go wrong when a test's database is made.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure<E> = DbError | ConfigError | DbMigrator.MigrationError | Exclude<E, SqlError>

export const targetOf = <Self, Provided>(
  preparation: Pick<Preparation<Self, Provided, never, never, never, never>, "database">
): Target<Self, Provided> =>
  // Without a tag of one's own both are the default database's: nothing else they could be inferred from.
  preparation.database ?? (Db as unknown as Target<Self, Provided>)

/** The name under which errors speak of it: what `Db.Tag` was given. */
export const nameOf = (target: { readonly key: string }): string => target.key.replace(/^dblive\/Db\//, "")

export const isSource = <E, R>(
  migrations: DbMigrator.Source<R> | Effect.Effect<unknown, E, R>
): migrations is DbMigrator.Source<R> => !Effect.isEffect(migrations)

/** Runs the migrations on the open database of the context. */
const migrate = <Self, Provided, E, R, E2, R2>(
  preparation: Preparation<Self, Provided, E, R, E2, R2>
): Effect.Effect<void, Failure<E>, Self | Rest<Self, R>> => {
  const { migrations } = preparation
  const target = targetOf(preparation)
  // The casts drop what TypeScript cannot compute: Exclude of unions with the type parameters E and R.
  return migrations === undefined
    ? Effect.void
    : isSource(migrations)
    // Of each of many databases it need not be told.
    ? Logger.withMinimumLogLevel(DbMigrator.run(target, { migrations }), LogLevel.Warning) as never
    : target.session(migrations) as never
}

/** Runs the seed on the open database of the context. */
const seed = <Self, Provided, E, R, E2, R2>(
  preparation: Preparation<Self, Provided, E, R, E2, R2>
): Effect.Effect<void, Failure<E2>, Self | Rest<Self, R2>> =>
  preparation.seed === undefined
    ? Effect.void
    // As above.
    : targetOf(preparation).session(preparation.seed) as never

/**
 * Runs the migrations in a database that is to be copied, and then `finish`. All tests use the copies: nothing that
 * stands between this test and its database changes them.
 */
export const template = <Self, Provided, E, R, E2, R2, A, E3>(
  preparation: Preparation<Self, Provided, E, R, E2, R2>,
  opened: Layer.Layer<Provided, DbError | ConfigError>,
  finish: Effect.Effect<A, E3, Self>
): Effect.Effect<A, Failure<E> | E3, Rest<Self, R>> =>
  Effect.zipRight(migrate(preparation), finish).pipe(
    Effect.provide(opened),
    Effect.locally(currentOpening, identity)
    // `Provided` holds `Self`, because a tag's layer provides the tag.
  ) as Effect.Effect<A, Failure<E> | E3, Rest<Self, R>>

/** A test's own database: migrated, unless it is a copy of one that is, seeded, and watched. `begin` comes first. */
export const prepared = <Self, Provided, E, R, E2, R2>(
  preparation: Preparation<Self, Provided, E, R, E2, R2>,
  opened: Layer.Layer<Provided, DbError | ConfigError>,
  isCopy: boolean,
  begin: Effect.Effect<void, never, Self> = Effect.void
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const prepare = Effect.all([begin, isCopy ? Effect.void : migrate(preparation), seed(preparation)], { discard: true })
  return watched(
    Layer.flatMap(opened, (context) => Layer.effectContext(Effect.as(Effect.provide(prepare, context), context)))
    // As above; and TypeScript cannot compute Exclude of a union with the type parameter R.
  ) as unknown as Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>>
}

/** The pool of a test's database: small, and without anything that happens by itself. */
export const pool = (given: DbConfig.PoolOptions | undefined): DbConfig.PoolOptions => ({
  size: 1,
  overflow: 4,
  minIdle: 0,
  keepalive: 0,
  leakThreshold: 0,
  validateAfter: "1 minute",
  resetOnReturn: "rollback",
  ...given
})
