/**
 * An open database, as it stands in the context under its tag.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Effect from "effect/Effect"
import type * as DbHealth from "../../DbHealth.js"
import type { Engine } from "../Engine.js"

/**
 * @since 0.1.0
 * @category type ids
 * @internal
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
  readonly [TypeId]: Engine
  /** The name of its tag. */
  readonly name: string
  /** Its client. */
  readonly sql: SqlClient.SqlClient
  /** Whether it is well. */
  readonly health: Effect.Effect<DbHealth.Report>
  /** How its migrations stand, asked by `health`; set by `watchMigrations`. */
  migrations: Effect.Effect<DbHealth.MigrationStatus | null>
}
