/** What a session does to the fiber that runs in it, and what it leaves behind: nothing. */
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
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
    it.effect("the fiber is afterwards as it was: after success, failure and interruption", () =>
      inDb(Effect.gen(function*() {
        const before = yield* contextKeys
        const refs = yield* Effect.getFiberRefs
        const inside = yield* contextKeys.pipe(around)
        assert.isAbove(inside.length, before.length)
        assert.deepStrictEqual(yield* contextKeys, before)
        yield* Effect.ignore(around(Effect.fail("no")))
        assert.deepStrictEqual(yield* contextKeys, before)
        yield* Effect.exit(around(Effect.die("no")))
        yield* Effect.exit(around(Effect.interrupt))
        assert.deepStrictEqual(yield* contextKeys, before)
        assert.deepStrictEqual([...(yield* Effect.getFiberRefs).locals], [...refs.locals])
      })))

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

    it.effect("fibers forked in it are in it, and no others", () =>
      inDb(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const outer = yield* contextKeys
        const fiber = yield* around(
          Effect.gen(function*() {
            const inner = yield* contextKeys
            const child = yield* Effect.fork(contextKeys)
            assert.deepStrictEqual(yield* Fiber.join(child), inner)
            assert.deepStrictEqual(
              yield* Effect.provideService(contextKeys, Name, "one more"),
              [...inner, "Name"].sort()
            )
            // It runs when the session is over.
            return yield* Effect.forkDaemon(Effect.zipRight(Effect.yieldNow(), Effect.flip(sql`SELECT 1`)))
          })
        )
        assert.include(String((yield* Fiber.join(fiber)).cause), "ended")
        const free = yield* Effect.fork(contextKeys)
        assert.deepStrictEqual(yield* Fiber.join(free), outer)
      })))
  })
}

it.effect("a session loses nothing of how its effect has ended", () =>
  inDb(Effect.gen(function*() {
    assert.deepStrictEqual(yield* Effect.exit(Db.session(Effect.fail("one"))), Exit.fail("one"))
    const cause = yield* Effect.flip(Effect.sandbox(Db.session(Effect.ensuring(Effect.fail("one"), Effect.die("two")))))
    assert.deepStrictEqual([...Cause.failures(cause)], ["one"])
    assert.deepStrictEqual([...Cause.defects(cause)], ["two"])
  })))
