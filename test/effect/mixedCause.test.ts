/** A cause of several parts is left as it is: Effect 4 makes defects of all of them. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as DbError from "../../src/DbError.js"
import { fakeErrors } from "../kit/fakeDriver.js"

it.effect("catchReason leaves the whole of a cause", () =>
  Effect.gen(function*() {
    const both = Cause.parallel(Cause.fail(fakeErrors.serialization), Cause.die("beside it"))
    const effect: Effect.Effect<string, DbError.DbError> = Effect.failCause(both)
    const caught = effect.pipe(DbError.catchReason("UniqueViolation", () => Effect.succeed("caught")))
    const exit: Exit.Exit<string, DbError.DbError> = yield* Effect.exit(caught)
    assert.deepStrictEqual(exit, Exit.failCause(both))
  }))
