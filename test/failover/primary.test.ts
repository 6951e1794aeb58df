/** Several servers: the primary is found, and what is none any more is not used. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import type { Options } from "../../src/DbConfig.js"
import * as DbRetry from "../../src/DbRetry.js"
import type { PgConnection } from "../../src/internal/driver/pg/connection.js"
import { Primary } from "../../src/internal/driver/pg/primary.js"
import { driverAt, opened } from "../driver/pg/fixture.js"
import { makePair, type Node, type Pair, promote, urlOf } from "../kit/cluster.js"
import { dbConfig } from "../kit/dbConfig.js"
import { describePostgres, describePrivatePostgres, eventually, freshDatabase, query } from "../kit/postgres.js"
import { makeProxy } from "../kit/proxy.js"
import { isWhole } from "../suites/sessions.js"

const layer = ({ primary, standby }: Pair, options: Options = {}, parameters?: string) =>
  Db.layer({
    url: urlOf([primary, standby], parameters),
    environment: "production",
    ssl: "disable",
    ...options,
    pool: { size: 4, overflow: 0, keepalive: 0, validateAfter: "1 hour", acquireTimeout: "20 seconds", ...options.pool }
  })

/** Opens this many connections, and lets them be idle. */
const warm = (count: number) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<void>()
    let here = 0
    yield* Effect.forEach(Array.from({ length: count }), () =>
      Db.session(Effect.suspend(() => {
        here++
        return here === count ? Deferred.succeed(gate, undefined) : Deferred.await(gate)
      })), { concurrency: "unbounded" })
  })

/** Ends when every session of the server has been told. */
const makeReadOnly = ({ server: { url } }: Node) =>
  query(url, "ALTER SYSTEM SET default_transaction_read_only = on").pipe(
    Effect.zipRight(query(url, "SELECT pg_reload_conf()")),
    Effect.zipRight(
      eventually(
        query(url, "SELECT current_setting('default_transaction_read_only') AS setting"),
        ([row]) => row!["setting"] === "on"
      )
    )
  )

const port = Db.scalar<string>("SELECT current_setting('port')")
const ports = Effect.forEach(Array.from({ length: 8 }), () => port, { concurrency: "unbounded" })

describePrivatePostgres("a primary that becomes read-only", () => {
  it.scopedLive("is left by all its connections, and found again where it is", () =>
    Effect.gen(function*() {
      const pair = yield* makePair
      const { primary, standby } = pair
      yield* query(primary.server.url, "CREATE TABLE note (body text)")
      yield* Effect.gen(function*() {
        yield* warm(4)
        const write = Db.query("INSERT INTO note VALUES ('a')")
        // What a program wants by itself says nothing of the server.
        const own = yield* Effect.flip(Db.transaction({ readOnly: true })(write))
        assert.deepInclude(own, { _tag: "QueryError", reason: "ReadOnly", outcome: "RolledBack" })
        yield* write
        assert.strictEqual(primary.proxy.counts().connections, 4)
        yield* makeReadOnly(primary)
        yield* promote(standby)
        const error = yield* Effect.flip(write)
        assert.deepInclude(error, {
          _tag: "ConnectionError",
          reason: "ReadOnlyServer",
          outcome: "RolledBack",
          code: "25006"
        })
        assert.isTrue(error.isTransient)
        // No other connection to it is tried: none of these fails.
        yield* Effect.forEach(Array.from({ length: 8 }), () => write, { concurrency: "unbounded" })
        assert.deepStrictEqual(new Set(yield* ports), new Set([String(standby.server.port)]))
        yield* eventually(Effect.sync(() => primary.proxy.connections().length), (n) => n === 0)
        yield* isWhole
      }).pipe(Effect.provide(layer(pair)))
    }), 60_000)

  it.scopedLive("a transaction that is retried goes on at the new one", () =>
    Effect.gen(function*() {
      const pair = yield* makePair
      const { primary, standby } = pair
      yield* query(primary.server.url, "CREATE TABLE note (body text)")
      yield* Effect.gen(function*() {
        yield* warm(4)
        yield* makeReadOnly(primary)
        const writing = yield* Effect.fork(
          Db.query("INSERT INTO note VALUES ('a')").pipe(Db.transaction({ retry: DbRetry.transient }))
        )
        yield* eventually(Db.metrics, ({ failures }) => Object.keys(failures).length > 0)
        yield* promote(standby)
        yield* Fiber.join(writing)
        assert.lengthOf(yield* query(standby.server.url, "SELECT FROM note"), 1)
      }).pipe(Effect.provide(layer(pair)))
    }), 60_000)

  it.scopedLive("with target_session_attrs=any the hosts are asked in another order", () =>
    Effect.gen(function*() {
      const pair = yield* makePair
      const { primary, standby } = pair
      yield* query(primary.server.url, "CREATE TABLE note (body text)")
      yield* Effect.gen(function*() {
        // The standby comes first.
        assert.strictEqual(yield* port, String(standby.server.port))
        const write = Db.query("INSERT INTO note VALUES ('a')")
        assert.deepInclude(yield* Effect.flip(write), { _tag: "ConnectionError", reason: "ReadOnlyServer" })
        yield* write
        assert.strictEqual(yield* port, String(primary.server.port))
      }).pipe(Effect.provide(layer({ primary: standby, standby: primary }, {}, "target_session_attrs=any")))
      // Many openings at once look for the primary together.
      standby.proxy.resetCounts()
      yield* warm(8).pipe(Effect.provide(layer({ primary: standby, standby: primary }, { pool: { size: 8 } })))
      assert.isBelow(standby.proxy.counts().connections, 4)
    }), 60_000)
})

describePostgres("a server that does not tell its timeline", () => {
  it.scoped("is opened all the same, and asked once", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const role = `role_${database.name}`
      yield* query(database.url, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
      yield* Effect.addFinalizer(() => query(database.url, `DROP ROLE ${role}`))
      // In this database only: the function is one of its catalog.
      yield* query(database.url, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const url = new URL(proxy.url(database.url))
      url.username = role
      url.password = "secret"
      const driver = yield* driverAt(`${url.href}?target_session_attrs=primary`, { ssl: "disable" })
      const trips = Effect.suspend(() => {
        proxy.resetCounts()
        return Effect.map(Effect.scoped(opened(driver)), () => proxy.counts().roundTrips)
      })
      const first = yield* trips
      assert.strictEqual(yield* trips, first - 1)
    }))

  it.scoped("is asked nothing where no primary is asked for", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const trips = (parameters: string) =>
        Effect.flatMap(driverAt(proxy.url(database.url) + parameters, { ssl: "disable" }), (driver) => {
          proxy.resetCounts()
          return Effect.map(Effect.scoped(opened(driver)), () => proxy.counts().roundTrips)
        })
      const none = yield* trips("")
      assert.strictEqual(yield* trips("?target_session_attrs=read-write"), none + 1)
      assert.strictEqual(yield* trips("?target_session_attrs=prefer-standby"), none)
    }))
})

describe("timelines", () => {
  it("are compared within one cluster", () => {
    const config = dbConfig({ url: "postgres://a@db1/d?target_session_attrs=read-write" })
    const host = config.hosts[0]!
    const primary = new Primary()
    // Of a connection only this is read.
    const connection = { lost: false, retired: false } as unknown as PgConnection
    primary.found(config, host, connection, { system: "1", timeline: 3 })
    assert.isUndefined(primary.refusal(config, host, { system: "1", timeline: 3 }))
    assert.isUndefined(primary.refusal(config, host, { system: "1", timeline: 4 }))
    assert.isUndefined(primary.refusal(config, host, { system: "2", timeline: 1 }))
    assert.deepInclude(primary.refusal(config, host, { system: "1", timeline: 2 }), { reason: "StaleTimeline" })
  })
})

describePrivatePostgres("an old primary that comes back", () => {
  it.scopedLive("is not taken for the primary", () =>
    Effect.gen(function*() {
      const pair = yield* makePair
      const { primary, standby } = pair
      yield* query(primary.server.url, "CREATE TABLE note (body text)")
      yield* Effect.gen(function*() {
        yield* warm(4)
        // Cut off from its clients, and else alive.
        primary.proxy.blackHole()
        yield* promote(standby)
        const held = yield* Effect.flip(Db.query("SELECT 1", [], { timeout: "100 millis" }))
        assert.deepInclude(held, { _tag: "TimeoutError", phase: "Statement" })
        assert.strictEqual(yield* port, String(standby.server.port))
        primary.proxy.heal()
        assert.deepStrictEqual(new Set(yield* ports), new Set([String(standby.server.port)]))
        yield* standby.server.stop("kill")
        // Its processes say goodbye one by one, when they find that the first one is gone.
        yield* eventually(Db.pool, ({ idle }) => idle === 0)
        const error = yield* Effect.flip(Db.query("INSERT INTO note VALUES ('lost')"))
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "StaleTimeline", outcome: "NotSent" })
        assert.match(error.message, /accepts writes on timeline 1, but timeline 2 was seen before/)
        assert.lengthOf(yield* query(primary.server.url, "SELECT FROM note"), 0)
        yield* standby.server.start
        assert.strictEqual(yield* port, String(standby.server.port))
        yield* isWhole
      }).pipe(Effect.provide(layer(pair, { pool: { acquireTimeout: "8 seconds" } })))
    }), 60_000)

  it.scopedLive("ends the sessions on it as soon as the new one is seen", () =>
    Effect.gen(function*() {
      const pair = yield* makePair
      const { primary, standby } = pair
      yield* query(primary.server.url, "CREATE TABLE note (body text)")
      yield* Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const begun = yield* Deferred.make<void>()
        const open = yield* Effect.fork(Effect.flip(
          Db.query("INSERT INTO note VALUES ('lost')").pipe(
            Effect.zipRight(Deferred.succeed(begun, undefined)),
            Effect.zipRight(Deferred.await(gate)),
            Db.transaction
          )
        ))
        yield* Deferred.await(begun)
        yield* primary.proxy.refuse
        yield* promote(standby)
        // The only idle one is gone: a new one is opened.
        assert.strictEqual(yield* port, String(standby.server.port))
        yield* Deferred.succeed(gate, undefined)
        assert.deepInclude(yield* Fiber.join(open), { _tag: "ConnectionError", reason: "Lost", outcome: "RolledBack" })
        assert.lengthOf(yield* query(primary.server.url, "SELECT FROM note"), 0)
      }).pipe(Effect.provide(layer(pair)))
    }), 60_000)
})
