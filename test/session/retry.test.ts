/** What is run again, and when. On the fake driver; `test/retry/` has the schedules. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import { annotationsOf } from "../kit/annotations.js"
import { clockAt } from "../kit/clock.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { collectingTracer } from "../kit/spans.js"
import { settle } from "../time/settle.js"

const insert = Db.query("INSERT")

const inserts = (executed: ReadonlyArray<string>) => executed.filter((text) => text === "INSERT").length

describe("a retry", () => {
  it.effect("ends with the error of the last attempt when the schedule does", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.always(({ text }) => text === "INSERT" ? { fail: fakeErrors.deadlock } : "ok")
      yield* Effect.gen(function*() {
        assert.strictEqual(
          yield* Effect.flip(Db.transaction(insert, { retry: Schedule.recurs(2) })),
          fakeErrors.deadlock
        )
        assert.strictEqual(inserts(control.executed()), 3)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("is not waited for where it would begin at the deadline", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.always(({ text }) => text === "INSERT" ? { fail: fakeErrors.deadlock } : "ok")
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Effect.flip(Db.transaction(insert, { retry: Schedule.spaced("4 seconds") }).pipe(Db.withTimeout("8 seconds")))
        )
        yield* settle
        yield* TestClock.adjust("4 seconds")
        yield* settle
        assert.isNotNull(fiber.unsafePoll())
        assert.strictEqual(yield* Fiber.join(fiber), fakeErrors.deadlock)
        assert.strictEqual(inserts(control.executed()), 2)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("does not sleep where the schedule waits for nothing", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.next("ok", { fail: fakeErrors.deadlock })
      yield* Effect.gen(function*() {
        const clock = yield* Effect.clock
        let slept = 0
        yield* Db.transaction(insert, { retry: Schedule.recurs(1) }).pipe(
          Effect.withClock(clockAt(() => clock.unsafeCurrentTimeMillis(), () => Effect.sync(() => slept++)))
        )
        assert.strictEqual(slept, 0)
        assert.strictEqual(inserts(control.executed()), 2)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("of what is idempotent is one of transient failures, and of a COMMIT without an answer", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      yield* Effect.gen(function*() {
        const again = Db.retry(Db.transaction(insert), { idempotent: true, schedule: Schedule.recurs(1) })
        control.execute.next("ok", "ok", { fail: fakeErrors.lost })
        yield* again
        assert.strictEqual(inserts(control.executed()), 2)
        control.execute.next("ok", { fail: fakeErrors.unique })
        assert.strictEqual(yield* Effect.flip(again), fakeErrors.unique)
        assert.strictEqual(inserts(control.executed()), 3)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("goes on in a session whose connection is there, and on another database's loss", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.next("ok", { fail: fakeErrors.deadlock })
      yield* Db.session(Db.transaction(insert, { retry: Schedule.recurs(1) })).pipe(Effect.provide(layer))
      assert.strictEqual(inserts(control.executed()), 2)
    }))

  it.effect("says in the log that it is one, and for how long it waits; and on the span of its caller", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb()
      control.execute.next("ok", { fail: fakeErrors.deadlock })
      const logged: Array<Record<string, unknown>> = []
      const logger = Logger.make<unknown, void>((entry) => {
        logged.push({ message: String(entry.message), ...annotationsOf(entry) })
      })
      const { named, tracer } = collectingTracer()
      yield* Effect.gen(function*() {
        yield* Db.retry(Db.transaction(insert), Schedule.recurs(1)).pipe(
          Effect.withSpan("mine"),
          Effect.withTracer(tracer),
          Logger.withMinimumLogLevel(LogLevel.Debug),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
      }).pipe(Effect.provide(layer))
      const line = logged.find(({ message }) => message === "retrying")
      assert.deepInclude(line, { operation: "retry", attempt: 1, reason: "Deadlock", waitMillis: 0 })
      assert.deepInclude(named("mine")[0], { "dblive.retries": 1 })
    }))
})
