import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Answer, encodeFrame, FrameDecoder } from "../../../src/internal/driver/sqlite/wire.js"

/** An answer with this value, as the other process sends it. */
const answer = (value: unknown): Answer => [null, value, false, true, false]

const received = (chunks: ReadonlyArray<Buffer>): ReadonlyArray<unknown> => {
  const frames = new FrameDecoder()
  const values: Array<unknown> = []
  for (const chunk of chunks) {
    frames.push(chunk)
    for (let value = frames.next(); value !== undefined; value = frames.next()) {
      values.push(value)
    }
  }
  return values
}

const framed = (value: unknown): Buffer => Buffer.from(encodeFrame(answer(value)))

/** Whether it went as JSON. */
const isJson = (value: unknown): boolean => framed(value)[0] === "[".charCodeAt(0)

// What a parameter or a column can be.
const scalar = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("\ud800", "a\udc00b", "", "\u0000", "__proto__"),
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MAX_SAFE_INTEGER),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(null, true, false, undefined)
)

const value = fc.oneof(
  scalar,
  fc.array(scalar),
  fc.array(fc.array(scalar)),
  fc.dictionary(fc.string(), scalar, { noNullPrototype: true })
)

/** As `v8.deserialize` gives bytes. */
const asBytes = (value: unknown): unknown =>
  Buffer.isBuffer(value)
    ? new Uint8Array(value)
    : Array.isArray(value)
    ? value.map(asBytes)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, value]) => [key, asBytes(value)]))
    : value

describe("frames between a program and its SQLite process", () => {
  it("give back every value as it was, whatever pieces they come in", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), fc.array(fc.nat(200)), (values, cuts) => {
        const bytes = Buffer.concat(values.map(framed))
        const chunks: Array<Buffer> = []
        let at = 0
        for (const cut of cuts) {
          chunks.push(bytes.subarray(at, at + cut))
          at = Math.min(at + cut, bytes.length)
        }
        chunks.push(bytes.subarray(at))
        assert.deepStrictEqual(asBytes(received(chunks)), values.map((value) => asBytes(answer(value))))
      }),
      { verbose: 1 }
    )
  })

  it("hold texts that JSON would make longer than a string can be", () => {
    const text = "\u0001".repeat(90_000_000)
    const [, value] = received([framed(text)])[0] as Answer
    // Not by an assertion that would print them.
    assert.isTrue(value === text)
  })

  it("go as JSON where it keeps the value and the value is small", () => {
    for (const value of [null, "text", 1.5, [1, "a", null, true], { names: ["a"], columns: [[1]], length: 1 }]) {
      assert.isTrue(isJson(value), JSON.stringify(value))
    }
    const long = "a".repeat(20_000)
    for (
      const value of [-0, Number.NaN, 1n, Buffer.of(1), undefined, new Date(0), [undefined], Array(1000).fill(1), long]
    ) {
      assert.isFalse(isJson(value), String(value).slice(0, 20))
    }
  })
})
