/** What a session does when its connection goes from under it, on the fake driver. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { TimeoutError } from "../../src/DbError.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors, type Step } from "../kit/fakeDriver.js"
import { settle } from "../time/settle.js"

/** Lets a second pass at a time until the fiber has ended. */
const passing = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.gen(function*() {
    for (let i = 0; i < 60 && fiber.unsafePoll() === null; i++) {
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
    }
    return yield* Fiber.join(fiber)
  })

describe("a transaction whose limit is noticed at COMMIT", () => {
  const commit = (step: Step, cancel: Step) =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.always(({ text }) => text === "COMMIT" ? step : "ok")
      control.cancel.always(cancel)
      return yield* Effect.gen(function*() {
        const slow = Db.query("SELECT 1").pipe(Db.transaction({ timeout: "1 second" }), Effect.flip)
        return yield* passing(yield* Effect.fork(slow))
      }).pipe(Effect.provide(layer))
    })

  it.effect("was rolled back by it, when the server says that COMMIT was stopped", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* commit("never", "ok"), {
        _tag: "TimeoutError",
        phase: "Transaction",
        outcome: "RolledBack",
        limitMillis: 1000
      })
    }))

  it.effect("may have been applied, when the server does not say it", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* commit("never", "never"), {
        _tag: "QueryError",
        reason: "CommitUnknown",
        outcome: "Unknown"
      })
    }))

  it.live("was rolled back by it, when COMMIT had not been sent", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      yield* Effect.gen(function*() {
        const body = Effect.zipRight(
          Db.query("SELECT 1"),
          // The event loop stands still, so that the limit is not noticed before the end.
          Effect.sync(() => {
            const until = Date.now() + 60
            while (Date.now() < until);
          })
        )
        for (
          const transaction of [
            body.pipe(Db.transaction({ timeout: "50 millis" })),
            body.pipe(Db.transaction, Db.withTimeout("50 millis")),
            body.pipe(Db.transaction, Db.withLimits({ transactionTimeout: "50 millis" }))
          ]
        ) {
          assert.deepInclude(yield* Effect.flip(transaction), {
            _tag: "TimeoutError",
            phase: "Transaction",
            outcome: "RolledBack",
            limitMillis: 50
          })
        }
        assert.notInclude(control.executed(), "COMMIT")
      }).pipe(Effect.provide(layer))
    }))
})

/** The answer comes after the limit, but before the cancel, which never comes: the connection is dropped. */
const late: Step = { delay: "3 seconds" }

describe("the only connection there can be", () => {
  it.effect("is no dead database because it is in use", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({}, { maxConnections: 1 })
      control.execute.always("never")
      yield* Effect.gen(function*() {
        yield* Effect.fork(Effect.zipRight(Db.query("SELECT 1"), Db.query("SELECT 2")).pipe(Db.transaction))
        yield* settle
        assert.isTrue(yield* Db.ping)
        assert.deepInclude(yield* passing(yield* Effect.fork(Db.health)), { status: "degraded", queryTest: true })
        control.loseAll()
        control.open.always({ fail: fakeErrors.refused })
        yield* settle
        assert.isFalse(yield* Db.ping)
      }).pipe(Effect.provide(layer))
    }))
})

describe("a transaction that is ended by hand while a statement of it runs", () => {
  it.effect("says so to the statement, with what became of it", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.always(({ text }) => text === "SELECT slow" ? "never" : "ok")
      yield* Effect.gen(function*() {
        const session = yield* Db.reserve
        yield* session.begin()
        const running = yield* Effect.fork(Effect.flip(session.use(Db.query("SELECT slow"))))
        const waiting = yield* Effect.fork(Effect.flip(session.use(Db.query("SELECT waiting"))))
        yield* settle
        yield* session.rollback
        const stopped = yield* Fiber.join(running)
        assert.deepInclude(stopped, { _tag: "ConnectionError", reason: "Closed", outcome: "RolledBack" })
        assert.include(stopped.message, "while a statement of it ran")
        assert.notInclude(stopped.message, "outlived")
        const refused = yield* Fiber.join(waiting)
        assert.deepInclude(refused, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
        assert.include(refused.message, "before a statement of it had its turn")
        assert.notInclude(refused.message, "outlived")
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))
})

describe("a session whose connection was dropped", () => {
  it.effect("does not go on with the end of a nested transaction", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.always(({ text }) => text.startsWith("ROLLBACK TO") ? late : "ok")
      control.cancel.always("never")
      yield* Effect.gen(function*() {
        const inner = Effect.zipRight(Db.query("SELECT 1"), Effect.fail("no")).pipe(Db.transaction)
        const outer = Effect.zipRight(Effect.ignore(inner), Db.query("SELECT 2")).pipe(Db.transaction, Effect.flip)
        assert.deepInclude(yield* passing(yield* Effect.fork(outer)), {
          _tag: "ConnectionError",
          reason: "Lost"
        })
        assert.notInclude(control.executed(), "RELEASE dblive_1")
        assert.notInclude(control.executed(), "COMMIT")
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("fails further statements, which were not sent", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ limits: { statementTimeout: "1 second" } })
      control.execute.next("never")
      control.cancel.always("never")
      yield* Effect.gen(function*() {
        const twice = Effect.zipRight(Effect.ignore(Db.query("SELECT 1")), Db.query("SELECT 2")).pipe(
          Db.session,
          Effect.flip
        )
        assert.deepInclude(yield* passing(yield* Effect.fork(twice)), {
          _tag: "ConnectionError",
          reason: "Lost",
          outcome: "NotSent"
        })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))
})

describe("a limit that the server keeps", () => {
  it.effect("is told as it was set, not as what was left of it", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.always({
        fail: new TimeoutError({
          what: "canceled",
          phase: "Statement",
          outcome: "RolledBack",
          database: "default",
          limitMillis: 219
        })
      })
      const error = yield* Db.query("SELECT 1").pipe(Db.withTimeout("220 millis"), Effect.flip, Effect.provide(layer))
      assert.deepInclude(error, { phase: "Statement", limitMillis: 220, outcome: "RolledBack" })
      assert.include(error.message, ": canceled (Statement timeout of 220 ms). ")
    }))
})

it.effect("a cursor that has the connection to itself is read to its end when the server has ended the transaction", () =>
  Effect.gen(function*() {
    const { control, layer, log } = yield* fakeDb({}, { interleaves: false })
    control.rows = () => Array.from({ length: 600 }, (_, id) => ({ id }))
    let refused: unknown = undefined
    let read = 0
    const body = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const pull = yield* Stream.toPull(sql`SELECT id FROM t`.stream)
      read += (yield* pull).length
      // As after a deadlock: nothing was sent meanwhile.
      Object.assign(control.connections[0]!, { transaction: "idle" })
      refused = (yield* Effect.flip(sql`INSERT INTO t VALUES (1)`)).cause
      read += (yield* pull).length
    })
    const end = yield* body.pipe(Effect.scoped, Db.transaction, Effect.flip, Effect.provide(layer))
    assert.include(String(refused), "has ended on the server")
    assert.deepInclude(end, { _tag: "QueryError", reason: "TransactionAborted", outcome: "RolledBack" })
    assert.strictEqual(read, 600)
    assert.lengthOf(log.filter(({ what }) => what === "fetch"), 2)
    assert.notInclude(control.executed(), "INSERT INTO t VALUES (1)")
  }))

it.effect("a cursor learns that nothing runs beside it, where its stream is in no session", () =>
  Effect.gen(function*() {
    const { control, layer, log } = yield* fakeDb({})
    control.rows = () => [{ id: 1 }]
    const read = Stream.runDrain(Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT id FROM t`.stream)))
    yield* Effect.zipRight(
      Effect.all([Db.session(read), Db.transaction(read)]),
      Effect.sync(() => assert.notInclude(log.map(({ what }) => what), "alone"))
    ).pipe(Effect.zipRight(read), Effect.provide(layer))
    assert.lengthOf(log.filter(({ what }) => what === "alone"), 1)
  }))

it.effect(
  "a driver that throws instead of answering loses its connection, and holds none",
  () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({})
      const thrown = new Error("thrown")
      yield* Effect.gen(function*() {
        for (const run of [Db.query("SELECT 2"), Db.session(Db.query("SELECT 2"))]) {
          yield* Db.query("SELECT 1")
          const connection = control.connections[0]!
          Object.assign(connection, {
            execute: () => {
              throw thrown
            }
          })
          const error = yield* Effect.flip(run)
          assert.deepInclude(error, { _tag: "QueryError", reason: "Unknown", outcome: "Unknown", cause: thrown })
          assert.notInclude(error.message, "thrown")
          assert.isTrue(connection.closed)
          assert.strictEqual((yield* Db.pool).inUse, 0)
        }
      }).pipe(Effect.provide(layer))
    }),
  5_000
)
