/** Contract 6: waits end at their limits, and what ran is stopped, over every database. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import * as DbError from "../../src/DbError.js"
import { isWhole } from "./sessions.js"
import { describe, heldTest, type Target, test } from "./target.js"

/** How long an effect takes, in milliseconds of real time. */
const took = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(effect, (value) => [performance.now() - began, value] as const)
  })

/** Waits until this many statements of ours run, as the pool knows it. */
const running = (count: number): Effect.Effect<void, never, Db> =>
  Effect.flatMap(Db.pool, ({ holders }) =>
    holders.filter(({ state }) => state === "running").length >= count
      ? Effect.void
      : Effect.zipRight(Effect.sleep(5), running(count)))

export const limits = (target: Target): void => {
  describe("limits", () => {
    const table = Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text})`)
    const insert = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO t ${sql.insert({ body: "a" })}`)
    const rows = Effect.map(Db.query("SELECT body FROM t"), (rows) => rows.length)

    test(
      target,
      "an infinite limit is none",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { type } = yield* Db.info
        // Where a statement cannot be stopped, a limit of one is refused.
        const options = type === "sqlite" ? {} : { timeout: Infinity }
        const one = Effect.all([
          Db.scalar("SELECT 1", {}, options),
          Db.scalar(sql`SELECT 1`, options),
          Db.scalar("SELECT 1").pipe(Db.withLimits({ statementTimeout: Infinity }))
        ])
        for (const run of [one, Db.session(one), Db.transaction(one, { timeout: Infinity })]) {
          assert.deepStrictEqual((yield* run).map(Number), [1, 1, 1])
        }
      })
    )

    heldTest(target, "acquire: ends at its limit, or at the deadline around it", (time) =>
      Effect.gen(function*() {
        const { capacity } = yield* Db.pool
        const gate = yield* Deferred.make<void>()
        const holders = yield* Effect.forEach(
          Array.from({ length: capacity }),
          () =>
            Effect.gen(function*() {
              const entered = yield* Deferred.make<void>()
              const fiber = yield* Effect.fork(
                Db.session(Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(gate)))
              )
              yield* Deferred.await(entered)
              return fiber
            })
        )
        yield* time.run()
        const [millis, error] = yield* took(Effect.flip(Db.session(Effect.void)))
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Acquire", limitMillis: 300, outcome: "NotSent" })
        assert.isTrue(millis > 290 && millis < 1500, `${millis}`)
        const sooner = yield* Effect.flip(Db.query("SELECT 1 AS one").pipe(Db.withTimeout("100 millis")))
        assert.deepInclude(sooner, { _tag: "TimeoutError", phase: "Acquire", limitMillis: 100, outcome: "NotSent" })
        yield* time.hold
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.joinAll(holders)
        yield* isWhole
      }), { pool: { size: 2, acquireTimeout: "300 millis" } })

    heldTest(
      target,
      "transaction: rolled back at its limit, and at the deadline around it",
      (time) =>
        Effect.gen(function*() {
          yield* table
          // The limit runs while the transaction waits, however long its statement took.
          const body = insert.pipe(Effect.zipRight(time.run()), Effect.zipRight(Effect.never))
          const error = yield* Effect.flip(body.pipe(Db.transaction({ timeout: "100 millis" })))
          assert.deepInclude(error, {
            _tag: "TimeoutError",
            phase: "Transaction",
            limitMillis: 100,
            outcome: "RolledBack"
          })
          yield* time.hold
          const around = yield* Effect.flip(body.pipe(Db.transaction, Db.withTimeout("150 millis")))
          assert.deepInclude(around, { _tag: "TimeoutError", phase: "Transaction", limitMillis: 150 })
          yield* time.hold
          assert.strictEqual(yield* rows, 0)
          // What was rolled back holds no lock.
          yield* insert.pipe(Db.transaction)
          assert.strictEqual(yield* rows, 1)
          yield* isWhole
        })
    )

    test(
      target,
      "idle in transaction: rolled back at its limit, and its locks are free",
      Effect.gen(function*() {
        yield* table
        const written = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        const idle = yield* insert.pipe(
          Effect.zipRight(Deferred.succeed(written, undefined)),
          Effect.zipRight(Deferred.await(gate)),
          Db.transaction,
          Effect.flip,
          Effect.fork
        )
        yield* Deferred.await(written)
        // On a database with one writer this waits for the idle one to be ended.
        yield* insert.pipe(Effect.zipRight(Effect.sleep("300 millis")))
        yield* insert
        yield* Deferred.succeed(gate, undefined)
        assert.deepInclude(yield* Fiber.join(idle), {
          _tag: "TimeoutError",
          phase: "IdleInTransaction",
          outcome: "RolledBack"
        })
        assert.strictEqual(yield* rows, 2)
        yield* isWhole
      }),
      { limits: { idleInTransactionTimeout: "200 millis" } }
    )

    const { endless } = target.sql
    if (endless === undefined) {
      it.skip(`stop what runs (${target.name} has no statement that can be stopped)`, () => {})
      return
    }

    test(
      target,
      "statement: stopped at its limit, its transaction's, and the deadline around it",
      Effect.gen(function*() {
        yield* table
        const cases = [
          [200, Db.query(endless, [], { timeout: "200 millis" })],
          [250, Db.session(Db.query(endless, [], { timeout: "250 millis" }))],
          [150, Db.query(endless).pipe(Db.withTimeout("150 millis"))],
          [220, Db.query(endless).pipe(Db.session, Db.withTimeout("220 millis"))]
        ] as const
        for (const [limit, effect] of cases) {
          // Where stopping costs the connection, opening the next one must not use up the limit.
          yield* Db.query("SELECT 1 AS one")
          const [millis, error] = yield* took(Effect.flip(effect))
          assert.deepInclude(error, {
            _tag: "TimeoutError",
            phase: "Statement",
            limitMillis: limit,
            statement: endless
          })
          assert.isTrue(millis >= limit - 10 && millis < limit + 2000, `${millis} ms for ${limit}`)
        }
        const stream = Stream.unwrap(Effect.map(Db.sql, (sql) => sql.unsafe(endless).stream))
        for (const statementTimeout of [60, 150]) {
          const error = yield* Stream.runDrain(stream).pipe(Db.withLimits({ statementTimeout }), Effect.flip)
          assert.deepInclude(DbError.fromSqlError(error, "default"), {
            _tag: "TimeoutError",
            phase: "Statement",
            limitMillis: statementTimeout,
            outcome: "RolledBack"
          })
        }
        const error = yield* Effect.flip(
          insert.pipe(Effect.zipRight(Db.query(endless, [], { timeout: "200 millis" })), Db.transaction)
        )
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Statement", outcome: "RolledBack" })
        assert.strictEqual(yield* rows, 0)
        yield* insert
        yield* isWhole
      })
    )

    test(
      target,
      "an interrupt stops what runs, surfaces as interruption, and works with the pool exhausted",
      Effect.gen(function*() {
        const { capacity } = yield* Db.pool
        const busy = yield* Effect.forEach(Array.from({ length: capacity }), () => Effect.fork(Db.query(endless)))
        yield* running(capacity)
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Db.query("SELECT 1 AS one")))
        const [millis, exits] = yield* took(
          Effect.forEach(busy, (fiber) => Fiber.interrupt(fiber), { concurrency: "unbounded" })
        )
        // What is not stopped within two seconds, on a busy machine, is dropped with its connection.
        assert.isBelow(millis, 3000)
        for (const exit of exits) {
          assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause), String(exit))
        }
        assert.lengthOf(yield* Fiber.joinAll(waiting), 3)
        yield* isWhole
      }),
      { pool: { size: 2 } }
    )

    test(
      target,
      "close: what still runs then is cut, and nothing of it is left",
      Effect.gen(function*() {
        const fresh = yield* target.fresh
        const [millis, cut] = yield* took(
          Effect.gen(function*() {
            const cut = yield* Effect.forkDaemon(Effect.flip(Db.query(endless)))
            yield* running(1)
            return cut
          }).pipe(
            Effect.provide(
              Db.layer({
                environment: "production",
                ...fresh,
                pool: { size: 2, overflow: 0, ...fresh.pool, closeTimeout: "200 millis" }
              })
            )
          )
        )
        assert.isBelow(millis, 6000)
        assert.deepInclude(yield* Fiber.join(cut), { _tag: "TimeoutError", phase: "Close", limitMillis: 200 })
        if (target.connections !== undefined) {
          assert.strictEqual(yield* target.connections(fresh), 0)
        }
      })
    )
  })
}
