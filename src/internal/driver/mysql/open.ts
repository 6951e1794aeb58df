/**
 * Opening a connection to MySQL or MariaDB.
 */
import * as Effect from "effect/Effect"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { type Candidate, openFirst, withinConnectTimeout } from "../library/open.js"
import type { Unencrypted } from "../Unencrypted.js"
import { MysqlConnection } from "./connection.js"
import { type Endpoint, openLink, tlsOptions, whereIs } from "./link.js"
import type { Facts } from "./settings.js"

const isWanted = (wanted: DbConfig["targetSessionAttrs"], facts: Facts): boolean =>
  wanted === "any" || facts.readOnly === (wanted !== "read-write" && wanted !== "primary")

/**
 * Opens one connection within the configuration's connect limit. Fails with `ConnectionError`, or with `TimeoutError`
 * phase `Connect`.
 */
export const makeOpen = (
  config: DbConfig,
  unencrypted?: Unencrypted
): Effect.Effect<MysqlConnection, ConnectionError | TimeoutError> => {
  const ssl = tlsOptions(config)
  const candidate = (host: Host): Candidate<MysqlConnection> => {
    const where = whereIs(host)
    const link = openLink(config, host, ssl, unencrypted)
    const within = withinConnectTimeout(config, `${where} did not answer in time`)
    const endpoint: Endpoint = { config, host, where, link: within(link), within }
    return { where, open: Effect.map(link, (opened) => new MysqlConnection(endpoint, opened)) }
  }
  // `setUp`, which has succeeded, has set the facts.
  return openFirst(config, config.hosts.map(candidate), ({ facts }) => isWanted(config.targetSessionAttrs, facts!))
}
