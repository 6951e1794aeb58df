import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { expect } from "vitest"
import { Timestamp } from "../../../src/internal/driver/Timestamp.js"
import { describeMariadb } from "../../kit/mysql.js"
import { call, type Handle, open } from "./harness.js"

/** Writes a value into a column of this type and reads it back, prepared and as text. */
const through = (db: Handle, type: string, value: unknown) =>
  Effect.gen(function*() {
    yield* db.script(`CREATE OR REPLACE TABLE t (v ${type})`)
    yield* db.run("INSERT INTO t VALUES (?)", [value])
    const prepared = yield* db.run("SELECT v FROM t")
    const text = yield* db.run("SELECT v FROM t", [], { prepare: false })
    expect(text).toEqual(prepared)
    return prepared[0].v
  })

const roundTrips: ReadonlyArray<readonly [type: string, value: unknown, read?: unknown]> = [
  ["TINYINT", -128],
  ["TINYINT UNSIGNED", 255],
  ["SMALLINT", -32768],
  ["SMALLINT UNSIGNED", 65535],
  ["MEDIUMINT", -8388608],
  ["MEDIUMINT UNSIGNED", 16777215],
  ["INT", -2147483648],
  ["INT UNSIGNED", 4294967295],
  ["BIGINT", 9007199254740991],
  ["BIGINT", -9007199254740991],
  ["BIGINT", 9223372036854775807n, "9223372036854775807"],
  ["BIGINT", -9223372036854775808n, "-9223372036854775808"],
  ["BIGINT UNSIGNED", 18446744073709551615n, "18446744073709551615"],
  ["BOOLEAN", true, 1],
  ["BOOLEAN", false, 0],
  ["DOUBLE", 0.1],
  ["DOUBLE", -0, 0],
  ["DOUBLE", 1.7976931348623157e308],
  ["DOUBLE", 5e-324],
  ["DOUBLE", 9007199254740991.0],
  ["DOUBLE", 0.12345678901234567],
  ["DOUBLE", 9.677643140796329],
  ["DECIMAL(20,2)", "123456789012345678.91"],
  ["DECIMAL(65,0)", 10n ** 64n, String(10n ** 64n)],
  ["DECIMAL(10,2)", 1.25, "1.25"],
  ["VARCHAR(50)", "Grüße, 世界 👋 \0 '\"\\%_"],
  ["VARCHAR(10)", ""],
  ["LONGTEXT", "x".repeat(100_000)],
  ["CHAR(36)", "6ccd780c-baba-1026-9564-5b8c656024db"],
  ["UUID", "6ccd780c-baba-1026-9564-5b8c656024db"],
  ["ENUM('a','b')", "b"],
  ["SET('a','b')", "a,b"],
  ["BLOB", Buffer.from([0, 255, 39, 92, 10])],
  ["VARBINARY(4)", new Uint8Array([1, 2, 3, 255]), Buffer.from([1, 2, 3, 255])],
  ["BINARY(2)", Buffer.from([0xc3, 0x28])],
  ["BIT(10)", Buffer.from([1, 2])],
  ["DATE", new Date("2024-02-29T00:00:00Z")],
  ["DATE", new Date("0099-12-31T00:00:00Z")],
  ["DATE", new Date("9999-12-31T00:00:00Z")],
  ["DATETIME", new Date("2024-03-31T02:30:00Z")],
  ["DATETIME(3)", new Date("1883-11-18T17:00:00.123Z")],
  ["DATETIME(6)", new Timestamp(Date.parse("2024-01-02T03:04:05.678Z"), 901)],
  ["DATETIME(6)", new Timestamp(Date.parse("1901-01-02T03:04:05.999Z"), 999)],
  ["DATETIME(6)", new Timestamp(Date.parse("2024-01-02T03:04:05.001Z"), 1)],
  ["DATETIME(6)", new Date("9999-12-31T23:59:59.999Z")],
  ["TIMESTAMP(6)", new Timestamp(Date.parse("2024-10-27T01:30:00.000Z"), 1)],
  ["TIMESTAMP", new Date("2024-03-31T02:30:00Z")],
  ["TIME(6)", "-838:59:58.000500"],
  ["TIME", "25:00:00"],
  ["YEAR", 2024],
  ["JSON", { a: [1, null, "x", 1.5], "ü": { b: true } }],
  ["JSON", [1, "2", null]],
  ["JSON", []],
  ["JSON", "\"text\"", "text"],
  ["JSON", "null", null],
  ["INT", null],
  ["DATETIME", null]
]

describeMariadb("MySQL values", () => {
  it.live("are read back as they were written", () =>
    Effect.gen(function*() {
      const db = yield* open()
      for (const [type, value, read = value] of roundTrips) {
        const back = yield* through(db, type, value)
        expect(back, type).toEqual(read)
        if (read instanceof Date) {
          expect([type, back instanceof Timestamp, back.toISOString()]).toEqual([
            type,
            read instanceof Timestamp,
            read.toISOString()
          ])
        }
      }
    }).pipe(Effect.scoped))

  it.live("keep every microsecond of a second", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (at DATETIME(6))")
      const start = Date.parse("2024-05-06T07:08:09.000Z")
      const micros = Array.from({ length: 2000 }, (_, i) => (i * 499979) % 1_000_000)
      const dates = micros.map((micro) => new Timestamp(start + Math.floor(micro / 1000), micro % 1000))
      yield* db.run(`INSERT INTO t VALUES ${dates.map(() => "(?)").join(", ")}`, dates)
      const read = yield* db.run("SELECT MICROSECOND(at) AS m, at FROM t")
      expect(read.map((row) => row.m)).toEqual(micros)
      expect(read.map((row) => row.at.getTime())).toEqual(dates.map((date) => date.getTime()))
    }).pipe(Effect.scoped))

  it.live("that are no dates stay the text they are", () =>
    Effect.gen(function*() {
      const db = yield* open({ settings: { sql_mode: "ALLOW_INVALID_DATES" } })
      yield* db.script("CREATE TABLE t (d DATE, at DATETIME)")
      yield* db.script(
        "INSERT INTO t VALUES ('0000-00-00', '0000-00-00 00:00:00'), ('2024-00-15', '2024-01-00 10:00:00'), ('2023-02-31', NULL)"
      )
      const expected = [
        { d: "0000-00-00", at: "0000-00-00 00:00:00" },
        { d: "2024-00-15", at: "2024-01-00 10:00:00" },
        { d: "2023-02-31", at: null }
      ]
      expect(yield* db.run("SELECT * FROM t")).toEqual(expected)
      expect(yield* db.run("SELECT * FROM t", [], { prepare: false })).toEqual(expected)
    }).pipe(Effect.scoped))

  it.live("are UTC whatever the time zone of server and process", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const rows = yield* db.run("SELECT @@time_zone AS zone, CAST(FROM_UNIXTIME(86400) AS DATETIME) AS at")
      expect(rows).toEqual([{ zone: "+00:00", at: new Date(86_400_000) }])
    }).pipe(Effect.scoped))

  it.live("of eight bytes are bigints where safe integers are asked for", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a BIGINT, b BIGINT UNSIGNED, c INT, d BIGINT)")
      yield* db.run("INSERT INTO t VALUES (?, ?, ?, ?)", [1, 18446744073709551615n, 3, null])
      const expected = [{ a: 1n, b: 18446744073709551615n, c: 3, d: null }]
      expect(yield* db.run("SELECT * FROM t", [], { safeIntegers: true })).toEqual(expected)
      expect(yield* db.run("SELECT * FROM t", [], { safeIntegers: true, prepare: false })).toEqual(expected)
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1, b: "18446744073709551615", c: 3, d: null }])
    }).pipe(Effect.scoped))

  it.live("that MySQL cannot hold are refused, and never shown", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cycle: Record<string, unknown> = {}
      cycle["self"] = cycle
      const refused: ReadonlyArray<unknown> = [
        NaN,
        Infinity,
        -Infinity,
        10n ** 65n,
        undefined,
        Symbol("hidden"),
        () => "hidden",
        new Date(NaN),
        new Date(Date.UTC(10000, 0, 1)),
        new Date(-1e15),
        "hidden \ud800 text",
        { a: NaN },
        { a: [NaN] },
        cycle,
        new Map([["hidden", 1]]),
        new Set(["hidden"]),
        Redacted.make("hidden"),
        /hidden/
      ]
      yield* db.script("CREATE TABLE t (v LONGTEXT)")
      for (const value of refused) {
        for (const prepare of [true, false]) {
          const error = yield* Effect.flip(db.run("INSERT INTO t VALUES (?)", [value], { prepare }))
          expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
          expect(JSON.stringify(error) + error.message).not.toContain("hidden")
        }
        const streamed = yield* Effect.flip(db.cursor("INSERT INTO t VALUES (?)", [value]))
        expect(streamed).toMatchObject({ reason: "Parameter" })
      }
      expect(yield* db.run("SELECT * FROM t")).toEqual([])
      expect(db.connection.dirty).toBe(false)
    }).pipe(Effect.scoped))

  it.live("that do not fit their column are refused by the server", () =>
    Effect.gen(function*() {
      const db = yield* open()
      // Also where a transaction does not protect a statement of several rows.
      yield* db.script("CREATE TABLE t (a TINYINT, b VARCHAR(3), c DATE) ENGINE=MyISAM")
      for (const row of ["1000, NULL, NULL", "NULL, 'long', NULL", "NULL, NULL, '2024-02-31'"]) {
        const error = yield* Effect.flip(db.run(`INSERT INTO t VALUES (1, 'a', NULL), (${row})`))
        expect(error).toMatchObject({ _tag: "QueryError", reason: "DataError" })
      }
    }).pipe(Effect.scoped))

  it.live("are not sent in a character set that would change them", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const text = "ü€世"
      for (const back of [db.script("SET NAMES utf8mb4"), db.reset()]) {
        yield* db.script("SET NAMES latin1")
        for (const prepare of [true, false]) {
          const error = yield* Effect.flip(db.run("SELECT 1", [], { prepare }))
          expect(error).toMatchObject({ _tag: "QueryError", reason: "DataError", outcome: "NotSent" })
          expect(error.message).toContain("latin1")
        }
        expect(yield* Effect.flip(Effect.asVoid(db.cursor("SELECT 1")))).toMatchObject({ reason: "DataError" })
        yield* back
        expect(yield* db.run("SELECT ? AS v, HEX(?) AS h", [text, text])).toEqual([{ v: text, h: "C3BCE282ACE4B896" }])
      }
    }).pipe(Effect.scoped))

  it.live("are found under any name a column can have", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const text = "SELECT 1 AS `__proto__`, 2 AS `constructor`, CAST(3 AS INT) AS `__defineGetter__`, 4 AS ``"
      const expected = [["__proto__", 1], ["constructor", 2], ["__defineGetter__", 3], ["", 4]]
      for (const options of [{}, { prepare: false }, { mode: "raw" }] as const) {
        const [row] = yield* db.run(text, [], options)
        expect(Object.entries(row)).toEqual(expected)
        expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
        expect(yield* db.run(text, [], { ...options, mode: "values" })).toEqual([[1, 2, 3, 4]])
      }
      expect(yield* db.run("SELECT 1; SELECT 2 AS `__proto__`", [], { prepare: false, mode: "values" })).toEqual(
        [[[1]], [[2]]]
      )
      const cursor = yield* db.cursor(text, [], { safeIntegers: true })
      const { rows } = yield* call<{ readonly rows: ReadonlyArray<any> }>((done) => cursor.fetch(5, done))
      expect(Object.keys(rows[0])).toEqual(expected.map(([name]) => name))
      expect(db.connection.lost).toBe(false)
    }).pipe(Effect.scoped))

  it.live("keep their types in streams", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (j JSON, at DATETIME(6), n BIGINT)")
      const at = new Timestamp(0, 7)
      yield* db.run("INSERT INTO t VALUES (?, ?, ?)", [{ a: 1 }, at, 5])
      const cursor = yield* db.cursor("SELECT * FROM t", [], { safeIntegers: true })
      const { rows } = yield* call<{ readonly rows: ReadonlyArray<any> }>((done) => cursor.fetch(5, done))
      expect(rows).toEqual([{ j: { a: 1 }, at, n: 5n }])
      expect(rows[0].at).toBeInstanceOf(Timestamp)
    }).pipe(Effect.scoped))
})
