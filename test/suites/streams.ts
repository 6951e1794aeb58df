/** Streams: back-pressured, freed on interrupt, and no hindrance to what runs beside them. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import { isWhole } from "./sessions.js"
import { describe, heldTest, type Target, test } from "./target.js"

export const streams = (target: Target): void => {
  describe("streams", () => {
    const series = (n: number) =>
      Stream.unwrap(Effect.map(Db.sql, (sql) => sql.unsafe<{ x: number | string }>(target.sql.series(n)).stream))

    test(
      target,
      "give all rows, in order, and free the connection",
      Effect.gen(function*() {
        const rows = yield* Stream.runCollect(series(5000))
        assert.deepStrictEqual(
          Array.from(rows, (row) => Number(row.x)),
          Array.from({ length: 5000 }, (_, i) => i + 1)
        )
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(series(0))), [])
        yield* isWhole
      })
    )

    test(
      target,
      "give every column under its name, whatever that is, as a statement does",
      Effect.gen(function*() {
        const sql = yield* Db.sql
        const first = target.sql.refusedName === "__proto__" ? "toString" : "__proto__"
        const odd = sql`SELECT 1 AS ${sql(first)}, 2 AS ${sql("constructor")}, 'x' AS ${sql("a b")}`
        const names: Array<[string, unknown]> = [[first, 1], ["constructor", 2], ["a b", "x"]]
        const entries = (rows: Iterable<unknown>) => [...rows].map((row) => Object.entries(row as object))
        assert.deepStrictEqual(entries(yield* odd), [names])
        assert.deepStrictEqual(entries(yield* Stream.runCollect(odd.stream)), [names])
        assert.deepStrictEqual(entries(yield* Effect.zipRight(odd, odd).pipe(Db.transaction)), [names])
      })
    )

    test(
      target,
      "free the connection when only a part is taken, when the consumer fails, when it is interrupted",
      Effect.gen(function*() {
        assert.lengthOf(yield* Stream.runCollect(Stream.take(series(100_000), 3)), 3)
        yield* isWhole
        yield* Effect.flip(
          Stream.runForEach(series(100_000), (row) => Number(row.x) === 700 ? Effect.fail("no") : Effect.void)
        )
        yield* isWhole
        const entered = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          Stream.runForEach(series(100_000), () => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
        )
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(fiber)
        yield* isWhole
      })
    )

    test(
      target,
      "fail typed, and leave the session usable",
      Effect.gen(function*() {
        const sql = yield* Db.sql
        yield* Db.session(Effect.gen(function*() {
          const error = yield* Effect.flip(Stream.runDrain(sql.unsafe("SELECT * FROM nowhere").stream))
          assert.strictEqual(error._tag, "SqlError")
          assert.lengthOf(yield* Db.query("SELECT 1 AS one"), 1)
        }))
        yield* isWhole
      })
    )

    test(
      target,
      "go on without a gap when a pull was interrupted, or say that they cannot",
      Effect.gen(function*() {
        for (let turns = 0; turns < 12; turns++) {
          const numbers: Array<number> = []
          const isOver = (exit: Exit.Exit<Iterable<{ readonly x: number | string }>, unknown>) => {
            if (exit._tag === "Success") {
              numbers.push(...Array.from(exit.value, (row) => Number(row.x)))
            } else if (Option.contains(Cause.failureOption(exit.cause), Option.none())) {
              assert.lengthOf(numbers, 5000, `cut short after ${turns} turns`)
            }
            numbers.forEach((x, i) => assert.strictEqual(x, i + 1, `a gap after ${turns} turns`))
            return exit._tag === "Failure"
          }
          yield* Effect.gen(function*() {
            const pull = yield* Stream.toPull(series(5000))
            isOver(yield* Effect.exit(pull))
            const fiber = yield* Effect.fork(pull)
            for (let turn = 0; turn < turns; turn++) {
              yield* Effect.promise(() => new Promise(setImmediate))
            }
            const interrupted = yield* Fiber.interrupt(fiber)
            if (interrupted._tag === "Success") {
              isOver(interrupted)
            }
            let over = false
            while (!over) {
              over = isOver(yield* Effect.exit(pull))
            }
          }).pipe(Effect.scoped, Db.session)
        }
        yield* isWhole
      })
    )

    test(
      target,
      "are read on in a transaction that begins when they are open already, and do not stand in for its first statement",
      Effect.gen(function*() {
        yield* Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text})`)
        for (const reads of [true, false]) {
          yield* Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            const pull = yield* Stream.toPull(series(3000))
            let read = (yield* pull).length
            const insert = (body: string) => sql`INSERT INTO t ${sql.insert({ body })}`
            const more = Effect.map(pull, (rows) => read += rows.length)
            yield* Effect.zipRight(reads ? more : Effect.void, insert("kept")).pipe(Db.transaction)
            yield* Effect.zipRight(insert("undone"), Effect.fail("no")).pipe(Db.transaction, Effect.ignore)
            while (read < 3000) {
              yield* more
            }
            assert.strictEqual(read, 3000)
          }).pipe(Effect.scoped, Db.session)
        }
        assert.deepStrictEqual(
          (yield* Db.query<{ body: string }>("SELECT body FROM t ORDER BY id")).map(({ body }) => body),
          ["kept", "kept"]
        )
        yield* isWhole
      })
    )

    heldTest(
      target,
      "leave the session usable when a limit around them runs out between two fetches",
      (time) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const frames: ReadonlyArray<typeof Db.session> = [Db.session, Db.transaction]
          for (const within of frames) {
            yield* Effect.gen(function*() {
              const late = Effect.zipRight(time.run(), Effect.zipRight(Effect.sleep("20 millis"), time.hold))
              const error = yield* Stream.runForEach(
                series(50_000),
                (row) => Number(row.x) === 3000 ? late : Effect.void
              )
                .pipe(Db.withTimeout("10 millis"), Effect.flip)
              assert.strictEqual(error._tag, "SqlError")
              assert.lengthOf(yield* sql`SELECT 1 AS one`, 1)
            }).pipe(within)
          }
          yield* isWhole
        })
    )

    type Within = (effect: Effect.Effect<void, SqlError, SqlClient.SqlClient>) => Effect.Effect<void, unknown, Db>
    const places: ReadonlyArray<readonly [string, Within]> = [["a session", Db.session], [
      "a transaction",
      Db.transaction
    ]]
    for (const [where, within] of places) {
      test(
        target,
        `let statements run beside them in ${where}`,
        Effect.gen(function*() {
          yield* Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text})`)
          yield* Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* Stream.runForEach(
              sql.unsafe<{ x: number | string }>(target.sql.series(2000)).stream,
              (row) => Number(row.x) % 500 === 0 ? sql`INSERT INTO t ${sql.insert({ body: `${row.x}` })}` : Effect.void
            )
          }).pipe(within)
          assert.lengthOf(yield* Db.query("SELECT body FROM t"), 4)
          yield* isWhole
        })
      )
    }
  })
}
