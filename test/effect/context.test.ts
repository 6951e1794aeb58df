/** A map with one entry more than another says what a copy of it would say. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { patched } from "../../src/internal/effect/context.js"

type Entry = readonly [string, number]

const key = fc.constantFrom("a", "b", "c", "d")
const entry = fc.tuple(key, fc.nat(9))

/** Everything that can be asked of a map. */
const told = (map: Map<string, number>, keys: ReadonlyArray<string>) => {
  const each: Array<Entry> = []
  map.forEach((value, key) => each.push([key, value]))
  return {
    size: map.size,
    keys: [...map.keys()],
    values: [...map.values()],
    entries: [...map.entries()],
    iterated: [...map],
    copied: [...new Map(map)],
    each,
    gets: keys.map((key) => [map.has(key), map.get(key)])
  }
}

describe("a patched map", () => {
  it("says what a copy would say, however many stand on one another", () => {
    const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
    console.log(`amended maps: DBLIVE_SEED=${seed}`)
    fc.assert(
      fc.property(fc.array(entry), fc.array(entry, { maxLength: 30 }), key, (first, amendments, asked) => {
        const base = new Map<string, number>(first)
        let map = base
        let copy = new Map(base)
        for (const [key, value] of amendments) {
          map = patched(map, key, value)
          copy = new Map(copy).set(key, value)
          assert.strictEqual(map.get(asked), copy.get(asked))
          assert.strictEqual(map.has(asked), copy.has(asked))
        }
        assert.deepStrictEqual([...base], [...new Map<string, number>(first)])
        const keys = ["a", "b", "c", "d", "e"]
        assert.deepStrictEqual(told(map, keys), told(copy, keys))
      }),
      { seed, numRuns: 500 }
    )
  })

  it("can be changed without changing what it was made of", () => {
    const base = new Map([["a", 1], ["b", 2]])
    const map = patched(base, "c", 3)
    map.set("a", 9)
    assert.isTrue(map.delete("b"))
    assert.deepStrictEqual([...map], [["a", 9], ["c", 3]])
    map.clear()
    assert.strictEqual(map.size, 0)
    assert.isFalse(map.has("c"))
    assert.strictEqual(map.get("a"), undefined)
    assert.deepStrictEqual([...base], [["a", 1], ["b", 2]])
  })

  it("does not keep alive what it was made of for ever", () => {
    let map = patched(new Map<string, number>(), "a", 0)
    for (let i = 1; i < 10_000; i++) {
      map = patched(map, i % 2 === 0 ? "a" : "b", i)
    }
    // Were they linked to one another without end, this would overflow the stack.
    assert.strictEqual(map.get("c"), undefined)
    assert.deepStrictEqual([...map], [["a", 9998], ["b", 9999]])
  })
})
