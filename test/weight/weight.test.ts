/**
 * What a statement, a session and a transaction are made of, by count: writes and round trips at the socket, statements the
 * server has to parse, operations of the fiber, further fibers, timers, look-ups of metrics. No time is measured. The figures
 * are what they are now. A change that lowers one lowers it here too; one that raises it shows here what it costs.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as RuntimeFlagsPatch from "effect/RuntimeFlagsPatch"
import * as Supervisor from "effect/Supervisor"
import * as net from "node:net"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import type { Proxy } from "../kit/proxy.js"
import { onPostgres, optionsFor, type Server } from "../time/onPostgres.js"

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

const one = { size: 1, overflow: 0 }

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

const select = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT ${1}::int AS n`)

const transaction = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`SELECT n FROM t WHERE n = ${1}`
  yield* sql`UPDATE t SET n = n WHERE n = ${1}`
  yield* sql`INSERT INTO t (n) VALUES (${2})`
}).pipe(Db.transaction)

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

/** Counts what fibers do while it is asked to. */
class Counting extends Supervisor.AbstractSupervisor<void> {
  operations = 0
  fibers = 0
  override readonly value = Effect.void
  override onStart(): void {
    this.fibers++
  }
  override onEffect(): void {
    this.operations++
  }
}

describe("in the process", () => {
  /** Sleeps that the engine, and other code on its clock, has asked for. */
  const makeClock = () => {
    const clock = Clock.make()
    const counted = {
      sleeps: 0,
      clock: {
        ...clock,
        // A clock's members use `this`.
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        sleep: (duration: Parameters<typeof clock.sleep>[0]) => {
          counted.sleeps++
          return clock.sleep(duration)
        }
      }
    }
    return counted
  }

  /** What one run of the effect takes: the mean of 100, since now and then a fiber gives way to others. */
  const weigh = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
    onPostgres({}, (server) => {
      const time = makeClock()
      const supervisor = new Counting()
      let lookups = 0
      const registry = Metric.globalMetricRegistry
      const get = registry.get
      const measured = Effect.gen(function*() {
        yield* Effect.repeatN(effect, 4)
        supervisor.operations = 0
        supervisor.fibers = 0
        time.sleeps = 0
        // A method of the one registry of the process, put back below.
        registry.get = ((key: never) => {
          lookups++
          return get.call(registry, key)
        }) as typeof registry.get
        for (let i = 0; i < 100; i++) {
          yield* effect
        }
        return {
          operations: Math.floor(supervisor.operations / 100),
          fibers: supervisor.fibers,
          sleeps: time.sleeps,
          lookups
        }
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          registry.get = get
        }))
      )
      return Effect.provide(
        Effect.zipRight(server.ask("CREATE TABLE t (n int)"), measured),
        Layer.provide(
          Db.layer(optionsFor(server, { pool: { ...one, validateAfter: 60_000 } })),
          Layer.setClock(time.clock)
        )
      ).pipe(
        // The engine's own fibers are supervised too.
        Effect.supervised(supervisor),
        Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.enable(RuntimeFlags.OpSupervision))
      )
    })

  const isLight = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>, operations: number) =>
    Effect.map(weigh(effect), (found) => {
      assert.deepInclude(found, { fibers: 0, sleeps: 0, lookups: 0 })
      assert.isAtMost(found.operations, operations)
    })

  it.scopedLive("a statement: 15 operations, no fiber, no timer, no look-up of a metric", () => isLight(select, 15))

  it.scopedLive("a session: 9 operations, and no more than that", () => isLight(Db.session(Effect.void), 9))

  it.scopedLive("a transaction of three statements: 61 operations, and no more than that", () =>
    isLight(transaction, 61))
})
