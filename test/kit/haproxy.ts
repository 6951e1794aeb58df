/**
 * HAProxy in front of several PostgreSQL servers, from the `haproxy` of the machine: it leads to the one that says by HTTP that it
 * is the primary, as Patroni's REST API does.
 *
 * - `describeHaproxy(name, body)`: a suite that needs it; skipped, with the reason, where there is none.
 * - `haproxy(servers)`: `Effect<number, never, Scope>`; the port on which it listens. It ends with the scope.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import pg from "pg"
import { describe, inject } from "vitest"
import type { PrivatePostgres } from "./postgres.js"
import { findProgram, onFreePort, startProcess } from "./serverProcess.js"

const unavailable = (): string | undefined =>
  inject("privatePostgresUnavailable") ??
    (findProgram("haproxy") === undefined ? "there is no haproxy: `apt-get install haproxy`" : undefined)

/** A suite that needs HAProxy. Where there is none it is skipped, and its name says why. */
export const describeHaproxy = (name: string, body: () => void): void => {
  const reason = unavailable()
  if (reason === undefined) describe(name, body)
  else describe.skip(`${name} (skipped: ${reason})`, body)
}

const isPrimary = async (url: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 500 })
  client.on("error", () => {})
  try {
    await client.connect()
    return (await client.query("SELECT pg_is_in_recovery() AS standby")).rows[0].standby === false
  } catch {
    return false
  } finally {
    void client.end().catch(() => {})
  }
}

interface Check {
  readonly port: number
  /** It has been asked again, so that what it answered first is known. */
  readonly isKnown: Effect.Effect<void>
}

/** Answers 200 for a primary and 503 for anything else. */
const checkOf = ({ url }: PrivatePostgres): Effect.Effect<Check, never, Scope.Scope> =>
  Effect.gen(function*() {
    const known = yield* Deferred.make<void>()
    let asked = 0
    const server = yield* Effect.acquireRelease(
      Effect.async<http.Server>((resume) => {
        const server = http.createServer((_, response) => {
          asked++
          if (asked === 2) Deferred.unsafeDone(known, Effect.void)
          void isPrimary(url).then((is) => response.writeHead(is ? 200 : 503).end())
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.async<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    )
    // It listens on a port.
    return { port: (server.address() as net.AddressInfo).port, isKnown: Deferred.await(known) }
  })

const answers = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve()
    })
    socket.once("error", reject)
  })

/** Leads to the one of the servers that is the primary. */
export const haproxy = (servers: ReadonlyArray<PrivatePostgres>): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function*() {
    const checks = yield* Effect.forEach(servers, checkOf)
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-haproxy-"))
    const log = path.join(folder, "haproxy.log")
    const { port } = yield* Effect.acquireRelease(
      Effect.promise(() =>
        onFreePort(async (port) => {
          const file = path.join(folder, "haproxy.cfg")
          fs.writeFileSync(
            file,
            [
              "defaults",
              "  mode tcp",
              "  timeout connect 1s",
              "  timeout check 1s",
              "  timeout client 60s",
              "  timeout server 60s",
              "listen primary",
              `  bind 127.0.0.1:${port}`,
              "  option httpchk GET /primary",
              "  http-check expect status 200",
              "  default-server inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions",
              ...servers.map((server, i) =>
                `  server s${i} ${server.host}:${server.port} check port ${checks[i]!.port}`
              ),
              ""
            ].join("\n")
          )
          const running = await startProcess({
            command: findProgram("haproxy")!,
            args: ["-db", "-q", "-f", file],
            folder,
            log,
            ask: () => answers(port)
          })
          return { port, running }
        })
      ),
      ({ running }) =>
        Effect.promise(async () => {
          await running.stop()
          fs.rmSync(folder, { recursive: true, force: true })
        })
    )
    // Until then it takes each of them for the primary.
    yield* Effect.forEach(checks, ({ isKnown }) => isKnown)
    return port
  })
