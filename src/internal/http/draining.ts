/**
 * The orderly end of a server of Node: what has arrived is answered, and no client loses a connection that it is using.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import * as Net from "node:net"
import * as Tls from "node:tls"

export interface Options {
  readonly limit?: Duration.DurationInput | undefined
  readonly notice?: Duration.DurationInput | undefined
  readonly linger?: Duration.DurationInput | undefined
}

export const defaults = {
  limit: Duration.seconds(10),
  notice: Duration.zero,
  linger: Duration.millis(500)
}

/** What has to be known of a connection to say whether it is idle. */
interface Connection {
  /** Responses that are not sent yet. */
  underWay: number
  /** What had been read of it when it was last without a request; more means the beginning of the next one. */
  read: number
  /** When that was, or when the end began. */
  idleSince: number
}

/** Requests that arrived when the end of their server had begun. */
const late = new WeakSet<object>()

/** Whether the server of a request is at its end. The request is that of Node, which `HttpServerRequest` has as `source`. */
export const isEnding = (request: unknown): boolean =>
  typeof request === "object" && request !== null && late.has(request)

/** How often idle connections are looked for while the server ends. In milliseconds. */
const pause = 25

/** The connections of a server, and what is under way on them. */
class Connections {
  readonly open = new Map<Net.Socket, Connection>()
  private readonly responses = new Set<ServerResponse>()
  private readonly appeared: "connection" | "secureConnection"
  private readonly hearsUpgrades: boolean
  /** What requests come as: one that expects an answer before its body has events of its own, where a server listens to them. */
  private readonly requests: ReadonlyArray<string>
  /** How many there have been. */
  taken = 0
  private isNoticed = false
  private isEnding = false

  constructor(readonly server: Server) {
    // A TLS server reports the bare socket, too; requests come on the encrypted one.
    this.appeared = server instanceof Tls.Server ? "secureConnection" : "connection"
    server.prependListener(this.appeared, this.onConnection)
    this.requests = [
      "request",
      ...["checkContinue", "checkExpectation"].filter((event) => server.listenerCount(event) > 0)
    ]
    for (const event of this.requests) {
      server.prependListener(event, this.onRequest)
    }
    // A server without a listener for upgrades answers them as requests: one of ours must not change that.
    this.hearsUpgrades = server.listenerCount("upgrade") > 0
    if (this.hearsUpgrades) {
      server.prependListener("upgrade", this.onUpgrade)
    }
  }

  private readonly onConnection = (socket: Net.Socket): void => {
    this.connection(socket)
  }

  private readonly onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    if (this.responses.has(response)) {
      // What listens to the other events may hand it on as a request.
      return
    }
    const connection = this.connection(request.socket)
    connection.underWay++
    this.responses.add(response)
    if (this.isNoticed) {
      late.add(request)
    }
    if (this.isEnding) {
      response.setHeader("connection", "close")
    }
    response.once("close", () => {
      this.responses.delete(response)
      connection.underWay--
      connection.read = request.socket.bytesRead
      connection.idleSince = Date.now()
    })
  }

  /** It is no longer HTTP: the layer that serves it ends it by its own protocol. */
  private readonly onUpgrade = (request: IncomingMessage): void => {
    this.open.delete(request.socket)
  }

  private connection(socket: Net.Socket): Connection {
    const known = this.open.get(socket)
    if (known !== undefined) {
      return known
    }
    const connection: Connection = { underWay: 0, read: socket.bytesRead, idleSince: Date.now() }
    this.open.set(socket, connection)
    this.taken++
    socket.once("close", () => this.open.delete(socket))
    return connection
  }

  /** From now on readiness is denied. */
  announce(): void {
    this.isNoticed = true
  }

  /**
   * From now on each answer is the last one of its connection. Not before the server has stopped to listen: the clients
   * would all connect again at once, and those that are not taken in time would be reset.
   */
  begin(): void {
    this.isEnding = true
    for (const response of this.responses) {
      if (!response.headersSent) {
        response.setHeader("connection", "close")
      }
    }
    const now = Date.now()
    for (const connection of this.open.values()) {
      connection.idleSince = now
    }
  }

  /**
   * Closes what has been idle for so long. A connection that is closed at once may have its next request on the way,
   * which would be lost; one that is in use gets its next request in this time, and is told in the answer.
   */
  closeIdle(linger: number): void {
    const now = Date.now()
    for (const [socket, { idleSince, read, underWay }] of this.open) {
      if (underWay === 0 && socket.bytesRead === read && now - idleSince >= linger) {
        socket.destroy()
      }
    }
  }

  /** Cuts all; gives how many requests lose their answer. */
  cut(): number {
    const lost = this.responses.size
    for (const socket of this.open.keys()) {
      socket.destroy()
    }
    return lost
  }

  release(): void {
    this.server.off(this.appeared, this.onConnection)
    for (const event of this.requests) {
      this.server.off(event, this.onRequest)
    }
    if (this.hearsUpgrades) {
      this.server.off("upgrade", this.onUpgrade)
    }
  }
}

/** The most turns of the event loop in which waiting connections are taken before the server stops to listen. */
const mostTurns = 1_000

/**
 * Takes no further connection. Those that the system holds ready are taken before, one in a turn of the event loop: they
 * would be reset. `Server.close` of HTTP would also destroy connections whose next request is on the way.
 */
const stopListening = (connections: Connections): Effect.Effect<void> =>
  Effect.async((resume) => {
    let taken = -1
    let turns = 0
    const look = () => {
      if (connections.taken !== taken && turns++ < mostTurns) {
        taken = connections.taken
        immediate = setImmediate(look)
        return
      }
      Net.Server.prototype.close.call(connections.server)
      resume(Effect.void)
    }
    let immediate = setImmediate(look)
    return Effect.sync(() => clearImmediate(immediate))
  })

/** Ends when no connection is open. */
const drained = (connections: Connections, linger: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const look = () => {
      connections.closeIdle(linger)
      if (connections.open.size === 0) {
        clearInterval(timer)
        resume(Effect.void)
      }
    }
    const timer = setInterval(look, pause)
    look()
    return Effect.sync(() => clearInterval(timer))
  })

const end = (
  connections: Connections,
  notice: Duration.Duration,
  linger: Duration.Duration,
  limit: Duration.Duration
): Effect.Effect<void> =>
  Effect.logInfo("shutting down").pipe(
    Effect.zipRight(Effect.sync(() => connections.announce())),
    Effect.zipRight(Effect.sleep(notice)),
    Effect.zipRight(stopListening(connections)),
    Effect.zipRight(Effect.sync(() => connections.begin())),
    Effect.zipRight(drained(connections, Duration.toMillis(linger))),
    // Finalizers run where interruption is masked, and a wait that cannot be interrupted has no limit.
    Effect.interruptible,
    Effect.timeoutOption(Duration.sum(notice, limit)),
    Effect.flatMap(Option.match({
      onSome: () => Effect.logInfo("every request has been answered"),
      onNone: () =>
        Effect.flatMap(
          Effect.sync(() => connections.cut()),
          (lost) => Effect.logWarning(`${lost} ${lost === 1 ? "request was" : "requests were"} cut after the limit`)
        )
    })),
    Effect.ensuring(Effect.sync(() => {
      connections.release()
      // Ends the timer by which a server of HTTP looks for slow requests.
      connections.server.close()
    }))
  )

const acquire = (server: Server, options: Options): Effect.Effect<Connections, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Connections(server)),
    (connections) =>
      end(
        connections,
        Duration.decode(options.notice ?? defaults.notice),
        Duration.decode(options.linger ?? defaults.linger),
        Duration.decode(options.limit ?? defaults.limit)
      )
  )

export const draining = (server: Server, options: Options): Layer.Layer<never> =>
  Layer.scopedDiscard(acquire(server, options))
