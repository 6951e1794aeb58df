/**
 * What a connection is set to when it is opened, and again when the server has forgotten it; and those settings that
 * are not the server's but choose how to log in.
 */
import type { DbConfig } from "../../../DbConfig.js"

/** Ways to log in that tedious knows, and the settings that each needs. */
const authentications: Readonly<Record<string, ReadonlyArray<string>>> = {
  default: [],
  ntlm: ["domain"],
  "azure-active-directory-password": ["clientId"],
  "azure-active-directory-access-token": [],
  "azure-active-directory-default": [],
  "azure-active-directory-msi-vm": [],
  "azure-active-directory-msi-app-service": [],
  "azure-active-directory-service-principal-secret": ["clientId", "tenantId"]
}

/** Settings that the driver takes itself. */
const own = new Set(["authentication", "clientId", "tenantId", "domain", "serverName"])

/** Why the settings of a configuration cannot be kept. */
export const unsupported = (config: DbConfig): string | undefined => {
  const { settings } = config
  const authentication = settings["authentication"] ?? "default"
  const needed = authentications[authentication]
  if (needed === undefined) {
    return `the setting authentication is "${authentication}"; accepted: ${Object.keys(authentications).join(", ")}`
  }
  const missing = needed.find((name) => settings[name] === undefined)
  if (missing !== undefined) return `authentication "${authentication}" needs the setting ${missing}`
  const odd = Object.keys(settings).find((name) => !own.has(name) && !/^[A-Za-z][A-Za-z_ ]*$/.test(name))
  if (odd !== undefined) return `"${odd}" is no setting: accepted are the names that SET takes, such as XACT_ABORT`
  if (config.ssl.mode === "disable" && authentication !== "default" && authentication !== "ntlm") {
    return `authentication "${authentication}" needs an encrypted link`
  }
  return undefined
}

/** Bare where the server wants a word or a number, else as text. */
const literal = (value: string): string =>
  /^(?:-?\d+|[A-Za-z][A-Za-z_ ]*)$/.test(value) ? value : `N'${value.replaceAll("'", "''")}'`

/** The statement for the wait for a lock: 0 of ours is "no limit", which is -1 of the server's. */
export const lockText = (millis: number): string => `SET LOCK_TIMEOUT ${millis === 0 ? -1 : Math.ceil(millis)}`

/** The statements that make a connection what the configuration asks for. */
export const setupText = (config: DbConfig): string => {
  const statements = Object.entries(config.settings).filter(([name]) => !own.has(name)).map(([name, value]) =>
    `SET ${name} ${literal(value)}`
  )
  if (config.limits.lockTimeout > 0) statements.push(lockText(config.limits.lockTimeout))
  return statements.join(";\n")
}

/** What the server says of itself. */
export const factsText = "SELECT @@SPID AS id, CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version, " +
  "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) AS updateability"
