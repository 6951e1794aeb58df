/** What an effect in a session sets in its fiber stays. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { contextKeys, inDb, kinds, Name } from "../engine/inSession.js"

const user = FiberRef.unsafeMake("nobody")

for (const [name, around] of kinds) {
  describe(`a ${name} and its fiber`, () => {
    it.effect("the effect's FiberRefs are kept, and the services provided to it are not", () =>
      inDb(Effect.gen(function*() {
        const before = yield* contextKeys
        yield* around(Effect.zipRight(FiberRef.set(user, "Ada"), Effect.provideService(Name, Name, "inner")))
        assert.strictEqual(yield* FiberRef.get(user), "Ada")
        assert.deepStrictEqual(yield* contextKeys, before)
        yield* Effect.ignore(around(Effect.zipRight(FiberRef.set(user, "Bea"), Effect.fail("no"))))
        assert.strictEqual(yield* FiberRef.get(user), "Bea")
        assert.deepStrictEqual(yield* contextKeys, before)
      })))
  })
}
