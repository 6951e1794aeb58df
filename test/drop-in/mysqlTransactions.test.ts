/** What MySQL commits by itself in the middle of a transaction: followed where `@effect/sql` is spoken, refused where we are. */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import * as DbError from "../../src/DbError.js"
import { describeMariadb, freshMysqlDatabase } from "../kit/mysql.js"

const Live = Layer.unwrapScoped(
  Effect.map(freshMysqlDatabase, ({ url }) => Db.layer({ url, environment: "production" }))
)

const typed = (error: unknown) => error instanceof SqlError ? DbError.fromSqlError(error, "default") : error

const setUp = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE t (n INT PRIMARY KEY)`
  return {
    sql,
    add: (n: number) => sql`INSERT INTO t VALUES (${n})`,
    rows: Effect.map(sql<{ n: number }>`SELECT n FROM t ORDER BY n`, (rows) => rows.map((row) => row.n))
  }
})

describeMariadb("sql.withTransaction on MySQL", () => {
  it.scopedLive("goes on after DDL, whose commit holds, and each statement behind it is applied at once", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      const before = yield* Db.metrics
      const result = yield* sql.withTransaction(Effect.gen(function*() {
        yield* add(1)
        yield* sql`CREATE TABLE u (n INT)`
        yield* add(2)
        // Seen on another connection before the end.
        return yield* Effect.scoped(
          Effect.flatMap(sql.reserve, (other) => other.executeValues("SELECT n FROM t ORDER BY n", []))
        )
      }))
      assert.deepStrictEqual(result, [[1], [2]])
      assert.deepStrictEqual(yield* rows, [1, 2])
      const after = yield* Db.metrics
      assert.strictEqual(after.transactions.committed - before.transactions.committed, 1)
    }).pipe(Effect.provide(Live)))

  it.scopedLive("says of an error behind the DDL that a part is applied", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      const before = yield* Db.metrics
      const error = yield* sql.withTransaction(Effect.gen(function*() {
        yield* add(1)
        yield* sql`CREATE TABLE u (n INT)`
        yield* add(2)
        yield* add(2)
      })).pipe(Effect.flip)
      assert.instanceOf(error, SqlError)
      const known = typed(error)
      assert.deepInclude(known, { _tag: "QueryError", reason: "UniqueViolation", outcome: "Unknown", code: "1062" })
      assert.include(
        error.message,
        "A part of its transaction may be applied: the database commits before CREATE TABLE u"
      )
      assert.deepStrictEqual(yield* rows, [1, 2])
      const after = yield* Db.metrics
      assert.strictEqual(after.transactions.unknown - before.transactions.unknown, 1)
      assert.strictEqual(after.transactions.rolledBack, before.transactions.rolledBack)
      // What is no error of the database is passed on as it is.
      const own = yield* sql.withTransaction(
        Effect.zipRight(sql`CREATE TABLE v (n INT)`, Effect.fail("no" as const))
      ).pipe(Effect.flip)
      assert.strictEqual(own, "no")
      // Typed errors, too.
      const inner = yield* sql.withTransaction(
        Effect.zipRight(sql`CREATE TABLE w (n INT)`, Db.query("INSERT INTO t VALUES (2)"))
      ).pipe(Effect.flip)
      assert.deepInclude(inner, { _tag: "QueryError", outcome: "Unknown" })
    }).pipe(Effect.provide(Live)))

  it.scopedLive("goes on after DDL that failed: the commit stands before it", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* add(1)
        yield* Effect.ignore(sql`CREATE TABLE t (n INT)`)
        yield* Effect.ignore(sql`CREATE INDEX a ON t (n); CREATE INDEX a ON t (n); CREATE INDEX b ON t (n)`.unprepared)
        yield* add(2)
      }))
      assert.deepStrictEqual(yield* rows, [1, 2])
      const indexes = yield* sql<{ name: string }>`
        SELECT DISTINCT INDEX_NAME AS name FROM information_schema.statistics
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' ORDER BY 1`
      assert.deepStrictEqual(indexes.map((row) => row.name), ["a", "PRIMARY"])
    }).pipe(Effect.provide(Live)))

  it.scopedLive("begins a nested one as a transaction of its own where nothing is open any more", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`CREATE TABLE u (n INT)`
        const failed = yield* Effect.exit(sql.withTransaction(Effect.zipRight(add(1), Effect.fail("no"))))
        assert.isTrue(Exit.isFailure(failed))
        assert.deepStrictEqual(yield* rows, [])
        yield* sql.withTransaction(Effect.zipRight(add(2), sql.withTransaction(add(3))))
        // Also one of ours, with an option that no savepoint could have.
        yield* add(4).pipe(Db.transaction({ isolation: "serializable" }))
        // Around DDL once more.
        yield* sql.withTransaction(Effect.all([add(5), sql`CREATE TABLE v (n INT)`, add(6)]))
        yield* add(7)
      }))
      assert.deepStrictEqual(yield* rows, [2, 3, 4, 5, 6, 7])
      const { inUse } = yield* Db.pool
      assert.strictEqual(inUse, 0)
    }).pipe(Effect.provide(Live)))

  it.scopedLive("ends the savepoints with the transaction when a nested one runs DDL", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      const error = yield* sql.withTransaction(Effect.gen(function*() {
        yield* add(1)
        yield* sql.withTransaction(Effect.all([add(2), sql`CREATE TABLE u (n INT)`, add(3)]))
        const nested = yield* Effect.flip(sql.withTransaction(Effect.zipRight(add(4), add(4))))
        // A transaction of its own by now, which was rolled back as a whole.
        assert.deepInclude(typed(nested), { reason: "UniqueViolation", outcome: "RolledBack" })
        return yield* nested
      })).pipe(Effect.flip)
      assert.deepInclude(typed(error), { reason: "UniqueViolation", outcome: "Unknown" })
      assert.deepStrictEqual(yield* rows, [1, 2, 3])
    }).pipe(Effect.provide(Live)))

  it.scopedLive("does not go on when the server rolled it back, or a statement by hand ended it", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      for (const text of ["COMMIT", "ROLLBACK", "BEGIN", "START TRANSACTION READ WRITE"]) {
        const error = yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`DELETE FROM t`
          yield* sql.unsafe(text)
          yield* add(1)
        })).pipe(Effect.flip)
        assert.deepInclude(typed(error), {
          reason: "TransactionAborted",
          outcome: text === "ROLLBACK" ? "RolledBack" : "Unknown"
        })
        assert.deepStrictEqual(yield* rows, [])
      }
      // Whether a procedure has committed or rolled back is not known.
      yield* sql`CREATE PROCEDURE p() BEGIN ROLLBACK; END`
      const called = yield* sql.withTransaction(Effect.all([add(1), sql`CALL p()`, add(2)])).pipe(Effect.flip)
      assert.deepInclude(typed(called), { reason: "TransactionAborted", outcome: "Unknown" })
      assert.deepStrictEqual(yield* rows, [])
    }).pipe(Effect.provide(Live)))

  it.scopedLive("commits what the program itself began behind the DDL", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      yield* sql.withTransaction(Effect.all([sql`CREATE TABLE u (n INT)`, sql`BEGIN`, add(1)]))
      assert.deepStrictEqual(yield* rows, [1])
      yield* Effect.exit(
        sql.withTransaction(Effect.all([sql`CREATE TABLE v (n INT)`, sql`BEGIN`, add(2), Effect.fail("no")]))
      )
      assert.deepStrictEqual(yield* rows, [1])
    }).pipe(Effect.provide(Live)))

  it.scopedLive("leaves its connection clean when it is interrupted behind the DDL", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      const exit = yield* sql.withTransaction(
        Effect.all([add(1), sql`CREATE TABLE u (n INT)`, add(2), Effect.interrupt])
      ).pipe(Effect.exit)
      assert.isTrue(Exit.isInterrupted(exit))
      assert.deepStrictEqual(yield* rows, [1, 2])
      assert.strictEqual((yield* Db.pool).inUse, 0)
    }).pipe(Effect.provide(Live)))
})

describeMariadb("Db.transaction on MySQL", () => {
  it.scopedLive("refuses what stands behind DDL, and does not claim to have undone what stands before it", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      const error = yield* Effect.all([add(1), sql`CREATE TABLE u (n INT)`, add(2)]).pipe(Db.transaction, Effect.flip)
      assert.deepInclude(error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "Unknown" })
      assert.deepStrictEqual(yield* rows, [1])
      // The DDL itself was refused, but the server had committed before it looked at it.
      const failed = yield* Effect.all([add(3), sql`CREATE TABLE u (n INT)`]).pipe(Db.transaction, Effect.flip)
      assert.deepInclude(failed, { _tag: "QueryError", code: "1050", outcome: "Unknown" })
      const swallowed = yield* Effect.all([add(4), Effect.ignore(sql`CREATE TABLE u (n INT)`), add(5)]).pipe(
        Db.transaction,
        Effect.flip
      )
      assert.deepInclude(swallowed, { reason: "TransactionAborted", outcome: "Unknown" })
      assert.deepStrictEqual(yield* rows, [1, 3, 4])
    }).pipe(Effect.provide(Live)))

  it.scopedLive("stays strict inside sql.withTransaction, and around it", () =>
    Effect.gen(function*() {
      const { add, rows, sql } = yield* setUp
      const inside = yield* sql.withTransaction(Effect.gen(function*() {
        yield* add(1)
        const error = yield* Effect.all([add(2), sql`CREATE TABLE u (n INT)`, add(3)]).pipe(
          Db.transaction,
          Effect.flip
        )
        yield* add(4)
        return error
      }))
      assert.deepInclude(inside, { reason: "TransactionAborted", outcome: "Unknown" })
      assert.deepStrictEqual(yield* rows, [1, 2, 4])
      const around = yield* Effect.gen(function*() {
        yield* Effect.ignore(sql.withTransaction(Effect.all([add(5), sql`CREATE TABLE v (n INT)`, add(6)])))
        yield* add(7)
      }).pipe(Db.transaction, Effect.flip)
      assert.deepInclude(around, { reason: "TransactionAborted", outcome: "Unknown" })
      assert.deepStrictEqual(yield* rows, [1, 2, 4, 5])
    }).pipe(Effect.provide(Live)))
})
