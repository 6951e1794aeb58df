/**
 * A configuration as a URI, without its password.
 */
import type { DbConfig, Host } from "./model.js"

const hostText = ({ host, instance, port }: Host): string =>
  instance !== undefined
    ? `${host}\\${instance}`
    : `${host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host}:${port}`

/** Only what names the database: type, user, hosts, name. */
export const uri = (config: DbConfig): string => {
  if (config.type === "sqlite") {
    return config.filename === ":memory:"
      ? "sqlite://:memory:"
      // A path may hold what begins the query, or looks like an escape.
      : `sqlite:///${(config.filename ?? "").replace(/[%?#]/g, encodeURIComponent)}`
  }
  const user = typeof config.username === "string" ? `${encodeURIComponent(config.username)}@` : ""
  const name = config.database === undefined ? "" : `/${encodeURIComponent(config.database)}`
  return `${config.type}://${user}${config.hosts.map(hostText).join(",")}${name}`
}
