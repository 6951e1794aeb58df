/**
 * Opening a link: hosts in their order, TLS as asked for, authentication by `pg`, settings as startup parameters.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import * as Pg from "pg"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { failure } from "../Failure.js"
import { Unencrypted } from "../Unencrypted.js"
import { classifyLink, connectionError, timeoutError } from "./codes.js"
import { PgConnection } from "./connection.js"
import { Failures } from "./failures.js"
import type { Message, Opened } from "./link.js"
import * as Pooling from "./pooling.js"
import type { Route } from "./route.js"
import type { Settings } from "./session.js"
import { tlsOptions } from "./tls.js"
import { Types } from "./types.js"

/** Idle links are probed by TCP after this many milliseconds, so that a router or a firewall does not forget them. */
const keepAliveDelay = 30_000

/**
 * What is remembered between openings.
 *
 * @since 0.1.0
 * @category models
 */
export interface Memory {
  /** Servers that have no TLS, where that is allowed: `host:port`. */
  readonly plain: Set<string>
  /** What a pooler in front of the server has refused. */
  readonly learnt: Pooling.Learnt
  /** The same servers, for whoever reads the log. */
  readonly unencrypted: Unencrypted
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const remember = (): Memory => ({
  plain: new Set(),
  learnt: { refused: new Set(), floatDigits: undefined },
  unencrypted: new Unencrypted()
})

/** Where to, in words, without a secret. */
const place = (host: Host): string =>
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
  receiver: PgConnection | undefined
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

  /** What `pg` does here, with a guard: a message that it does not know would be thrown into the event loop. */
  attachListeners(stream: Pg.Connection["stream"]): void {
    const guarded = {
      on: (event: string, listener: (data: Buffer) => void) =>
        stream.on(
          event,
          event !== "data" ? listener : (data: Buffer) => {
            try {
              listener(data)
            } catch (error) {
              this.emit("error", error)
              stream.destroy()
            }
          }
        )
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

/**
 * The user of a configuration that names none, as libpq has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaultUser = (): string => process.env["USER"] ?? "postgres"

interface Attempt {
  readonly config: DbConfig
  readonly settings: Settings
  readonly host: Host
  readonly user: string
  readonly password: string | undefined
  readonly tls: ConnectionOptions | undefined
  readonly startup: Readonly<Record<string, string>>
  readonly memory: Memory
  /** Every connection that was made, so that none is lost with a race that it did not win. */
  readonly made: Set<PgConnection>
}

/** One try at one host. An interrupt drops the socket. */
const attempt = (options: Attempt): Effect.Effect<PgConnection, Error> =>
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
      wire.receiver = connection
      // Not needed any more: the less it lies about, the better.
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

const hasNoTls = (error: Error): boolean => error.message === "The server does not support SSL connections"

/**
 * One host, without the startup parameters that a pooler in front of it refuses. A pooler names one at a time, so that it
 * is asked again until it names none, or one that was not sent.
 */
const openPooled = (options: Omit<Attempt, "tls" | "startup">): Effect.Effect<PgConnection, Error> =>
  Effect.suspend(() => {
    const { config, host, memory, user } = options
    const startup = Pooling.startupParameters(config, user, memory.learnt)
    return Effect.catchAll(openHost({ ...options, startup }), (error) => {
      const refused = Pooling.refusedParameter(error.message)
      const out = refused === undefined ? [] : Pooling.learn(memory.learnt, refused, startup)
      if (out.length === 0) return Effect.fail(error)
      return Effect.zipRight(
        Effect.logWarning(
          `A pooler in front of database "${config.name}" does not take startup parameters: opening without ` +
            `${out.join(", ")}. Limits are kept by dblive alone, and settings go with each transaction. ` +
            "If the pooler is in transaction mode, set prepare: false (?pgbouncer=true)."
        ).pipe(Effect.annotateLogs({ database: config.name, server: place(host), refused })),
        openPooled(options)
      )
    })
  })

/** One host, with what `prefer` makes necessary. */
const openHost = (options: Omit<Attempt, "tls">): Effect.Effect<PgConnection, Error> => {
  const { config, host, memory } = options
  const key = place(host)
  const tls = memory.plain.has(key) ? undefined : tlsOptions(config, host)
  return attempt({ ...options, tls }).pipe(
    Effect.catchAll((error) => {
      if (hasNoTls(error) && config.ssl.mode === "prefer") {
        memory.plain.add(key)
        return Effect.tap(attempt({ ...options, tls: undefined }), () => memory.unencrypted.add(host))
      }
      // It may have got TLS since.
      memory.plain.delete(key)
      return Effect.fail(error)
    })
  )
}

/** Reasons for which the other hosts are not tried: they would say the same, or the same user would be locked out. */
const final: ReadonlySet<ConnectionError["reason"]> = new Set(["Authentication", "Authorization", "UnknownDatabase"])

/** Whether a server is of the kind that was asked for; `undefined`: it did not say (before PostgreSQL 14). */
const isWanted = (
  wanted: DbConfig["targetSessionAttrs"],
  connection: PgConnection,
  access: DbConfig["access"]
): boolean | undefined => {
  const standby = connection.parameters.get("in_hot_standby")
  const readOnly = connection.parameters.get("default_transaction_read_only")
  if (wanted === "any") return true
  if (standby === undefined || readOnly === undefined) return undefined
  const isStandby = standby === "on"
  // When we ask for read-only sessions ourselves, the setting says nothing of the server.
  const isReadOnly = isStandby || (readOnly === "on" && access === "read-write")
  switch (wanted) {
    case "read-write":
      return !isReadOnly
    case "read-only":
      return isReadOnly
    case "primary":
      return !isStandby
    case "standby":
    case "prefer-standby":
      return isStandby
  }
}

const unwanted = (config: DbConfig, where: string): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: config.targetSessionAttrs === "read-write" || config.targetSessionAttrs === "primary"
      ? "ReadOnlyServer"
      : "Unsupported",
    what: `${where}: the server is not what target_session_attrs=${config.targetSessionAttrs} asks for`,
    outcome: "NotSent",
    database: config.name
  })

/** One row, from a connection that is being opened. */
const askRow = (connection: PgConnection, text: string): Effect.Effect<ReadonlyArray<unknown>, Error> =>
  Effect.async((resume) => {
    connection.execute({
      text,
      params: [],
      mode: "values",
      prepare: false,
      begin: undefined,
      statementTimeout: undefined,
      lockTimeout: undefined,
      safeIntegers: false
    }, (error, rows) => {
      // What the server said: it is told again as the reason why the connection is not opened.
      if (error !== undefined) return resume(Effect.fail(error.cause instanceof Error ? error.cause : error))
      // An answer in the mode `values`, of one row.
      resume(Effect.succeed((rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]!))
    })
    return Effect.sync(() => connection.destroy())
  })

/** Old servers have to be asked, and a pooler may have told us of another. */
const askKind = (connection: PgConnection): Effect.Effect<void, Error> =>
  Effect.map(
    askRow(
      connection,
      "SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') AS read_only"
    ),
    ([standby, readOnly]) => {
      connection.parameters.set("in_hot_standby", standby === true ? "on" : "off")
      connection.parameters.set("default_transaction_read_only", String(readOnly))
    }
  )

/**
 * Gives a connection what goes with each of its transactions. The first one of a pool shows that the server takes it,
 * and says how it writes floats.
 */
const carry = (config: DbConfig, { learnt }: Memory, connection: PgConnection): Effect.Effect<void, Error> =>
  Effect.suspend(() => {
    const give = () => {
      connection.session.carried = Pooling.carriedOf(config, learnt, connection.parameters)
    }
    give()
    if (connection.session.carried === undefined || learnt.floatDigits !== undefined) return Effect.void
    return Effect.map(askRow(connection, Pooling.floatQuestion), ([digits]) => {
      learnt.floatDigits = Number(digits)
      give()
    })
  })

const credential = <A>(
  config: DbConfig,
  what: string,
  value: A | Effect.Effect<A, unknown>
): Effect.Effect<A, ConnectionError> =>
  Effect.isEffect(value)
    ? Effect.mapError(value as Effect.Effect<A, unknown>, (cause) =>
      failure({
        _tag: "ConnectionError",
        reason: "Authentication",
        what: `the ${what} could not be obtained`,
        outcome: "NotSent",
        database: config.name,
        cause
      }))
    : Effect.succeed(value)

/**
 * Opens one connection within the configuration's connect limit. Fails with `ConnectionError`, or with `TimeoutError`
 * phase `Connect`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (
  config: DbConfig,
  { prepareLimit, texts }: Pick<Settings, "prepareLimit" | "texts">,
  memory: Memory
): Effect.Effect<PgConnection, ConnectionError | TimeoutError> => {
  const limit = config.pool.connectTimeout
  const where = config.hosts.map(place).join(", ")

  const settingsAt = (host: Host): Settings => ({
    prepareLimit,
    texts,
    // Not kept from one connection to the next: behind the same address there may be another cluster by now, in which the
    // same oids are other types.
    types: new Types(config.types, config.jsonNumbers),
    isPooled: config.prepare === false,
    failures: new Failures(config.name, place(host), config.limits)
  })

  const tryHost = (host: Host, user: string, password: string | undefined, made: Set<PgConnection>) =>
    openPooled({ config, settings: settingsAt(host), host, user, password, memory, made }).pipe(
      Effect.tap((connection) => carry(config, memory, connection)),
      Effect.tap((connection) =>
        config.targetSessionAttrs !== "any" &&
          (connection.session.carried !== undefined ||
            isWanted(config.targetSessionAttrs, connection, config.access) === undefined)
          ? askKind(connection)
          : Effect.void
      ),
      Effect.mapError((cause) =>
        classifyLink(cause, {
          database: config.name,
          where: place(host),
          outcome: "NotSent",
          otherwise: "Unknown"
        })
      ),
      // One silent host must not use up the time of the others.
      config.hosts.length > 1
        ? Effect.timeoutFail({
          duration: limit / config.hosts.length,
          onTimeout: () =>
            failure({
              _tag: "ConnectionError",
              reason: "Unreachable",
              what: `${place(host)}: no answer`,
              outcome: "NotSent",
              database: config.name
            })
        })
        : (self) => self
    )

  const tryAll = Effect.fnUntraced(function*(made: Set<PgConnection>) {
    const user = (yield* credential(config, "user name", config.username)) ?? defaultUser()
    const password = config.password === undefined
      ? undefined
      : Redacted.value(yield* credential(config, "password", config.password))
    const failures: Array<ConnectionError> = []
    let second: PgConnection | undefined
    for (const host of config.hosts) {
      const result = yield* Effect.either(tryHost(host, user, password, made))
      if (result._tag === "Left") {
        failures.push(result.left)
        if (final.has(result.left.reason)) break
        continue
      }
      const connection = result.right
      if (isWanted(config.targetSessionAttrs, connection, config.access) === true) return connection
      failures.push(unwanted(config, place(host)))
      if (config.targetSessionAttrs === "prefer-standby") second ??= connection
    }
    if (second !== undefined) return second
    const last = failures[failures.length - 1]!
    if (failures.length === 1) return yield* last
    return yield* failure({
      _tag: "ConnectionError",
      reason: last.reason,
      what: failures.map(({ what }) => what).join("; "),
      outcome: "NotSent",
      database: config.name,
      cause: last.cause
    })
  })

  return Effect.suspend(() => {
    const made = new Set<PgConnection>()
    // Interruptible in itself, so that the limit holds also where the caller is not.
    return Effect.timeoutFail(Effect.interruptible(tryAll(made)), {
      duration: limit,
      onTimeout: () =>
        failure({
          _tag: "TimeoutError",
          phase: "Connect",
          what: `${where}: the connection was not open in time`,
          outcome: "NotSent",
          database: config.name,
          limitMillis: limit
        })
    }).pipe(
      // An interrupt, a limit and an answer may come in the same moment: what is not given away is closed.
      Effect.onExit((exit) =>
        Effect.sync(() => {
          for (const connection of made) {
            if (exit._tag === "Failure" || connection !== exit.value) connection.destroy()
          }
        })
      )
    )
  })
}
