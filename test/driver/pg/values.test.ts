import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import { afterEach } from "vitest"
import { QueryError } from "../../../src/DbError.js"
import type { Connection } from "../../../src/driver/Driver.js"
import * as PgArray from "../../../src/internal/driver/pg/array.js"
import { Json } from "../../../src/internal/driver/pg/json.js"
import * as Timestamp from "../../../src/internal/driver/pg/timestamp.js"
import { encode } from "../../../src/internal/driver/pg/values.js"
import { describePostgres, freshDatabase, query } from "../../kit/postgres.js"
import { connected, driverAt, execute, openCursor, opened, reset, value } from "./fixture.js"

const ownZone = process.env["TZ"]
afterEach(() => {
  if (ownZone === undefined) delete process.env["TZ"]
  else process.env["TZ"] = ownZone
})

/** Many values in one round trip, so that a property needs one statement per run. */
const roundTrip = (connection: Connection, type: string, values: ReadonlyArray<unknown>) =>
  Effect.map(
    execute(connection, `SELECT ${values.map((_, i) => `$${i + 1}::${type}`).join(", ")}`, values, { mode: "values" }),
    (rows) => rows[0] as ReadonlyArray<unknown>
  )

const same = (property: fc.IAsyncProperty<[ReadonlyArray<unknown>]>) =>
  Effect.promise(() => fc.assert(property, { numRuns: 25 }))

const lists = <A>(one: fc.Arbitrary<A>) => fc.array(one, { minLength: 1, maxLength: 40 })

describePostgres("values of PostgreSQL", () => {
  const comesBack = <A>(
    type: string,
    one: fc.Arbitrary<A>,
    expected: (value: A) => unknown = (value) => value
  ) =>
    it.scoped(`${type}: what is written is read back equal`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        yield* same(fc.asyncProperty(lists(one), async (values) => {
          const read = await Effect.runPromise(roundTrip(connection, type, values))
          assert.deepStrictEqual(read, values.map(expected))
        }))
      }))

  const text = fc.string({ unit: "binary" }).filter((s) => !s.includes("\0") && Buffer.from(s).toString() === s)

  comesBack("text", text)
  comesBack("int8", fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), String)
  comesBack("int4", fc.integer())
  comesBack("float8", fc.double())
  comesBack("bool", fc.boolean())
  comesBack("bytea", fc.uint8Array(), (bytes) => Buffer.from(bytes))
  comesBack("text[]", fc.array(fc.option(fc.oneof(text, fc.constantFrom("NULL", "", "\"", "\\", "{", ",")))))
  comesBack("int8[]", fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (a) => a.map(String))
  comesBack("bytea[]", fc.array(fc.uint8Array()), (a) => a.map((bytes) => Buffer.from(bytes)))
  comesBack("json", fc.jsonValue().map((v) => new Json(v)), ({ value }) => JSON.parse(JSON.stringify(value)))
  comesBack(
    "timestamptz[]",
    fc.array(fc.date({ noInvalidDate: true, min: new Date("0001-01-01"), max: new Date("9999-12-31") }))
  )

  // 4713 BC is PostgreSQL's first year, 275760 the last of a Date.
  const dates = fc.date({
    min: new Date(Date.UTC(-4700, 0, 1)),
    max: new Date(Date.UTC(275000, 0, 1)),
    noInvalidDate: true
  })

  for (const zone of ["UTC", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Europe/Amsterdam"]) {
    for (const type of ["timestamptz", "timestamp"]) {
      it.scoped(`${type} is the same point in time in ${zone}, before standard time, before Christ and after 9999`, () =>
        Effect.gen(function*() {
          process.env["TZ"] = zone
          const connection = yield* connected({ settings: { TimeZone: zone } })
          const edges = [
            new Date(Date.UTC(-4700, 1, 3, 4, 5, 6, 7)),
            new Date(-62135596800001), // the last millisecond of 1 BC
            new Date("0001-01-01T00:00:00Z"),
            new Date("0099-06-15T12:00:00.001Z"),
            new Date("1850-01-01T00:00:00Z"),
            new Date("1937-07-01T00:00:00.999Z"),
            new Date("2024-03-10T02:30:00Z"),
            new Date("+012345-01-01T00:00:00Z")
          ]
          assert.deepStrictEqual(yield* roundTrip(connection, type, edges), edges)
          yield* same(fc.asyncProperty(lists(dates), async (values) => {
            assert.deepStrictEqual(await Effect.runPromise(roundTrip(connection, type, values)), values)
          }))
        }))
    }
    it.scoped(`date is midnight UTC in ${zone}`, () =>
      Effect.gen(function*() {
        process.env["TZ"] = zone
        const connection = yield* connected({ settings: { TimeZone: zone } })
        const days = [new Date("1850-01-01"), new Date("2024-02-29"), new Date(Date.UTC(-4000, 0, 1))]
        assert.deepStrictEqual(yield* roundTrip(connection, "date", days), days)
      }))
  }

  it.scoped("microseconds are kept, shown, compared and written back", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const read = yield* value(connection, "SELECT '1969-07-20 20:17:40.123456+00'::timestamptz")
      assert.instanceOf(read, Timestamp.Timestamp)
      assert.strictEqual(read.toISOString(), "1969-07-20T20:17:40.123456Z")
      assert.strictEqual(JSON.stringify(read), "\"1969-07-20T20:17:40.123456Z\"")
      assert.strictEqual(read.getTime(), Date.parse("1969-07-20T20:17:40.123Z"))
      assert.deepStrictEqual(yield* value(connection, "SELECT $1::timestamptz", [read]), read)
      assert.strictEqual(
        yield* value(connection, "SELECT $1 = '1969-07-20 20:17:40.123456+00'::timestamptz", [read]),
        true
      )
      const ancient = new Timestamp.Timestamp(Date.UTC(-100, 0, 1), 7)
      assert.deepStrictEqual(yield* value(connection, "SELECT $1::timestamptz", [ancient]), ancient)
      assert.deepStrictEqual(
        yield* value(connection, "SELECT ARRAY['2000-01-01 00:00:00.000001Z', NULL]::timestamptz[]"),
        [new Timestamp.Timestamp(Date.UTC(2000, 0, 1), 1), null]
      )
      assert.isFalse(
        (yield* value(connection, "SELECT '2000-01-01 00:00:00.001Z'::timestamptz")) instanceof Timestamp.Timestamp
      )
    }))

  it.scoped("infinite dates are numbers, and a date beyond a Date's reach is text", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      assert.deepStrictEqual(
        yield* roundTrip(connection, "timestamptz", [Infinity, -Infinity]),
        [Infinity, -Infinity]
      )
      assert.strictEqual(yield* value(connection, "SELECT 'infinity'::date"), Infinity)
      assert.strictEqual(
        yield* value(connection, "SELECT '290000-01-01 00:00:00Z'::timestamp"),
        "290000-01-01 00:00:00"
      )
    }))

  it.scoped("a style of dates that was changed is refused instead of a wrong date, or a text in its place", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* execute(connection, "SET DateStyle TO 'SQL, DMY'")
      for (const type of ["date", "timestamp", "timestamptz", "date[]"]) {
        const text = type.endsWith("[]") ? "{2024-03-04}" : "2024-03-04"
        const error = yield* Effect.flip(value(connection, `SELECT '${text}'::${type}`))
        assert.deepInclude(error, { _tag: "QueryError", reason: "DataError" })
        assert.include(error.message, "DateStyle")
        assert.notInclude(error.message, "04/03/2024")
      }
      yield* execute(connection, "SET DateStyle TO DEFAULT")
      assert.deepStrictEqual(yield* value(connection, "SELECT '2024-03-04'::date"), new Date("2024-03-04"))
    }))

  it.scoped("numbers: NaN, infinities, minus zero, numeric and int8 beyond 2^53", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const floats = [NaN, Infinity, -Infinity, -0, 5e-324, 1.7976931348623157e308]
      assert.deepStrictEqual(yield* roundTrip(connection, "float8", floats), floats)
      assert.strictEqual(
        yield* value(connection, "SELECT $1::numeric", ["123456789012345678901234567890.123"]),
        "123456789012345678901234567890.123"
      )
      assert.deepStrictEqual(
        yield* value(connection, "SELECT $1::numeric[]", [["0.1000000000000000055511151231257827", null]]),
        ["0.1000000000000000055511151231257827", null]
      )
      assert.strictEqual(yield* value(connection, "SELECT 9007199254740993"), "9007199254740993")
      assert.strictEqual(
        yield* value(connection, "SELECT 9007199254740993", [], { safeIntegers: true }),
        9007199254740993n
      )
      assert.deepStrictEqual(
        yield* value(connection, "SELECT ARRAY[9007199254740993, NULL]", [], { safeIntegers: true }),
        [9007199254740993n, null]
      )
      assert.strictEqual(yield* value(connection, "SELECT 9007199254740993"), "9007199254740993", "it does not stick")
    }))

  it.scoped("JSON: null, strings, arrays and objects, marked or not", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const values = [null, "text", "null", "\"", [], [1, "a", null, { b: [] }], { a: null }, 12, false, "{}"]
      for (const type of ["json", "jsonb"]) {
        assert.deepStrictEqual(yield* roundTrip(connection, type, values.map((v) => new Json(v))), values)
      }
      assert.strictEqual(yield* value(connection, "SELECT $1::jsonb IS NULL", [new Json(null)]), false)
      assert.strictEqual(yield* value(connection, "SELECT $1::jsonb IS NULL", [null]), true)
      assert.deepStrictEqual(yield* value(connection, "SELECT $1::jsonb", [{ a: [1, { b: "c" }] }]), {
        a: [1, { b: "c" }]
      })
    }))

  for (const prepare of [true, false]) {
    it.scoped(`an array goes to jsonb as JSON and to an array type as an array (prepare: ${prepare})`, () =>
      Effect.gen(function*() {
        const connection = yield* connected()
        const ask = (sql: string, params: ReadonlyArray<unknown>) => value(connection, sql, params, { prepare })
        for (let run = 0; run < 2; run++) {
          assert.deepStrictEqual(yield* ask("SELECT $1::jsonb", [[]]), [])
          assert.deepStrictEqual(yield* ask("SELECT $1::jsonb", [[1, "a", { b: null }]]), [1, "a", { b: null }])
          assert.deepStrictEqual(yield* ask("SELECT $1::int4[]", [[]]), [])
          assert.deepStrictEqual(yield* ask("SELECT $1::text[]", [[["a", null], ["b", "NULL"]]]), [["a", null], [
            "b",
            "NULL"
          ]])
          assert.deepStrictEqual(yield* ask("SELECT $1::jsonb[]", [["a", null, { b: [1] }]]), ["a", null, { b: [1] }])
          assert.deepStrictEqual(
            yield* execute(connection, "SELECT $1::int8[] AS a, $2::text AS b", [[1n, 2n], "x"], { prepare }),
            [{ a: ["1", "2"], b: "x" }]
          )
        }
        // The types arrive, and only then is it seen that the array cannot become JSON.
        const refused = yield* Effect.flip(ask("SELECT $1::jsonb, $2::int4", [[NaN], 1]))
        assert.strictEqual((refused as QueryError).reason, "Parameter")
        assert.include(refused.message, "parameter $1 is JSON with a NaN or an infinity in it")
        assert.strictEqual(yield* ask("SELECT 1", []), 1)
        // An error while the types are awaited ends the exchange as ever.
        assert.strictEqual(((yield* Effect.flip(ask("SELEC $1", [[1]]))) as QueryError).reason, "SqlSyntax")
        assert.strictEqual(yield* ask("SELECT 2", []), 2)
      }))
  }

  it.scoped("intervals are read alike in every style, and written back", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const texts = [
        "1 year 2 mons -3 days 04:05:06.007",
        "-1 year -2 mons +3 days -04:05:06.000007",
        "-1 day -02:03:04",
        "-14 months",
        "3 days",
        "-00:00:00.5",
        "100:00:00",
        "1 year 1 hour",
        "0"
      ]
      const usual = []
      for (const text of texts) usual.push(yield* value(connection, `SELECT '${text}'::interval`))
      for (const style of ["sql_standard", "postgres_verbose", "iso_8601"]) {
        yield* execute(connection, `SET IntervalStyle TO ${style}`)
        for (const [at, text] of texts.entries()) {
          const read = yield* value(connection, `SELECT '${text}'::interval`)
          assert.deepStrictEqual(read, usual[at], `${style}: ${text}`)
          assert.strictEqual(
            yield* value(connection, `SELECT $1::interval = '${text}'`, [read]),
            true,
            `${style}: ${text}`
          )
        }
      }
      if (Number(yield* value(connection, "SELECT current_setting('server_version_num')::int")) >= 170_000) {
        assert.deepStrictEqual(
          yield* value(connection, "SELECT ARRAY['infinity'::interval, '-infinity'::interval]"),
          [Infinity, -Infinity]
        )
      }
    }))

  it.scoped("floats are exact, whatever the role's extra_float_digits are", () =>
    Effect.gen(function*() {
      const { name, url } = yield* freshDatabase
      yield* query(url, `ALTER DATABASE ${name} SET extra_float_digits TO -3`)
      const connection = yield* opened(yield* driverAt(url))
      assert.strictEqual(yield* value(connection, "SELECT $1::float8", [0.1 + 0.2]), 0.1 + 0.2)
      assert.strictEqual(yield* value(connection, "SELECT $1::float4", [16777.216796875]), 16777.217)
    }))

  it.scoped("bytes come as any view or buffer; an interval can be written back", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const bytes = new Uint8Array([0, 255, 1])
      for (const given of [bytes, Buffer.from(bytes), bytes.buffer, new DataView(bytes.buffer)]) {
        assert.deepStrictEqual(yield* value(connection, "SELECT $1::bytea", [given]), Buffer.from(bytes))
      }
      const interval = yield* value(connection, "SELECT '1 year 2 mons 3 days 04:05:06.007'::interval")
      assert.deepStrictEqual(yield* value(connection, "SELECT $1::interval", [interval]), interval)
    }))

  const circular: Record<string, unknown> = {}
  circular["self"] = circular
  const ring: Array<unknown> = []
  ring.push(ring)
  const refusals: ReadonlyArray<readonly [string, unknown, string]> = [
    ["undefined", undefined, "undefined"],
    ["a symbol", Symbol("secret-value"), "symbol"],
    ["a function", () => "secret-value", "function"],
    ["an invalid Date", new Date(NaN), "an invalid Date"],
    ["NUL in text", "secret-value\0", "NUL"],
    ["a lone surrogate", "secret-value\ud800", "lone surrogate"],
    ["a circular object", circular, "circular"],
    ["a circular array", ring, "circular"],
    ["NaN in JSON", { secret: [NaN] }, "NaN"],
    ["undefined as JSON", new Json(undefined), "undefined"],
    ["undefined in an array", ["a", undefined], "undefined"],
    ["a Map", new Map([["secret-value", 1]]), "a Map"],
    ["a Set", new Set(["secret-value"]), "a Set"],
    ["a Redacted", Redacted.make("secret-value"), "Redacted"]
  ]
  it.scoped("what cannot be sent is refused before anything is sent, and the connection goes on", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* execute(connection, "CREATE TABLE t (a text, b text)")
      for (const [name, given, kind] of refusals) {
        const error = yield* Effect.flip(execute(connection, "INSERT INTO t VALUES ($1, $2)", ["first", given]))
        assert.instanceOf(error, QueryError, name)
        assert.strictEqual((error as QueryError).reason, "Parameter", name)
        assert.strictEqual(error.outcome, "NotSent", name)
        assert.include(error.message, "parameter $2", name)
        assert.include(error.message, kind, name)
        assert.notInclude(JSON.stringify(error), "secret-value", name)
      }
      assert.deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
      const error = yield* Effect.flip(execute(connection, "SELECT $1::int8", [1e30]))
      assert.strictEqual((error as QueryError).reason, "DataError")
      assert.notInclude(error.message, "1e+30")
      assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
    }))

  it.scoped("empty and huge texts, many parameters and wide rows", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const huge = "é".repeat(5_000_000)
      assert.isTrue((yield* value(connection, "SELECT $1::text", [huge])) === huge)
      assert.strictEqual(yield* value(connection, "SELECT $1::text", [""]), "")
      const many = Array.from({ length: 65535 }, (_, i) => i)
      assert.strictEqual(
        yield* value(connection, `SELECT ${many.map((i) => `$${i + 1}::int4`).join("+")}`, many.map(() => 1), {
          prepare: false
        }).pipe(Effect.flip, Effect.map(({ code, reason }: any) => `${reason} ${code}`)),
        // The server's own limit of stack depth, not a broken protocol.
        "OutOfMemory 54001"
      )
      assert.strictEqual(
        yield* value(
          connection,
          `SELECT count(*) FROM (VALUES ${many.map((i) => `($${i + 1}::int4)`).join(",")}) v`,
          many,
          { prepare: false }
        ),
        "65535"
      )
      const wide = yield* execute(
        connection,
        `SELECT ${Array.from({ length: 1600 }, (_, i) => `${i} AS c${i}`).join(",")}`
      )
      assert.strictEqual(wide[0].c1599, 1599)
    }))

  it.scoped("the server's limits are told apart: too large a value, and too many columns or arguments", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const list = (count: number, one: (i: number) => string) => Array.from({ length: count }, (_, i) => one(i)).join()
      for (
        const [text, params, reason, code] of [
          ["SELECT repeat('x', $1)", [2_000_000_000], "DataError", "54000"],
          [`CREATE TABLE wide (${list(1601, (i) => `c${i} int`)})`, [], "SqlSyntax", "54011"],
          [`SELECT ${list(1665, String)}`, [], "SqlSyntax", "54011"],
          [`SELECT abs(${list(101, String)})`, [], "SqlSyntax", "54023"]
        ] as const
      ) {
        const error = yield* Effect.flip(execute(connection, text, params))
        assert.deepInclude(error, { _tag: "QueryError", reason, code }, text.slice(0, 40))
      }
    }))

  it.scoped("too many parameters are refused, and the connection goes on", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const error = yield* Effect.flip(execute(connection, "SELECT 1", Array.from({ length: 65536 }, () => 1)))
      assert.strictEqual((error as QueryError).reason, "Parameter")
      assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
    }))

  it.scoped("another client_encoding would change texts on their way, so nothing is sent under it", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const text = "ü€"
      for (const begin of [undefined, "BEGIN"]) {
        yield* execute(connection, "SET client_encoding = 'LATIN1'", [], { begin })
        for (const prepare of [true, false]) {
          const error = yield* Effect.flip(execute(connection, "SELECT $1::text", [text], { prepare }))
          assert.deepInclude(error, { _tag: "QueryError", reason: "DataError", outcome: "NotSent" })
          assert.include(error.message, "LATIN1")
        }
        assert.include((yield* Effect.flip(openCursor(connection, "SELECT 1"))).message, "LATIN1")
        yield* execute(connection, begin === undefined ? "RESET client_encoding" : "ROLLBACK")
        assert.strictEqual(yield* value(connection, "SELECT $1::text", [text]), text)
      }
      yield* execute(connection, "SET client_encoding = 'LATIN1'")
      yield* reset(connection)
      assert.strictEqual(yield* value(connection, "SELECT $1::text", [text]), text)
    }))

  it.scoped("columns: duplicates, __proto__ and the empty name", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      assert.deepStrictEqual(yield* execute(connection, "SELECT 1 AS a, 2 AS a"), [{ a: 2 }])
      assert.deepStrictEqual(yield* execute(connection, "SELECT 1 AS a, 2 AS a", [], { mode: "values" }), [[1, 2]])
      const rows = yield* execute(connection, "SELECT 1 AS \"__proto__\", 2 AS \"constructor\"")
      assert.deepStrictEqual(Object.entries(rows[0]), [["__proto__", 1], ["constructor", 2]])
      assert.strictEqual(Object.getPrototypeOf(rows[0]), Object.prototype)
    }))

  it.scoped("a result counts what is written, not what is read", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const result = (text: string) => execute(connection, text, [], { mode: "result" })
      const rowsAffected = (text: string) => Effect.map(result(text), (one: any) => one.rowsAffected)
      assert.strictEqual(yield* rowsAffected("CREATE TABLE written AS SELECT * FROM generate_series(1, 3) AS id"), 3)
      assert.strictEqual(yield* rowsAffected("SELECT id INTO TEMP copied FROM written"), 3)
      assert.strictEqual(yield* rowsAffected("SELECT FROM written"), 0)
      assert.strictEqual(yield* rowsAffected("WITH w AS (DELETE FROM written RETURNING *) SELECT * FROM w"), 0)
      assert.strictEqual(yield* rowsAffected("INSERT INTO written SELECT id FROM copied"), 3)
      assert.strictEqual(
        yield* rowsAffected(
          "MERGE INTO written USING copied ON written.id = copied.id WHEN MATCHED AND copied.id > 1 THEN DELETE"
        ),
        2
      )
      assert.deepStrictEqual(yield* result("UPDATE written SET id = 7 RETURNING id"), {
        rows: [{ id: 7 }],
        rowsAffected: 1,
        lastInsertId: undefined
      })
      assert.strictEqual(yield* rowsAffected("EXPLAIN DELETE FROM written"), 0)
      assert.deepStrictEqual(yield* result(""), { rows: [], rowsAffected: 0, lastInsertId: undefined })
      assert.deepStrictEqual(yield* result("SELECT 1 AS a; UPDATE written SET id = 8"), {
        rows: [],
        rowsAffected: 1,
        lastInsertId: undefined
      })
    }))

  it.scoped("raw is what pg gives", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* execute(connection, "CREATE TABLE t (id int4)")
      const inserted = yield* execute(connection, "INSERT INTO t VALUES (1), (2) RETURNING id", [], { mode: "raw" })
      assert.strictEqual(inserted.command, "INSERT")
      assert.strictEqual(inserted.rowCount, 2)
      assert.deepStrictEqual(inserted.rows, [{ id: 1 }, { id: 2 }])
      assert.strictEqual(inserted.fields[0].name, "id")
      assert.strictEqual(inserted.fields[0].dataTypeID, 23)
      const several = yield* execute(connection, "SELECT 1 AS a; CREATE TABLE u ()", [], { mode: "raw" })
      assert.deepStrictEqual(several.map((one: any) => [one.command, one.rowCount]), [["SELECT", 1], ["CREATE", null]])
    }))
})

describe("array literals", () => {
  it("have depth, NULLs, quotes and lower bounds", () => {
    const read = (text: string) => PgArray.parse(text, (s) => s)
    assert.deepStrictEqual(read("{}"), [])
    assert.deepStrictEqual(read("{a,NULL,\"NULL\",\"\",\"a\\\"b\\\\c\"}"), ["a", null, "NULL", "", "a\"b\\c"])
    assert.deepStrictEqual(read("{{1,2},{3,4}}"), [["1", "2"], ["3", "4"]])
    assert.deepStrictEqual(read("[0:1]={a,b}"), ["a", "b"])
    assert.deepStrictEqual(read("[1:1][-2:-1]={{a,b}}"), [["a", "b"]])
  })
  it("are written quoted", () => {
    assert.strictEqual(
      encode(["a\"b\\", null, [1, true], new Uint8Array([1])]),
      "{\"a\\\"b\\\\\",NULL,{\"1\",\"true\"},\"\\\\x01\"}"
    )
  })
})
