/** Contracts 1, 2, 7, 10 and 11: sessions release their connection, clean, and cannot use it afterwards. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { Db } from "../../src/Db.js"
import { describe, type Target, test } from "./target.js"

/** After any history, when no fiber runs: nothing in use, no waiters, and the full capacity can be acquired. */
export const isWhole = Effect.gen(function*() {
  const before = yield* Db.pool
  assert.deepInclude(before, { inUse: 0, waiting: 0 })
  const count = before.capacity
  const arrived = yield* Deferred.make<void>()
  let here = 0
  yield* Effect.forEach(
    Array.from({ length: count }),
    () =>
      Db.session(Effect.suspend(() => {
        here++
        return here === count ? Deferred.succeed(arrived, undefined) : Deferred.await(arrived)
      })),
    { concurrency: "unbounded", discard: true }
  )
  assert.deepInclude(yield* Db.pool, { inUse: 0, waiting: 0 })
})

export const sessions = (target: Target): void => {
  describe("sessions", () => {
    const ok = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1 AS one`)

    test(
      target,
      "release on success, failure, defect and interrupt",
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Db.session(Effect.as(ok, "value")), "value")
        assert.strictEqual(yield* Effect.flip(Db.session(Effect.zipRight(ok, Effect.fail("boom" as const)))), "boom")
        const died = yield* Effect.exit(Db.session(Effect.zipRight(ok, Effect.die("defect"))))
        assert.isTrue(Exit.isFailure(died) && Cause.isDie(died.cause))
        const entered = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          Db.session(Effect.zipRight(ok, Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)))
        )
        yield* Deferred.await(entered)
        assert.strictEqual((yield* Db.pool).inUse, 1)
        yield* Fiber.interrupt(fiber)
        yield* isWhole
      })
    )

    test(
      target,
      "pin one connection, and an inner session is the outer one",
      Effect.gen(function*() {
        yield* Db.session(Effect.gen(function*() {
          yield* ok
          yield* Db.session(ok)
          yield* Db.query("SELECT 1 AS one")
          assert.strictEqual((yield* Db.pool).inUse, 1)
        }))
      })
    )

    test(
      target,
      "refuse a fiber that outlives its session",
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const outlived = yield* Db.session(
          Effect.forkDaemon(Effect.zipRight(Deferred.await(gate), Effect.flip(Db.query("SELECT 1 AS one"))))
        )
        yield* Deferred.succeed(gate, undefined)
        const error = yield* Fiber.join(outlived)
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
        assert.include(error.message, "outlived")
        yield* isWhole
      })
    )

    test(
      target,
      "run statements of several fibers in turn",
      Effect.gen(function*() {
        const rows = yield* Db.session(
          Effect.forEach(
            Array.from({ length: 50 }, (_, i) => i),
            (i) => Db.query<{ n: number }>("SELECT :i AS n", { i: `${i}` }),
            { concurrency: "unbounded" }
          )
        )
        assert.deepStrictEqual(rows.map(([row]) => Number(row!.n)), Array.from({ length: 50 }, (_, i) => i))
      })
    )

    test(
      target,
      "run several statements in one text, and give the rows of each",
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE several (a INT)")
        const text = "INSERT INTO several (a) VALUES (1); SELECT a FROM several; SELECT a + 1 AS b FROM several"
        const withRows = [[{ a: 1 }], [{ b: 2 }]]
        // SQL Server tells nothing of a statement without rows.
        const given = yield* Db.script(text)
        assert.deepStrictEqual(given, target.name === "mssql" ? withRows : [[], ...withRows])
        // Of one type with what it gives of a single statement.
        yield* Db.query("DELETE FROM several")
        assert.deepStrictEqual<ReadonlyArray<object>>(yield* Db.query<{ b: number }>(text), [{ b: 2 }])
        assert.deepStrictEqual(yield* Db.script("SELECT a FROM several"), [[{ a: 1 }]])
        assert.deepStrictEqual(yield* Db.script("SELECT a FROM several WHERE a = 7"), [[]])
        yield* Db.query("DELETE FROM several")
        assert.deepStrictEqual(yield* Db.batch([[text], ["SELECT a FROM several"]]), [[{ b: 2 }], [{ a: 1 }]])
        // What stays of those before the one that fails, the outcome does not hide.
        const error = yield* Effect.flip(
          Db.script("INSERT INTO several (a) VALUES (8); INSERT INTO nowhere (a) VALUES (9)")
        )
        const kept = yield* Db.query("SELECT a FROM several WHERE a = 8")
        if (kept.length > 0) {
          assert.strictEqual(error.outcome, "Unknown")
        } else {
          assert.notStrictEqual(error.outcome, "Unknown")
        }
      })
    )

    test(
      target,
      "leave nothing behind for the next borrower",
      Effect.gen(function*() {
        for (const { change, initial, read } of target.sql.sessionState) {
          if (target.sql.sessionless === true) {
            for (
              const effect of [Db.query(change), Db.session(Db.query(change)), Db.query(change).pipe(Db.transaction)]
            ) {
              const error = yield* Effect.flip(effect)
              assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" }, change)
            }
            continue
          }
          yield* Db.session(Db.query(change))
          const seen = yield* Effect.either(Db.query<{ v: unknown }>(read))
          const value = seen._tag === "Right" ? seen.right[0]?.v : seen.left.reason
          assert.deepStrictEqual(value, initial, change)
          yield* Db.query(change)
          const again = yield* Effect.either(Db.query<{ v: unknown }>(read))
          assert.deepStrictEqual(
            again._tag === "Right" ? again.right[0]?.v : again.left.reason,
            initial,
            `single: ${change}`
          )
        }
      }),
      { pool: { size: 1, overflow: 0, acquireTimeout: "5 seconds" } }
    )

    test(
      target,
      "a statement for its session, sent outside of one, is warned of once",
      Effect.gen(function*() {
        if (target.sql.sessionless === true) return
        const warnings: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel.label === "WARN") warnings.push(String(message))
        })
        const { sessionState } = target.sql
        yield* Effect.gen(function*() {
          for (const { change } of sessionState) {
            yield* Db.session(Db.query(change))
            yield* Db.query(change).pipe(Db.transaction, Effect.ignore)
            yield* Db.query("SELECT 1 AS one")
          }
          yield* Effect.yieldNow()
          assert.deepStrictEqual(warnings, [])
          for (const { change } of sessionState) {
            yield* Db.query(change)
            yield* Db.query(change)
            yield* Db.query("SELECT 1 AS one")
          }
          yield* Effect.yieldNow()
        }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        assert.lengthOf(warnings, sessionState.length)
        for (const warning of warnings) {
          assert.match(warning, /outside of a session is lost.*Db\.session.*"settings"/)
        }
      }),
      { pool: { size: 1, overflow: 0, acquireTimeout: "5 seconds" } }
    )

    test(
      target,
      "roll back a transaction that was begun by hand and left open",
      Effect.gen(function*() {
        yield* Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text})`)
        yield* Db.session(
          Effect.zipRight(Db.query(target.sql.begin ?? "BEGIN"), Db.query("INSERT INTO t (body) VALUES ('lost')"))
        )
        assert.deepStrictEqual(yield* Db.query("SELECT body FROM t"), [])
        yield* isWhole
      })
    )

    test(
      target,
      "are handles with begin, commit and rollback",
      Effect.gen(function*() {
        yield* Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text})`)
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* Db.reserve
          const { sql } = session
          yield* session.begin()
          yield* sql`INSERT INTO t (body) VALUES ('one')`
          yield* session.begin()
          yield* sql`INSERT INTO t (body) VALUES ('two')`
          yield* session.rollback
          yield* session.commit
          yield* session.begin()
          yield* sql`INSERT INTO t (body) VALUES ('three')`
          // Left open: the scope rolls it back.
        }))
        assert.deepStrictEqual(yield* Db.query("SELECT body FROM t"), [{ body: "one" }])
        const error = yield* Effect.flip(Effect.scoped(Effect.flatMap(Db.reserve, (session) => session.commit)))
        assert.deepInclude(error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "NotSent" })
        yield* isWhole
      })
    )

    if (target.connections !== undefined) {
      const connections = target.connections
      test(
        target,
        "end with their layer: the server shows no connection of ours",
        Effect.gen(function*() {
          const fresh = yield* target.fresh
          const busy = yield* Effect.fork(
            Effect.forEach(Array.from({ length: 20 }), () => Db.query("SELECT 1 AS one"), { concurrency: "unbounded" })
              .pipe(
                Effect.provide(Db.layer({ ...fresh, pool: { size: 4, overflow: 0 } }))
              )
          )
          yield* Fiber.join(busy)
          assert.strictEqual(yield* connections(fresh), 0)
        })
      )
    }
  })
}
