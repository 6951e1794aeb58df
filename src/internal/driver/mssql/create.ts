/**
 * Creating a database.
 */
import * as Effect from "effect/Effect"
import type { DbConfig } from "../../../DbConfig.js"
import type { DbError } from "../../../DbError.js"
import type { Driver } from "../../../driver/Driver.js"
import { maintenance, runAlone } from "../creation.js"

/** Databases are made from here. */
const maintenanceDatabase = "master"

/** `DB_CREATE_EXISTS`: another client was first. */
const exists = "1801"

/** Not by dots, as `@effect/sql` has it: the name of a database has no parts. */
const quote = (name: string): string => `[${name.replaceAll("]", "]]")}]`

/**
 * Creates the database of the configuration. Another process that does the same at the same time is no failure; the
 * database may then not be open yet.
 */
export const createDatabase = (
  config: DbConfig,
  open: (config: DbConfig) => Driver["open"]
): Effect.Effect<void, DbError> | undefined =>
  config.database === undefined ? undefined : Effect.catchIf(
    runAlone(
      // Among the settings is how to log in.
      open({ ...maintenance(config, maintenanceDatabase), settings: config.settings }),
      `CREATE DATABASE ${quote(config.database)}`
    ),
    (error) => error._tag === "QueryError" && error.code === exists,
    () => Effect.void
  )
