/** `SqlPersistedQueue`. */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlPersistedQueue from "@effect/sql/SqlPersistedQueue"
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type DropIn, test } from "./target.js"

/** A factory of its own, as another process would have it. */
const process = PersistedQueue.layer.pipe(
  Layer.provide(SqlPersistedQueue.layerStore({ pollInterval: "20 millis" })),
  Layer.fresh
)

const jobs = PersistedQueue.make({ name: "jobs", schema: Schema.Struct({ n: Schema.BigInt }) })

export const queue = (target: DropIn): void => {
  describe("SqlPersistedQueue", () => {
    test(
      target,
      "an element is taken once, and one that fails is taken again",
      Effect.gen(function*() {
        const queue = yield* jobs
        yield* queue.offer({ n: 42n })
        assert.strictEqual(yield* Effect.flip(queue.take(() => Effect.fail("boom"))), "boom")
        const attempts = yield* queue.take(({ n }, { attempts }) =>
          Effect.as(Effect.sync(() => assert.strictEqual(n, 42n)), attempts)
        )
        assert.strictEqual(attempts, 1)
        const sql = yield* SqlClient.SqlClient
        assert.lengthOf(yield* sql`SELECT id FROM effect_queue WHERE completed`, 1)
      }).pipe(Effect.provide(process))
    )

    test(
      target,
      "an element with an id of its own is offered once",
      Effect.gen(function*() {
        const queue = yield* jobs
        yield* queue.offer({ n: 1n }, { id: "one" })
        yield* queue.offer({ n: 1n }, { id: "one" })
        const sql = yield* SqlClient.SqlClient
        assert.lengthOf(yield* sql`SELECT id FROM effect_queue`, 1)
      }).pipe(Effect.provide(process))
    )

    test(
      target,
      "what an interrupted taker had goes to the next, and of two takers each has its own",
      Effect.gen(function*() {
        const queue = yield* jobs
        yield* queue.offer({ n: 1n })
        const taken = yield* Deferred.make<void>()
        const held = yield* Effect.fork(
          queue.take(() => Effect.zipRight(Deferred.succeed(taken, undefined), Effect.never))
        )
        yield* Deferred.await(taken)
        const next = yield* Effect.fork(queue.take(({ n }) => Effect.succeed(n)))
        yield* Fiber.interrupt(held)
        assert.strictEqual(yield* Fiber.join(next), 1n)

        yield* Effect.forEach([2n, 3n, 4n, 5n], (n) => queue.offer({ n }))
        const other = yield* Effect.provide(jobs, yield* Layer.build(process))
        const found = yield* Effect.all(
          [queue, other, queue, other].map((one) => one.take(({ n }) => Effect.succeed(n))),
          { concurrency: "unbounded" }
        )
        assert.sameMembers(found, [2n, 3n, 4n, 5n])
      }).pipe(Effect.provide(process))
    )
  })
}
