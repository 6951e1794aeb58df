/**
 * `PgClient` of `@effect/sql-pg` 4, over the engine.
 */
import type * as Published from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Statement from "effect/sql/Statement"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { toSqlError } from "../../../DbError.js"
import type { ClientContext, Driver } from "../../../driver/Driver.js"
import type { Credentials } from "../Credentials.js"
import { failure } from "../failure.js"
import * as FamilyClient from "../FamilyClient.js"
import { json } from "./compiler.js"
import type { PgConnection } from "./connection.js"

/**
 * The client of `@effect/sql-pg`: `SqlClient` with `json` and `notify`. Its `listen` fails with reason `Unsupported`: it is not in this
 * edition yet.
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
export const PgClient: Context.Service<PgClient, PgClient> = Context.Service<PgClient>("@effect/sql-pg/PgClient")

const typeId: Published.TypeId = "~@effect/sql-pg/PgClient"

/** The services of PostgreSQL: `PgClient`, which is the engine's client with `json` and `notify`. */
export const services = (
  { config }: Credentials,
  _open: Effect.Effect<PgConnection, ConnectionError | TimeoutError>
): Driver["services"] =>
({ client }: ClientContext) =>
  Effect.sync(() => {
    const listenUnsupported = toSqlError(failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      what: "the edition for Effect 4 has no LISTEN yet",
      advice: "listen by the client of @effect/sql-pg itself",
      outcome: "NotSent",
      database: config.name
    }))
    const pgClient: PgClient = FamilyClient.extend(client, {
      [typeId]: typeId,
      config: { applicationName: config.applicationName },
      json: (value: unknown) => Statement.fragment([json(value)]),
      listen: () => Effect.fail(listenUnsupported),
      notify: (channel: string, payload: string) =>
        Effect.asVoid(client`SELECT pg_notify(${channel}, ${payload})`.withoutTransform)
    })
    // The engine only passes the services on.
    return Context.make(PgClient, pgClient) as Context.Context<never>
  })
