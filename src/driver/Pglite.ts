/**
 * PostgreSQL inside this process, by `@electric-sql/pglite`: for tests.
 *
 * PGlite speaks the protocol of a server, so the driver of PostgreSQL speaks to it, through a socket of this process:
 * values, errors, cursors and statements are those of a server. What differs: there is one session, hence one connection;
 * a statement blocks this process while it runs, and cannot be stopped; no other client can connect, so there are no
 * lock waits, and no `listen`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import type { DbConfig } from "../DbConfig.js"
import type { ConnectionError } from "../DbError.js"
import { failure } from "../internal/driver/failure.js"
import { notLoaded } from "../internal/driver/packages.js"
import type { Make } from "./Driver.js"
import { make as makePg } from "./Pg.js"

/**
 * What is used of PGlite.
 *
 * @since 0.1.0
 * @category models
 */
export interface Instance {
  readonly execProtocolRawSync: (message: Uint8Array) => Uint8Array
  readonly dumpDataDir: (compression: "none") => Promise<Blob>
  readonly close: () => Promise<void>
}

/**
 * Options of an instance.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What `dumpDataDir` gave: the instance begins with it. Defaults to an empty database. */
  readonly loadDataDir?: Blob | undefined
  /** Extensions of PGlite, by their names. Defaults to none. */
  readonly extensions?: Readonly<Record<string, object>> | undefined
}

const unsupported = (database: string, what: string, cause: unknown): ConnectionError =>
  failure({ _tag: "ConnectionError", reason: "Unsupported", database, what, outcome: "NotSent", cause })

/**
 * Starts an instance; the scope closes it. Fails with `ConnectionError`, reason `Unsupported`, where the package is not
 * installed or does not start.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = (
  database: string,
  options: Options = {}
): Effect.Effect<Instance, ConnectionError, Scope.Scope> =>
  Effect.flatMap(
    Effect.tryPromise({ try: () => import("@electric-sql/pglite"), catch: notLoaded(database, "pglite") }),
    ({ PGlite }) =>
      Effect.acquireRelease(
        Effect.tryPromise({
          try: async (): Promise<Instance> =>
            await PGlite.create({
              ...(options.loadDataDir === undefined ? {} : { loadDataDir: options.loadDataDir }),
              // Whatever PGlite takes for an extension.
              ...(options.extensions === undefined ? {} : { extensions: options.extensions as never })
            }),
          catch: (cause) => unsupported(database, "PGlite does not start", cause)
        }),
        (instance) => Effect.promise(() => instance.close().catch(() => {}))
      )
  )

/** The only requests that are not messages with a type. */
const protocol = 196608
const sslRequest = 80877103
const gssRequest = 80877104

const occupied = Buffer.concat([
  Buffer.from([69, 0, 0, 0, 0]),
  Buffer.from("SFATAL\0VFATAL\0C53300\0Msorry, PGlite has one connection, and it is in use\0\0")
])
occupied.writeInt32BE(occupied.length - 1, 1)

/** What a session leaves behind is removed before the next one begins. */
const cleaning = ["ROLLBACK", "DISCARD ALL"].map((text) => {
  const message = Buffer.alloc(6 + text.length)
  message.write("Q")
  message.writeInt32BE(5 + text.length, 1)
  message.write(text, 5)
  return message
})

/** Lets one socket at a time speak to an instance. */
const serve = (instance: Instance) => {
  let holder: net.Socket | undefined = undefined
  let isOver = false
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    let pending: Buffer = Buffer.alloc(0)
    let isStarted = false
    const leave = () => {
      sockets.delete(socket)
      if (holder === socket && !isOver) {
        holder = undefined
        cleaning.forEach((message) => instance.execProtocolRawSync(message))
      }
    }
    const pass = (message: Buffer) => {
      const answer = instance.execProtocolRawSync(message)
      if (answer.length > 0) {
        socket.write(answer)
      }
    }
    /** The first message, which has no type. */
    const begin = (message: Buffer) => {
      const code = message.readInt32BE(4)
      if (code === sslRequest || code === gssRequest) {
        socket.write("N")
      } else if (code !== protocol) {
        // A cancel: what it is to stop has ended before it could be read.
        socket.end()
      } else if (holder !== undefined) {
        socket.end(occupied)
      } else {
        holder = socket
        isStarted = true
        pass(message)
      }
    }
    socket.on("data", (chunk: Buffer | string) => {
      // A socket without an encoding gives bytes; newer types of Node say that it may be text.
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes])
      for (;;) {
        const header = isStarted ? 1 : 0
        if (pending.length < header + 4) {
          return
        }
        const length = header + pending.readInt32BE(header)
        if (pending.length < length) {
          return
        }
        const message = pending.subarray(0, length)
        pending = pending.subarray(length)
        if (!isStarted) {
          begin(message)
        } else if (message[0] === 88) {
          leave()
          socket.end()
        } else {
          pass(message)
        }
      }
    })
    socket.on("error", () => {})
    socket.on("close", leave)
  })
  const end = (done: () => void) => {
    // From here on the instance may be closed at any time.
    isOver = true
    sockets.forEach((socket) => socket.destroy())
    server.close(done)
  }
  return { server, end }
}

interface Host {
  readonly host: string
  readonly port: number
}

/** Where the driver finds the instance: a socket in a folder of its own. */
const listening = (instance: Instance): Effect.Effect<Host, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { end, server } = serve(instance)
    const isFolder = os.platform() !== "win32"
    const host = isFolder ? fs.mkdtempSync(path.join(os.tmpdir(), "dblive-pglite-")) : "127.0.0.1"
    return Effect.acquireRelease(
      Effect.async<Host>((resume) => {
        server.once("error", (error) => resume(Effect.die(error)))
        server.listen(isFolder ? { path: path.join(host, ".s.PGSQL.5432") } : { host, port: 0 }, () => {
          const address = server.address()
          // Of a socket in a folder the address is its path.
          resume(Effect.succeed({ host, port: typeof address === "object" && address !== null ? address.port : 5432 }))
        })
        server.unref()
      }),
      () =>
        Effect.async<void>((resume) =>
          end(() => {
            if (isFolder) {
              fs.rmSync(host, { recursive: true, force: true })
            }
            resume(Effect.void)
          })
        )
    )
  })

/**
 * The driver of an instance. It ends with the scope; the instance does not.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (instance: Instance): Make<DbConfig> =>
  Effect.fnUntraced(function*(config: DbConfig) {
    const host = yield* listening(instance)
    const driver = yield* makePg({
      ...config,
      hosts: [host],
      database: "postgres",
      username: "postgres",
      password: undefined,
      ssl: { mode: "disable", ca: undefined, cert: undefined, key: undefined }
    })
    return {
      ...driver,
      target: { system: "postgresql", namespace: "pglite", address: undefined, port: undefined, uri: "pglite:" },
      capabilities: { ...driver.capabilities, cancel: false, serverLimits: false, resolveCommit: false, listen: false },
      maxConnections: 1,
      answersCommits: true,
      transactionId: undefined,
      commitStatus: undefined
    }
  })
