import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fs from "node:fs"
import type * as tls from "node:tls"
import pg from "pg"
import {
  describePostgres,
  describePostgresTls,
  describePrivatePostgres,
  eventually,
  freshDatabase,
  observer,
  PrivatePostgres,
  query,
  sharedPostgres
} from "./postgres.js"

describePostgres("the shared server", () => {
  it.effect("gives a fresh database and drops it with its sessions", () =>
    Effect.gen(function*() {
      const name = yield* Effect.scoped(Effect.gen(function*() {
        const database = yield* freshDatabase
        const rows = yield* query(database.url, "SELECT current_database() AS name, $1::int AS n", [7])
        assert.deepStrictEqual(rows, [{ name: database.name, n: 7 }])
        // Left open: the drop must not wait for it.
        const client = new pg.Client({ connectionString: database.url })
        client.on("error", () => {})
        yield* Effect.promise(() => client.connect())
        return database.name
      }))
      const left = yield* query(sharedPostgres().url, "SELECT 1 FROM pg_database WHERE datname = $1", [name])
      assert.deepStrictEqual(left, [])
    }))

  it.effect("eventually gives up with the last value", () =>
    Effect.gen(function*() {
      let asked = 0
      assert.strictEqual(yield* eventually(Effect.sync(() => ++asked), (n) => n === 3), 3)
      const exit = yield* Effect.exit(eventually(Effect.succeed("no"), (s) => s === "yes", 50))
      assert.include(String(exit), "not within 50 ms")
    }))
})

describePostgresTls("the shared server's TLS", () => {
  it.effect("has a certificate that verifies for localhost and 127.0.0.1, and only with the authority", () =>
    Effect.gen(function*() {
      const { caCert, url } = sharedPostgres()
      const encrypted = (ssl: tls.ConnectionOptions) =>
        Effect.tryPromise(async () => {
          const client = new pg.Client({ connectionString: url, ssl })
          client.on("error", () => {})
          await client.connect()
          const { rows } = await client.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
          await client.end()
          return rows[0].ssl
        })
      assert.isTrue(yield* encrypted({ ca: caCert }))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(encrypted({}))))
      assert.isTrue(
        Exit.isFailure(
          yield* Effect.exit(encrypted({
            ca: caCert,
            checkServerIdentity: () => new Error("not this one")
          }))
        )
      )
    }))
})

describePrivatePostgres("a server of one's own", () => {
  it.effect("stops, starts at the same place with its data, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* PrivatePostgres.make({
          settings: { max_connections: "20" },
          hba: ["hostnossl all postgres 127.0.0.2/32 reject"]
        })
        yield* query(server.url, "CREATE TABLE kept (id int)")
        assert.deepStrictEqual(yield* query(server.url, "SHOW max_connections"), [{ max_connections: "20" }])
        const before = yield* observer(server.url)
        yield* server.stop()
        assert.isTrue(Exit.isFailure(yield* Effect.exit(before("SELECT 1"))))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(query(server.url, "SELECT 1"))))
        yield* server.start
        assert.deepStrictEqual(yield* query(server.url, "SELECT * FROM kept"), [])
        yield* server.restart()
        assert.deepStrictEqual(yield* query(server.url, "SELECT 1 AS one"), [{ one: 1 }])
        return server.socketDirectory
      }))
      assert.isTrue(folder === undefined || !fs.existsSync(folder))
    }))

  it.effect("runs without a certificate where that is asked for", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({ tls: false })
      assert.isUndefined(server.caCert)
      assert.deepStrictEqual(yield* query(server.url, "SHOW ssl"), [{ ssl: "off" }])
    }).pipe(Effect.scoped))
})
