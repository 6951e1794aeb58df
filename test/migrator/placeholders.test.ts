import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Placeholders from "../../src/internal/migrator/placeholders.js"

describe("Placeholders", () => {
  it("are replaced, whatever the case of their names", () => {
    expect(Placeholders.replace("a ${x} ${Schema}.t $${x}", { X: "1", schema: "s" })).toMatchObject({
      text: "a 1 s.t $1"
    })
  })

  it("one without a value is told with its place", () => {
    expect(Placeholders.replace("a ${x} ${y}", { x: "1" })).toEqual({ missing: "y", index: 7 })
  })

  it("every place of the result leads back to the original", () => {
    const piece = fc.oneof(
      fc.constantFrom("plain", "\n", "${a}", "${b}", "${empty}", "$", "{", "}"),
      fc.string({ maxLength: 3 })
    )
    const values = { a: "long value", b: "x", empty: "" }
    fc.assert(fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join("").replace(/\$\{(?!(a|b|empty)\})/g, "")
      const replaced = Placeholders.replace(text, values)
      if ("missing" in replaced) {
        return
      }
      let last = 0
      for (let i = 0; i < replaced.text.length; i++) {
        const from = replaced.original(i)
        expect(from).toBeGreaterThanOrEqual(last)
        last = from
        if (replaced.text[i] !== text[from]) {
          expect(text.slice(from)).toMatch(/^\$\{(a|b)\}/)
        }
      }
    }))
  })
})
