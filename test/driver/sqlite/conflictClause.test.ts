/** What a statement that fails has done: FAIL keeps the rows before the one that failed, ROLLBACK ends the transaction. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../../src/Db.js"
import { QueryError } from "../../../src/DbError.js"

const outcomeOf = <R>(effect: Effect.Effect<unknown, unknown, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, QueryError)
    return error.outcome
  })

const count = Effect.map(Db.query<{ n: number }>("SELECT count(*) AS n FROM t"), ([row]) => row!.n)

const tables = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE t (a INTEGER UNIQUE)")
  yield* Db.query("CREATE TABLE l (a)")
  yield* Db.query("INSERT INTO t VALUES (3)")
})

const live = Db.layer({ url: "sqlite://:memory:", environment: "production" })

describe("a statement that fails", () => {
  it.scoped("is rolled back wholly", () =>
    Effect.gen(function*() {
      yield* tables
      assert.strictEqual(yield* outcomeOf(Db.query("INSERT INTO t VALUES (1), (2), (3)")), "RolledBack")
      assert.strictEqual(yield* count, 1)
      const inside = Effect.gen(function*() {
        yield* Db.query("INSERT INTO t VALUES (7)")
        assert.strictEqual(yield* outcomeOf(Db.query("INSERT INTO t VALUES (1), (2), (3)")), "RolledBack")
      })
      yield* Db.transaction(inside)
      assert.strictEqual(yield* count, 2)
    }).pipe(Effect.provide(live)))

  it.scoped("of OR FAIL keeps the rows before it, and says that it may", () =>
    Effect.gen(function*() {
      yield* tables
      assert.strictEqual(yield* outcomeOf(Db.query("INSERT OR FAIL INTO t VALUES (1), (2), (3)")), "Unknown")
      assert.strictEqual(yield* count, 3)
      yield* Db.transaction(Effect.gen(function*() {
        assert.strictEqual(yield* outcomeOf(Db.query("INSERT OR FAIL INTO t VALUES (4), (5), (3)")), "Unknown")
      }))
      assert.strictEqual(yield* count, 5)
      assert.strictEqual(yield* outcomeOf(Db.query("INSERT OR FAIL INTO t VALUES (3), (9)")), "RolledBack")
      assert.strictEqual(yield* count, 5)
    }).pipe(Effect.provide(live)))

  it.scoped("of ON CONFLICT FAIL does the same, with no word of it in the statement", () =>
    Effect.gen(function*() {
      yield* Db.query("CREATE TABLE t (a INTEGER UNIQUE ON CONFLICT FAIL)")
      yield* Db.query("INSERT INTO t VALUES (3)")
      assert.strictEqual(yield* outcomeOf(Db.query("INSERT INTO t VALUES (1), (2), (3)")), "Unknown")
      assert.strictEqual(yield* count, 3)
    }).pipe(Effect.provide(live)))

  it.scoped("of RAISE(FAIL) keeps also what its triggers wrote", () =>
    Effect.gen(function*() {
      yield* tables
      yield* Db.query(
        "CREATE TRIGGER r BEFORE INSERT ON t BEGIN INSERT INTO l VALUES (NEW.a); " +
          "SELECT RAISE(FAIL, 'no') WHERE NEW.a = 9; END"
      )
      assert.strictEqual(yield* outcomeOf(Db.query("INSERT INTO t VALUES (1), (9)")), "Unknown")
      assert.strictEqual(yield* count, 2)
      assert.strictEqual(yield* outcomeOf(Db.query("INSERT INTO t VALUES (9)")), "Unknown")
      assert.lengthOf(yield* Db.query("SELECT * FROM l"), 3)
    }).pipe(Effect.provide(live)))

  for (const workers of [0, 1]) {
    it.live(`by a foreign key keeps nothing, also with OR FAIL and at its commit${workers > 0 ? ", in a process" : ""}`, () =>
      Effect.scoped(Effect.gen(function*() {
        yield* Db.query("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        yield* Db.query("CREATE TABLE t (a INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        yield* Db.query("CREATE TABLE l (a)")
        // With a trigger in the schema, the text alone would have to tell.
        yield* Db.query("CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO l VALUES (NEW.a); END")
        for (
          const text of [
            "INSERT INTO t VALUES (7)",
            "INSERT OR FAIL INTO t VALUES (7), (8)",
            "REPLACE INTO t VALUES (7)"
          ]
        ) {
          const error = yield* Effect.flip(Db.query(text))
          assert.deepInclude(error, { reason: "ForeignKeyViolation", outcome: "RolledBack" }, text)
          assert.strictEqual(yield* count, 0)
          assert.deepStrictEqual(yield* Db.query("SELECT * FROM l"), [])
        }
      })).pipe(Effect.provide(Db.layer({ url: "sqlite://:memory:", environment: "production", workers }))))
  }

  it.scoped("of OR ROLLBACK ends the transaction, which is told so", () =>
    Effect.gen(function*() {
      yield* tables
      const error = yield* Effect.flip(
        Db.transaction(Effect.gen(function*() {
          yield* Db.query("INSERT INTO t VALUES (7)")
          assert.strictEqual(yield* outcomeOf(Db.query("INSERT OR ROLLBACK INTO t VALUES (8), (3)")), "RolledBack")
          return "swallowed"
        }))
      )
      assert.strictEqual((error as { readonly outcome?: unknown }).outcome, "RolledBack")
      assert.strictEqual(yield* count, 1)
    }).pipe(Effect.provide(live)))
})
