/**
 * TLS as the configuration asks for it.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import type { ConnectionOptions } from "node:tls"
import type { DbConfig, Host } from "../../DbConfig.js"

/**
 * libpq's meaning of `sslmode`, in Node's words; `undefined` where there is no TLS.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tlsOptions = (config: DbConfig, host: Host): ConnectionOptions | undefined => {
  const { ca, cert, key, mode } = config.ssl
  if (mode === "disable" || host.host.startsWith("/")) return undefined
  const base: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: Redacted.value(key) })
  }
  if (mode === "verify-full") return { ...base, rejectUnauthorized: true }
  // libpq takes "require" for this when it is given a root certificate; the configuration has seen to that.
  if (mode === "verify-ca") {
    return { ...base, rejectUnauthorized: true, checkServerIdentity: () => undefined }
  }
  return { ...base, rejectUnauthorized: false }
}
