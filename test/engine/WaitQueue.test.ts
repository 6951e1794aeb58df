import { assert, it } from "@effect/vitest"
import { CoDel } from "../../src/internal/pool/CoDel.js"
import { FifoQueue } from "../../src/internal/pool/FifoQueue.js"
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
  const queue = new WaitQueue<never>("test", undefined)
  const refused: Array<string> = []
  const served = makeWaiter(() => refused.push("served"))
  const last = makeWaiter(() => refused.push("last"))
  // Being refused, the first lets go of what the second waits for.
  const first = makeWaiter(() => {
    refused.push("first")
    queue.remove(served)
  })
  const stays = makeWaiter(() => refused.push("stays"))
  for (const waiter of [stays, first, served, last]) {
    queue.add(waiter)
  }
  queue.refuse((waiter) => waiter !== stays, () => undefined as never)
  assert.deepStrictEqual(refused, ["first", "last"])
  assert.strictEqual(queue.head, stays)
  assert.strictEqual(queue.size, 1)
})

it("a waiter that is served while the one before it is shed is not the next", () => {
  const shedding = new CoDel({ target: 10, interval: 100 })
  // The shortest wait of an interval was too long.
  shedding.judge(500, 900)
  const queue = new WaitQueue<never>("test", shedding)
  let sheds = 0
  const served = makeWaiter(() => {})
  const last = makeWaiter(() => {}, 1000)
  const first = makeWaiter(() => {
    sheds++
    queue.remove(served)
  })
  for (const waiter of [first, served, last]) {
    queue.add(waiter)
  }
  assert.strictEqual(queue.next(1000, false), last)
  assert.strictEqual(sheds, 1)
})

it("the links of a waiter that was removed are empty, wherever in the queue it was", () => {
  const queue = new WaitQueue<never>("test", undefined)
  const waiters = Array.from({ length: 3 }, () => makeWaiter(() => {}))
  for (const order of [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0]]) {
    waiters.forEach((waiter) => queue.add(waiter))
    for (const index of order) {
      // A served waiter is kept for a while, and V8 takes one in its old space for live even after that.
      const links = waiters[index]!.links
      queue.remove(waiters[index]!)
      assert.deepStrictEqual(links, { previous: undefined, next: undefined })
    }
  }
})

it("whoever does not wait is taken out of nothing", () => {
  const queue = new FifoQueue<Waiter<never>>()
  const [stays, left, never] = [makeWaiter(() => {}), makeWaiter(() => {}), makeWaiter(() => {})]
  queue.add(stays)
  queue.add(left)
  queue.remove(left)
  queue.remove(left)
  queue.remove(never)
  assert.strictEqual(queue.size, 1)
  assert.strictEqual(queue.head, stays)
  assert.isUndefined(queue.after(never))
})

it("those who may use the reserved place are counted, and no others", () => {
  const queue = new WaitQueue<never>("test", undefined)
  const usual = makeWaiter(() => {})
  const reserved = { ...makeWaiter(() => {}), reserved: true }
  queue.add(usual)
  assert.strictEqual(queue.reserved, 0)
  queue.add(reserved)
  assert.strictEqual(queue.reserved, 1)
  queue.remove(usual)
  assert.strictEqual(queue.reserved, 1)
  queue.remove(reserved)
  queue.remove(reserved)
  assert.strictEqual(queue.reserved, 0)
})
