/** One address that leads to another server after a failover: by HAProxy, and by DNS. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import dns from "node:dns"
import * as net from "node:net"
import { vi } from "vitest"
import { Db } from "../../src/Db.js"
import { makePair, promote } from "../kit/cluster.js"
import { describeHaproxy, haproxy } from "../kit/haproxy.js"
import { describePrivatePostgres, eventually, query } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"

const layer = (user: string, password: string, host: string, port: number) =>
  Db.layer({
    url: `postgres://${user}:${password}@${host}:${port}/postgres?target_session_attrs=read-write`,
    environment: "production",
    ssl: "disable",
    pool: { size: 4, overflow: 0, keepalive: 0, validateAfter: 0, acquireTimeout: "20 seconds" }
  })

const write = Db.query("INSERT INTO note VALUES ('a')")
const port = Db.scalar<string>("SELECT current_setting('port')")
const writes = Effect.forEach(Array.from({ length: 12 }), () => write, { concurrency: "unbounded" })

describeHaproxy("behind HAProxy", () => {
  it.scopedLive(
    "sessions that begin after the promotion wait until it leads to the new primary",
    () =>
      Effect.gen(function*() {
        const { primary: { server: primary }, standby: { server: standby } } = yield* makePair
        yield* query(primary.url, "CREATE TABLE note (body text)")
        const entrance = yield* haproxy([primary, standby])
        yield* Effect.gen(function*() {
          yield* writes
          assert.strictEqual(yield* port, String(primary.port))
          yield* primary.stop("kill")
          yield* promote({ server: standby })
          yield* writes
          assert.strictEqual(yield* port, String(standby.port))
          // HAProxy alone would take it for a second primary.
          yield* standby.stop("fast")
          yield* primary.start
          const error = yield* Effect.flip(
            Effect.timeoutFail(
              eventually(Db.ping, (isThere) => isThere, 3_000).pipe(Effect.zipRight(write)),
              { duration: "6 seconds", onTimeout: () => "refused" as const }
            ).pipe(Effect.sandbox, Effect.mapError(() => "refused" as const))
          )
          assert.strictEqual(error, "refused")
          assert.lengthOf(yield* query(primary.url, "SELECT FROM note"), 12)
          yield* standby.start
          yield* primary.stop("kill")
          yield* writes
          yield* isWhole
        }).pipe(Effect.provide(layer(primary.user, primary.password, "127.0.0.1", entrance)))
      }),
    90_000
  )
})

/** Leads from an address and port to another. */
const forward = (address: string, from: number, to: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.async<{ readonly server: net.Server; readonly sockets: Set<net.Socket> }>((resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        const other = net.connect(to, "127.0.0.1")
        for (const [one, two] of [[socket, other], [other, socket]] as const) {
          sockets.add(one)
          one.on("error", () => {})
          one.on("close", () => {
            sockets.delete(one)
            two.destroy()
          })
        }
        socket.pipe(other).pipe(socket)
      })
      server.listen(from, address, () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.async<void>((resume) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  ))

describePrivatePostgres("behind a name whose address changes", () => {
  it.scopedLive("the new address is looked up with the next connection", () =>
    Effect.gen(function*() {
      const { primary: { server: primary }, standby: { server: standby } } = yield* makePair
      yield* query(primary.url, "CREATE TABLE note (body text)")
      // Both at the same port, as servers of one name are.
      yield* forward("127.0.0.2", primary.port, standby.port)
      let address = "127.0.0.1"
      const lookUp = dns.lookup
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          vi.spyOn(dns, "lookup").mockImplementation(
            ((name: string, options: dns.LookupOptions, done: (error: null, found: unknown, family: number) => void) =>
              name !== "db.test"
                ? lookUp(name, options, done as never)
                : done(null, options.all === true ? [{ address, family: 4 }] : address, 4)) as typeof dns.lookup
          )
        ),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      yield* Effect.gen(function*() {
        yield* writes
        assert.strictEqual(yield* port, String(primary.port))
        yield* primary.stop("fast")
        yield* promote({ server: standby })
        // The name is changed late: until then nothing answers.
        const early = yield* Effect.fork(writes)
        yield* eventually(Db.pool, ({ waiting }) => waiting > 0)
        address = "127.0.0.2"
        yield* early
        assert.strictEqual(yield* port, String(standby.port))
        yield* isWhole
      }).pipe(Effect.provide(layer(primary.user, primary.password, "db.test", primary.port)))
    }), 90_000)
})
