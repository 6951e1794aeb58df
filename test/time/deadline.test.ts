/** One deadline bounds everything below it. On the fake driver, by TestClock. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { TimeoutError } from "../../src/DbError.js"
import { fakeDb } from "../kit/fakeDb.js"
import { holding, settle } from "./settle.js"

describe("Db.withTimeout", () => {
  it.effect("bounds the wait for a connection, and then what runs on it, by the same moment", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1, acquireTimeout: "1 minute" } })
      yield* Effect.gen(function*() {
        const held = yield* holding
        yield* held.entered
        control.execute.always("never")
        const waits = yield* Effect.fork(Effect.flip(Db.query("SELECT 1").pipe(Db.withTimeout("3 seconds"))))
        const runs = yield* Effect.fork(Effect.flip(Db.query("SELECT 2").pipe(Db.withTimeout("5 seconds"))))
        yield* settle
        yield* TestClock.adjust("3 seconds")
        assert.deepInclude(yield* Fiber.join(waits), { phase: "Acquire", limitMillis: 3000, outcome: "NotSent" })
        yield* held.leave
        yield* settle
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual((yield* Fiber.poll(runs))._tag, "None")
        yield* TestClock.adjust("1 millis")
        assert.deepInclude(yield* Fiber.join(runs), { phase: "Statement", limitMillis: 5000, outcome: "RolledBack" })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("is the nearest of several, and of a statement's own limit; the error names the one that ran out", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.execute.always("never")
      yield* Effect.gen(function*() {
        const limitOf = (effect: Effect.Effect<unknown, unknown, Db>) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.fork(Effect.flip(effect))
            yield* settle
            yield* TestClock.adjust("1 second")
            return ((yield* Fiber.join(fiber)) as TimeoutError).limitMillis
          })
        const statement = (timeout: number) => Db.query("SELECT 1", [], { timeout })
        assert.strictEqual(yield* limitOf(statement(700).pipe(Db.withTimeout(900))), 700)
        assert.strictEqual(yield* limitOf(statement(900).pipe(Db.withTimeout(700))), 700)
        assert.strictEqual(yield* limitOf(statement(900).pipe(Db.withTimeout(600), Db.withTimeout(800))), 600)
        assert.strictEqual(yield* limitOf(statement(900).pipe(Db.withTimeout(800), Db.withTimeout(600))), 600)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("sends nothing any more once it has passed", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        const late = Effect.zipRight(Effect.sleep("2 seconds"), Db.query("INSERT"))
        for (const each of [late, Db.session(late), late.pipe(Db.transaction, Db.session)]) {
          const fiber = yield* Effect.fork(Effect.flip(each.pipe(Db.withTimeout("1 second"))))
          yield* settle
          yield* TestClock.adjust("2 seconds")
          yield* settle
          const error = yield* Fiber.join(fiber)
          assert.instanceOf(error, TimeoutError)
          assert.notStrictEqual(error.outcome, "Unknown")
        }
        assert.deepStrictEqual(control.executed(), [])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("bounds the wait for one's turn in a session", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      const gate = yield* Deferred.make<void>()
      control.execute.next({ after: Deferred.await(gate) })
      yield* Effect.gen(function*() {
        yield* Db.session(Effect.gen(function*() {
          const slow = yield* Effect.fork(Db.query("SELECT 'slow'"))
          yield* settle
          const short = yield* Effect.fork(Effect.flip(Db.query("SELECT 1").pipe(Db.withTimeout("1 second"))))
          const long = yield* Effect.fork(Effect.flip(Db.query("SELECT 2").pipe(Db.withTimeout("3 seconds"))))
          const free = yield* Effect.fork(Db.query("SELECT 3"))
          yield* settle
          yield* TestClock.adjust("1 second")
          yield* settle
          assert.deepInclude(yield* Fiber.join(short), { phase: "Acquire", limitMillis: 1000, outcome: "NotSent" })
          yield* TestClock.adjust("2 seconds")
          yield* settle
          assert.deepInclude(yield* Fiber.join(long), { phase: "Acquire", limitMillis: 3000, outcome: "NotSent" })
          yield* Deferred.succeed(gate, undefined)
          yield* Fiber.join(slow)
          yield* Fiber.join(free)
        }))
        assert.deepStrictEqual(control.executed(), ["SELECT 'slow'", "SELECT 3"])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("bounds a transaction, COMMIT included", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        const run = (body: Effect.Effect<unknown, unknown, Db>) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.fork(Effect.flip(body.pipe(Db.transaction, Db.withTimeout("3 seconds"))))
            yield* settle
            yield* TestClock.adjust("3 seconds")
            yield* settle
            return yield* Fiber.join(fiber)
          })
        assert.deepInclude(yield* run(Effect.zipRight(Db.query("INSERT"), Effect.never)), {
          phase: "Transaction",
          limitMillis: 3000,
          outcome: "RolledBack"
        })
        control.execute.always(({ text }) => text === "COMMIT" ? "never" : "ok")
        assert.deepInclude(yield* run(Db.query("INSERT")), {
          phase: "Transaction",
          limitMillis: 3000,
          outcome: "RolledBack"
        })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("bounds what is done by hand in a session, which an interrupt leaves whole", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* Db.reserve
          const at3 = <A>(effect: Effect.Effect<A, unknown>) =>
            Effect.gen(function*() {
              const fiber = yield* Effect.fork(Effect.flip(effect.pipe(Db.withTimeout("3 seconds"))))
              yield* settle
              yield* TestClock.adjust("3 seconds")
              yield* settle
              return yield* Fiber.join(fiber)
            })
          const limit = { _tag: "TimeoutError", phase: "Statement", limitMillis: 3000, outcome: "RolledBack" }
          control.execute.next("never")
          assert.deepInclude(yield* at3(session.begin()), limit)
          control.execute.next("never")
          const begins = yield* Effect.fork(session.begin())
          yield* settle
          yield* Fiber.interrupt(begins)
          yield* session.begin()
          yield* session.use(Db.query("INSERT"))
          control.execute.next("never")
          assert.deepInclude(yield* at3(session.commit), { ...limit, phase: "Transaction" })
          yield* session.begin()
          yield* session.use(Db.query("INSERT"))
          yield* session.commit
        }))
        assert.deepStrictEqual((yield* Db.metrics).transactions, { committed: 1, rolledBack: 1, unknown: 0 })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))
})
