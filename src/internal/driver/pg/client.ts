/**
 * `PgClient` of `@effect/sql-pg`, over the engine.
 */
import type { TypeId } from "@effect/sql-pg/PgClient"
import type * as Published from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { toSqlError } from "../../../DbError.js"
import type { ClientContext, Driver } from "../../../driver/Driver.js"
import type { Credentials } from "../Credentials.js"
import { failure } from "../failure.js"
import * as FamilyClient from "../FamilyClient.js"
import { clientConfig } from "./clientConfig.js"
import { json } from "./compiler.js"
import type { PgConnection } from "./connection.js"
import * as Listener from "./listener.js"

/**
 * The client of `@effect/sql-pg`: `SqlClient` with `json`, `listen` and `notify`.
 *
 * @since 0.1.0
 * @category tags
 */
export type PgClient = Published.PgClient

/**
 * The tag of `@effect/sql-pg`, by its key: the package itself is not needed at run time.
 *
 * @since 0.1.0
 * @category tags
 */
export const PgClient: Context.Tag<PgClient, PgClient> = Context.GenericTag<PgClient>("@effect/sql-pg/PgClient")

const typeId: TypeId = "~@effect/sql-pg/PgClient"

/** Behind a pooler in transaction mode no connection is ours for long enough. */
const refusing = (database: string): Listener.Listener => ({
  listen: () =>
    Stream.fail(failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      what: "LISTEN needs a session of its own, and prepare: false says that a pooler in transaction mode has none",
      advice:
        "listen on a database that is opened by a direct URL, or one of a pooler in session mode, without prepare: false",
      outcome: "NotSent",
      database
    }))
})

/** The services of PostgreSQL: `PgClient`, which is the engine's client with `json`, `listen` and `notify`. */
export const services = (
  credentials: Credentials,
  open: Effect.Effect<PgConnection, ConnectionError | TimeoutError>
): Driver["services"] =>
  Effect.fnUntraced(function*({ client }: ClientContext) {
    const { config } = credentials
    const listener = !config.prepare
      ? refusing(config.name)
      : yield* Listener.make(config.name, open, config.pool.keepalive)
    const pgClient: PgClient = FamilyClient.extend(client, {
      [typeId]: typeId,
      config: clientConfig(config, credentials),
      json: (value: unknown) => json(value),
      listen: (channel: string) => Stream.mapError(listener.listen(channel), toSqlError),
      notify: (channel: string, payload: string) =>
        Effect.asVoid(client`SELECT pg_notify(${channel}, ${payload})`.withoutTransform)
    })
    // The engine only passes the services on.
    return Context.make(PgClient, pgClient) as Context.Context<never>
  })
