/** Who meets another program's lock waits for it, and has begun only once when it is there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Db } from "../../../src/Db.js"
import { Database } from "../../kit/sqlite.js"
import { file, places } from "./harness.js"

/** Another program locks a file for writing, or also for reading, long enough to be noticed. */
const holding = (path: string, how: "IMMEDIATE" | "EXCLUSIVE") =>
  Effect.sync(() => {
    const db = new Database(path)
    db.exec(`BEGIN ${how}`)
    setTimeout(() => {
      db.exec("COMMIT")
      db.close()
    }, 40)
  })

const kept = Effect.map(Db.query("SELECT x FROM t ORDER BY x"), (rows) => rows.map(({ x }) => x))

describe.each(places)("a lock of another program, %s", (_, workers) => {
  const test = (name: string, effect: (filename: string) => Effect.Effect<void, unknown, Db>) =>
    it.scopedLive(name, () =>
      Effect.gen(function*() {
        const filename = yield* file
        yield* Effect.zipRight(Db.query("CREATE TABLE t (x)"), effect(filename)).pipe(
          Effect.provide(Db.layer({ type: "sqlite", filename, workers }))
        )
      }))

  test("is waited for where a transaction begins, which is then whole", (filename) =>
    Effect.gen(function*() {
      yield* holding(filename, "IMMEDIATE")
      yield* Effect.zipRight(Db.query("INSERT INTO t VALUES (1)"), Db.query("INSERT INTO t VALUES (2)")).pipe(
        Db.transaction
      )
      yield* holding(filename, "IMMEDIATE")
      yield* Db.batch([["INSERT INTO t VALUES (3)"], ["INSERT INTO t VALUES (4)"]])
      yield* holding(filename, "IMMEDIATE")
      yield* Db.query("INSERT INTO t VALUES (5)")
      assert.deepStrictEqual(yield* kept, [1, 2, 3, 4, 5])
      const { failures, statements } = yield* Db.metrics
      assert.deepStrictEqual([failures, statements], [{}, 7])
    }))

  test("in the middle of a text makes nothing of it run twice", (filename) =>
    Effect.gen(function*() {
      const other = `${filename}.other`
      yield* Effect.sync(() => {
        const db = new Database(other)
        db.exec("CREATE TABLE o (x)")
        db.close()
      })
      yield* Effect.gen(function*() {
        yield* Db.query(`ATTACH '${other}' AS other`)
        yield* holding(other, "EXCLUSIVE")
        // It commits its first statement before it gets to the third.
        yield* Db.query("INSERT INTO t VALUES (1); PRAGMA user_version = 2; SELECT * FROM other.o")
      }).pipe(Db.session)
      assert.deepStrictEqual(yield* kept, [1])
    }))

  test("of an attached database makes no insert into the database itself run twice, nor fail", (filename) =>
    Effect.gen(function*() {
      const other = `${filename}.other`
      yield* Effect.sync(() => {
        const db = new Database(other)
        db.exec("CREATE TABLE o (x)")
        db.close()
      })
      yield* Effect.gen(function*() {
        yield* Db.query(`ATTACH '${other}' AS other`)
        yield* holding(other, "EXCLUSIVE")
        const insert = "INSERT INTO t VALUES (1)"
        assert.deepInclude(yield* Db.execute(insert), { rowsAffected: 1, lastInsertId: 1 })
        assert.deepInclude(yield* Db.execute(`${insert} RETURNING x`), { rowsAffected: 1, lastInsertId: 2 })
      }).pipe(Db.session)
      assert.deepStrictEqual(yield* kept, [1, 1])
    }))

  test("is left to itself when no fiber waits for it any more", (filename) =>
    Effect.gen(function*() {
      yield* holding(filename, "IMMEDIATE")
      const insert = Effect.asVoid(Db.query("INSERT INTO t VALUES (1)"))
      const batch = Db.batch([["INSERT INTO t VALUES (1)"]])
      for (const effect of [insert, Db.transaction(insert), Effect.asVoid(batch)]) {
        const fiber = yield* Effect.fork(effect)
        yield* Effect.yieldNow()
        assert.isTrue((yield* Fiber.interrupt(fiber))._tag === "Failure")
      }
      // What comes next is not disturbed by it, and its fiber can be interrupted as before.
      const next = yield* Effect.fork(Effect.zipRight(Db.query("INSERT INTO t VALUES (2)"), Effect.never))
      while ((yield* kept).length === 0) {
        yield* Effect.sleep(5)
      }
      yield* Fiber.interrupt(next)
      assert.deepStrictEqual(yield* kept, [2])
    }))
})
