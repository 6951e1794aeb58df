/** What waits for COMMIT: `SqlClient.afterCommit`, and keys of reactivity. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import { Db } from "../../src/Db.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { beforeReply, makeProxy } from "../kit/proxy.js"

const memory = Db.layer({ url: "sqlite::memory:" })

/** Notes what has happened, in order. */
const noting = Effect.gen(function*() {
  const noted: Array<string> = []
  const sql = yield* SqlClient.SqlClient
  const note = (text: string) => Effect.sync(() => void noted.push(text))
  return { noted, note, sql, later: (text: string) => sql.afterCommit(note(text)) }
})

class Word extends Context.Service<Word, string>()("test/Word") {}

describe("afterCommit", () => {
  it.live("runs at once without a transaction, and in a session", () =>
    Effect.gen(function*() {
      const { later, note, noted } = yield* noting
      yield* later("alone")
      yield* note("1")
      yield* Db.session(Effect.andThen(later("session"), note("2")))
      assert.deepStrictEqual(noted, ["alone", "1", "session", "2"])
    }).pipe(Effect.provide(memory)))

  it.live("runs in order when the outermost transaction is committed, and its connection is given back", () =>
    Effect.gen(function*() {
      const { later, note, noted, sql } = yield* noting
      const inUse = Effect.flatMap(Db.pool, (pool) => note(`in use: ${pool.inUse}`))
      yield* Db.transaction(Effect.gen(function*() {
        yield* later("first")
        yield* sql.withTransaction(Effect.andThen(later("of a savepoint"), later("of it, too")))
        yield* later("last")
        yield* sql.afterCommit(inUse)
        yield* note("body")
      }))
      yield* note("after")
      assert.deepStrictEqual(
        noted,
        ["body", "first", "of a savepoint", "of it, too", "last", "in use: 0", "after"]
      )
    }).pipe(Effect.provide(memory)))

  it.live("does not run where the transaction, or its savepoint, is undone", () =>
    Effect.gen(function*() {
      const { later, noted, sql } = yield* noting
      const failing = Effect.andThen(later("undone"), Effect.fail("no"))
      yield* Effect.exit(Db.transaction(failing))
      yield* Effect.exit(Db.transaction(Effect.andThen(later("dies"), Effect.die("no"))))
      yield* Db.transaction(Effect.andThen(Effect.exit(sql.withTransaction(failing)), later("kept")))
      assert.deepStrictEqual(noted, ["kept"])
    }).pipe(Effect.provide(memory)))

  it.live("does not run where it is interrupted, and runs of a transaction that is tried again once", () =>
    Effect.gen(function*() {
      const { later, noted, sql } = yield* noting
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        Db.transaction(
          Effect.andThen(later("interrupted"), Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
        )
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      let times = 0
      yield* Db.transaction(
        Effect.gen(function*() {
          yield* later(`attempt ${++times}`)
          if (times < 3) yield* Effect.fail("again")
        })
      ).pipe(Effect.retry({ times: 5 }))
      assert.deepStrictEqual(noted, ["attempt 3"])
      yield* sql`SELECT 1`
    }).pipe(Effect.provide(memory)))

  it.live("has the services of where it was given, and statements of its own", () =>
    Effect.gen(function*() {
      const { note, noted, sql } = yield* noting
      yield* sql`CREATE TABLE t (n INTEGER)`
      yield* Db.transaction(
        Effect.gen(function*() {
          yield* sql`INSERT INTO t VALUES (1)`
          yield* sql.afterCommit(Effect.gen(function*() {
            yield* note(yield* Word)
            yield* Effect.orDie(sql`INSERT INTO t VALUES (2)`)
          })).pipe(Effect.provideService(Word, "given"))
        })
      )
      assert.deepStrictEqual(noted, ["given"])
      assert.deepStrictEqual(yield* sql`SELECT n FROM t ORDER BY n`, [{ n: 1 }, { n: 2 }])
    }).pipe(Effect.provide(memory)))

  it.live("runs the others where one dies, and is a defect when the transaction has ended", () =>
    Effect.gen(function*() {
      const { later, noted, sql } = yield* noting
      const ended = yield* Deferred.make<void>()
      const late = yield* Db.transaction(Effect.gen(function*() {
        yield* sql.afterCommit(Effect.die("a defect of a callback, which is logged"))
        yield* later("other")
        return yield* Effect.forkDetach(Effect.andThen(Deferred.await(ended), later("late")))
      }))
      yield* Deferred.succeed(ended, undefined)
      const exit = yield* Fiber.await(late)
      assert.isTrue(Exit.hasDies(exit))
      assert.include(String(exit), "the transaction has already ended")
      assert.deepStrictEqual(noted, ["other"])
    }).pipe(Effect.provide(memory)))

  it.live("invalidates keys of reactivity then, and not where it is undone", () =>
    Effect.gen(function*() {
      const { note, noted, sql } = yield* noting
      const reactivity = yield* Reactivity.Reactivity
      reactivity.registerUnsafe(["accounts"], () => void noted.push("invalidated"))
      const change = Reactivity.mutation(note("mutation"), ["accounts"])
      yield* change
      yield* Db.transaction(Effect.gen(function*() {
        yield* change
        yield* sql.withTransaction(Reactivity.invalidate(["accounts"]))
        yield* note("body")
      }))
      yield* Effect.exit(Db.transaction(Effect.andThen(change, Effect.fail("no"))))
      assert.deepStrictEqual(
        noted,
        ["mutation", "invalidated", "mutation", "body", "invalidated", "invalidated", "mutation"]
      )
    }).pipe(Effect.provide([memory, Reactivity.layer])))
})

describePostgres("afterCommit on PostgreSQL", () => {
  it.live("runs once the rows are there for others, and not where the answer to COMMIT is lost", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy(database)
      yield* Effect.gen(function*() {
        const { noted, note, sql } = yield* noting
        yield* sql`CREATE TABLE t (n int)`
        const counted = Effect.orDie(
          Effect.flatMap(sql`SELECT count(*)::int AS n FROM t`, ([row]) => note(`${row!.n}`))
        )
        const insert = Effect.andThen(sql`INSERT INTO t VALUES (1)`, sql.afterCommit(counted))
        yield* Db.transaction(insert)
        assert.deepStrictEqual(noted, ["1"])
        proxy.at(beforeReply("COMMIT"), "cut")
        const error = yield* Effect.flip(Db.transaction(insert))
        assert.strictEqual(error.outcome, "Unknown")
        assert.deepStrictEqual(noted, ["1"])
      }).pipe(Effect.provide(Db.layer({ url: proxy.url(database.url), ssl: false })))
    }))

  it.live("runs where COMMIT succeeds after its fiber was interrupted", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy(database)
      yield* Effect.gen(function*() {
        const { later, noted, sql } = yield* noting
        yield* sql`CREATE TABLE t (n int)`
        const committing = proxy.at(beforeReply("COMMIT"), "blackHole")
        const fiber = yield* Effect.forkChild(
          Db.transaction(Effect.andThen(sql`INSERT INTO t VALUES (1)`, later("kept")))
        )
        yield* committing.fired
        fiber.interruptUnsafe()
        proxy.heal()
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.deepStrictEqual(noted, ["kept"])
        assert.lengthOf(yield* sql`SELECT n FROM t`, 1)
      }).pipe(Effect.provide(Db.layer({ url: proxy.url(database.url), ssl: false })))
    }))
})
