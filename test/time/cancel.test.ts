/** What is interrupted or out of time is stopped on the server, through a channel of its own, which hits nothing else. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import { describePostgres } from "../kit/postgres.js"
import { isWhole } from "../suites/sessions.js"
import { onPostgres, pause, runs, type Server, took } from "./onPostgres.js"

const endless = "SELECT pg_sleep(3600)"

/** Interrupts, and asserts that it surfaced as that alone and that the server was free within a second. */
const stops = <A, E>(server: Server, fibers: ReadonlyArray<Fiber.RuntimeFiber<A, E>>) =>
  Effect.gen(function*() {
    const [millis, exit] = yield* took(Effect.gen(function*() {
      const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber), { concurrency: "unbounded" })
      assert.deepStrictEqual((yield* server.active).filter((query) => query.includes("pg_sleep")), [])
      return exits
    }))
    assert.isBelow(millis, 1000)
    for (const each of exit) {
      assert.isTrue(Exit.isFailure(each) && Cause.isInterruptedOnly(each.cause), String(each))
    }
  })

const seed = (what: string): number => {
  const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
  console.log(`${what}: DBLIVE_SEED=${seed}`)
  return seed
}

describePostgres("cancellation", () => {
  it.scopedLive("with a pool of one: alone, in a session, in a transaction, in a stream", () =>
    onPostgres({ pool: { size: 1 } }, (server) =>
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE t (id int PRIMARY KEY)")
        const insert = Db.query("INSERT INTO t VALUES (1)")
        const ways: ReadonlyArray<Effect.Effect<unknown, unknown, Db>> = [
          Db.query(endless),
          Db.session(Db.query(endless)),
          insert.pipe(Effect.zipRight(Db.query(endless)), Db.transaction),
          insert.pipe(Db.transaction, Effect.zipRight(Db.query(endless)), Db.transaction),
          Stream.runDrain(
            Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT pg_sleep(3600) FROM generate_series(1, 9)`.stream))
          )
        ]
        for (const way of ways) {
          const fiber = yield* Effect.fork(way)
          yield* runs(server, 1)
          yield* stops(server, [fiber])
          // Its locks are gone, and the connection is used again.
          yield* insert
          yield* Db.query("DELETE FROM t")
        }
        const { pool } = yield* Db.metrics
        assert.strictEqual(pool.invalidated, 0)
        yield* isWhole
      })))

  it.scopedLive("with the pool exhausted and many waiting", () =>
    onPostgres({ pool: { size: 3 } }, (server) =>
      Effect.gen(function*() {
        const running = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Db.query(endless)))
        yield* runs(server, 3)
        const waiting = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.fork(Db.query("SELECT 1 AS one")))
        yield* stops(server, running)
        assert.lengthOf(yield* Fiber.joinAll(waiting), 5)
        yield* isWhole
      })))

  it.scopedLive("a session goes on after a statement in it was stopped", () =>
    onPostgres({ pool: { size: 1 } }, (server) =>
      Effect.gen(function*() {
        yield* Db.session(Effect.gen(function*() {
          const fiber = yield* Effect.fork(Db.query(endless))
          yield* runs(server, 1)
          yield* stops(server, [fiber])
          assert.lengthOf(yield* Db.query("SELECT 1 AS one"), 1)
          const error = yield* Effect.flip(Db.query(endless, [], { timeout: "50 millis" }))
          assert.deepInclude(error, { _tag: "TimeoutError", phase: "Statement" })
          assert.lengthOf(yield* Db.query("SELECT 1 AS one"), 1)
        }))
        yield* isWhole
      })))

  it.scopedLive("a fiber that outlives its session loses its statement, typed", () =>
    onPostgres({ pool: { size: 1 } }, (server) =>
      Effect.gen(function*() {
        const outlived = yield* Db.session(Effect.gen(function*() {
          const fiber = yield* Effect.forkDaemon(Effect.flip(Db.query(endless)))
          yield* runs(server, 1)
          return fiber
        }))
        const error = yield* Fiber.join(outlived)
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Closed", outcome: "RolledBack" })
        assert.deepStrictEqual(yield* server.active, [])
        yield* isWhole
      })))

  it.scopedLive("500 innocent statements beside as many cancels: none is hit", () =>
    onPostgres({ pool: { size: 4, acquireTimeout: "20 seconds" } }, (server) =>
      Effect.gen(function*() {
        const delays = fc.sample(fc.integer({ min: 0, max: 12 }), { numRuns: 500, seed: seed("innocents") })
        const innocents = Effect.forEach(
          delays,
          (_, i) => Db.query<{ i: number }>("SELECT :i::int AS i FROM pg_sleep(0.001)", { i }),
          { concurrency: 8 }
        )
        const outcomes = { answered: 0, stopped: 0, timedOut: 0 }
        const victims = Effect.forEach(delays, (millis, i) =>
          i % 2 === 0
            ? Effect.gen(function*() {
              const fiber = yield* Effect.fork(Db.query("SELECT pg_sleep(0.006)"))
              yield* pause(millis)
              const exit = yield* Fiber.interrupt(fiber)
              assert.isTrue(Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause), String(exit))
              outcomes[Exit.isSuccess(exit) ? "answered" : "stopped"]++
            })
            : Effect.gen(function*() {
              const result: Either.Either<unknown, DbError> = yield* Effect.either(
                // Some certainly run longer than their limit, however late this machine's timers come.
                Db.query(`SELECT pg_sleep(${i % 10 === 1 ? 0.5 : 0.006})`, [], { timeout: millis + 1 })
              )
              if (Either.isLeft(result)) {
                assert.deepInclude(result.left, { _tag: "TimeoutError", phase: "Statement", outcome: "RolledBack" })
              }
              outcomes[Either.isRight(result) ? "answered" : "timedOut"]++
            }), { concurrency: 8 })
        const [rows] = yield* Effect.all([innocents, victims], { concurrency: 2 })
        assert.deepStrictEqual(rows.map(([row]) => row!.i), delays.map((_, i) => i))
        // The race was one: each end of it was seen.
        assert.isAbove(outcomes.stopped, 10, JSON.stringify(outcomes))
        assert.isAbove(outcomes.timedOut, 10, JSON.stringify(outcomes))
        assert.isAbove(outcomes.answered, 10, JSON.stringify(outcomes))
        assert.deepStrictEqual(yield* server.active, [])
        const { pool } = yield* Db.metrics
        assert.strictEqual(pool.invalidated, 0)
        yield* isWhole
      })))
})
