/** The one writer of a database that has only one: who has the lock, who waits for it, and until when. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { DbError } from "../../src/DbError.js"
import { DeadlineTimer } from "../../src/internal/pool/DeadlineTimer.js"
import { limitLock, WriteLock, type Writer } from "../../src/internal/session/WriteLock.js"
import { clockAt } from "../kit/clock.js"
import { fakeErrors } from "../kit/fakeErrors.js"

const clock = clockAt(() => 1000)

interface Asked extends Writer {
  has: boolean
  refused: DbError | undefined
}

const writer = (name: string, more: Partial<Pick<Writer, "isInside" | "lockDeadline" | "lockLimit">> = {}): Asked => {
  const one: Asked = {
    links: undefined,
    lockDeadline: Infinity,
    lockLimit: 0,
    isInside: () => false,
    ...more,
    name,
    has: false,
    refused: undefined,
    onLock: () => {
      one.has = true
    },
    onLockRefused: (error) => {
      one.refused = error
    }
  }
  return one
}

const make = () => {
  const asked: Array<number> = []
  const timer = new DeadlineTimer(clock, (effect) => Effect.runFork(effect), () => Infinity)
  timer.at = (time) => void asked.push(time)
  const lock = new WriteLock("orders", timer)
  return { lock, asked }
}

const having = (writers: ReadonlyArray<Asked>) => writers.filter(({ has }) => has).map(({ name }) => name)

const refusals = (writers: ReadonlyArray<Asked>) => writers.map(({ refused }) => refused?.reason)

describe("the write lock", () => {
  it("is had by one, and goes to the next, first come, first served", () => {
    const { asked, lock } = make()
    const writers = ["a", "b", "c"].map((name, i) => writer(name, { lockDeadline: 2000 + i }))
    const [a, b, c] = writers
    for (const one of writers) lock.acquire(one)
    assert.deepStrictEqual(having(writers), ["a"])
    // Whoever has it waits no more.
    assert.deepStrictEqual(asked, [2001, 2002])
    lock.release(b!)
    lock.release(c!)
    assert.deepStrictEqual(having(writers), ["a"])
    lock.release(a!)
    assert.deepStrictEqual(having(writers), ["a", "b"])
    lock.release(a!)
    assert.deepStrictEqual(having(writers), ["a", "b"])
    lock.release(b!)
    lock.release(c!)
    const d = writer("d")
    lock.acquire(d)
    assert.isTrue(d.has)
  })

  it("does not go to one that has left", () => {
    const { lock } = make()
    const writers = ["a", "b", "c"].map((name) => writer(name))
    const [a, b, c] = writers
    for (const one of writers) lock.acquire(one)
    lock.withdraw(b!)
    lock.release(a!)
    assert.deepStrictEqual(having(writers), ["a", "c"])
    lock.withdraw(a!)
    assert.isTrue(c!.has)
  })

  it("is refused at once where the one that has it waits for the end of this very write", () => {
    const { asked, lock } = make()
    const outer = writer("outer")
    lock.acquire(outer)
    const inner = writer("inner", { isInside: (owner) => owner === outer, lockLimit: 300 })
    lock.acquire(inner)
    assert.deepInclude(inner.refused, {
      _tag: "TimeoutError",
      phase: "Lock",
      outcome: "NotSent",
      limitMillis: 300,
      database: "orders",
      advice: "write in the transaction that is open"
    })
    assert.deepStrictEqual(asked, [])
    lock.release(outer)
    assert.isFalse(inner.has)
  })

  it("goes over to another writer that takes the place of the one that has it", () => {
    const { lock } = make()
    const [a, b, c] = [writer("a"), writer("b"), writer("c")]
    lock.acquire(a)
    lock.acquire(c)
    // It was never this one's.
    lock.transfer(b, c)
    lock.release(c)
    assert.isFalse(c.has)
    lock.transfer(a, b)
    lock.release(a)
    assert.isFalse(c.has)
    lock.release(b)
    assert.isTrue(c.has)
  })

  it("is refused to those whose time is up", () => {
    const { lock } = make()
    const owner = writer("the owner")
    const first = writer("first", { lockDeadline: 2000, lockLimit: 1000 })
    const second = writer("second", { lockDeadline: 1500, lockLimit: 500 })
    const third = writer("third", { lockDeadline: 2500, lockLimit: 1500 })
    for (const one of [owner, first, second, third]) lock.acquire(one)
    assert.strictEqual(lock.expire(1499), 1500)
    assert.deepStrictEqual(refusals([first, second, third]), [undefined, undefined, undefined])
    assert.strictEqual(lock.expire(1500), 2000)
    assert.deepStrictEqual(refusals([first, second, third]), [undefined, "Lock", undefined])
    assert.deepInclude(second.refused, { _tag: "TimeoutError", phase: "Lock", limitMillis: 500, outcome: "NotSent" })
    assert.include(second.refused?.message, "another transaction wrote for longer than 500 ms (the owner)")
    assert.strictEqual(lock.expire(9000), Infinity)
    assert.isDefined(first.refused)
    assert.isDefined(third.refused)
    assert.isUndefined(owner.refused)
    lock.release(owner)
    assert.deepStrictEqual(having([first, second, third]), [])
  })

  it("is refused, once it is closed, to all but the one that has it", () => {
    const { lock } = make()
    const [owner, waits, late] = [writer("owner"), writer("waits"), writer("late", { isInside: () => true })]
    lock.acquire(owner)
    lock.acquire(waits)
    lock.close(fakeErrors.lost)
    lock.acquire(late)
    assert.deepStrictEqual([waits.refused, late.refused], [fakeErrors.lost, fakeErrors.lost])
    assert.isUndefined(owner.refused)
    lock.release(owner)
    assert.deepStrictEqual(having([waits, late]), [])
  })

  it("is waited for until its limit, or the deadline around it where that comes first", () => {
    const limited = (limit: number, around?: { readonly at: number; readonly limit: number }) => {
      const one = writer("one")
      limitLock(one, { clock }, limit, around)
      return [one.lockDeadline, one.lockLimit]
    }
    assert.deepStrictEqual(limited(500), [1500, 500])
    assert.deepStrictEqual(limited(0), [Infinity, 0])
    assert.deepStrictEqual(limited(500, { at: 1400, limit: 700 }), [1400, 700])
    assert.deepStrictEqual(limited(500, { at: 1600, limit: 700 }), [1500, 500])
    assert.deepStrictEqual(limited(0, { at: 1600, limit: 700 }), [1600, 700])
  })
})
