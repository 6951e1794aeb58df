/**
 * One authenticated socket to a MySQL or MariaDB server. mysql2 speaks the protocol on it; the socket is ours, so that
 * it can be dropped at once.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import Mysql from "mysql2"
import * as net from "node:net"
import * as tls from "node:tls"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { failure } from "../failure.js"
import { contextOf, given } from "../tls.js"
import type { Unencrypted } from "../Unencrypted.js"
import { classifyLink, type RawError } from "./codes.js"

/** What a packet of the server shows. mysql2 does not tell the flags that end a result set in any other way. */
interface Packet {
  readonly isEOF: () => boolean
  readonly eofStatusFlags: () => number
}

/** mysql2's connection, with what of it is not in its types and is used here. */
export interface Raw extends Mysql.Connection {
  handlePacket: (packet: Packet | undefined) => void
  startTLS: (done: (error?: Error) => void) => void
  stream: net.Socket
  readonly packetParser: { readonly execute: (data: Buffer) => void }
  readonly _handleNetworkError: (error: Error) => void
}

/** A link that is up. */
export interface Link {
  readonly raw: Raw
  readonly socket: net.Socket
  readonly mariadb: boolean
  /** The version in the server's greeting, as `[major, minor]`. */
  readonly version: readonly [number, number]
  /** The flags of the last end of a result set. */
  readonly flags: { last: number }
}

/** A server as a driver reaches it. */
export interface Endpoint {
  readonly config: DbConfig
  readonly host: Host
  /** For messages. */
  readonly where: string
  /** A new link to the same server, within the limit for connecting. */
  readonly link: Effect.Effect<Link, ConnectionError | TimeoutError>
  /** Bounds what must not take longer than connecting may. */
  readonly within: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E | TimeoutError>
}

/** The user and password. Asked again for every link. */
export interface Credentials {
  readonly username: string | undefined
  readonly password: string | undefined
}

/** User name and password, where they are effects: run now. */
export const credentials = (config: DbConfig): Effect.Effect<Credentials, ConnectionError> => {
  const unavailable = (what: string) => (cause: unknown) =>
    failure({
      _tag: "ConnectionError",
      reason: "Authentication",
      database: config.name,
      what: `the effect that gives the ${what} failed`,
      outcome: "NotSent",
      cause
    })
  const { password, username } = config
  return Effect.all({
    username: Effect.isEffect(username)
      ? Effect.mapError(username, unavailable("user name"))
      : Effect.succeed(username),
    password: password === undefined
      ? Effect.succeed(undefined)
      : Effect.map(
        Effect.isEffect(password) ? Effect.mapError(password, unavailable("password")) : Effect.succeed(password),
        Redacted.value
      )
  })
}

/**
 * The TLS options of a configuration; `undefined` for none. One object for all links, because mysql2 keeps the parsed
 * certificates by it.
 */
export const tlsOptions = ({ ssl }: DbConfig): Mysql.SslOptions | undefined =>
  ssl.mode === "disable" ? undefined : {
    rejectUnauthorized: ssl.mode === "verify-ca" || ssl.mode === "verify-full",
    verifyIdentity: ssl.mode === "verify-full",
    // What was given as an object is not for mysql2: see `takeOptions`.
    ...(ssl.options !== undefined || ssl.ca === undefined ? {} : { ca: ssl.ca }),
    ...(ssl.options !== undefined || ssl.cert === undefined ? {} : { cert: ssl.cert }),
    ...(ssl.options !== undefined || ssl.key === undefined ? {} : { key: Redacted.value(ssl.key) })
  }

/**
 * Options that were given as an object go to Node itself: mysql2 leaves out archives, names of servers and checks of one's
 * own. What it does beside that is done here.
 */
const takeOptions = (raw: Raw, { ssl }: DbConfig, host: Host): void => {
  if (ssl.options === undefined) return
  const { checkServerIdentity, servername } = given(ssl)
  const isName = net.isIP(host.host) === 0 && socketPath(host.host) === undefined
  const name = servername ?? (isName ? host.host : undefined)
  raw.startTLS = (done) => {
    let isSecure = false
    const plain = raw.stream
    plain.removeAllListeners("data")
    try {
      const secure = tls.connect({
        ...contextOf(ssl),
        rejectUnauthorized: ssl.mode === "verify-full",
        ...(checkServerIdentity === undefined ? {} : { checkServerIdentity }),
        ...(name === undefined ? {} : { servername: name }),
        socket: plain
      }, () => {
        isSecure = true
        done()
      })
      secure.on("error", (error) => isSecure ? raw._handleNetworkError(error) : done(error))
      secure.on("data", (data: Buffer | string) =>
        // A socket without an encoding gives bytes; newer types of Node say that it may be text.
        raw.packetParser.execute(typeof data === "string" ? Buffer.from(data) : data))
      raw.stream = secure
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/** A unix socket is named by its file, or by the folder of it. */
export const socketPath = (host: string): string | undefined =>
  host.startsWith("/") ? host.endsWith(".sock") ? host : `${host}/mysqld.sock` : undefined

/** Where a host is, for messages. */
export const whereIs = (host: Host): string => socketPath(host.host) ?? `${host.host}:${host.port}`

const connectSocket = (host: Host): net.Socket => {
  const path = socketPath(host.host)
  if (path !== undefined) return net.connect(path)
  const socket = net.connect({ host: host.host, port: host.port, noDelay: true, keepAlive: true })
  // mysql2 gives the name to TLS only where it is a name; for an address Node would check the certificate against
  // "localhost" then. It takes the address from here.
  Object.assign(socket, { _host: host.host })
  return socket
}

const attempt = (
  config: DbConfig,
  host: Host,
  who: Credentials,
  ssl: Mysql.SslOptions | undefined
): Effect.Effect<Link, ConnectionError> =>
  Effect.async<Link, ConnectionError>((resume) => {
    const socket = connectSocket(host)
    const path = socketPath(host.host)
    // mysql2's types hide `handlePacket`, which all its connections have.
    const raw = Mysql.createConnection({
      host: host.host,
      port: host.port,
      ...(path === undefined ? {} : { socketPath: path }),
      stream: () => socket,
      user: who.username ?? "",
      ...(who.password === undefined ? {} : { password: who.password }),
      ...(config.database === undefined ? {} : { database: config.database }),
      ...(ssl === undefined ? {} : { ssl }),
      // The limit is the driver's, and bounds more than this.
      connectTimeout: 0,
      charset: "utf8mb4_unicode_ci",
      timezone: "Z",
      dateStrings: true,
      jsonStrings: true,
      supportBigNumbers: true,
      rowsAsArray: true,
      // Only text without parameters, that is not to be prepared, is sent in a way that allows several statements.
      multipleStatements: true,
      // Ours closes statements first; see `Statements`.
      maxPreparedStatements: config.prepareCacheSize + 2,
      flags: ["-LOCAL_FILES"],
      connectAttributes: { program_name: config.applicationName }
    }) as Raw
    const failed = (error: RawError) => {
      socket.destroy()
      resume(Effect.fail(classifyLink(error, {
        database: config.name,
        where: `cannot connect to ${whereIs(host)}`,
        outcome: "NotSent",
        otherwise: "Unknown"
      })))
    }
    takeOptions(raw, config, host)
    raw.on("error", failed)
    raw.once("connect", (greeting: { readonly serverVersion: string }) => {
      raw.removeListener("error", failed)
      // The connection that takes the link adds a listener of its own. In between an error must not crash the process.
      raw.on("error", () => {})
      delete raw.config.password
      const flags = { last: 0 }
      const handle = raw.handlePacket
      raw.handlePacket = (packet) => {
        if (packet !== undefined && packet.isEOF()) flags.last = packet.eofStatusFlags()
        handle.call(raw, packet)
      }
      const version = greeting.serverVersion.replace(/^5\.5\.5-/, "").split(".")
      resume(Effect.succeed({
        raw,
        socket,
        flags,
        mariadb: /mariadb/i.test(greeting.serverVersion),
        version: [Number.parseInt(version[0] ?? "", 10) || 0, Number.parseInt(version[1] ?? "", 10) || 0]
      }))
    })
    return Effect.sync(() => {
      raw.on("error", () => {})
      socket.destroy()
    })
  })

/** Opens a link to a host. Interruptible; an interrupt drops the socket. */
export const openLink = (
  config: DbConfig,
  host: Host,
  ssl: Mysql.SslOptions | undefined,
  unencrypted?: Unencrypted
): Effect.Effect<Link, ConnectionError> =>
  Effect.flatMap(credentials(config), (who) => {
    const first = attempt(config, host, who, ssl)
    return config.ssl.mode === "prefer"
      ? Effect.catchIf(first, (error) =>
        error.code === "HANDSHAKE_NO_SSL_SUPPORT", () =>
        Effect.tap(attempt(config, host, who, undefined), () => Effect.sync(() => unencrypted?.add(host))))
      : first
  })
