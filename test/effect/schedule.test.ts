import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { initialState, nextStep } from "../../src/internal/effect/schedule.js"

/** The waits of a schedule whose steps are made one right behind the other. */
const waits = (schedule: Schedule.Schedule<unknown, string>) =>
  Effect.gen(function*() {
    const found: Array<number> = []
    let state = initialState(schedule)
    let now = 1_000_000
    for (;;) {
      const step = yield* nextStep(schedule, now, "input", state)
      if (step === undefined) {
        return found
      }
      found.push(step.waitMillis)
      state = step.state
      now += step.waitMillis
    }
  })

describe("Effect's schedules, step by step", () => {
  it.effect("wait as long as they say, and end", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* waits(Schedule.intersect(Schedule.exponential("10 millis"), Schedule.recurs(3))),
        [10, 20, 40]
      )
      assert.deepStrictEqual(yield* waits(Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(2))), [
        1000,
        1000
      ])
      assert.deepStrictEqual(yield* waits(Schedule.stop), [])
    }))

  it.effect("see what has failed", () =>
    Effect.gen(function*() {
      const schedule = Schedule.recurWhile((input: string) => input === "again")
      const state = initialState(schedule)
      assert.isDefined(yield* nextStep(schedule, 0, "again", state))
      assert.isUndefined(yield* nextStep(schedule, 0, "enough", state))
    }))
})
