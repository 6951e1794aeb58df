/** Deadlocks with oneself, too many waiters, and the place that is kept for questions of our own. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { isWhole } from "../suites/sessions.js"
import { holding, settle } from "./settle.js"

describe("a deadlock with oneself", () => {
  it.effect("fails at once when the asking fiber holds the last connection", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Db.session(Effect.scoped(Db.reserve)))
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Acquire", outcome: "NotSent" })
        assert.include(error.message, "every connection is held by a fiber that itself waits for one")
        yield* isWhole
      }).pipe(Effect.provide(layer))
    }))

  const hopeless = (size: number, body: Effect.Effect<unknown, unknown, Db | Scope.Scope>) =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size } })
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.scoped(body))
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Acquire", outcome: "NotSent" })
        assert.include(String(error), "every connection is held by a fiber that itself waits for one")
        yield* isWhole
      }).pipe(Effect.provide(layer))
    })

  const inHands = Effect.tap(Db.reserve, (session) => session.begin())

  it.effect("fails at once when the fiber itself holds all of them", () =>
    Effect.gen(function*() {
      yield* hopeless(1, Effect.zipRight(inHands, Db.reserve))
      yield* hopeless(2, Effect.zipRight(inHands, Effect.scoped(Effect.zipRight(inHands, Db.reserve))))
      yield* hopeless(1, Effect.zipRight(inHands, Db.query("SELECT 1")))
      yield* hopeless(1, Effect.zipRight(inHands, Db.query("SELECT 1").pipe(Db.transaction)))
      yield* hopeless(2, Db.session(Effect.zipRight(inHands, Db.reserve)))
      yield* hopeless(3, Effect.zipRight(inHands, Db.transaction(Effect.zipRight(inHands, Db.reserve))))
    }))

  it.effect("is none where another fiber uses the session too", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        const scope = yield* Scope.make()
        const session = yield* Scope.extend(Db.reserve, scope)
        const other = yield* Effect.fork(
          session.use(Db.query("SELECT 1")).pipe(Effect.ensuring(Scope.close(scope, Exit.void)))
        )
        yield* Db.query("SELECT 2")
        yield* Fiber.join(other)
        yield* isWhole
      }).pipe(Effect.provide(layer))
    }))

  it.effect("waits where another can still give one back", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 2 } })
      yield* Effect.gen(function*() {
        const other = yield* holding
        yield* other.entered
        const greedy = yield* Effect.fork(Db.session(Effect.scoped(Db.reserve)))
        yield* settle
        assert.strictEqual((yield* Db.pool).waiting, 1)
        yield* other.leave
        yield* Fiber.join(greedy)
        yield* isWhole
      }).pipe(Effect.provide(layer))
    }))

  it.scopedLive("of the one writer: a write beside its own transaction", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "dblive-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      yield* Effect.gen(function*() {
        yield* Db.query("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        const beside = Effect.scoped(
          Effect.flatMap(Db.reserve, (session) => session.use(Db.query("INSERT INTO t (body) VALUES ('beside')")))
        )
        const error = yield* Effect.flip(
          Db.query("INSERT INTO t (body) VALUES ('inside')").pipe(Effect.zipRight(beside), Db.transaction)
        )
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Lock", outcome: "NotSent" })
        assert.include(error.message, "can never become free")
        // Beside a transaction of another fiber it waits.
        const written = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        const other = yield* Effect.fork(
          Db.query("INSERT INTO t (body) VALUES ('other')").pipe(
            Effect.zipRight(Deferred.succeed(written, undefined)),
            Effect.zipRight(Deferred.await(gate)),
            Db.transaction
          )
        )
        yield* Deferred.await(written)
        const waiting = yield* Effect.fork(Db.session(beside))
        yield* Effect.repeatN(Effect.yieldNow(), 50)
        assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(other)
        yield* Fiber.join(waiting)
        assert.lengthOf(yield* Db.query("SELECT * FROM t"), 2)
        yield* isWhole
      }).pipe(Effect.provide(Db.layer({ type: "sqlite", filename: `${folder}/test.db`, environment: "production" })))
    }))
})

describe("a full pool", () => {
  it.effect("lets pings through, and the question for a commit, although the queue is full too", () =>
    Effect.gen(function*() {
      // A connection that is being closed does not count: here none is.
      const { control, layer } = yield* fakeDb({ pool: { size: 1, maxWaiters: 1 } }, { synchronous: true })
      yield* Effect.gen(function*() {
        const held = yield* holding
        yield* held.entered
        const waiting = yield* Effect.fork(Db.session(Effect.void))
        yield* settle
        assert.deepInclude(yield* Effect.flip(Db.query("SELECT 1")), { reason: "Overloaded", outcome: "NotSent" })
        assert.isTrue(yield* Db.ping)
        assert.isTrue((yield* Effect.all([Db.ping, Db.ping, Db.ping], { concurrency: 3 })).every((alive) => alive))
        assert.isAtMost(control.count.most, 2)
        assert.strictEqual((yield* Db.pool).waiting, 1)
        yield* held.leave
        yield* Fiber.join(waiting)
        yield* isWhole
        assert.strictEqual((yield* Db.pool).open, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("is no dead database, and a dead one answers false at once", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      yield* Effect.gen(function*() {
        control.open.always({ fail: fakeErrors.refused })
        assert.isFalse(yield* Db.ping)
        control.open.always("never")
        const slow = yield* Effect.fork(Db.ping)
        yield* settle
        yield* TestClock.adjust("5 seconds")
        assert.isFalse(yield* Fiber.join(slow))
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a ping on a silent connection gives up after its limit; cleaning goes on behind", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1, validateAfter: "1 hour" } })
      yield* Effect.gen(function*() {
        yield* Db.query("SELECT 1")
        control.ping.always("never")
        control.cancel.always("never")
        const silent = yield* Effect.fork(Db.ping)
        yield* settle
        yield* TestClock.adjust("5 seconds")
        yield* settle
        assert.isFalse(yield* Fiber.join(silent))
        yield* TestClock.adjust("2 seconds")
        yield* settle
        assert.deepInclude(yield* Db.pool, { inUse: 0, open: 0 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("serves a waiter with an idle connection although a new one cannot be opened", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({
        pool: { size: 2, validateAfter: "500 millis", acquireTimeout: "10 seconds" }
      })
      yield* Effect.gen(function*() {
        const held = yield* holding
        yield* held.entered
        control.open.always({ delay: "700 millis", then: { fail: fakeErrors.refused } })
        const first = yield* Effect.fork(Db.query("SELECT 1"))
        yield* settle
        yield* held.leave
        yield* Fiber.join(first)
        // A new connection is still being opened, for no waiter, when the idle one has to be validated.
        yield* TestClock.adjust("600 millis")
        const second = yield* Effect.fork(Db.query("SELECT 2"))
        yield* settle
        assert.isTrue(Option.isSome(yield* Fiber.poll(second)))
        yield* Fiber.join(second)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("sheds waiters, and serves the rest in time, once waits stay above the target", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({
        pool: { size: 1, acquireTimeout: "1 minute", shedding: { target: "50 millis", interval: "2 seconds" } }
      })
      control.execute.always({ delay: "40 millis" })
      yield* Effect.gen(function*() {
        // Twice as many as can be served: one every 20 ms, each takes 40 ms.
        const fibers: Array<Fiber.RuntimeFiber<Either.Either<number, unknown>, never>> = []
        for (let i = 0; i < 300; i++) {
          fibers.push(
            yield* Effect.fork(
              Effect.clockWith((clock) => {
                const began = clock.unsafeCurrentTimeMillis()
                return Effect.either(Effect.map(Db.query("SELECT 1"), () => clock.unsafeCurrentTimeMillis() - began))
              })
            )
          )
          yield* TestClock.adjust("20 millis")
        }
        yield* TestClock.adjust("30 seconds")
        const results = yield* Effect.forEach(fibers, Fiber.join)
        const shed = results.filter(Either.isLeft)
        assert.isAbove(shed.length, 50)
        for (const { left } of shed) {
          assert.deepInclude(left, { _tag: "ConnectionError", reason: "Overloaded", outcome: "NotSent" })
        }
        const late = results.slice(220).filter(Either.isRight).map(({ right }) => right)
        assert.isAbove(late.length, 20)
        assert.isAtMost(Math.max(...late), 250)
      }).pipe(Effect.provide(layer))
    }))
})
