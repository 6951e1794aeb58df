/** What is known of a COMMIT: its answer, what the database says of it afterwards, and what an interrupt changes. On the fake driver. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import type { CommitStatus, Driver } from "../../src/driver/Driver.js"
import { annotationsOf } from "../kit/annotations.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { settle } from "../time/settle.js"

const insert = Db.query("INSERT")
const resolving = Db.transaction(insert, { resolveCommit: true })
const transactions = Effect.map(Db.metrics, (metrics) => metrics.transactions)

/** A database that is asked what became of a transaction, and what it was asked. */
const asked = (status: CommitStatus, overrides: Partial<Driver> = {}) =>
  Effect.gen(function*() {
    const questions: Array<string> = []
    const fake = yield* fakeDb({}, {
      overrides: {
        transactionId: "SELECT id",
        commitStatus: (_, id, done) => {
          questions.push(id)
          done(undefined, status)
        },
        ...overrides
      }
    })
    fake.control.rows = ({ text }) => text === "SELECT id" ? [{ id: 42 }] : []
    return { ...fake, questions }
  })

describe("resolveCommit", () => {
  const lost = { fail: fakeErrors.lost } as const

  it.effect("asks nothing of a COMMIT that is answered", () =>
    Effect.gen(function*() {
      const { control, layer, questions } = yield* asked("committed")
      yield* Effect.gen(function*() {
        yield* resolving
        control.execute.next("ok", "ok", "ok", { fail: fakeErrors.serialization })
        assert.strictEqual(yield* Effect.flip(resolving), fakeErrors.serialization)
        assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 1, unknown: 0 })
        // Without it, and of a nested one, not even for the id.
        yield* Db.transaction(Effect.zipRight(insert, resolving))
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(questions, [])
      assert.strictEqual(control.executed().filter((text) => text === "SELECT id").length, 2)
    }))

  it.effect("is a success where the database says that it was committed", () =>
    Effect.gen(function*() {
      const { control, layer, questions } = yield* asked("committed")
      control.execute.next("ok", "ok", "ok", lost)
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* resolving, [])
        assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 0, unknown: 0 })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(questions, ["42"])
    }))

  it.effect("is a failure that may be tried again where it says that it was rolled back", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* asked("rolled back")
      control.execute.next("ok", "ok", "ok", lost)
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(resolving)
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Lost", outcome: "RolledBack" })
        assert.include(error.message, "the server says that the transaction was rolled back")
        assert.strictEqual(error.cause, fakeErrors.lost)
        assert.deepStrictEqual(yield* transactions, { committed: 0, rolledBack: 1, unknown: 0 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("is an unknown outcome where it cannot say", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* asked("unknown")
      control.execute.next("ok", "ok", "ok", lost)
      yield* Effect.gen(function*() {
        assert.deepInclude(yield* Effect.flip(resolving), { reason: "CommitUnknown", outcome: "Unknown" })
        assert.deepStrictEqual(yield* transactions, { committed: 0, rolledBack: 0, unknown: 1 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("was rolled back where the connection was lost before COMMIT was sent", () =>
    Effect.gen(function*() {
      const { control, layer, questions } = yield* asked("unknown")
      control.execute.next("ok", "ok", lost)
      yield* Effect.gen(function*() {
        assert.deepInclude(yield* Effect.flip(resolving), { reason: "Lost", outcome: "RolledBack" })
        assert.deepStrictEqual(yield* transactions, { committed: 0, rolledBack: 1, unknown: 0 })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(questions, [])
      assert.notInclude(control.executed(), "COMMIT")
    }))

  it.effect("asks nothing of a nested transaction whose end got no answer", () =>
    Effect.gen(function*() {
      const { control, layer, questions } = yield* asked("committed")
      control.execute.always(({ text }) => text.startsWith("RELEASE") ? lost : "ok")
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Db.transaction(Effect.flip(resolving)))
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Lost" })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(questions, [])
    }))

  it.effect("keeps the transaction's deadline", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* asked("unknown")
      control.execute.always(({ text }) => text === "COMMIT" ? "never" : "ok")
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Effect.flip(Db.transaction(insert, { resolveCommit: true, timeout: "1 second" }))
        )
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepInclude(yield* Fiber.join(fiber), { phase: "Transaction", outcome: "RolledBack" })
      }).pipe(Effect.provide(layer))
    }))

  const unable: ReadonlyArray<readonly [string, Partial<Driver>]> = [
    ["tell", { commitStatus: undefined }],
    ["name a transaction", { transactionId: undefined }]
  ]
  for (const [what, overrides] of unable) {
    it.effect(`is refused of a database that cannot ${what}, unless it answers every COMMIT`, () =>
      Effect.gen(function*() {
        const { control, layer } = yield* asked("committed", overrides)
        yield* Effect.gen(function*() {
          const error = yield* Effect.flip(resolving)
          assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
          assert.include(error.message, "cannot tell what became of a transaction")
          assert.deepStrictEqual(control.executed(), [])
          yield* Db.transaction(insert)
        }).pipe(Effect.provide(layer))
        const answering = yield* asked("committed", { ...overrides, answersCommits: true })
        yield* resolving.pipe(Effect.provide(answering.layer))
        assert.deepStrictEqual(answering.control.executed(), ["BEGIN", "INSERT", "COMMIT"])
      }))
  }

  it.effect("asks nothing of a database that answers every COMMIT", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* asked("committed", { answersCommits: true })
      yield* resolving.pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.executed(), ["BEGIN", "INSERT", "COMMIT"])
    }))
})

describe("a COMMIT that fails", () => {
  it.effect("leaves no haste to the transaction behind it", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.next("ok", "ok", { fail: fakeErrors.serialization })
      yield* Effect.gen(function*() {
        assert.strictEqual(yield* Effect.flip(Db.transaction(insert)), fakeErrors.serialization)
        yield* TestClock.adjust("3 seconds")
        // Its BEGIN is sent apart from its first statement.
        const stream = Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT 1`.stream))
        yield* Db.transaction(Stream.runDrain(stream))
      }).pipe(Db.session, Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))
})

describe("a ROLLBACK by hand that fails", () => {
  it.effect("is none of the program's: the server undoes what was done with the connection", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.next("ok", "ok", { fail: fakeErrors.unique })
      yield* Effect.gen(function*() {
        const session = yield* Db.reserve
        yield* session.begin()
        yield* session.use(insert)
        yield* session.rollback
        assert.isTrue(control.connections.every(({ closed }) => closed))
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))
})

describe("the audit", () => {
  it.effect("writes down how each transaction has ended, nested ones too", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb({ log: { audit: true } })
      const logged: Array<Record<string, unknown>> = []
      const logger = Logger.make<unknown, void>((entry) => {
        logged.push({ message: String(entry.message), ...annotationsOf(entry) })
      })
      yield* Db.transaction(Effect.zipRight(insert, Effect.ignore(Db.transaction(Effect.fail("no"))))).pipe(
        Effect.provide(layer),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.deepStrictEqual(
        logged.filter(({ operation }) => operation === "transaction").map(({ message, result }) => [message, result]),
        [["nested transaction", "rolled_back"], ["transaction", "committed"]]
      )
    }))
})

describe("an interrupt at COMMIT", () => {
  const atCommit = Effect.gen(function*() {
    const fake = yield* fakeDb()
    const gate = yield* Deferred.make<void>()
    fake.control.execute.always(({ text }) => text === "COMMIT" ? { after: Deferred.await(gate) } : "ok")
    return { ...fake, gate }
  })

  it.effect("waits for the answer, and does not stop it", () =>
    Effect.gen(function*() {
      const { control, gate, layer, log } = yield* atCommit
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(Db.transaction(insert))
        yield* settle
        const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* settle
        yield* TestClock.adjust("1999 millis")
        yield* settle
        assert.isNull(interrupted.unsafePoll())
        yield* Deferred.succeed(gate, undefined)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupted)))
        assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 0, unknown: 0 })
      }).pipe(Effect.provide(layer))
      assert.notInclude(log.map(({ what }) => what), "cancel")
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("is all that is told where it fails after that", () =>
    Effect.gen(function*() {
      const { layer } = yield* atCommit
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(Db.transaction(insert))
        yield* settle
        const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* settle
        yield* TestClock.adjust("2 seconds")
        yield* settle
        const exit = yield* Fiber.join(interrupted)
        assert.isTrue(exit._tag === "Failure" && Cause.isInterruptedOnly(exit.cause))
      }).pipe(Effect.provide(layer))
    }))

  it.effect("waits two seconds for it, and then for what a cancel makes of it", () =>
    Effect.gen(function*() {
      const { control, layer, log } = yield* atCommit
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(Db.transaction(insert))
        yield* settle
        const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* settle
        yield* TestClock.adjust("2 seconds")
        yield* settle
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupted)))
        assert.deepStrictEqual(yield* transactions, { committed: 0, rolledBack: 1, unknown: 0 })
      }).pipe(Effect.provide(layer))
      assert.include(log.map(({ what }) => what), "cancel")
      assert.deepStrictEqual(control.violations, [])
    }))
})
