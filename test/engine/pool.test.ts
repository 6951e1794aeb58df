import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"

/** Lets everything that can go on go on: microtasks and forked fibers, without letting time pass. */
const settle = Effect.repeatN(Effect.yieldNow(), 50)

/** Holds a session until the latch opens; `entered` tells when it has its connection. */
const holding = Effect.gen(function*() {
  const entered = yield* Deferred.make<void>()
  const latch = yield* Deferred.make<void>()
  const fiber = yield* Effect.fork(
    Deferred.succeed(entered, undefined).pipe(Effect.zipRight(Deferred.await(latch)), Db.session)
  )
  return { entered: Deferred.await(entered), leave: Deferred.succeed(latch, undefined), fiber }
})

describe("pool", () => {
  it.effect("serves waiters first come, first served", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        const first = yield* holding
        yield* first.entered
        const order: Array<number> = []
        const fibers: Array<Fiber.RuntimeFiber<void, unknown>> = []
        for (let i = 0; i < 20; i++) {
          fibers.push(yield* Effect.fork(Db.session(Effect.sync(() => void order.push(i)))))
          yield* settle
        }
        assert.strictEqual((yield* Db.pool).waiting, 20)
        yield* first.leave
        yield* Fiber.joinAll(fibers)
        assert.deepStrictEqual(order, Array.from({ length: 20 }, (_, i) => i))
      }).pipe(Effect.provide(layer))
    }))

  it.effect("gives the connection that was released last, first", () =>
    Effect.gen(function*() {
      const { control, layer, log } = yield* fakeDb({ pool: { size: 2, validateAfter: "1 hour" } })
      yield* Effect.gen(function*() {
        const a = yield* holding
        const b = yield* holding
        yield* a.entered
        yield* b.entered
        yield* a.leave
        yield* Fiber.join(a.fiber)
        yield* b.leave
        yield* Fiber.join(b.fiber)
        yield* settle
        const before = log.length
        yield* Db.query("SELECT 1")
        yield* Db.query("SELECT 1")
        const used = log.slice(before).filter((_) => _.what === "execute").map((_) => _.connection)
        assert.strictEqual(control.count.open, 2)
        assert.deepStrictEqual(new Set(used).size, 1)
        assert.strictEqual(used[0], control.connections[1]!.id)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("ends a wait at its limit, naming phase, limit and holders", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 1, acquireTimeout: "3 seconds" } })
      yield* Effect.gen(function*() {
        const entered = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(
          Db.query("SELECT 'held'").pipe(
            Effect.zipRight(Deferred.succeed(entered, undefined)),
            Effect.zipRight(Effect.never),
            Db.session,
            Effect.withSpan("the holder")
          )
        )
        yield* Deferred.await(entered)
        const waiter = yield* Effect.fork(Effect.flip(Db.query("SELECT 2")))
        yield* settle
        yield* TestClock.adjust("2999 millis")
        assert.isTrue((yield* Fiber.poll(waiter))._tag === "None")
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(waiter)
        assert(error._tag === "TimeoutError")
        assert.strictEqual(error.phase, "Acquire")
        assert.strictEqual(error.limitMillis, 3000)
        assert.strictEqual(error.outcome, "NotSent")
        assert.deepInclude(error.holders![0], {
          span: "the holder",
          heldForMillis: 3000,
          state: "idle",
          statement: "SELECT 'held'"
        })
        assert.include(error.message, "the holder")
        assert.strictEqual((yield* Db.metrics).failures["TimeoutError.Acquire"], 1)
        yield* Fiber.interrupt(holder)
        assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("refuses waiters beyond maxWaiters at once", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 1, maxWaiters: 2 } })
      yield* Effect.gen(function*() {
        const first = yield* holding
        yield* first.entered
        const waiting = yield* Effect.forkAll([Db.session(Effect.void), Db.session(Effect.void)])
        yield* settle
        const error = yield* Effect.flip(Db.session(Effect.void))
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Overloaded", outcome: "NotSent" })
        yield* first.leave
        yield* Fiber.join(waiting)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("gives the connection of an interrupted waiter to the next one", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      const gate = yield* Deferred.make<void>()
      control.open.next({ after: Deferred.await(gate) })
      yield* Effect.gen(function*() {
        const one = yield* Effect.fork(Db.session(Effect.succeed("one")))
        yield* settle
        const two = yield* Effect.fork(Db.session(Effect.succeed("two")))
        yield* settle
        yield* Fiber.interrupt(one)
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(two), "two")
        assert.strictEqual(control.open.calls, 1)
        assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0, idle: 1 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("validates a connection that was idle, and replaces a dead one before it is used", () =>
    Effect.gen(function*() {
      const { control, layer, log } = yield* fakeDb({ pool: { size: 1, validateAfter: "500 millis" } })
      yield* Effect.gen(function*() {
        yield* Db.query("SELECT 1")
        yield* Db.query("SELECT 1")
        assert.strictEqual(control.ping.calls, 0)
        yield* TestClock.adjust("500 millis")
        yield* Db.query("SELECT 2")
        assert.strictEqual(control.ping.calls, 1)
        yield* TestClock.adjust("500 millis")
        control.ping.next({ fail: fakeErrors.lost })
        yield* Db.query("SELECT 3")
        assert.strictEqual(control.open.calls, 2)
        assert.strictEqual(log.filter((_) => _.what === "execute" && _.text === "SELECT 3").length, 1)
        assert.strictEqual((yield* Db.pool).invalidated, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("0 validates always: also a connection that goes from one session straight to the next", () =>
    Effect.gen(function*() {
      const { control, layer, log } = yield* fakeDb({ pool: { size: 1, overflow: 0, validateAfter: 0 } })
      yield* Effect.gen(function*() {
        const first = yield* holding
        yield* first.entered
        const waiting = yield* Effect.forEach([1, 2, 3], (n) => Effect.fork(Db.session(Db.query(`SELECT ${n}`))))
        yield* settle
        assert.strictEqual((yield* Db.pool).waiting, 3)
        assert.strictEqual(control.ping.calls, 0)
        yield* first.leave
        yield* Fiber.joinAll(waiting)
        assert.strictEqual(control.ping.calls, 3)
        const told = log.filter(({ what }) => what === "ping" || what === "execute").map(({ what }) => what)
        assert.deepStrictEqual(told, ["ping", "execute", "ping", "execute", "ping", "execute"])
        // One that died with the session before it.
        const second = yield* holding
        yield* second.entered
        const next = yield* Effect.fork(Db.session(Db.query("SELECT 4")))
        yield* settle
        control.ping.next({ fail: fakeErrors.lost })
        yield* second.leave
        yield* Fiber.join(next)
        assert.strictEqual(control.open.calls, 2)
        assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0, idle: 1 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("validates all older idle connections after one was lost", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 2, validateAfter: "1 hour" } })
      yield* Effect.gen(function*() {
        const a = yield* holding
        const b = yield* holding
        yield* a.entered
        yield* b.entered
        yield* a.leave
        yield* b.leave
        yield* Fiber.join(a.fiber)
        yield* Fiber.join(b.fiber)
        yield* settle
        control.lose(control.connections[0]!)
        yield* settle
        yield* Db.query("SELECT 1")
        assert.strictEqual(control.ping.calls, 1)
        yield* Db.query("SELECT 1")
        assert.strictEqual(control.ping.calls, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("drops a connection whose validation is never answered, and those of its age", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 2 } })
      yield* Effect.gen(function*() {
        const a = yield* holding
        const b = yield* holding
        yield* a.entered
        yield* b.entered
        yield* a.leave
        yield* b.leave
        yield* Fiber.join(a.fiber)
        yield* Fiber.join(b.fiber)
        yield* TestClock.adjust("1 minute")
        control.ping.always("never")
        const query = yield* Effect.fork(Db.query("SELECT 1"))
        yield* settle
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(query)
        assert.strictEqual(control.ping.calls, 1)
        assert.strictEqual(control.count.closed, 2)
        assert.strictEqual(control.open.calls, 3)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("opens again with back-off as long as a fiber waits, and serves when the server is back", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1, acquireTimeout: "10 seconds" } })
      control.open.always({ fail: fakeErrors.refused })
      yield* Effect.gen(function*() {
        const query = yield* Effect.fork(Db.query("SELECT 1"))
        yield* settle
        yield* TestClock.adjust("5 seconds")
        assert.isAtLeast(control.open.calls, 4)
        assert.isAtMost(control.open.calls, 30)
        control.open.always("ok")
        yield* TestClock.adjust("1500 millis")
        yield* Fiber.join(query)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("tells why no connection could be opened when the wait is over", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1, acquireTimeout: "10 seconds" } })
      control.open.always({ fail: fakeErrors.refused })
      yield* Effect.gen(function*() {
        const query = yield* Effect.fork(Effect.flip(Db.query("SELECT 1")))
        yield* settle
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* Fiber.join(query), { _tag: "ConnectionError", reason: "Refused", outcome: "NotSent" })
        assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("does not repeat an opening that cannot succeed", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.open.always({ fail: fakeErrors.authentication })
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Db.query("SELECT 1"))
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Authentication" })
        assert.strictEqual(control.open.calls, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("closes overflow connections after overflowIdle, idle ones above minIdle after idleTimeout", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({
        pool: { size: 2, overflow: 2, overflowIdle: "10 seconds", idleTimeout: "10 minutes", minIdle: 1 }
      })
      yield* Effect.gen(function*() {
        const held = yield* Effect.all([holding, holding, holding, holding])
        for (const each of held) yield* each.entered
        assert.deepInclude(yield* Db.pool, { open: 4, overflow: 2 })
        for (const each of held) yield* each.leave
        for (const each of held) yield* Fiber.join(each.fiber)
        yield* settle
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(control.count.open, 2)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(control.count.open, 1)
        yield* TestClock.adjust("30 minutes")
        assert.strictEqual(control.count.open, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("replaces a connection at its age", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1, maxLifetime: "1 hour", idleTimeout: 0 } })
      yield* Effect.gen(function*() {
        yield* Db.query("SELECT 1")
        yield* TestClock.adjust("53 minutes")
        yield* Db.query("SELECT 1")
        assert.strictEqual(control.open.calls, 1)
        yield* TestClock.adjust("8 minutes")
        yield* Db.query("SELECT 1")
        assert.strictEqual(control.open.calls, 2)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("pings idle connections with keepalive, and lets them still be idle", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({
        pool: { size: 2, keepalive: "2 minutes", idleTimeout: "10 minutes", minIdle: 0 }
      })
      yield* Effect.gen(function*() {
        yield* Db.query("SELECT 1")
        for (let i = 0; i < 4; i++) {
          yield* TestClock.adjust("2 minutes")
          yield* settle
        }
        assert.strictEqual(control.ping.calls, 4)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(control.count.open, 0)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("fails at once when every connection is held by a fiber that waits for another", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 2 } })
      yield* Effect.gen(function*() {
        const greedy = Db.session(Effect.scoped(Effect.zipRight(Effect.yieldNow(), Db.reserve)))
        const exits = yield* Effect.all([Effect.exit(greedy), Effect.exit(greedy)], { concurrency: 2 })
        const failures = exits.filter(Exit.isFailure)
        assert.strictEqual(failures.length, 1)
        const error = Cause.failureOption(failures[0]!.cause)
        assert(error._tag === "Some" && error.value._tag === "TimeoutError")
        assert.strictEqual(error.value.phase, "Acquire")
        assert.include(error.value.message, "none can ever become free")
        assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("sheds waiters when waits stay above the target", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({
        pool: { size: 1, acquireTimeout: "1 minute", shedding: { target: "50 millis", interval: "2 seconds" } }
      })
      control.execute.always({ delay: "200 millis" })
      yield* Effect.gen(function*() {
        const fibers = yield* Effect.forEach(Array.from({ length: 40 }), () =>
          Effect.fork(Effect.either(Db.query("SELECT 1"))))
        yield* settle
        for (let i = 0; i < 40; i++) {
          yield* TestClock.adjust("200 millis")
          yield* settle
        }
        const results = yield* Effect.forEach(fibers, Fiber.join)
        const shed = results.filter(Either.isLeft)
        assert.isAbove(shed.length, 0)
        assert.isBelow(shed.length, 40)
        for (const { left } of shed) {
          assert.deepInclude(left, { _tag: "ConnectionError", reason: "Overloaded", outcome: "NotSent" })
        }
      }).pipe(Effect.provide(layer))
    }))

  it.effect("warns of a connection that is held too long", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 1, leakThreshold: "10 seconds" } })
      yield* Effect.gen(function*() {
        const first = yield* holding
        yield* first.entered
        yield* TestClock.adjust("10 seconds")
        const { holders } = yield* Db.pool
        assert.strictEqual(holders[0]!.heldForMillis, 10_000)
        yield* first.leave
        yield* Fiber.join(first.fiber)
      }).pipe(Effect.provide(layer))
    }))

  describe("closing the layer", () => {
    it.effect("refuses new sessions, waits for running ones, and leaves no connection", () =>
      Effect.gen(function*() {
        const { control, layer } = yield* fakeDb({ pool: { size: 2, closeTimeout: "10 seconds" } })
        const outside = yield* Deferred.make<void>()
        const context = yield* Deferred.make<Effect.Effect<unknown, unknown>>()
        const program = yield* Effect.fork(
          Effect.gen(function*() {
            const runtime = yield* Effect.context<Db>()
            const held = yield* Effect.forkDaemon(
              Db.session(Effect.zipRight(Deferred.await(outside), Db.query("SELECT 'last'")))
            )
            yield* settle
            yield* Deferred.succeed(context, Effect.provide(Db.query("SELECT 'late'"), runtime))
            return held
          }).pipe(Effect.provide(layer))
        )
        const late = yield* Deferred.await(context)
        yield* settle
        const error = yield* Effect.flip(late)
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
        yield* Deferred.succeed(outside, undefined)
        const held = yield* Fiber.join(program)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(held)))
        assert.strictEqual(control.count.open, 0)
        assert.deepStrictEqual(control.violations, [])
      }))

    it.effect("cuts sessions that are still running after closeTimeout", () =>
      Effect.gen(function*() {
        const { control, layer } = yield* fakeDb({ pool: { size: 2, closeTimeout: "10 seconds" } })
        control.execute.always("never")
        control.cancel.always("never")
        const program = yield* Effect.fork(
          Effect.gen(function*() {
            const held = yield* Effect.forkDaemon(Effect.flip(Db.session(Db.query("SELECT 'stuck'"))))
            yield* settle
            return held
          }).pipe(Effect.provide(layer))
        )
        yield* settle
        yield* TestClock.adjust("10 seconds")
        yield* settle
        yield* TestClock.adjust("3 seconds")
        const held = yield* Fiber.join(program)
        const error = yield* Fiber.join(held)
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Close", limitMillis: 10_000 })
        assert.strictEqual(control.count.open, 0)
      }))
  })
})
