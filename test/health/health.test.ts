/** Health: every field of the report, in each state, on a real server that is stopped and started. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import * as DbHealth from "../../src/DbHealth.js"
import * as DbTest from "../../src/DbTest.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { describePostgres, describePrivatePostgres, eventually, PrivatePostgres } from "../kit/postgres.js"
import { onPostgres, took } from "../time/onPostgres.js"

/** No report is given twice, so that each shows the state it was asked in. */
const fresh = { cache: 0, recent: "300 millis" } as const

/** Holds this many sessions until the scope ends. */
const hold = (count: number) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    let here = 0
    const all = yield* Deferred.make<void>()
    const fiber = yield* Effect.fork(Effect.forEach(
      Array.from({ length: count }),
      () =>
        Db.session(Effect.suspend(() => {
          here++
          return Effect.zipRight(
            here === count ? Deferred.succeed(all, undefined) : Effect.void,
            Deferred.await(gate)
          )
        })),
      { concurrency: "unbounded", discard: true }
    ))
    yield* Deferred.await(all)
    return Effect.zipRight(Deferred.succeed(gate, undefined), Fiber.join(fiber))
  })

describePrivatePostgres("on a server that is stopped and started", () => {
  it.scopedLive("healthy, unhealthy at once, healthy again", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make()
      yield* Effect.gen(function*() {
        const before = yield* Db.health
        const { pool, responseTimeMillis, timestamp, ...rest } = before
        assert.deepStrictEqual(rest, {
          databaseName: "default",
          databaseType: "postgresql",
          status: "healthy",
          connection: true,
          queryTest: true,
          migrationStatus: null,
          error: null
        })
        assert.isAbove(responseTimeMillis, 0)
        assert.isBelow(Math.abs(Date.now() - timestamp.getTime()), 10_000)
        assert.deepStrictEqual(pool, {
          size: 2,
          capacity: 3,
          open: 1,
          idle: 1,
          inUse: 0,
          opening: 0,
          waiting: 0,
          overflow: 0,
          invalidated: 0,
          timeouts: 0,
          longestWaitMillis: 0
        })
        // It encodes to JSON in snake case, and comes back.
        const json = JSON.parse(JSON.stringify(Schema.encodeSync(DbHealth.Report)(before))) as { readonly pool: object }
        assert.hasAllKeys(json.pool, [
          "size",
          "capacity",
          "open",
          "idle",
          "in_use",
          "opening",
          "waiting",
          "overflow",
          "invalidated",
          "timeouts",
          "longest_wait_ms"
        ])
        assert.hasAllKeys(json, [
          "database_name",
          "database_type",
          "status",
          "connection",
          "query_test",
          "response_time_ms",
          "pool",
          "migration_status",
          "error",
          "timestamp"
        ])
        for (
          const [status, word] of [["upToDate", "up_to_date"], ["pending", "pending"], ["failed", "failed"]] as const
        ) {
          assert.strictEqual(Schema.encodeSync(DbHealth.MigrationStatus)(status), word)
        }
        assert.deepStrictEqual(yield* Schema.decodeUnknown(DbHealth.Report)(json), before)

        yield* server.stop("immediate")
        const [millis, down] = yield* took(Db.health)
        assert.isBelow(millis, 2_000)
        assert.deepInclude(down, { status: "unhealthy", connection: false, queryTest: false, migrationStatus: null })
        assert.isString(down.error)
        assert.isFalse(yield* Db.ping)

        yield* server.start
        const again = yield* eventually(Db.health, ({ status }) => status !== "unhealthy")
        assert.deepInclude(again, { status: "healthy", connection: true, queryTest: true, error: null })
        assert.isTrue(yield* Db.ping)
        const info = yield* Db.info
        assert.isAtLeast(info.connectionFailures, 1)
        assert.isAtLeast(info.pool.invalidated, 1)
      }).pipe(
        Effect.provide(
          Db.layer({
            url: server.url,
            environment: "production",
            ssl: "disable",
            pool: { size: 2, overflow: 1 },
            health: fresh
          })
        )
      )
    }))

  it.scopedLive("a dead server and `connectOnStart: false`: unhealthy, at once", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make()
      yield* server.stop()
      yield* Effect.gen(function*() {
        assert.isFalse((yield* Db.info).opened)
        const [millis, report] = yield* took(Db.health)
        assert.isBelow(millis, 1_000)
        assert.deepInclude(report, { status: "unhealthy", connection: false, queryTest: false })
        assert.match(report.error ?? "", /refused|ECONNREFUSED/i)
        assert.notInclude(report.error, server.password)
        yield* server.start
        assert.deepInclude(yield* eventually(Db.health, ({ status }) => status === "healthy"), { queryTest: true })
        assert.isTrue((yield* Db.info).opened)
      }).pipe(
        Effect.provide(
          Db.layer({ url: server.url, environment: "production", ssl: "disable", connectOnStart: false, health: fresh })
        )
      )
    }))
})

describePostgres("on PostgreSQL", () => {
  it.scopedLive("a saturated pool is degraded, not unhealthy; so is a recent timeout", () =>
    onPostgres(
      { pool: { size: 3, acquireTimeout: "200 millis" }, health: { ...fresh, longWait: "50 millis" } },
      () =>
        Effect.gen(function*() {
          const release = yield* hold(3)
          const full = yield* Db.health
          assert.deepInclude(full, {
            status: "degraded",
            connection: true,
            queryTest: true,
            error: "all 3 connections are in use"
          })
          assert.deepInclude(full.pool, { inUse: 3, open: 3, idle: 0 })
          const waiting = yield* Effect.fork(Effect.flip(Db.session(Effect.void)))
          const long = yield* eventually(Db.health, ({ pool }) => pool.longestWaitMillis > 50)
          assert.strictEqual(long.status, "degraded")
          assert.match(long.error ?? "", /1 wait for a connection, the first for \d+ ms/)
          assert.deepInclude(yield* Fiber.join(waiting), { _tag: "TimeoutError", phase: "Acquire" })
          yield* release
          const recent = yield* Db.health
          assert.deepInclude(recent, { status: "degraded", queryTest: true })
          assert.match(recent.error ?? "", /^a wait for a connection reached its limit \d+ ms ago$/)
          assert.strictEqual(recent.pool.timeouts, 1)
          yield* eventually(Db.health, ({ status }) => status === "healthy")
        })
    ))

  it.scopedLive("a slow answer is degraded, none is unhealthy, within the limit", () =>
    onPostgres({ health: { ...fresh, slow: "100 millis", timeout: "700 millis" } }, (server) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* Db.health).status, "healthy")
        server.proxy.delay(150)
        const slow = yield* Db.health
        assert.strictEqual(slow.status, "degraded")
        assert.match(slow.error ?? "", /^answered in \d+ ms, more than 100$/)
        server.proxy.delay(0)
        server.proxy.blackHole()
        const [millis, none] = yield* took(Db.health)
        assert.isBelow(millis, 2_000)
        assert.deepInclude(none, {
          status: "unhealthy",
          queryTest: false,
          error: "the database did not answer within 700 ms"
        })
        server.proxy.heal()
        server.proxy.cutAll()
        yield* eventually(Db.health, ({ status }) => status === "healthy")
      }), "proxied"))
})

describe("the state of migrations", () => {
  for (
    const [status, expected] of [
      ["upToDate", "healthy"],
      ["pending", "degraded"],
      ["failed", "degraded"]
    ] as const
  ) {
    it.live(`${status}: ${expected}`, () =>
      Effect.gen(function*() {
        yield* Db.watchMigrations(Effect.succeed(status))
        assert.deepInclude(yield* Db.health, {
          status: expected,
          migrationStatus: status,
          error: expected === "healthy" ? null : `migrations: ${status}`
        })
      }).pipe(Effect.provide(DbTest.sqlite({ options: { health: fresh } }))))
  }

  it.live("one that never answers does not hold up the report", () =>
    Effect.gen(function*() {
      yield* Db.watchMigrations(Effect.never)
      assert.deepInclude(yield* Db.health, { status: "healthy", migrationStatus: null })
    }).pipe(Effect.provide(DbTest.sqlite({ options: { health: { ...fresh, timeout: "100 millis" } } }))))
})

describe("the probe", () => {
  it.scoped("64 callers at once make one, which the first of them cannot take away", () =>
    Effect.gen(function*() {
      // A connection that was idle is pinged by the pool, too, before it is used.
      const { control, layer } = yield* fakeDb({ pool: { validateAfter: "1 hour" } })
      const gate = yield* Deferred.make<void>()
      control.ping.always({ after: Deferred.await(gate) })
      yield* Effect.gen(function*() {
        const first = yield* Effect.fork(Db.health)
        yield* Effect.yieldNow()
        const others = yield* Effect.fork(Effect.all(Array.from({ length: 64 }, () => Db.health), { concurrency: 64 }))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        yield* Deferred.succeed(gate, undefined)
        const reports = yield* Fiber.join(others)
        assert.strictEqual(new Set(reports).size, 1)
        assert.strictEqual(reports[0]!.status, "healthy")
        assert.strictEqual(control.ping.calls, 1)
        // Given again for a second, and then asked for anew.
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(yield* Db.health, reports[0])
        yield* TestClock.adjust("1 millis")
        assert.notStrictEqual(yield* Db.health, reports[0])
        assert.strictEqual(control.ping.calls, 2)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))

  it.scoped("a query that fails on a good connection is unhealthy, with a connection", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.ping.always({ fail: fakeErrors.unique })
      assert.deepInclude(yield* Effect.provide(Db.health, layer), {
        status: "unhealthy",
        connection: true,
        queryTest: false,
        error: fakeErrors.unique.message
      })
    }))
})
