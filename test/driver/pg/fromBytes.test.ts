/** A value that is read from bytes is the one that its text gives. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Pg from "pg"
import { DataRow, textOf } from "../../../src/internal/driver/pg/reader.js"
import { fromBytes } from "../../../src/internal/driver/pg/shape.js"
import type { Field } from "../../../src/internal/driver/pg/shape.js"
import { Shape } from "../../../src/internal/driver/pg/shape.js"
import { Types } from "../../../src/internal/driver/pg/types.js"

/** What was read or thrown. */
const outcome = (read: () => unknown): unknown => {
  try {
    return ["read", read()]
  } catch (error) {
    return ["thrown", String(error)]
  }
}

const digits = fc.stringMatching(/^-?\d{0,20}(?:\.\d{0,20})?(?:e[+-]?\d{1,3})?$/)
const written = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.double().map((value) => Object.is(value, -0) ? "-0" : String(value)),
  fc.float().map(String),
  fc.tuple(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.nat(9_999_999)).map(([a, b]) => `${a}.${b}`),
  digits,
  fc.constantFrom("", "-", ".", "-.", "1.", ".5", "-.5", "1..2", "--1", "+1", " 1", "1 ", "0x10", "1e3", "-0", "-0.0"),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "t", "f", "true", "T", "null", "\0", "\ufeff1", "é", "😀"),
  fc.constantFrom("2024-02-29", "2024-02-29 12:34:56.123456+00", "0044-03-15 BC", "infinity", "1 day", "{1,NULL}"),
  fc.constantFrom("{\"a\": [1, 2.50]}", "null", "[]", "{t,f}", "\\xdeadbeef", "(1,2)", "{\"a,b\",c}"),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 300 })
)

// bool bytea int8 int2 int4 text oid json float4 float8 numeric date timestamp timestamptz interval uuid jsonb point varchar,
// arrays of them, and one that the catalog is asked for.
const oids = [
  ...[16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 600, 700, 701, 718, 790, 829, 869, 1042, 1043, 1082, 1083, 1114, 1184],
  ...[1186, 1266, 1560, 1700, 2950, 3802, 3904],
  ...[199, 1000, 1001, 1005, 1007, 1009, 1015, 1016, 1021, 1022, 1115, 1182, 1185, 1187, 1231, 2951, 3807, 70_000]
]

const own = new Types(
  {
    getTypeParser: (oid, format) =>
      oid === 20 ? Number : oid === 25 ? (text) => `${text}!` : Pg.types.getTypeParser(oid, format)
  },
  "number"
)
const plain = new Types(undefined, "number")
for (const types of [own, plain]) types.learn([70_000], [["70000", "23", null, ","]])

describe("a value from its bytes", () => {
  it("is the one that the text gives, of every type", () => {
    fc.assert(
      fc.property(
        written,
        fc.constantFrom(...oids),
        fc.boolean(),
        fc.constantFrom(own, plain),
        fc.uint8Array({ maxLength: 8 }),
        (text, oid, safeIntegers, types, around) => {
          const decode = types.decoder(oid, safeIntegers)!
          // `pg` reads the old form of a bytea without end where that is cut short: no server of today writes it.
          const value = oid === 17 ? Buffer.from(`\\x${Buffer.from(text).toString("hex")}`) : Buffer.from(text)
          const bytes = Buffer.concat([around, value, around])
          const received = value.toString("utf8")
          const read = outcome(() => fromBytes(decode)(bytes, around.length, around.length + value.length))
          assert.deepStrictEqual(read, outcome(() => decode(received)))
        }
      ),
      { numRuns: 20_000 }
    )
  })

  it("is the same number to the last bit", () => {
    const read = fromBytes(Number)
    fc.assert(
      fc.property(
        fc.oneof(
          digits,
          fc.double().map(String),
          fc.tuple(fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }), fc.nat(20)).map(([value, scale]) => {
            const all = String(value < 0n ? -value : value).padStart(scale + 1, "0")
            return `${value < 0n ? "-" : ""}${all.slice(0, all.length - scale)}${scale === 0 ? "" : "."}${
              all.slice(all.length - scale)
            }`
          })
        ),
        (text) => {
          const bytes = Buffer.from(text)
          assert.isTrue(Object.is(read(bytes, 0, bytes.length), Number(text)), text)
        }
      ),
      { numRuns: 20_000 }
    )
  })

  it("is text as Node reads it, valid or not", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 8 }), (value, around) => {
      const bytes = Buffer.concat([around, value, around])
      assert.strictEqual(
        textOf(bytes, around.length, around.length + value.length),
        Buffer.from(value).toString("utf8")
      )
    }))
  })
})

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value])
const int32 = (value: number): Buffer => Buffer.from([value >> 24, value >> 16, value >> 8, value])

/** A row of these values, as it was received. */
const rowOf = (values: ReadonlyArray<string | null>): DataRow => {
  const bytes = Buffer.concat([
    int16(values.length),
    ...values.flatMap((value) => {
      if (value === null) return [int32(-1)]
      const text = Buffer.from(value)
      return [int32(text.length), text]
    })
  ])
  const row = new DataRow()
  row.take(bytes, 0, bytes.length)
  return row
}

const field = (name: string, dataTypeID: number): Field => ({
  name,
  tableID: 0,
  columnID: 0,
  dataTypeID,
  dataTypeSize: -1,
  dataTypeModifier: -1,
  format: "text"
})

const column = fc.record({
  name: fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString", "", "0", "1", "id", "id")),
  type: fc.constantFrom(16, 20, 21, 23, 25, 701, 1043, 1700, 2950),
  value: fc.oneof(written, fc.constant(null))
})

describe("a row from its bytes", () => {
  it("has the columns that were described, the last of a name counting, and NULL as null", () => {
    fc.assert(fc.property(fc.array(column, { maxLength: 40 }), fc.boolean(), (columns, safeIntegers) => {
      const shape = new Shape(columns.map(({ name, type }) => field(name, type)))
      // An int8 is read as a bigint then, which not every text is.
      const row = rowOf(columns.map(({ type, value }) => type === 20 && value !== null ? "42" : value))
      const expected = columns.map(({ type }, i) => {
        const text = row.texts()[i]!
        return text === null ? null : plain.decoder(type, safeIntegers)!(text)
      })
      assert.deepStrictEqual(shape.reader("values", safeIntegers, plain)!(row), expected)
      const object = shape.reader("rows", safeIntegers, plain)!(row) as object
      assert.strictEqual(Object.getPrototypeOf(object), Object.prototype)
      const last = new Map(columns.map(({ name }, i) => [name, expected[i]]))
      assert.sameMembers(Object.keys(object), [...last.keys()])
      for (const [name, value] of last) {
        assert.deepStrictEqual(Object.getOwnPropertyDescriptor(object, name), {
          value,
          writable: true,
          enumerable: true,
          configurable: true
        })
      }
    }))
  })

  it("of more or fewer columns than were described is not read", () => {
    for (const values of [[], ["1"], ["1", "2", "3"]]) {
      for (const mode of ["rows", "values"] as const) {
        const read = new Shape([field("a", 23), field("b", 23)]).reader(mode, false, plain)!
        assert.throws(() => read(rowOf(values)), /columns, where 2 were described/)
      }
    }
  })

  it("is not read where a type is not known yet", () => {
    const types = new Types(undefined, "number")
    const shape = new Shape([field("a", 70_000)])
    assert.isUndefined(shape.reader("rows", false, types))
    types.learn([70_000], [["70000", "23", null, ","]])
    assert.deepStrictEqual(shape.reader("rows", false, types)!(rowOf(["{1,NULL}"])), { a: [1, null] })
  })
})
