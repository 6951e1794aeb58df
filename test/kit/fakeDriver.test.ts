import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { Connection, Cursor, Done, Request } from "../../src/driver/Driver.js"
import { fakeErrors, makeFakeDriver } from "./fakeDriver.js"

const request = (text: string, begin?: string): Request => ({
  text,
  begin,
  params: [],
  mode: "rows",
  prepare: true,
  statementTimeout: undefined,
  lockTimeout: undefined,
  safeIntegers: false
})

const call = <A>(f: (done: Done<A>) => void) =>
  Effect.async<A, unknown>((resume) =>
    f((error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
  )

const run = (connection: Connection, text: string, begin?: string) =>
  call<unknown>((done) => connection.execute(request(text, begin), done))

describe("makeFakeDriver", () => {
  it.effect("keeps the transaction as a server does", () =>
    Effect.gen(function*() {
      const { control, driver } = yield* makeFakeDriver()
      control.rows = ({ text }) => [{ text }]
      const connection = yield* driver.open
      assert.deepStrictEqual(yield* run(connection, "SELECT 1", "BEGIN"), [{ text: "SELECT 1" }])
      assert.strictEqual(connection.transaction, "open")
      yield* run(connection, "SAVEPOINT a")
      control.execute.next({ fail: fakeErrors.unique })
      assert.strictEqual(yield* Effect.flip(run(connection, "INSERT")), fakeErrors.unique)
      assert.strictEqual(connection.transaction, "failed")
      assert.propertyVal(yield* Effect.flip(run(connection, "SELECT 2")), "reason", "TransactionAborted")
      yield* run(connection, "ROLLBACK TO a")
      assert.strictEqual(connection.transaction, "open")
      control.execute.next({ fail: fakeErrors.unique })
      yield* Effect.flip(run(connection, "INSERT"))
      assert.propertyVal(yield* Effect.flip(run(connection, "COMMIT")), "reason", "TransactionAborted")
      assert.strictEqual(connection.transaction, "idle")
      assert.deepStrictEqual(
        control.executed(),
        ["BEGIN", "SELECT 1", "SAVEPOINT a", "INSERT", "SELECT 2", "ROLLBACK TO a", "INSERT", "COMMIT"]
      )
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("does not run the statement whose BEGIN failed", () =>
    Effect.gen(function*() {
      const { control, driver } = yield* makeFakeDriver()
      const connection = yield* driver.open
      control.execute.next({ fail: fakeErrors.serialization })
      assert.strictEqual(yield* Effect.flip(run(connection, "SELECT 1", "BEGIN")), fakeErrors.serialization)
      assert.deepStrictEqual(control.executed(), ["BEGIN"])
    }))

  it.effect("waits by the clock, for a latch, or for ever", () =>
    Effect.gen(function*() {
      const { control, driver } = yield* makeFakeDriver()
      control.open.next({ delay: "3 seconds" }, { delay: "1 second", then: { fail: fakeErrors.refused } })
      const slow = yield* Effect.fork(driver.open)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(control.count.opening, 1)
      yield* TestClock.adjust("1 second")
      const connection = yield* Fiber.join(slow)
      const refused = yield* Effect.fork(Effect.flip(driver.open))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(refused), fakeErrors.refused)

      const latch = yield* Deferred.make<void>()
      control.execute.next({ after: Deferred.await(latch) }, "never")
      const waiting = yield* Effect.fork(run(connection, "SELECT 1"))
      yield* Effect.yieldNow()
      assert.propertyVal(control.connections[0], "running", "SELECT 1")
      yield* Deferred.succeed(latch, undefined)
      assert.deepStrictEqual(yield* Fiber.join(waiting), [])

      const never = yield* Effect.fork(Effect.flip(run(connection, "SELECT 2")))
      yield* Effect.yieldNow()
      yield* call<void>((done) => connection.cancel(done))
      assert.propertyVal(yield* Fiber.join(never), "code", "57014")
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("forgets an opening that is interrupted at any time", () =>
    Effect.gen(function*() {
      const { control, driver } = yield* makeFakeDriver()
      control.open.next("never", { delay: "1 second" })
      for (let i = 0; i < 3; i++) {
        const fiber = yield* Effect.fork(driver.open)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(control.count.opening, 0)
      assert.strictEqual(control.count.open, 0)
    }))

  it.effect("loses its connections", () =>
    Effect.gen(function*() {
      const { control, driver, log } = yield* makeFakeDriver()
      const idle = yield* driver.open
      const busy = yield* driver.open
      const lost: Array<string> = []
      idle.onLost = (error) => lost.push(`idle ${error.reason}`)
      busy.onLost = (error) => lost.push(`busy ${error.reason}`)
      control.execute.next("never")
      const running = yield* Effect.fork(Effect.flip(run(busy, "SELECT 1")))
      yield* Effect.yieldNow()
      control.loseAll()
      assert.propertyVal(yield* Fiber.join(running), "reason", "Lost")
      assert.deepStrictEqual(lost, ["idle Lost", "busy Lost"])
      assert.propertyVal(yield* Effect.flip(run(idle, "SELECT 1")), "outcome", "NotSent")
      assert.strictEqual(control.count.open, 2)
      yield* call<void>((done) => idle.close(done))
      busy.destroy()
      assert.deepStrictEqual({ ...control.count }, { opening: 0, open: 0, most: 2, opened: 2, closed: 2 })
      assert.deepStrictEqual(log.slice(-2).map(({ what }) => what), ["close", "destroy"])
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("streams, and reports breaches of the contract", () =>
    Effect.gen(function*() {
      const { control, driver } = yield* makeFakeDriver()
      control.rows = () => [1, 2, 3]
      const connection = yield* driver.open
      const cursor = yield* call<Cursor>((done) => connection.openCursor(request("SELECT n"), done))
      const fetch = call<{ readonly rows: ReadonlyArray<unknown>; readonly done: boolean }>((done) =>
        cursor.fetch(2, done)
      )
      assert.deepStrictEqual(yield* fetch, { rows: [1, 2], done: false })
      assert.deepStrictEqual(yield* fetch, { rows: [3], done: true })
      const two = yield* Effect.exit(Effect.all([run(connection, "a"), run(connection, "b")], { concurrency: 2 }))
      assert.isTrue(Exit.isSuccess(two))
      assert.deepStrictEqual(control.violations, [`connection 1: b while "a" was running`])
    }))

  it("answers at once where it is synchronous", () => {
    const { control, driver } = Effect.runSync(makeFakeDriver({ synchronous: true }))
    const connection = Effect.runSync(driver.open)
    control.execute.next("ok", { fail: fakeErrors.deadlock })
    assert.deepStrictEqual(Effect.runSync(run(connection, "SELECT 1")), [])
    assert.strictEqual(Effect.runSync(Effect.flip(run(connection, "SELECT 1"))), fakeErrors.deadlock)
    assert.isTrue(driver.capabilities.synchronous)
  })
})
