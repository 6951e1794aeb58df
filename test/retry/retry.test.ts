/** Contract 5: only what was not applied and may succeed is run again, as often as the schedule says. By TestClock. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import { ConnectionError, QueryError, TimeoutError } from "../../src/DbError.js"
import * as DbRetry from "../../src/DbRetry.js"
import { initialState, nextStep } from "../../src/internal/effect/schedule.js"
import { annotationsOf } from "../kit/annotations.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors } from "../kit/fakeDriver.js"
import { collectingTracer } from "../kit/spans.js"
import { settle } from "../time/settle.js"

const commits = (executed: ReadonlyArray<string>) => executed.filter((text) => text === "COMMIT").length
const inserts = (executed: ReadonlyArray<string>) => executed.filter((text) => text === "INSERT").length

/** Runs it, letting the clock go on until it has ended. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    for (;;) {
      yield* settle
      const ended = yield* Fiber.poll(fiber)
      if (Option.isSome(ended)) {
        return ended.value
      }
      yield* TestClock.adjust("100 millis")
    }
  })

describe("schedules", () => {
  /** The waits between attempts that all fail so; at most 30. */
  const waitsOf = (schedule: Schedule.Schedule<unknown, DbError>, error: DbError) =>
    Effect.gen(function*() {
      const waits: Array<number> = []
      let now = 0
      let state = initialState(schedule)
      while (waits.length < 30) {
        const step = yield* nextStep(schedule, now, error, state)
        if (step === undefined) {
          break
        }
        waits.push(step.waitMillis)
        now += step.waitMillis
        state = step.state
      }
      return waits
    })

  it.effect("classic: 3 attempts, exponential from 4 s, at most 10 s", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 50; i++) {
        const waits = yield* waitsOf(DbRetry.classic, fakeErrors.serialization)
        assert.lengthOf(waits, 2)
        assert.isTrue(waits[0]! >= 4000 && waits[0]! <= 5000, `${waits}`)
        assert.isTrue(waits[1]! >= 7500 && waits[1]! <= 10_000, `${waits}`)
      }
    }))

  it.effect("attempts: as many as it says, each wait doubled up to the cap, jittered", () =>
    Effect.gen(function*() {
      const waits = yield* waitsOf(DbRetry.attempts(6, "100 millis", "500 millis"), fakeErrors.serialization)
      assert.lengthOf(waits, 5)
      for (const [i, base] of [100, 200, 400, 500, 500].entries()) {
        assert.isTrue(waits[i]! >= Math.max(base * 0.75, 100) && waits[i]! <= Math.min(base * 1.25, 500), `${waits}`)
      }
      const capped = yield* waitsOf(DbRetry.attempts(9, 100, 500), fakeErrors.lost)
      assert.isAbove(new Set(capped.slice(3).map(Math.round)).size, 2)
      assert.lengthOf(yield* waitsOf(DbRetry.attempts(1, "1 second", "1 second"), fakeErrors.lost), 0)
    }))

  it.effect("conflicts: serialization failures, deadlocks and lock conflicts, nothing else", () =>
    Effect.gen(function*() {
      assert.lengthOf(yield* waitsOf(DbRetry.conflicts, fakeErrors.deadlock), 9)
      for (const error of [fakeErrors.refused, fakeErrors.lost, fakeErrors.unique]) {
        assert.lengthOf(yield* waitsOf(DbRetry.conflicts, error), 0)
      }
    }))

  it.effect("connection: up to a second apart, without an end of its own", () =>
    Effect.gen(function*() {
      const waits = yield* waitsOf(DbRetry.connection, fakeErrors.refused)
      assert.lengthOf(waits, 30)
      assert.isAtMost(Math.max(...waits), 1000)
      assert.isTrue(waits[0]! >= 50 && waits[0]! <= 62.5, `${waits}`)
    }))
})

describe("Db.transaction({ retry })", () => {
  const insert = Db.query("INSERT")

  it.effect("runs the whole again, on another connection where the first was lost", () =>
    Effect.gen(function*() {
      const { control, layer, log } = yield* fakeDb({ pool: { size: 1 } })
      const rolledBack = new ConnectionError({ ...fakeErrors.lost, what: "lost", outcome: "RolledBack" })
      control.execute.next("ok", { fail: fakeErrors.serialization })
      yield* Effect.gen(function*() {
        const program = insert.pipe(Db.transaction({ retry: DbRetry.transient }))
        const exit = yield* timed(program)
        assert.strictEqual(exit._tag, "Success")
        assert.deepStrictEqual(control.executed(), ["BEGIN", "INSERT", "ROLLBACK", "BEGIN", "INSERT", "COMMIT"])
        control.execute.next("ok", { fail: rolledBack })
        assert.strictEqual((yield* timed(program))._tag, "Success")
        assert.strictEqual(new Set(log.filter((_) => _.what === "execute").map((_) => _.connection)).size, 2)
        const metrics = yield* Db.metrics
        assert.strictEqual(metrics.retries, 2)
        assert.deepStrictEqual(metrics.transactions, { committed: 2, rolledBack: 2, unknown: 0 })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(control.violations, [])
    }))

  it.effect("retries exactly as often as the schedule says, and counts what the server saw", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.execute.always(({ text }) => text === "INSERT" ? { fail: fakeErrors.deadlock } : "ok")
      yield* Effect.gen(function*() {
        const exit = yield* timed(insert.pipe(Db.transaction({ retry: DbRetry.attempts(4, "10 millis", "20 millis") })))
        assert.strictEqual(exit._tag, "Failure")
        assert.strictEqual(inserts(control.executed()), 4)
        assert.strictEqual((yield* Db.metrics).retries, 3)
      }).pipe(Effect.provide(layer))
    }))

  const once: ReadonlyArray<readonly [string, DbError]> = [
    ["an outcome that is unknown", fakeErrors.lost],
    ["a violation", fakeErrors.unique],
    [
      "a statement that ran too long",
      new TimeoutError({
        what: "slow",
        phase: "Statement",
        outcome: "RolledBack",
        database: "default",
        limitMillis: 1
      })
    ],
    ["a refused password", fakeErrors.authentication],
    [
      "a COMMIT without an answer",
      new QueryError({ what: "lost", reason: "CommitUnknown", outcome: "Unknown", database: "default" })
    ]
  ]
  for (const [what, error] of once) {
    it.effect(`does not retry ${what}`, () =>
      Effect.gen(function*() {
        const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
        control.execute.next("ok", { fail: error })
        yield* Effect.gen(function*() {
          const exit = yield* timed(insert.pipe(Db.transaction({ retry: DbRetry.transient })))
          assert.strictEqual(exit._tag, "Failure")
          assert.strictEqual(inserts(control.executed()), 1)
          assert.strictEqual((yield* Db.metrics).retries, 0)
        }).pipe(Effect.provide(layer))
      }))
  }

  it.effect("does not retry a COMMIT that was sent and lost, whatever the schedule says", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.execute.always(({ text }) => text === "COMMIT" ? { fail: fakeErrors.lost } : "ok")
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(insert.pipe(Db.transaction({ retry: Schedule.forever })))
        assert.deepInclude(error, { _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
        assert.strictEqual(commits(control.executed()), 1)
        assert.deepStrictEqual((yield* Db.metrics).transactions, { committed: 0, rolledBack: 0, unknown: 1 })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("never inside an open transaction: only the outermost is run again", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      let failures = 2
      control.execute.always(({ text }) =>
        text === "INSERT" && failures-- > 0 ? { fail: fakeErrors.serialization } : "ok"
      )
      yield* Effect.gen(function*() {
        const retry = DbRetry.attempts(5, "10 millis", "20 millis")
        const nested = insert.pipe(Db.transaction({ retry }), Db.retry(retry))
        const exit = yield* timed(nested.pipe(Db.transaction({ retry })))
        assert.strictEqual(exit._tag, "Success")
        const texts = control.executed()
        assert.strictEqual(texts.filter((text) => text === "BEGIN").length, 3)
        // Of each attempt one savepoint: it was not repeated within.
        assert.strictEqual(texts.filter((text) => text.startsWith("SAVEPOINT")).length, 3)
        assert.strictEqual((yield* Db.metrics).retries, 2)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("does not go on in a session whose connection is lost", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      const rolledBack = new ConnectionError({ ...fakeErrors.lost, what: "lost", outcome: "RolledBack" })
      control.execute.next("ok", { fail: rolledBack })
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(
          insert.pipe(Db.transaction({ retry: DbRetry.transient }), Db.retry, Db.session)
        )
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Lost", outcome: "RolledBack" })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("begins no attempt that could not begin before the deadline, and does not wait for it", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.execute.always(({ text }) => text === "INSERT" ? { fail: fakeErrors.deadlock } : "ok")
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          insert.pipe(
            Db.transaction({ retry: Schedule.spaced("4 seconds") }),
            Db.withTimeout("9 seconds"),
            Effect.flip
          )
        )
        yield* settle
        yield* TestClock.adjust("4 seconds")
        yield* settle
        yield* TestClock.adjust("4 seconds")
        yield* settle
        // The third attempt failed at 8 s; the next one would begin at 12 s.
        const ended = yield* Fiber.poll(fiber)
        assert.isTrue(Option.isSome(ended))
        assert.deepInclude(yield* Fiber.join(fiber), { _tag: "QueryError", reason: "Deadlock" })
        assert.strictEqual(inserts(control.executed()), 3)
      }).pipe(Effect.provide(layer))
    }))
})

describe("Db.retry", () => {
  it.effect("runs an idempotent effect again, also when its outcome is unknown", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.execute.next({ fail: fakeErrors.lost }, "ok", "ok", { fail: fakeErrors.lost })
      yield* Effect.gen(function*() {
        const upsert = Db.query("UPSERT").pipe(
          Effect.zipRight(Db.query("UPSERT 2").pipe(Db.transaction)),
          Db.retry({ idempotent: true })
        )
        const exit = yield* timed(upsert)
        assert.strictEqual(exit._tag, "Success")
        assert.strictEqual((yield* Db.metrics).retries, 2)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("takes a transaction as it is, and leaves its unknown outcomes alone", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      control.execute.next("ok", { fail: fakeErrors.serialization }, "ok", "ok", "ok", { fail: fakeErrors.lost })
      yield* Effect.gen(function*() {
        const exit = yield* timed(Effect.flip(Db.query("INSERT").pipe(Db.transaction, Db.retry(DbRetry.transient))))
        assert(exit._tag === "Success")
        assert.deepInclude(exit.value, { reason: "CommitUnknown", outcome: "Unknown" })
        assert.strictEqual((yield* Db.metrics).retries, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("leaves failures of others alone", () =>
    Effect.gen(function*() {
      const { layer } = yield* fakeDb()
      let runs = 0
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(
          Effect.suspend(() => {
            runs++
            return Effect.fail("mine" as const)
          }).pipe(Db.retry({ idempotent: true }))
        )
        assert.strictEqual(error, "mine")
        assert.strictEqual(runs, 1)
      }).pipe(Effect.provide(layer))
    }))
})

describe("retries in the log, on spans and in metrics", () => {
  it.effect("in the log, at debug, with attempt and reason; and on the span", () =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({ pool: { size: 1 } })
      const logged: Array<{ readonly level: string; readonly message: string; readonly annotations: unknown }> = []
      const logger = Logger.make<unknown, void>((entry) => {
        logged.push({
          level: entry.logLevel.label,
          message: String(entry.message),
          annotations: annotationsOf(entry)
        })
      })
      const { named, tracer } = collectingTracer()
      control.execute.next("ok", { fail: fakeErrors.deadlock }, "ok", "ok", { fail: fakeErrors.serialization })
      yield* Effect.gen(function*() {
        yield* timed(
          Db.query("INSERT").pipe(
            Db.transaction({ retry: DbRetry.transient }),
            Effect.withTracer(tracer),
            Logger.withMinimumLogLevel(LogLevel.Debug),
            Effect.provide(Logger.replace(Logger.defaultLogger, logger))
          )
        )
        yield* Effect.provide(
          timed(
            Db.query("INSERT").pipe(
              Db.transaction,
              Db.retry,
              Effect.withSpan("mine"),
              Effect.withTracer(tracer)
            )
          ),
          Logger.replace(Logger.defaultLogger, logger)
        )
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        logged.filter(({ message }) => message === "retrying").map(({ annotations, level, message }) => {
          const { attempt, database, outcome, reason } = annotations as Record<string, unknown>
          return { level, message, attempt, database, outcome, reason }
        }),
        [
          {
            level: "DEBUG",
            message: "retrying",
            attempt: 1,
            database: "default",
            outcome: "RolledBack",
            reason: "Deadlock"
          }
        ].concat({
          level: "DEBUG",
          message: "retrying",
          attempt: 2,
          database: "default",
          outcome: "RolledBack",
          reason: "Serialization"
        })
      )
      assert.strictEqual(named("db.transaction")[0]!["dblive.retries"], 2)
    }))
})
