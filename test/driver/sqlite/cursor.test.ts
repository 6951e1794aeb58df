import { describe, it } from "@effect/vitest"
import { assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { vi } from "vitest"
import { connect, drain, execute, fetch, file, make, once, openCursor, places, reset, single } from "./harness.js"

const numbers = (n: number) => Array.from({ length: n }, (_, i) => ({ n: i + 1 }))

const count = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < ?) SELECT n FROM r"

describe.each(places)("cursors, %s", (_, workers) => {
  it.scoped("give every row once, in order, in batches of the size asked for", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const cursor = yield* openCursor(connection, count, [10])
      strictEqual(cursor.interleaves, true)
      deepStrictEqual(yield* fetch(cursor, 4), { rows: numbers(10).slice(0, 4), done: false })
      deepStrictEqual(yield* fetch(cursor, 4), { rows: numbers(10).slice(4, 8), done: false })
      deepStrictEqual(yield* drain(cursor, 4), numbers(10).slice(8))
      deepStrictEqual(yield* fetch(cursor, 4), { rows: [], done: true })
      for (const size of [0, 1, 2, 3, 7]) {
        deepStrictEqual(yield* drain(yield* openCursor(connection, count, [size]), 3), numbers(Math.max(size, 1)))
      }
      deepStrictEqual(yield* drain(yield* openCursor(connection, "SELECT 1 WHERE 0")), [])
    }))

  it.scoped("as arrays, and with bigints", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      deepStrictEqual(yield* drain(yield* openCursor(connection, count, [2], { mode: "values" })), [[1], [2]])
      deepStrictEqual(yield* drain(yield* openCursor(connection, count, [1], { safeIntegers: true })), [{ n: 1n }])
    }))

  it.scoped("statements run beside an open one, which does not see what they write", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      yield* execute(connection, "CREATE TABLE t(n)")
      yield* execute(connection, `INSERT INTO t ${count}`, [5])
      const text = "SELECT n FROM t"
      const cursor = yield* openCursor(connection, text)
      deepStrictEqual((yield* fetch(cursor, 2)).rows, numbers(2))
      deepStrictEqual(yield* execute(connection, text), numbers(5))
      const beside = yield* openCursor(connection, text)
      yield* execute(connection, "INSERT INTO t SELECT n + 5 FROM t")
      yield* execute(connection, "DELETE FROM t WHERE n = 4")
      deepStrictEqual(yield* drain(cursor), numbers(5).slice(2))
      deepStrictEqual(yield* drain(beside), numbers(5))
      yield* execute(connection, "DROP TABLE t")
    }))

  it.scoped("outlive the transaction they began in", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      yield* execute(connection, "CREATE TABLE t(n)")
      yield* execute(connection, `INSERT INTO t ${count}`, [3], { begin: "BEGIN IMMEDIATE" })
      const cursor = yield* openCursor(connection, "SELECT n FROM t")
      yield* execute(connection, "ROLLBACK")
      deepStrictEqual(yield* drain(cursor), numbers(3))
    }))

  it.scoped("one that is closed early holds nothing", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(n)")
      yield* execute(one, `INSERT INTO t ${count}`, [100])
      const cursor = yield* openCursor(one, "SELECT n FROM t")
      yield* fetch(cursor, 1)
      assertTrue(one.dirty)
      yield* once<void>((done) => cursor.close(done))
      yield* once<void>((done) => cursor.close(done))
      strictEqual((yield* fetch(cursor, 1)).done, true)
      // Its snapshot is given up: the next statement sees what was written since.
      yield* execute(two, "DELETE FROM t")
      deepStrictEqual(yield* execute(one, "SELECT n FROM t"), [])
      if (workers === 0) {
        assertTrue(!one.dirty)
      }
    }))

  it.scoped("reset closes what is open", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      const cursor = yield* openCursor(connection, count, [100])
      yield* fetch(cursor, 1)
      yield* reset(connection)
      assertTrue(!connection.dirty)
      yield* execute(connection, "CREATE TABLE t(x)")
    }))

  it.scoped("a fault in the middle comes after the rows before it", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const cursor = yield* openCursor(
        connection,
        `SELECT abs(CASE WHEN n = 3 THEN -9223372036854775808 ELSE n END) AS n FROM (${count})`,
        [5]
      )
      deepStrictEqual(yield* fetch(cursor, 10), { rows: numbers(2), done: false })
      const error = yield* Effect.flip(fetch(cursor, 10))
      strictEqual(error.reason, "DataError")
      deepStrictEqual(yield* fetch(cursor, 10), { rows: [], done: true })
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), [{ n: 1 }])
    }))

  it.scoped("a fault at the start is told at once", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      strictEqual((yield* Effect.flip(openCursor(connection, "SELECT * FROM nowhere"))).reason, "UndefinedObject")
      strictEqual((yield* Effect.flip(openCursor(connection, "SELECT ?", [undefined]))).reason, "Parameter")
      strictEqual((yield* Effect.flip(openCursor(connection, "SELECT 1; SELECT 2"))).reason, "SqlSyntax")
    }))

  it.scoped("of a write: done at once, and once", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE t(n)")
      deepStrictEqual(
        yield* drain(yield* openCursor(connection, "INSERT INTO t VALUES (1), (2) RETURNING n")),
        numbers(2)
      )
      deepStrictEqual(yield* drain(yield* openCursor(connection, "INSERT INTO t VALUES (3)")), [])
      deepStrictEqual(yield* execute(connection, "SELECT n FROM t"), numbers(3))
    }))

  it.scoped("with BEGIN ahead", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const cursor = yield* openCursor(connection, count, [2], { begin: "BEGIN" })
      strictEqual(connection.transaction, "open")
      deepStrictEqual(yield* drain(cursor), numbers(2))
    }))
})

describe("cursors in this process", () => {
  it.scoped("a connection with an open cursor closes", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file })
      yield* fetch(yield* openCursor(connection, count, [100]), 1)
      yield* once<void>((done) => connection.close(done))
      const { db } = connection as unknown as { readonly db: { readonly open: boolean } }
      strictEqual(db.open, false)
    }))

  it.scoped("the same statement may run twice at a time", () =>
    Effect.gen(function*() {
      const connection = yield* single({})
      const cursors = [yield* openCursor(connection, count, [3]), yield* openCursor(connection, count, [3])]
      deepStrictEqual((yield* fetch(cursors[0]!, 1)).rows, numbers(1))
      deepStrictEqual(yield* drain(cursors[1]!), numbers(3))
      deepStrictEqual(yield* execute(connection, count, [3]), numbers(3))
      deepStrictEqual(yield* drain(cursors[0]!), numbers(3).slice(1))
    }))
})

/** However busy the machine is, what is fetched was there soon. */
const noTimePasses = Effect.acquireRelease(
  Effect.sync(() => vi.spyOn(performance, "now").mockReturnValue(0)),
  (clock) => Effect.sync(() => clock.mockRestore())
)

/** Numbers up to a last one, behind which SQLite looks for another for ever. */
const endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n <= ?"

describe("a cursor that is alone, in a process", () => {
  const alone = (filename: string, text: string, params: ReadonlyArray<unknown>) =>
    Effect.gen(function*() {
      yield* noTimePasses
      const connection = yield* single({ filename, workers: 1 })
      const cursor = yield* openCursor(connection, text, params)
      cursor.alone!()
      return { connection, cursor }
    })

  it.scoped("gives every row once, in order, whatever the batches", () =>
    Effect.gen(function*() {
      const { connection, cursor } = yield* alone(yield* file, count, [20])
      for (const [from, to] of [[0, 4], [4, 8], [8, 9], [9, 15]] as const) {
        deepStrictEqual(yield* fetch(cursor, to - from), { rows: numbers(20).slice(from, to), done: false })
      }
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), numbers(1))
      deepStrictEqual(yield* fetch(cursor, 4), { rows: numbers(20).slice(15, 19), done: false })
      deepStrictEqual(yield* drain(cursor), numbers(20).slice(19))
    }))

  it.scoped("has read the rest when its last rows are fetched", () =>
    Effect.gen(function*() {
      const { cursor } = yield* alone(yield* file, count, [6])
      yield* fetch(cursor, 2)
      yield* fetch(cursor, 2)
      // Those that were read ahead were the last ones, and that they were was not known yet.
      deepStrictEqual(yield* fetch(cursor, 2), { rows: numbers(6).slice(4), done: false })
      deepStrictEqual(yield* fetch(cursor, 2), { rows: [], done: true })
    }))

  it.scoped("a fault among what is read ahead comes after the rows before it", () =>
    Effect.gen(function*() {
      const { connection, cursor } = yield* alone(
        yield* file,
        `SELECT abs(CASE WHEN n = 4 THEN -9223372036854775808 ELSE n END) AS n FROM (${count})`,
        [5]
      )
      yield* fetch(cursor, 1)
      deepStrictEqual(yield* fetch(cursor, 2), { rows: numbers(3).slice(1), done: false })
      strictEqual((yield* Effect.flip(fetch(cursor, 2))).reason, "DataError")
      deepStrictEqual(yield* fetch(cursor, 2), { rows: [], done: true })
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), numbers(1))
    }))

  it.scoped("reads nothing ahead of its second fetch", () =>
    Effect.gen(function*() {
      const { connection, cursor } = yield* alone(yield* file, endless, [9])
      deepStrictEqual(yield* fetch(cursor, 9), { rows: numbers(9), done: false })
      yield* once<void>((done) => cursor.close(done))
      assertTrue(!connection.lost)
    }))

  it.scoped("closes at once though what it reads ahead never comes", () =>
    Effect.gen(function*() {
      const { connection, cursor } = yield* alone(yield* file, endless, [9])
      yield* fetch(cursor, 4)
      deepStrictEqual(yield* fetch(cursor, 4), { rows: numbers(8).slice(4), done: false })
      yield* once<void>((done) => cursor.close(done))
      assertTrue(connection.lost)
    }))

  it.scoped("closes without ending its process when the program is what takes long", () =>
    Effect.gen(function*() {
      const { connection, cursor } = yield* alone(yield* file, count, [20])
      yield* fetch(cursor, 4)
      yield* fetch(cursor, 4)
      yield* once<void>((done) => {
        cursor.close(done)
        const until = Date.now() + 200
        while (Date.now() < until);
      })
      assertTrue(!connection.lost)
    }))

  it.scoped("tells that the file is gone that it has read ahead", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const writer = yield* single({ filename })
      yield* execute(writer, "PRAGMA wal_autocheckpoint = 0")
      yield* execute(writer, "CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB)")
      yield* execute(writer, `INSERT INTO t SELECT n, randomblob(1000) FROM (${count})`, [1000])
      const { connection, cursor } = yield* alone(filename, "SELECT n, body FROM t", [])
      let told: string | undefined
      connection.onLost = (error) => {
        told = error.reason
      }
      yield* fetch(cursor, 4)
      Fs.truncateSync(`${filename}-wal`, 200_000)
      yield* fetch(cursor, 100)
      // The program has had all that it asked for; the rows after them cannot be read.
      yield* once<void>((done) => cursor.close(done))
      assertTrue(connection.lost)
      yield* Effect.yieldNow()
      strictEqual(told, "Lost")
    }))

  it.scoped("reads nothing ahead of a database in memory, which would end with its process", () =>
    Effect.gen(function*() {
      const { connection, cursor } = yield* alone(":memory:", endless, [9])
      yield* fetch(cursor, 4)
      yield* fetch(cursor, 4)
      yield* once<void>((done) => cursor.close(done))
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), numbers(1))
    }))
})
