/**
 * The configuration of TLS in Node's words, for every driver.
 */
import * as Redacted from "effect/Redacted"
import type { ConnectionOptions, SecureContextOptions } from "node:tls"
import type { DbConfig } from "../../DbConfig.js"

/** The options that were given as an object; empty without one. */
export const given = ({ options }: DbConfig["ssl"]): ConnectionOptions =>
  // What the configuration has checked; its public type does without Node's.
  options === undefined ? {} : Redacted.value(options) as ConnectionOptions

/** What a secure context is made of: certificates, keys, versions and ciphers. */
export const contextOf = (ssl: DbConfig["ssl"]): SecureContextOptions => {
  const { checkServerIdentity: _identity, rejectUnauthorized: _reject, servername: _name, ...context } = given(ssl)
  return {
    ...(ssl.ca === undefined ? {} : { ca: ssl.ca }),
    ...(ssl.cert === undefined ? {} : { cert: ssl.cert }),
    ...(ssl.key === undefined ? {} : { key: Redacted.value(ssl.key) }),
    ...context
  }
}
