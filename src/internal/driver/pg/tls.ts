/**
 * TLS as the configuration asks for it.
 */
import type { ConnectionOptions } from "node:tls"
import type { DbConfig, Host } from "../../../DbConfig.js"
import { contextOf, given } from "../tls.js"

/** libpq's meaning of `sslmode`, in Node's words; `undefined` where there is no TLS. */
export const tlsOptions = (config: DbConfig, host: Host): ConnectionOptions | undefined => {
  const { mode } = config.ssl
  if (mode === "disable" || host.host.startsWith("/")) return undefined
  const { checkServerIdentity, servername } = given(config.ssl)
  const base: ConnectionOptions = {
    ...contextOf(config.ssl),
    ...(servername === undefined ? {} : { servername }),
    ...(checkServerIdentity === undefined ? {} : {
      // A refusal is one of TLS, whatever error says so.
      checkServerIdentity: (name, certificate) => {
        const error = checkServerIdentity(name, certificate)
        return error === undefined || "code" in error
          ? error
          : Object.assign(error, { code: "ERR_TLS_CERT_ALTNAME_INVALID" })
      }
    })
  }
  if (mode === "verify-full") return { ...base, rejectUnauthorized: true }
  // libpq takes "require" for this when it is given a root certificate; the configuration has seen to that.
  if (mode === "verify-ca") {
    return { ...base, rejectUnauthorized: true, checkServerIdentity: () => undefined }
  }
  return { ...base, rejectUnauthorized: false }
}
