import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import type { DbError } from "../../../src/DbError.js"
import type { Connection, StatementResult } from "../../../src/driver/Driver.js"
import { drain, execute, openCursor, places, request, single } from "./harness.js"

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

/** What is written, and what a column without a type gives back. */
const value = fc.oneof(
  fc.oneof(int64, fc.constantFrom(2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 0n, 2n ** 63n - 1n, -(2n ** 63n))).map(
    (n) => [n, n >= -(2n ** 53n) + 1n && n <= 2n ** 53n - 1n ? Number(n) : n] as const
  ),
  fc.double({ noNaN: true }).map((n) => [n, n] as const),
  fc.constantFrom(Infinity, -Infinity, 1e300, 5e-324, 2 ** 53, 2 ** 70, -0).map((n) => [n, n] as const),
  fc.string({ unit: "binary" }).map((text) => [text, text] as const),
  fc.constantFrom("", "a\0b", "\0", "'; DROP TABLE v; --", "😀", "x".repeat(100_000)).map((text) =>
    [text, text] as const
  ),
  fc.uint8Array().map((bytes) => [bytes, Buffer.from(bytes)] as const),
  fc.boolean().map((flag) => [flag, flag ? 1 : 0] as const),
  fc.date({ noInvalidDate: true }).map((date) => [date, date.toISOString()] as const),
  fc.constant([null, null] as const)
)

const equal = (actual: unknown, expected: unknown) =>
  expected instanceof Uint8Array
    ? deepStrictEqual(Buffer.from(actual as Uint8Array), Buffer.from(expected))
    : deepStrictEqual(actual, expected)

const table = (connection: Connection) => execute(connection, "CREATE TABLE v(id INTEGER PRIMARY KEY, x)")

describe.each(places)("values, %s", (_, workers) => {
  it.scoped("what is written is read back equal", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* table(connection)
      const runtime = yield* Effect.runtime<never>()
      const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(Effect.provide(effect, runtime))
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 8 }), async (pairs) => {
            await run(execute(connection, "DELETE FROM v"))
            for (const [written] of pairs) {
              await run(execute(connection, "INSERT INTO v(x) VALUES (?)", [written]))
            }
            const all = "SELECT x FROM v ORDER BY id"
            const objects = await run(execute(connection, all))
            const arrays = await run(execute(connection, all, [], { mode: "values" }))
            const streamed = await run(Effect.flatMap(openCursor(connection, all), (cursor) => drain(cursor, 3)))
            const returned = await run(execute(connection, "UPDATE v SET x = x RETURNING x"))
            pairs.forEach(([, expected], i) => {
              equal(objects[i]!["x"], expected)
              equal((arrays[i] as unknown as ReadonlyArray<unknown>)[0], expected)
              equal((streamed[i] as Record<string, unknown>)["x"], expected)
            })
            strictEqual(returned.length, pairs.length)
          }),
          { numRuns: 60 }
        )
      )
    }))

  it.scoped("an integer beyond 2^53 is a bigint, a smaller one a number, next to each other", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const text = "SELECT ? AS big, ? AS small, 1e300 AS real"
      const expected = { big: 2n ** 53n + 1n, small: 7, real: 1e300 }
      const params = [2n ** 53n + 1n, 7n]
      for (let i = 0; i < 3; i++) {
        deepStrictEqual(yield* execute(connection, text, params), [expected])
        deepStrictEqual(yield* execute(connection, text, [1n, 7n]), [{ ...expected, big: 1 }])
      }
    }))

  it.scoped("bigints on request do not stick to the statement", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const text = "SELECT 1 AS n"
      for (let i = 0; i < 2; i++) {
        deepStrictEqual(yield* execute(connection, text, [], { safeIntegers: true }), [{ n: 1n }])
        deepStrictEqual(yield* execute(connection, text), [{ n: 1 }])
        deepStrictEqual((yield* execute(connection, text, [], { mode: "values" })) as unknown, [[1]])
      }
    }))

  it.scoped("the raw answer of a write", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* table(connection)
      const insert = (id: bigint, safeIntegers: boolean) =>
        execute(connection, "INSERT INTO v(id) VALUES (?)", [id], { mode: "raw", safeIntegers })
      deepStrictEqual((yield* insert(5n, false)) as unknown, { changes: 1, lastInsertRowid: 5 })
      deepStrictEqual((yield* insert(6n, true)) as unknown, { changes: 1, lastInsertRowid: 6n })
      const big = 2n ** 60n + 1n
      deepStrictEqual((yield* insert(big, false)) as unknown, { changes: 1, lastInsertRowid: big })
      deepStrictEqual(yield* execute(connection, "DELETE FROM v"), [])
    }))

  it.scoped("the key of an inserted row, and none where no row was inserted with one", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const result = (text: string) =>
        Effect.map(
          execute(connection, text, [], { mode: "result" }) as Effect.Effect<unknown, DbError>,
          (result) => result as StatementResult
        )
      const key = (text: string) => Effect.map(result(text), ({ lastInsertId }) => lastInsertId)
      for (
        const text of [
          "CREATE TABLE n (id INTEGER PRIMARY KEY, u TEXT UNIQUE)",
          "CREATE TABLE w (id TEXT PRIMARY KEY) WITHOUT ROWID",
          "CREATE VIEW v2 AS SELECT * FROM n",
          "CREATE TRIGGER i INSTEAD OF INSERT ON v2 BEGIN INSERT INTO w VALUES (NEW.u); END"
        ]
      ) yield* execute(connection, text)
      strictEqual(yield* key("INSERT INTO n (u) VALUES ('a'), ('b')"), 2)
      deepStrictEqual(yield* result("INSERT INTO n (u) VALUES ('c') RETURNING u"), {
        rows: [{ u: "c" }],
        rowsAffected: 1,
        lastInsertId: 3
      })
      strictEqual(yield* key("INSERT OR IGNORE INTO n (u) VALUES ('c')"), undefined)
      strictEqual(yield* key("INSERT INTO n (u) VALUES ('c') ON CONFLICT DO UPDATE SET u = 'd'"), undefined)
      strictEqual(yield* key("INSERT INTO n (u) VALUES ('e') ON CONFLICT DO UPDATE SET u = 'f'"), 4)
      strictEqual(yield* key("REPLACE INTO \"n\" (id, u) VALUES (2, 'z')"), 2)
      strictEqual(yield* key("INSERT OR REPLACE INTO main.n (u) VALUES ('z')"), 5)
      strictEqual(yield* key("WITH x AS (SELECT 'y' AS y) INSERT INTO [N] (u) SELECT y FROM x"), 6)
      strictEqual(yield* key("INSERT INTO w VALUES ('k')"), undefined)
      // However the table is written.
      yield* execute(connection, "CREATE TABLE größe (id TEXT PRIMARY KEY) WITHOUT ROWID")
      for (const name of ["'w'", "main.'w'", "`W`", "main /* c */ . -- c\n [w]", "größe", "GRößE", "\"größe\""]) {
        strictEqual(yield* key(`INSERT INTO ${name} VALUES (hex(randomblob(8)))`), undefined)
      }
      // An upsert inserts a row with the key that the last one had in another table, and updates it then.
      for (const other of ["o", "\"odd \"\" 'name\""]) {
        yield* execute(connection, `CREATE TABLE ${other} (id INTEGER PRIMARY KEY, u TEXT UNIQUE)`)
        yield* execute(connection, "INSERT INTO n (id) VALUES (77)")
        const upsert = `INSERT INTO ${other} (id, u) VALUES (77, 'a') ON CONFLICT (u) DO UPDATE SET u = 'a'`
        strictEqual(yield* key(upsert), 77)
        strictEqual(yield* key(upsert), undefined)
        yield* execute(connection, "DELETE FROM n WHERE id = 77")
      }
      strictEqual(yield* key("INSERT INTO w VALUES ('k') ON CONFLICT DO UPDATE SET id = 'k'"), undefined)
      strictEqual(yield* key("INSERT INTO v2 (u) VALUES ('l')"), undefined)
      strictEqual(yield* key("UPDATE n SET u = 'm' WHERE id = 6"), undefined)
      strictEqual(yield* key(`INSERT INTO n (id) VALUES (${2n ** 60n})`), 2n ** 60n)
      deepStrictEqual(yield* result("PRAGMA foreign_keys"), {
        rows: [{ foreign_keys: 1 }],
        rowsAffected: 0,
        lastInsertId: undefined
      })
      deepStrictEqual(yield* result("-- nothing"), { rows: [], rowsAffected: 0, lastInsertId: undefined })
    }))

  it.scoped("a write that gives rows runs once, however big its numbers", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* table(connection)
      const big = 2n ** 60n
      deepStrictEqual(yield* execute(connection, "INSERT INTO v(x) VALUES (?) RETURNING x", [big]), [{ x: big }])
      deepStrictEqual(yield* execute(connection, "SELECT count(*) AS n FROM v"), [{ n: 1 }])
    }))

  it.scoped("what SQLite does not have is refused by its place, and the connection goes on", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* table(connection)
      const secret = "S3cret"
      const refused: ReadonlyArray<unknown> = [
        undefined,
        Symbol(secret),
        () => secret,
        { secret },
        [secret],
        NaN,
        2n ** 63n,
        -(2n ** 63n) - 1n,
        new Date(NaN),
        `${secret}\ud800`,
        new Float64Array(1),
        new Map()
      ]
      for (const bad of refused) {
        const error = yield* Effect.flip(execute(connection, "INSERT INTO v(id, x) VALUES (?, ?)", [1, bad]))
        strictEqual(error._tag, "QueryError")
        strictEqual(error.reason, "Parameter")
        strictEqual(error.outcome, "NotSent")
        assertInclude(error.message, "parameter 2")
        assertTrue(!JSON.stringify(error).includes(secret))
      }
      for (const params of [[], [1, 2, 3]]) {
        const error = yield* Effect.flip(execute(connection, "INSERT INTO v(id, x) VALUES (?, ?)", params))
        strictEqual(error.reason, "Parameter")
        strictEqual(error.outcome, "NotSent")
      }
      deepStrictEqual(yield* execute(connection, "SELECT * FROM v"), [])
    }))

  it.scoped("the caller's parameters are left alone", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const params = [true, new Date(0), new ArrayBuffer(2)]
      const before = [...params]
      const rows = yield* execute(connection, "SELECT ? AS a, ? AS b, ? AS c", params)
      deepStrictEqual(params, before)
      deepStrictEqual(rows, [{ a: 1, b: "1970-01-01T00:00:00.000Z", c: Buffer.alloc(2) }])
    }))

  it.scoped("whole numbers are integers, whatever the column makes of them", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE a(i INTEGER, r REAL, t VARCHAR(9), n NUMERIC, b BLOB)")
      const insert =
        "INSERT INTO a VALUES (?, ?, ?, ?, ?) RETURNING typeof(i) AS i, typeof(r) AS r, t, typeof(n) AS n, typeof(b) AS b"
      const stored = (value: unknown) =>
        Effect.map(execute(connection, insert, [value, value, value, value, value]), (rows) => rows[0])
      for (const whole of [0, 42, -42, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER]) {
        deepStrictEqual(yield* stored(whole), {
          i: "integer",
          r: "real",
          t: String(whole),
          n: "integer",
          b: "integer"
        })
      }
      deepStrictEqual(yield* stored(true), { i: "integer", r: "real", t: "1", n: "integer", b: "integer" })
      deepStrictEqual(yield* stored(1.5), { i: "real", r: "real", t: "1.5", n: "real", b: "real" })
      deepStrictEqual(yield* stored(1e300), { i: "real", r: "real", t: "1.0e+300", n: "real", b: "real" })
      // Not said to be integers: what the double is.
      const beyond = yield* stored(2 ** 53)
      // How a REAL is written as text differs between versions of SQLite.
      deepStrictEqual({ ...beyond, t: "" }, { i: "integer", r: "real", t: "", n: "integer", b: "real" })
      deepStrictEqual(yield* execute(connection, "SELECT 7 / ? AS q, typeof(?) AS t, ? AS z LIMIT ?", [2, 2, -0, 1]), [
        { q: 3, t: "integer", z: -0 }
      ])
      const cursor = yield* openCursor(connection, "SELECT 7 / ? AS q", [2])
      deepStrictEqual(yield* drain(cursor), [{ q: 3 }])
    }))

  it.scoped("REGEXP", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const matches = (value: unknown, pattern: unknown) =>
        Effect.map(execute(connection, "SELECT ? REGEXP ? AS m", [value, pattern]), (rows) => rows[0]!["m"])
      strictEqual(yield* matches("abc", "^a.c$"), 1)
      strictEqual(yield* matches("abc", "^b"), 0)
      strictEqual(yield* matches("😀", "^.$"), 1)
      strictEqual(yield* matches(2n ** 60n, "6846976$"), 1)
      strictEqual(yield* matches(null, "a"), null)
      strictEqual(yield* matches("a", null), null)
      const error = yield* Effect.flip(matches("a", "(S3cret"))
      strictEqual(error.reason, "DataError")
      assertTrue(!`${error.message}${JSON.stringify(error)}${String(error.cause)}`.includes("S3cret"))
      // More patterns than are kept.
      for (let i = 0; i < 200; i++) {
        strictEqual(yield* matches(`v${i}`, `^v${i}$`), 1)
      }
    }))
})

describe("names of columns", () => {
  it.scoped("follow a change of the schema, also one of another connection", () =>
    Effect.gen(function*() {
      const connection = yield* single({})
      yield* execute(connection, "CREATE TABLE t(a)")
      yield* execute(connection, "INSERT INTO t VALUES (1)")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [{ a: 1 }])
      yield* execute(connection, "ALTER TABLE t RENAME COLUMN a TO b")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [{ b: 1 }])
      const cursor = yield* openCursor(connection, "SELECT * FROM t")
      deepStrictEqual(yield* drain(cursor), [{ b: 1 }])
    }))
})

describe("prepared statements", () => {
  it.scoped("a small cache, an unprepared statement and no cache give the same answers", () =>
    Effect.gen(function*() {
      for (const prepareCacheSize of [0, 1, 2]) {
        const connection = yield* single({ prepareCacheSize })
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 5; i++) {
            deepStrictEqual(yield* execute(connection, `SELECT ${i} AS n`, [], { prepare: round !== 1 }), [{ n: i }])
          }
        }
      }
    }))

  it.scoped("a statement is prepared once", () =>
    Effect.gen(function*() {
      const connection = yield* single({ prepareCacheSize: 2 })
      const { db } = connection as unknown as { readonly db: { prepare: (text: string) => unknown } }
      const prepare = db.prepare.bind(db)
      const prepared: Array<string> = []
      db.prepare = (text) => {
        prepared.push(text)
        return prepare(text)
      }
      const ask = (text: string) =>
        Effect.sync(() => {
          connection.writes(text)
          connection.execute(request(text), () => {})
        })
      for (const text of ["SELECT 1", "SELECT 1", "SELECT 2", "SELECT 1", "SELECT 2"]) {
        yield* ask(text)
      }
      deepStrictEqual(prepared, ["SELECT 1", "SELECT 2"])
      // Both were used since; the older one goes.
      yield* ask("SELECT 3")
      yield* ask("SELECT 2")
      deepStrictEqual(prepared, ["SELECT 1", "SELECT 2", "SELECT 3"])
      yield* ask("SELECT 1")
      deepStrictEqual(prepared, ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT 1"])
    }))
})
