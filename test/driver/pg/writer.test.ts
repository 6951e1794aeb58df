/** What is sent: gathered into buffers that share their memory, and do not change once they were taken. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Writer } from "../../../src/internal/driver/pg/writer.js"

// A parameter may be longer than the buffer that messages are gathered in.
const param = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 0, max: 200_000 }).map((length) => "é".repeat(length))
)
const bound = fc.array(param, { maxLength: 6 })

const int32 = (value: number): Buffer => Buffer.from([value >> 24, value >> 16, value >> 8, value])
const int16 = (value: number): Buffer => Buffer.from([value >> 8, value])

/** A Bind of the unnamed portal, as the protocol has it. */
const bindOf = (params: ReadonlyArray<string | Uint8Array | null>): Buffer => {
  const body = Buffer.concat([
    Buffer.from("\0name\0"),
    int16(params.length),
    ...params.map((value) => int16(value === null || typeof value === "string" ? 0 : 1)),
    int16(params.length),
    ...params.flatMap((value) => {
      if (value === null) return [int32(-1)]
      const bytes = Buffer.from(value)
      return [int32(bytes.length), bytes]
    }),
    int16(0)
  ])
  return Buffer.concat([Buffer.from("B"), int32(body.length + 4), body])
}

const taken = (writer: Writer): Buffer => {
  const { buffer, from, to } = writer.take()
  return buffer.subarray(from, to)
}

describe("messages to PostgreSQL", () => {
  it("are what they were when they were taken, whatever is written afterwards", () => {
    fc.assert(fc.property(fc.array(fc.array(bound, { maxLength: 3 }), { maxLength: 60 }), (trips) => {
      const writer = new Writer()
      const sent = trips.map((binds) => {
        for (const params of binds) writer.bind("", "name", params)
        return taken(writer)
      })
      trips.forEach((binds, i) => assert.isTrue(sent[i]!.equals(Buffer.concat(binds.map(bindOf)))))
    }))
  })

  it("do not hold on to much more memory than they have", () => {
    const writer = new Writer()
    writer.bind("", "name", ["x".repeat(10_000_000)])
    assert.isAbove(taken(writer).length, 10_000_000)
    writer.sync()
    assert.isAtMost(taken(writer).buffer.byteLength, 65536)
  })
})
