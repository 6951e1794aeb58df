/** When those who wait for a connection are shed. */
import { assert, describe, it } from "@effect/vitest"
import { CoDel } from "../../src/internal/pool/CoDel.js"

const settings = { target: 50, interval: 1000 }

/** One that has seen an interval in which no wait was shorter than this. */
const after = (shortest: number) => {
  const codel = new CoDel(settings)
  codel.judge(shortest, 10_000)
  codel.judge(shortest + 500, 10_999)
  return codel
}

describe("shedding", () => {
  it("sheds nobody in the first interval, however long the waits are", () => {
    const codel = new CoDel(settings)
    assert.isUndefined(codel.judge(5000, 0))
    assert.isUndefined(codel.judge(5000, 999))
  })

  it("sheds from the end of an interval on in which even the shortest wait was above the target", () => {
    const codel = after(51)
    assert.isUndefined(codel.judge(100, 11_000))
    assert.strictEqual(
      codel.judge(101, 11_001),
      "waits for a connection have been above 50 ms for 1000 ms; this one (101 ms) was shed"
    )
  })

  it("sheds nobody after an interval with one wait that kept the target", () => {
    assert.isUndefined(after(50).judge(5000, 11_000))
  })

  it("goes by the shortest wait of the interval, wherever in it that was", () => {
    for (const waits of [[40, 400], [400, 40]]) {
      const codel = new CoDel(settings)
      waits.forEach((waited, i) => codel.judge(waited, 10_000 + i))
      assert.isUndefined(codel.judge(5000, 11_000))
    }
  })

  it("stops when an interval has had a wait that kept the target", () => {
    const codel = after(51)
    assert.isDefined(codel.judge(5000, 11_000))
    assert.isUndefined(codel.judge(10, 11_500))
    assert.isDefined(codel.judge(5000, 11_999))
    assert.isUndefined(codel.judge(5000, 12_000))
  })

  it("judges each interval by its own waits", () => {
    const codel = after(10)
    codel.judge(5000, 11_000)
    assert.isDefined(codel.judge(5000, 12_000))
  })
})
