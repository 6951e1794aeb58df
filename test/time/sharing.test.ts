/**
 * Statements that share a connection, on a real server: how they travel, who waits for whom, and what becomes of each when
 * it is stopped.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import type * as DbConfig from "../../src/DbConfig.js"
import { Db } from "../../src/index.js"
import { describePostgres, eventually, freshDatabase, observer } from "../kit/postgres.js"
import { beforeMessage, makeProxy } from "../kit/proxy.js"
import { writesTo } from "../kit/writesTo.js"

const pool = { size: 2, overflow: 0, maxWaiters: 10_000, acquireTimeout: "30 seconds" } as const

const select = (id: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql<{ readonly n: number }>`SELECT n FROM item WHERE id = ${id}`)

const item = "CREATE TABLE item AS SELECT i AS id, i * 3 AS n FROM generate_series(1, 200) i"

/** Runs an effect on a database with a table, opened through a proxy. */
const on = <A, E>(
  settings: DbConfig.PoolOptions,
  body: (
    proxy: Effect.Effect.Success<ReturnType<typeof makeProxy>>,
    url: string
  ) => Effect.Effect<A, E, Db | Scope.Scope | SqlClient.SqlClient>
) =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const ask = yield* observer(database.url)
    yield* ask(item)
    const proxy = yield* makeProxy({ host: database.host, port: database.port })
    const layer = Db.layer({
      url: proxy.url(database.url),
      ssl: "disable",
      environment: "production",
      pool: { ...pool, ...settings }
    })
    return yield* Effect.provide(body(proxy, database.url), layer)
  })

/** So many fibers, so many point selects each; every answer is looked at. */
const load = (fibers: number, each: number) =>
  Effect.forEach(
    Array.from({ length: fibers }, (_, fiber) => fiber),
    (fiber) =>
      Effect.forEach(Array.from({ length: each }), (_, i) => {
        const id = (fiber * each + i) % 200 + 1
        return Effect.map(select(id), (rows) => assert.deepStrictEqual(rows, [{ n: id * 3 }]))
      }, { discard: true }),
    { concurrency: "unbounded", discard: true }
  )

const isWhole = Effect.gen(function*() {
  const { holders, idle, inUse, open, waiting } = yield* eventually(
    Db.pool,
    ({ inUse, waiting }) => inUse === 0 && waiting === 0
  )
  assert.deepStrictEqual({ holders, inUse, waiting }, { holders: [], inUse: 0, waiting: 0 })
  assert.strictEqual(idle, open)
})

describePostgres("statements that share a connection", () => {
  for (const [sharing, most, least] of [["reads", 500, 0], ["off", 1000, 1000]] as const) {
    it.scopedLive(`1,000 selects of 50 fibers take ${sharing === "off" ? "1,000" : "at most 500"} writes (${sharing})`, () =>
      on({ sharing, size: 10 }, (proxy) =>
        Effect.gen(function*() {
          // Each connection has to prepare the text, and its duration to be known.
          yield* load(64, 20)
          const { port } = new URL(proxy.url("postgresql://u@h/d"))
          const written = yield* writesTo(Number(port))
          yield* load(50, 20)
          assert.isAtMost(written(), most)
          assert.isAtLeast(written(), least)
          yield* isWhole
        })))
  }

  it.scopedLive("each fails for itself", () =>
    on({}, () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const divided = (by: number) => sql<{ readonly n: number }>`SELECT 60 / ${by}::int4 AS n FROM item LIMIT 1`
        yield* Effect.forEach(Array.from({ length: 100 }), () => divided(3), { concurrency: 32 })
        const exits = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i % 4),
          (by) => Effect.map(Effect.exit(divided(by)), (exit) => [by, exit] as const),
          { concurrency: "unbounded" }
        )
        for (const [by, exit] of exits) {
          if (by === 0) assert.isTrue(Exit.isFailure(exit))
          else assert.deepStrictEqual(exit, Exit.succeed([{ n: 60 / by }]))
        }
        yield* isWhole
      })))

  it.scopedLive("a quick one does not wait for one that takes long all of a sudden", () =>
    // The slow one is reported as held for long, and when it is given back.
    on({ leakThreshold: "200 millis" }, (_, url) =>
      Effect.gen(function*() {
        const ask = yield* observer(url)
        const sql = yield* SqlClient.SqlClient
        yield* ask("CREATE VIEW turning AS SELECT n FROM item WHERE id = 1")
        const turning = sql<{ readonly n: number }>`SELECT n FROM turning`
        yield* Effect.forEach(Array.from({ length: 200 }), () => turning, { concurrency: 16 })
        yield* load(16, 20)
        yield* ask("CREATE OR REPLACE VIEW turning AS SELECT n FROM item, pg_sleep(4) WHERE id = 1")
        const slow = yield* Effect.fork(turning)
        yield* eventually(
          ask("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"),
          (rows) => rows.length === 1
        )
        const from = performance.now()
        yield* load(32, 10)
        assert.isBelow(performance.now() - from, 3000)
        assert.isNull(slow.unsafePoll())
        const { holders } = yield* Db.pool
        assert.include(holders.map(({ statement }) => statement), "SELECT n FROM turning")
        assert.deepStrictEqual(yield* Fiber.join(slow), [{ n: 3 }])
        yield* isWhole
      })))

  it.scopedLive("a link that breaks takes down what was on it, and nothing else", () =>
    on({ size: 3 }, (proxy) =>
      Effect.gen(function*() {
        yield* load(32, 30)
        const running = yield* Effect.fork(
          Effect.forEach(Array.from({ length: 3000 }, (_, i) => i % 200 + 1), (id) =>
            Effect.map(Effect.either(select(id)), (answer) =>
              answer._tag === "Right" ? (assert.deepStrictEqual(answer.right, [{ n: id * 3 }]), 0) : 1), {
            concurrency: 64
          })
        )
        for (let i = 0; i < 3; i++) {
          const before = proxy.counts().roundTrips
          yield* eventually(
            Effect.sync(() =>
              proxy.counts().roundTrips
            ),
            (trips) =>
              trips > before + 5 || running.unsafePoll() !== null
          )
          proxy.cutAll()
        }
        const failed = (yield* Fiber.join(running)).reduce((sum: number, one) => sum + one, 0)
        // Not more than three times what can be on three connections.
        assert.isAtMost(failed, 3 * 3 * 32)
        yield* isWhole
      })))

  it.scopedLive("one that is interrupted before it is sent is not sent at all", () =>
    on({}, (proxy) =>
      Effect.gen(function*() {
        yield* load(32, 30)
        proxy.resetCounts()
        const fibers = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i + 1),
          (id) => Effect.fork(select(id))
        )
        // They have asked; this turn of the event loop has not ended.
        yield* Effect.yieldNow()
        const { holders, waiting } = yield* Db.pool
        assert.deepStrictEqual([holders.length, waiting], [20, 0])
        yield* Fiber.interruptAll(fibers.filter((_, i) => i % 4 !== 3))
        const kept = yield* Effect.forEach(fibers.filter((_, i) => i % 4 === 3), Fiber.join)
        assert.deepStrictEqual(kept, [4, 8, 12, 16, 20].map((id) => [{ n: id * 3 }]))
        assert.deepStrictEqual(proxy.counts().messages.frontend, { B: 5, E: 5, S: 5 })
        yield* isWhole
      })))

  it.scopedLive("a cancel that comes late does not hit the next one that has the connection", () =>
    on({ size: 1 }, (proxy, url) =>
      Effect.gen(function*() {
        const ask = yield* observer(url)
        const sql = yield* SqlClient.SqlClient
        const count = (to: number) =>
          sql<
            { readonly n: number }
          >`SELECT count(*)::int4 AS n FROM generate_series(1, ${to}::int8) AS s(i) WHERE i % 7 = 3`
        yield* Effect.forEach(Array.from({ length: 100 }), () => count(7), { concurrency: 8 })
        // The cancel is held until what it is meant for has ended.
        const { fired } = proxy.at(beforeMessage("frontend", ({ type }) => type === "cancelRequest"), "hold")
        const limited = yield* Effect.fork(Effect.exit(Db.withTimeout(count(2_000_000), "50 millis")))
        yield* fired
        const next = yield* Effect.fork(sql<{ readonly n: number }>`SELECT 1 AS n FROM pg_sleep(1)`)
        yield* eventually(
          ask(`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND query LIKE '%generate_series%' AND state = 'active'`),
          (rows) => rows.length === 0
        )
        proxy.heal()
        assert.deepStrictEqual(yield* Fiber.join(next), [{ n: 1 }])
        // Its answer was faster than the cancel.
        assert.deepStrictEqual(yield* Fiber.join(limited), Exit.succeed([{ n: 285_714 }]))
        yield* isWhole
      })))

  it.scopedLive("10,000 interrupts at any moment leave nothing behind", () =>
    on({}, (proxy) =>
      Effect.gen(function*() {
        const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
        console.log(`interrupts of shared connections: DBLIVE_SEED=${seed}`)
        yield* load(32, 30)
        const plans = fc.sample(
          fc.record({ yields: fc.integer({ min: 0, max: 4 }), ticks: fc.integer({ min: 0, max: 3 }) }),
          { numRuns: 10_000, seed }
        )
        const tick = Effect.async<void>((resume) => {
          setImmediate(() => resume(Effect.void))
        })
        const written = yield* writesTo(proxy.port)
        proxy.resetCounts()
        let interrupted = 0
        yield* Effect.forEach(plans, ({ ticks, yields }, i) =>
          Effect.gen(function*() {
            const id = i % 200 + 1
            const fiber = yield* Effect.fork(select(id))
            yield* Effect.repeatN(Effect.yieldNow(), yields)
            if (ticks > 0) yield* Effect.repeatN(tick, ticks)
            const exit = yield* Fiber.interrupt(fiber)
            if (Exit.isSuccess(exit)) assert.deepStrictEqual(exit.value, [{ n: id * 3 }])
            else interrupted++
          }), { concurrency: 64, discard: true })
        assert.isAbove(interrupted, 1000)
        const { B: sent = 0 } = proxy.counts().messages.frontend
        const before = written()
        console.log(`interrupts of shared connections: ${interrupted} of 10000, ${sent} statements in ${before} writes`)
        yield* load(32, 10)
        // They share still. Those before it may not: on a busy machine nearly all are interrupted before they are sent.
        assert.isBelow(written() - before, 320 / 2)
        yield* isWhole
      })), 90_000)
})
