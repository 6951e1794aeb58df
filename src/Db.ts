/**
 * A database as a tag, what can be done with it, and the layers that open it.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DbConfig from "./DbConfig.js"
import type { ConnectionError, DbError } from "./DbError.js"
import { DbMetrics, registry } from "./DbMetrics.js"
import type * as Driver from "./driver/Driver.js"
import type * as Database from "./internal/database/Database.js"
import * as Members from "./internal/database/Members.js"
import { loadDriver, make } from "./internal/database/Opening.js"
import type * as Query from "./internal/database/Query.js"
import type * as Rows from "./internal/database/Rows.js"
import type { Session as SessionHandle } from "./internal/database/Session.js"
import type * as Transaction from "./internal/database/Transaction.js"

export type { Make, StatementResult } from "./driver/Driver.js"
export { type Database, TypeId } from "./internal/database/Database.js"
export type { Members, ReadOnlyMembers, RetryOptions } from "./internal/database/Members.js"
export type { Param, ParamObject, Params, QueryOptions } from "./internal/database/Query.js"
export type { ReadMembers } from "./internal/database/reads.js"
export type { RowsMember, ScalarMember, SchemaOptions } from "./internal/database/Rows.js"
export type { Session } from "./internal/database/Session.js"
export type { Atomic, ReadOptions, TransactionOptions } from "./internal/database/Transaction.js"
export type { Typed } from "./internal/database/Typed.js"

/** What goes wrong when a layer is built. */
type LayerError = DbError | ConfigError

/**
 * The class of a named database: `class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}`.
 *
 * @since 0.1.0
 * @category models
 */
export interface TagClass<Self, Name extends string, Provided = Self | DbMetrics>
  extends Context.TagClass<Self, `dblive/Db/${Name}`, Database.Database>, Members.Members<Self>
{
  /** Opens the database with these options. */
  readonly layer: (options: DbConfig.Options) => Layer.Layer<Provided, LayerError>
  /** Opens the database with options that come from the environment. */
  readonly layerConfig: (options: Config.Config.Wrap<DbConfig.Options>) => Layer.Layer<Provided, LayerError>
  /**
   * Opens the database with this driver, rather than with the one that its type loads: `make` of `dblive/pg` and the others,
   * where a bundler is not to follow `import()`.
   */
  readonly layerDriver: (
    options: DbConfig.Options,
    driver: Driver.Make<DbConfig.DbConfig>
  ) => Layer.Layer<Provided, LayerError>
  /** Opens the database as the environment says. */
  readonly layerEnv: Layer.Layer<Provided, LayerError>
}

/**
 * The class of a named database that is only read: `class Reports extends Db.Tag("Reports")<Reports, "read-only">() {}`. Its layers have
 * to be told so, so that the server or the driver refuses what the types do not see, such as a text that writes; the environment
 * may say otherwise, so there is no `layerEnv`.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReadOnlyTagClass<Self, Name extends string>
  extends Context.TagClass<Self, `dblive/Db/${Name}`, Database.Database>, Members.ReadOnlyMembers<Self>
{
  /** Opens the database with these options. */
  readonly layer: (options: ReadOnlyOptions) => Layer.Layer<Self | DbMetrics, LayerError>
  /** Opens the database with options that come from the environment. */
  readonly layerConfig: (
    options: Config.Config.Wrap<ReadOnlyOptions>
  ) => Layer.Layer<Self | DbMetrics, LayerError>
  /** Opens the database with this driver, rather than with the one that its type loads. */
  readonly layerDriver: (
    options: ReadOnlyOptions,
    driver: Driver.Make<DbConfig.DbConfig>
  ) => Layer.Layer<Self | DbMetrics, LayerError>
}

/**
 * The options of a database that is only read.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReadOnlyOptions extends DbConfig.Options {
  readonly access: "read-only"
}

/** The class of a named database, by what may be done with it. */
type ClassOf<Self, Name extends string, Access extends "read-write" | "read-only"> = [Access] extends ["read-only"]
  ? ReadOnlyTagClass<Self, Name>
  : TagClass<Self, Name>

/** What the layers of one tag provide. */
const layers = <Self>(tag: Context.Tag<Self, Database.Database>, name: string, isDefault: boolean) => {
  const open = (
    config: Effect.Effect<DbConfig.DbConfig, ConfigError>,
    load: (config: DbConfig.DbConfig) => Effect.Effect<Driver.Make<DbConfig.DbConfig>, ConnectionError> = loadDriver
  ) =>
    Layer.scopedContext(Effect.gen(function*() {
      const resolved = yield* config
      const { database, services } = yield* make(resolved, yield* load(resolved))
      const own = Context.make(tag, database).pipe(Context.add(DbMetrics, registry))
      // A named database must not take the place of the default one's client.
      return isDefault
        ? Context.mergeAll(own, Context.make(SqlClient.SqlClient, database.sql), services)
        : own
    })).pipe(Layer.provide(Reactivity.layer))
  return {
    layer: (options: DbConfig.Options) => open(DbConfig.resolve(name, options)),
    layerConfig: (options: Config.Config.Wrap<DbConfig.Options>) =>
      open(Effect.flatMap(Config.unwrap(options), (options) => DbConfig.resolve(name, options))),
    layerDriver: (options: DbConfig.Options, driver: Driver.Make<DbConfig.DbConfig>) =>
      open(DbConfig.resolve(name, options), () => Effect.succeed(driver)),
    layerEnv: open(DbConfig.fromEnv(name))
  }
}

/**
 * A named database: a tag of the same shape as `Db`. One that is `"read-only"` has no members that write, and has to be opened so.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 *
 * class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}
 *
 * const count = SurveyHub.query("SELECT count(*) AS n FROM survey WHERE year = :year", { year: 2026 })
 *
 * const program = count.pipe(Effect.provide(SurveyHub.layer({ url: "sqlite://:memory:" })))
 * ```
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 *
 * class Reports extends Db.Tag("Reports")<Reports, "read-only">() {}
 *
 * const total = Reports.scalar<number>("SELECT sum(amount) FROM sale")
 *
 * const program = total.pipe(Effect.provide(Reports.layer({ url: "sqlite://reports.db", access: "read-only" })))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const Tag =
  <const Name extends string>(name: Name) =>
  <Self, Access extends "read-write" | "read-only" = "read-write">(): ClassOf<Self, Name, Access> =>
    // `Access` is for the types alone: one that is read-only has fewer members and asks its layers for more.
    makeTag<Self, Name, Self | DbMetrics>(name, false) as unknown as ClassOf<Self, Name, Access>

const makeTag = <Self, Name extends string, Provided>(
  name: Name,
  isDefault: boolean
): TagClass<Self, Name, Provided> => {
  const tag = Context.Tag(`dblive/Db/${name}`)<Self, Database.Database>()
  // The members and layers complete the tag to what `TagClass` says; a class's static side cannot be written as a type.
  return Object.assign(tag, Members.make(tag), layers(tag, name, isDefault)) as unknown as TagClass<
    Self,
    Name,
    Provided
  >
}

/**
 * The default database: the tag named "default".
 *
 * @example
 * ```ts
 * import { SqlClient } from "@effect/sql"
 * import { Effect } from "effect"
 * import { Db, DbLive } from "dblive"
 *
 * const notes = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT id, body FROM note`
 * }).pipe(Db.session)
 *
 * const program = notes.pipe(Effect.provide(DbLive))
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class Db extends makeTag<Db, "default", Db | SqlClient.SqlClient | DbMetrics>("default", true) {
  /**
   * Makes the tag of a named database.
   *
   * @since 0.1.0
   */
  static readonly Tag = Tag
}

/**
 * The types of what a tag's members take and give, for use in signatures: `(session: Db.Session) => ...`.
 *
 * @since 0.1.0
 */
export declare namespace Db {
  /**
   * An open database: the service of a tag.
   *
   * @since 0.1.0
   * @category models
   * @interface
   */
  export type Database = Database.Database

  /**
   * A session as a scoped resource, as `Db.reserve` gives it.
   *
   * @since 0.1.0
   * @category models
   * @interface
   */
  export type Session = SessionHandle

  /**
   * How a transaction is to run.
   *
   * @since 0.1.0
   * @category models
   * @interface
   */
  export type TransactionOptions = Transaction.TransactionOptions

  /**
   * How a read is to run.
   *
   * @since 0.2.0
   * @category models
   * @interface
   */
  export type ReadOptions = Transaction.ReadOptions

  /**
   * How much of what others do at the same time a transaction may see.
   *
   * @since 0.1.0
   * @category models
   */
  export type IsolationLevel = Driver.IsolationLevel

  /**
   * What `Db.transaction` gives: an effect that is applied wholly or not at all, as `Db.retry` takes it.
   *
   * @since 0.1.0
   * @category models
   */
  export type Atomic<A, E = never, R = never> = Transaction.Atomic<A, E, R>

  /**
   * Values of a statement's parameters: by name, or in the order of the driver's own placeholders.
   *
   * @since 0.1.0
   * @category models
   */
  export type Params = Query.Params

  /**
   * The value of one parameter.
   *
   * @since 0.2.0
   * @category models
   */
  export type Param = Query.Param

  /**
   * Options of one statement.
   *
   * @since 0.1.0
   * @category models
   * @interface
   */
  export type QueryOptions = Query.QueryOptions

  /**
   * Options of a statement whose rows a schema decodes.
   *
   * @since 0.2.0
   * @category models
   * @interface
   */
  export type SchemaOptions<A, I, R> = Rows.SchemaOptions<A, I, R>

  /**
   * What `Db.execute` gives: the rows, how many were written, and the key that the database generated.
   *
   * @since 0.2.0
   * @category models
   * @interface
   */
  export type StatementResult<A = unknown> = Driver.StatementResult<A>

  /**
   * How a driver is made: `make` of `dblive/pg` and the others, as `Db.layerDriver` takes it.
   *
   * @since 0.1.0
   * @category models
   */
  export type MakeDriver = Driver.Make<DbConfig.DbConfig>

  /**
   * A database's tag, for a function that takes `Db` or a named one.
   *
   * @since 0.1.0
   * @category models
   */
  export type Tag<Self> = Context.Tag<Self, Database> & Members.Members<Self>

  /**
   * What `Db.Tag(name)<Self>()` gives, where it has to be written down (with `isolatedDeclarations`):
   *
   *     const base: Db.TagClass<SurveyHub, "SurveyHub"> = Db.Tag("SurveyHub")<SurveyHub>()
   *     export class SurveyHub extends base {}
   *
   * @since 0.1.0
   * @category models
   */
  export type TagClass<Self, Name extends string, Access extends "read-write" | "read-only" = "read-write"> = ClassOf<
    Self,
    Name,
    Access
  >

  /**
   * The tag of a database that is read, for a function that takes any: those that are only read, and all others.
   *
   * @since 0.2.0
   * @category models
   */
  export type ReadOnlyTag<Self> = Context.Tag<Self, Database> & Members.ReadOnlyMembers<Self>
}

/**
 * Opens the default database as the environment says: `DATABASE_URL`, or `DATABASE_*`; with none of them an embedded
 * SQLite file in development, and an error in production.
 *
 * Fails with `ConfigError` when the configuration is wrong, and, since it connects at once, with `ConnectionError` or
 * `TimeoutError` (phase `Connect`) when the database cannot be reached.
 *
 * @since 0.1.0
 * @category layers
 */
export const DbLive: Layer.Layer<Db | SqlClient.SqlClient | DbMetrics, LayerError> = Db.layerEnv
