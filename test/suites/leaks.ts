/** Contract 1 under interrupts at any point: after any history the pool is whole. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import { isWhole } from "./sessions.js"
import { describe, type Target, test } from "./target.js"

/** What a fiber may be doing when it is interrupted. */
const work = (target: Target, kind: number): Effect.Effect<unknown, unknown, Db> => {
  const one = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1 AS one`)
  switch (kind) {
    case 0:
      return Effect.flatMap(Db.sql, (sql) => sql`SELECT 1 AS one`)
    case 1:
      return Db.session(Effect.zipRight(one, one))
    case 2:
      return one.pipe(Db.transaction)
    case 3:
      return Effect.zipRight(one, one.pipe(Db.transaction)).pipe(Db.transaction({ readOnly: true }))
    case 4:
      return Stream.runDrain(Stream.unwrap(Effect.map(Db.sql, (sql) => sql.unsafe(target.sql.series(700)).stream)))
    case 5:
      return Effect.scoped(
        Effect.flatMap(Db.sql, (sql) => Effect.flatMap(sql.reserve, (c) => c.execute("SELECT 1", [], undefined)))
      )
    default:
      return Effect.scoped(
        Effect.flatMap(Db.reserve, (session) => Effect.zipRight(session.begin(), session.sql`SELECT 1 AS one`))
      )
  }
}

export const leaks = (target: Target, interrupts = 10_000): void => {
  describe("leaks", () => {
    test(
      target,
      `none after ${interrupts} randomly timed interrupts`,
      Effect.gen(function*() {
        const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
        console.log(`leaks on ${target.name}: DBLIVE_SEED=${seed}`)
        const plans = fc.sample(
          fc.record({
            kind: fc.integer({ min: 0, max: 6 }),
            yields: fc.integer({ min: 0, max: 60 }),
            ticks: fc.integer({ min: 0, max: 3 })
          }),
          { numRuns: interrupts, seed }
        )
        const tick = Effect.async<void>((resume) => {
          setImmediate(() => resume(Effect.void))
        })
        yield* Effect.forEach(plans, ({ kind, ticks, yields }) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.fork(work(target, kind))
            yield* Effect.repeatN(Effect.yieldNow(), yields)
            if (ticks > 0) {
              yield* Effect.repeatN(tick, ticks)
            }
            yield* Fiber.interrupt(fiber)
          }), { concurrency: 16, discard: true })
        yield* isWhole
        const { pool, sessions } = yield* Db.metrics
        assert.strictEqual(sessions.active, 0)
        assert.isAtMost(pool.open, pool.capacity)
      }),
      { pool: { size: 4, overflow: 2, acquireTimeout: "20 seconds" } },
      120_000
    )
  })
}
