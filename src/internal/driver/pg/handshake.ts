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
import { Reader } from "./reader.js"
import type { Route } from "./route.js"
import type { Settings } from "./session.js"

/** Idle links are probed by TCP after this many milliseconds, so that a router or a firewall does not forget them. */
const keepAliveDelay = 30_000

/** A server in words, without a secret. */
export const place = (host: Host): string =>
  host.host.startsWith("/") ? `${host.host}/.s.PGSQL.${host.port}` : `${host.host}:${host.port}`

// `pg`'s types leave out what its `Connection` has had since its first version: these are the parts used here.
interface PgInternals {
  emit(event: string, message?: unknown): boolean
  attachListeners(stream: Pg.Connection["stream"]): void
  upgradeToSSL(host: string, failed: (error: Error) => void): void
}

/**
 * `pg`'s own connection, whose messages go to a {@link PgConnection} as soon as there is one: past `pg`'s client and its
 * events, which cost a third of a small statement.
 */
class Wire extends Pg.Connection {
  private receiver: PgConnection | undefined
  private reader: Reader | undefined
  /** The name the certificate is checked against, where it is not the host's. */
  servername: string | undefined

  override emit(event: string | symbol, message?: unknown): boolean {
    if (this.receiver !== undefined && typeof event === "string") {
      // `pg` emits one message per event.
      return this.receiver.receive(event, message as Message)
    }
    return super.emit(event, message)
  }

  /** `pg` takes the host for the name of the server, whatever the options say. */
  upgradeToSSL(host: string, failed: (error: Error) => void): void {
    const internals = Pg.Connection.prototype as unknown as PgInternals
    internals.upgradeToSSL.call(this, this.servername ?? host, failed)
  }

  /** From now on the messages are the connection's. */
  handOver(receiver: PgConnection): void {
    this.receiver = receiver
    if (this.reader !== undefined) this.reader.receiver = receiver
  }

  /**
   * What `pg` does here, with a reader ahead of its own, which is given whole messages; and with a guard: what cannot be
   * read would be thrown into the event loop.
   */
  attachListeners(stream: Pg.Connection["stream"]): void {
    const guarded = {
      on: (event: string, listener: (data: Buffer) => void) => {
        if (event !== "data") return stream.on(event, listener)
        const reader = new Reader(listener)
        this.reader = reader
        return stream.on(
          "data",
          reader.listener((error) => {
            this.emit("error", error)
            stream.destroy()
          })
        )
      }
    }
    const internals = Pg.Connection.prototype as unknown as PgInternals
    // `attachListeners` only calls `on` of what it is given.
    internals.attachListeners.call(this, guarded as unknown as Pg.Connection["stream"])
  }
}

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
    const wire = new Wire(shared)
    wire.servername = tls?.servername
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
