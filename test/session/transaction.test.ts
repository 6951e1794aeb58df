/** Sessions and transactions around an effect: what they ask for, how they end, and what is told of it. On the fake driver. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { fakeDb } from "../kit/fakeDb.js"
import { fakeErrors, type FakeOptions, type Step } from "../kit/fakeDriver.js"
import { collectingTracer } from "../kit/spans.js"
import { settle } from "../time/settle.js"

type Fake = Effect.Effect.Success<ReturnType<typeof fakeDb>>

/** Runs on a database of the fake driver, and looks whether its contract was kept. */
const onFake = <A, E>(
  body: (fake: Fake) => Effect.Effect<A, E, Db | SqlClient.SqlClient | Scope.Scope>,
  { fake = {}, ...options }: DbConfig.Options & { readonly fake?: FakeOptions } = {}
) =>
  Effect.gen(function*() {
    const made = yield* fakeDb(options, fake)
    yield* body(made).pipe(Effect.scoped, Effect.provide(made.layer))
    assert.deepStrictEqual(made.control.violations, [])
    assert.strictEqual(made.control.count.open, 0)
  })

const insert = Db.query("INSERT")

const transactions = Effect.map(Db.metrics, (metrics) => metrics.transactions)

/** A transaction whose fiber is interrupted while its COMMIT is under way, which ends by this step afterwards. */
const interruptedAtCommit = (then: Step) => ({ control }: Fake): Effect.Effect<unknown, unknown, Db> => {
  const gate = Deferred.unsafeMake<void>(FiberId.none)
  control.execute.next("ok", "ok", { after: Deferred.await(gate), then })
  return Effect.gen(function*() {
    const fiber = yield* Effect.fork(Db.transaction(insert))
    yield* settle
    const interrupted = yield* Effect.fork(Fiber.interrupt(fiber))
    yield* settle
    yield* Deferred.succeed(gate, undefined)
    const exit = yield* Fiber.join(interrupted)
    assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
  })
}

/** A driver of which one of two transactions writes. */
const writer: FakeOptions = { capabilities: { singleWriter: true } }

describe("the span", () => {
  const traced = (
    body: Effect.Effect<unknown, unknown, Db | SqlClient.SqlClient>,
    name: string,
    options?: FakeOptions
  ) =>
    Effect.gen(function*() {
      const { control, layer } = yield* fakeDb({}, options)
      const { named, spans, tracer } = collectingTracer()
      yield* Effect.exit(body.pipe(Effect.withTracer(tracer), Effect.provide(layer)))
      return { attributes: named(name), span: spans.find((span) => span.name === name), control }
    })

  it.effect("of a session says which one it is, of which database, and how it failed", () =>
    Effect.gen(function*() {
      const { attributes, span } = yield* traced(
        Effect.ignore(Db.session(Effect.void)).pipe(Effect.zipRight(Db.session(Effect.fail(fakeErrors.unique)))),
        "db.session"
      )
      assert.lengthOf(attributes, 2)
      assert.deepInclude(attributes[0], { "db.system.name": "fake", "db.namespace": "fake" })
      assert.isNumber(attributes[0]!["dblive.session"])
      assert.notProperty(attributes[0], "error.type")
      assert.deepInclude(attributes[1], { "db.response.status_code": "23505" })
      assert.property(attributes[1], "error.type")
      assert.strictEqual(span!.kind, "client")
      assert.isFalse(span!.capturesStack)
    }))

  it.effect("of a transaction says how it was to run", () =>
    Effect.gen(function*() {
      const { attributes } = yield* traced(
        Db.transaction(insert, { isolation: "serializable", readOnly: true }),
        "db.transaction"
      )
      assert.lengthOf(attributes, 1)
      assert.deepInclude(attributes[0], {
        "db.system.name": "fake",
        "dblive.isolation": "serializable",
        "dblive.read_only": true,
        "dblive.retries": 0,
        "dblive.outcome": "committed"
      })
    }))

  const outcomes: ReadonlyArray<
    readonly [string, string, (fake: Fake) => Effect.Effect<unknown, unknown, Db | SqlClient.SqlClient>]
  > = [
    ["rolled_back", "of an effect that fails", () => Db.transaction(Effect.zipRight(insert, Effect.fail("no")))],
    [
      "rolled_back",
      "of an effect that is interrupted",
      () => Db.transaction(Effect.zipRight(insert, Effect.interrupt))
    ],
    ["rolled_back", "where COMMIT was refused", ({ control }) => {
      control.execute.next("ok", "ok", { fail: fakeErrors.serialization })
      return Db.transaction(insert)
    }],
    ["unknown", "where the answer to COMMIT was lost", ({ control }) => {
      control.execute.next("ok", "ok", { fail: fakeErrors.lost })
      return Db.transaction(insert)
    }],
    ["rolled_back", "where BEGIN was refused", ({ control }) => {
      control.execute.next("ok", { fail: fakeErrors.unique })
      return Db.transaction(Db.transaction(insert))
    }],
    ["rolled_back", "where the connection was lost at BEGIN", ({ control }) => {
      control.execute.next({ fail: fakeErrors.lost })
      return Db.transaction(insert)
    }],
    ["rolled_back", "where its beginning was interrupted", ({ control }) => {
      control.execute.next("never")
      control.cancel.always("ok")
      return Effect.gen(function*() {
        const running = yield* Effect.fork(Db.query("SELECT 1"))
        yield* settle
        const begins = yield* Effect.fork(Db.transaction(insert))
        yield* settle
        yield* Fiber.interrupt(begins)
        yield* Fiber.interrupt(running)
      }).pipe(Db.session)
    }],
    ["committed", "of a COMMIT that succeeds after its fiber was interrupted", interruptedAtCommit("ok")],
    ["rolled_back", "of a COMMIT that is refused then", interruptedAtCommit({ fail: fakeErrors.serialization })],
    ["unknown", "of a COMMIT whose answer is lost then", interruptedAtCommit({ fail: fakeErrors.lost })]
  ]
  for (const [outcome, what, body] of outcomes) {
    it.effect(`of a transaction tells its outcome: ${outcome} ${what}`, () =>
      Effect.gen(function*() {
        const fake = yield* fakeDb()
        const { named, tracer } = collectingTracer()
        yield* Effect.exit(body(fake).pipe(Effect.withTracer(tracer), Effect.provide(fake.layer)))
        const attributes = named("db.transaction")
        assert.strictEqual(attributes.at(-1)!["dblive.outcome"], outcome)
        assert.deepStrictEqual(fake.control.violations, [])
      }))
  }
})

describe("a session in another one of its database", () => {
  it.effect("is that, and its errors leave it typed", () =>
    onFake(({ control }) =>
      Effect.gen(function*() {
        control.execute.always({ fail: fakeErrors.unique })
        const error = yield* Effect.flip(Db.session(Effect.flatMap(Db.sql, (sql) => Db.session(sql`SELECT 1`))))
        assert.strictEqual(error, fakeErrors.unique)
        assert.strictEqual(control.count.opened, 1)
        assert.strictEqual((yield* Db.metrics).sessions.opened, 1)
      })
    ))

  it.effect("that is reserved is another one, for which it does not wait in vain", () =>
    onFake(
      () =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(Db.session(Effect.scoped(Db.reserve)))
          assert.deepInclude(error, { _tag: "TimeoutError", phase: "Acquire", outcome: "NotSent" })
          assert.include(error.message, "itself waits for one")
          // Nor where it holds one in its hands.
          const reserved = yield* Effect.flip(Effect.scoped(Effect.zipRight(Db.reserve, Db.session(Effect.void))))
          assert.include(reserved.message, "itself waits for one")
        }),
      { pool: { size: 1 } }
    ))
})

describe("the end of a session", () => {
  it.effect("waits until what was left open in it is ended", () =>
    onFake(({ control }) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        control.reset.next({ after: Deferred.await(gate) })
        const fiber = yield* Effect.fork(Db.session(Effect.as(Db.query("BEGIN"), "done")))
        yield* settle
        assert.isNull(fiber.unsafePoll())
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
    ))
})

describe("the one writer", () => {
  it.effect("does not keep others from reading, from a session, or from one that is reserved", () =>
    onFake(
      () =>
        Effect.gen(function*() {
          const gate = yield* Deferred.make<void>()
          const writing = yield* Effect.fork(Db.transaction(Effect.zipRight(insert, Deferred.await(gate))))
          yield* settle
          yield* Db.transaction(Db.query("SELECT 1"), { readOnly: true })
          yield* Db.session(Db.query("SELECT 1"))
          yield* Effect.scoped(Effect.flatMap(Db.reserve, (session) => session.use(Db.query("SELECT 1"))))
          const second = yield* Effect.fork(Db.transaction(Db.query("SELECT 1")))
          yield* settle
          assert.isNull(second.unsafePoll())
          yield* Deferred.succeed(gate, undefined)
          yield* Fiber.join(writing)
          yield* Fiber.join(second)
        }),
      { fake: writer, pool: { size: 4 } }
    ))
})

describe("what cannot be kept", () => {
  it.effect("is refused, and counted as a failure, before anything is sent", () =>
    onFake(
      ({ control }) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(Db.transaction(insert))
          assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
          assert.include(error.message, "no transactions here")
          const failures = Object.values((yield* Db.metrics).failures).reduce((a, b) => a + b, 0)
          assert.strictEqual(failures, 1)
          assert.deepStrictEqual(control.executed(), [])
        }),
      {
        fake: {
          overrides: {
            transaction: {
              begin: () => ({ unsupported: "no transactions here" }),
              commit: "COMMIT",
              rollback: "ROLLBACK",
              savepoint: (name) => name,
              rollbackTo: (name) => name,
              release: undefined
            }
          }
        }
      }
    ))

  it.effect("is refused of a nested transaction that the one around it does not have", () =>
    onFake(() =>
      Effect.gen(function*() {
        const nested = Db.transaction(insert, { isolation: "serializable" })
        const error = yield* Effect.flip(Db.transaction(nested))
        assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.include(error.message, "give the outermost transaction that isolation")
        assert.strictEqual(Object.values((yield* Db.metrics).failures).reduce((a, b) => a + b, 0), 1)
        // In a session that is in none it is the outermost one.
        yield* Db.session(nested)
        yield* Db.transaction(nested, { isolation: "serializable" })
      })
    ))

  it.effect("is a commit or a rollback by hand where nothing was begun", () =>
    onFake(({ control }) =>
      Effect.gen(function*() {
        const session = yield* Db.reserve
        for (const [how, end] of [["commit", session.commit], ["rollback", session.rollback]] as const) {
          const error = yield* Effect.flip(end)
          assert.deepInclude(error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "NotSent" })
          assert.include(error.message, `${how} without a transaction`)
        }
        assert.deepStrictEqual(control.executed(), [])
        yield* session.begin()
        yield* session.rollback
        assert.deepStrictEqual(control.executed(), ["BEGIN", "ROLLBACK"])
      })
    ))
})

describe("the figures of transactions", () => {
  it.effect("count each outermost one once, by how it has ended", () =>
    onFake(({ control }) =>
      Effect.gen(function*() {
        yield* Db.transaction(Effect.zipRight(insert, Db.transaction(insert)))
        assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 0, unknown: 0 })
        yield* Effect.ignore(Db.transaction(Effect.zipRight(insert, Effect.fail("no"))))
        control.execute.next("ok", "ok", { fail: fakeErrors.serialization })
        const refused = yield* Effect.flip(Db.transaction(insert))
        assert.deepInclude(refused, { reason: "Serialization" })
        assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 2, unknown: 0 })
        // A COMMIT that fails is a failure of the program's.
        assert.strictEqual(Object.values((yield* Db.metrics).failures).reduce((a, b) => a + b, 0), 1)
        control.execute.next("ok", "ok", { fail: fakeErrors.lost })
        yield* Effect.ignore(Db.transaction(insert))
        assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 2, unknown: 1 })
      })
    ))

  it.effect("do not hide why it was rolled back behind what went wrong then", () =>
    onFake(({ control }) =>
      Effect.gen(function*() {
        control.execute.next("ok", "ok", { fail: fakeErrors.unique })
        assert.strictEqual(yield* Effect.flip(Db.transaction(Effect.zipRight(insert, Effect.fail("no")))), "no")
        assert.deepStrictEqual(yield* transactions, { committed: 0, rolledBack: 1, unknown: 0 })
      })
    ))
})

describe("limits of transactions", () => {
  it.effect("hold for the outermost one only, but where a nested one has its own", () =>
    onFake(
      () =>
        Effect.gen(function*() {
          const slow = (millis: number) => Effect.zipRight(insert, Effect.sleep(millis))
          const free = yield* Effect.fork(Db.transaction(Db.transaction(slow(6000)), { timeout: 0 }))
          const nested = yield* Effect.fork(
            Db.transaction(Effect.either(Db.transaction(Effect.zipRight(insert, Effect.never), { timeout: 1000 })))
          )
          yield* settle
          yield* TestClock.adjust(1000)
          yield* settle
          const inner = yield* Fiber.join(nested)
          assert(inner._tag === "Left")
          assert.deepInclude(inner.left, { phase: "Transaction", limitMillis: 1000 })
          yield* TestClock.adjust(5000)
          yield* settle
          yield* Fiber.join(free)
        }),
      { limits: { transactionTimeout: "5 seconds" } }
    ))

  it.effect("are seen to once, by the outermost one", () =>
    onFake(() =>
      Effect.gen(function*() {
        const body = Db.transaction(Effect.zipRight(insert, Effect.never))
        const fiber = yield* Effect.fork(
          Effect.flip(Db.transaction(Effect.zipRight(insert, Effect.ignore(body))).pipe(Db.withTimeout("1 second")))
        )
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepInclude(yield* Fiber.join(fiber), { phase: "Transaction", limitMillis: 1000 })
        assert.strictEqual(Object.values((yield* Db.metrics).failures).reduce((a, b) => a + b, 0), 1)
      })
    ))
})

describe("what the database commits by itself", () => {
  /** A driver that commits before CREATE, as MySQL does. */
  const committing: FakeOptions = {
    overrides: { commitsImplicitly: (text) => text.startsWith("CREATE") ? "all" : "none" }
  }
  const create = ({ control }: Fake) => {
    control.rows = (request, connection) => {
      if (request.text.startsWith("CREATE")) {
        Object.assign(connection, { transaction: "idle" })
      }
      return []
    }
  }

  it.effect("makes the outcome of a transaction unknown that fails behind it", () =>
    Effect.gen(function*() {
      const fake = yield* fakeDb({}, committing)
      create(fake)
      const { named, tracer } = collectingTracer()
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const body = Effect.zipRight(sql`CREATE TABLE t (id int)`, Effect.fail(fakeErrors.unique))
        const error = yield* Effect.flip(sql.withTransaction(body))
        assert.deepInclude(error, { code: "23505", outcome: "Unknown" })
        assert.deepStrictEqual(yield* transactions, { committed: 0, rolledBack: 0, unknown: 1 })
        // Without an error there is nothing to be told.
        yield* sql.withTransaction(
          Effect.zipRight(sql`CREATE TABLE t (id int)`, Db.transaction(sql`INSERT`, { isolation: "serializable" }))
        )
        assert.deepStrictEqual(yield* transactions, { committed: 2, rolledBack: 0, unknown: 1 })
      }).pipe(Effect.withTracer(tracer), Effect.provide(fake.layer))
      assert.deepStrictEqual(named("db.transaction").map((attributes) => attributes["dblive.outcome"]), [
        "unknown",
        "committed",
        "committed"
      ])
    }))
})

describe("what a fiber does between its steps", () => {
  /** Effect may suspend a fiber between any two steps: answers come before it waits for them. */
  const after = [20, 21, 22, 23, 25, 27]

  it.effect.each(after)("makes no difference to a transaction: after %i steps", (steps) =>
    onFake(
      ({ control }) =>
        Effect.gen(function*() {
          const yielding = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.withMaxOpsBeforeYield(effect, steps)
          const nested = Db.transaction(Effect.zipRight(insert, Db.transaction(insert)))
          yield* yielding(nested)
          assert.deepStrictEqual(control.executed(), [
            "BEGIN",
            "INSERT",
            "SAVEPOINT dblive_1",
            "INSERT",
            "RELEASE dblive_1",
            "COMMIT"
          ])
          yield* yielding(Effect.ignore(Db.transaction(Effect.zipRight(insert, Effect.fail("no")))))
          control.execute.next("ok", "ok", { fail: fakeErrors.serialization })
          assert.deepInclude(yield* yielding(Effect.flip(Db.transaction(insert))), { reason: "Serialization" })
          assert.deepStrictEqual(yield* transactions, { committed: 1, rolledBack: 2, unknown: 0 })
          yield* yielding(Effect.scoped(Effect.flatMap(Db.reserve, (session) => session.begin())))
        }),
      { pool: { size: 1 } }
    ))

  it.effect("makes no difference to its end, wherever it is", () =>
    onFake(
      () =>
        Effect.gen(function*() {
          const session = yield* Db.reserve
          for (let steps = 20; steps < 60; steps++) {
            yield* Effect.withMaxOpsBeforeYield(Effect.zipRight(session.begin(), session.commit), steps)
          }
          assert.deepStrictEqual(yield* transactions, { committed: 40, rolledBack: 0, unknown: 0 })
        })
    ))
})

describe("the interrupt of a beginning", () => {
  const begins = (fake: Fake, step: () => void) =>
    Effect.gen(function*() {
      const session = yield* Db.reserve
      const fiber = yield* Effect.fork(session.begin())
      step()
      yield* settle
      return { session, fiber, exit: Fiber.interrupt(fiber), fake }
    })

  it.effect("takes it back where it waits for its turn", () =>
    onFake((fake) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        fake.control.execute.next({ after: Deferred.await(gate) })
        const session = yield* Db.reserve
        const running = yield* Effect.fork(session.use(Db.query("SELECT 1")))
        yield* settle
        const fiber = yield* Effect.fork(session.begin())
        yield* settle
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(running)
        yield* session.use(insert)
        assert.deepStrictEqual(fake.control.executed(), ["SELECT 1", "INSERT"])
      })
    ))

  it.effect("stops it where it runs, and undoes it where its answer was faster", () =>
    onFake((fake) =>
      Effect.gen(function*() {
        const { control } = fake
        control.execute.next("never")
        const first = yield* begins(fake, () => {})
        assert.isTrue(Exit.isInterrupted(yield* first.exit))
        assert.deepStrictEqual(control.executed(), ["BEGIN"])
        yield* first.session.begin()
        yield* first.session.rollback
        const gate = yield* Deferred.make<void>()
        control.execute.next({ after: Deferred.await(gate) })
        control.cancel.next({ after: Deferred.await(gate) })
        const second = yield* begins(fake, () => {})
        const interrupted = yield* Effect.fork(second.exit)
        yield* settle
        assert.isNull(interrupted.unsafePoll())
        yield* Deferred.succeed(gate, undefined)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupted)))
        assert.deepStrictEqual(control.executed(), ["BEGIN", "BEGIN", "ROLLBACK", "BEGIN", "ROLLBACK"])
        yield* second.session.begin()
        yield* second.session.commit
      })
    ))

  it.effect("undoes it where it has begun before the fiber knows it", () =>
    onFake((fake) =>
      Effect.gen(function*() {
        const { control } = fake
        const session = yield* Db.reserve
        const fiber = yield* Effect.fork(session.begin())
        control.rows = () => {
          fiber.unsafeInterruptAsFork(FiberId.none)
          control.rows = () => []
          return []
        }
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
        assert.deepStrictEqual(control.executed(), ["BEGIN", "ROLLBACK"])
        // Of a beginning that has failed there is nothing to undo.
        control.execute.next({ fail: fakeErrors.unique })
        const failing = yield* Effect.fork(session.begin())
        yield* Effect.exit(Fiber.join(failing))
        yield* session.use(insert)
        assert.deepStrictEqual(control.executed(), ["BEGIN", "ROLLBACK", "BEGIN", "INSERT"])
      })
    ))
})

describe("retries", () => {
  it.effect("are of the outermost transaction, in a session too", () =>
    onFake(({ control }) =>
      Effect.gen(function*() {
        control.execute.next("ok", { fail: fakeErrors.deadlock })
        yield* Db.session(Db.transaction(insert, { retry: Schedule.recurs(1) }))
        assert.deepStrictEqual(control.executed(), ["BEGIN", "INSERT", "ROLLBACK", "BEGIN", "INSERT", "COMMIT"])
      })
    ))
})
