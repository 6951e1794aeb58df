/**
 * `PgClient` of `@effect/sql-pg`, over the engine.
 */
import type { TypeId } from "@effect/sql-pg/PgClient"
import type * as Published from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import { toSqlError } from "../../../DbError.js"
import type { ClientContext, Driver } from "../../../driver/Driver.js"
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
export const PgClient: Context.Tag<PgClient, PgClient> = Context.GenericTag<PgClient>("@effect/sql-pg/PgClient")

const typeId: TypeId = "~@effect/sql-pg/PgClient"

/** The payloads sent to a channel. It ends with the error that the listener ends with, after what has arrived. */
const payloadsOf = (listener: Listener.Listener, channel: string): Stream.Stream<string, DbError> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const payloads = yield* Mailbox.make<string, ConnectionError>()
    yield* Effect.addFinalizer(() => payloads.shutdown)
    yield* listener.subscribe(channel, {
      receive: (payload) => {
        payloads.unsafeOffer(payload)
      },
      fail: (error) => {
        payloads.unsafeDone(Exit.fail(error))
      }
    })
    return Mailbox.toStream(payloads)
  }))

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
      config: Object.assign(clientConfig(config, credentials), {
        idleTimeout: Duration.millis(config.pool.idleTimeout),
        connectionTTL: Duration.millis(config.pool.maxLifetime),
        maxConnections: config.pool.size + config.pool.overflow,
        minConnections: config.pool.minIdle,
        // `pg` types the oid as an enumeration; what is asked is the program's own object where there is one.
        types: config.types as Published.PgClientConfig["types"]
      }),
      json: (value: unknown) => json(value),
      listen: (channel: string) => Stream.mapError(payloadsOf(listener, channel), toSqlError),
      notify: (channel: string, payload: string) =>
        Effect.asVoid(client`SELECT pg_notify(${channel}, ${payload})`.withoutTransform)
    })
    // The engine only passes the services on.
    return Context.make(PgClient, pgClient) as Context.Context<never>
  })
