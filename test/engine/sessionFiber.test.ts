/** What a session does to the fiber that runs in it, and what it leaves behind: nothing. */
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import { getRefs, valuesOf } from "../kit/fiberRefs.js"
import { contextKeys, inDb, kinds, Name } from "./inSession.js"

for (const [name, around] of kinds) {
  describe(`a ${name} and its fiber`, () => {
    it.effect("the fiber is afterwards as it was: after success, failure and interruption", () =>
      inDb(Effect.gen(function*() {
        const before = yield* contextKeys
        const refs = yield* getRefs
        const inside = yield* contextKeys.pipe(around)
        assert.isAbove(inside.length, before.length)
        assert.deepStrictEqual(yield* contextKeys, before)
        yield* Effect.ignore(around(Effect.fail("no")))
        assert.deepStrictEqual(yield* contextKeys, before)
        yield* Effect.exit(around(Effect.die("no")))
        yield* Effect.exit(around(Effect.interrupt))
        assert.deepStrictEqual(yield* contextKeys, before)
        assert.deepStrictEqual(valuesOf(yield* getRefs), valuesOf(refs))
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
    const both = Cause.parallel(Cause.fail("one"), Cause.die("two"))
    const cause = yield* Effect.flip(Effect.sandbox(Db.session(Effect.failCause(both))))
    assert.deepStrictEqual([...Cause.failures(cause)], ["one"])
    assert.deepStrictEqual([...Cause.defects(cause)], ["two"])
  })))
