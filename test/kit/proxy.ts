/**
 * A TCP proxy that can be told to spoil the connection, for tests against a real server.
 *
 * - `makeProxy({ host, port })`: `Effect<Proxy, never, Scope>`; listens on a free loopback port. `proxy.url(databaseUrl)` is the
 *   URL that goes through it.
 * - Network: `proxy.delay(millis, direction?)`, `proxy.blackHole(direction?)` (nothing passes, sockets stay open, new ones are
 *   accepted and get no answer), `proxy.heal()` (what was held back goes on, as TCP would send it again), `proxy.refuse` and
 *   `proxy.accept` (Effects; nothing listens / listens again), `proxy.cutAll()`.
 * - At a given point: `proxy.at(point, action)` gives a `Trigger` with `fired: Effect<void>` and `remove()`. Actions: `"cut"` (this
 *   connection breaks), `"hold"` (this connection goes silent), `"blackHole"` (all do, new ones too). Points:
 *   `afterBytes(direction, n)`, `beforeStatement(pattern)` (the server does not get it), `afterStatement(pattern)` (the server gets it,
 *   the client no answer), `beforeReply(tag)`/`afterReply(tag)` (CommandComplete, such as `COMMIT`), `beforeMessage`/`afterMessage(direction, match)`.
 *   A pattern matches simple queries, and prepared ones by the text of their Parse. TLS hides all this but bytes.
 * - Looking: `proxy.counts()` (bytes and messages by type, statements, round trips), `proxy.resetCounts()`, `proxy.connections()`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { type Direction, Framer, type Message } from "./pgMessages.js"

export type { Direction, Message } from "./pgMessages.js"

/** When something is to happen on a connection. */
export type Point =
  | { readonly direction: Direction; readonly bytes: number }
  | {
    readonly direction: Direction
    readonly when: "before" | "after"
    readonly match: (message: Message) => boolean
  }

/** After this many bytes of a direction have passed on one connection, counted from now or from its opening. */
export const afterBytes = (direction: Direction, bytes: number): Point => ({ direction, bytes })

/** Before the message passes. */
export const beforeMessage = (direction: Direction, match: (message: Message) => boolean): Point => ({
  direction,
  when: "before",
  match
})

/** After the message has passed. */
export const afterMessage = (direction: Direction, match: (message: Message) => boolean): Point => ({
  direction,
  when: "after",
  match
})

const runs = (types: ReadonlyArray<string>, pattern: RegExp) => ({ statements, type }: Message): boolean =>
  types.includes(type) && statements.some((text) => pattern.test(text))

/** Before the server is told to run a statement. */
export const beforeStatement = (pattern: RegExp): Point => beforeMessage("frontend", runs(["Q", "E"], pattern))

/** When the server has been told to run a statement, and that the request is complete. */
export const afterStatement = (pattern: RegExp): Point => afterMessage("frontend", runs(["Q", "S"], pattern))

const completes = (tag: string) => ({ body, type }: Message): boolean =>
  type === "C" && body.toString("utf8", 0, body.length - 1).startsWith(tag)

/** When the server has finished a command, and the client does not know it yet. `tag` as in `INSERT 0 1`; its beginning is enough. */
export const beforeReply = (tag: string): Point => beforeMessage("backend", completes(tag))

/** When the client has got the end of a command. */
export const afterReply = (tag: string): Point => afterMessage("backend", completes(tag))

/** What happens at a {@link Point}. */
export type Action = "cut" | "hold" | "blackHole"

/** Something that waits for its {@link Point}. It happens once. */
export interface Trigger {
  /** Ends when it has happened. */
  readonly fired: Effect.Effect<void>
  readonly remove: () => void
}

/** What has passed. */
export interface Counts {
  /** Connections accepted, CancelRequests among them. */
  readonly connections: number
  readonly bytes: Readonly<Record<Direction, number>>
  /** By type, such as `{ Q: 2, S: 5 }`; see {@link Message}. */
  readonly messages: Readonly<Record<Direction, Readonly<Record<string, number>>>>
  /** Texts the server was told to run, in order. */
  readonly statements: ReadonlyArray<string>
  /** Requests the server answers with ReadyForQuery: simple queries and Syncs. */
  readonly roundTrips: number
}

/** A connection that goes through the proxy. */
export interface Link {
  readonly id: number
  readonly bytes: Readonly<Record<Direction, number>>
  readonly cut: () => void
  readonly hold: () => void
}

/** A proxy between a client and a server. */
export interface Proxy {
  readonly host: string
  readonly port: number
  /** The given URL, by way of the proxy. */
  readonly url: (url: string) => string
  /** Everything that passes from now on takes this long; 0 ends it. */
  readonly delay: (millis: number, direction?: Direction) => void
  readonly blackHole: (direction?: Direction) => void
  readonly heal: () => void
  /** Closes the listening socket; connections that are open stay so. */
  readonly refuse: Effect.Effect<void>
  readonly accept: Effect.Effect<void>
  /** Breaks all connections; gives their number. */
  readonly cutAll: () => number
  readonly at: (point: Point, action: Action) => Trigger
  readonly counts: () => Counts
  readonly resetCounts: () => void
  readonly connections: () => ReadonlyArray<Link>
}

const other = { frontend: "backend", backend: "frontend" } as const
const both = ["frontend", "backend"] as const

/** Above this many bytes on their way, the proxy stops reading. */
const highWater = 1 << 20

interface Armed {
  readonly point: Point
  readonly action: Action
  readonly passed: Map<PipedLink, number>
  readonly fired: Deferred.Deferred<void>
}

type Item = { readonly due: number } & ({ readonly message: Message } | { readonly end: "fin" | "reset" })

/** What the connections of one proxy share. */
interface Network {
  readonly delays: Record<Direction, number>
  readonly hole: Record<Direction, boolean>
  readonly armed: Set<Armed>
  readonly passed: (message: Message, bytes: number) => void
  readonly blackHole: () => void
}

class PipedLink implements Link {
  readonly bytes = { frontend: 0, backend: 0 }
  gone = false
  private readonly held = { frontend: false, backend: false }
  private readonly queues: Record<Direction, Array<Item>> = { frontend: [], backend: [] }
  private readonly queued = { frontend: 0, backend: 0 }
  private readonly timers: Record<Direction, NodeJS.Timeout | undefined> = { frontend: undefined, backend: undefined }
  private readonly sockets: Record<Direction, net.Socket>
  private connecting = false

  /** `frontend` names the client's socket, `backend` the server's: where bytes of that direction come from. */
  constructor(
    readonly id: number,
    client: net.Socket,
    private readonly target: { readonly host: string; readonly port: number },
    private readonly framer: Framer,
    private readonly network: Network,
    private readonly onGone: () => void
  ) {
    this.sockets = { frontend: client, backend: new net.Socket({ allowHalfOpen: true }) }
    for (const direction of both) {
      const socket = this.sockets[direction]
      socket.setNoDelay(true)
      socket.on("data", (chunk: Buffer) => this.read(direction, chunk))
      socket.on("end", () => this.enqueue(direction, { due: this.due(direction), end: "fin" }))
      // A server that dies with something unread resets its link. What it had said before goes on to the client, and then
      // the end: a reset of ours could overtake it there.
      const end = direction === "backend" ? "fin" : "reset"
      socket.on("error", () => this.enqueue(direction, { due: this.due(direction), end }))
    }
    this.wake()
  }

  /** Looks again at what may pass; after the network has changed. */
  wake(): void {
    if (this.gone) return
    if (!this.connecting && !this.network.hole.frontend) {
      this.connecting = true
      this.sockets.backend.connect(this.target.port, this.target.host)
    }
    for (const direction of both) this.pump(direction)
  }

  release(): void {
    this.held.frontend = this.held.backend = false
  }

  readonly hold = (): void => {
    this.held.frontend = this.held.backend = true
  }

  readonly cut = (): void => this.finish("reset")

  private finish(how: "fin" | "reset"): void {
    if (this.gone) return
    this.gone = true
    for (const direction of both) {
      clearTimeout(this.timers[direction])
      // What has passed is on its way.
      this.sockets[direction].uncork()
    }
    if (how === "reset") this.sockets.frontend.resetAndDestroy()
    else this.sockets.frontend.destroySoon()
    // A reset could overtake what the server has still to read: it gets all that has passed, then the end.
    if (this.sockets.backend.pending) this.sockets.backend.destroy()
    else this.sockets.backend.destroySoon()
    this.onGone()
  }

  private due(direction: Direction): number {
    return performance.now() + this.network.delays[direction]
  }

  private read(direction: Direction, chunk: Buffer): void {
    if (this.gone) return
    for (const message of this.framer.push(direction, chunk)) {
      this.queued[direction] += message.bytes.length
      this.enqueue(direction, { due: this.due(direction), message })
    }
    if (this.queued[direction] > highWater) this.sockets[direction].pause()
  }

  private enqueue(direction: Direction, item: Item): void {
    this.queues[direction].push(item)
    this.pump(direction)
  }

  private isHeld(direction: Direction): boolean {
    return this.held[direction] || this.network.hole[direction]
  }

  /** In one piece, as it came: a reader of a part of it may be gone when the rest is written. */
  private pump(direction: Direction): void {
    const target = this.sockets[other[direction]]
    target.cork()
    this.pumpAll(direction)
    target.uncork()
  }

  private pumpAll(direction: Direction): void {
    const queue = this.queues[direction]
    while (!this.gone && queue[0] !== undefined && !this.isHeld(direction)) {
      const item = queue[0]
      const wait = item.due - performance.now()
      if (wait > 0) {
        this.timers[direction] ??= setTimeout(() => {
          this.timers[direction] = undefined
          this.pump(direction)
        }, wait)
        return
      }
      if ("end" in item) {
        queue.shift()
        this.ended(direction, item.end)
        continue
      }
      if (this.trigger(direction, (armed) => this.isBefore(armed, item.message))) continue
      queue.shift()
      this.pass(direction, item.message)
    }
  }

  private pass(direction: Direction, message: Message): void {
    const limit = this.bytesLeft(direction)
    const bytes = limit === undefined || limit > message.bytes.length ? message.bytes : message.bytes.subarray(0, limit)
    this.queued[direction] -= message.bytes.length
    this.bytes[direction] += bytes.length
    for (const armed of this.network.armed) {
      if ("bytes" in armed.point && armed.point.direction === direction) {
        armed.passed.set(this, (armed.passed.get(this) ?? 0) + bytes.length)
      }
    }
    const { backend, frontend } = this.sockets
    const target = direction === "frontend" ? backend : frontend
    if (!target.destroyed) target.write(bytes)
    this.network.passed(message, bytes.length)
    const fired = this.trigger(direction, (armed) => this.isAfter(armed, message))
    if (fired && bytes.length < message.bytes.length && !this.gone) {
      // Held in the middle of a message: its rest comes first when the connection heals.
      const rest = { ...message, type: "opaque", statements: [], bytes: message.bytes.subarray(bytes.length) }
      this.queued[direction] += rest.bytes.length
      this.queues[direction].unshift({ due: 0, message: rest })
    }
    if (this.queued[direction] <= highWater) this.sockets[direction].resume()
  }

  /** How many bytes may pass until the next trigger. */
  private bytesLeft(direction: Direction): number | undefined {
    let least: number | undefined
    for (const { passed, point } of this.network.armed) {
      if (!("bytes" in point) || point.direction !== direction) continue
      const left = point.bytes - (passed.get(this) ?? 0)
      if (least === undefined || left < least) least = left
    }
    return least
  }

  private isBefore({ point }: Armed, message: Message): boolean {
    // Zero bytes: nothing passes at all.
    if ("bytes" in point) return point.direction === message.direction && point.bytes === 0
    return point.when === "before" && point.direction === message.direction && point.match(message)
  }

  private isAfter({ passed, point }: Armed, message: Message): boolean {
    if ("bytes" in point) return point.direction === message.direction && (passed.get(this) ?? 0) >= point.bytes
    return point.when === "after" && point.direction === message.direction && point.match(message)
  }

  private trigger(direction: Direction, applies: (armed: Armed) => boolean): boolean {
    let fired = false
    for (const armed of [...this.network.armed]) {
      if (armed.point.direction !== direction || !applies(armed)) continue
      fired = true
      this.network.armed.delete(armed)
      if (armed.action === "cut") this.cut()
      else if (armed.action === "hold") this.hold()
      else this.network.blackHole()
      Deferred.unsafeDone(armed.fired, Effect.void)
    }
    return fired
  }

  private ended(direction: Direction, how: "fin" | "reset"): void {
    const target = this.sockets[other[direction]]
    if (how === "reset") return this.finish("reset")
    if (target.readableEnded) return this.finish("fin")
    target.end()
  }
}

const listen = (server: net.Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject)
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : port)
    })
  })

/** Starts a proxy; the scope cuts its connections and closes it. */
export const makeProxy = (
  target: { readonly host: string; readonly port: number },
  options: { readonly protocol?: "postgres" | "opaque" } = {}
): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(target, options.protocol ?? "postgres")),
    ({ close }) => Effect.sync(close)
  )

const start = async (
  target: { readonly host: string; readonly port: number },
  protocol: "postgres" | "opaque"
): Promise<Proxy & { readonly close: () => void }> => {
  const links = new Set<PipedLink>()
  let lastId = 0
  const zero = () => ({
    connections: 0,
    bytes: { frontend: 0, backend: 0 },
    messages: { frontend: {} as Record<string, number>, backend: {} as Record<string, number> },
    statements: [] as Array<string>,
    roundTrips: 0
  })
  let counts = zero()
  const blackHole = (direction?: Direction) => {
    for (const each of direction === undefined ? both : [direction]) network.hole[each] = true
  }
  const network: Network = {
    delays: { frontend: 0, backend: 0 },
    hole: { frontend: false, backend: false },
    armed: new Set(),
    blackHole,
    passed: ({ direction, statements, type }, bytes) => {
      counts.bytes[direction] += bytes
      const messages = counts.messages[direction]
      messages[type] = (messages[type] ?? 0) + 1
      if (direction === "backend") return
      if (type === "Q" || type === "S") counts.roundTrips++
      if (type === "Q" || type === "E") counts.statements.push(...statements)
    }
  }
  const open = () =>
    net.createServer({ allowHalfOpen: true }, (client) => {
      counts.connections++
      const link: PipedLink = new PipedLink(
        ++lastId,
        client,
        target,
        new Framer(protocol),
        network,
        () => links.delete(link)
      )
      links.add(link)
    })
  let server: net.Server | undefined = open()
  const port = await listen(server, 0)
  const cutAll = () => {
    const all = [...links]
    all.forEach((link) => link.cut())
    return all.length
  }
  const shut = () => {
    server?.close()
    server = undefined
  }
  return {
    host: "127.0.0.1",
    port,
    url: (url) => {
      const parsed = new URL(url)
      parsed.hostname = "127.0.0.1"
      parsed.port = String(port)
      return parsed.href
    },
    delay: (millis, direction) => {
      for (const each of direction === undefined ? both : [direction]) network.delays[each] = millis
    },
    blackHole,
    heal: () => {
      network.hole.frontend = network.hole.backend = false
      for (const link of [...links]) {
        link.release()
        link.wake()
      }
    },
    refuse: Effect.promise(async () => {
      shut()
      // The socket is closed at the end of the event loop's turn.
      await new Promise((resolve) => setImmediate(resolve))
    }),
    accept: Effect.promise(async () => {
      for (let attempt = 1; server === undefined; attempt++) {
        const next = open()
        try {
          await listen(next, port)
          server = next
        } catch (error) {
          // Another process may hold the port for a moment, as the near end of a connection of its own.
          if (attempt === 100) throw error
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }
    }),
    cutAll,
    at: (point, action) => {
      const fired = Deferred.unsafeMake<void>(FiberId.none)
      const armed: Armed = { point, action, passed: new Map(), fired }
      network.armed.add(armed)
      return { fired: Deferred.await(fired), remove: () => network.armed.delete(armed) }
    },
    counts: () => structuredClone(counts),
    resetCounts: () => {
      counts = zero()
    },
    connections: () => [...links],
    close: () => {
      shut()
      cutAll()
    }
  }
}
