import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as net from "node:net"
import { inspect } from "node:util"
import PgClient from "pg"
import { inject } from "vitest"
import type { Options } from "../../../src/DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../../src/DbError.js"
import type { Driver } from "../../../src/driver/Driver.js"
import { makeAuthority } from "../../kit/certificates.js"
import {
  describePostgres,
  describePrivatePostgres,
  eventually,
  freshDatabase,
  observer,
  PrivatePostgres,
  query,
  type TestDatabase
} from "../../kit/postgres.js"
import { afterBytes, makeProxy, type Proxy } from "../../kit/proxy.js"
import { driverAt, execute, opened, ping, value } from "./fixture.js"

/** A server of the test's own on a free port: what it says to each socket is the test's business. */
const listening = (onSocket: (socket: net.Socket) => void): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly server: net.Server; readonly sockets: Set<net.Socket> }>((resume) => {
        const sockets = new Set<net.Socket>()
        const server = net.createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => sockets.delete(socket))
          onSocket(socket)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
      }),
      ({ server, sockets }) =>
        Effect.async<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    ),
    ({ server }) => (server.address() as net.AddressInfo).port
  )

const closedPort = Effect.scoped(listening(() => {}))

const failure = (url: string, options: Options = {}) =>
  Effect.flatMap(driverAt(url, options), (driver) => Effect.flip(Effect.scoped(opened(driver))))

const reasonOf = (error: DbError) => [error._tag, error.reason, error.outcome] as const

interface Connecting extends PgClient.Connection {
  connect(port: number, host: string): void
}

/**
 * Tells every step of a start-up before and after it is taken: the call that connects, and what `pg` makes of it, which is
 * the socket's connection and the messages of the server. After the last one the connection is the driver's.
 */
const startUp = (
  onStep: (step: string, connection: PgClient.Connection) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      // The types of `pg` leave out `connect`, which its client calls. `emit` is its base class's.
      const prototype = PgClient.Connection.prototype as Connecting
      const { connect, emit } = prototype
      const counts = new Map<string, number>()
      const around = <A>(connection: PgClient.Connection, what: string, go: () => A): A => {
        const count = (counts.get(what) ?? 0) + 1
        counts.set(what, count)
        const step = count === 1 ? what : `${what} ${count}`
        onStep(`before ${step}`, connection)
        const result = go()
        onStep(`after ${step}`, connection)
        return result
      }
      prototype.connect = function(...args) {
        counts.clear()
        return around(this, "connect()", () => connect.apply(this, args))
      }
      prototype.emit = function(...args: Parameters<typeof emit>) {
        const [event] = args
        // The socket's end, and the emitter's own business, are no steps.
        if (event === "end" || event === "newListener") return emit.apply(this, args)
        return around(this, String(event), () => emit.apply(this, args))
      }
      return { prototype, connect }
    }),
    ({ connect, prototype }) =>
      Effect.sync(() => {
        prototype.connect = connect
        Reflect.deleteProperty(prototype, "emit")
      })
  ).pipe(Effect.asVoid)

/** Ends when neither a proxy nor the server knows of a connection any more. */
const noneLeft = Effect.fnUntraced(function*(database: TestDatabase, proxy: Proxy) {
  yield* eventually(Effect.sync(() => proxy.connections().map(({ bytes, id }) => ({ id, bytes }))), isEmpty)
  const ask = yield* observer(database.url)
  yield* eventually(
    ask("SELECT pid, state FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()", [database.name]),
    isEmpty
  )
})

const isEmpty = (list: ReadonlyArray<unknown>): boolean => list.length === 0

/** No form of the password in any form of the error. */
const withoutSecret = (error: ConnectionError | TimeoutError, secret: string): void => {
  for (
    const shown of [
      error.message,
      String(error),
      JSON.stringify(error),
      inspect(error, { depth: 20, showHidden: true })
    ]
  ) {
    assert.notInclude(shown, secret)
    assert.notInclude(shown, Buffer.from(secret).toString("base64"))
  }
}

describe("opening a connection that cannot be opened", () => {
  it.scoped("a closed port is Refused", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const error = yield* failure(`postgres://u:hush-hush@127.0.0.1:${port}/d`)
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "Refused", "NotSent"])
      assert.strictEqual((error as ConnectionError).code, "ECONNREFUSED")
      assert.include(error.message, `127.0.0.1:${port}`)
      withoutSecret(error, "hush-hush")
      const byName = yield* failure(`postgres://u:hush-hush@localhost:${port}/d`)
      assert.strictEqual(byName.reason, "Refused", "also when a name has several addresses")
    }))

  it.scoped("an unknown host is HostNotFound", () =>
    Effect.gen(function*() {
      const error = yield* failure("postgres://u:hush-hush@no-such-host.invalid/d")
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "HostNotFound", "NotSent"])
      withoutSecret(error, "hush-hush")
    }))

  it.scoped("a missing unix socket is Refused", () =>
    Effect.gen(function*() {
      const error = yield* failure("postgres://u:hush-hush@localhost/d", { host: "/no/such/folder" })
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "Refused", "NotSent"])
    }))

  for (const ssl of ["disable", "prefer", "verify-full"] as const) {
    it.scoped(`a server that accepts and says nothing ends in a Connect timeout, by the clock (ssl ${ssl})`, () =>
      Effect.gen(function*() {
        const accepted = yield* Deferred.make<net.Socket>()
        const closed = yield* Deferred.make<void>()
        const port = yield* listening((socket) => {
          socket.resume()
          socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
          Deferred.unsafeDone(accepted, Effect.succeed(socket))
        })
        const fiber = yield* Effect.fork(
          failure(`postgres://u:hush-hush@127.0.0.1:${port}/d`, { ssl, pool: { connectTimeout: "5 seconds" } })
        )
        yield* Deferred.await(accepted)
        yield* TestClock.adjust("4999 millis")
        assert.isNull(yield* Fiber.poll(fiber).pipe(Effect.map((exit) => exit._tag === "None" ? null : exit)))
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual(reasonOf(error), ["TimeoutError", "Connect", "NotSent"])
        assert.strictEqual((error as TimeoutError).limitMillis, 5000)
        withoutSecret(error, "hush-hush")
        yield* Deferred.await(closed)
      }))
  }

  it.scoped("an interrupt closes the half-open socket", () =>
    Effect.gen(function*() {
      const accepted = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const port = yield* listening((socket) => {
        socket.resume()
        socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        Deferred.unsafeDone(accepted, Effect.void)
      })
      const driver = yield* driverAt(`postgres://u:p@127.0.0.1:${port}/d`)
      const fiber = yield* Effect.fork(driver.open)
      yield* Deferred.await(accepted)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
    }))

  it.scoped("a server that hangs up, speaks another protocol or an unknown authentication is a typed error", () =>
    Effect.gen(function*() {
      const hangsUp = yield* listening((socket) => socket.end())
      assert.strictEqual((yield* failure(`postgres://u:p@127.0.0.1:${hangsUp}/d`, { ssl: "disable" })).reason, "Lost")
      assert.include(
        ["Lost", "Tls"],
        (yield* failure(`postgres://u:p@127.0.0.1:${hangsUp}/d`, { ssl: "require" })).reason
      )
      const http = yield* listening((socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))
      )
      assert.strictEqual((yield* failure(`postgres://u:p@127.0.0.1:${http}/d`, { ssl: "require" })).reason, "Tls")
      // GSSAPI: `pg` throws at it from within the socket's event.
      const gss = yield* listening((socket) =>
        socket.once("data", () => socket.write(Buffer.from([82, 0, 0, 0, 8, 0, 0, 0, 7])))
      )
      const unknown = yield* failure(`postgres://u:p@127.0.0.1:${gss}/d`, { ssl: "disable" })
      assert.deepStrictEqual(reasonOf(unknown), ["ConnectionError", "Unsupported", "NotSent"])
    }))

  it.scoped("a password that cannot be obtained is an Authentication failure, without what it said", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const error = yield* failure(`postgres://u@127.0.0.1:${port}/d`, { password: Effect.fail("vault is sealed") })
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "Authentication", "NotSent"])
      assert.notInclude(error.message, "vault")
    }))

  it.scoped("no host is refused when the driver is made", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const error = yield* failure(`postgres://u:p@127.0.0.1:${port},127.0.0.1:${port}/d`)
      assert.strictEqual(error.reason, "Refused")
      assert.strictEqual(error.message.split("Refused").length, 4, "every host is told")
    }))
})

const folder = inject("postgresSocketDirectory")
const noSocket = folder === undefined ? " (skipped: the given server has no unix socket that is known)" : ""

describePostgres("opening a connection", () => {
  it.scoped("a wrong password, an unknown user and an unknown database are told apart", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const password = yield* failure(url, { password: Redacted.make("hush-hush") })
      assert.deepStrictEqual(reasonOf(password), ["ConnectionError", "Authentication", "NotSent"])
      assert.strictEqual((password as ConnectionError).code, "28P01")
      withoutSecret(password, "hush-hush")
      assert.strictEqual((yield* failure(url, { username: "nobody_here" })).reason, "Authentication")
      const database = yield* failure(url, { database: "no_such_database" })
      assert.deepStrictEqual(reasonOf(database), ["ConnectionError", "UnknownDatabase", "NotSent"])
      withoutSecret(database, decodeURIComponent(new URL(url).password))
    }))

  it.scoped("without a password there is no search for one elsewhere", () =>
    Effect.gen(function*() {
      const { database, url } = yield* Effect.map(freshDatabase, (fresh) => ({ database: fresh, url: fresh.url }))
      const without = new URL(url)
      without.password = ""
      process.env["PGPASSWORD"] = database.password
      const error = yield* Effect.ensuring(
        failure(without.href),
        Effect.sync(() => {
          delete process.env["PGPASSWORD"]
        })
      )
      assert.strictEqual(error.reason, "Authentication")
    }))

  it.scoped("a user that may not connect is not authorized", () =>
    Effect.gen(function*() {
      const { name, url } = yield* freshDatabase
      yield* Effect.acquireRelease(
        query(url, `CREATE ROLE ${name}_guest LOGIN PASSWORD 'guest'`),
        () => query(url, `DROP ROLE ${name}_guest`)
      )
      yield* query(url, `REVOKE CONNECT ON DATABASE ${name} FROM public`)
      const error = yield* failure(url, { username: `${name}_guest`, password: Redacted.make("guest") })
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "Authorization", "NotSent"])
      yield* query(url, `ALTER DATABASE ${name} CONNECTION LIMIT 0`)
      yield* query(url, `GRANT CONNECT ON DATABASE ${name} TO public`)
      const full = yield* failure(url, { username: `${name}_guest`, password: Redacted.make("guest") })
      assert.deepStrictEqual(reasonOf(full), ["ConnectionError", "TooManyConnections", "NotSent"])
      assert.isTrue(full.isTransient)
    }))

  it.scoped("neither a driver nor a connection shows the password", () =>
    Effect.gen(function*() {
      const { password, url } = yield* freshDatabase
      const driver = yield* driverAt(url)
      const connection = yield* opened(driver)
      for (const thing of [driver, connection, driver.target]) {
        assert.notInclude(inspect(thing, { depth: 20, showHidden: true }), password)
        assert.notInclude(JSON.stringify(thing), password)
      }
      assert.include(driver.target.uri, `@127.0.0.1`)
    }))

  it.scoped("settings travel as startup parameters and survive a RESET", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const driver = yield* driverAt(url, {
        applicationName: "my app",
        settings: { search_path: "x, public", TimeZone: "Asia/Tokyo", work_mem: "5MB" },
        limits: { statementTimeout: "5 seconds", lockTimeout: "4 seconds", idleInTransactionTimeout: "1 minute" }
      })
      const connection = yield* opened(driver)
      yield* execute(connection, "RESET ALL")
      const expected = {
        application_name: "my app",
        search_path: "x, public",
        TimeZone: "Asia/Tokyo",
        work_mem: "5MB",
        statement_timeout: "5s",
        lock_timeout: "4s",
        idle_in_transaction_session_timeout: "61s",
        DateStyle: "ISO, MDY",
        client_encoding: "UTF8"
      }
      for (const [name, setting] of Object.entries(expected)) {
        assert.strictEqual(yield* value(connection, "SELECT current_setting($1)", [name]), setting, name)
      }
      assert.isAbove(connection.id, 0)
      assert.match(connection.serverVersion, /^\d+/)
      const unknown = yield* failure(url, { settings: { no_such_setting: "1" } })
      assert.strictEqual(unknown.reason, "Unsupported")
    }))

  it.scoped("user and password are asked for every new connection", () =>
    Effect.gen(function*() {
      const { password, url, user } = yield* freshDatabase
      let asked = 0
      const driver = yield* driverAt(url, {
        username: Effect.sync(() => user),
        password: Effect.sync(() => {
          asked++
          return Redacted.make(asked === 2 ? "expired" : password)
        })
      })
      yield* ping(yield* opened(driver))
      assert.strictEqual((yield* Effect.flip(opened(driver))).reason, "Authentication")
      yield* ping(yield* opened(driver))
      assert.strictEqual(asked, 3)
    }))

  for (const ssl of ["disable", "prefer"] as const) {
    it.scoped(`an interrupt at any step of the start-up leaves no connection (ssl ${ssl})`, () =>
      Effect.gen(function*() {
        const database = yield* freshDatabase
        const proxy = yield* makeProxy(database)
        const steps: Array<string> = []
        let wire: PgClient.Connection | undefined
        let onStep = (step: string) => void steps.push(step)
        yield* startUp((step, connection) => {
          wire = connection
          onStep(step)
        })
        const driver = yield* driverAt(proxy.url(database.url), { ssl })
        ;(yield* driver.open).destroy()
        assert.includeMembers(steps, ["before connect()", "after connect()", "before connect", "before readyForQuery"])
        assert.strictEqual(new Set(steps).size, steps.length)
        for (const step of steps) {
          let reached = false
          onStep = (now) => {
            if (now !== step) return
            reached = true
            // The fiber hears of it when the step is done; of what the step has for it, in its order.
            fiber.unsafeInterruptAsFork(FiberId.none)
          }
          const fiber = yield* Effect.fork(driver.open)
          const exit = yield* Fiber.await(fiber)
          if (exit._tag === "Success") exit.value.destroy()
          assert.isTrue(reached, step)
          assert.isTrue(Exit.isInterrupted(exit), step)
          assert.isTrue(wire?.stream.destroyed, step)
        }
        yield* noneLeft(database, proxy)
      }))

    it.scoped(`an interrupt after any byte of the start-up leaves no connection (ssl ${ssl})`, () =>
      Effect.gen(function*() {
        const database = yield* freshDatabase
        const proxy = yield* makeProxy(database)
        const driver = yield* driverAt(proxy.url(database.url), { ssl })
        ;(yield* driver.open).destroy()
        yield* eventually(Effect.sync(() => proxy.connections().length), (n) => n === 0)
        const { bytes } = proxy.counts()
        for (const direction of ["frontend", "backend"] as const) {
          const parts = Array.from({ length: 16 }, (_, part) => Math.floor(bytes[direction] * part / 16))
          // The request for TLS has eight bytes, the answer to it one.
          for (const count of new Set([0, 1, 8, ...parts])) {
            const { fired } = proxy.at(afterBytes(direction, count), "hold")
            const fiber = yield* Effect.fork(driver.open)
            yield* fired
            yield* Fiber.interrupt(fiber)
            assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)), `${count} bytes of the ${direction}`)
            proxy.heal()
            yield* eventually(Effect.sync(() => proxy.connections().length), (n) => n === 0)
          }
        }
        yield* noneLeft(database, proxy)
      }))
  }

  it.scoped("an interrupt while the right to connect is checked opens nothing", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy(database)
      const driver: Driver = yield* driverAt(proxy.url(database.url), {
        password: Effect.sync(() => {
          opening.unsafeInterruptAsFork(FiberId.none)
          return Redacted.make(database.password)
        })
      })
      const opening = yield* Effect.fork(driver.open)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(opening)))
      assert.strictEqual(proxy.counts().connections, 0)
    }))

  it.scoped("hosts are tried in their order, a silent one costs its share of the limit", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const accepted = yield* Deferred.make<void>()
      const silent = yield* listening((socket) => {
        socket.resume()
        Deferred.unsafeDone(accepted, Effect.void)
      })
      const dead = yield* closedPort
      const at = (hosts: string) => {
        const url = new URL(database.url)
        return `postgres://${url.username}:${url.password}@${hosts}${url.pathname}`
      }
      const good = `${database.host}:${database.port}`
      yield* ping(yield* opened(yield* driverAt(at(`127.0.0.1:${dead},${good}`))))
      const driver = yield* driverAt(at(`127.0.0.1:${silent},${good}`), { pool: { connectTimeout: "4 seconds" } })
      const fiber = yield* Effect.fork(opened(driver))
      yield* Deferred.await(accepted)
      yield* TestClock.adjust("2 seconds")
      yield* ping(yield* Fiber.join(fiber))
      // A password that the first server refuses is not tried on the others.
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const wrong = yield* failure(at(`${good},127.0.0.1:${proxy.port}`), { password: Redacted.make("wrong") })
      assert.strictEqual(wrong.reason, "Authentication")
      assert.strictEqual(proxy.counts().connections, 0)
    }))

  it.scoped.skipIf(folder === undefined)(
    `a unix socket is used as it is, whatever sslmode says${noSocket}`,
    () =>
      Effect.gen(function*() {
        const { url } = yield* freshDatabase
        const connection = yield* opened(yield* driverAt(url, { host: folder!, ssl: "verify-full" }))
        assert.strictEqual(yield* value(connection, "SELECT inet_client_addr() IS NULL"), true)
      })
  )
})

const encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

describePrivatePostgres("TLS by sslmode", () => {
  it.scoped("a server with a certificate", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({ tls: true, certificateHosts: ["localhost"] })
      const stranger = yield* Effect.promise(() => makeAuthority("another authority"))
      const by = (host: string, options: Options) => {
        const url = new URL(server.url)
        url.hostname = host
        return Effect.flatMap(driverAt(url.href, options), (driver) =>
          Effect.scoped(Effect.flatMap(opened(driver), (connection) => value(connection, encrypted))))
      }
      const ca = server.caCert!
      assert.isFalse(yield* by("127.0.0.1", { ssl: "disable" }))
      assert.isTrue(yield* by("127.0.0.1", { ssl: "prefer" }))
      assert.isTrue(yield* by("127.0.0.1", { ssl: "require" }))
      assert.isTrue(yield* by("127.0.0.1", { ssl: "verify-ca", sslRootCert: ca }), "the name is not checked")
      assert.isTrue(yield* by("localhost", { ssl: "verify-full", sslRootCert: ca }))
      assert.isTrue(yield* by("127.0.0.1", { ssl: "require", channelBinding: "require" }))

      for (
        const [host, options] of [
          ["127.0.0.1", { ssl: "verify-full", sslRootCert: ca }],
          ["localhost", { ssl: "verify-full" }],
          ["localhost", { ssl: "verify-full", sslRootCert: stranger.cert }],
          ["localhost", { ssl: "verify-ca", sslRootCert: stranger.cert }],
          ["localhost", { ssl: "require", sslRootCert: stranger.cert }]
        ] as ReadonlyArray<readonly [string, Options]>
      ) {
        const error = yield* Effect.flip(by(host, options))
        assert.deepStrictEqual([error._tag, error.reason], ["ConnectionError", "Tls"], `${host} ${options.ssl}`)
        withoutSecret(error as ConnectionError, server.password)
      }
    }))

  it.scoped("a server without one: prefer goes on in plain, the others refuse", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({ tls: false })
      const proxy = yield* makeProxy({ host: server.host, port: server.port })
      const driver = yield* driverAt(proxy.url(server.url), { ssl: "prefer" })
      assert.isFalse(yield* value(yield* opened(driver), encrypted))
      proxy.resetCounts()
      assert.isFalse(yield* value(yield* opened(driver), encrypted))
      assert.strictEqual(proxy.counts().connections, 1, "it is remembered")
      for (const ssl of ["require", "verify-ca", "verify-full"] as const) {
        const error = yield* failure(server.url, { ssl })
        assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "Tls", "NotSent"])
      }
    }))

  it.scoped("a client's certificate is shown, and its key stays secret", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({
        tls: true,
        hba: ["hostssl all all 127.0.0.1/32 cert", "local all all scram-sha-256"]
      })
      const { cert, key } = server.client!
      const url = new URL(server.url)
      url.password = ""
      const connection = yield* opened(
        yield* driverAt(url.href, { ssl: "require", sslCert: cert, sslKey: Redacted.make(key) })
      )
      assert.isTrue(yield* value(connection, encrypted))
      // Neither what it was opened with nor what a cancel needs lies open.
      const secretPart = key.split("\n")[1]!
      for (const shown of [inspect(connection, { depth: 20, showHidden: true }), JSON.stringify(connection)]) {
        assert.notInclude(shown, secretPart)
      }
      const error = yield* failure(url.href, { ssl: "require" })
      assert.strictEqual(error.reason, "Authentication")
      const unbound = yield* failure(url.href, {
        ssl: "require",
        sslCert: cert,
        sslKey: Redacted.make(key),
        channelBinding: "require"
      })
      assert.strictEqual(unbound.reason, "Authentication", "the server did not prove that it knows the password")
      const wrong = yield* failure(url.href, {
        ssl: "require",
        sslCert: cert,
        sslKey: Redacted.make(key.replace(/\n.*\n/, "\nhush-hush\n"))
      })
      assert.strictEqual(wrong.reason, "Tls")
      withoutSecret(wrong, "hush-hush")
    }))
})

describePrivatePostgres("target_session_attrs", () => {
  it.scoped("a server that is read-only is not what read-write asks for", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({ settings: { default_transaction_read_only: "on" } })
      const at = (attrs: string, options: Options = {}) =>
        Effect.flatMap(driverAt(`${server.url}?target_session_attrs=${attrs}`, options), (driver) =>
          Effect.scoped(opened(driver)))
      const error = yield* Effect.flip(at("read-write"))
      assert.deepStrictEqual([error._tag, error.reason], ["ConnectionError", "ReadOnlyServer"])
      for (const attrs of ["any", "read-only", "primary", "prefer-standby"]) {
        yield* at(attrs)
      }
      assert.strictEqual((yield* Effect.flip(at("standby"))).reason, "Unsupported")
    }))

  it.scoped("a server that ends, starts again and is full says so", () =>
    Effect.gen(function*() {
      const server = yield* PrivatePostgres.make({
        settings: { max_connections: "5", superuser_reserved_connections: "0", reserved_connections: "0" }
      })
      const driver = yield* driverAt(server.url)
      const connections = yield* Effect.all(Array.from({ length: 5 }, () => opened(driver)))
      const full = yield* Effect.flip(opened(driver))
      assert.deepStrictEqual(reasonOf(full), ["ConnectionError", "TooManyConnections", "NotSent"])
      const lost = yield* Deferred.make<ConnectionError>()
      connections[0]!.onLost = (error) => Deferred.unsafeDone(lost, Effect.succeed(error))
      yield* server.stop("fast")
      assert.strictEqual((yield* Deferred.await(lost)).reason, "ServerShutdown")
      assert.strictEqual((yield* Effect.flip(opened(driver))).reason, "Refused")
      yield* server.start
      yield* ping(yield* opened(driver))
    }))
})
