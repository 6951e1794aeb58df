/**
 * Keys of rows: UUIDs that sort by the time they were made.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { v7 } from "uuid"
import type { DatabaseType } from "./DbConfig.js"

/**
 * A key as it is written and read: a UUID of any version, so that tables may also hold keys made elsewhere.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Key: Schema.Schema<string> = Schema.UUID.annotations({ identifier: "dblive/Key" })

/**
 * Makes a key: a UUID of version 7 (RFC 9562). Those of one process sort in the order in which they were made, those of
 * several by their clocks, so that new rows stand together at the end of an index.
 *
 * @example
 * ```ts
 * import { Db, DbKey } from "dblive"
 * import { Effect } from "effect"
 *
 * const addNote = (body: string) =>
 *   Effect.flatMap(DbKey.make, (id) => Db.query("INSERT INTO note (id, body) VALUES (:id, :body)", { id, body }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<string> = Effect.sync(() => v7())

/**
 * What a database's keys are made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface PrimaryKey {
  /** `text` on SQLite, which has no type for them; `uuid` elsewhere. */
  readonly type: "text" | "uuid"
  readonly schema: Schema.Schema<string>
  /** Makes a new key. */
  readonly make: Effect.Effect<string>
}

const text: PrimaryKey = { type: "text", schema: Key, make }
const uuid: PrimaryKey = { type: "uuid", schema: Key, make }

/**
 * The keys of a type of database.
 *
 * @since 0.1.0
 * @category constructors
 */
export const primaryKey = (type: DatabaseType): PrimaryKey => type === "sqlite" ? text : uuid
