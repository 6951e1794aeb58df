import { assert, describe, it } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as DbSchema from "../src/DbSchema.js"

const accepts = <A, I>(schema: Schema.Schema<A, I>) => (value: unknown): A => Schema.decodeUnknownSync(schema)(value)

const refuses = <A, I>(schema: Schema.Schema<A, I>, values: ReadonlyArray<unknown>): void => {
  for (const value of values) {
    const result = Schema.decodeUnknownEither(schema)(value)
    assert.isTrue(Either.isLeft(result), `${String(value)} is taken`)
  }
}

describe("DbSchema", () => {
  it("BigInt: whole numbers in each form", () => {
    const decode = accepts(DbSchema.BigInt)
    assert.deepStrictEqual([7, 7n, "7", "-7", 0].map(decode), [7n, 7n, 7n, -7n, 0n])
    refuses(DbSchema.BigInt, [1.5, 2 ** 53, "1.0", "", " 1", "0x10", "1e3", NaN, null, true])
    fc.assert(fc.property(fc.bigInt(), (n) => decode(String(n)) === n && decode(n) === n))
  })

  it("Int and Count: what a number can hold", () => {
    assert.deepStrictEqual([7, 7n, "-7"].map(accepts(DbSchema.Int)), [7, 7, -7])
    assert.deepStrictEqual([7, 7n, "7"].map(accepts(DbSchema.Count)), [7, 7, 7])
    refuses(DbSchema.Int, [2n ** 53n, "9007199254740992", 0.5, "", null])
    refuses(DbSchema.Count, [-1, "-1", 2n ** 53n, 0.5, null])
    assert.isTrue(Either.isLeft(Schema.encodeEither(DbSchema.Count)(-1)))
  })

  it("Decimal: every digit, written without an exponent", () => {
    const decode = accepts(DbSchema.Decimal)
    const same = ["1.50", "1.5", 1.5].map(decode)
    assert.deepStrictEqual(same, same.map(() => BigDecimal.normalize(BigDecimal.make(15n, 1))))
    refuses(DbSchema.Decimal, ["", "  ", "NaN", "Infinity", NaN, Infinity, "abc", null])
    fc.assert(fc.property(fc.bigInt(), fc.integer({ min: -30, max: 30 }), (value, scale) => {
      const decimal = BigDecimal.normalize(BigDecimal.make(value, scale))
      const text = Schema.encodeSync(DbSchema.Decimal)(decimal)
      assert.match(String(text), /^-?\d+(?:\.\d+)?$/)
      assert.deepStrictEqual(decode(text), decimal)
    }))
    // A few characters that would become a text of as many zeros.
    for (const text of ["1e999999999", "-1e-999999999"]) {
      assert.isTrue(Either.isLeft(Schema.encodeEither(DbSchema.Decimal)(decode(text))))
    }
    assert.strictEqual(Schema.encodeSync(DbSchema.Decimal)(decode("1e131071")), `1${"0".repeat(131071)}`)
  })

  it("Boolean: what each database has for it", () => {
    const decode = accepts(DbSchema.Boolean)
    assert.deepStrictEqual([true, 1, 1n, Buffer.from([1])].map(decode), [true, true, true, true])
    assert.deepStrictEqual([false, 0, 0n, Buffer.from([0])].map(decode), [false, false, false, false])
    refuses(DbSchema.Boolean, [2, -1, "true", "1", Buffer.from([0, 1]), Buffer.alloc(0), null])
  })

  it("DateTime: dates, and texts in UTC where they say nothing else", () => {
    const decode = accepts(DbSchema.DateTime)
    const moment = DateTime.unsafeMake("2026-02-03T04:05:06.789Z")
    for (
      const value of [
        new Date("2026-02-03T04:05:06.789Z"),
        "2026-02-03T04:05:06.789Z",
        "2026-02-03 04:05:06.789",
        "2026-02-03 04:05:06.789123",
        "2026-02-03 05:05:06.789+01",
        "2026-02-03T02:35:06.789-0130"
      ]
    ) assert.deepStrictEqual(decode(value), moment)
    assert.deepStrictEqual(decode("2026-02-03"), DateTime.unsafeMake("2026-02-03T00:00:00Z"))
    refuses(DbSchema.DateTime, [
      "0000-00-00",
      "2026-02-29",
      "2026-04-31 10:00:00",
      "2026-06-30 23:59:60",
      "2026-02-30x",
      "yesterday",
      "2026-13-01",
      Infinity,
      1,
      new Date(NaN),
      null
    ])
    fc.assert(fc.property(fc.date({ noInvalidDate: true }), (date) => {
      const decoded = decode(date)
      assert.deepStrictEqual(Schema.encodeSync(DbSchema.DateTime)(decoded), date)
    }))
  })

  it("Json: a document, read already or as text", () => {
    const schema = DbSchema.Json(Schema.Struct({ at: Schema.DateFromString }))
    const at = "2026-01-01T00:00:00.000Z"
    for (const value of [{ at }, JSON.stringify({ at })]) {
      assert.deepStrictEqual(accepts(schema)(value), { at: new Date(at) })
    }
    assert.strictEqual(Schema.encodeSync(schema)({ at: new Date(at) }), JSON.stringify({ at }))
    assert.deepStrictEqual(accepts(DbSchema.Json(Schema.Array(Schema.Number)))("[1,2]"), [1, 2])
    refuses(schema, ["", "{", "7", "\"text\"", 7, null, { at: 1 }, "{\"at\":1}"])
    refuses(DbSchema.Json(Schema.Unknown), [new Date(0), new Uint8Array(2), Buffer.from("{}")])
    // What is no document is not written, either.
    for (const value of [new Date(0), { toJSON: () => "text" }, { toJSON: () => undefined }, Object("text")]) {
      assert.isTrue(Either.isLeft(Schema.encodeEither(DbSchema.Json(Schema.Unknown))(value)))
    }
    assert.isTrue(Either.isLeft(Schema.encodeEither(DbSchema.Json(Schema.String))("text")))
    assert.isTrue(
      Either.isLeft(Schema.encodeEither(DbSchema.Json(Schema.Struct({ n: Schema.BigIntFromSelf })))({ n: 1n }))
    )
  })
})
