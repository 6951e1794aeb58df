import { SqlClient } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import type { Layer } from "effect"
import { Duration, Effect, Either, Exit, Fiber, Schedule, TestClock } from "effect"
import { Db } from "../../src/Db.js"
import type { DbError } from "../../src/DbError.js"
import * as DbTest from "../../src/DbTest.js"
import { describePostgres, sharedPostgres } from "../kit/postgres.js"

type Database = Layer.Layer<Db | SqlClient.SqlClient, unknown>

const tables = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE note (body VARCHAR(50))`)
const add = (body: string) => Db.query("INSERT INTO note (body) VALUES (:body)", { body })
const bodies = Effect.map(
  Db.query<{ body: string }>("SELECT body FROM note ORDER BY body"),
  (rows) => rows.map(({ body }) => body)
)

/** The clock goes on until the fiber has ended; a real server needs real time in between. */
const finish = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    for (let i = 0; i < 1_000 && fiber.unsafePoll() === null; i++) {
      yield* TestClock.adjust("500 millis")
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
    }
    return yield* Fiber.join(fiber)
  })

/** Limits that a real server keeps in real time must not run out when the clock of a test leaps. */
const patient = { pool: { connectTimeout: "1 hour", acquireTimeout: "1 hour" } } as const

const say = (error: DbError) => [error._tag, error.reason, error.outcome]

const suite = (
  name: string,
  describeIt: (name: string, body: () => void) => void,
  database: () => Database
): void =>
  describeIt(name, () => {
    const flaky = (plan: DbTest.Plan) => Effect.provide(DbTest.flaky(database(), plan))
    const isPg = name === "postgresql"
    const cases: ReadonlyArray<readonly [DbTest.StatementFault, ReadonlyArray<string>, ReadonlyArray<string>]> = [
      // fault, alone, in a transaction
      ["LostBefore", ["ConnectionError", "Lost", "NotSent"], ["ConnectionError", "Lost", "RolledBack"]],
      ["LostDuring", ["ConnectionError", "Lost", "Unknown"], ["ConnectionError", "Lost", "RolledBack"]],
      ["LostAfter", ["ConnectionError", "Lost", "Unknown"], ["ConnectionError", "Lost", "RolledBack"]],
      ["Deadlock", ["QueryError", "Deadlock", "RolledBack"], ["QueryError", "Deadlock", "RolledBack"]],
      ["Serialization", ["QueryError", "Serialization", "RolledBack"], ["QueryError", "Serialization", "RolledBack"]],
      ["LockTimeout", ["TimeoutError", "Lock", "RolledBack"], ["TimeoutError", "Lock", "RolledBack"]],
      ["Timeout", ["TimeoutError", "Statement", "RolledBack"], ["TimeoutError", "Statement", "RolledBack"]]
    ]

    for (const [fault, alone, inside] of cases) {
      it.effect(`${fault} at a statement`, () =>
        Effect.gen(function*() {
          expect(say(yield* Effect.flip(add("alone")))).toEqual(alone)
          const error = yield* Effect.zipRight(add("before"), add("inside")).pipe(Db.transaction, Effect.flip)
          expect(say(error)).toEqual(inside)
          yield* add("after")
          expect(yield* bodies).toEqual(fault === "LostAfter" ? ["after", "alone"] : ["after"])
          expect(yield* Db.pool).toMatchObject({ inUse: 0, waiting: 0 })
        }).pipe(flaky([
          { on: "statement", match: "INSERT", nth: 1, fault },
          { on: "statement", match: "INSERT", nth: 3, fault }
        ])))
    }

    it.effect("a transaction that lost a statement to a fault cannot go on where the database would not let it", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.zipRight(Effect.ignore(add("a")), add("b")).pipe(Db.transaction, Effect.either)
        expect(Either.isLeft(exit)).toBe(isPg)
      }).pipe(flaky([{ on: "statement", fault: "Deadlock" }])))

    it.effect("a connection lost before COMMIT: nothing was applied, and it is retried", () =>
      Effect.gen(function*() {
        yield* add("a").pipe(Db.transaction({ retry: Schedule.recurs(2) }))
        expect(yield* bodies).toEqual(["a"])
        expect(yield* DbTest.injected).toEqual([{ on: "commit", nth: 1, fault: "LostBefore" }])
      }).pipe(flaky([{ on: "commit", fault: "LostBefore" }])))

    it.effect("a COMMIT whose answer is lost is never retried, and may have been applied", () =>
      Effect.gen(function*() {
        const lost = (body: string) =>
          add(body).pipe(Db.transaction({ retry: Schedule.recurs(5) }), Effect.flip, Effect.map(say))
        expect(yield* lost("applied")).toEqual(["QueryError", "CommitUnknown", "Unknown"])
        expect(yield* lost("not applied")).toEqual(["QueryError", "CommitUnknown", "Unknown"])
        expect(yield* bodies).toEqual(["applied"])
      }).pipe(flaky([{ on: "commit", nth: 1, fault: "LostAfter" }, { on: "commit", nth: 2, fault: "LostDuring" }])))

    it.effect("serialization failures at COMMIT are retried as often as the schedule says", () =>
      Effect.gen(function*() {
        yield* add("a").pipe(Db.transaction({ retry: Schedule.recurs(2) }))
        expect(say(yield* add("b").pipe(Db.transaction({ retry: Schedule.recurs(1) }), Effect.flip))).toEqual(
          ["QueryError", "Serialization", "RolledBack"]
        )
        expect(yield* bodies).toEqual(["a"])
        expect((yield* Db.metrics).retries).toBe(3)
      }).pipe(flaky([
        { on: "commit", nth: 1, times: 2, fault: "Serialization" },
        { on: "commit", nth: 4, times: 2, fault: "Serialization" }
      ])))

    it.effect("a refused connection fails the start", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(
          Effect.provide(bodies, DbTest.flaky(database(), [{ on: "connect", fault: "TooManyConnections" }]))
        )
        expect(exit).toMatchObject(
          Exit.fail({ _tag: "ConnectionError", reason: "TooManyConnections", outcome: "NotSent" })
        )
      }))

    it.effect("openings that are refused later are tried again as long as a fiber waits", () =>
      Effect.gen(function*() {
        yield* Effect.ignore(add("lost"))
        const fiber = yield* Effect.fork(add("a"))
        yield* finish(fiber)
        expect(yield* bodies).toEqual(["a"])
        expect((yield* DbTest.injected).map(({ fault }) => fault)).toEqual([
          "LostBefore",
          "Refused",
          "ServerStarting",
          "TooManyConnections"
        ])
      }).pipe(flaky([
        { on: "statement", fault: "LostBefore" },
        { on: "connect", nth: 2, fault: "Refused" },
        { on: "connect", nth: 3, fault: "ServerStarting" },
        { on: "connect", nth: 4, fault: "TooManyConnections" }
      ])))

    it.effect("delays follow the clock, and can be interrupted", () =>
      Effect.gen(function*() {
        const slow = yield* Effect.fork(Effect.timed(add("slow")))
        yield* TestClock.adjust("49 seconds")
        expect(slow.unsafePoll()).toBeNull()
        yield* TestClock.adjust("1 second")
        const [took] = yield* Fiber.join(slow)
        expect(Duration.toMillis(took)).toBe(50_000)
        const stopped = yield* Effect.fork(add("stopped").pipe(Db.transaction))
        yield* TestClock.adjust("1 second")
        expect(Exit.isInterrupted(yield* Fiber.interrupt(stopped))).toBe(true)
        expect(yield* bodies).toEqual(["slow"])
      }).pipe(flaky([{ on: "statement", match: /^INSERT/, times: 2, delay: "50 seconds" }])))

    it.effect("minutes of outage pass in milliseconds, and work goes on after them", () =>
      Effect.gen(function*() {
        yield* add("before")
        yield* TestClock.adjust("1 minute")
        const working = yield* Effect.fork(
          Db.retry({ idempotent: true, schedule: Schedule.spaced("10 seconds") })(add("during"))
        )
        yield* TestClock.adjust("4 minutes")
        expect(working.unsafePoll()).toBeNull()
        yield* finish(working)
        expect(yield* bodies).toEqual(["before", "during"])
        expect(yield* Db.pool).toMatchObject({ inUse: 0, waiting: 0 })
      }).pipe(flaky([{ on: "outage", after: "1 minute", for: "5 minutes" }])))
  })

describe("flaky", () => {
  suite("sqlite", describe, () => DbTest.sqlite({ migrations: tables, options: patient }))
  suite(
    "postgresql",
    describePostgres,
    () =>
      DbTest.postgres({
        url: sharedPostgres().url,
        migrations: tables,
        hash: "flaky.test",
        keep: "never",
        options: patient
      })
  )

  const history = (seed: number) =>
    Effect.gen(function*() {
      const exits = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, i) => i),
        (i) => Effect.either(add(`n${i}`).pipe(Db.transaction))
      )
      return {
        injected: yield* DbTest.injected,
        outcomes: exits.map((exit) => exit._tag === "Left" ? say(exit.left).join() : "ok"),
        bodies: yield* bodies
      }
    }).pipe(
      Effect.provide(DbTest.flaky(DbTest.sqlite({ migrations: tables }), {
        seed,
        statement: { LostBefore: 0.1, Deadlock: 0.1, LostAfter: 0.1 },
        commit: { Serialization: 0.1, LostAfter: 0.1 }
      }))
    )

  it.effect("the same seed gives the same history, another seed another", () =>
    Effect.gen(function*() {
      const [first, again, other] = [yield* history(42), yield* history(42), yield* history(43)]
      expect(first).toEqual(again)
      expect(first.injected.length).toBeGreaterThan(5)
      expect(other.injected).not.toEqual(first.injected)
    }))

  it.effect("migrations and seeds are not struck", () =>
    Effect.gen(function*() {
      expect(say(yield* Effect.flip(bodies))).toEqual(["ConnectionError", "Lost", "NotSent"])
      expect(yield* bodies).toEqual(["seed"])
    }).pipe(Effect.provide(DbTest.flaky(
      DbTest.sqlite({ migrations: tables, seed: add("seed") }),
      [{ on: "statement", nth: 1, fault: "LostBefore" }]
    ))))

  it.effect("over a mock, a failed transaction is failed", () =>
    Effect.gen(function*() {
      const error = yield* Effect.zipRight(Effect.ignore(add("a")), add("b")).pipe(Db.transaction, Effect.flip)
      expect(say(error)).toEqual(["QueryError", "TransactionAborted", "RolledBack"])
    }).pipe(Effect.provide(DbTest.flaky(
      DbTest.mock([{ statement: /INSERT/ }], { dialect: "pg" }),
      [{ on: "statement", fault: "Deadlock" }]
    ))))

  it.effect("around a sandbox, the sandbox outlives the loss of a connection", () =>
    Effect.gen(function*() {
      yield* add("a")
      const error = yield* Effect.zipRight(add("b"), add("c")).pipe(Db.transaction, Effect.flip)
      expect(say(error)).toEqual(["ConnectionError", "Lost", "RolledBack"])
      expect(yield* bodies).toEqual(["a"])
    }).pipe(Effect.provide(DbTest.flaky(
      DbTest.rollback(DbTest.sqlite({ migrations: tables })),
      [{ on: "statement", match: "INSERT", nth: 3, fault: "LostAfter" }]
    ))))
})
