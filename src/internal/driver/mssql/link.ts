/**
 * One authenticated socket to a SQL Server. tedious speaks the protocol on it; the socket is ours, so that it can be
 * dropped at once, and no login leaves on it before it is as secure as was asked for.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import type { TLSSocket } from "node:tls"
import * as Tedious from "tedious"
import type { ConnectionConfiguration } from "tedious/lib/connection.js"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError } from "../../../DbError.js"
import type { TimeoutError } from "../../../DbError.js"
import { failure } from "../failure.js"
import { contextOf, given } from "../tls.js"
import type { Unencrypted } from "../Unencrypted.js"
import { classifyLink } from "./codes.js"
import { markColumn } from "./wire.js"

/** A link that is up. */
export interface Link {
  readonly raw: Tedious.Connection
  readonly socket: net.Socket
}

/** A server as messages name it. */
export const whereIs = ({ host, instance, port }: Host): string =>
  instance === undefined ? `${host}:${port}` : `${host}\\${instance}`

/** An attention that is not acknowledged for so long loses the connection. */
const cancelMillis = 5000

/** The longest that a timer of Node can wait. */
const forever = 2 ** 31 - 1

interface Credentials {
  readonly username: string | undefined
  readonly password: string | undefined
}

const authentication = (config: DbConfig, { password, username }: Credentials) => {
  const { clientId, domain, tenantId } = config.settings
  const type = config.settings["authentication"] ?? "default"
  // Which of them tedious needs depends on the type; `unsupported` has checked that they are there.
  const options = {
    userName: username,
    password,
    clientId,
    tenantId,
    domain,
    ...(type === "azure-active-directory-access-token" ? { token: password } : {}),
    ...(type === "azure-active-directory-service-principal-secret" ? { clientSecret: password } : {})
  }
  return { type, options } as NonNullable<ConnectionConfiguration["authentication"]>
}

const credentials = (config: DbConfig): Effect.Effect<Credentials, ConnectionError> => {
  const fail = (what: string) => (cause: Cause.Cause<unknown>) =>
    failure({
      _tag: "ConnectionError",
      reason: "Authentication",
      database: config.name,
      what: `the ${what} could not be obtained`,
      outcome: "NotSent",
      cause: Cause.squash(cause)
    })
  const of = <A>(what: string, given: A | Effect.Effect<A, unknown> | undefined) =>
    Effect.isEffect(given)
      // The check tells the two apart, but not to the type, for `A` could be an effect itself.
      ? Effect.catchAllCause(given as Effect.Effect<A, unknown>, (cause) => Effect.fail(fail(what)(cause)))
      : Effect.succeed(given)
  return Effect.map(
    Effect.all([of("user name", config.username), of("password", config.password)]),
    ([username, password]) => ({
      username,
      password: password === undefined ? undefined : Redacted.value(password as Redacted.Redacted<string>)
    })
  )
}

/** Why a server is not trusted, where that is not left to tedious; `undefined`: it is. */
const distrust = (ssl: DbConfig["ssl"], name: string, socket: TLSSocket): string | undefined => {
  const { checkServerIdentity } = given(ssl)
  if (ssl.mode !== "verify-ca" && (ssl.mode !== "verify-full" || checkServerIdentity === undefined)) return undefined
  if (!isChainTrusted(socket)) return String(socket.authorizationError)
  try {
    return checkServerIdentity?.(name, socket.getPeerCertificate(true))?.message
  } catch (error) {
    return String(error)
  }
}

/** With "verify-ca" the name in the certificate is not looked at; the chain is. */
const isChainTrusted = (socket: TLSSocket): boolean => {
  // Node sets the error's code here, which its types call an Error.
  const fault = socket.authorizationError as unknown
  return fault === null || fault === undefined || fault === "ERR_TLS_CERT_ALTNAME_INVALID"
}

const configuration = (
  config: DbConfig,
  host: Host,
  login: Credentials,
  connector: () => Promise<net.Socket>
): ConnectionConfiguration => {
  const { mode } = config.ssl
  const { checkServerIdentity, servername } = given(config.ssl)
  const serverName = servername ?? config.settings["serverName"]
  return {
    server: host.host,
    authentication: authentication(config, login),
    options: {
      ...(host.instance === undefined ? { port: host.port } : { instanceName: host.instance }),
      ...(config.database === undefined ? {} : { database: config.database }),
      ...(serverName === undefined ? {} : { serverName }),
      connector,
      appName: config.applicationName,
      readOnlyIntent: config.access === "read-only",
      encrypt: mode !== "disable",
      // tedious takes no check of one's own: it is made when the link is secure.
      trustServerCertificate: mode !== "verify-full" || checkServerIdentity !== undefined,
      cryptoCredentialsDetails: contextOf(config.ssl),
      connectTimeout: config.pool.connectTimeout === 0 ? forever : config.pool.connectTimeout,
      // Ours are the limits and the retries.
      requestTimeout: 0,
      cancelTimeout: cancelMillis,
      maxRetriesOnTransientErrors: 0,
      useUTC: true,
      lowerCaseGuids: true,
      columnNameReplacer: markColumn
    }
  }
}

/** The socket, made by us so that we hold it from its first moment. */
const connectSocket = (
  endpoint: { readonly host: string; readonly port: number },
  hold: (socket: net.Socket) => void
): Promise<net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host: endpoint.host, port: endpoint.port, noDelay: true })
    hold(socket)
    socket.once("error", reject)
    socket.once("close", () => reject(new Error("the socket was closed")))
    socket.once("connect", () => {
      socket.removeListener("error", reject)
      // From here on tedious listens; between two listeners an error must not end the process.
      socket.on("error", () => {})
      resolve(socket)
    })
  })

/** What is known of a link's encryption before its password is sent. */
interface LoginGuard {
  isEncrypted: boolean
  /** Why the password is not sent. */
  refusal: ConnectionError | undefined
}

/**
 * The password leaves with LOGIN7: what has to be so before is checked when tedious is about to send it. It sends it in
 * clear where a server says that it cannot encrypt.
 */
const guardLogin = (raw: Tedious.Connection, config: DbConfig, host: Host): LoginGuard => {
  const { mode } = config.ssl
  const guard: LoginGuard = { isEncrypted: false, refusal: undefined }
  const refuse = (what: string): ConnectionError =>
    guard.refusal = failure({
      _tag: "ConnectionError",
      reason: "Tls",
      database: config.name,
      what: `${whereIs(host)}: ${what}`,
      outcome: "NotSent"
    })
  const sendLogin = raw.sendLogin7Packet.bind(raw)
  raw.sendLogin7Packet = () => {
    if (mode !== "disable" && mode !== "prefer" && !guard.isEncrypted) throw refuse("the server does not encrypt")
    if (guard.refusal !== undefined) throw guard.refusal
    sendLogin()
  }
  raw.on("secure", (cleartext: TLSSocket) => {
    guard.isEncrypted = true
    const why = distrust(config.ssl, given(config.ssl).servername ?? host.host, cleartext)
    if (why !== undefined) refuse(`the certificate is not trusted (${why})`)
  })
  return guard
}

/** Opens one link. An interrupt drops the socket. */
export const openLink = (
  config: DbConfig,
  host: Host,
  unencrypted?: Unencrypted
): Effect.Effect<Link, ConnectionError | TimeoutError> =>
  Effect.flatMap(credentials(config), (login) =>
    Effect.async<Link, ConnectionError | TimeoutError>((resume) => {
      const where = whereIs(host)
      let socket: net.Socket | undefined
      let isDropped = false
      /** The numbers of a failed login: tedious keeps the last text alone. */
      const told: Array<{ readonly number: number; readonly message: string }> = []

      // tedious gives the endpoint, also where a gateway has sent us elsewhere; its types say that it gives nothing.
      const connector = (endpoint?: { readonly host: string; readonly port: number }) =>
        isDropped
          ? Promise.reject(new Error("no longer wanted"))
          : connectSocket(endpoint ?? host, (made) => socket = made)
      let raw: Tedious.Connection
      try {
        raw = new Tedious.Connection(configuration(config, host, login, connector))
      } catch (cause) {
        // What tedious finds wrong with a configuration names its option, never its value.
        return resume(Effect.fail(failure({
          _tag: "ConnectionError",
          reason: "Unsupported",
          database: config.name,
          what: cause instanceof Error ? cause.message : String(cause),
          outcome: "NotSent"
        })))
      }
      const drop = (): void => {
        isDropped = true
        raw.close()
        socket?.destroy()
      }

      const guard = guardLogin(raw, config, host)
      raw.on("errorMessage", ({ message, number }: { readonly message: string; readonly number: number }) => {
        told.push({ message, number })
      })
      raw.connect((error) => {
        raw.removeAllListeners("errorMessage")
        if (isDropped) return
        if (error === undefined || error === null) {
          if (config.ssl.mode === "prefer" && !guard.isEncrypted) unencrypted?.add(host)
          // Set by the connector, without which there is no connection.
          return resume(Effect.succeed({ raw, socket: socket! }))
        }
        drop()
        resume(Effect.fail(guard.refusal ?? notOpened(config, where, error, told)))
      })
      // An error after the one that ended the attempt has no listener any more.
      raw.on("error", () => {})
      return Effect.sync(drop)
    }))

const notOpened = (
  config: DbConfig,
  where: string,
  error: Error,
  told: ReadonlyArray<{ readonly number: number; readonly message: string }>
): ConnectionError | TimeoutError => {
  const { code } = error as { readonly code?: unknown }
  if (code === "ETIMEOUT") {
    return failure({
      _tag: "TimeoutError",
      phase: "Connect",
      limitMillis: config.pool.connectTimeout,
      database: config.name,
      what: `${where} did not answer in time`,
      outcome: "NotSent",
      cause: error
    })
  }
  // The first says why; 18456 follows it in any case.
  const first = told[0]
  const numbered = first === undefined ? error : Object.assign(new Error(first.message, { cause: error }), {
    number: first.number
  })
  return classifyLink(numbered, {
    database: config.name,
    where,
    outcome: "NotSent",
    otherwise: "Unknown"
  })
}
