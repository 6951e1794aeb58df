/** Statements that end at once, thousands in a row: each makes way for the next, and the connection is given back. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Db } from "../../src/Db.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

const count = 5000

/** PostgreSQL has no text with a NUL: it is not sent. */
const unsendable = Db.query("SELECT :text::text AS text", { text: "\0" })

const all = Effect.forEach(Array.from({ length: count }), () => Effect.exit(unsendable), { concurrency: "unbounded" })

const isIdle = Effect.map(Db.pool, ({ idle, inUse, waiting }) => {
  assert.deepStrictEqual({ idle, inUse, waiting }, { idle: 1, inUse: 0, waiting: 0 })
})

describePostgres("statements that cannot be sent", () => {
  it.scopedLive("end one after the other where they wait for the one connection", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        const [, exits] = yield* Effect.all([Db.query("SELECT pg_sleep(0.2)"), all], { concurrency: "unbounded" })
        assert.isTrue(exits.every(Exit.isFailure))
        yield* isIdle
      }).pipe(Effect.provide(Db.layer({ url, pool: { size: 1, overflow: 0 }, environment: "production" })))
    }))

  it.scopedLive("end one after the other in a session and in a transaction, which go on", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const one = Effect.gen(function*() {
        const [, exits] = yield* Effect.all([Db.query("SELECT pg_sleep(0.2)"), all], { concurrency: "unbounded" })
        assert.isTrue(exits.every(Exit.isFailure))
        return yield* Db.query("SELECT 1 AS n")
      })
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* Db.session(one), [{ n: 1 }])
        assert.deepStrictEqual(yield* Db.transaction(one), [{ n: 1 }])
        yield* isIdle
      }).pipe(Effect.provide(Db.layer({ url, pool: { size: 1, overflow: 0 }, environment: "production" })))
    }))
})
