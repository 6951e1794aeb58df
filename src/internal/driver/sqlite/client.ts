/**
 * `SqliteClient` of `@effect/sql-sqlite-node`, over the engine.
 */
import type {
  BackupMetadata,
  SqliteClient as PublishedClient,
  SqliteClientConfig
} from "@effect/sql-sqlite-node/SqliteClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DbConfig } from "../../../DbConfig.js"
import type { DbError } from "../../../DbError.js"
import { toSqlError } from "../../../DbError.js"
import type * as Driver from "../../../driver/Driver.js"
import * as FamilyClient from "../FamilyClient.js"
import type { SqliteConnection } from "./connection.js"
import type { Spec } from "./open.js"
import type { RemoteConnection } from "./remote.js"

/** Whether the settings choose another journal than the driver does. */
const leavesWal = (settings: DbConfig["settings"]): boolean =>
  Object.entries(settings).some(([name, value]) =>
    name.toLowerCase() === "journal_mode" && value.toLowerCase() !== "wal"
  )

/** The services of the connections of this driver, beyond the contract. */
type Own = SqliteConnection<DbError> | RemoteConnection

const TypeId = Symbol.for("@effect/sql-sqlite-node/SqliteClient")

/**
 * The client of `@effect/sql-sqlite-node`: `SqlClient` with `export`, `backup` and `loadExtension`.
 *
 * @since 0.1.0
 * @category tags
 */
export type SqliteClient = PublishedClient

/**
 * `SqliteClient` of `@effect/sql-sqlite-node`: the database's client with `export`, `backup` and `loadExtension`. The tag is made
 * by its key, so that the package itself is not needed at run time.
 *
 * @since 0.1.0
 * @category tags
 */
export const SqliteClient: Context.Tag<SqliteClient, SqliteClient> = Context.GenericTag<SqliteClient>(
  "@effect/sql-sqlite-node/SqliteClient"
)

/** The services of a SQLite database: `SqliteClient`. */
export const services = (config: DbConfig, spec: Spec) => (context: Driver.ClientContext) =>
  Effect.sync(() => {
    const use = <A>(
      f: (connection: Own, done: Driver.Done<A>) => void | (() => void)
    ): Effect.Effect<A, SqlError> =>
      Effect.scoped(Effect.flatMap(context.connection, (connection) =>
        Effect.async<A, SqlError>((resume) => {
          // The engine gives connections that `open` of this driver has made.
          const stop = f(
            connection as Own,
            (error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(toSqlError(error)))
          )
          return Effect.sync(() => stop?.())
        })))
    const client = FamilyClient.extend(context.client, {
      [TypeId]: TypeId,
      config: {
        filename: spec.filename,
        readonly: spec.readOnly,
        prepareCacheSize: config.prepareCacheSize,
        // A statement that was prepared is kept until another needs its place.
        prepareCacheTTL: Duration.infinity,
        disableWAL: leavesWal(config.settings),
        transformResultNames: config.transformResultNames,
        transformQueryNames: config.transformQueryNames,
        spanAttributes: { ...config.spanAttributes }
      } satisfies SqliteClientConfig,
      export: use<Uint8Array>((connection, done) => connection.export(done)),
      backup: (destination: string) => use<BackupMetadata>((connection, done) => connection.backup(destination, done)),
      loadExtension: (path: string) => use<void>((connection, done) => connection.loadExtension(path, done)),
      // Not supported by the dialect; the type says so.
      updateValues: undefined as never
      // `TypeId` is the package's own symbol, registered under the same key, which TypeScript cannot see.
    }) as unknown as PublishedClient
    // `services` promises a context of nothing in particular; the engine merges it by key.
    return Context.make(SqliteClient, client) as Context.Context<never>
  })
