import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Zlib from "node:zlib"
import * as Checksum from "../../src/internal/migrator/Checksum.js"

/** As Flyway's ChecksumCalculator does it: line by line, BOM of the first line filtered, a Java int. */
const flyway = (text: string): number => {
  const lines = text.split(/\r\n|\r|\n/)
  lines[0] = lines[0]!.replace(/^\ufeff/, "")
  return Zlib.crc32(lines.join("")) | 0
}

describe("Checksum", () => {
  it("known values", () => {
    expect(Checksum.ofText("")).toBe(0)
    expect(Checksum.ofText("123456789")).toBe(0xcbf43926 | 0)
    expect(Checksum.ofText("\ufeff1234\r\n5\n67\r89\r\n")).toBe(0xcbf43926 | 0)
  })

  it("is Flyway's for every text, however it is cut", () => {
    const text = fc.array(
      fc.oneof(fc.constantFrom("\n", "\r", "\r\n", "\ufeff", "ï", "»", "\u00ef\u00bb"), fc.string({ unit: "grapheme" }))
    )
      .map((parts) => parts.join(""))
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 7 }), (text, size) => {
        const bytes = new TextEncoder().encode(text)
        const checksum = Checksum.make()
        for (let i = 0; i < bytes.length; i += size) {
          checksum.update(bytes.subarray(i, i + size))
          checksum.value()
        }
        expect(checksum.value()).toBe(flyway(text))
        expect(Checksum.ofText(text)).toBe(flyway(text))
      }),
      { numRuns: 500 }
    )
  })
})
