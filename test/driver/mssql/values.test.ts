import * as Statement from "@effect/sql/Statement"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Tedious from "tedious"
import { expect } from "vitest"
import { Moment } from "../../../src/driver/Mssql.js"
import { microsecondsOf, Timestamp } from "../../../src/internal/driver/Timestamp.js"
import { asFragment } from "../../../src/internal/sql/fragment.js"
import { describeMssql, describeStandIn } from "../../kit/mssql.js"
import { open, openStandIn } from "./harness.js"

const { TYPES } = Tedious
const typed = Statement.custom<Statement.Custom<"MssqlParam", unknown, unknown, unknown>>("MssqlParam")
/** What `sql.param(type, value, options)` becomes among the parameters. */
const param = (type: unknown, value: unknown, options: object = {}): unknown =>
  asFragment(typed(type, value, options)).segments[0]

/** Values that have no form in the type that is named for them. */
const unfit: ReadonlyArray<unknown> = [
  param(TYPES.Decimal, "1.23", { precision: 5, scale: 1 }),
  param(TYPES.Decimal, "12345.6", { precision: 5, scale: 1 }),
  param(TYPES.Numeric, "1", { precision: 39, scale: 0 }),
  param(TYPES.Numeric, "1", { precision: 5, scale: 6 }),
  param(TYPES.Decimal, "1".repeat(39)),
  param(TYPES.Decimal, 10n ** 38n),
  param(TYPES.Decimal, `0.${"1".repeat(39)}`),
  param(TYPES.TVP, { name: "t", columns: [{ name: "a", type: TYPES.Int }], rows: [["no integer"]] })
]

describeStandIn("SQL Server values that have no form in the type named for them", () => {
  it.live("are found before anything is sent: no message is begun, nor what goes ahead of it", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      const { log } = db.database.server
      log.length = 0
      for (const value of unfit) {
        // A text so long that its message is sent in many packets.
        const params = ["x".repeat(100_000), value]
        const error = yield* Effect.flip(
          db.run("SELECT @1 AS a, @2 AS b", params, { begin: "BEGIN TRANSACTION", lockTimeout: 77 })
        )
        expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        expect(error.message).toContain("parameter 2")
        expect(log).toEqual([])
        expect(db.connection.transaction).toBe("idle")
      }
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server values that are NULL", () => {
  it.live("are asked about once for each text, and remembered", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      yield* db.run("CREATE TABLE t (a INT NULL, b VARBINARY(10) NULL, d VARBINARY(MAX) NULL)")
      for (let i = 0; i < 4; i++) yield* db.run("INSERT INTO t (a, b, d) VALUES (@1, @2, @3)", [i, null, null])
      yield* db.run("UPDATE t SET b = @1, d = @2", [null, new Uint8Array([2])])
      const asked = db.database.server.log.filter(({ procedure }) => procedure === "sp_describe_undeclared_parameters")
      expect(asked).toHaveLength(2)
    }).pipe(Effect.scoped))
})

describeMssql("SQL Server values", () => {
  it.live("are read back equal to what was written", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run(`CREATE TABLE t (id INT IDENTITY PRIMARY KEY, i INT, b BIGINT, f FLOAT, flag BIT, s NVARCHAR(MAX),
        bin VARBINARY(MAX), d DATETIME2(7), o DATETIMEOFFSET(7), n DECIMAL(38, 10), m MONEY, u UNIQUEIDENTIFIER, t TIME(7))`)
      const columns: Record<string, ReadonlyArray<unknown>> = {
        i: [0, 1, -1, 2147483647, -2147483648],
        // Integers beyond 32 bits are text, so that none is changed.
        b: ["9223372036854775807", "-9223372036854775808", "9007199254740993"],
        f: [1.5, -0, 0.1, 5e-324, 1.7976931348623157e308, 3e9, 2 ** 53],
        flag: [true, false],
        s: [
          "",
          "añ中\u{1f600}",
          "a\0b",
          " trailing ",
          "x".repeat(4000),
          "y".repeat(4001),
          "中".repeat(100_000),
          "'; DROP TABLE t --"
        ],
        bin: [
          new Uint8Array(0),
          new Uint8Array([0, 1, 255]),
          new Uint8Array(8000).fill(1),
          new Uint8Array(8001).fill(2)
        ],
        d: [
          new Date("2024-02-29T12:34:56.789Z"),
          new Date("0001-01-01T00:00:00.000Z"),
          new Date("9999-12-31T23:59:59.999Z"),
          new Date("1883-11-18T00:00:00.001Z"),
          new Timestamp(Date.UTC(2024, 0, 1), 7),
          new Moment(-1, 999, 9, undefined)
        ],
        o: [
          new Date("2024-02-29T12:34:56.789Z"),
          new Moment(Date.UTC(2024, 0, 1), 1, 2, -330),
          new Moment(0, 0, 0, 840)
        ],
        n: ["1234567890123456789012345678.0123456789", "-0.0000000001", "0.0000000000"],
        m: ["922337203685477.5807", "-922337203685477.5808", "0.0001"],
        u: ["00112233-4455-6677-8899-aabbccddeeff"],
        t: ["00:00:00.0000000", "23:59:59.9999999"]
      }
      for (const [column, values] of Object.entries(columns)) {
        for (const value of values) {
          yield* db.run(`INSERT INTO t (${column}) VALUES (@1)`, [value])
          const [row] = yield* db.run(`SELECT TOP (1) ${column} AS v FROM t ORDER BY id DESC`)
          const back: unknown = row.v
          if (value instanceof Date) {
            expect(back).toBeInstanceOf(Date)
            expect((back as Date).toISOString()).toBe(value.toISOString())
            expect(microsecondsOf(back as Date)).toBe(microsecondsOf(value))
            expect((back as Moment).offset).toBe((value as Moment).offset)
          } else if (value instanceof Uint8Array) expect(new Uint8Array(back as Uint8Array)).toEqual(value)
          else expect(back, column).toBe(value)
          // And once more, as it was read.
          yield* db.run(`INSERT INTO t (${column}) VALUES (@1)`, [back])
          const [again] = yield* db.run(`SELECT TOP (1) ${column} AS v FROM t ORDER BY id DESC`)
          expect(again.v).toEqual(back)
        }
        yield* db.run(`INSERT INTO t (${column}) VALUES (@1)`, [null])
        expect(yield* db.run(`SELECT TOP (1) ${column} AS v FROM t ORDER BY id DESC`)).toEqual([{ v: null }])
      }
    }).pipe(Effect.scoped))

  it.live("come back from a parameter as the type it was sent with", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const date = new Date("2024-02-29T12:34:56.789Z")
      const values = [1, -5, 1.5, true, "text", date, null, { a: [1, "中"] }]
      const [row] = yield* db.run(
        "SELECT @1 AS a, @2 AS b, @3 AS c, @4 AS d, @5 AS e, @6 AS f, @7 AS g, @8 AS h",
        values
      )
      expect(row).toEqual({ a: 1, b: -5, c: 1.5, d: true, e: "text", f: date, g: null, h: "{\"a\":[1,\"中\"]}" })
      expect(yield* db.run("SELECT @1 AS n", [3e9])).toEqual([{ n: "3000000000" }])
      expect(yield* db.run("SELECT @1 AS n", [5n])).toEqual([{ n: "5" }])
      expect(yield* db.run("SELECT @1 AS n, CAST(7 AS BIGINT) AS m", [2n ** 63n - 1n], { safeIntegers: true })).toEqual(
        [
          { n: 2n ** 63n - 1n, m: 7n }
        ]
      )
      expect(yield* db.run("SELECT @1 AS a, @1 AS a2, NULL AS b", [1], { mode: "values" })).toEqual([[1, 1, null]])
      expect(yield* db.run("SELECT 1 AS [__proto__]")).toEqual([JSON.parse("{\"__proto__\":1}")])
    }).pipe(Effect.scoped))

  it.live("that are NULL fit columns of every type, also those that take no text", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run(
        "CREATE TABLE t (a INT NULL, b VARBINARY(10) NULL, c DATE NULL, d VARBINARY(MAX) NULL, e NVARCHAR(5) NULL)"
      )
      const insert = "INSERT INTO t (a, b, c, d, e) VALUES (@1, @2, @3, @4, @5)"
      yield* db.run("BEGIN TRANSACTION")
      for (let i = 0; i < 4; i++) yield* db.run(insert, [i, null, null, null, null])
      yield* db.run(insert, [4, new Uint8Array([1]), null, null, "x"])
      yield* db.run("UPDATE t SET b = @1, d = @2", [null, new Uint8Array([2])])
      yield* db.run("COMMIT TRANSACTION")
      expect(yield* db.run("SELECT DISTINCT b, c, d FROM t")).toEqual([{ b: null, c: null, d: Buffer.from([2]) }])
      expect(yield* db.run("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 5 }])
      // A clash that no NULL is to blame for stays what it is.
      expect(yield* Effect.flip(db.run("INSERT INTO t (b, c) VALUES (@1, @2)", ["text", null]))).toMatchObject({
        reason: "DataError",
        code: "257"
      })
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("of a type named by the caller are exact", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const big = "12345678901234567890123456789.123456789"
      expect(
        yield* db.run("SELECT @1 AS a, @2 AS b, @3 AS c", [
          param(TYPES.Decimal, big, { precision: 38, scale: 9 }),
          param(TYPES.Numeric, "-1.5"),
          param(TYPES.Decimal, 2n ** 64n)
        ])
      ).toEqual([{ a: big, b: "-1.5", c: "18446744073709551616" }])
      expect(yield* db.run("SELECT @1 AS a", [param(TYPES.VarChar, "añ?€")])).toEqual([{ a: "añ?€" }])
      for (
        const bad of [
          param(TYPES.VarChar, "secret 中?"),
          param(TYPES.Decimal, "1.23", { precision: 5, scale: 1 }),
          param(TYPES.Decimal, "12345", { precision: 4, scale: 0 }),
          ...unfit
        ]
      ) {
        const error = yield* Effect.flip(db.run("SELECT @1 AS a", [bad]))
        expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        expect(error.message).toContain("parameter 1")
      }
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("that would be changed are refused, with their number and without their content", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cyclic: Record<string, unknown> = {}
      cyclic["self"] = cyclic
      const refused: ReadonlyArray<unknown> = [
        undefined,
        Symbol("secret-value"),
        () => "secret-value",
        Number.NaN,
        Number.POSITIVE_INFINITY,
        2n ** 63n,
        new Date(Number.NaN),
        new Date("+010000-01-01T00:00:00.000Z"),
        new Date("0000-12-31T23:59:59.999Z"),
        "secret-value \ud800",
        Redacted.make("secret-value"),
        new Map([["secret-value", 1]]),
        cyclic,
        { a: [NaN] },
        { a: Number.NaN },
        param(TYPES.Int, 2 ** 40),
        param(TYPES.UniqueIdentifier, "secret-value")
      ]
      for (const value of refused) {
        const error = yield* Effect.flip(db.run("SELECT @1 AS a, @2 AS b", ["ok", value]))
        expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        expect(error.message).toContain("parameter 2")
        expect(JSON.stringify(error)).not.toContain("secret-value")
      }
      expect(yield* db.run("SELECT @1 AS a", ["ok"])).toEqual([{ a: "ok" }])
    }).pipe(Effect.scoped))

  it.live("take part in TOP, OFFSET and arithmetic as the integers they are", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const rows = "(VALUES (1), (2), (3)) AS v (x)"
      expect(yield* db.run(`SELECT TOP (@1) x FROM ${rows} ORDER BY x`, [2])).toEqual([{ x: 1 }, { x: 2 }])
      expect(yield* db.run(`SELECT x FROM ${rows} ORDER BY x OFFSET @1 ROWS FETCH NEXT @2 ROWS ONLY`, [1, 1])).toEqual([
        { x: 2 }
      ])
    }).pipe(Effect.scoped))
})
