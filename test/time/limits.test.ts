/** Contract 6: every wait has a limit, and each limit that runs out names its phase. On the fake driver, by TestClock. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { type Outcome, TimeoutError } from "../../src/DbError.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { isWhole } from "../suites/sessions.js"
import { holding, settle } from "./settle.js"

/** Nothing before the limit; the failure at it. */
const failsAt = <A, E, R>(limit: number, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.flip(effect))
    yield* settle
    yield* TestClock.adjust(limit - 1)
    yield* settle
    assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None", "it ended before its limit")
    yield* TestClock.adjust(1)
    yield* settle
    return yield* Fiber.join(fiber)
  })

const isTimeout = (
  error: unknown,
  expected: { readonly phase: TimeoutError["phase"]; readonly limitMillis: number; readonly outcome?: Outcome }
) => {
  assert.instanceOf(error, TimeoutError)
  assert.deepInclude(error, expected)
}

/** Runs with a database on the fake driver, and looks afterwards whether the contract was kept and nothing leaked. */
const withFake = <A, E, R>(
  options: DbConfig.Options,
  body: (fake: Effect.Effect.Success<ReturnType<typeof fakeDb>>) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const fake = yield* fakeDb({
      ...options,
      limits: { statementTimeout: 0, idleInTransactionTimeout: 0, ...options.limits }
    })
    yield* Effect.gen(function*() {
      yield* body(fake)
      fake.control.open.always("ok")
      fake.control.execute.always("ok")
      fake.control.cancel.always("ok")
      fake.control.ping.always("ok")
      const whole = yield* Effect.fork(isWhole)
      yield* settle
      // An opening may be in its back-off.
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(whole)
    }).pipe(Effect.provide(fake.layer))
    assert.deepStrictEqual(fake.control.violations, [])
    assert.strictEqual(fake.control.count.open, 0)
  })

describe("limits", () => {
  it.effect("acquire: names its limit and the holders of the connections", () =>
    withFake({ pool: { size: 1, acquireTimeout: "3 seconds" } }, () =>
      Effect.gen(function*() {
        const held = yield* holding
        yield* held.entered
        for (const ask of [Db.query("SELECT 1"), Db.session(Effect.void), Effect.void.pipe(Db.transaction)]) {
          const error = yield* failsAt(3000, ask)
          isTimeout(error, { phase: "Acquire", limitMillis: 3000, outcome: "NotSent" })
          assert.lengthOf((error as TimeoutError).holders!, 1)
        }
        yield* held.leave
        yield* Fiber.join(held.fiber)
      })))

  it.effect("statement: by configuration, stopped on the server, its connection is used again", () =>
    withFake(
      { pool: { size: 1 }, limits: { statementTimeout: "2 seconds" } },
      ({ control, log }) =>
        Effect.gen(function*() {
          control.execute.next("never")
          const error = yield* failsAt(2000, Db.query("SELECT 'slow'"))
          isTimeout(error, { phase: "Statement", limitMillis: 2000, outcome: "RolledBack" })
          assert.strictEqual((error as TimeoutError).statement, "SELECT 'slow'")
          assert.strictEqual(log.filter((_) => _.what === "cancel").length, 1)
          yield* Db.query("SELECT 1")
          assert.strictEqual(control.open.calls, 1)
        })
    ))

  it.effect("statement: by call, above and below the configured one", () =>
    withFake({ pool: { size: 1 }, limits: { statementTimeout: "2 seconds" } }, ({ control }) =>
      Effect.gen(function*() {
        control.execute.next("never")
        isTimeout(
          yield* failsAt(500, Db.query("SELECT 1", [], { timeout: "500 millis" })),
          { phase: "Statement", limitMillis: 500 }
        )
        control.execute.next("never")
        isTimeout(
          yield* failsAt(9000, Db.session(Db.query("SELECT 1", [], { timeout: "9 seconds" }))),
          { phase: "Statement", limitMillis: 9000 }
        )
        control.execute.next({ delay: "1 hour" })
        const unlimited = yield* Effect.fork(Db.query("SELECT 1", [], { timeout: 0 }))
        yield* settle
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(unlimited)
      })))

  it.effect("statement: a cancel that leads nowhere ends with its connection, two seconds later", () =>
    withFake({ pool: { size: 1 }, limits: { statementTimeout: "2 seconds" } }, ({ control }) =>
      Effect.gen(function*() {
        control.execute.next("never")
        control.cancel.next("never")
        const error = yield* failsAt(4000, Db.query("INSERT"))
        isTimeout(error, { phase: "Statement", limitMillis: 2000, outcome: "Unknown" })
        yield* Db.query("SELECT 1")
        assert.strictEqual(control.open.calls, 2)
      })))

  it.effect("statement: the answer that is faster than its cancel holds", () =>
    withFake({ pool: { size: 1 }, limits: { statementTimeout: "2 seconds" } }, ({ control }) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        control.rows = () => [{ n: 1 }]
        control.execute.next({ after: Deferred.await(gate) })
        control.cancel.next({ delay: "1 second" })
        const fiber = yield* Effect.fork(Db.query("SELECT 1"))
        yield* settle
        yield* TestClock.adjust("2 seconds")
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        // The cancel is still under way: it could hit the next borrower of the connection.
        assert.strictEqual((yield* Db.pool).inUse, 1)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.join(fiber), [{ n: 1 }])
      })))

  it.effect("statement: each fetch of a stream", () =>
    withFake({ pool: { size: 1 }, limits: { statementTimeout: "2 seconds" } }, ({ control }) =>
      Effect.gen(function*() {
        control.rows = () => Array.from({ length: 2000 }, (_, x) => ({ x }))
        control.fetch.next("ok", "ok", "never")
        const stream = Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT x`.stream))
        const error = yield* failsAt(2000, Db.session(Stream.runDrain(stream)))
        isTimeout(error, { phase: "Statement", limitMillis: 2000 })
      })))

  it.effect("idle in transaction: rolled back, and the session around it goes on", () =>
    withFake(
      { pool: { size: 1 }, limits: { idleInTransactionTimeout: "5 seconds" } },
      ({ control }) =>
        Effect.gen(function*() {
          yield* Db.session(Effect.gen(function*() {
            const error = yield* failsAt(
              6000,
              Db.query("INSERT 1").pipe(
                Effect.zipRight(Effect.sleep("6 seconds")),
                Effect.zipRight(Db.query("INSERT 2")),
                Db.transaction
              )
            )
            isTimeout(error, { phase: "IdleInTransaction", limitMillis: 5000, outcome: "RolledBack" })
            yield* Db.query("SELECT 3")
          }))
          assert.deepStrictEqual(control.executed(), ["BEGIN", "INSERT 1", "ROLLBACK", "SELECT 3"])
        })
    ))

  it.effect("idle in transaction: a transaction it ended is no success, although its body is one", () =>
    withFake({ pool: { size: 1 }, limits: { idleInTransactionTimeout: "5 seconds" } }, () =>
      Effect.gen(function*() {
        const error = yield* failsAt(
          6000,
          Db.query("INSERT 1").pipe(Effect.zipRight(Effect.sleep("6 seconds")), Db.transaction)
        )
        isTimeout(error, { phase: "IdleInTransaction", limitMillis: 5000, outcome: "RolledBack" })
      })))

  it.effect("idle in transaction: does not count while a statement or COMMIT runs", () =>
    withFake(
      { pool: { size: 1 }, limits: { idleInTransactionTimeout: "5 seconds" } },
      ({ control }) =>
        Effect.gen(function*() {
          control.execute.always(({ text }) => text === "slow" || text === "COMMIT" ? { delay: "20 seconds" } : "ok")
          const fiber = yield* Effect.fork(
            Db.query("INSERT 1").pipe(
              Effect.zipRight(Effect.sleep("4 seconds")),
              Effect.zipRight(Db.query("slow")),
              Effect.zipRight(Effect.sleep("4 seconds")),
              Db.transaction
            )
          )
          for (let i = 0; i < 48; i++) {
            yield* TestClock.adjust("1 second")
            yield* settle
          }
          assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
          assert.deepStrictEqual(control.executed(), ["BEGIN", "INSERT 1", "slow", "COMMIT"])
        })
    ))

  it.effect("transaction: by configuration and by call, whatever it does at that moment", () =>
    withFake(
      { pool: { size: 1 }, limits: { transactionTimeout: "5 seconds" } },
      ({ control }) =>
        Effect.gen(function*() {
          const asleep = Db.query("INSERT 1").pipe(Effect.zipRight(Effect.never))
          isTimeout(
            yield* failsAt(5000, asleep.pipe(Db.transaction)),
            { phase: "Transaction", limitMillis: 5000, outcome: "RolledBack" }
          )
          isTimeout(
            yield* failsAt(1000, asleep.pipe(Db.transaction({ timeout: "1 second" }))),
            { phase: "Transaction", limitMillis: 1000, outcome: "RolledBack" }
          )
          control.execute.next("ok", "never")
          isTimeout(
            yield* failsAt(5000, Db.query("INSERT slow").pipe(Db.transaction)),
            { phase: "Transaction", limitMillis: 5000, outcome: "RolledBack" }
          )
          control.execute.next("ok", "ok", "never")
          const atCommit = yield* failsAt(5000, Db.query("INSERT last").pipe(Db.transaction))
          isTimeout(atCommit, { phase: "Transaction", limitMillis: 5000, outcome: "RolledBack" })
        })
    ))

  it.effect("transaction: also when a statement in it ran out of time at that moment, and the body went on", () =>
    withFake({ pool: { size: 1 }, limits: { transactionTimeout: "5 seconds", statementTimeout: "5 seconds" } }, (
      { control }
    ) =>
      Effect.gen(function*() {
        control.execute.next("ok", "never")
        const error = yield* failsAt(
          5000,
          Effect.ignore(Db.query("INSERT slow")).pipe(Effect.zipRight(Effect.never), Db.transaction)
        )
        isTimeout(error, { phase: "Transaction", limitMillis: 5000, outcome: "RolledBack" })
      })))

  it.effect("COMMIT: an answer that does not come is an unknown outcome, and an interrupt bounds the wait for it", () =>
    withFake({ pool: { size: 1 } }, ({ control }) =>
      Effect.gen(function*() {
        const hung = () => {
          control.execute.always(({ text }) => text === "COMMIT" ? "never" : "ok")
          control.cancel.always("never")
        }
        hung()
        const error = yield* failsAt(6000, Db.query("INSERT").pipe(Db.transaction({ timeout: "4 seconds" })))
        assert.deepInclude(error, { _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
        hung()
        const fiber = yield* Effect.fork(Db.query("INSERT").pipe(Db.transaction))
        yield* settle
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
        const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* settle
        yield* TestClock.adjust("4 seconds")
        yield* settle
        const exit = yield* Fiber.join(interrupted)
        assert.isTrue(Exit.isInterrupted(exit))
        const { transactions } = yield* Db.metrics
        assert.deepStrictEqual(transactions, { committed: 0, rolledBack: 0, unknown: 2 })
      })))

  it.effect("ROLLBACK, RELEASE and the closing of a cursor: two seconds, although no limit is configured", () =>
    withFake({ pool: { size: 1 } }, ({ control }) =>
      Effect.gen(function*() {
        for (const silent of ["ROLLBACK", "ROLLBACK TO dblive_1", "RELEASE dblive_1"]) {
          control.execute.always(({ text }) => text === silent ? "never" : "ok")
          control.cancel.always("never")
          const fiber = yield* Effect.fork(
            Db.query("INSERT").pipe(
              Effect.zipRight(Effect.fail("no")),
              Db.transaction,
              Effect.ensuring(Effect.sync(() => control.execute.always("ok"))),
              Effect.zipLeft(Db.query("INSERT")),
              Db.transaction,
              Effect.exit
            )
          )
          yield* settle
          // The limit, then the cancel that leads nowhere.
          for (let i = 0; i < 8; i++) {
            yield* TestClock.adjust("1 second")
            yield* settle
          }
          assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)), silent)
        }
      })))

  it.effect("close: sessions that go on are cut, one that waits for its turn in a transaction too", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 2, closeTimeout: "10 seconds" } })
      control.execute.always(({ text }) => text === "stuck" ? "never" : "ok")
      control.cancel.always("never")
      control.close.always("never")
      const closing = yield* Effect.fork(
        Effect.gen(function*() {
          const running = yield* Effect.forkDaemon(Effect.flip(Db.session(Db.query("stuck"))))
          const single = yield* Effect.forkDaemon(Effect.flip(Db.query("stuck")))
          yield* settle
          return [running, single] as const
        }).pipe(Effect.provide(layer))
      )
      yield* settle
      yield* TestClock.adjust("10 seconds")
      yield* settle
      yield* TestClock.adjust("2 seconds")
      for (const fiber of yield* Fiber.join(closing)) {
        isTimeout(yield* Fiber.join(fiber), { phase: "Close", limitMillis: 10_000, outcome: "Unknown" })
      }
      assert.strictEqual(control.count.open, 0)
    }))

  it.effect("close: a transaction that is idle then was rolled back, and says so", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ pool: { size: 2, closeTimeout: "10 seconds" } })
      const gate = yield* Deferred.make<void>()
      const closing = yield* Effect.fork(
        Effect.gen(function*() {
          const idle = yield* Effect.forkDaemon(
            Effect.flip(Db.query("INSERT").pipe(Effect.zipRight(Deferred.await(gate)), Db.transaction))
          )
          yield* settle
          return idle
        }).pipe(Effect.provide(layer))
      )
      yield* settle
      yield* TestClock.adjust("12 seconds")
      yield* settle
      const idle = yield* Fiber.join(closing)
      yield* Deferred.succeed(gate, undefined)
      isTimeout(yield* Fiber.join(idle), { phase: "Close", limitMillis: 10_000, outcome: "RolledBack" })
    }))

  it.effect("connect: its failure is told when the wait is over and no connection was ever open", () =>
    withFake({ pool: { size: 1, acquireTimeout: "3 seconds" } }, ({ control }) =>
      Effect.gen(function*() {
        control.open.always({
          delay: "1 second",
          then: {
            fail: new TimeoutError({
              what: "no answer",
              phase: "Connect",
              outcome: "NotSent",
              database: "default",
              limitMillis: 1000
            })
          }
        })
        isTimeout(yield* failsAt(3000, Db.query("SELECT 1")), { phase: "Connect", limitMillis: 1000 })
        control.open.always({ fail: fakeErrors.refused })
        const refused = yield* failsAt(3000, Db.query("SELECT 1"))
        assert.deepInclude(refused, { _tag: "ConnectionError", reason: "Refused", outcome: "NotSent" })
      })))
})
