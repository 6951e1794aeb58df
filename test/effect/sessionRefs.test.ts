/** What an effect in a session sets in its fiber stays. */
import type { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { Db } from "../../src/Db.js"
import { fakeDb } from "../kit/fakeDb.js"

const user = FiberRef.unsafeMake("nobody")

class Name extends Context.Tag("Name")<Name, string>() {}

const contextKeys = Effect.map(Effect.context<never>(), (context) => [...context.unsafeMap.keys()].sort())

const inDb = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
  Effect.flatMap(fakeDb(), ({ layer }) => Effect.provide(effect, layer))

const kinds: ReadonlyArray<readonly [string, typeof Db.session]> = [["session", Db.session], [
  "transaction",
  Db.transaction
]]

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
