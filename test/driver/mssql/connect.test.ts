import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as dgram from "node:dgram"
import * as net from "node:net"
import { inspect } from "node:util"
import { describe, expect } from "vitest"
import type { DbConfig } from "../../../src/DbConfig.js"
import { make } from "../../../src/driver/Mssql.js"
import { makeAuthority } from "../../kit/certificates.js"
import type { Changes } from "../../kit/dbConfig.js"
import { describeMssql, describeStandIn, type MssqlDatabase, standIn } from "../../kit/mssql.js"
import { eventually } from "../../kit/postgres.js"
import { configFor, open, openWith } from "./harness.js"

const attempt = (database: MssqlDatabase, changes: Changes = {}) =>
  Effect.flip(Effect.scoped(Effect.asVoid(openWith(configFor(database, changes), database))))

describeStandIn("SQL Server connections", () => {
  it.live("name themselves, and end with their scope", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const db = yield* Effect.scoped(Effect.gen(function*() {
        const handle = yield* openWith(configFor(database, { applicationName: "my program" }), database)
        expect(database.server.sessions()).toMatchObject([
          { spid: handle.connection.id, application: "my program", database: "test", user: "sa", encrypted: true }
        ])
        expect(handle.connection.serverVersion).toBe("16.0.1000.6")
        yield* handle.ping
        return handle
      }))
      expect(db.connection.lost).toBe(true)
      yield* eventually(Effect.sync(() => database.server.connections()), (n) => n === 0)
      expect(db.driver.target).toEqual({
        system: "microsoft.sql_server",
        namespace: "test",
        address: "localhost",
        port: database.port,
        uri: `mssql://sa@localhost:${database.port}/test`
      })
    }).pipe(Effect.scoped))

  it.live("fail typed, with the number that says why, and without the password", () =>
    Effect.gen(function*() {
      const database = yield* standIn({ maxSessions: 1 })
      const secret = "S3cret-pass!"
      const cases: ReadonlyArray<readonly [object, Changes]> = [
        [{ reason: "Authentication", code: "18456" }, { password: Redacted.make(secret) }],
        [{ reason: "Authentication", code: "18456" }, { username: "nobody" }],
        [{ reason: "UnknownDatabase", code: "4060" }, { database: "nowhere" }],
        [{ reason: "Refused", code: "ECONNREFUSED" }, { hosts: [{ host: "127.0.0.1", port: 1 }] }],
        [{ reason: "HostNotFound" }, { hosts: [{ host: "no-such-host.invalid", port: 1433 }] }],
        [{ reason: "Unsupported" }, { settings: { NO_SUCH_SETTING: "1" } }],
        [{ reason: "Authentication" }, { password: Effect.fail(new Error("vault is sealed")) }]
      ]
      for (const [expected, changes] of cases) {
        const error = yield* attempt(database, changes)
        expect(error).toMatchObject({ _tag: "ConnectionError", outcome: "NotSent", database: "default", ...expected })
        expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret)
        expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(database.password)
      }
      const one = yield* openWith(configFor(database), database)
      expect(yield* attempt(database)).toMatchObject({ reason: "TooManyConnections", code: "17809", isTransient: true })
      expect(inspect(one.connection, { depth: 10, showHidden: true })).not.toContain(database.password)
      expect(inspect(one.driver, { depth: 10, showHidden: true })).not.toContain(database.password)
      for (
        const [number, reason] of [[40613, "ServerStarting"], [10928, "TooManyConnections"], [40532, "Authorization"]]
      ) {
        database.server.loginError = { number: number as number, message: "told to" }
        expect(yield* attempt(database)).toMatchObject({ reason, code: String(number) })
      }
    }).pipe(Effect.scoped))

  it.live("to a server that says nothing end in time, and leave no socket", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      database.server.silent = true
      const started = performance.now()
      const error = yield* attempt(database, { pool: { connectTimeout: 200 } })
      expect(error).toMatchObject({ _tag: "TimeoutError", phase: "Connect", limitMillis: 200, outcome: "NotSent" })
      expect(performance.now() - started).toBeLessThan(2000)
      yield* eventually(Effect.sync(() => database.server.connections()), (n) => n === 0)
    }).pipe(Effect.scoped))

  it.live("are dropped when their opening is interrupted, at whatever point", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const driver = yield* make(configFor(database))
      for (let turns = 0; turns < 60; turns++) {
        const fiber = yield* Effect.fork(driver.open)
        for (let i = 0; i < turns * 2; i++) {
          yield* Effect.async<void>((done) => void setImmediate(() => done(Effect.void)))
        }
        const exit = yield* Fiber.interrupt(fiber)
        if (Exit.isSuccess(exit)) exit.value.destroy()
      }
      yield* eventually(Effect.sync(() => database.server.connections()), (n) => n === 0)
    }).pipe(Effect.scoped))

  it.live("try hosts in their order, and stop where a login is refused", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const here = { host: database.host, port: database.port }
      const noServer = { host: "127.0.0.1", port: 1 }
      const db = yield* openWith(configFor(database, { hosts: [noServer, here] }), database)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      const all = yield* attempt(database, { hosts: [noServer, { host: "127.0.0.1", port: 2 }] })
      expect(all).toMatchObject({ reason: "Refused" })
      expect(all.message).toContain("127.0.0.1:1")
      expect(all.message).toContain("127.0.0.1:2")
      const refused = yield* attempt(database, { hosts: [here, noServer], username: "nobody" })
      expect(refused).toMatchObject({ reason: "Authentication" })
      const silent = yield* standIn()
      silent.server.silent = true
      const second = yield* openWith(
        configFor(database, {
          hosts: [{ host: silent.host, port: silent.port }, here],
          pool: { connectTimeout: 1000 }
        }),
        database
      )
      expect(second.connection.lost).toBe(false)
    }).pipe(Effect.scoped))

  it.live("look for a database that takes writes where that is asked for", () =>
    Effect.gen(function*() {
      const [standby, primary] = [yield* standIn(), yield* standIn()]
      standby.server.setReadOnly("test", true)
      const hosts = [standby, primary].map(({ host, port }) => ({ host, port }))
      const written = yield* openWith(configFor(primary, { hosts, targetSessionAttrs: "read-write" }), primary)
      yield* written.run("CREATE TABLE here (a INT)")
      const read = yield* openWith(
        configFor(primary, { hosts: [...hosts].reverse(), targetSessionAttrs: "standby" }),
        primary
      )
      expect(yield* Effect.flip(read.run("CREATE TABLE here (a INT)"))).toMatchObject({
        reason: "ReadOnly",
        code: "3906"
      })
      expect(yield* attempt(primary, { hosts: [hosts[0]!], targetSessionAttrs: "primary" })).toMatchObject({
        reason: "ReadOnlyServer"
      })
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server encryption", () => {
  const ssl = (mode: DbConfig["ssl"]["mode"], ca: string | undefined): DbConfig["ssl"] => ({
    mode,
    ca,
    cert: undefined,
    key: undefined
  })

  it.live("checks chain and name, the chain alone, or nothing, as asked", () =>
    Effect.gen(function*() {
      const { authority, stranger } = yield* Effect.promise(async () => ({
        authority: await makeAuthority("ours"),
        stranger: await makeAuthority("theirs")
      }))
      const other = yield* Effect.promise(() => authority.issue("elsewhere", ["elsewhere.example"]))
      const named = yield* Effect.promise(() => authority.issue("localhost", ["localhost"]))
      const right = yield* standIn({ tls: named })
      const wrong = yield* standIn({ tls: other })
      const works = (database: MssqlDatabase, mode: DbConfig["ssl"]["mode"], ca: string | undefined) =>
        Effect.scoped(
          Effect.flatMap(
            openWith(configFor(database, { ssl: ssl(mode, ca) }), database),
            (db) => db.run("SELECT 1 AS n")
          )
        )
      const fails = (database: MssqlDatabase, mode: DbConfig["ssl"]["mode"], ca: string | undefined) =>
        Effect.map(attempt(database, { ssl: ssl(mode, ca) }), (error) => {
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "Tls", outcome: "NotSent" })
        })
      yield* works(right, "verify-full", authority.cert)
      yield* works(right, "verify-ca", authority.cert)
      yield* works(wrong, "verify-ca", authority.cert)
      yield* works(wrong, "require", undefined)
      yield* works(right, "prefer", undefined)
      yield* fails(wrong, "verify-full", authority.cert)
      yield* fails(right, "verify-full", stranger.cert)
      yield* fails(right, "verify-full", undefined)
      yield* fails(right, "verify-ca", stranger.cert)
      // Nothing was asked of the server by those that failed.
      expect(right.server.sessions()).toEqual([])
    }).pipe(Effect.scoped))

  it.live("never lets a password go in clear where it was promised", () =>
    Effect.gen(function*() {
      const database = yield* standIn({ encryption: "unsupported" })
      const sent: Array<Buffer> = []
      // Between the two, so that every byte is seen.
      const proxy = yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<net.Server>((resolve) => {
            const server = net.createServer((client) => {
              const upstream = net.connect(database.port, "127.0.0.1")
              client.on("data", (chunk: Buffer) => sent.push(chunk))
              client.pipe(upstream)
              upstream.pipe(client)
              for (const socket of [client, upstream]) socket.on("error", () => {})
              client.on("close", () => upstream.destroy())
            })
            server.listen(0, "127.0.0.1", () => resolve(server))
          })
        ),
        (server) => Effect.sync(() => server.close())
      )
      const hosts = [{ host: "localhost", port: (proxy.address() as net.AddressInfo).port }]
      for (const mode of ["require", "verify-ca", "verify-full"] as const) {
        expect(yield* attempt(database, { hosts, ssl: ssl(mode, database.caCert) })).toMatchObject({ reason: "Tls" })
      }
      // LOGIN7 is message type 0x10; PRELOGIN 0x12.
      expect(sent.length).toBeGreaterThan(0)
      expect(sent.every((chunk) => chunk[0] === 0x12)).toBe(true)
      const plain = yield* openWith(configFor(database, { hosts, ssl: ssl("prefer", undefined) }), database)
      expect(yield* plain.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      expect(database.server.sessions()).toMatchObject([{ encrypted: false }])
      expect(sent.some((chunk) => chunk[0] === 0x10)).toBe(true)
    }).pipe(Effect.scoped))

  it.live("that the server insists on is not refused in silence", () =>
    Effect.gen(function*() {
      const database = yield* standIn({ encryption: "required" })
      expect(yield* attempt(database, { ssl: ssl("disable", undefined) })).toMatchObject({ reason: "Tls" })
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server's named instances", () => {
  const browserPort = 1434

  /** Answers as SQL Server Browser does (MC-SQLR 2.2.5): 05, a length, and names with their values. */
  const browser = (port: number) =>
    Effect.acquireRelease(
      Effect.async<dgram.Socket | undefined>((resume) => {
        const socket = dgram.createSocket("udp4")
        socket.once("error", () => resume(Effect.succeed(undefined)))
        socket.on("message", (_, from) => {
          const text = `ServerName;HERE;InstanceName;OTHER;IsClustered;No;Version;16.0.1;tcp;1;;` +
            `ServerName;HERE;InstanceName;NAMED;IsClustered;No;Version;16.0.1;tcp;${port};;`
          const head = Buffer.from([5, 0, 0])
          head.writeUInt16LE(text.length, 1)
          socket.send(Buffer.concat([head, Buffer.from(text, "ascii")]), from.port, from.address)
        })
        socket.bind(browserPort, "127.0.0.1", () => resume(Effect.succeed(socket)))
      }),
      (socket) => Effect.sync(() => socket?.close())
    )

  it.live("are looked up", (context) =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const socket = yield* browser(database.port)
      if (socket === undefined) return context.skip(`UDP port ${browserPort} is taken`)
      const host = { host: "127.0.0.1", port: 1433, instance: "named" }
      const ssl = { mode: "verify-ca" } as const
      const db = yield* openWith(configFor(database, { hosts: [host], ssl }), database)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      expect(db.driver.target).toMatchObject({ port: undefined, uri: "mssql://sa@127.0.0.1%5Cnamed/test" })
      const missing = yield* attempt(database, { hosts: [{ ...host, instance: "missing" }], ssl })
      expect(missing).toMatchObject({ _tag: "ConnectionError", reason: "Unreachable", code: "EINSTLOOKUP" })
    }).pipe(Effect.scoped))
})

describeMssql("SQL Server errors", () => {
  it.live("are told apart by number, with the names that their texts hold and without values", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE parent (id INT CONSTRAINT pk_parent PRIMARY KEY)")
      yield* db.run(`CREATE TABLE child (id INT CONSTRAINT pk_child PRIMARY KEY, name NVARCHAR(100) NOT NULL,
        n INT CONSTRAINT ck_n CHECK (n > 0), parent_id INT CONSTRAINT fk_parent REFERENCES parent (id))`)
      yield* db.run("CREATE UNIQUE INDEX ix_name ON child (name)")
      yield* db.run("CREATE TABLE [CHECK] (id INT CONSTRAINT pk_check PRIMARY KEY)")
      yield* db.run(`CREATE TABLE grandchild (id INT CONSTRAINT pk_grandchild PRIMARY KEY,
        check_id INT CONSTRAINT [fk of a CHECK] REFERENCES [CHECK] (id))`)
      yield* db.run("INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, N'secret-value', 1, 1)")
      const cases: ReadonlyArray<readonly [string, object]> = [
        ["INSERT INTO child VALUES (1, N'x', 1, 1)", {
          reason: "UniqueViolation",
          code: "2627",
          constraint: "pk_child",
          schema: "dbo",
          table: "child"
        }],
        ["INSERT INTO child VALUES (2, N'secret-value', 1, 1)", {
          reason: "UniqueViolation",
          code: "2601",
          constraint: "ix_name",
          schema: "dbo",
          table: "child"
        }],
        ["INSERT INTO child VALUES (2, N'x', 1, 9)", {
          reason: "ForeignKeyViolation",
          code: "547",
          constraint: "fk_parent"
        }],
        // A table named as the other kind of constraint.
        ["INSERT INTO grandchild VALUES (1, 9)", {
          reason: "ForeignKeyViolation",
          code: "547",
          constraint: "fk of a CHECK",
          schema: "dbo",
          table: "CHECK"
        }],
        ["DELETE FROM parent", { reason: "ForeignKeyViolation", code: "547", constraint: "fk_parent" }],
        ["INSERT INTO child VALUES (2, N'x', 0, 1)", { reason: "CheckViolation", code: "547", constraint: "ck_n" }],
        ["INSERT INTO child VALUES (2, NULL, 1, 1)", {
          reason: "NotNullViolation",
          code: "515",
          column: "name",
          table: "child",
          schema: "dbo"
        }],
        ["SELECT * FROM nowhere", { reason: "UndefinedObject", code: "208", table: "nowhere" }],
        ["SELECT nothing FROM child", { reason: "UndefinedObject", code: "207", column: "nothing" }],
        ["SELEC 1", { reason: "SqlSyntax", code: "102" }],
        ["SELECT 1 / 0 AS n", { reason: "DataError", code: "8134" }],
        ["SELECT CAST(N'secret-value' AS INT) AS n", { reason: "DataError", code: "245" }],
        ["EXEC no_such_procedure", { reason: "UndefinedObject", code: "2812" }],
        ["THROW 50001, N'mine', 1", { reason: "Unknown", code: "50001", detail: "mine" }]
      ]
      for (const [text, expected] of cases) {
        const error = yield* Effect.flip(db.run(text))
        expect(error, text).toMatchObject({ _tag: "QueryError", database: "default", statement: text, ...expected })
        expect(error.isTransient, text).toBe(false)
        expect(error.message, text).not.toContain("secret-value")
        expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      }
      for (const text of ["THROW 50001, N'words of the program', 1", "RAISERROR(N'words of the program', 16, 1)"]) {
        const raised = yield* Effect.flip(db.run(text))
        expect(raised.message).toContain("words of the program")
      }
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server errors", () => {
  it.live("that end a session end the connection; others do not", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const cases: ReadonlyArray<readonly [number, object, boolean]> = [
        [1205, { _tag: "QueryError", reason: "Deadlock", outcome: "RolledBack", isTransient: true }, false],
        [229, { _tag: "QueryError", reason: "Authorization" }, false],
        [3906, { _tag: "QueryError", reason: "ReadOnly" }, false],
        [9002, { _tag: "QueryError", reason: "DiskFull" }, false],
        [701, { _tag: "QueryError", reason: "OutOfMemory", isTransient: true }, false],
        [1222, { _tag: "QueryError", reason: "LockConflict" }, false],
        [99_999, { _tag: "QueryError", reason: "Unknown", detail: "told to" }, false],
        [40613, { _tag: "ConnectionError", reason: "ServerStarting", isTransient: true }, true],
        [6005, { _tag: "ConnectionError", reason: "ServerShutdown" }, true]
      ]
      for (const [number, expected, lost] of cases) {
        const db = yield* openWith(configFor(database), database)
        database.server.faults.push({ when: "SELECT 42", action: { number, message: "told to" } })
        expect(yield* Effect.flip(db.run("SELECT 42 AS n")), String(number)).toMatchObject({
          code: String(number),
          ...expected
        })
        expect(db.connection.lost, String(number)).toBe(lost)
      }
    }).pipe(Effect.scoped))
})

describe("the SQL Server driver", () => {
  it.effect("refuses configurations that it cannot keep", () =>
    Effect.gen(function*() {
      const database: MssqlDatabase = {
        url: "",
        host: "localhost",
        port: 1,
        user: "u",
        password: "p",
        name: "d",
        caCert: undefined
      }
      const refused = (changes: Changes) =>
        Effect.flip(Effect.scoped(Effect.asVoid(make(configFor(database, changes)))))
      for (
        const [changes, what] of [
          [{ hosts: [] }, "host"],
          [{ settings: { "LOCK_TIMEOUT 1; DROP TABLE t --": "1" } }, "setting"],
          [{ settings: { authentication: "magic" } }, "authentication"],
          [{ settings: { authentication: "azure-active-directory-password" } }, "clientId"],
          [{ settings: { authentication: "ntlm" } }, "domain"],
          [{
            settings: { authentication: "azure-active-directory-default" },
            ssl: { mode: "disable", ca: undefined, cert: undefined, key: undefined }
          }, "encrypted"]
        ] as ReadonlyArray<readonly [Changes, string]>
      ) {
        const error = yield* refused(changes)
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
        expect(error.message).toContain(what)
      }
      yield* Effect.scoped(
        make(configFor(database, { settings: { authentication: "azure-active-directory-password", clientId: "id" } }))
      )
    }))
})
