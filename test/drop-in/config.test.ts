/** `config` of the published clients: what programs read there is what the layer connects with. */
import * as MssqlClient from "@effect/sql-mssql/MssqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import { parse } from "pg-connection-string"
import { Db } from "../../src/Db.js"
import type { Options } from "../../src/DbConfig.js"
import * as Mssql from "../../src/driver/Mssql.js"
import * as Pg from "../../src/driver/Pg.js"
import * as Sqlite from "../../src/driver/Sqlite.js"
import { makeAuthority } from "../kit/certificates.js"

/** Nothing is connected to. */
const offline: Options = { connectOnStart: false, environment: "production" }

const pgConfig = (options: Options) =>
  Effect.map(Pg.PgClient, (client) => client.config).pipe(
    Effect.provide(Db.layer({ ...offline, ...options }).pipe(Pg.withClient))
  )

const url = "postgres://us%40er:p%3Ass@db.example.org:5433/da%2Fta"

describe("PgClient.config", () => {
  it.effect("has the address, by its parts and as a URL, and what the pool is set to", () =>
    Effect.gen(function*() {
      const config = yield* pgConfig({
        url,
        ssl: "disable",
        applicationName: "app",
        pool: { size: 3, overflow: 2, minIdle: 1, connectTimeout: "2 seconds", idleTimeout: "3 seconds" },
        spanAttributes: { a: 1 }
      })
      assert.deepInclude(config, {
        host: "db.example.org",
        port: 5433,
        username: "us@er",
        database: "da/ta",
        ssl: false,
        applicationName: "app",
        maxConnections: 5,
        minConnections: 1,
        spanAttributes: { a: 1 }
      })
      assert.deepStrictEqual(Redacted.value(config.password!), "p:ss")
      assert.deepStrictEqual(Duration.toMillis(config.connectTimeout!), 2_000)
      assert.deepStrictEqual(Duration.toMillis(config.idleTimeout!), 3_000)
      const { database, host, password, port, user } = parse(Redacted.value(config.url!))
      assert.deepStrictEqual({ database, host, password, port, user }, {
        database: "da/ta",
        host: "db.example.org",
        password: "p:ss",
        port: "5433",
        user: "us@er"
      })
    }))

  it.effect("has a URL of a socket and of an address of IPv6", () =>
    Effect.gen(function*() {
      const socket = yield* pgConfig({ type: "postgresql", host: "/var/run/pg", port: 5444, username: "u" })
      assert.deepInclude(parse(Redacted.value(socket.url!)), {
        host: "/var/run/pg",
        port: "5444",
        user: "u",
        database: "u"
      })
      assert.strictEqual(socket.database, "u")
      const six = yield* pgConfig({ type: "postgresql", host: "::1", username: "u", ssl: "require" })
      assert.strictEqual(Redacted.value(six.url!), "postgresql://u@[::1]:5432/u?sslmode=require")
    }))

  it.effect("`ssl` says what must be: nothing for `prefer`, no check for `require`", () =>
    Effect.gen(function*() {
      const { cert } = yield* Effect.promise(() => makeAuthority("test"))
      assert.strictEqual((yield* pgConfig({ url, ssl: "disable" })).ssl, false)
      assert.strictEqual((yield* pgConfig({ url, ssl: "prefer" })).ssl, false)
      assert.strictEqual((yield* pgConfig({ url })).ssl, false)
      assert.deepStrictEqual((yield* pgConfig({ url, ssl: "require" })).ssl, { rejectUnauthorized: false })
      assert.deepInclude((yield* pgConfig({ url, ssl: "verify-ca", sslRootCert: cert })).ssl, {
        rejectUnauthorized: true,
        ca: cert
      })
      assert.deepStrictEqual((yield* pgConfig({ url, ssl: "verify-full" })).ssl, { rejectUnauthorized: true })
      assert.strictEqual((yield* pgConfig({ type: "postgresql", host: "/run", ssl: "require" })).ssl, false)
    }))

  it.effect("shows neither password nor key", () =>
    Effect.gen(function*() {
      const { cert, key } = yield* Effect.promise(async () => (await makeAuthority("test")).issue("client", ["client"]))
      const config = yield* pgConfig({ url, ssl: "require", sslCert: cert, sslKey: key })
      const shown = [inspect(config, { depth: 9 }), JSON.stringify(config), inspect({ ...config }, { depth: 9 })].join()
      assert.notInclude(shown, "p:ss")
      assert.notInclude(shown, "p%3Ass")
      assert.notInclude(shown, key.split("\n")[1]!)
      assert.strictEqual(typeof config.ssl === "object" ? config.ssl.key : undefined, key)
    }))
})

const of = <I, A extends { readonly config: object }, E>(
  tag: Effect.Effect<A, never, I>,
  layer: Layer.Layer<I, E>
): Effect.Effect<A["config"], E> => Effect.provide(Effect.map(tag, (client) => client.config), layer)

describe("SqliteClient.config", () => {
  it.effect("has the file and what it is opened with", () =>
    Effect.gen(function*() {
      const client = Sqlite.SqliteClient
      const config = yield* of(client, Db.layer({ url: "sqlite://:memory:" }).pipe(Sqlite.withClient))
      assert.deepInclude(config, { filename: ":memory:", readonly: false, prepareCacheSize: 256, disableWAL: false })
      const other = yield* of(
        client,
        Db.layer({ ...offline, type: "sqlite", filename: "/nowhere/a.db", settings: { Journal_Mode: "delete" } }).pipe(
          Sqlite.withClient
        )
      )
      assert.deepInclude(other, { filename: "/nowhere/a.db", disableWAL: true })
    }))
})

describe("MssqlClient.config", () => {
  it.effect("has the address, how to log in and what the pool is set to", () =>
    Effect.gen(function*() {
      const client = MssqlClient.MssqlClient
      const config = yield* of(
        client,
        Db.layer({ ...offline, url: "mssql://u:s3cret@h:1444/d", ssl: "require", pool: { size: 2, overflow: 1 } }).pipe(
          Mssql.withClient
        )
      )
      assert.deepInclude(config, {
        server: "h",
        port: 1444,
        instanceName: undefined,
        database: "d",
        username: "u",
        encrypt: true,
        trustServer: true,
        maxConnections: 3,
        minConnections: 1
      })
      assert.strictEqual(Redacted.value(config.password!), "s3cret")
      assert.notInclude(inspect(config, { depth: 9 }) + JSON.stringify(config), "s3cret")
      const named = yield* of(
        client,
        Db.layer({
          ...offline,
          type: "mssql",
          host: "h\\inst",
          username: "u",
          password: "p",
          settings: { authentication: "ntlm", domain: "CORP" }
        }).pipe(Mssql.withClient)
      )
      assert.deepInclude(named, {
        instanceName: "inst",
        port: undefined,
        authType: "ntlm",
        domain: "CORP",
        trustServer: false
      })
    }))
})
