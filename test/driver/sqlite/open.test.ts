import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { DbError } from "../../../src/DbError.js"
import type { Changes } from "../../kit/dbConfig.js"
import { connect, eventually, execute, file, folder, lock, make, once, ping, places, single, turns } from "./harness.js"

const failure = (changes: Changes) => Effect.scoped(Effect.flip(Effect.flatMap(make(changes), (driver) => driver.open)))

const isConnectionError = (error: DbError, reason: string) => {
  strictEqual(error._tag, "ConnectionError")
  strictEqual(error.reason, reason)
  strictEqual(error.outcome, "NotSent")
}

describe.each(places)("opening, %s", (_, workers) => {
  it.scoped("creates the file and its folders", () =>
    Effect.gen(function*() {
      const filename = Path.join(yield* folder, "a", "b", "db.sqlite")
      const connection = yield* single({ filename, workers })
      assertTrue(Fs.existsSync(filename))
      assertTrue(/^3\.\d+\.\d+$/.test(connection.serverVersion))
    }))

  it.scoped("sets the connection up", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers, settings: { temp_store: "MEMORY" } })
      const value = (name: string) =>
        Effect.map(execute(connection, `PRAGMA ${name}`), (rows) => Object.values(rows[0]!)[0])
      strictEqual(yield* value("journal_mode"), "wal")
      strictEqual(yield* value("synchronous"), 1)
      strictEqual(yield* value("foreign_keys"), 1)
      strictEqual(yield* value("cache_size"), -65536)
      strictEqual(yield* value("busy_timeout"), 0)
      strictEqual(yield* value("temp_store"), 2)
    }))

  it.scoped("a setting wins over the driver's own", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers, settings: { Journal_Mode: "DELETE" } })
      deepStrictEqual(yield* execute(connection, "PRAGMA journal_mode"), [{ journal_mode: "delete" }])
    }))

  it.scoped("refuses a pragma that SQLite does not have", () =>
    Effect.gen(function*() {
      const error = yield* failure({ filename: yield* file, workers, settings: { "no_such; DROP TABLE x": "1" } })
      isConnectionError(error, "Unsupported")
      assertInclude(error.message, "no_such")
    }))

  it.scoped("refuses SQLite's own waiting for locks", () =>
    Effect.gen(function*() {
      const error = yield* failure({ filename: yield* file, workers, settings: { busy_timeout: "1000" } })
      isConnectionError(error, "Unsupported")
      assertInclude(error.message, "lockTimeout")
    }))

  it.scoped("a value of a setting cannot leave its quotes", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* single({ filename, workers, settings: { cache_size: "1'; CREATE TABLE injected(x); --" } }).pipe(
        Effect.scoped,
        Effect.ignore
      )
      const connection = yield* single({ filename, workers })
      deepStrictEqual(yield* execute(connection, "SELECT name FROM sqlite_schema"), [])
    }))

  it.scoped("a file that is no database", () =>
    Effect.gen(function*() {
      const filename = yield* file
      Fs.writeFileSync(filename, "this is no database, and longer than a header is: ".repeat(40))
      isConnectionError(yield* failure({ filename, workers }), "NotADatabase")
    }))

  it.scoped("a folder", () =>
    Effect.gen(function*() {
      const error = yield* failure({ filename: yield* folder, workers })
      isConnectionError(error, "CannotOpen")
      assertInclude(error.message, "it is a folder")
    }))

  it.scoped("a folder that cannot be created", () =>
    Effect.gen(function*() {
      const path = yield* folder
      Fs.writeFileSync(Path.join(path, "plain"), "")
      isConnectionError(yield* failure({ filename: Path.join(path, "plain", "x", "db.sqlite"), workers }), "CannotOpen")
    }))

  it.scoped("a folder that cannot be written", () =>
    Effect.gen(function*() {
      // Read-only for every user, root among them.
      isConnectionError(yield* failure({ filename: "/proc/self/db.sqlite", workers }), "CannotOpen")
    }))

  it.scoped("a name that would be another file's", () =>
    Effect.gen(function*() {
      isConnectionError(yield* failure({ filename: `${yield* file} `, workers }), "CannotOpen")
    }))

  it.scoped("read-only access creates nothing, and writes nothing", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const error = yield* failure({ filename, workers, access: "read-only" })
      isConnectionError(error, "CannotOpen")
      assertTrue(!Fs.existsSync(filename))
      yield* Effect.scoped(
        Effect.flatMap(single({ filename, workers }), (connection) => execute(connection, "CREATE TABLE t(x)"))
      )
      const connection = yield* single({ filename, workers, access: "read-only" })
      const refused = yield* Effect.flip(execute(connection, "INSERT INTO t VALUES (1)"))
      strictEqual(refused.reason, "ReadOnly")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  it.scoped("read-only access to memory", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers, access: "read-only" })
      strictEqual((yield* Effect.flip(execute(connection, "CREATE TABLE t(x)"))).reason, "ReadOnly")
    }))

  it.scoped("a locked file is waited for, and the event loop goes on", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const held = yield* lock(filename, "CREATE TABLE t(x); BEGIN EXCLUSIVE", { journal: "DELETE" })
      const [error, count] = yield* turns(failure({ filename, workers, pool: { connectTimeout: 300 } }))
      strictEqual(error._tag, "TimeoutError")
      strictEqual(error.reason, "Connect")
      strictEqual(error.outcome, "NotSent")
      assertTrue(count > 20, `${count} turns`)
      const driver = yield* make({ filename, workers })
      const opening = yield* Effect.fork(connect(driver))
      yield* Effect.yieldNow()
      yield* held.release
      const connection = yield* Fiber.join(opening)
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  it.scoped("opening can be interrupted", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* lock(filename, "CREATE TABLE t(x); BEGIN EXCLUSIVE", { journal: "DELETE" })
      const opening = yield* Effect.fork(failure({ filename, workers, pool: { connectTimeout: 0 } }))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(opening)
    }))

  it.scoped("notices that the file was removed or replaced", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const connection = yield* single({ filename, workers })
      yield* ping(connection)
      Fs.renameSync(filename, `${filename}.old`)
      let told: DbError | undefined
      connection.onLost = (error) => {
        told = error
      }
      const error = yield* Effect.flip(ping(connection))
      strictEqual(error.reason, "Lost")
      assertTrue(connection.lost)
      yield* eventually(() => told !== undefined)
      strictEqual((yield* Effect.flip(execute(connection, "SELECT 1"))).reason, "Lost")
    }))

  it.scoped("an in-memory database lives as long as its driver, whatever becomes of its connections", () =>
    Effect.gen(function*() {
      const driver = yield* make({ workers })
      const one = yield* driver.open
      yield* execute(one, "CREATE TABLE t(x); INSERT INTO t VALUES (1)")
      yield* execute(one, "CREATE TEMP TABLE own(x)")
      yield* once<void>((done) => one.close(done))
      const two = yield* driver.open
      deepStrictEqual(yield* execute(two, "SELECT x FROM t"), [{ x: 1 }])
      strictEqual((yield* Effect.flip(execute(two, "SELECT * FROM own"))).reason, "UndefinedObject")
      strictEqual((yield* Effect.flip(execute(one, "SELECT 1"))).outcome, "NotSent")
      yield* execute(two, "INSERT INTO t VALUES (2)", [], { begin: "BEGIN IMMEDIATE" })
      two.destroy()
      const three = yield* driver.open
      strictEqual(three.transaction, "idle")
      deepStrictEqual(yield* execute(three, "SELECT x FROM t"), [{ x: 1 }])
      // Dropped in the middle of a statement.
      const heavy =
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100000) SELECT max(n) FROM r"
      const running = yield* Effect.fork(Effect.either(execute(three, heavy)))
      yield* Effect.yieldNow()
      three.destroy()
      yield* Fiber.join(running)
      deepStrictEqual(yield* execute(yield* driver.open, "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("an in-memory database has one connection", () =>
    Effect.gen(function*() {
      strictEqual((yield* make({ workers })).maxConnections, 1)
      strictEqual((yield* make({ filename: yield* file })).maxConnections, undefined)
    }))
})

describe("limits of statements", () => {
  it.scoped("are refused where they could not be kept", () =>
    Effect.gen(function*() {
      const here = yield* Effect.flip(make({ filename: yield* file, limits: { statementTimeout: 1000 } }))
      isConnectionError(here, "Unsupported")
      assertInclude(here.message, "workers")
      isConnectionError(yield* Effect.flip(make({ workers: 1, limits: { statementTimeout: 1000 } })), "Unsupported")
      strictEqual(
        (yield* make({ filename: yield* file, workers: 1, limits: { statementTimeout: 1000 } })).capabilities.cancel,
        true
      )
    }))
})
