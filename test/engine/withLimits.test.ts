import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { fakeDb } from "../kit/fakeDb.js"

const settle = Effect.repeatN(Effect.yieldNow(), 20)

describe("Db.withLimits", () => {
  it.effect("holds instead of the configured limits, and only inside", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({
        limits: { statementTimeout: "1 second", transactionTimeout: "2 seconds" }
      })
      control.execute.always((call) => call.text === "SELECT slow" ? { delay: "5 seconds" } : "ok")
      control.cancel.always("ok")
      yield* Effect.gen(function*() {
        const slow = Db.query("SELECT slow")
        const lifted = yield* Effect.fork(
          slow.pipe(Db.transaction, Db.withLimits({ statementTimeout: 0, transactionTimeout: 0 }))
        )
        const limited = yield* Effect.fork(Effect.flip(slow))
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* settle
        yield* TestClock.adjust("4 seconds")
        yield* Fiber.join(lifted)
        assert.deepInclude(yield* Fiber.join(limited), { _tag: "TimeoutError", phase: "Statement", limitMillis: 1000 })
      }).pipe(Effect.provide(layer))
    }))
})
