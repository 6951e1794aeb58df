import { assert, it } from "@effect/vitest"
import { CoDel } from "../../src/internal/pool/CoDel.js"
import type { Waiter } from "../../src/internal/pool/PoolEntry.js"
import { WaitQueue } from "../../src/internal/pool/WaitQueue.js"

const makeWaiter = (onRefused: () => void, waitingSince = 0): Waiter<never> => ({
  links: undefined,
  waitingSince,
  waitDeadline: Infinity,
  waitLimit: 0,
  reserved: false,
  failFast: false,
  holds: () => false,
  onEntry: () => {},
  onRefused
})

it("a waiter that is served while the one before it is refused is not served or refused once more", () => {
  const line = new WaitQueue<never>("test", undefined)
  const refused: Array<string> = []
  const served = makeWaiter(() => refused.push("served"))
  const last = makeWaiter(() => refused.push("last"))
  // Being refused, the first lets go of what the second waits for.
  const first = makeWaiter(() => {
    refused.push("first")
    line.remove(served)
  })
  const stays = makeWaiter(() => refused.push("stays"))
  for (const waiter of [stays, first, served, last]) {
    line.add(waiter)
  }
  line.refuse((waiter) => waiter !== stays, () => undefined as never)
  assert.deepStrictEqual(refused, ["first", "last"])
  assert.strictEqual(line.head, stays)
  assert.strictEqual(line.size, 1)
})

it("a waiter that is served while the one before it is shed is not the next", () => {
  const shedding = new CoDel({ target: 10, interval: 100 })
  // The shortest wait of an interval was too long.
  shedding.judge(500, 900)
  const line = new WaitQueue<never>("test", shedding)
  let sheds = 0
  const served = makeWaiter(() => {})
  const last = makeWaiter(() => {}, 1000)
  const first = makeWaiter(() => {
    sheds++
    line.remove(served)
  })
  for (const waiter of [first, served, last]) {
    line.add(waiter)
  }
  assert.strictEqual(line.next(1000, false), last)
  assert.strictEqual(sheds, 1)
})

it("a place that was left leads nowhere, wherever in the line it was", () => {
  const line = new WaitQueue<never>("test", undefined)
  const waiters = Array.from({ length: 3 }, () => makeWaiter(() => {}))
  for (const order of [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0]]) {
    waiters.forEach((waiter) => line.add(waiter))
    for (const index of order) {
      // A served waiter lives on for a while, and V8 takes even dead ones for alive for a while.
      const place = waiters[index]!.links
      line.remove(waiters[index]!)
      assert.deepStrictEqual(place, { previous: undefined, next: undefined })
    }
  }
})
