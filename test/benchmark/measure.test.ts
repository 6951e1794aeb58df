import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { evenly, measure } from "../../benchmark/Measure.js"
import { type Operations, promisePeer } from "../../benchmark/Peer.js"
import { expectedItem, statements, type Workload, workloads } from "../../benchmark/Workload.js"

const find = (id: string): Workload => workloads.find((workload) => workload.id === id)!

/** A peer of promises: `select` takes one turn of the event loop, what is slow a few milliseconds. */
const peerOf = (
  asked: Array<readonly [string, ReadonlyArray<unknown>]>,
  select?: Operations<Promise<number>>["select"]
) =>
  promisePeer({
    operations: {
      select: select ?? ((id) => new Promise((resolve) => setImmediate(resolve, expectedItem(id)))),
      statement: (text, params) => {
        asked.push([text, params])
        return new Promise((resolve) => setTimeout(resolve, 2, 0))
      }
    },
    close: () => Promise.resolve()
  })

describe("a percentile of evenly paced selects", () => {
  it("counts the selects that a stalled loop did not make", () => {
    // One of 1,000 waited for 500 medians: at an even pace 500 of 1,499 would have waited, up to as long.
    const waits = new Float64Array(1000).fill(1)
    waits[999] = 500
    assert.isAbove(evenly(waits, 0.99), 480)
    assert.isAtMost(evenly(waits, 0.99), 500)
  })

  it("is the plain one where nothing is stalled", () => {
    assert.closeTo(evenly(new Float64Array(1000).fill(3), 0.99), 3, 1e-6)
  })

  it("is that of the waits with those counted that were not made", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 300 }), (waits) => {
        const sorted = Float64Array.from(waits).sort()
        const median = sorted[Math.floor(sorted.length / 2)]!
        const all = [...sorted].flatMap((wait) =>
          Array.from({ length: Math.max(1, Math.floor(wait / median)) }, (_, i) => wait - i * median)
        )
        const shareAbove = (limit: number) => all.filter((wait) => wait > limit).length / all.length
        const found = evenly(sorted, 0.99)
        assert.isAtLeast(found, median)
        assert.isAtMost(found, sorted[sorted.length - 1]!)
        assert.isAtMost(shareAbove(found + 1e-6), 0.01 + 1e-9)
        if (found > median + 1e-3) assert.isAbove(shareAbove(found - 1e-3), 0.01 - 1e-9)
      })
    )
  })
})

describe("the workloads of the tail", () => {
  it("W8.busy: two fibers send the statement of a second while selects are timed", async () => {
    const asked: Array<readonly [string, ReadonlyArray<unknown>]> = []
    const measured = await measure(peerOf(asked), find("W8.busy"), { count: 40, fibers: 4 })
    assert.strictEqual(measured?.checksum, 0)
    assert.isAbove(measured!.perSecond!, 0)
    assert.isAtLeast(measured!.longest!, measured!.p99!)
    assert.isAtLeast(asked.length, 2)
    assert.deepStrictEqual([...new Set(asked.map(([text]) => text))], [statements.second])
  })

  it("W8.turn: a text of its own in each run turns once, in the middle", async () => {
    const asked: Array<readonly [string, ReadonlyArray<unknown>]> = []
    const peer = peerOf(asked)
    const texts: Array<string> = []
    for (let run = 0; run < 2; run++) {
      asked.length = 0
      await measure(peer, find("W8.turn"), { count: 40, fibers: 4 })
      const turned = asked.flatMap(([text, params]) => text === statements.pace ? params : [])
      assert.deepStrictEqual(turned, [0.001, 0.5])
      texts.push(...new Set(asked.map(([text]) => text).filter((text) => text !== statements.pace)))
    }
    assert.lengthOf(texts, 2)
    assert.notStrictEqual(texts[0], texts[1])
  })

  it("a wrong answer shows in the checksum", async () => {
    const wrong = peerOf([], () => new Promise((resolve) => setImmediate(resolve, -1)))
    const measured = await measure(wrong, find("W8.busy"), { count: 10, fibers: 1 })
    assert.notStrictEqual(measured?.checksum, find("W8.busy").checksum(10))
  })

  it("what fails beside the selects fails the run", async () => {
    const peer = peerOf([])
    const failing = { ...peer, operations: { ...peer.operations, statement: () => Promise.reject(new Error("lost")) } }
    const message = await measure(failing, find("W8.busy"), { count: 10, fibers: 1 })
      .then(() => "measured", (error: Error) => error.message)
    assert.strictEqual(message, "lost")
  })

  it("a peer that sends no text outside of sessions takes no part", async () => {
    const peer = peerOf([])
    const { select } = peer.operations
    assert.isUndefined(
      await measure({ ...peer, operations: { select: select! } }, find("W8.turn"), { count: 0, fibers: 1 })
    )
  })
})

describe("what every row tells", () => {
  it("client CPU of 100,000, and the p99 of what is timed one by one", async () => {
    for (const id of ["W1", "W1.16", "W1.1000", "W7"]) {
      const measured = await measure(peerOf([]), find(id), { count: 50, fibers: 4 })
      assert.isAbove(measured!.cpu!, 0, id)
      assert.isAbove(measured!.p99!, 0, id)
    }
  })
})

describe("peers of two versions of effect", () => {
  it("what the process of every peer loads has no effect of its own", () => {
    for (const name of ["Worker", "Growth", "Measure", "Peer", "Peers", "Workload"]) {
      const text = readFileSync(new URL(`../../benchmark/${name}.ts`, import.meta.url), "utf8")
      assert.notMatch(text, /from "(@?effect|\.\/EffectPeer)/, name)
    }
  })
})
