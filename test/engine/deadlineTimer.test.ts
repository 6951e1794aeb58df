/** One timer for many limits: when it wakes, and that it sleeps once for what is due at once. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { DeadlineTimer } from "../../src/internal/pool/DeadlineTimer.js"
import { clockAt } from "../kit/clock.js"
import { Steps } from "../kit/steps.js"

/** A timer whose sleeps are told, each with its length, and end when the test says so. */
const make = (expire: (now: number) => number = () => Infinity) => {
  const steps = new Steps()
  let now = 1000
  const sleeping: Array<{ readonly millis: number; readonly wake: () => void }> = []
  const lengths: Array<number> = []
  const woken: Array<number> = []
  const clock = clockAt(() => now, (duration) =>
    Effect.async<void>((resume) => {
      const sleeper = { millis: Duration.toMillis(duration), wake: () => resume(Effect.void) }
      lengths.push(sleeper.millis)
      sleeping.push(sleeper)
      return Effect.sync(() => void sleeping.splice(sleeping.indexOf(sleeper), 1))
    }))
  const settle = () => {
    steps.run()
  }
  const timer = new DeadlineTimer(clock, steps.fork, (at) => {
    woken.push(at)
    return expire(at)
  })
  return {
    timer,
    lengths,
    woken,
    settle,
    sleeping,
    at: (time: number) => {
      timer.at(time)
      settle()
    },
    wake: () => {
      const [sleeper] = sleeping.splice(0, 1)
      now += sleeper!.millis
      sleeper!.wake()
      settle()
    }
  }
}

describe("the timer of all limits", () => {
  it("sleeps until the first of them, and not for those that are later", () => {
    const hand = make()
    hand.at(1500)
    hand.at(1500)
    hand.at(1700)
    assert.deepStrictEqual(hand.lengths, [500])
    hand.at(1200)
    assert.deepStrictEqual(hand.lengths, [500, 200])
    assert.lengthOf(hand.sleeping, 1)
    hand.wake()
    assert.deepStrictEqual([hand.woken, hand.lengths], [[1200], [500, 200]])
    hand.at(1300)
    assert.deepStrictEqual(hand.lengths, [500, 200, 100])
  })

  it("goes on to what is next", () => {
    const hand = make((now) => now < 1300 ? now + 100 : Infinity)
    hand.at(1100)
    for (let i = 0; i < 3; i++) hand.wake()
    assert.deepStrictEqual(hand.woken, [1100, 1200, 1300])
    assert.lengthOf(hand.sleeping, 0)
  })

  it("wakes at once for what is past, and never sleeps longer than a timer can", () => {
    const hand = make()
    hand.at(900)
    assert.deepStrictEqual(hand.lengths, [0])
    hand.wake()
    hand.at(1000 + 2 ** 31)
    assert.deepStrictEqual(hand.lengths, [0, 2 ** 30])
  })

  it("wakes for nothing once it has been stopped", () => {
    const hand = make()
    hand.at(1500)
    hand.timer.stop()
    hand.settle()
    assert.lengthOf(hand.sleeping, 0)
    hand.at(1100)
    assert.deepStrictEqual([hand.lengths, hand.woken], [[500], []])
    const idle = make()
    idle.timer.stop()
    idle.at(1100)
    assert.lengthOf(idle.sleeping, 0)
  })
})
