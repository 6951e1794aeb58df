/** What is told about a database is true of it. */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import { describe, type Target, test } from "./target.js"

export const health = (target: Target): void => {
  describe("health", () => {
    test(
      target,
      "is well when it answers, and says who is there",
      Effect.gen(function*() {
        const report = yield* Db.health
        assert.deepInclude(report, {
          databaseName: "default",
          status: "healthy",
          connection: true,
          queryTest: true,
          error: null
        })
        assert.isTrue(yield* Db.ping)
        const { serverVersion, type } = yield* Db.info
        assert.strictEqual(report.databaseType, type)
        assert.match(String(serverVersion), /\d+\.\d+/)
      })
    )

    test(
      target,
      "is degraded, not dead, when every connection is in use",
      Effect.gen(function*() {
        const { capacity } = yield* Db.pool
        const gate = yield* Deferred.make<void>()
        const holders = yield* Effect.forEach(Array.from({ length: capacity }), () =>
          Effect.gen(function*() {
            const entered = yield* Deferred.make<void>()
            const fiber = yield* Effect.fork(
              Db.session(Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(gate)))
            )
            yield* Deferred.await(entered)
            return fiber
          }))
        const report = yield* Db.health
        assert.deepInclude(report, { status: "degraded", connection: true, queryTest: true })
        assert.include(String(report.error), `all ${capacity} connections are in use`)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.joinAll(holders)
      }),
      { pool: { size: 2 } }
    )
  })
}
