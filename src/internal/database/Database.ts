/**
 * An open database, as it stands in the context under its tag.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Effect from "effect/Effect"
import type * as DbHealth from "../../DbHealth.js"
import type { Engine } from "../Engine.js"

/**
 * What marks an open database.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("dblive/Db")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * An open database: what a tag stands for in the context. Everything is done through the tag's members.
 *
 * @since 0.1.0
 * @category models
 */
export interface Database {
  readonly [TypeId]: TypeId
  /** The name of its tag. */
  readonly name: string
  /** Its client. */
  readonly sql: SqlClient.SqlClient
  /** Its health. */
  readonly health: Effect.Effect<DbHealth.Report>
  /** The state of its migrations, asked by `health`; set by `watchMigrations`. */
  migrations: Effect.Effect<DbHealth.MigrationStatus | null>
}

/** Where a database keeps its engine. Registered, so that a tag of one copy of this package finds a database of another. */
const engineKey: unique symbol = Symbol.for("dblive/internal/Engine")

/** A database as `make` of `Opening.ts` builds it. */
interface Opened extends Database {
  readonly [engineKey]: Engine
}

/** A database over an engine. */
export const make = (engine: Engine, parts: Omit<Database, TypeId>): Database => {
  const database: Opened = { [TypeId]: TypeId, [engineKey]: engine, ...parts }
  return database
}

/** The engine of a database. */
export const engineOf = (database: Database): Engine =>
  // There is no other way to a database than `make`.
  (database as Opened)[engineKey]

/** Whether a value is an open database. */
export const isDatabase = (u: unknown): u is Database => typeof u === "object" && u !== null && TypeId in u
