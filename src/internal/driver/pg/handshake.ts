/**
 * One link to one host: authentication by `pg`, whose messages go to the connection as soon as it is open.
 */
import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import * as Pg from "pg"
import type { DbConfig, Host } from "../../../DbConfig.js"
import { PgConnection } from "./connection.js"
import type { Message, Opened } from "./link.js"
import type { Route } from "./route.js"
import type { Settings } from "./session.js"
import { Wire } from "./wire.js"

/** Idle links are probed by TCP after this many milliseconds, so that a router or a firewall does not forget them. */
const keepAliveDelay = 30_000

/** A server in words, without a secret. */
export const place = (host: Host): string =>
  host.host.startsWith("/") ? `${host.host}/.s.PGSQL.${host.port}` : `${host.host}:${host.port}`

/** `pg`'s client, for the handshake: with startup parameters of our own. */
class Handshake extends Pg.Client {
  declare readonly processID: number
  declare readonly secretKey: number

  constructor(
    config: Pg.ClientConfig & { readonly connection: Pg.Connection },
    password: string | undefined,
    private readonly startup: Readonly<Record<string, string>>
  ) {
    super(config)
    // Else `pg` would look for PGPASSWORD and ~/.pgpass, and say so on the console.
    this.password = password ?? ""
  }

  getStartupConf(): Readonly<Record<string, string>> {
    return this.startup
  }
}

/** One try at one host. */
export interface Attempt {
  readonly config: DbConfig
  readonly settings: Settings
  readonly host: Host
  readonly user: string
  readonly password: string | undefined
  readonly tls: ConnectionOptions | undefined
  readonly startup: Readonly<Record<string, string>>
  /** Every connection that was made, so that none is lost with a race that it did not win. */
  readonly made: Set<PgConnection>
}

/** Opens a link by one try at one host. An interrupt drops the socket. */
export const attempt = (options: Attempt): Effect.Effect<PgConnection, Error> =>
  Effect.async((resume) => {
    const { host, tls } = options
    const parameters = new Map<string, string>()
    const shared = {
      host: host.host,
      port: host.port,
      // A copy: `pg` hides the key in the object it is given.
      ssl: tls === undefined ? false : { ...tls },
      sslnegotiation: "postgres" as const,
      // With `require` the absence of the binding is a failure, see below.
      enableChannelBinding: tls !== undefined && options.config.channelBinding !== "disable",
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveDelay
    }
    const wire = new Wire(shared, tls?.servername)
    const client = new Handshake(
      { ...shared, user: options.user, database: options.config.database ?? options.user, connection: wire },
      options.password,
      options.startup
    )
    const fail = (error: Error): void => {
      wire.stream.destroy()
      resume(Effect.fail(error))
    }
    wire.on("parameterStatus", (message: Message) => {
      parameters.set(message.parameterName ?? "", message.parameterValue ?? "")
    })
    client.on("error", fail)
    if (options.config.channelBinding === "require") requireBinding(wire, fail)
    client.connect((error: Error | null | undefined) => {
      if (error) return fail(error)
      const opened: Opened = {
        id: client.processID,
        secret: client.secretKey,
        parameters,
        stream: wire.stream,
        end: () => wire.end(),
        route: routeOf(host, wire, tls)
      }
      const connection = new PgConnection(opened, options.settings)
      wire.handOver(connection)
      // Not needed any more.
      client.password = ""
      options.made.add(connection)
      resume(Effect.succeed(connection))
    })
    return Effect.sync(() => {
      wire.stream.destroy()
    })
  })

/** Ends the attempt before a password is sent in any other way than bound to the TLS channel. */
const requireBinding = (wire: Wire, fail: (error: Error) => void): void => {
  let isBound = false
  const refuse = () => fail(new Error("SASL: channel_binding=require, but the server did not offer it"))
  wire.on("authenticationSASL", (message: { readonly mechanisms: ReadonlyArray<string> }) => {
    isBound = message.mechanisms.includes("SCRAM-SHA-256-PLUS") && "getPeerCertificate" in wire.stream
    if (!isBound) refuse()
  })
  wire.on("authenticationCleartextPassword", refuse)
  wire.on("authenticationMD5Password", refuse)
  wire.on("authenticationOk", () => {
    if (!isBound) refuse()
  })
}

const routeOf = (host: Host, wire: Wire, tls: ConnectionOptions | undefined): Route => {
  // `pg` opens a TCP or unix socket, or a TLS one around it; all have these properties.
  const { remoteAddress, remotePort } = wire.stream as Socket
  return {
    to: host.host.startsWith("/")
      ? { path: `${host.host}/.s.PGSQL.${host.port}` }
      : { host: remoteAddress ?? host.host, port: remotePort ?? host.port },
    tls: tls === undefined ? undefined : () => tls,
    name: tls?.servername ?? host.host
  }
}
