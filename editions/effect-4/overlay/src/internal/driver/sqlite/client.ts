/**
 * The client of SQLite, over the engine.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { DbConfig } from "../../../DbConfig.js"
import type { DbError } from "../../../DbError.js"
import { toSqlError } from "../../../DbError.js"
import type * as Driver from "../../../driver/Driver.js"
import * as FamilyClient from "../FamilyClient.js"
import type { SqliteConnection } from "./connection.js"
import type { Spec } from "./open.js"
import type { RemoteConnection } from "./remote.js"

/** The services of the connections of this driver, beyond the contract. */
type Own = SqliteConnection<DbError> | RemoteConnection

/**
 * The client of SQLite: `SqlClient` with `export`, `backup` and `loadExtension`.
 *
 * @since 0.1.0
 * @category tags
 */
export interface SqliteClient extends SqlClient {
  readonly config: { readonly filename: string; readonly readonly: boolean }
  readonly export: Effect.Effect<Uint8Array, SqlError>
  readonly backup: (destination: string) => Effect.Effect<BackupMetadata, SqlError>
  readonly loadExtension: (path: string) => Effect.Effect<void, SqlError>
}

/**
 * How far a backup is.
 *
 * @since 0.1.0
 * @category models
 */
export interface BackupMetadata {
  readonly totalPages: number
  readonly remainingPages: number
}

/**
 * The database's client with `export`, `backup` and `loadExtension`. The tag is made
 * by its key, so that the package itself is not needed at run time.
 *
 * @since 0.1.0
 * @category tags
 */
export const SqliteClient: Context.Service<SqliteClient, SqliteClient> = Context.Service<SqliteClient>(
  "@effect/sql-sqlite-node/SqliteClient"
)

/** The services of a SQLite database: `SqliteClient`. */
export const services = (_config: DbConfig, spec: Spec) => (context: Driver.ClientContext) =>
  Effect.sync(() => {
    const use = <A>(
      f: (connection: Own, done: Driver.Done<A>) => void | (() => void)
    ): Effect.Effect<A, SqlError> =>
      Effect.scoped(Effect.flatMap(context.connection, (connection) =>
        Effect.callback<A, SqlError>((resume) => {
          // The engine gives connections that `open` of this driver has made.
          const stop = f(
            connection as Own,
            (error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(toSqlError(error)))
          )
          return Effect.sync(() => stop?.())
        })))
    const client: SqliteClient = FamilyClient.extend(context.client, {
      config: {
        filename: spec.filename,
        readonly: spec.readOnly
      },
      export: use<Uint8Array>((connection, done) => connection.export(done)),
      backup: (destination: string) => use<BackupMetadata>((connection, done) => connection.backup(destination, done)),
      loadExtension: (path: string) => use<void>((connection, done) => connection.loadExtension(path, done)),
      // Not supported by the dialect.
      updateValues: undefined as never
    })
    // `services` promises a context of nothing in particular; the engine merges it by key.
    return Context.make(SqliteClient, client) as Context.Context<never>
  })
