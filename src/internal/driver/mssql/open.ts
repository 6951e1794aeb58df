/**
 * Opening a connection to SQL Server.
 */
import * as Effect from "effect/Effect"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { type Candidate, openFirst } from "../library/open.js"
import type { Unencrypted } from "../Unencrypted.js"
import { MssqlConnection } from "./connection.js"
import { openLink, whereIs } from "./link.js"

const isWanted = (wanted: DbConfig["targetSessionAttrs"], { updateable: isUpdateable }: MssqlConnection): boolean =>
  wanted === "any" || isUpdateable === (wanted === "read-write" || wanted === "primary")

/**
 * Opens one connection within the configuration's connect limit. Fails with `ConnectionError`, or with `TimeoutError`
 * phase `Connect`.
 */
export const makeOpen = (
  config: DbConfig,
  unencrypted?: Unencrypted
): Effect.Effect<MssqlConnection, ConnectionError | TimeoutError> => {
  const candidate = (host: Host): Candidate<MssqlConnection> => {
    const where = whereIs(host)
    const link = openLink(config, host, unencrypted)
    return { where, open: Effect.map(link, (opened) => new MssqlConnection(config, where, opened)) }
  }
  return openFirst(config, config.hosts.map(candidate), (connection) => isWanted(config.targetSessionAttrs, connection))
}
