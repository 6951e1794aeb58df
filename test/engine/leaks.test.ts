/**
 * Contract 1 on the fake driver, under TestClock: whatever a server does (slow, refusing, silent, breaking) and whenever
 * fibers are interrupted, when nothing runs any more nothing is in use, nobody waits, and the full capacity can be lent.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import type { ConnectionError } from "../../src/DbError.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors, type Step } from "../kit/fakeDriver.js"

/** Something a fiber does, when it begins, and when it is interrupted (milliseconds). */
interface Actor {
  readonly kind: number
  readonly start: number
  readonly interruptAt: number
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

const steps = fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 12 })

const plan: fc.Arbitrary<Plan> = fc.record({
  actors: fc.array(
    fc.record({
      kind: fc.integer({ min: 0, max: 5 }),
      start: fc.integer({ min: 0, max: 60 }),
      interruptAt: fc.integer({ min: 0, max: 400 })
    }),
    { minLength: 12, maxLength: 24 }
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
      return Effect.zipRight(one, one).pipe(Db.transaction())
    case 3:
      return Effect.zipRight(one, Effect.zipRight(Effect.sleep("20 millis"), one).pipe(Db.transaction())).pipe(
        Db.transaction()
      )
    case 4:
      return Stream.runDrain(Stream.unwrap(Effect.map(Db.sql, (sql) => sql`SELECT 1`.stream)))
    default:
      return Effect.scoped(
        Effect.flatMap(Db.scoped, (session) => Effect.zipRight(session.begin(), session.sql`SET x = 1`))
      )
  }
}

const settle = Effect.repeatN(Effect.yieldNow(), 10)

/** Lets time pass until the fiber has ended; a fiber that does not end within two minutes hangs. */
const passTime = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, state: () => unknown) =>
  Effect.gen(function*() {
    for (let i = 0; i < 600; i++) {
      if (Option.isSome(yield* Fiber.poll(fiber))) {
        return yield* Fiber.join(fiber)
      }
      yield* settle
      yield* TestClock.adjust("200 millis")
    }
    return yield* Effect.dieMessage(`hangs: ${JSON.stringify(state())}`)
  })

const run = ({ actors, cancel, execute, open, ping, reset }: Plan) =>
  Effect.gen(function*() {
    const { control, layer, log } = yield* fakeDb({
      pool: { size: 2, overflow: 1, acquireTimeout: "1 second", validateAfter: "50 millis" },
      limits: { statementTimeout: "1 second" }
    })
    control.open.next(...open.map(openStep))
    control.execute.next(...execute.map(step))
    control.reset.next(...reset.map(step))
    control.cancel.next(...cancel.map(step))
    control.ping.next(...ping.map(step))
    const program = Effect.gen(function*() {
      yield* Effect.forEach(actors, ({ interruptAt, kind, start }) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(Effect.zipRight(Effect.sleep(Duration.millis(start)), work(kind)))
          yield* Effect.sleep(Duration.millis(interruptAt))
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
    yield* passTime(
      yield* Effect.fork(Effect.provide(program, layer)),
      () => ({ count: control.count, tail: log.slice(-12) })
    )
    assert.deepStrictEqual(control.violations, [])
    assert.strictEqual(control.count.open, 0)
  }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext))

describe("leaks", () => {
  it.effect("none on the fake driver after 2,000 interrupts under TestClock", () =>
    Effect.promise(async () => {
      const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
      console.log(`leaks on the fake driver: DBLIVE_SEED=${seed}`)
      await fc.assert(fc.asyncProperty(plan, (plan) => Effect.runPromise(run(plan))), { seed, numRuns: 120 })
    }), 180_000)
})
