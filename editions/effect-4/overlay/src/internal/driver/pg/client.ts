/**
 * `PgClient` of `@effect/sql-pg`, over the engine.
 */
import type * as Published from "@effect/sql-pg/PgClient"
import type { Notification } from "@effect/sql-pg/PgConnection"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { toSqlError } from "../../../DbError.js"
import type { ClientContext, Driver } from "../../../driver/Driver.js"
import { asFragment } from "../../sql/fragment.js"
import type { Credentials } from "../Credentials.js"
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
export const PgClient: Context.Service<PgClient, PgClient> = Context.Service<PgClient>("@effect/sql-pg/PgClient")

const typeId: Published.TypeId = "~@effect/sql-pg/PgClient"

/** What is sent to a channel, until the scope is closed. It ends with the error that the listener ends with, after what has arrived. */
const notificationsOf = (
  listener: Listener.Listener,
  channel: string
): Effect.Effect<Queue.Dequeue<Notification, SqlError>, SqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<Notification, SqlError>()
    yield* Effect.addFinalizer(() => Queue.shutdown(queue))
    yield* listener.subscribe(channel, {
      receive: (payload, processId) => {
        Queue.offerUnsafe(queue, { channel, payload, processId })
      },
      fail: (error) => {
        Queue.failCauseUnsafe(queue, Cause.fail(toSqlError(error)))
      }
    })
    return queue
  }).pipe(Effect.mapError(toSqlError))

/** The services of PostgreSQL: `PgClient`, which is the engine's client with `json`, `listen` and `notify`. */
export const services = (
  credentials: Credentials,
  open: Effect.Effect<PgConnection, ConnectionError | TimeoutError>
): Driver["services"] =>
  Effect.fnUntraced(function*({ client }: ClientContext) {
    const { config } = credentials
    const listener = yield* Listener.make(config, open)
    const pgClient: PgClient = FamilyClient.extend(client, {
      [typeId]: typeId,
      config: clientConfig(config, credentials),
      json: (value: unknown) => asFragment(json(value)),
      listen: (channel: string) => notificationsOf(listener, channel),
      notify: (channel: string, payload: string) =>
        Effect.asVoid(client`SELECT pg_notify(${channel}, ${payload})`.withoutTransform)
    })
    // The engine only passes the services on.
    return Context.make(PgClient, pgClient) as Context.Context<never>
  })
