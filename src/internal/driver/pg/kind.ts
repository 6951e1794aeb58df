/**
 * What kind of server a connection was opened to: the primary or a standby, and which history it writes.
 */
import * as Effect from "effect/Effect"
import type { DbConfig } from "../../../DbConfig.js"
import type { ConnectionError } from "../../../DbError.js"
import { failure } from "../failure.js"
import { ownRequest } from "../ownRequest.js"
import type { ServerError } from "./codes.js"
import { isFatal } from "./codes.js"
import type { PgConnection } from "./connection.js"
import type { Identity, Primary } from "./primary.js"
import { seeksPrimary } from "./primary.js"

/** Whether a server is of the kind that was asked for; `undefined`: it did not say (before PostgreSQL 14). */
export const isWanted = (
  wanted: DbConfig["targetSessionAttrs"],
  connection: PgConnection,
  access: DbConfig["access"]
): boolean | undefined => {
  const standby = connection.parameters.get("in_hot_standby")
  const readOnly = connection.parameters.get("default_transaction_read_only")
  if (wanted === "any") return true
  if (standby === undefined || readOnly === undefined) return undefined
  const isStandby = standby === "on"
  // When we ask for read-only sessions ourselves, the setting says nothing of the server.
  const isReadOnly = isStandby || (readOnly === "on" && access === "read-write")
  switch (wanted) {
    case "read-write":
      return !isReadOnly
    case "read-only":
      return isReadOnly
    case "primary":
      return !isStandby
    case "standby":
    case "prefer-standby":
      return isStandby
  }
}

export const unwanted = (config: DbConfig, where: string): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: config.targetSessionAttrs === "read-write" || config.targetSessionAttrs === "primary"
      ? "ReadOnlyServer"
      : "Unsupported",
    what: `${where}: the server is not what target_session_attrs=${config.targetSessionAttrs} asks for`,
    outcome: "NotSent",
    database: config.name
  })

/** One row, from a connection that is being opened. */
export const askRow = (connection: PgConnection, text: string): Effect.Effect<ReadonlyArray<unknown>, Error> =>
  Effect.async((resume) => {
    connection.execute(ownRequest(text), (error, rows) => {
      // What the server said: it is told again as the reason why the connection is not opened.
      if (error !== undefined) return resume(Effect.fail(error.cause instanceof Error ? error.cause : error))
      // An answer in the mode `values`, of one row.
      resume(Effect.succeed((rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]!))
    })
    return Effect.sync(() => connection.destroy())
  })

/** What a server says of itself. */
const kindQuestion = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"

/**
 * The same, and the history that it writes. The control file has the timeline of the last checkpoint, which after a promotion is
 * still the one before.
 */
const identityQuestion = `${kindQuestion}, CASE WHEN NOT pg_is_in_recovery()
  THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END, (SELECT system_identifier::text FROM pg_control_system())`

/** Asks what a server is; it may not have told, or a pooler may have told us of another. */
const askKind = (
  connection: PgConnection,
  question: string
): Effect.Effect<Identity | undefined, Error> =>
  Effect.map(askRow(connection, question), ([standby, readOnly, timeline, system]) => {
    connection.parameters.set("in_hot_standby", standby === true ? "on" : "off")
    connection.parameters.set("default_transaction_read_only", String(readOnly))
    return typeof timeline === "string"
      ? { system: String(system), timeline: Number.parseInt(timeline, 16) }
      : undefined
  })

/** The server has answered, with an error that leaves the link as it is: it does not know what is asked. */
const isUnknownThere = (error: ServerError): boolean => error.code !== undefined && !isFatal(error)

/** Looks what a server is, as far as the configuration asks for it. One that seeks the primary learns its timeline by one round trip. */
export const look = (
  config: DbConfig,
  primary: Primary,
  connection: PgConnection
): Effect.Effect<Identity | undefined, Error> =>
  Effect.suspend(() => {
    const wanted = config.targetSessionAttrs
    if (wanted === "any") return Effect.succeed(undefined)
    const isKnown = connection.session.carried === undefined ? isWanted(wanted, connection, config.access) : undefined
    const kind = isKnown === undefined ? askKind(connection, kindQuestion) : Effect.succeed(undefined)
    if (isKnown === false || !seeksPrimary(config) || primary.tellsNoTimeline) return kind
    return Effect.catchIf(askKind(connection, identityQuestion), isUnknownThere, () => {
      primary.tellsNoTimeline = true
      return kind
    })
  })
