/**
 * `MysqlClient` of `@effect/sql-mysql2`, over the engine.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { DbConfig } from "../../../DbConfig.js"
import type { ClientContext, Driver } from "../../../driver/Driver.js"
import type * as Credentials from "../Credentials.js"
import * as FamilyClient from "../FamilyClient.js"
import { socketPath } from "./link.js"
import * as Published from "./published.js"

/** What means the same in a URL and outside of it. */
const isPlain = (part: string): boolean => /^[\w.~-]*$/.test(part)

/**
 * The configuration as a URL. Its readers take the parts out of it without decoding them, as `MysqlMigrator` does for
 * `mysqldump`: where one of them has to be written in another way in a URL, there is none, and the single fields serve.
 */
const urlOf = ({ database = "", hosts, type }: DbConfig, username: string, password: string): string | undefined => {
  const { host, port } = hosts[0]!
  if (![host, username, password, database].every(isPlain)) return undefined
  const who = password === "" ? username : `${username}:${password}`
  return `${type}://${who === "" ? "" : `${who}@`}${host}:${port}/${database}`
}

/**
 * The configuration in the words of `@effect/sql-mysql2`: the first host's. What is obtained anew for each connection is what it
 * was when one was last opened.
 */
const clientConfig = (credentials: Credentials.Credentials): Published.MysqlClientConfig => {
  const { config } = credentials
  const { host, port } = config.hosts[0]!
  const path = socketPath(host)
  return {
    get url() {
      const password = credentials.password()
      const url = urlOf(config, credentials.username() ?? "", password === undefined ? "" : Redacted.value(password))
      return url === undefined ? undefined : Redacted.make(url)
    },
    // mysql2 and the programs of MySQL mean a unix socket by this name.
    host: path === undefined ? host : "localhost",
    port: path === undefined ? port : undefined,
    database: config.database,
    get username() {
      return credentials.username()
    },
    get password() {
      return credentials.password()
    },
    maxConnections: config.pool.size + config.pool.overflow,
    connectionTTL: Duration.millis(config.pool.idleTimeout),
    poolConfig: path === undefined ? undefined : { socketPath: path },
    spanAttributes: { ...config.spanAttributes },
    transformQueryNames: config.transformQueryNames,
    transformResultNames: config.transformResultNames
  }
}

/**
 * The services of MySQL: `MysqlClient`, which is the engine's client with the configuration. Its secrets are redacted.
 */
export const services = (credentials: Credentials.Credentials): Driver["services"] => ({ client }: ClientContext) =>
  Effect.sync(() => {
    const mysqlClient: Published.MysqlClient = FamilyClient.extend(client, {
      ...Published.mark,
      config: clientConfig(credentials)
    })
    // `Driver` does not name the services, so that the engine need not know them.
    return Context.make(Published.MysqlClient, mysqlClient) as Context.Context<never>
  })
