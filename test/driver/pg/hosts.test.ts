/** Several hosts are asked in their order, and none is waited for alone for long. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { firstOf } from "../../../src/internal/driver/pg/hosts.js"

const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)

interface Host {
  readonly name: string
  /** After how many milliseconds it answers. */
  readonly after: number
  readonly answers: "yes" | "no" | "final"
}

const patience = 500

/** Asks, and notes when each attempt began and which ones are still under way at the end. */
const asked = (hosts: ReadonlyArray<Host>, again?: number) =>
  Effect.gen(function*() {
    const begun: Array<readonly [string, number]> = []
    let running = 0
    const asking = yield* Effect.fork(Effect.either(firstOf(hosts, {
      patience,
      again,
      isFinal: (failure: string) => failure.startsWith("final"),
      attempt: (host) =>
        Effect.gen(function*() {
          begun.push([host.name, yield* Clock.currentTimeMillis])
          running++
          yield* Effect.ensuring(
            host.after === Infinity ? Effect.never : Effect.sleep(host.after),
            Effect.sync(() => running--)
          )
          return host.answers === "yes" ? host.name : yield* Effect.fail(`${host.answers} ${host.name}`)
        })
    })))
    yield* TestClock.adjust("1 minute")
    const result = yield* Fiber.join(asking)
    return { result, begun, running }
  })

describe("hosts", () => {
  it.effect("the next one is asked as soon as one has failed", () =>
    Effect.gen(function*() {
      const { begun, result } = yield* asked([
        { name: "a", after: 10, answers: "no" },
        { name: "b", after: 10, answers: "yes" },
        { name: "c", after: 10, answers: "yes" }
      ])
      assert.deepStrictEqual(result, Either.right("b"))
      assert.deepStrictEqual(begun, [["a", 0], ["b", 10]])
    }))

  it.effect("the next one is asked beside one that is silent, which is given up when another answers", () =>
    Effect.gen(function*() {
      const { begun, result, running } = yield* asked([
        { name: "a", after: Infinity, answers: "yes" },
        { name: "b", after: 10, answers: "yes" }
      ])
      assert.deepStrictEqual(result, Either.right("b"))
      assert.deepStrictEqual(begun, [["a", 0], ["b", patience]])
      assert.strictEqual(running, 0)
    }))

  it.effect("those that have failed are asked again while one has not answered", () =>
    Effect.gen(function*() {
      const { begun, result } = yield* asked([
        { name: "a", after: 10, answers: "no" },
        { name: "b", after: 1000, answers: "no" }
      ], 250)
      assert.deepStrictEqual(result, Either.left(["no a", "no b"]))
      assert.deepStrictEqual(begun.map(([name]) => name), ["a", "b", "a", "a", "a"])
    }))

  it.effect("a final failure ends it", () =>
    Effect.gen(function*() {
      const { begun, result } = yield* asked([
        { name: "a", after: 10, answers: "final" },
        { name: "b", after: 10, answers: "yes" }
      ])
      assert.deepStrictEqual(result, Either.left(["final a"]))
      assert.deepStrictEqual(begun, [["a", 0]])
    }))

  it.effect("of any hosts the first success is given, and nothing is left under way", () =>
    Effect.gen(function*() {
      console.log(`hosts: DBLIVE_SEED=${seed}`)
      const cases = fc.sample(
        fc.uniqueArray(fc.record({ after: fc.integer({ min: 1, max: 2_000 }), isWanted: fc.boolean() }), {
          minLength: 1,
          maxLength: 5,
          selector: ({ after }) => after
        }),
        { numRuns: 60, seed }
      )
      for (const some of cases) {
        const hosts = some.map(({ after, isWanted }, i): Host => ({
          name: `h${i}`,
          after,
          answers: isWanted ? "yes" : "no"
        }))
        let start = 0
        const ends = hosts.map(({ after, answers, name }) => {
          const end = start + after
          start += Math.min(after, patience)
          return { name, end, isWanted: answers === "yes" }
        })
        const earliest = Math.min(...ends.flatMap(({ end, isWanted }) => isWanted ? [end] : []))
        const first = ends.filter(({ end, isWanted }) => isWanted && end === earliest).map(({ name }) => name)
        const { result, running } = yield* asked(hosts)
        const shown = JSON.stringify(hosts)
        assert.strictEqual(running, 0, shown)
        if (Either.isRight(result)) assert.include(first, result.right, shown)
        else assert.deepStrictEqual(result.left, hosts.map(({ name }) => `no ${name}`), shown)
        assert.strictEqual(Either.isRight(result), first.length > 0, shown)
      }
    }))
})
