/**
 * The configuration in the words of `@effect/sql-pg`.
 */
import type { PgClientConfig } from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { ConnectionOptions } from "node:tls"
import { inspect } from "node:util"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { Credentials } from "../Credentials.js"
import { defaultUser } from "./open.js"
import { tlsOptions } from "./tls.js"

/**
 * `prefer` is `false`: what reads the field knows a TLS that must be and one that may be, and `true` is the first. A key is there
 * to be used, not to be shown.
 */
const sslOf = (config: DbConfig, host: Host): boolean | ConnectionOptions => {
  const options = config.ssl.mode === "prefer" ? undefined : tlsOptions(config, host)
  if (options === undefined) return false
  // As `pg` itself hides it in the object that it is given.
  for (const secret of ["key", "passphrase", "pfx"]) {
    if (secret in options) Object.defineProperty(options, secret, { enumerable: false })
  }
  // Shown without them, with `showHidden` too.
  return Object.defineProperty(options, inspect.custom, { value: () => ({ ...options }), enumerable: false })
}

/** A URL that `pg` and libpq read as the first host of the configuration. */
const urlOf = (config: DbConfig, host: Host, user: string, password: Redacted.Redacted<string> | undefined): string => {
  const name = encodeURIComponent(user)
  const secret = password === undefined ? "" : `:${encodeURIComponent(Redacted.value(password))}`
  const parameters = new URLSearchParams()
  const isSocket = host.host.startsWith("/")
  // `prefer` is what is meant without it; `pg` reads the word as a TLS that must be.
  if (config.ssl.mode !== "prefer" && !isSocket) parameters.set("sslmode", config.ssl.mode)
  const address = isSocket ? encodeURIComponent(host.host) : host.host.includes(":") ? `[${host.host}]` : host.host
  const query = parameters.size === 0 ? "" : `?${parameters.toString()}`
  // `pg` decodes a path as a whole: a slash that is escaped would stay so.
  const database = encodeURI(config.database ?? user).replace(/[?#]/g, encodeURIComponent)
  return `postgresql://${name}${secret}@${address}:${host.port}/${database}${query}`
}

/**
 * The configuration as `PgClient.config` tells it, without what it says of its pool: the first host's. What is obtained anew for each connection is what it was when
 * one was last opened.
 */
export const clientConfig = (config: DbConfig, credentials: Credentials): PgClientConfig => {
  const host = config.hosts[0]!
  const user = () => credentials.username() ?? defaultUser()
  return {
    host: host.host,
    port: host.port,
    ssl: sslOf(config, host),
    get url() {
      return Redacted.make(urlOf(config, host, user(), credentials.password()))
    },
    get database() {
      return config.database ?? user()
    },
    get username() {
      return user()
    },
    get password() {
      return credentials.password()
    },
    connectTimeout: Duration.millis(config.pool.connectTimeout),
    applicationName: config.applicationName,
    spanAttributes: { ...config.spanAttributes },
    transformResultNames: config.transformResultNames,
    transformQueryNames: config.transformQueryNames,
    transformJson: config.transformJson
  }
}
