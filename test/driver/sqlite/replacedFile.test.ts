/** A file that is deleted or replaced while it is open: no write goes where no other program looks. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Db } from "../../../src/Db.js"
import type { DbError } from "../../../src/DbError.js"
import type { Connection } from "../../../src/driver/Driver.js"
import { connect, eventually, execute, folder, make, ping, places } from "./harness.js"

/** Files whose table says which one it is. */
const files = (workers: number) =>
  Effect.gen(function*() {
    const at = yield* folder
    const path = (name: string) => Path.join(at, name)
    const put = (name: string) =>
      Effect.scoped(Effect.gen(function*() {
        const connection = yield* connect(yield* make({ filename: path(name), settings: { journal_mode: "DELETE" } }))
        yield* execute(connection, `CREATE TABLE origin AS SELECT '${name}' AS name`)
      }))
    const open = (name: string) => make({ filename: path(name), workers })
    return { path, put, open }
  })

const origin = (connection: Connection) =>
  Effect.map(execute(connection, "SELECT name FROM origin"), ([row]) => row!["name"])

const told = (connection: Connection) => {
  const seen: Array<DbError> = []
  connection.onLost = (error) => seen.push(error)
  return seen
}

describe.each(places)("a file that goes away, %s", (_, workers) => {
  it.scoped("one that is replaced: all of its connections are lost, and the new one is opened", () =>
    Effect.gen(function*() {
      const { open, path, put } = yield* files(workers)
      yield* put("a.db")
      yield* put("b.db")
      const driver = yield* open("a.db")
      const one = yield* connect(driver)
      const two = yield* connect(driver)
      const seen = told(two)
      assert.strictEqual(yield* origin(one), "a.db")
      yield* ping(one)
      Fs.renameSync(path("b.db"), path("a.db"))
      const error = yield* Effect.flip(ping(one))
      assert.include(error, { _tag: "ConnectionError", reason: "Lost", outcome: "NotSent" })
      assert.include(error.message, "was replaced while it was open")
      // The other one was not asked.
      yield* eventually(() => seen.length === 1)
      assert.isTrue(two.lost)
      assert.include(yield* Effect.flip(execute(two, "INSERT INTO origin VALUES ('lost')")), {
        reason: "Lost",
        outcome: "NotSent"
      })
      assert.strictEqual(yield* origin(yield* connect(driver)), "b.db")
    }))

  it.scoped("one that is removed is not created again, empty; one that is put back is opened", () =>
    Effect.gen(function*() {
      const { open, path, put } = yield* files(workers)
      const driver = yield* open("a.db")
      const connection = yield* connect(driver)
      yield* execute(connection, "CREATE TABLE t(x)")
      for (const suffix of ["", "-wal", "-shm"]) {
        Fs.rmSync(path(`a.db${suffix}`), { force: true })
      }
      assert.include(yield* Effect.flip(ping(connection)), { reason: "Lost", outcome: "NotSent" })
      connection.destroy()
      const refused = yield* Effect.flip(driver.open)
      assert.include(refused, { _tag: "ConnectionError", reason: "CannotOpen" })
      assert.include(refused.message, "was removed while the database was open")
      assert.isFalse(Fs.existsSync(path("a.db")))
      yield* put("b.db")
      Fs.renameSync(path("b.db"), path("a.db"))
      assert.strictEqual(yield* origin(yield* connect(driver)), "b.db")
    }))

  it.scoped("a connection that finds another file says so to those before it", () =>
    Effect.gen(function*() {
      const { open, path, put } = yield* files(workers)
      yield* put("a.db")
      yield* put("b.db")
      const driver = yield* open("a.db")
      const before = yield* connect(driver)
      const seen = told(before)
      Fs.renameSync(path("b.db"), path("a.db"))
      const after = yield* connect(driver)
      assert.strictEqual(yield* origin(after), "b.db")
      yield* eventually(() => seen.length === 1)
      assert.include(yield* Effect.flip(execute(before, "SELECT 1")), { reason: "Lost" })
      yield* ping(after)
    }))

  it.scoped("a symbolic link that leads elsewhere now", () =>
    Effect.gen(function*() {
      const { open, path, put } = yield* files(workers)
      yield* put("a.db")
      yield* put("b.db")
      Fs.symlinkSync(path("a.db"), path("link.db"))
      const driver = yield* open("link.db")
      const connection = yield* connect(driver)
      assert.strictEqual(yield* origin(connection), "a.db")
      yield* ping(connection)
      Fs.rmSync(path("link.db"))
      Fs.symlinkSync(path("b.db"), path("link.db"))
      assert.include(yield* Effect.flip(ping(connection)), { reason: "Lost" })
      assert.strictEqual(yield* origin(yield* connect(driver)), "b.db")
    }))

  it.scoped("a write-ahead log that is removed: what was committed is in the file", () =>
    Effect.gen(function*() {
      const { open, path } = yield* files(workers)
      const driver = yield* open("a.db")
      const connection = yield* connect(driver)
      yield* execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (1)")
      yield* ping(connection)
      Fs.rmSync(path("a.db-wal"))
      const error = yield* Effect.flip(ping(connection))
      assert.include(error, { reason: "Lost" })
      assert.include(error.message, "a.db-wal was removed or replaced")
      connection.destroy()
      assert.deepStrictEqual(yield* execute(yield* connect(driver), "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("a log that is removed before the first ping of a new file", () =>
    Effect.gen(function*() {
      const { open, path } = yield* files(workers)
      const driver = yield* open("a.db")
      const connection = yield* connect(driver)
      yield* execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (1)")
      Fs.rmSync(path("a.db-wal"))
      assert.include(yield* Effect.flip(ping(connection)), { reason: "Lost" })
      connection.destroy()
      assert.deepStrictEqual(yield* execute(yield* connect(driver), "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("a file whose content is cut off", () =>
    Effect.gen(function*() {
      const { open, path } = yield* files(workers)
      for (
        const driver of [
          yield* open("a.db"),
          yield* make({ filename: path("b.db"), workers, settings: { journal_mode: "DELETE" } })
        ]
      ) {
        const connection = yield* connect(driver)
        yield* execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (1)")
        yield* ping(connection)
        Fs.truncateSync(driver.target.namespace!, 0)
        const error = yield* Effect.flip(ping(connection))
        assert.include(error, { reason: "Lost" })
        assert.include(error.message, "was emptied while it was open")
        connection.destroy()
      }
    }))

  it.scoped("a log that its own connection removes is none that was lost", () =>
    Effect.gen(function*() {
      const { open } = yield* files(workers)
      const connection = yield* connect(yield* open("a.db"))
      yield* execute(connection, "CREATE TABLE t(x)")
      yield* ping(connection)
      yield* execute(connection, "PRAGMA journal_mode = DELETE")
      yield* ping(connection)
      yield* execute(connection, "PRAGMA journal_mode = WAL")
      yield* execute(connection, "INSERT INTO t VALUES (1)")
      yield* ping(connection)
    }))
})

describe.each(places)("the health check, %s", (_, workers) => {
  it.scopedLive("finds a file that was replaced while all connections are busy", () =>
    Effect.gen(function*() {
      const { path, put } = yield* files(workers)
      yield* put("a.db")
      yield* put("b.db")
      const layer = Db.layer({
        filename: path("a.db"),
        workers,
        pool: { size: 1, overflow: 0, validateAfter: "1 hour" },
        health: { cache: 0 }
      })
      yield* Effect.gen(function*() {
        const name = Effect.map(Db.query<{ name: string }>("SELECT name FROM origin"), ([row]) => row?.name)
        yield* Effect.gen(function*() {
          assert.strictEqual(yield* name, "a.db")
          Fs.renameSync(path("b.db"), path("a.db"))
          const report = yield* Db.health
          assert.strictEqual(report.status, "unhealthy")
          assert.include(report.error!, "was replaced while it was open")
          const error = yield* Effect.flip(Db.query("INSERT INTO origin VALUES ('lost')"))
          assert.include(error, { _tag: "ConnectionError", reason: "Lost" })
        }).pipe(Db.session)
        // A slow machine makes it degraded: a process had to be started.
        assert.isTrue((yield* Db.health).queryTest)
        assert.strictEqual(yield* name, "b.db")
        // An idle connection that would be used without validation.
        Fs.rmSync(path("a.db"))
        assert.strictEqual((yield* Db.health).status, "unhealthy")
        assert.include(yield* Effect.flip(name), { _tag: "ConnectionError", reason: "CannotOpen" })
      }).pipe(Effect.provide(layer))
    }))
})
