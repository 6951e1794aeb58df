/** What the pool does at each of its steps: test/kit/handPool.ts says how it is driven. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Holder } from "../../src/DbError.js"
import { type Borrower, PoolEntry } from "../../src/internal/pool/PoolEntry.js"
import { Shutdown } from "../../src/internal/pool/Shutdown.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { type Asked, handPool } from "../kit/handPool.js"

const borrower = (entry: PoolEntry<string>, more: Partial<Borrower> = {}): Borrower => ({
  describe: (now): Holder => ({
    fiber: `#${entry.id}`,
    heldForMillis: now - entry.acquiredAt,
    span: undefined,
    state: "idle",
    statement: undefined
  }),
  onDeadline: () => {},
  onCut: () => {},
  ...more
})

/** Lends as many connections as that, and takes them back: all idle, the first one longest. */
const idle = (hand: ReturnType<typeof handPool>, count: number) => {
  const entries = Array.from({ length: count }, () => hand.lent())
  for (const entry of entries) hand.pool.release(entry)
  return entries
}

const refusal = (asked: Asked) => asked.refused

const answers = (asked: Asked) => asked.entry?.connection ?? asked.refused?.reason

describe("lending", () => {
  it("opens one for each who waits, up to the capacity, and tells how long that took", () => {
    const hand = handPool({ size: 2, overflow: 1 })
    const asked = [hand.ask(), hand.ask(), hand.ask(), hand.ask()]
    assert.deepInclude(hand.pool.figures, {
      size: 2,
      capacity: 3,
      open: 0,
      idle: 0,
      inUse: 0,
      opening: 3,
      waiting: 4,
      overflow: 0,
      invalidated: 0,
      timeouts: 0
    })
    hand.advance(7)
    hand.open()
    hand.open()
    hand.open()
    assert.deepStrictEqual(hand.told, ["opened 1 in 7", "opened 2 in 7", "opened 3 in 7"])
    assert.deepStrictEqual(asked.map(answers), ["c1", "c2", "c3", undefined])
    assert.deepInclude(hand.pool.figures, {
      open: 3,
      inUse: 3,
      opening: 0,
      waiting: 1,
      overflow: 1,
      longestWaitMillis: 7
    })
    assert.strictEqual(hand.pool.lends, 3)
    assert.lengthOf(hand.opening, 0)
    const [first] = asked
    assert.deepInclude(first!.entry, { state: "inUse", acquiredAt: 1007, openedAt: 1007, deadline: Infinity })
    hand.pool.release(first!.entry!)
    assert.strictEqual(asked[3]!.entry, first!.entry)
    assert.deepInclude(hand.pool.figures, { inUse: 3, waiting: 0, longestWaitMillis: 0 })
    assert.strictEqual(hand.pool.lends, 4)
  })

  it("lends an idle one as it is until validateAfter has passed", () => {
    const hand = handPool({ validateAfter: 500 })
    const [entry] = idle(hand, 1)
    hand.advance(499)
    assert.strictEqual(hand.pool.tryAcquire(hand.now), entry)
    assert.deepInclude(hand.pool.figures, { idle: 0, inUse: 1 })
    hand.pool.release(entry!)
    hand.advance(500)
    assert.isUndefined(hand.pool.tryAcquire(hand.now))
    const asked = hand.ask()
    assert.isUndefined(asked.entry)
    assert.deepInclude(hand.pool.figures, { idle: 0, inUse: 0, open: 1, opening: 0, waiting: 1 })
    assert.strictEqual(entry!.state, "busy")
    hand.answer(true)
    assert.strictEqual(asked.entry, entry)
    assert.deepInclude(entry, { state: "inUse", idleSince: 1999, deadline: Infinity })
  })

  it("gives what was validated to whoever waits by then, and keeps it where nobody does", () => {
    const hand = handPool({ validateAfter: 500 })
    const [entry] = idle(hand, 1)
    hand.advance(500)
    const asked = hand.ask()
    hand.pool.withdraw(asked)
    hand.answer(true)
    assert.isUndefined(asked.entry)
    assert.strictEqual(entry!.state, "idle")
    assert.strictEqual(hand.pool.tryAcquire(hand.now), entry)
  })

  it("replaces one that is not alive", () => {
    const hand = handPool({ validateAfter: 500 })
    idle(hand, 2)
    hand.advance(500)
    const asked = hand.ask()
    assert.deepStrictEqual(hand.validating.map(({ connection }) => connection), ["c2"])
    hand.answer(false)
    assert.deepStrictEqual(hand.closed, ["c2 dropped"])
    assert.strictEqual(hand.pool.invalidated, 1)
    // The other one is asked, although it would have to be opened more seldom.
    assert.deepStrictEqual(hand.validating.map(({ connection }) => connection), ["c1"])
    assert.lengthOf(hand.opening, 0)
    hand.answer(false)
    assert.lengthOf(hand.opening, 1)
    hand.open()
    assert.strictEqual(answers(asked), "c3")
    assert.strictEqual(hand.pool.invalidated, 2)
  })

  it("takes the first answer to a validation, and none that comes too late", () => {
    const hand = handPool({ validateAfter: 500 })
    idle(hand, 1)
    hand.advance(500)
    const asked = hand.ask()
    const { answer } = hand.validating[0]!
    hand.answer(true)
    assert.strictEqual(answers(asked), "c1")
    answer(false)
    answer(true)
    assert.deepInclude(hand.pool.figures, { inUse: 1, open: 1, invalidated: 0 })
    hand.pool.release(asked.entry!)
    hand.advance(500)
    const late = hand.ask()
    hand.advance(1999)
    assert.deepStrictEqual(hand.closed, [])
    hand.advance(1)
    assert.deepStrictEqual(hand.closed, ["c1 dropped"])
    hand.answer(true)
    assert.isUndefined(late.entry)
    assert.deepInclude(hand.pool.figures, { open: 0, invalidated: 1, opening: 1, waiting: 1 })
  })

  it("does not lend past those who wait", () => {
    const hand = handPool({ size: 1, validateAfter: 500 })
    const entry = hand.lent()
    const first = hand.ask()
    hand.pool.release(entry)
    assert.strictEqual(answers(first), "c1")
    const second = hand.ask()
    assert.isUndefined(hand.pool.tryAcquire(hand.now))
    hand.pool.withdraw(second)
    assert.strictEqual(hand.pool.figures.waiting, 0)
    hand.pool.release(entry)
    assert.isUndefined(second.entry)
    assert.strictEqual(entry.state, "idle")
  })

  it("does not lend one that is too old", () => {
    const hand = handPool({ maxLifetime: 10_000 }, { random: () => 0.5 })
    const [entry] = idle(hand, 1)
    assert.strictEqual(entry!.expiresAt, 1000 + 9500)
    assert.strictEqual(hand.pool.tryAcquire(10_499), entry)
    hand.pool.release(entry!)
    assert.isUndefined(hand.pool.tryAcquire(10_500))
  })

  it("closes one that is given back too old, or lost, and opens another for those who wait", () => {
    for (const how of ["old", "lost"]) {
      const hand = handPool({ size: 1, maxLifetime: 10_000 })
      const entry = hand.lent()
      const asked = hand.ask()
      hand.advance(how === "old" ? 10_000 : 5000)
      if (how === "lost") hand.lost.add("c1")
      hand.pool.release(entry)
      assert.deepStrictEqual(hand.closed, ["c1"])
      assert.strictEqual(entry.state, "gone")
      assert.deepInclude(hand.pool.figures, { open: 0, inUse: 0, opening: 1 })
      hand.settle()
      hand.open()
      assert.strictEqual(answers(asked), "c2")
    }
  })

  it("closes an idle one that is lost instead of validating it", () => {
    const hand = handPool({ size: 1, validateAfter: 500 })
    idle(hand, 1)
    hand.lost.add("c1")
    hand.advance(500)
    const asked = hand.ask()
    assert.deepStrictEqual([hand.validating.length, hand.closed], [0, ["c1"]])
    assert.strictEqual(hand.pool.invalidated, 1)
    hand.open()
    assert.strictEqual(answers(asked), "c2")
  })

  it("validates with validateAfter 0 what goes from one straight to the next, where that makes sense", () => {
    const hand = handPool({ size: 1, validateAfter: 0, maxLifetime: 10_000 })
    const entry = hand.lent()
    const asked = hand.ask()
    hand.pool.release(entry)
    assert.isUndefined(asked.entry)
    assert.lengthOf(hand.validating, 1)
    hand.answer(true)
    assert.strictEqual(asked.entry, entry)
    // Nobody waits: it is asked when somebody comes.
    hand.pool.release(entry)
    assert.deepStrictEqual([hand.validating.length, entry.state], [0, "idle"])
    const next = hand.ask()
    assert.isUndefined(next.entry)
    hand.answer(true)
    hand.ask()
    hand.advance(9999)
    hand.pool.release(entry)
    assert.lengthOf(hand.validating, 1)
    hand.answer(true)
    hand.ask()
    hand.advance(1)
    hand.pool.release(entry)
    assert.deepStrictEqual([hand.validating.length, hand.closed], [0, ["c1"]])
    // Lost ones are not asked.
    const other = handPool({ size: 1, validateAfter: 0 })
    const gone = other.lent()
    other.ask()
    other.lost.add("c1")
    other.pool.release(gone)
    assert.deepStrictEqual([other.validating.length, other.closed], [0, ["c1"]])
  })

  it("looks at what is given back at once as at what was idle, and opens nothing beside it", () => {
    for (const validateAfter of [0, 10]) {
      const hand = handPool({ size: 2, validateAfter })
      const one = hand.lent()
      const other = hand.lent()
      const first = hand.ask()
      let next: Asked | undefined = undefined as Asked | undefined
      Object.assign(first, {
        onEntry: () => {
          hand.pool.evict(other, true)
          hand.pool.release(one)
          hand.skip(10)
          next = hand.ask()
        }
      })
      hand.pool.release(one)
      if (validateAfter === 0) hand.answer(true)
      assert.deepStrictEqual([next?.entry, hand.validating.length, hand.opening.length], [undefined, 1, 0])
      hand.answer(true)
      assert.strictEqual(next?.entry, one)
    }
  })

  it("drops what is given back at once and is then evicted", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    const asked = hand.ask()
    Object.assign(asked, {
      onEntry: () => {
        hand.pool.release(entry)
        hand.pool.evict(entry, true)
      }
    })
    hand.pool.release(entry)
    assert.deepStrictEqual(hand.closed, ["c1"])
    const next = hand.ask()
    hand.open()
    assert.notStrictEqual(next.entry, entry)
    assert.isDefined(next.entry)
  })

  it("takes back nothing that is gone", () => {
    const hand = handPool()
    const entry = hand.lent()
    hand.pool.evict(entry, true)
    hand.pool.release(entry)
    hand.pool.evict(entry, true)
    hand.pool.setBusy(entry, 10)
    assert.deepInclude(hand.pool.figures, { open: 0, inUse: 0, idle: 0, invalidated: 1 })
    assert.deepStrictEqual([entry.state, entry.borrower, hand.closed], ["gone", undefined, ["c1"]])
  })
})

describe("those who wait", () => {
  it("are refused at their limit, with what is known of why", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    entry.borrower = borrower(entry)
    const asked = hand.ask({ limit: 300 })
    const later = hand.ask({ limit: 400 })
    assert.strictEqual(hand.pool.timedOutAt, -Infinity)
    hand.advance(299)
    assert.isUndefined(asked.refused)
    assert.strictEqual(hand.pool.figures.longestWaitMillis, 299)
    hand.advance(1)
    assert.deepInclude(refusal(asked), { _tag: "TimeoutError", phase: "Acquire", limitMillis: 300, outcome: "NotSent" })
    assert.include(asked.refused!.message, "no connection became free in time; waited 300 ms; 1 of 1 are held")
    assert.include(asked.refused!.message, "the longest by #1 for 300 ms")
    assert.deepInclude(hand.pool, { timeouts: 1, timedOutAt: 1300 })
    assert.isUndefined(later.refused)
    hand.advance(100)
    assert.strictEqual(answers(later), "Acquire")
    assert.strictEqual(hand.pool.timeouts, 2)
  })

  it("are told why nothing could be opened, where there is no connection at all", () => {
    const hand = handPool({ size: 2 }, { retries: 10 })
    const asked = hand.ask({ limit: 300 })
    hand.fail(fakeErrors.refused)
    hand.advance(300)
    assert.strictEqual(answers(asked), "Refused")
    assert.strictEqual(hand.pool.timeouts, 1)
    hand.open()
    const entry = hand.lent()
    const more = [hand.ask({ limit: 300 }), hand.ask({ limit: 300 })]
    hand.fail(fakeErrors.refused)
    hand.advance(300)
    // There is one: it was held for too long.
    assert.deepStrictEqual(more.map(answers), ["Acquire", "Acquire"])
    assert.strictEqual(entry.state, "inUse")
  })

  it("are at most maxWaiters, but for the reserved connection and where one is idle", () => {
    const hand = handPool({ size: 1, maxWaiters: 1, validateAfter: 500 }, { reserved: 1 })
    const entry = hand.lent()
    const first = hand.ask()
    const second = hand.ask()
    assert.strictEqual(answers(second), "Overloaded")
    assert.include(second.refused!.message, "1 already wait for a connection (maxWaiters)")
    const reserved = hand.ask({ reserved: true })
    assert.isUndefined(reserved.refused)
    assert.strictEqual(hand.opening.length, 1)
    hand.pool.withdraw(first)
    hand.pool.release(entry)
    assert.strictEqual(answers(reserved), "c1")
  })

  it("may be more where an idle connection only has to be validated", () => {
    const hand = handPool({ size: 2, maxWaiters: 1, validateAfter: 500 })
    idle(hand, 2)
    hand.advance(500)
    const asked = [hand.ask(), hand.ask(), hand.ask()]
    assert.deepStrictEqual(asked.map(answers), [undefined, undefined, "Overloaded"])
    hand.answer(true)
    hand.answer(true)
    assert.deepStrictEqual(asked.map(answers), ["c2", "c1", "Overloaded"])
  })

  it("may not begin where a wait could never end", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    const asked = hand.ask({ holds: (one) => one === entry, limit: 700 })
    assert.deepInclude(refusal(asked), { _tag: "TimeoutError", phase: "Acquire", limitMillis: 700 })
    assert.include(asked.refused!.message, "every connection is held by a fiber that itself waits for one")
    assert.deepInclude(hand.pool, { timeouts: 1, timedOutAt: 1000 })
    assert.strictEqual(hand.pool.figures.waiting, 0)
    // One more may be opened, or is being opened.
    const larger = handPool({ size: 2 })
    const one = larger.lent()
    assert.isUndefined(larger.ask({ holds: (entry) => entry === one }).refused)
    assert.isUndefined(larger.ask({ holds: (entry) => entry === one }).refused)
  })

  it("may not begin where those who wait hold all that there is, and may where one of these can come back", () => {
    const hand = handPool({ size: 2 })
    const [a, b] = [hand.lent(), hand.lent()]
    const first = hand.ask({ holds: (one) => one === a })
    assert.isUndefined(first.refused)
    assert.strictEqual(answers(hand.ask({ holds: (one) => one === b })), "Acquire")
    // Nobody who waits holds the other one, or it is being cleaned.
    hand.pool.withdraw(first)
    const empty = hand.ask()
    const alone = hand.ask({ holds: (one) => one === b })
    assert.isUndefined(alone.refused)
    hand.pool.withdraw(alone)
    hand.pool.withdraw(empty)
    hand.pool.setBusy(a!, 1000)
    assert.isUndefined(hand.ask({ holds: () => true }).refused)
    // Of three, the second who waits holds one, and the third another.
    const larger = handPool({ size: 3 })
    const [c, d, e] = [larger.lent(), larger.lent(), larger.lent()]
    larger.ask()
    larger.ask({ holds: (one) => one === c })
    larger.ask({ holds: (one) => one === d })
    assert.strictEqual(answers(larger.ask({ holds: (one) => one === e })), "Acquire")
    // Whoever holds nothing may hope.
    assert.isUndefined(larger.ask().refused)
  })

  it("may begin for one that holds nothing, whatever others hold", () => {
    const hand = handPool({ size: 1 })
    hand.lent()
    let holds = false
    hand.ask({ holds: () => holds })
    holds = true
    assert.isUndefined(hand.ask().refused)
  })

  it("use the reserved place, and no one else does", () => {
    const hand = handPool({ size: 1 }, { reserved: 1 })
    const entry = hand.lent()
    const usual = hand.ask()
    const reserved = hand.ask({ reserved: true })
    const another = hand.ask({ reserved: true })
    assert.lengthOf(hand.opening, 1)
    hand.open()
    assert.deepStrictEqual([usual, reserved, another].map(answers), [undefined, "c2", undefined])
    assert.deepInclude(hand.pool.figures, { open: 2, waiting: 2, overflow: 1 })
    hand.pool.release(reserved.entry!)
    assert.deepStrictEqual([usual, another].map(answers), [undefined, "c2"])
    hand.pool.release(another.entry!)
    assert.deepStrictEqual(hand.closed, ["c2"])
    assert.deepInclude(hand.pool.figures, { open: 1, idle: 0, waiting: 1 })
    hand.pool.release(entry)
    assert.strictEqual(answers(usual), "c1")
  })

  it("are not outwaited by failing openings where they ask for that", () => {
    const hand = handPool({ size: 2 }, { retries: 10 })
    const patient = hand.ask()
    const hasty = hand.ask({ failFast: true })
    hand.fail(fakeErrors.refused)
    assert.deepStrictEqual([patient, hasty].map(answers), [undefined, "Refused"])
    assert.deepStrictEqual(hand.told, ["openFailed Refused"])
    hand.fail(fakeErrors.authentication)
    assert.strictEqual(answers(patient), "Authentication")
    assert.strictEqual(hand.pool.figures.waiting, 0)
  })

  it("are not retried for when they have left", () => {
    const hand = handPool({ size: 1 }, { retries: 10 })
    const asked = hand.ask()
    hand.pool.withdraw(asked)
    hand.fail(fakeErrors.refused)
    assert.deepStrictEqual([hand.opening.length, hand.pool.figures.opening], [0, 0])
  })

  it("are shed when waits have been too long", () => {
    const hand = handPool({ size: 1, shedding: { target: 50, interval: 1000 } })
    const entry = hand.lent()
    const asked = Array.from({ length: 4 }, () => hand.ask())
    // The first interval has had the wait of the one who opened it, which was none.
    for (const millis of [200, 1000, 1000]) {
      hand.advance(millis)
      hand.pool.release(entry)
    }
    assert.deepStrictEqual(asked.map(answers), ["c1", "c1", "Overloaded", "Overloaded"])
    assert.strictEqual(entry.state, "idle")
    const other = handPool({ size: 1 })
    const one = other.lent()
    const all = Array.from({ length: 3 }, () => other.ask())
    for (let i = 0; i < 3; i++) {
      other.advance(2000)
      other.pool.release(one)
    }
    assert.deepStrictEqual(all.map(answers), ["c1", "c1", "c1"])
  })

  it("get an idle connection of the right age, also one that was idle while others were validated", () => {
    const hand = handPool({ size: 3, validateAfter: 500, maxLifetime: 100_000 })
    const [old, middle, young] = idle(hand, 3)
    Object.assign(old!, { idleSince: 0 })
    Object.assign(middle!, { idleSince: 0 })
    hand.advance(1)
    const [a, b] = [hand.pool.tryAcquire(hand.now), hand.ask()]
    assert.strictEqual(a, young)
    assert.isUndefined(b.entry)
    assert.deepStrictEqual(hand.validating.map(({ connection }) => connection), ["c2"])
    // One that waits needs one that is validated, and no more.
    const c = hand.ask()
    assert.deepStrictEqual(hand.validating.map(({ connection }) => connection), ["c2", "c1"])
    const d = hand.ask()
    assert.deepStrictEqual([hand.validating.length, hand.opening.length], [2, 0])
    hand.answer(true)
    hand.answer(true)
    assert.deepStrictEqual([b, c, d].map(answers), ["c2", "c1", undefined])
  })

  it("are not served by what is lent, also where its borrower has a limit", () => {
    const hand = handPool({ size: 3 })
    const [entry, cleaned] = [hand.lent(), hand.lent()]
    entry!.deadline = 5000
    hand.pool.setBusy(cleaned!, 5000)
    hand.ask()
    assert.lengthOf(hand.opening, 0)
    hand.ask()
    assert.lengthOf(hand.opening, 1)
  })

  it("do not open more than those who nothing is on its way to", () => {
    const hand = handPool({ size: 3, validateAfter: 500 })
    const [first] = [hand.lent()]
    hand.pool.setBusy(first!, 5000)
    const one = hand.ask()
    assert.lengthOf(hand.opening, 0)
    const two = hand.ask()
    assert.lengthOf(hand.opening, 1)
    hand.pool.release(first!)
    assert.deepStrictEqual([one, two].map(answers), ["c1", undefined])
    hand.open()
    assert.strictEqual(answers(two), "c2")
  })
})

describe("a validation", () => {
  it("is over with its answer: a second one, at another time, changes nothing", () => {
    const hand = handPool({ size: 1, validateAfter: 500 })
    idle(hand, 1)
    hand.advance(500)
    const asked = hand.ask()
    const { answer } = hand.validating[0]!
    hand.answer(true)
    hand.pool.setBusy(asked.entry!, 1000)
    answer(true)
    assert.deepInclude(hand.pool.figures, { open: 1, idle: 0 })
    answer(false)
    assert.deepInclude(hand.pool.figures, { open: 1, idle: 0, invalidated: 0 })
  })

  it("is asked of all that are older than the last loss, however many there were", () => {
    const hand = handPool({ size: 3, validateAfter: 500 })
    const [, b, c] = idle(hand, 3)
    hand.advance(500)
    const asked = hand.ask()
    hand.answer(false)
    hand.answer(true)
    assert.strictEqual(asked.entry, b)
    assert.strictEqual(c!.state, "gone")
    // Losses of two kinds do not make up for each other.
    const other = handPool({ size: 3, keepalive: 2000 })
    const [first, second, third] = [other.lent(), other.lent(), other.lent()]
    other.pool.release(first!)
    other.advance(500)
    other.pool.release(second!)
    other.advance(1500)
    assert.deepStrictEqual(other.validating.map(({ connection }) => connection), ["c1"])
    other.answer(false)
    other.pool.evict(third!, false)
    assert.strictEqual(second!.state, "idle")
    assert.isUndefined(other.pool.tryAcquire(other.now))
  })

  it("does not ask one that became too old unseen, or one that is lost", () => {
    for (const millis of [10_000, 10_001]) {
      const hand = handPool({ size: 1, maxLifetime: 10_000 })
      idle(hand, 1)
      hand.skip(millis)
      const asked = hand.ask()
      assert.deepStrictEqual([hand.closed, hand.validating.length, hand.pool.invalidated], [["c1"], 0, 1])
      hand.open()
      assert.strictEqual(answers(asked), "c2")
    }
  })
})

describe("one that is kept back to be cleaned", () => {
  it("is not in use, and goes back clean", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    entry.borrower = borrower(entry)
    entry.queueDeadline = 5
    hand.pool.setBusy(entry, 400)
    assert.deepInclude(entry, { state: "busy", borrower: undefined, deadline: 1400, queueDeadline: Infinity })
    assert.deepInclude(hand.pool.figures, { inUse: 0, idle: 0, open: 1 })
    // Once is enough.
    hand.advance(100)
    hand.pool.setBusy(entry, 400)
    assert.strictEqual(entry.deadline, 1400)
    hand.pool.release(entry)
    assert.deepInclude(hand.pool.figures, { inUse: 0, idle: 1, open: 1 })
    assert.deepInclude(entry, { state: "idle", idleSince: 1100, pingedAt: 1100, deadline: Infinity })
  })

  it("is dropped when that takes too long, and so is what is idle", () => {
    const hand = handPool({ size: 3 })
    const entry = hand.lent()
    idle(hand, 2)
    hand.pool.setBusy(entry, 400)
    hand.advance(399)
    assert.deepStrictEqual(hand.closed, [])
    hand.advance(1)
    assert.deepStrictEqual(hand.closed, ["c2 dropped", "c3 dropped", "c1 dropped"])
    assert.deepInclude(hand.pool.figures, { open: 0, idle: 0, inUse: 0, invalidated: 3 })
  })
})

describe("evicting", () => {
  it("takes an idle one out, and no other", () => {
    const hand = handPool({ size: 3 })
    const [a, b, c] = idle(hand, 3)
    hand.pool.evict(b!, true)
    assert.deepInclude(hand.pool.figures, { idle: 2, open: 2, invalidated: 1, inUse: 0 })
    assert.strictEqual(hand.pool.tryAcquire(hand.now), c)
    assert.strictEqual(hand.pool.tryAcquire(hand.now), a)
    assert.isUndefined(hand.pool.tryAcquire(hand.now))
    assert.deepStrictEqual(hand.closed, ["c2"])
  })

  it("validates those that are left where one did not say goodbye", () => {
    const hand = handPool({ size: 2 })
    const [a, b] = idle(hand, 2)
    hand.pool.evict(a!, false)
    assert.deepStrictEqual(hand.closed, ["c1 dropped"])
    assert.isUndefined(hand.pool.tryAcquire(hand.now))
    hand.ask()
    hand.answer(true)
    assert.strictEqual(b!.state, "inUse")
    // From here on it belongs to those that live.
    hand.pool.release(b!)
    assert.strictEqual(hand.pool.tryAcquire(hand.now), b)
  })

  it("opens another for whoever waits", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    const asked = hand.ask()
    hand.pool.evict(entry, true)
    hand.settle()
    assert.deepInclude(hand.pool.figures, { inUse: 0, opening: 1 })
    hand.open()
    assert.strictEqual(answers(asked), "c2")
  })

  it("drops one that is closing already, when it is to go at once", () => {
    const hand = handPool()
    const entry = hand.lent()
    hand.pool.evict(entry, true)
    hand.advance(1999)
    assert.deepStrictEqual(hand.closed, ["c1"])
    hand.advance(1)
    assert.deepStrictEqual(hand.closed, ["c1", "c1 dropped"])
    hand.done()
    hand.advance(10_000)
    assert.deepStrictEqual(hand.closed, ["c1", "c1 dropped"])
  })

  it("drops each that does not say goodbye at its own time", () => {
    const hand = handPool()
    const [a, b] = [hand.lent(), hand.lent()]
    hand.pool.evict(a!, true)
    hand.advance(500)
    hand.pool.evict(b!, true)
    hand.advance(1500)
    assert.deepStrictEqual(hand.closed, ["c1", "c2", "c1 dropped"])
    hand.advance(499)
    assert.lengthOf(hand.closed, 3)
    hand.advance(1)
    assert.deepStrictEqual(hand.closed, ["c1", "c2", "c1 dropped", "c2 dropped"])
  })

  it("of a lost one: at once where it is idle, by its borrower where it is lent", () => {
    const hand = handPool({ size: 3 })
    const lent = hand.lent()
    const [one] = idle(hand, 2)
    hand.lost.add(one!.connection)
    hand.pool.lost(one!)
    assert.deepStrictEqual(hand.closed, ["c2 dropped"])
    assert.isUndefined(hand.pool.tryAcquire(hand.now))
    hand.ask()
    hand.answer(true)
    hand.pool.lost(lent)
    assert.strictEqual(lent.state, "inUse")
    assert.deepStrictEqual(hand.closed, ["c2 dropped"])
    assert.strictEqual(hand.pool.invalidated, 1)
  })
})

describe("an idle connection", () => {
  it("is closed when its time is over", () => {
    const hand = handPool({ size: 2, idleTimeout: 5000, minIdle: 1 })
    idle(hand, 2)
    hand.advance(4999)
    assert.deepStrictEqual(hand.closed, [])
    hand.advance(1)
    assert.deepStrictEqual(hand.closed, ["c1"])
    assert.deepInclude(hand.pool.figures, { open: 1, idle: 1 })
    assert.strictEqual(hand.pool.tryAcquire(hand.now)!.connection, "c2")
  })

  it("is pinged, and stays as idle as it was", () => {
    const hand = handPool({ size: 1, idleTimeout: 5000, keepalive: 2000 })
    const [entry] = idle(hand, 1)
    hand.advance(1999)
    assert.lengthOf(hand.validating, 0)
    hand.advance(1)
    assert.lengthOf(hand.validating, 1)
    assert.deepInclude(hand.pool.figures, { open: 1, idle: 0 })
    hand.advance(100)
    hand.answer(true)
    assert.deepInclude(entry, { state: "idle", idleSince: 1000, pingedAt: 3100 })
    hand.advance(2000)
    assert.lengthOf(hand.validating, 1)
    hand.answer(true)
    // It is looked at again after one keepalive more.
    hand.advance(2000)
    assert.deepStrictEqual(hand.closed, ["c1"])
  })

  it("serves whoever comes while it is pinged", () => {
    const hand = handPool({ size: 1, keepalive: 2000 })
    const [entry] = idle(hand, 1)
    hand.advance(2000)
    const asked = hand.ask()
    assert.deepStrictEqual([hand.opening.length, asked.entry], [0, undefined])
    hand.answer(true)
    assert.strictEqual(asked.entry, entry)
  })
})

describe("a connection that is held too long", () => {
  it("is told once, with its holder, and again when it comes back", () => {
    const hand = handPool({ size: 1, leakThreshold: 1000 })
    const entry = hand.lent()
    entry.borrower = borrower(entry)
    hand.advance(999)
    assert.deepStrictEqual(hand.told, ["opened 1 in 0"])
    hand.advance(1)
    assert.deepStrictEqual(hand.told.slice(1), ["leak 1 by #1 for 1000"])
    hand.advance(5000)
    hand.pool.release(entry)
    assert.deepStrictEqual(hand.told.slice(1), ["leak 1 by #1 for 1000", "leakReturned 1 after 6000"])
    // Also when it is evicted.
    const other = handPool({ size: 1, leakThreshold: 1000 })
    const one = other.lent()
    one.borrower = borrower(one)
    other.advance(2000)
    other.pool.evict(one, true)
    assert.deepStrictEqual(other.told.slice(2), ["leakReturned 1 after 2000"])
    // The next one who has it is told of by himself.
    assert.strictEqual(hand.pool.tryAcquire(hand.now), entry)
    entry.borrower = borrower(entry)
    hand.advance(999)
    assert.lengthOf(hand.told, 3)
    hand.advance(1)
    assert.deepStrictEqual(hand.told.slice(3), ["leak 1 by #1 for 1000"])
  })

  it("is told at its time, also when the pool was woken before that", () => {
    const hand = handPool({ size: 1, leakThreshold: 1000 })
    const entry = hand.lent()
    entry.borrower = borrower(entry)
    hand.ask({ limit: 300 })
    hand.advance(300)
    assert.strictEqual(hand.pool.timeouts, 1)
    hand.advance(699)
    assert.lengthOf(hand.told, 1)
    hand.advance(1)
    assert.deepStrictEqual(hand.told.slice(1), ["leak 1 by #1 for 1000"])
  })

  it("is told by nobody with a threshold of 0, or where it came back in time", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    entry.borrower = borrower(entry)
    hand.advance(1_000_000)
    hand.pool.release(entry)
    assert.deepStrictEqual(hand.told, ["opened 1 in 0"])
    const other = handPool({ size: 1, leakThreshold: 1000 })
    const one = other.lent()
    one.borrower = borrower(one)
    other.advance(900)
    other.pool.release(one)
    other.advance(5000)
    assert.deepStrictEqual(other.told, ["opened 1 in 0"])
  })

  it("is told when it is no longer meant to be held", () => {
    const hand = handPool({ size: 1, leakThreshold: 1000 })
    const entry = hand.lent()
    entry.borrower = borrower(entry)
    hand.kept.add(entry)
    hand.advance(1500)
    hand.kept.delete(entry)
    hand.advance(499)
    assert.lengthOf(hand.told, 1)
    hand.advance(1)
    assert.deepStrictEqual(hand.told.slice(1), ["leak 1 by #1 for 2000"])
  })
})

describe("limits of the borrower", () => {
  it("are told when they have run out, and not before", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    const ran: Array<string> = []
    entry.borrower = borrower(entry, {
      onDeadline: (now) => ran.push(`deadline ${now}`),
      onQueueDeadline: (now) => ran.push(`queue ${now}`)
    })
    entry.deadline = 1300
    entry.queueDeadline = 1200
    hand.timer.at(1200)
    hand.advance(199)
    assert.deepStrictEqual(ran, [])
    hand.advance(1)
    assert.deepStrictEqual(ran, ["queue 1200"])
    assert.strictEqual(entry.queueDeadline, Infinity)
    hand.advance(100)
    assert.deepStrictEqual(ran, ["queue 1200", "deadline 1300"])
    assert.strictEqual(entry.deadline, Infinity)
    hand.advance(10_000)
    assert.lengthOf(ran, 2)
    // One may be set while the other is told.
    entry.deadline = 12_000
    hand.timer.at(11_900)
    hand.advance(1000)
    assert.deepStrictEqual(ran.slice(2), ["deadline 12000"])
  })
})

describe("a limit", () => {
  it("may be set where there is no one to tell", () => {
    const entry = new PoolEntry(1, "c", 0, Infinity, 0)
    const soon: Array<number> = []
    for (const one of [undefined, borrower(entry)]) {
      entry.borrower = one
      entry.deadline = 100
      entry.queueDeadline = 100
      entry.expire(100, (time) => soon.push(time))
      entry.expire(100, (time) => soon.push(time))
    }
    assert.deepStrictEqual(soon, Array.from({ length: 8 }, () => Infinity))
  })

  it("of a connection whose borrower has not come yet is looked at again", () => {
    const hand = handPool({ size: 1, leakThreshold: 700 })
    hand.lent()
    assert.strictEqual(hand.pool.expire(5000), 1700)
    assert.deepStrictEqual(hand.told, ["opened 1 in 0"])
  })
})

describe("closing", () => {
  it("refuses those who wait and whoever comes, and closes what is idle", () => {
    const hand = handPool({ size: 2 })
    const entries = [hand.lent(), hand.lent()]
    const waiting = hand.ask()
    const fiber = hand.run(hand.pool.close(3000))
    assert.deepStrictEqual([waiting, hand.ask()].map(answers), ["Closed", "Closed"])
    assert.deepStrictEqual(hand.closed, [])
    for (const entry of entries) hand.pool.release(entry)
    assert.deepStrictEqual(hand.closed, ["c1", "c2"])
    hand.done()
    assert.isNull(fiber.unsafePoll())
    hand.done()
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: true })

    const other = handPool({ size: 2 })
    const lent = other.lent()
    idle(other, 1)
    other.run(other.pool.close(3000))
    assert.deepStrictEqual(other.closed, ["c2"])
    assert.isUndefined(other.pool.tryAcquire(other.now))
    other.pool.lost(lent)
    assert.strictEqual(lent.state, "inUse")
  })

  it("stops what is being opened, and waits for its end", () => {
    const hand = handPool({ size: 1 })
    const asked = hand.ask()
    const fiber = hand.run(hand.pool.close(3000))
    assert.strictEqual(answers(asked), "Closed")
    assert.include(hand.told, "stopped")
    assert.strictEqual(hand.pool.figures.opening, 0)
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: true })
  })

  it("waits for an opening that cannot be stopped", () => {
    const hand = handPool({ size: 1 }, { stoppable: false })
    hand.ask()
    const fiber = hand.run(hand.pool.close(3000))
    hand.advance(1000)
    assert.isNull(fiber.unsafePoll())
    hand.fail(fakeErrors.refused)
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: true })
  })

  it("stops those who are in at the limit, and drops them when that takes too long", () => {
    const hand = handPool({ size: 2 })
    const [held, free] = [hand.lent(), hand.lent()]
    const cuts: Array<string> = []
    held.borrower = borrower(held, { onCut: (error, how) => cuts.push(`${error.phase} ${error.limitMillis} ${how}`) })
    const fiber = hand.run(hand.pool.close(3000))
    hand.advance(2999)
    assert.deepStrictEqual([cuts, hand.closed], [[], []])
    hand.advance(1)
    // Nobody answers for the other one.
    assert.deepStrictEqual([cuts, hand.closed], [["Close 3000 stop"], ["c2 dropped"]])
    assert.strictEqual(free.state, "gone")
    hand.advance(1999)
    assert.isNull(fiber.unsafePoll())
    assert.strictEqual(held.state, "inUse")
    hand.advance(1)
    assert.deepStrictEqual(cuts, ["Close 3000 stop", "Close 3000 drop"])
    assert.include(hand.closed, "c1 dropped")
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: false })
    assert.deepInclude(hand.pool.figures, { inUse: 0, open: 0 })
  })

  it("drops what does not say goodbye, and waits for its end", () => {
    const hand = handPool({ size: 2 })
    idle(hand, 2)
    const fiber = hand.run(hand.pool.close(1000))
    assert.deepStrictEqual(hand.closed, ["c1", "c2"])
    hand.advance(2000)
    assert.deepStrictEqual(hand.closed, ["c1", "c2", "c1 dropped", "c2 dropped"])
    // The answer to the one counts as well as the answer to the other.
    hand.closing[2]!.done()
    hand.settle()
    assert.isNull(fiber.unsafePoll())
    hand.advance(1000)
    assert.deepStrictEqual(hand.closed.slice(4), ["c2 dropped"])
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: false })
  })

  it("drops a connection that its borrower says goodbye to when it is to go at once, unless it is gone", () => {
    for (const isGone of [false, true]) {
      const hand = handPool({ size: 1 })
      const entry = hand.lent()
      entry.borrower = borrower(entry, {
        onCut: (_, how) => {
          if (how === "drop") {
            hand.pool.evict(entry, true)
            if (isGone) hand.closing.shift()!.done()
          }
        }
      })
      const fiber = hand.run(hand.pool.close(1000))
      hand.advance(3000)
      assert.strictEqual(hand.closed.filter((what) => what === "c1").length, 1)
      assert.strictEqual(hand.closed.includes("c1 dropped"), !isGone)
      assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: false })
    }
  })

  it("is done once, and cuts nobody who is not there", () => {
    const done: Array<string> = []
    const shutdown = new Shutdown({
      refuse: () => done.push("refuse"),
      isDrained: () => true,
      cut: (_, how) => done.push(how)
    })
    assert.isTrue(shutdown.isOpen)
    shutdown.check()
    assert.isTrue(Effect.runSync(shutdown.run(1000)))
    assert.isFalse(shutdown.isOpen)
    shutdown.check()
    assert.deepStrictEqual(done, ["refuse", "drop"])
    assert.isTrue(Effect.runSync(shutdown.run(1000)))
    assert.deepStrictEqual(done, ["refuse", "drop"])
  })

  it("drops at once what its borrower closes when it is told to stop", () => {
    const hand = handPool({ size: 1 })
    const entry = hand.lent()
    entry.borrower = borrower(entry, { onCut: (_, how) => how === "stop" && hand.pool.evict(entry, true) })
    hand.run(hand.pool.close(1000))
    hand.advance(1000)
    assert.deepStrictEqual(hand.closed, ["c1", "c1 dropped"])
  })

  it("closes what is given back, and what comes open, afterwards", () => {
    const hand = handPool({ size: 2 })
    const entry = hand.lent()
    const fiber = hand.run(hand.pool.close(3000))
    hand.pool.release(entry)
    assert.deepStrictEqual(hand.closed, ["c1"])
    hand.done()
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: true })
    const again = hand.run(hand.pool.close(3000))
    assert.deepInclude(again.unsafePoll(), { _tag: "Success", value: true })
  })
})

describe("the first connection", () => {
  it("is opened for the layer, and its failure is the layer's", () => {
    const hand = handPool()
    const fiber = hand.run(hand.pool.openOne)
    assert.strictEqual(hand.pool.figures.opening, 1)
    hand.advance(30)
    hand.open()
    assert.deepInclude(hand.pool.figures, { opening: 0, open: 1, idle: 1 })
    assert.deepInclude(fiber.unsafePoll(), { _tag: "Success", value: undefined })
    assert.deepStrictEqual(hand.told, ["opened 1 in 30"])
    const failed = hand.run(hand.pool.openOne)
    hand.fail(fakeErrors.refused)
    assert.strictEqual(failed.unsafePoll()!._tag, "Failure")
    assert.deepInclude(hand.pool.figures, { opening: 0, open: 1 })
  })
})

describe("the pool is woken", () => {
  it("by nothing where there are no limits", () => {
    const hand = handPool({ size: 1 })
    const asked = hand.ask({ limit: Infinity })
    hand.open()
    assert.isUndefined(hand.wakesAt)
    hand.pool.release(asked.entry!)
    assert.isUndefined(hand.wakesAt)
  })

  it("when a connection has been lent for too long, or idle for too long", () => {
    const hand = handPool({ size: 1, leakThreshold: 700, idleTimeout: 5000 })
    const asked = hand.ask({ limit: Infinity })
    hand.open()
    assert.strictEqual(hand.wakesAt, 1700)
    asked.entry!.borrower = borrower(asked.entry!)
    hand.advance(700)
    hand.pool.release(asked.entry!)
    hand.settle()
    assert.strictEqual(hand.wakesAt, 6700)
  })
})

describe("those who hold a connection", () => {
  it("are those who say so", () => {
    const hand = handPool({ size: 2 })
    const [a] = [hand.lent(), hand.lent()]
    a!.borrower = borrower(a!)
    hand.advance(250)
    assert.deepStrictEqual(hand.pool.holders.map(({ fiber, heldForMillis }) => [fiber, heldForMillis]), [["#1", 250]])
  })
})
