/** Contract 6 on a real server: limits end waits, and what ran on the server is stopped. */
import { assert, beforeAll, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as net from "node:net"
import { Db } from "../../src/Db.js"
import { describePostgres, eventually } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"
import { onPostgres, optionsFor, runs, took, withServer } from "./onPostgres.js"

const endless = "SELECT pg_sleep(3600)"

/** A server that accepts connections and says nothing. */
const silent = Effect.acquireRelease(
  Effect.async<net.Server>((resume) => {
    const server = net.createServer((socket) => void socket.on("error", () => {}))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

// The first opening loads the driver and its packages, which is no part of what is measured.
beforeAll(() => import("../../src/driver/Pg.js"))

describePostgres("limits on PostgreSQL", () => {
  it.scopedLive("connect: a server that accepts and says nothing", () =>
    Effect.gen(function*() {
      const server = yield* silent
      const { port } = server.address() as net.AddressInfo
      const options = {
        url: `postgres://user:secret-canary@127.0.0.1:${port}/app`,
        pool: { connectTimeout: "300 millis", acquireTimeout: "800 millis" }
      } as const
      const [millis, error] = yield* took(Effect.flip(Effect.provide(Db.ping, Db.layer(options))))
      assert.deepInclude(error, { _tag: "TimeoutError", phase: "Connect", limitMillis: 300, outcome: "NotSent" })
      assert.isBelow(millis, 1500)
      yield* Effect.gen(function*() {
        const [millis, error] = yield* took(Effect.flip(Db.query("SELECT 1")))
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Connect", outcome: "NotSent" })
        assert.isBelow(millis, 1500)
        assert.isFalse(yield* Db.ping)
      }).pipe(Effect.provide(Db.layer({ ...options, connectOnStart: false })))
    }))

  it.scopedLive("acquire: names the holder of the connection, and what it does", () =>
    onPostgres({ pool: { size: 1, acquireTimeout: "200 millis" } }, (server) =>
      Effect.gen(function*() {
        const holder = yield* Effect.fork(Db.session(Db.query(endless)).pipe(Effect.withSpan("the holder")))
        yield* runs(server, 1)
        const error = yield* Effect.flip(Db.query("SELECT 1"))
        assert(error._tag === "TimeoutError")
        assert.deepInclude(error, { phase: "Acquire", limitMillis: 200, outcome: "NotSent" })
        assert.deepInclude(error.holders![0], { span: "the holder", state: "running", statement: endless })
        yield* Fiber.interrupt(holder)
        yield* isWhole
      })))

  it.scopedLive("statement: by configuration, by call, by deadline; nothing of it runs on", () =>
    onPostgres({ limits: { statementTimeout: "300 millis" } }, (server) =>
      Effect.gen(function*() {
        const cases = [
          [300, Db.query(endless)],
          [300, Db.session(Db.query(endless))],
          [100, Db.query(endless, [], { timeout: "100 millis" })],
          [600, Db.query(endless, [], { timeout: "600 millis" })],
          [150, Db.query(endless).pipe(Db.withTimeout("150 millis"))]
        ] as const
        for (const [limit, effect] of cases) {
          const [millis, error] = yield* took(Effect.flip(effect))
          assert.deepInclude(error, {
            _tag: "TimeoutError",
            phase: "Statement",
            limitMillis: limit,
            outcome: "RolledBack",
            statement: endless
          })
          assert.isTrue(millis >= limit - 5 && millis < limit + 700, `${millis} ms for a limit of ${limit}`)
          assert.deepStrictEqual(yield* server.active, [])
        }
        yield* Db.query("SELECT pg_sleep(0.4)", [], { timeout: 0 })
        yield* isWhole
      })))

  it.scopedLive("statement: the server keeps the limit too, and it ends with its statement or its transaction", () =>
    onPostgres({ pool: { size: 1 }, limits: { statementTimeout: "10 seconds" } }, () =>
      Effect.gen(function*() {
        const show = Db.query<{ v: string }>("SELECT current_setting('statement_timeout') AS v")
        const of = (effect: typeof show) => Effect.map(effect, ([row]) => row!.v)
        const millis = (value: string) =>
          value.endsWith("ms") ? Number(value.slice(0, -2)) : Number(value.slice(0, -1)) * 1000
        const text = "SELECT current_setting('statement_timeout') AS v"
        assert.strictEqual(yield* of(show), "10s")
        assert.strictEqual(yield* of(Db.query(text, [], { timeout: 1234 })), "1234ms")
        assert.strictEqual(yield* of(Db.query(text, [], { timeout: 0 })), "0")
        assert.strictEqual(yield* of(show), "10s")
        const left = millis(yield* of(show.pipe(Db.withTimeout("5 seconds"))))
        assert.isTrue(left > 4000 && left <= 5000, `${left}`)
        // What takes the limit back in a transaction would be bound by it, and end the transaction in its stead.
        const short = Effect.gen(function*() {
          assert.strictEqual(yield* of(Db.query(text, [], { timeout: 100 })), "100ms")
          assert.strictEqual(yield* of(Db.query(text, [], { timeout: 99 })), "10s")
        })
        yield* short
        yield* Effect.gen(function*() {
          assert.strictEqual(yield* of(show), "10s")
          yield* short
          assert.strictEqual(yield* of(Db.query(text, [], { timeout: 1234 })), "1234ms")
          const left = millis(yield* of(show.pipe(Db.withTimeout("5 seconds"))))
          assert.isTrue(left > 4000 && left <= 5000, `${left}`)
          assert.strictEqual(yield* of(show), "10s")
        }).pipe(Db.transaction)
        assert.strictEqual(yield* of(show), "10s")
      })))

  it.scopedLive("statement: a shorter one that is configured gives way", () =>
    onPostgres({ pool: { size: 1 }, limits: { statementTimeout: "50 millis" } }, () =>
      Effect.gen(function*() {
        const text = "SELECT current_setting('statement_timeout') AS v"
        for (const [timeout, v] of [[0, "0"], [40, "50ms"], [95, "0"], [200, "200ms"]] as const) {
          assert.deepStrictEqual(yield* Db.query(text, [], { timeout }), [{ v }])
          assert.deepStrictEqual(yield* Db.query(text, [], { timeout }).pipe(Db.transaction), [{ v }])
        }
      })))

  it.scopedLive("lock: by lock_timeout, while the holder goes on", () =>
    onPostgres({ limits: { lockTimeout: "200 millis" } }, () =>
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE t (id int PRIMARY KEY, n int)")
        yield* Db.query("INSERT INTO t VALUES (1, 0)")
        const locked = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(
          Db.query("UPDATE t SET n = n + 1").pipe(
            Effect.zipRight(Deferred.succeed(locked, undefined)),
            Effect.zipRight(Deferred.await(gate)),
            Db.transaction
          )
        )
        yield* Deferred.await(locked)
        const [millis, error] = yield* took(Effect.flip(Db.query("UPDATE t SET n = n + 10")))
        assert.deepInclude(error, {
          _tag: "TimeoutError",
          phase: "Lock",
          limitMillis: 200,
          outcome: "RolledBack",
          code: "55P03"
        })
        assert.isBelow(millis, 900)
        assert.isTrue(error.isTransient)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(holder)
        assert.deepStrictEqual(yield* Db.query("SELECT n FROM t"), [{ n: 1 }])
      })))

  it.scopedLive("idle in transaction: by us, and by the server when we cannot", () =>
    onPostgres(
      { pool: { size: 1 }, limits: { idleInTransactionTimeout: "300 millis" } },
      () =>
        Effect.gen(function*() {
          yield* Db.query("CREATE TABLE t (id int)")
          const insert = Db.query("INSERT INTO t VALUES (1)")
          const idle = {
            _tag: "TimeoutError",
            phase: "IdleInTransaction",
            limitMillis: 300,
            outcome: "RolledBack"
          } as const
          const waits = insert.pipe(
            Effect.zipRight(Effect.sleep("400 millis")),
            Effect.zipRight(insert),
            Db.transaction
          )
          assert.deepInclude(yield* Effect.flip(waits), idle)
          // The event loop stands still: only the server can keep the limit, and ends the connection.
          const blocked = insert.pipe(
            Effect.zipRight(Effect.sync(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_800))),
            Effect.zipRight(insert),
            Db.transaction
          )
          assert.deepInclude(yield* Effect.flip(blocked), idle)
          assert.deepStrictEqual(yield* Db.query("SELECT * FROM t"), [])
          yield* isWhole
        })
    ))

  it.scopedLive("transaction: by configuration and by call", () =>
    onPostgres({ limits: { transactionTimeout: "300 millis" } }, (server) =>
      Effect.gen(function*() {
        const cases = [
          [300, Db.query(endless).pipe(Db.transaction)],
          [300, Db.query("SELECT 1").pipe(Effect.zipRight(Effect.never), Db.transaction)],
          [100, Db.query(endless).pipe(Db.transaction({ timeout: "100 millis" }))]
        ] as const
        for (const [limit, effect] of cases) {
          const [millis, error] = yield* took(Effect.flip(effect))
          assert.deepInclude(error, {
            _tag: "TimeoutError",
            phase: "Transaction",
            limitMillis: limit,
            outcome: "RolledBack"
          })
          assert.isBelow(millis, limit + 700)
          assert.deepStrictEqual(yield* server.active, [])
        }
        yield* isWhole
      })))

  it.scopedLive("close: what still runs then is cut, and the server shows no connection of ours", () =>
    Effect.gen(function*() {
      const server = yield* withServer
      const options = optionsFor(server, { pool: { size: 2, closeTimeout: "300 millis" } })
      const closing = yield* Deferred.make<number>()
      const [single, idle] = yield* Effect.gen(function*() {
        const single = yield* Effect.forkDaemon(Effect.flip(Db.query(endless)))
        const begun = yield* Deferred.make<void>()
        const idle = yield* Effect.forkDaemon(
          Effect.flip(
            Db.query("SELECT 1").pipe(
              Effect.zipRight(Deferred.succeed(begun, undefined)),
              Effect.zipRight(Deferred.await(closing)),
              Effect.zipRight(Effect.sleep("500 millis")),
              Effect.zipRight(Db.query("SELECT 2")),
              Db.transaction
            )
          )
        )
        yield* Deferred.await(begun)
        yield* runs(server, 1)
        yield* Deferred.succeed(closing, performance.now())
        return [single, idle] as const
      }).pipe(Effect.provide(Db.layer(options)))
      assert.isBelow(performance.now() - (yield* Deferred.await(closing)), 1500)
      yield* eventually(server.connections, (n) => n === 0, 1000)
      assert.deepInclude(yield* Fiber.join(single), { _tag: "TimeoutError", phase: "Close", limitMillis: 300 })
      assert.deepInclude(yield* Fiber.join(idle), { phase: "Close", limitMillis: 300, outcome: "RolledBack" })
    }))
})
