/** A check that is interrupted ends, whatever the server is doing, and gives its connection up. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import { askedOf } from "../../src/internal/check/ask.js"
import { describePostgres, eventually, freshDatabase } from "../kit/postgres.js"

describePostgres("a check", () => {
  it.scopedLive("can be interrupted while the server does not answer", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        const asked = Effect.flatMap(Db, askedOf)
        const held = Effect.scoped(Effect.flatMap(asked, ({ rows }) => rows("SELECT pg_sleep(60)")))
        assert.strictEqual((yield* Effect.timeoutOption(held, 200))._tag, "None")
        yield* eventually(Db.pool, ({ inUse }) => inUse === 0)
        assert.strictEqual(yield* Db.scalar("SELECT 1"), 1)
      }).pipe(Effect.provide(Db.layer({ url })))
    }), 10_000)
})
