/**
 * Creating a database.
 */
import * as Effect from "effect/Effect"
import type { DbConfig } from "../../../DbConfig.js"
import type { DbError } from "../../../DbError.js"
import type { Driver } from "../../../driver/Driver.js"
import { maintenance, runAlone } from "../creation.js"

/** Every server has it, made for this purpose. */
const maintenanceDatabase = "postgres"

/**
 * The codes that say that another client was first: `duplicate_database`, and, when both were at it at the same moment,
 * `unique_violation` in the catalog.
 */
const exists: ReadonlySet<string | undefined> = new Set(["42P04", "23505"])

/** Not by dots, as `@effect/sql` has it: the name of a database has no parts. */
const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** Creates the database of the configuration. Another process that does the same at the same time is no failure. */
export const createDatabase = (
  config: DbConfig,
  open: (config: DbConfig) => Driver["open"]
): Effect.Effect<void, DbError> | undefined =>
  config.database === undefined ? undefined : Effect.catchIf(
    runAlone(open(maintenance(config, maintenanceDatabase)), `CREATE DATABASE ${quote(config.database)}`),
    (error) => error._tag === "QueryError" && exists.has(error.code),
    () => Effect.void
  )
