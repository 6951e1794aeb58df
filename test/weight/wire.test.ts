/**
 * What a statement, a session and a transaction are at the socket, by count: writes, round trips, statements the server has to parse.
 * No time is measured. A change that lowers a figure lowers it here too; one that raises it shows here what it costs.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { vi } from "vitest"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import type { Proxy } from "../kit/proxy.js"
import { onPostgres, optionsFor, type Server } from "../time/onPostgres.js"
import { one, select, transaction } from "./effects.js"

/** Counts writes of sockets that go to the proxy, from now to the end of the scope. */
const countWrites = (proxy: Proxy) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const port = Number(new URL(proxy.url("postgres://localhost/x")).port)
      const counted = { writes: 0, restore: () => {} }
      // Called with the socket as `this`, as the method of which it takes the place.
      const write = net.Socket.prototype.write as (...args: Array<unknown>) => boolean
      net.Socket.prototype.write = function(this: net.Socket, ...args: Array<unknown>): boolean {
        if (this.remotePort === port) {
          counted.writes++
        }
        return write.apply(this, args)
      } as net.Socket["write"]
      counted.restore = () => {
        net.Socket.prototype.write = write as net.Socket["write"]
      }
      return counted
    }),
    ({ restore }) => Effect.sync(restore)
  )

/** What passes on the wire while the effect runs, on a connection that has run it before. */
const onTheWire = <A, E, R>({ proxy }: Server, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    yield* effect
    yield* effect
    const counted = yield* countWrites(proxy)
    proxy.resetCounts()
    yield* effect
    const { messages, roundTrips, statements } = proxy.counts()
    return { writes: counted.writes, roundTrips, statements, parsed: messages.frontend["P"] ?? 0 }
  })

const proxied = <A, E>(
  pool: DbConfig.Options["pool"],
  body: (server: Server) => Effect.Effect<A, E, Db | SqlClient.SqlClient>
) =>
  onPostgres(
    {},
    (server) =>
      Effect.gen(function*() {
        yield* server.ask("CREATE TABLE t (n int)")
        // The client of the default database comes with its layer.
        return yield* Effect.provide(
          body(server),
          Db.layer(optionsFor(server, { pool: { ...one, ...pool } }, "proxied"))
        )
      }),
    "direct"
  )

describe("on the wire", () => {
  it.scopedLive("a statement is one write and one round trip, and is parsed once per connection", () =>
    proxied({}, (server) =>
      Effect.scoped(Effect.gen(function*() {
        const counted = yield* countWrites(server.proxy)
        server.proxy.resetCounts()
        yield* Effect.repeatN(select, 99)
        const { messages, roundTrips } = server.proxy.counts()
        assert.deepStrictEqual(
          { writes: counted.writes, roundTrips, parsed: messages.frontend["P"], described: messages.frontend["D"] },
          { writes: 100, roundTrips: 100, parsed: 1, described: 1 }
        )
      }))))

  it.scopedLive("what arrives is read into one buffer for each connection: none is made for a read", () =>
    proxied({}, (server) =>
      Effect.scoped(Effect.gen(function*() {
        const port = Number(new URL(server.proxy.url("postgres://localhost/x")).port)
        // What a stream of Node's calls with each buffer that it has made for a read.
        const push = yield* Effect.acquireRelease(
          Effect.sync(() => vi.spyOn(net.Socket.prototype, "push")),
          (spy) => Effect.sync(() => spy.mockRestore())
        )
        yield* Effect.repeatN(select, 9)
        yield* transaction
        const made = push.mock.contexts.filter((socket) => (socket as net.Socket).remotePort === port)
        assert.isEmpty(made)
      }))))

  it.scopedLive("a session adds nothing to its statements; a validation is one write and one round trip", () =>
    Effect.gen(function*() {
      const found = (validateAfter: number) =>
        proxied({ validateAfter }, (server) => Effect.scoped(onTheWire(server, Db.session(select))))
      assert.deepStrictEqual(yield* found(60_000), {
        writes: 1,
        roundTrips: 1,
        statements: ["SELECT $1::int AS n"],
        parsed: 0
      })
      assert.deepInclude(yield* found(0), { writes: 2, roundTrips: 2, parsed: 0 })
    }))

  it.scopedLive("a transaction is one round trip more than its statements: BEGIN travels with the first", () =>
    proxied({ validateAfter: 60_000 }, (server) =>
      Effect.scoped(Effect.gen(function*() {
        assert.deepStrictEqual(yield* onTheWire(server, transaction), {
          writes: 4,
          roundTrips: 4,
          statements: [
            "BEGIN",
            "SELECT n FROM t WHERE n = $1",
            "UPDATE t SET n = n WHERE n = $1",
            "INSERT INTO t (n) VALUES ($1)",
            "COMMIT"
          ],
          parsed: 0
        })
      }))))

  it.scopedLive("what says nothing to the database sends nothing: a checkout, a transaction without a statement", () =>
    proxied({ validateAfter: 60_000 }, (server) =>
      Effect.scoped(Effect.gen(function*() {
        yield* select
        const nothing = { writes: 0, roundTrips: 0, statements: [], parsed: 0 }
        assert.deepStrictEqual(yield* onTheWire(server, Db.session(Effect.void)), nothing)
        assert.deepStrictEqual(yield* onTheWire(server, Db.transaction(Effect.void)), nothing)
      }))))
})
