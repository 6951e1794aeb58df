import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import { expect } from "vitest"
import type { DbConfig } from "../../../src/DbConfig.js"
import { make } from "../../../src/driver/Mysql.js"
import { makeAuthority } from "../../kit/certificates.js"
import type { Changes } from "../../kit/dbConfig.js"
import {
  describeMariadb,
  describePrivateMysql,
  freshMysqlDatabase,
  freshMysqlDatabaseAt,
  mysqlQuery,
  privateMysql
} from "../../kit/mysql.js"
import { eventually } from "../../kit/postgres.js"
import { configFor, open, openFails, openWith } from "./harness.js"
import { makeRelay } from "./relay.js"

const ssl = (mode: DbConfig["ssl"]["mode"], ca?: string): Pick<DbConfig, "ssl"> => ({
  ssl: { mode, ca, cert: undefined, key: undefined }
})

const cipher = "SELECT VARIABLE_VALUE AS v FROM information_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'"

describeMariadb("Opening a MySQL connection", () => {
  it.live("names why there is none", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      const failure = (changes: Changes) => openFails(configFor(database, changes), database)
      expect(yield* failure({ hosts: [{ host: "127.0.0.1", port: 1 }] })).toMatchObject({
        _tag: "ConnectionError",
        reason: "Refused",
        outcome: "NotSent",
        code: "ECONNREFUSED"
      })
      expect(yield* failure({ hosts: [{ host: "nowhere.invalid", port: 3306 }] })).toMatchObject({
        reason: "HostNotFound"
      })
      expect(yield* failure({ hosts: [{ host: "/nowhere", port: 3306 }] })).toMatchObject({ reason: "Refused" })
      expect(yield* failure({ password: Redacted.make("wrong") })).toMatchObject({
        reason: "Authentication",
        code: "1045"
      })
      expect(yield* failure({ password: undefined })).toMatchObject({ reason: "Authentication" })
      expect(yield* failure({ database: "no_such_database" })).toMatchObject({
        reason: "UnknownDatabase",
        code: "1049"
      })
      expect(yield* failure({ settings: { no_such_setting: "1" } })).toMatchObject({
        reason: "Unsupported",
        code: "1193"
      })
      expect(yield* failure({ settings: { time_zone: "Europe/Berlin" } })).toMatchObject({ reason: "Unsupported" })
      expect(yield* failure({ settings: { "a = 1, sql_mode": "" } })).toMatchObject({ reason: "Unsupported" })
      expect(yield* failure({ channelBinding: "require" })).toMatchObject({ reason: "Unsupported" })
      expect(yield* failure({ hosts: [] })).toMatchObject({ reason: "Unsupported" })
      const user = database.name.slice(0, 20)
      yield* Effect.acquireRelease(
        mysqlQuery(database.url, `CREATE USER ${user}@'%' IDENTIFIED BY 'pw'`),
        () => mysqlQuery(database.url, `DROP USER ${user}@'%'`)
      )
      expect(yield* failure({ username: user, password: Redacted.make("pw") })).toMatchObject({
        reason: "Authorization",
        code: "1044"
      })
    }).pipe(Effect.scoped))

  it.live("sets a connection up as configured", () =>
    Effect.gen(function*() {
      const db = yield* open({
        applicationName: "my-program",
        settings: {
          lc_time_names: "de_DE",
          sql_mode: "ANSI_QUOTES,STRICT_ALL_TABLES",
          max_length_for_sort_data: "2048"
        }
      })
      expect(db.connection.serverVersion).toMatch(/^\d+\.\d+/)
      expect(db.driver.target).toMatchObject({ system: "mariadb", namespace: db.database.name, address: "127.0.0.1" })
      expect(db.driver.target.uri).not.toContain(db.database.password)
      expect(
        yield* db.run(
          "SELECT CONNECTION_ID() AS id, @@character_set_client AS c, @@time_zone AS z, @@sql_mode AS m, " +
            "@@lc_time_names AS l, @@max_length_for_sort_data AS s, DATABASE() AS db"
        )
      ).toEqual([{
        id: db.connection.id,
        c: "utf8mb4",
        z: "+00:00",
        m: "ANSI_QUOTES,STRICT_ALL_TABLES",
        l: "de_DE",
        s: 2048,
        db: db.database.name
      }])
      expect(
        yield* mysqlQuery(
          db.database.url,
          "SELECT ATTR_VALUE AS v FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID = ? AND ATTR_NAME = 'program_name'",
          [db.connection.id]
        )
      ).toEqual([{ v: "my-program" }])
    }).pipe(Effect.scoped))

  it.live("can create the database first, also at the same time as others", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      const name = `${database.name}.new`
      const config = configFor(database, { database: name, settings: { sql_mode: "ANSI" } })
      expect(yield* openFails(config, database)).toMatchObject({ reason: "UnknownDatabase" })
      const driver = yield* make(config)
      yield* Effect.addFinalizer(() => mysqlQuery(database.url, `DROP DATABASE IF EXISTS \`${name}\``))
      yield* Effect.all([driver.createDatabase!, driver.createDatabase!], { concurrency: "unbounded" })
      const db = yield* openWith(config, database)
      expect(yield* db.run("SELECT DATABASE() AS d")).toEqual([{ d: name }])
    }).pipe(Effect.scoped))

  it.live("is bounded as a whole: a server that accepts and says nothing, or stops in the middle", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      const relay = yield* makeRelay(database.host, database.port)
      const through = (connectTimeout: number) =>
        configFor(database, { hosts: [{ host: "127.0.0.1", port: relay.port }], pool: { connectTimeout } })
      // Silent from the first byte, after the greeting, after the authentication.
      for (const bytes of [-1, 0, 60, 250]) {
        relay.silenceAfter(bytes)
        const started = performance.now()
        const error = yield* openFails(through(200), database)
        expect(error).toMatchObject({ _tag: "TimeoutError", phase: "Connect", limitMillis: 200, outcome: "NotSent" })
        expect(performance.now() - started).toBeLessThan(2000)
        yield* eventually(Effect.sync(relay.links), (links) => links === 0)
      }
      relay.silenceAfter(Infinity)
      const db = yield* openWith(through(5000), database)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("drops its socket when it is interrupted", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      const relay = yield* makeRelay(database.host, database.port)
      relay.silenceAfter(0)
      const opening = yield* Effect.fork(
        openWith(configFor(database, { hosts: [{ host: "127.0.0.1", port: relay.port }] }), database)
      )
      yield* eventually(Effect.sync(relay.links), (links) => links === 1)
      yield* Fiber.interrupt(opening)
      yield* eventually(Effect.sync(relay.links), (links) => links === 0)
    }).pipe(Effect.scoped))

  it.live("asks for user name and password every time", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      let asked = 0
      const config = configFor(database, {
        username: Effect.sync(() => database.user),
        password: Effect.sync(() => Redacted.make(asked++ === 1 ? "expired" : database.password))
      })
      yield* openWith(config, database)
      expect(yield* openFails(config, database)).toMatchObject({ reason: "Authentication" })
      yield* openWith(config, database)
      expect(asked).toBe(3)
      const broken = configFor(database, { password: Effect.fail("vault is sealed") })
      expect(yield* openFails(broken, database)).toMatchObject({
        _tag: "ConnectionError",
        reason: "Authentication",
        cause: "vault is sealed"
      })
    }).pipe(Effect.scoped))

  it.live("tries hosts in their order", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      const silent = yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const server = net.createServer(() => {})
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = silent.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const config = configFor(database, {
        hosts: [{ host: "127.0.0.1", port: 1 }, { host: "127.0.0.1", port }, {
          host: database.host,
          port: database.port
        }],
        pool: { connectTimeout: 1500 }
      })
      const db = yield* openWith(config, database)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      const none = yield* Effect.flip(
        openWith({ ...config, hosts: config.hosts.slice(0, 1).concat(config.hosts.slice(0, 1)) }, database)
      )
      expect(none).toMatchObject({ _tag: "ConnectionError", reason: "Refused" })
    }).pipe(Effect.scoped))
})

describePrivateMysql("Opening a MySQL connection to other servers", () => {
  it.live("encrypts as asked, and checks what is to be checked", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql()
      const { caCert } = server
      const database = yield* freshMysqlDatabaseAt(server.url)
      const stranger = yield* Effect.promise(() => makeAuthority("a stranger"))
      const encrypted = (changes: Changes) =>
        Effect.flatMap(openWith(configFor(database, changes), database), (db) =>
          Effect.map(db.run(cipher), (rows) => String(rows[0].v) !== ""))
      expect(yield* encrypted(ssl("disable"))).toBe(false)
      expect(yield* encrypted(ssl("prefer"))).toBe(true)
      expect(yield* encrypted(ssl("require"))).toBe(true)
      expect(yield* encrypted(ssl("verify-ca", caCert))).toBe(true)
      expect(yield* encrypted(ssl("verify-full", caCert))).toBe(true)
      expect(yield* encrypted({ ...ssl("verify-full", caCert), hosts: [{ host: "localhost", port: database.port }] }))
        .toBe(true)
      for (const mode of ["verify-ca", "verify-full"] as const) {
        for (const ca of [stranger.cert, undefined]) {
          expect(yield* Effect.flip(encrypted(ssl(mode, ca)))).toMatchObject({
            _tag: "ConnectionError",
            reason: "Tls",
            outcome: "NotSent"
          })
        }
      }
    }).pipe(Effect.scoped))

  it.live("goes by a unix socket", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ tls: false })
      const database = yield* freshMysqlDatabaseAt(server.url)
      const db = yield* openWith(configFor(database, { hosts: [{ host: server.socket, port: 0 }] }), database)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      // The cancel goes the same way.
      // A BENCHMARK that is stopped succeeds.
      const endless = "SELECT COUNT(*) AS n FROM seq_1_to_100000 a JOIN seq_1_to_100000 b ON a.seq <> b.seq"
      const running = yield* Effect.fork(Effect.flip(db.run(endless)))
      yield* eventually(
        mysqlQuery(
          database.url,
          "SELECT INFO AS i FROM information_schema.processlist WHERE ID = ? AND COMMAND = 'Execute'",
          [
            db.connection.id
          ]
        ),
        ([row]) => row?.["i"] === endless
      )
      yield* db.cancel
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "QueryError", code: "1317" })
    }).pipe(Effect.scoped))

  it.live("tells a certificate for another name, also where the host is an address", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ certificateHosts: ["localhost"] })
      const database = yield* freshMysqlDatabaseAt(server.url)
      const at = (host: string, mode: DbConfig["ssl"]["mode"]) =>
        openWith(configFor(database, { ...ssl(mode, server.caCert), hosts: [{ host, port: server.port }] }), database)
      yield* at("localhost", "verify-full")
      yield* at("127.0.0.1", "verify-ca")
      expect(yield* Effect.flip(Effect.asVoid(at("127.0.0.1", "verify-full")))).toMatchObject({
        _tag: "ConnectionError",
        reason: "Tls"
      })
    }).pipe(Effect.scoped))

  it.live("goes unencrypted to a server without TLS only where that is allowed, and names a full server", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ tls: false, args: ["--skip-ssl", "--max-connections=10"] })
      const database = yield* freshMysqlDatabaseAt(server.url)
      yield* openWith(configFor(database, ssl("prefer")), database)
      expect(yield* openFails(configFor(database, ssl("require")), database)).toMatchObject({
        _tag: "ConnectionError",
        reason: "Tls",
        code: "HANDSHAKE_NO_SSL_SUPPORT"
      })
      const full = Effect.forever(openWith(configFor(database), database))
      expect(yield* Effect.flip(full)).toMatchObject({
        _tag: "ConnectionError",
        reason: "TooManyConnections",
        code: "1040",
        outcome: "NotSent"
      })
    }).pipe(Effect.scoped))
})
