/** What is written is read back equal, or refused: the table of docs/values.md, through the whole of dblive. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import { PgClient, withClient } from "../../src/driver/Pg.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
console.log(`values: DBLIVE_SEED=${seed}`)

let tables = 0

/** Writes each value into a column of the type and reads it back. */
const roundTrip = (type: string, values: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const table = `v${++tables}`
    yield* sql.unsafe(`CREATE TABLE ${table} (n INTEGER PRIMARY KEY, value ${type})`)
    yield* Effect.forEach(
      values,
      (value, n) => sql`INSERT INTO ${sql(table)} (n, value) VALUES (${n}, ${value})`
    ).pipe(
      Db.transaction
    )
    const rows = yield* sql<{ value: unknown }>`SELECT value FROM ${sql(table)} ORDER BY n`
    return rows.map((row) => row.value)
  })

const dates = [
  new Date(0),
  new Date("2024-02-29T23:59:59.999Z"),
  // Before standard time: local offsets had seconds then.
  new Date("1850-01-01T00:00:00.000Z"),
  new Date("0001-01-01T00:00:00.000Z"),
  new Date("-000043-03-15T12:00:00.000Z"),
  new Date("+012345-06-07T08:09:10.011Z")
]

describe("values", () => {
  describe("sqlite", () => {
    const Sqlite = Db.layer({ url: "sqlite://:memory:", environment: "production" })

    it.scoped("integers without loss, as number or bigint", () =>
      Effect.gen(function*() {
        const big = 2n ** 53n
        assert.deepStrictEqual(
          yield* roundTrip("INTEGER", [0, 1, -1, Number.MAX_SAFE_INTEGER, big, big + 1n, 2n ** 63n - 1n, -(2n ** 63n)]),
          [0, 1, -1, Number.MAX_SAFE_INTEGER, big, big + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
        )
        const sql = yield* SqlClient.SqlClient
        const safe = sql`SELECT 7 AS n`.pipe(Effect.provideService(SqlClient.SafeIntegers, true))
        assert.deepStrictEqual(yield* safe, [{ n: 7n }])
        assert.deepStrictEqual(yield* sql`SELECT 7 AS n`, [{ n: 7 }])
      }).pipe(Effect.provide(Sqlite)))

    it.scoped("numbers, texts, blobs, null", () =>
      Effect.gen(function*() {
        const numbers = [0.1, -0, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity]
        const read = yield* roundTrip("REAL", numbers)
        assert.isTrue(numbers.every((n, i) => n === read[i]))
        const texts = ["", "ä😀\n'\"", "x".repeat(5_000_000), "null"]
        assert.deepStrictEqual(yield* roundTrip("TEXT", texts), texts)
        const blobs = [new Uint8Array([0, 255, 1]), new Uint8Array(0), null]
        assert.deepStrictEqual(
          (yield* roundTrip("BLOB", blobs)).map((b) => b === null ? null : new Uint8Array(b as Uint8Array)),
          blobs
        )
        assert.deepStrictEqual(yield* roundTrip("TEXT", dates), dates.map((date) => date.toISOString()))
        assert.deepStrictEqual(yield* roundTrip("", [true, false]), [1, 0])
      }).pipe(Effect.provide(Sqlite)))

    it.scoped("refuses what it cannot hold, and goes on", () =>
      Effect.gen(function*() {
        for (const bad of [undefined, NaN, 2n ** 63n, {}, [], new Date(NaN), "\udc00", Symbol("x")]) {
          const error = yield* Effect.flip(Db.query("SELECT :bad AS v", { bad: bad as never }))
          assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
          assert.match(error.message, /parameter :bad is/)
        }
        assert.lengthOf(yield* Db.query("SELECT 1 AS one"), 1)
      }).pipe(Effect.provide(Sqlite)))
  })

  describePostgres("postgresql", () => {
    const onPg = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient | PgClient>) =>
      Effect.flatMap(
        freshDatabase,
        ({ url }) => Effect.provide(effect, Db.layer({ url, environment: "production" }).pipe(withClient))
      )

    it.scopedLive("numbers", () =>
      onPg(Effect.gen(function*() {
        assert.deepStrictEqual(yield* roundTrip("bigint", [2n ** 63n - 1n, -(2n ** 63n), 5]), [
          "9223372036854775807",
          "-9223372036854775808",
          "5"
        ])
        const floats = [0.1, -0, NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE]
        assert.deepStrictEqual(yield* roundTrip("double precision", floats), floats)
        const exact = "12345678901234567890.123456789012345678901234567890"
        assert.deepStrictEqual(yield* roundTrip("numeric", [exact, "NaN"]), [exact, "NaN"])
        const sql = yield* SqlClient.SqlClient
        const safe = sql`SELECT 7::bigint AS n`.pipe(Effect.provideService(SqlClient.SafeIntegers, true))
        assert.deepStrictEqual(yield* safe, [{ n: 7n }])
        const beyond = yield* Effect.flip(Db.query("SELECT :n::bigint AS n", { n: 1e30 }))
        assert.deepInclude(beyond, { _tag: "QueryError", reason: "DataError" })
      })), 60_000)

    it.scopedLive("dates, in any time zone of the process", () =>
      onPg(Effect.gen(function*() {
        const zone = process.env["TZ"]
        yield* Effect.ensuring(
          Effect.forEach(["UTC", "Europe/Amsterdam", "America/St_Johns", "Pacific/Apia"], (tz) =>
            Effect.gen(function*() {
              process.env["TZ"] = tz
              for (const type of ["timestamptz", "timestamp"]) {
                assert.deepStrictEqual(yield* roundTrip(type, [...dates, Infinity, -Infinity, null]), [
                  ...dates,
                  Infinity,
                  -Infinity,
                  null
                ])
              }
              const days = dates.map((date) => new Date(Math.floor(date.getTime() / 86_400_000) * 86_400_000))
              assert.deepStrictEqual(yield* roundTrip("date", days), days)
            })),
          Effect.sync(() => {
            if (zone === undefined) delete process.env["TZ"]
            else process.env["TZ"] = zone
          })
        )
      })), 60_000)

    it.scopedLive("microseconds", () =>
      onPg(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql<{ t: Date }>`SELECT '2024-01-01 00:00:00.123456+00'::timestamptz AS t`
        assert.strictEqual(row!.t.getTime(), Date.UTC(2024, 0, 1, 0, 0, 0, 123))
        assert.include(JSON.stringify(row), "00:00:00.123456")
        const back = yield* sql`SELECT ${row!.t}::timestamptz = '2024-01-01 00:00:00.123456+00' AS same`
        assert.deepStrictEqual(back, [{ same: true }])
      })), 60_000)

    it.scopedLive("json: null, strings, arrays and objects", () =>
      onPg(Effect.gen(function*() {
        const sql = yield* PgClient
        const values = [null, "text", "null", [1, [2]], [], { a: { b: null } }, true, 0.5, "ä😀\u0001"]
        for (const type of ["json", "jsonb"]) {
          assert.deepStrictEqual(yield* roundTrip(type, values.map((value) => sql.json(value))), values)
        }
        const [isNull] = yield* sql`SELECT ${sql.json(null)}::jsonb IS NULL AS a, ${null}::jsonb IS NULL AS b`
        assert.deepStrictEqual(isNull, { a: false, b: true })
      })), 60_000)

    it.scopedLive("texts, bytes and arrays, whatever is in them", () =>
      onPg(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const text = fc.string({ unit: "grapheme" }).filter((s) => !s.includes("\0") && s === Buffer.from(s).toString())
        const samples = fc.sample(fc.record({ text, texts: fc.array(fc.option(text)), bytes: fc.uint8Array() }), {
          seed,
          numRuns: 200
        })
        yield* Db.session(Effect.forEach(samples, ({ bytes, text, texts }) =>
          Effect.gen(function*() {
            const [row] = yield* sql<{ a: string; b: ReadonlyArray<string | null>; c: Buffer }>`
              SELECT ${text}::text AS a, ${texts}::text[] AS b, ${bytes}::bytea AS c`
            assert.strictEqual(row!.a, text)
            assert.deepStrictEqual(row!.b, texts)
            assert.deepStrictEqual(new Uint8Array(row!.c), new Uint8Array(bytes))
          })))
        const huge = "x".repeat(5_000_000)
        assert.deepStrictEqual(yield* roundTrip("text", ["", huge]), ["", huge])
      })), 60_000)

    it.scopedLive("refuses what it cannot hold, and goes on", () =>
      onPg(Effect.gen(function*() {
        for (const bad of [undefined, Symbol("x"), "a\0b", "\udc00", new Date(NaN), { n: NaN }, new Map()]) {
          const error = yield* Effect.flip(Db.query("SELECT :bad AS v", { bad: bad as never }))
          assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
          assert.match(error.message, /parameter :bad is/)
        }
        assert.lengthOf(yield* Db.query("SELECT 1 AS one"), 1)
      })), 60_000)

    it.scopedLive("keeps the server's words for a parameter whose type it cannot tell, and adds the name", () =>
      onPg(Effect.gen(function*() {
        const told = (text: string, params: Db.Params) =>
          Effect.map(Effect.flip(Db.query(text, params)), ({ what }) => what)
        const words = "could not determine data type of parameter $2"
        assert.strictEqual(
          yield* told("SELECT n FROM generate_series(1, :most) AS n WHERE :odd IS NULL", { most: 1, odd: null }),
          `${words} (:odd is parameter 2)`
        )
        assert.strictEqual(yield* told("SELECT $1::int WHERE $2 IS NULL", [1, null]), words)
        // What a program writes is not taken for a parameter.
        yield* Db.query("CREATE FUNCTION fails(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE ''%'', $1; END'")
        const said = "parameter $1 is theirs, parameter 1 is ours"
        assert.strictEqual(yield* told("SELECT fails(:text)", { text: said }), said)
      })))
  })
})
