/** Numbers in JSON that a double cannot hold: kept, or refused. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { PgClient, withClient } from "../../src/driver/Pg.js"
import { JsonNumber } from "../../src/internal/driver/JsonNumber.js"
import * as JsonText from "../../src/internal/driver/JsonText.js"
import { freshMysqlDatabase } from "../kit/mysql.js"
import { describeMysql } from "../kit/mysql.js"
import { freshDatabase } from "../kit/postgres.js"
import { describePostgres } from "../kit/postgres.js"

const long = [
  "9007199254740993",
  "-9007199254740993",
  "0.1234567890123456789",
  "123456789012345678901234567890",
  "3.3333333333333333"
]
const short = [
  "0",
  "-0",
  "1",
  "-1.5",
  "0.1",
  "1e3",
  "1E+2",
  "9007199254740991",
  "9007199254740992",
  "1.10",
  "1e21",
  "5e-324",
  "1.7976931348623157e308",
  "12345678901234.5",
  "100000000000000000000"
]
const scaled = ["1e400", "-1E+400", "1e-400", "0.5e0400", "1234567890.1234567890123", "1.23456789012345e-310"]

const digits = (value: unknown): string => {
  assert.instanceOf(value, JsonNumber)
  return String(value)
}

describe("numbers in the text of JSON", () => {
  for (const number of [...long, ...scaled]) {
    for (const text of [number, `[${number}]`, `{"a": {"b": [1, ${number}]}}`, `{"a":${number},"b":"x"}`]) {
      it(`keeps ${text}`, () => {
        assert.include(JsonText.stringify(JsonText.parse(text, "exact", true)), number)
        assert.throws(() => JsonText.parse(text, "refuse", true), JsonText.Inexact)
        assert.deepStrictEqual(JsonText.parse(text, "number", true), JSON.parse(text))
      })
    }
  }

  it("are kept at any depth that JSON.parse reads", () => {
    for (const [open, close] of [["[", "]"], ["{\"a\":", "}"], ["[{\"__proto__\":", "}]"]] as const) {
      const depth = 20_000
      let value = JsonText.parse(`${open.repeat(depth)}9007199254740993${close.repeat(depth)}`, "bigint", true)
      while (typeof value === "object" && value !== null) {
        value = Object.getOwnPropertyDescriptor(value, Object.keys(value)[0]!)?.value
      }
      assert.strictEqual(value, 9007199254740993n)
    }
  })

  it("is what JSON.parse makes of it where a double holds its numbers", () => {
    for (const number of short) {
      for (const text of [number, `[${number}, ${number}]`, ` {"a" : ${number}}`]) {
        assert.deepStrictEqual(JsonText.parse(text, "refuse", true), JSON.parse(text), text)
      }
    }
    const strings = JSON.stringify({
      "9007199254740993": "9007199254740993",
      b: ":9007199254740993,",
      "\\\"": "a\\\"9007199254740993"
    })
    assert.deepStrictEqual(JsonText.parse(strings, "refuse", true), JSON.parse(strings))
    assert.deepStrictEqual(
      JsonText.parse("{\"__proto__\":{\"a\":9007199254740993},\"a\\\\\":\"\\\\\"}", "bigint", true),
      JSON.parse(
        "{\"__proto__\":{\"a\":1},\"a\\\\\":\"\\\\\"}",
        (_, item: unknown) => item === 1 ? 9007199254740993n : item
      )
    )
    assert.throws(() => JsonText.parse("[9007199254740993", "exact", true), SyntaxError)
    assert.throws(() => JsonText.parse("[09007199254740993]", "exact", true), SyntaxError)
  })

  it("of any JSON is read as by JSON.parse, and of any bigints is written with every digit", () => {
    fc.assert(fc.property(fc.json(), (text) => {
      assert.deepStrictEqual(JSON.stringify(JsonText.parse(text, "number", true)), JSON.stringify(JSON.parse(text)))
      const value = JsonText.parse(text, "exact", true)
      assert.deepStrictEqual(JSON.parse(JsonText.stringify(value)!), JSON.parse(text))
    }))
    fc.assert(fc.property(fc.bigInt(), fc.string(), (n, padding) => {
      const text = JsonText.stringify({ [padding]: [padding, n, padding] })!
      const read = JsonText.parse(text, "bigint", true) as Record<string, ReadonlyArray<unknown>>
      const value = read[padding]![1]
      assert.strictEqual(BigInt(value as bigint), n)
      assert.strictEqual(text, JSON.stringify({ [padding]: [padding, 0, padding] }).replace(/,0,/, `,${n},`))
    }))
  })

  it("counts as the nearest double, and is its digits as text and as JSON", () => {
    const n = JsonText.parse("3.3333333333333333", "exact", true) as JsonNumber
    assert.strictEqual(Number(n) + 1, 4.333333333333334)
    assert.strictEqual(n.toFixed(2), "3.33")
    assert.strictEqual(`${n}`, "3.3333333333333333")
    assert.include(JSON.stringify({ n }), "3.3333333333333333")
  })
})

interface Place {
  readonly name: string
  readonly describe: (name: string, body: () => void) => void
  readonly fresh: typeof freshDatabase | typeof freshMysqlDatabase
  readonly types: ReadonlyArray<string>
  readonly value: (at: number) => string
}

const places: ReadonlyArray<Place> = [
  {
    name: "postgresql",
    describe: describePostgres,
    fresh: freshDatabase,
    types: ["json", "jsonb"],
    value: (at) => `$${at}`
  },
  { name: "mysql", describe: describeMysql, fresh: freshMysqlDatabase, types: ["JSON"], value: () => "?" }
]

const open =
  (place: Place, options: DbConfig.Options = {}) => <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
    Effect.flatMap(
      place.fresh as typeof freshDatabase,
      ({ url }) => Effect.provide(effect, Db.layer({ url, ...options }))
    )

for (const place of places) {
  place.describe(`numbers in JSON columns, ${place.name}`, () => {
    for (const type of place.types) {
      it.scoped(
        `${type}: every digit, in rows, values, streams and objects that are written back`,
        () =>
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* sql.unsafe(`CREATE TABLE t (id INTEGER PRIMARY KEY, j ${type})`)
            for (const [id, number] of long.entries()) {
              yield* sql.unsafe(`INSERT INTO t VALUES (${id}, '{"a": [${number}], "n": 1}')`)
            }
            type Row = { readonly j: { readonly a: ReadonlyArray<unknown>; readonly n: number } }
            const select = sql<Row>`SELECT j FROM t ORDER BY id`
            const rows = yield* select
            assert.deepStrictEqual(rows.map(({ j }) => digits(j.a[0])), long)
            assert.deepStrictEqual(rows.map(({ j }) => j.n), long.map(() => 1))
            const values = (yield* select.values) as ReadonlyArray<ReadonlyArray<Row["j"]>>
            assert.deepStrictEqual(values.map(([j]) => digits(j!.a[0])), long)
            assert.deepStrictEqual([...yield* Stream.runCollect(select.stream)].map(({ j }) => digits(j.a[0])), long)
            // Written back, as an object and by itself.
            for (const [id, { j }] of rows.entries()) {
              yield* sql.unsafe(`UPDATE t SET j = ${place.value(1)} WHERE id = ${id}`, [j as never])
              const [{ same } = { same: 0 }] = yield* sql.unsafe<{ same: unknown }>(
                `SELECT ${place.value(1)} = ${long[id]} AS same`,
                [j.a[0] as never]
              )
              assert.strictEqual(Number(same), 1)
            }
            assert.deepStrictEqual((yield* select).map(({ j }) => digits(j.a[0])), long)
          }).pipe(open(place)),
        60_000
      )

      it.scoped(`${type}: bigints in it are written with every digit`, () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* sql.unsafe(`CREATE TABLE t (j ${type})`)
          const json = { n: 9007199254740993n, many: [1n, -9007199254740993n], s: "9007199254740993" }
          yield* sql.unsafe(`INSERT INTO t VALUES (${place.value(1)})`, [json as never])
          const [row] = yield* sql<{ j: unknown }>`SELECT j FROM t`
          assert.deepStrictEqual(row!.j, { ...json, many: [1, -9007199254740993n] })
        }).pipe(open(place, { jsonNumbers: "bigint" })))

      it.scoped(
        `${type}: refused where it is asked for, in rows and streams, and the session goes on`,
        () =>
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* sql.unsafe(`CREATE TABLE t (id INTEGER, j ${type})`)
            for (let id = 0; id < 300; id++) {
              yield* sql.unsafe(`INSERT INTO t VALUES (${id}, '{"n": ${id === 150 ? long[0] : id}}')`)
            }
            const select = sql<{ j: unknown }>`SELECT j FROM t ORDER BY id`
            for (const effect of [select, select.values, Stream.runDrain(select.stream)]) {
              const error = yield* Effect.flip(Db.session(Effect.tap(effect, () => Effect.void)))
              assert.strictEqual(error._tag, "QueryError")
              assert.strictEqual((error as { readonly reason?: unknown }).reason, "DataError")
              assert.include(error.message, "jsonNumbers")
            }
            yield* Effect.gen(function*() {
              const inner = yield* SqlClient.SqlClient
              yield* Effect.flip(Stream.runDrain(inner`SELECT j FROM t ORDER BY id`.stream))
              yield* Effect.flip(inner`SELECT j FROM t ORDER BY id`)
              assert.deepStrictEqual(yield* inner`SELECT 7 AS n`, [{ n: 7 }])
            }).pipe(Db.transaction)
          }).pipe(open(place, { jsonNumbers: "refuse" })),
        60_000
      )
    }

    it.scoped("as JSON.parse reads it where that is asked for", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql.unsafe(`CREATE TABLE t (j ${place.types[0]})`)
        yield* sql.unsafe(`INSERT INTO t VALUES ('[${long[0]}]')`)
        assert.deepStrictEqual(yield* sql`SELECT j FROM t`, [{ j: [9007199254740992] }])
      }).pipe(open(place, { jsonNumbers: "number" })))

    it.scoped("renamed keys keep their numbers", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql.unsafe(`CREATE TABLE t (j ${place.types[0]})`)
        yield* sql.unsafe(`INSERT INTO t VALUES ('{"a_b": [{"c_d": ${long[0]}}], "e_f": ${long[2]}}')`)
        const [row] = yield* sql<{ J: { AB: ReadonlyArray<{ CD: unknown }>; EF: unknown } }>`SELECT j FROM t`
        assert.strictEqual(digits(row!.J.AB[0]!.CD), long[0])
        assert.strictEqual(digits(row!.J.EF), long[2])
      }).pipe(open(place, { transformResultNames: (name) => name.replaceAll("_", "").toUpperCase() })))
  })
}

describePostgres("numbers in what PostgreSQL makes JSON of", () => {
  it.scoped("a value that is nested deep", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const rows = yield* sql.unsafe<{ j: unknown }>(
        `SELECT (repeat('[', 5500) || '${long[0]}' || repeat(']', 5500))::json AS j`
      )
      let value = rows[0]?.j
      while (Array.isArray(value)) value = value[0]
      assert.strictEqual(digits(value), long[0])
    }).pipe(open(places[0]!)))

  it.scoped("arrays of json, rows, domains, arrays of domains, and what sql.json writes", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql.unsafe("CREATE DOMAIN document AS jsonb")
      const [row] = yield* sql.unsafe<Record<string, any>>(
        `SELECT ARRAY['[${long[0]}]', NULL]::json[] AS a, ARRAY['[${long[0]}]']::jsonb[] AS b, row_to_json(t) AS r, ` +
          `'[${long[2]}]'::document AS d, ARRAY['[${long[2]}]']::document[] AS ds, '1e400'::jsonb AS big, ` +
          `'[1e400]'::json AS scaled, json_build_object('avg', (SELECT avg(n) FROM (VALUES (3), (3), (4)) v (n))) AS avg ` +
          `FROM (SELECT ${long[0]}::int8 AS n, ARRAY[${long[0]}]::int8[] AS m) t`
      )
      assert.strictEqual(digits(row!["a"][0][0]), long[0])
      assert.isNull(row!["a"][1])
      assert.strictEqual(digits(row!["b"][0][0]), long[0])
      assert.strictEqual(digits(row!["r"].n), long[0])
      assert.strictEqual(digits(row!["r"].m[0]), long[0])
      assert.strictEqual(digits(row!["d"][0]), long[2])
      assert.strictEqual(digits(row!["ds"][0][0]), long[2])
      assert.strictEqual(digits(row!["big"]), `1${"0".repeat(400)}`)
      assert.strictEqual(digits(row!["scaled"][0]), "1e400")
      assert.strictEqual(Number(row!["avg"].avg), 10 / 3)
      assert.strictEqual(digits(row!["avg"].avg), "3.3333333333333333")
    }).pipe(open(places[0]!)))

  it.scoped("sql.json writes bigints with every digit, in arrays of json too", () =>
    Effect.gen(function*() {
      const pg = yield* PgClient
      const [row] = yield* pg<{ a: string; b: string; c: string }>`SELECT ${
        pg.json({ n: 9007199254740993n })
      }::jsonb::text AS a, ${[9007199254740993n]}::jsonb::text AS b, ${[{ n: 9007199254740993n }]}::jsonb[]::text AS c`
      assert.deepStrictEqual(row, { a: `{"n": ${long[0]}}`, b: `[${long[0]}]`, c: `{"{\\"n\\": ${long[0]}}"}` })
    }).pipe(
      (effect) => Effect.flatMap(freshDatabase, ({ url }) => Effect.provide(effect, withClient(Db.layer({ url }))))
    ))
})
