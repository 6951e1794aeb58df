import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { DbError } from "../../../src/DbError.js"
import type { Connection, Cursor } from "../../../src/driver/Driver.js"
import { describePostgres, eventually, freshDatabase, observer } from "../../kit/postgres.js"
import { afterReply, makeProxy } from "../../kit/proxy.js"
import {
  cancel,
  closeCursor,
  connected,
  driverAt,
  execute,
  fetch,
  openCursor,
  opened,
  ping,
  reset,
  value
} from "./fixture.js"

const series = "SELECT g FROM generate_series(1, $1::int4) g"

const all = (cursor: Cursor, count: number) =>
  Effect.gen(function*() {
    const sizes: Array<number> = []
    const rows: Array<any> = []
    while (true) {
      const batch = yield* fetch(cursor, count)
      sizes.push(batch.rows.length)
      rows.push(...batch.rows)
      if (batch.done) return { rows, sizes }
    }
  })

/** Portals of the statement that the server still holds. */
const left = (connection: Connection) =>
  value(connection, "SELECT count(*)::int4 FROM pg_cursors WHERE statement = $1", [series])

const portals = (begin: string | undefined) => (begin === undefined ? "outside a transaction" : "in a transaction")

describePostgres("cursors of PostgreSQL", () => {
  for (const begin of [undefined, "BEGIN"]) {
    it.scoped(`${portals(begin)}: rows come as asked for, and the statement stays prepared`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        for (let run = 0; run < 3; run++) {
          const cursor = yield* openCursor(connection, series, [10], { begin })
          assert.strictEqual(cursor.interleaves, begin !== undefined)
          const { rows, sizes } = yield* all(cursor, 4)
          assert.deepStrictEqual(rows, Array.from({ length: 10 }, (_, i) => ({ g: i + 1 })))
          assert.deepStrictEqual(sizes, [4, 4, 2])
          assert.deepStrictEqual(yield* fetch(cursor, 4), { rows: [], done: true })
          yield* closeCursor(cursor)
          assert.strictEqual(connection.transaction, begin === undefined ? "idle" : "open")
          assert.isAtMost(yield* left(connection), begin === undefined ? 0 : 1)
          yield* reset(connection)
        }
        assert.strictEqual(
          yield* value(connection, "SELECT count(*)::int4 FROM pg_prepared_statements WHERE statement = $1", [series]),
          1
        )
        const values = yield* openCursor(connection, series, [1], { begin, mode: "values" })
        assert.deepStrictEqual(yield* fetch(values, 2), { rows: [[1]], done: true })
        const none = yield* openCursor(connection, series, [0])
        assert.deepStrictEqual(yield* fetch(none, 2), { rows: [], done: true })
        const arrays = yield* openCursor(connection, "SELECT $1::int4[] AS a", [[1, 2]])
        assert.deepStrictEqual(yield* fetch(arrays, 2), { rows: [{ a: [1, 2] }], done: true })
      }))

    it.scoped(`${portals(begin)}: fewer rows are asked for at a time where they are large`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        const wide = "SELECT g, repeat('x', $1::int) AS body FROM generate_series(1, $2::int) AS g"
        const sizes = (length: number, rows: number) =>
          Effect.flatMap(
            openCursor(connection, wide, [length, rows], { begin }),
            (cursor) =>
              Effect.map(all(cursor, 1_000), ({ sizes }) => {
                assert.strictEqual(sizes.reduce((sum, size) => sum + size, 0), rows)
                return sizes
              })
          )
        assert.deepStrictEqual((yield* sizes(1, 2_000)).slice(0, 2), [64, 1_000])
        yield* reset(connection)
        // About 256 KiB each, and at least one.
        assert.deepStrictEqual((yield* sizes(100_000, 70)).slice(0, 3), [64, 3, 3])
        yield* reset(connection)
        assert.deepStrictEqual((yield* sizes(1_000_000, 66)).slice(0, 3), [64, 1, 1])
      }))

    it.scoped(`${portals(begin)}: a cursor that is closed early leaves the connection ready and the server free`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        const cursor = yield* openCursor(connection, series, [1_000_000], { begin })
        yield* fetch(cursor, 3)
        yield* closeCursor(cursor)
        yield* closeCursor(cursor)
        assert.deepStrictEqual(yield* fetch(cursor, 3), { rows: [], done: true })
        assert.strictEqual(yield* left(connection), 0)
        yield* ping(connection)
        const unused = yield* openCursor(connection, series, [1], { begin: undefined })
        yield* closeCursor(unused)
        assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
      }))

    it.scoped(`${portals(begin)}: an error in the statement, before or between the rows, is typed; then it is closed`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        const wrong = yield* openCursor(connection, "SELEC", [], { begin })
        assert.strictEqual((yield* Effect.flip(fetch(wrong, 1))).reason, "SqlSyntax")
        yield* closeCursor(wrong)
        yield* reset(connection)
        const late = yield* openCursor(connection, "SELECT 1 / (5 - g) AS q FROM generate_series(1, 9) g", [], {
          begin
        })
        assert.strictEqual((yield* fetch(late, 4)).rows.length, 4)
        const error = yield* Effect.flip(fetch(late, 4))
        assert.deepStrictEqual([error.reason, error.outcome], ["DataError", "RolledBack"])
        yield* closeCursor(late)
        assert.strictEqual(connection.transaction, begin === undefined ? "idle" : "failed")
        yield* reset(connection)
        assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
        const refused = yield* Effect.flip(openCursor(connection, "SELECT $1", [Symbol()]))
        assert.strictEqual(refused.reason, "Parameter")
      }))

    it.scoped(`${portals(begin)}: a fetch can be cancelled`, () =>
      Effect.gen(function*() {
        const { url } = yield* freshDatabase
        const connection = yield* Effect.orDie(opened(yield* driverAt(url)))
        const ask = yield* observer(url)
        const cursor = yield* openCursor(connection, "SELECT pg_sleep(60)", [], { begin })
        const ended: Array<DbError | undefined> = []
        cursor.fetch(1, (error) => ended.push(error))
        yield* eventually(
          ask("SELECT state, wait_event FROM pg_stat_activity WHERE pid = $1", [connection.id]),
          ([row]) => row!["wait_event"] === "PgSleep"
        )
        yield* cancel(connection)
        assert.deepStrictEqual(ended.map((error) => (error as { readonly code?: string }).code), ["57014"])
        yield* closeCursor(cursor)
        yield* reset(connection)
        assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
      }))
  }

  it.scoped("in a transaction other statements run between the fetches", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const cursor = yield* openCursor(connection, series, [6], { begin: "BEGIN" })
      const first = yield* fetch(cursor, 3)
      assert.strictEqual(yield* value(connection, "SELECT $1::int4", [42]), 42)
      assert.deepStrictEqual(yield* execute(connection, "SELECT 1 AS a; SELECT 2 AS b"), [[{ a: 1 }], [{ b: 2 }]])
      const other = yield* openCursor(connection, series, [2])
      assert.deepStrictEqual((yield* fetch(other, 5)).rows, [{ g: 1 }, { g: 2 }])
      const rest = yield* all(cursor, 3)
      assert.deepStrictEqual([...first.rows, ...rest.rows].map((row) => row.g), [1, 2, 3, 4, 5, 6])
      // Portals that came to their end are freed with the next new name.
      for (let i = 0; i < 5; i++) yield* all(yield* openCursor(connection, series, [1]), 2)
      assert.isAtMost(yield* left(connection), 1)
      yield* execute(connection, "COMMIT")
      assert.deepStrictEqual(yield* fetch(cursor, 3), { rows: [], done: true })
    }))

  it.scoped("a cursor whose transaction has ended fails with a typed error", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const cursor = yield* openCursor(connection, series, [6], { begin: "BEGIN" })
      yield* fetch(cursor, 3)
      yield* execute(connection, "COMMIT")
      const error = yield* Effect.flip(fetch(cursor, 3))
      assert.strictEqual(error.reason, "UndefinedObject")
      assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
    }))

  it.scoped("a cursor left open outside a transaction does not stand in the way of what comes next", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      for (
        const next of [
          ping(connection),
          reset(connection, "discard"),
          Effect.map(value(connection, "SELECT 1"), (one) => assert.strictEqual(one, 1)),
          Effect.map(execute(connection, "SELECT 1; SELECT 2"), (rows) => assert.strictEqual(rows.length, 2))
        ]
      ) {
        const cursor = yield* openCursor(connection, series, [6])
        yield* fetch(cursor, 3)
        yield* next
        assert.strictEqual(yield* left(connection), 0)
      }
    }))

  it.scoped("a cursor left open whose limit runs out does not fail what comes next", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const cursor = yield* openCursor(connection, series, [1000], { statementTimeout: 30 })
      yield* fetch(cursor, 1)
      // The server's word of it lies in the socket, unread, when the next statement is sent.
      const until = performance.now() + 150
      while (performance.now() < until);
      assert.strictEqual(yield* value(connection, "SELECT 42"), 42)
    }))

  it.scoped("one round trip opens and fetches; memory does not grow with the result", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
      proxy.resetCounts()
      const cursor = yield* openCursor(connection, series, [100], { begin: "BEGIN" })
      yield* fetch(cursor, 10)
      assert.strictEqual(proxy.counts().roundTrips, 1)
      proxy.resetCounts()
      yield* fetch(cursor, 10)
      assert.deepStrictEqual(proxy.counts().messages.backend, { D: 10, s: 1, Z: 1 })
    }))

  it.scoped("a link that breaks in the middle ends the fetch with a typed error, at once", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy({ host: database.host, port: database.port })
      const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
      const cursor = yield* openCursor(connection, series, [6])
      yield* fetch(cursor, 3)
      proxy.cutAll()
      const error = yield* Effect.flip(fetch(cursor, 3))
      assert.deepStrictEqual([error._tag, error.reason], ["ConnectionError", "Lost"])
      yield* closeCursor(cursor)

      const second = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
      proxy.at(afterReply("SELECT"), "cut")
      const whole = yield* Effect.flip(execute(second, series, [6]))
      assert.deepStrictEqual([whole._tag, whole.reason], ["ConnectionError", "Lost"])
    }))
})
