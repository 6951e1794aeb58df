import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as net from "node:net"
import pg from "pg"
import { describePostgres, describePostgresTls, eventually, freshDatabase, observer } from "./postgres.js"
import {
  afterBytes,
  afterReply,
  afterStatement,
  beforeMessage,
  beforeReply,
  beforeStatement,
  makeProxy,
  type Proxy
} from "./proxy.js"

const connect = (url: string, ssl?: pg.ClientConfig["ssl"]) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url, ...(ssl === undefined ? {} : { ssl }) })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => Promise.race([client.end().catch(() => {}), Promise.resolve()]))
  )

const send = (client: pg.Client, text: string, name?: string) =>
  Effect.tryPromise(() => client.query(name === undefined ? { text } : { text, name, values: [] }))

const setup = Effect.gen(function*() {
  const database = yield* freshDatabase
  const proxy = yield* makeProxy(database)
  const direct = yield* observer(database.url)
  yield* direct("CREATE TABLE note (id int PRIMARY KEY)")
  const ids = Effect.map(direct("SELECT id FROM note ORDER BY id"), (rows) => rows.map(({ id }) => id))
  return { proxy, direct, ids, url: proxy.url(database.url), database }
})

/** Whether an effect is still under way after a short while of real time. */
const hangs = (promise: Promise<unknown>) =>
  Effect.promise(() =>
    Promise.race([
      promise.then(() => false, () => false),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 100))
    ])
  )

describePostgres("the proxy", () => {
  it.scoped("passes everything and counts it", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* setup
      const client = yield* connect(url)
      proxy.resetCounts()
      yield* send(client, "SELECT 1")
      yield* send(client, "SELECT 2", "two")
      yield* send(client, "SELECT 2", "two")
      const counts = proxy.counts()
      assert.deepStrictEqual(counts.statements, ["SELECT 1", "SELECT 2", "SELECT 2"])
      assert.strictEqual(counts.roundTrips, 3)
      assert.deepInclude(counts.messages.frontend, { Q: 1, P: 1, B: 2, E: 2, S: 2 })
      assert.deepInclude(counts.messages.backend, { Z: 3, C: 3 })
      const [link] = proxy.connections()
      assert.isAbove(link?.bytes.backend ?? 0, counts.bytes.backend)
      const big = yield* send(client, "SELECT repeat('x', 5000000) AS big")
      assert.strictEqual(big.rows[0].big.length, 5_000_000)
    }))

  it.scoped("cuts before a statement: the server never runs it", () =>
    Effect.gen(function*() {
      const { direct, ids, proxy, url } = yield* setup
      for (const name of [undefined, "insert"]) {
        const client = yield* connect(url)
        yield* send(client, "BEGIN")
        yield* send(client, "INSERT INTO note VALUES (1)", name)
        const trigger = proxy.at(beforeStatement(/^commit$/i), "cut")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(send(client, "COMMIT", name === undefined ? name : "c"))))
        yield* trigger.fired
        yield* eventually(
          direct("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"),
          (rows) => rows.length === 0
        )
        assert.deepStrictEqual(yield* ids, [])
      }
    }))

  it.scoped("cuts after a statement or before its reply: the server has run it, the client does not know", () =>
    Effect.gen(function*() {
      const { ids, proxy, url } = yield* setup
      let id = 0
      for (const point of [afterStatement(/^insert/i), beforeReply("INSERT")]) {
        for (const name of [undefined, "insert"]) {
          id++
          const client = yield* connect(url)
          proxy.at(point, "cut")
          assert.isTrue(Exit.isFailure(yield* Effect.exit(send(client, `INSERT INTO note VALUES (${id})`, name))))
          yield* eventually(ids, (all) => all.includes(id))
        }
      }
      const client = yield* connect(url)
      const trigger = proxy.at(afterReply("INSERT"), "cut")
      yield* Effect.exit(send(client, "INSERT INTO note VALUES (9)"))
      yield* trigger.fired
    }))

  it.scoped("cuts after N bytes, at every point of a connection's opening", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* setup
      yield* connect(url)
      const [link] = proxy.connections()
      const total = link?.bytes.backend ?? 0
      for (const bytes of [0, 1, Math.floor(total / 2), total - 1]) {
        const trigger = proxy.at(afterBytes("backend", bytes), "cut")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(connect(url))), `${bytes} of ${total}`)
        yield* trigger.fired
      }
      yield* connect(url)
    }))

  it.scoped("goes silent, and goes on where it was when it heals", () =>
    Effect.gen(function*() {
      const { ids, proxy, url } = yield* setup
      const client = yield* connect(url)
      const before = proxy.at(afterBytes("frontend", 3), "hold")
      const insert = client.query("INSERT INTO note VALUES (1)")
      yield* before.fired
      assert.isTrue(yield* hangs(insert))
      assert.deepStrictEqual(yield* ids, [])
      proxy.heal()
      yield* Effect.promise(() => insert)

      proxy.blackHole("backend")
      const second = client.query("INSERT INTO note VALUES (2)")
      yield* eventually(ids, (all) => all.includes(2))
      assert.isTrue(yield* hangs(second))
      proxy.heal()
      yield* Effect.promise(() => second)

      const hole = proxy.at(beforeMessage("frontend", ({ type }) => type === "Q"), "blackHole")
      const third = client.query("INSERT INTO note VALUES (3)")
      yield* hole.fired
      const other = new pg.Client({ connectionString: url })
      const connecting = other.connect()
      assert.isTrue(yield* hangs(connecting))
      assert.isTrue(yield* hangs(third))
      proxy.heal()
      yield* Effect.promise(() => Promise.all([connecting, third]).then(() => other.end()))
      assert.deepStrictEqual(yield* ids, [1, 2, 3])
    }))

  it.scoped("delays", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* setup
      const client = yield* connect(url)
      proxy.delay(200)
      const start = performance.now()
      yield* send(client, "SELECT 1")
      assert.isAtLeast(performance.now() - start, 395)
      proxy.delay(0)
      const again = performance.now()
      yield* send(client, "SELECT 1")
      assert.isBelow(performance.now() - again, 395)
    }))

  it.scoped("refuses and accepts again, and cuts all", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* setup
      const client = yield* connect(url)
      yield* proxy.refuse
      const code = yield* Effect.promise(() =>
        new Promise((resolve) => {
          net.connect(proxy.port, proxy.host).on("error", (error: NodeJS.ErrnoException) => resolve(error.code))
        })
      )
      assert.strictEqual(code, "ECONNREFUSED")
      yield* send(client, "SELECT 1")
      assert.strictEqual(proxy.cutAll(), 1)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(send(client, "SELECT 1"))))
      yield* proxy.accept
      yield* connect(url)
      assert.strictEqual(proxy.connections().length, 1)
    }))

  it.effect("ends with its scope", () =>
    Effect.gen(function*() {
      const { database } = yield* setup
      const inner = yield* Effect.scoped(Effect.gen(function*() {
        const proxy: Proxy = yield* makeProxy(database)
        const client = yield* connect(proxy.url(database.url))
        return { proxy, client }
      }))
      assert.deepStrictEqual(inner.proxy.connections(), [])
      assert.isTrue(Exit.isFailure(
        yield* Effect.exit(Effect.tryPromise(() => {
          const client = new pg.Client({ connectionString: inner.proxy.url(database.url) })
          return client.connect()
        }))
      ))
    }).pipe(Effect.scoped))
})

describePostgresTls("the proxy and TLS", () => {
  it.scoped("lets TLS pass unread", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* setup
      const client = yield* connect(url, { rejectUnauthorized: false })
      yield* send(client, "SELECT 1")
      assert.deepInclude(proxy.counts().messages.frontend, { sslRequest: 1 })
      assert.deepStrictEqual(proxy.counts().statements, [])
    }))
})
