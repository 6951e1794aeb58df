/** Interrupts that come within the very call in which a fiber begins something. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Engine } from "../../src/internal/Engine.js"
import { answer } from "../../src/internal/request/execute.js"

/** An engine whose statements are run within the call. */
const synchronous = { driver: { capabilities: { synchronous: true } } } as Engine

describe("an interrupt within the call that begins a statement", () => {
  it.effect("takes it back where it has to wait after all", () =>
    Effect.gen(function*() {
      let isWithdrawn = false
      const statement = Effect.withFiber((fiber) =>
        answer(synchronous, fiber, () => ({
          start: () => fiber.interruptUnsafe(),
          withdraw: (settled) => {
            isWithdrawn = true
            settled()
          }
        }), (error) => error)
      )
      const fiber = yield* Effect.forkChild(statement)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(isWithdrawn)
      assert.isTrue(Exit.hasInterrupts(exit))
    }))
})
