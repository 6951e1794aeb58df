/**
 * Contract 1 on the fake driver, under a clock of its own: whatever a server does (slow, refusing, silent, breaking) and
 * whenever fibers are interrupted: when nothing runs any more, nothing is in use, there are no waiters, and the full
 * capacity can be acquired.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import type { ConnectionError } from "../../src/DbError.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors, type Step } from "../kit/fakeDriver.js"
import { runStepped } from "../kit/steppedClock.js"

/**
 * Something a fiber does, when it begins, and when it is interrupted: at that moment (milliseconds), and so many steps of
 * the other fibers later.
 */
interface Actor {
  readonly kind: number
  readonly start: number
  readonly interruptAt: number
  readonly yields: number
}

interface Plan {
  readonly actors: ReadonlyArray<Actor>
  readonly open: ReadonlyArray<number>
  readonly execute: ReadonlyArray<number>
  readonly reset: ReadonlyArray<number>
  readonly cancel: ReadonlyArray<number>
  readonly ping: ReadonlyArray<number>
}

const step = (n: number): Step =>
  n < 12
    ? "ok"
    : n < 16
    ? { delay: Duration.millis(n * 7) }
    : n === 16
    ? { fail: fakeErrors.lost }
    : n === 17
    ? { fail: fakeErrors.serialization }
    : n === 18
    ? { delay: "3 seconds" }
    : "never"

const openStep = (n: number): Step<ConnectionError> =>
  n < 14 ? "ok" : n < 17 ? { delay: Duration.millis(n * 5) } : { fail: fakeErrors.refused }

const actors = 20

const interrupts = 10_000

const steps = fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 12 })

const plan: fc.Arbitrary<Plan> = fc.record({
  actors: fc.array(
    fc.record({
      kind: fc.integer({ min: 0, max: 5 }),
      start: fc.integer({ min: 0, max: 60 }),
      interruptAt: fc.integer({ min: 0, max: 400 }),
      yields: fc.integer({ min: 0, max: 40 })
    }),
    { minLength: actors, maxLength: actors }
  ),
  open: steps,
  execute: steps,
  reset: steps,
  cancel: steps,
  ping: steps
})

const work = (kind: number): Effect.Effect<unknown, unknown, Db> => {
  const one = Db.query("SELECT 1")
  switch (kind) {
    case 0:
      return one
    case 1:
      return Db.session(Effect.zipRight(one, one))
    case 2:
      return Effect.zipRight(one, one).pipe(Db.transaction)
    case 3:
      return Effect.zipRight(one, Effect.zipRight(Effect.sleep("20 millis"), one).pipe(Db.transaction)).pipe(
        Db.transaction
      )
    case 4:
      return Stream.runDrain(Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT 1`.stream)))
    default:
      return Effect.scoped(
        Effect.flatMap(Db.reserve, (session) => Effect.zipRight(session.begin(), session.sql`SET x = 1`))
      )
  }
}

const run = ({ actors, cancel, execute, open, ping, reset }: Plan, looking: { at: () => unknown }) =>
  Effect.gen(function*() {
    const { control, layer, log } = yield* fakeDb({
      pool: { size: 2, overflow: 1, acquireTimeout: "1 second", validateAfter: "50 millis" },
      limits: { statementTimeout: "1 second" }
    })
    looking.at = () => ({ count: control.count, tail: log.slice(-12) })
    control.open.next(...open.map(openStep))
    control.execute.next(...execute.map(step))
    control.reset.next(...reset.map(step))
    control.cancel.next(...cancel.map(step))
    control.ping.next(...ping.map(step))
    const program = Effect.gen(function*() {
      yield* Effect.forEach(actors, ({ interruptAt, kind, start, yields }) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(Effect.zipRight(Effect.sleep(Duration.millis(start)), work(kind)))
          yield* Effect.sleep(Duration.millis(interruptAt))
          yield* Effect.repeatN(Effect.yieldNow(), yields)
          yield* Fiber.interrupt(fiber)
        }), { concurrency: "unbounded" })
      assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0 })
      const { capacity } = yield* Db.pool
      const all = yield* Deferred.make<void>()
      let here = 0
      yield* Effect.forEach(
        Array.from({ length: capacity }),
        () =>
          Effect.eventually(Db.session(Effect.suspend(() => {
            here++
            return here === capacity ? Deferred.succeed(all, undefined) : Deferred.await(all)
          }))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(here, capacity)
      assert.strictEqual((yield* Db.metrics).sessions.active, 0)
    })
    yield* Effect.provide(program, layer)
    assert.deepStrictEqual(control.violations, [])
    assert.strictEqual(control.count.open, 0)
  })

describe("leaks", () => {
  it(`none on the fake driver after ${interrupts} interrupts`, async () => {
    const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
    console.log(`leaks on the fake driver: DBLIVE_SEED=${seed}`)
    const property = fc.asyncProperty(plan, (plan) => {
      const looking = { at: (): unknown => "not begun" }
      return runStepped(run(plan, looking), () => looking.at())
    })
    // Shrinking a history of thousands of steps takes long and says little: the seed runs the same one again.
    await fc.assert(property, { seed, numRuns: interrupts / actors, endOnFailure: true })
  }, 120_000)
})
