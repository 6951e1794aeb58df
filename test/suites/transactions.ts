/** Contracts 3, 4, 11 and 12: a transaction is applied wholly or not at all, and its success is the database's word. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import { isWhole } from "./sessions.js"
import { describe, type Target, test } from "./target.js"

export const transactions = (target: Target): void => {
  describe("transactions", () => {
    const table = Db.query(`CREATE TABLE t (id ${target.sql.id}, body ${target.sql.text} UNIQUE)`)
    const insert = (body: string) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO t ${sql.insert({ body })}`)
    const bodies = Effect.map(
      Db.query<{ body: string }>("SELECT body FROM t ORDER BY id"),
      (rows) => rows.map((row) => row.body)
    )

    test(
      target,
      "commit on success, roll back on failure, defect and interrupt",
      Effect.gen(function*() {
        yield* table
        yield* insert("kept").pipe(Db.transaction)
        yield* Effect.exit(Effect.zipRight(insert("failed"), Effect.fail("no")).pipe(Db.transaction))
        const died = yield* Effect.exit(Effect.zipRight(insert("died"), Effect.die("bug")).pipe(Db.transaction))
        assert.isTrue(Exit.isFailure(died) && Cause.isDie(died.cause))
        const entered = yield* Deferred.make<void>()
        const fiber = yield* insert("interrupted").pipe(
          Effect.zipRight(Deferred.succeed(entered, undefined)),
          Effect.zipRight(Effect.never),
          Db.transaction,
          Effect.fork
        )
        yield* Deferred.await(entered)
        const exit = yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.isInterrupted(exit))
        // The locks are gone when the interrupt returns, so the same key can be written at once.
        yield* insert("interrupted")
        assert.deepStrictEqual(yield* bodies, ["kept", "interrupted"])
        const { transactions } = yield* Db.metrics
        assert.deepStrictEqual(transactions, { committed: 1, rolledBack: 3, unknown: 0 })
        yield* isWhole
      })
    )

    test(
      target,
      "nest: the failing sibling undoes only itself",
      Effect.gen(function*() {
        yield* table
        const nested = (body: string, fail: boolean) =>
          Effect.either(Effect.zipRight(insert(body), fail ? Effect.fail("no") : Effect.void).pipe(Db.transaction))
        yield* Effect.gen(function*() {
          yield* insert("outer")
          yield* Effect.all(
            Array.from({ length: 20 }, (_, i) => nested(`n${i}`, i % 3 === 0)),
            { concurrency: "unbounded" }
          )
          // A statement beside them is never inside one of them.
          yield* Effect.all([nested("undone", true), insert("beside"), nested("undone2", true)], {
            concurrency: "unbounded"
          })
        }).pipe(Db.transaction)
        const expected = [
          "outer",
          ...Array.from({ length: 20 }, (_, i) => `n${i}`).filter((_, i) => i % 3 !== 0),
          "beside"
        ]
        assert.sameMembers(yield* bodies, expected)
        yield* isWhole
      })
    )

    test(
      target,
      "nest deeply, and go back level by level",
      Effect.gen(function*() {
        yield* table
        const level = (n: number): Effect.Effect<void, unknown, any> =>
          Effect.gen(function*() {
            yield* insert(`level ${n}`)
            if (n < 5) {
              yield* Effect.ignore(level(n + 1).pipe(Db.transaction))
            }
            if (n === 3) {
              yield* Effect.fail("undo from 3 on")
            }
          })
        yield* level(0).pipe(Db.transaction)
        assert.deepStrictEqual(yield* bodies, ["level 0", "level 1", "level 2"])
      })
    )

    test(
      target,
      "are the same as withTransaction of the client",
      Effect.gen(function*() {
        yield* table
        const sql = yield* Db.sql
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO t ${sql.insert({ body: "a" })}`
          yield* Effect.ignore(sql.withTransaction(Effect.zipRight(insert("b"), Effect.fail("no"))))
          yield* insert("c").pipe(Db.transaction)
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))
        assert.deepStrictEqual(yield* bodies, ["a", "c"])
        const error = yield* Effect.flip(sql.withTransaction(Effect.zipRight(
          sql`INSERT INTO t ${sql.insert({ body: "d" })}`,
          sql`INSERT INTO t ${sql.insert({ body: "a" })}`
        )))
        assert.strictEqual(error._tag, "SqlError")
        assert.deepStrictEqual(yield* bodies, ["a", "c"])
      })
    )

    test(
      target,
      "fail with the first error, and never report success for what was rolled back",
      Effect.gen(function*() {
        yield* table
        yield* insert("taken")
        const exit = yield* Effect.exit(
          Effect.gen(function*() {
            yield* insert("before")
            yield* Effect.ignore(insert("taken"))
            return "done"
          }).pipe(Db.transaction)
        )
        // A database that goes on after a failed statement commits the rest; one that does not must say so.
        if (Exit.isSuccess(exit)) {
          assert.deepStrictEqual(yield* bodies, ["taken", "before"])
        } else {
          const error = Cause.failureOption(exit.cause)
          assert(error._tag === "Some" && error.value._tag === "QueryError")
          assert.deepInclude(error.value, { reason: "TransactionAborted", outcome: "RolledBack" })
          assert.deepInclude(error.value.cause, { _tag: "QueryError", reason: "UniqueViolation" })
          assert.deepStrictEqual(yield* bodies, ["taken"])
        }
        yield* isWhole
      })
    )

    test(
      target,
      "recover inside by a nested transaction",
      Effect.gen(function*() {
        yield* table
        yield* insert("taken")
        yield* Effect.gen(function*() {
          yield* insert("before")
          yield* Effect.ignore(insert("taken").pipe(Db.transaction))
          yield* insert("after")
        }).pipe(Db.transaction)
        assert.deepStrictEqual(yield* bodies, ["taken", "before", "after"])
      })
    )

    test(
      target,
      "do not go on as single statements when they were ended by hand",
      Effect.gen(function*() {
        yield* table
        const error = yield* Effect.flip(
          Effect.gen(function*() {
            yield* insert("inside")
            yield* Db.query("ROLLBACK")
            yield* insert("outside")
          }).pipe(Db.transaction)
        )
        assert.deepInclude(error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "RolledBack" })
        assert.deepStrictEqual(yield* bodies, [])
        yield* isWhole
      })
    )

    test(
      target,
      "do not report what a statement ended and began anew",
      Effect.gen(function*() {
        yield* table
        const sql = yield* Db.sql
        const chains = sql.onDialectOrElse({ pg: () => true, mysql: () => true, orElse: () => false })
        const begin = target.sql.begin ?? "BEGIN"
        const texts = [
          [`ROLLBACK; ${begin}`, "RolledBack"],
          [`/* why */ commit ; ${begin}`, "Unknown"],
          ...!chains ? [] : [["ROLLBACK AND CHAIN", "RolledBack"], ["COMMIT AND CHAIN", "Unknown"]]
        ]
        for (const [text, outcome] of texts) {
          const error = yield* Effect.flip(
            Effect.gen(function*() {
              yield* insert(`before ${text}`)
              yield* Effect.ignore(Db.query(text!))
              yield* Effect.ignore(insert(`behind ${text}`))
            }).pipe(Db.transaction)
          )
          assert.strictEqual(error._tag, "QueryError")
          const kept = yield* bodies
          assert.notInclude(kept, `behind ${text}`)
          // A database that takes one statement at a time refuses the whole text.
          if (error.outcome !== outcome) {
            assert.strictEqual(error.outcome, "RolledBack")
            assert.notInclude(kept, `before ${text}`)
          }
        }
        // A statement that only speaks of it, and one that goes back to a savepoint, end nothing.
        yield* Effect.gen(function*() {
          yield* insert("kept")
          yield* Db.query("SELECT CASE WHEN 1 = 1 THEN 'COMMIT; BEGIN' END AS x -- ; ROLLBACK")
          const [save, back] = sql.onDialectOrElse({
            mssql: () => ["SAVE TRANSACTION mine", "ROLLBACK TRANSACTION mine"] as const,
            orElse: () => ["SAVEPOINT mine", "ROLLBACK TO mine"] as const
          })
          yield* Db.query(save)
          yield* insert("gone")
          yield* Db.query(back)
        }).pipe(Db.transaction)
        assert.include(yield* bodies, "kept")
        assert.notInclude(yield* bodies, "gone")
        yield* isWhole
      })
    )

    test(
      target,
      "do nothing when nothing was asked of them",
      Effect.gen(function*() {
        assert.strictEqual(yield* Effect.succeed(7).pipe(Db.transaction), 7)
        assert.strictEqual(yield* Effect.succeed(8).pipe(Db.transaction, Db.transaction), 8)
        yield* isWhole
      })
    )

    test(
      target,
      "refuse writes when they are read-only",
      Effect.gen(function*() {
        yield* table
        const error = yield* Effect.flip(insert("no").pipe(Db.transaction({ readOnly: true })))
        assert.deepInclude(error, { _tag: "QueryError", reason: "ReadOnly" })
        assert.notStrictEqual(error.outcome, "Unknown")
        assert.deepStrictEqual(yield* bodies.pipe(Db.transaction({ readOnly: true })), [])
      })
    )

    test(
      target,
      "keep or refuse what a nested one asks for",
      Effect.gen(function*() {
        yield* table
        const nested = (
          outer: Db.TransactionOptions,
          inner: Db.TransactionOptions,
          effect: Effect.Effect<unknown, unknown, SqlClient.SqlClient | Db>
        ) => Effect.either(effect.pipe(Db.transaction(inner), Db.transaction(outer)))
        const refused = { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" }
        const other = yield* nested({}, { isolation: "serializable" }, insert("no"))
        assert(other._tag === "Left")
        assert.deepInclude(other.left, refused)
        const same = yield* nested({ isolation: "serializable" }, { isolation: "serializable" }, insert("same"))
        assert.strictEqual(same._tag, "Right")
        const writer = yield* nested({ readOnly: true }, { readOnly: false }, insert("no"))
        assert(writer._tag === "Left")
        assert.deepInclude(writer.left, refused)
        const reader = yield* nested({}, { readOnly: true }, insert("no"))
        assert(reader._tag === "Left" && typeof reader.left === "object" && reader.left !== null)
        const { reason } = reader.left as { readonly reason?: string }
        assert.include(["ReadOnly", "Parameter"], reason)
        if (reason === "ReadOnly") {
          // Only the nested one is read-only, and only until it ends.
          yield* Effect.gen(function*() {
            yield* insert("before")
            yield* bodies.pipe(Db.transaction({ readOnly: true }))
            yield* insert("between")
            yield* Effect.ignore(insert("no").pipe(Db.transaction({ readOnly: true })))
            yield* insert("behind")
          }).pipe(Db.transaction)
          assert.deepStrictEqual(yield* bodies, ["same", "before", "between", "behind"])
        }
        yield* isWhole
      })
    )

    test(
      target,
      "ask what became of a COMMIT, or say before anything is run that this is not possible",
      Effect.gen(function*() {
        yield* table
        const asked = yield* Effect.either(insert("one").pipe(Db.transaction({ resolveCommit: true })))
        if (target.sql.resolvesCommits === true) {
          assert.isTrue(Either.isRight(asked))
        } else {
          assert.deepInclude(Either.getOrThrow(Either.flip(asked)), {
            _tag: "QueryError",
            reason: "Parameter",
            outcome: "NotSent"
          })
          assert.deepInclude((yield* Db.metrics).transactions, { rolledBack: 0 })
        }
        assert.lengthOf(yield* bodies, target.sql.resolvesCommits === true ? 1 : 0)
      })
    )

    test(
      target,
      "take every isolation level the driver names",
      Effect.gen(function*() {
        yield* table
        for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
          yield* insert(isolation).pipe(Db.transaction({ isolation }))
        }
        assert.lengthOf(yield* bodies, 3)
      })
    )

    test(
      target,
      "batch: all or nothing, with the rows of each",
      Effect.gen(function*() {
        yield* table
        const results = yield* Db.batch([
          ["INSERT INTO t (body) VALUES (:body)", { body: "one" }],
          ["INSERT INTO t (body) VALUES (:body)", { body: "two" }],
          ["SELECT body FROM t ORDER BY id"]
        ])
        assert.deepStrictEqual(results[2], [{ body: "one" }, { body: "two" }])
        yield* Effect.flip(Db.batch([
          ["INSERT INTO t (body) VALUES (:body)", { body: "three" }],
          ["INSERT INTO t (body) VALUES (:body)", { body: "one" }]
        ]))
        assert.deepStrictEqual(yield* bodies, ["one", "two"])
      })
    )

    test(
      target,
      "batch: a long list is run in its order, counted one by one, and none of it is kept when one of it fails",
      Effect.gen(function*() {
        yield* table
        const rows = (count: number, at = 0) =>
          Array.from(
            { length: count },
            (_, i) => ["INSERT INTO t (body) VALUES (:body)", { body: `row ${at + i}` }] as const
          )
        const before = (yield* Db.metrics).statements
        const answers = yield* Db.batch([...rows(700), ["SELECT count(*) AS n FROM t"], ...rows(50, 700)])
        assert.lengthOf(answers, 751)
        assert.strictEqual(Number(answers[700]![0]!["n"]), 700)
        assert.strictEqual((yield* Db.metrics).statements - before, 751)
        assert.deepStrictEqual(yield* bodies, Array.from({ length: 750 }, (_, i) => `row ${i}`))
        // The statement that failed is the one that is told of, and what stood behind it was not run.
        const failures = (yield* Db.metrics).failures
        const wrong = yield* Effect.flip(
          Db.batch([...rows(300, 750), ["SELECT a FROM nowhere"], ["DROP TABLE t"], ...rows(300, 2_000)])
        )
        assert.deepInclude(wrong, { _tag: "QueryError", reason: "UndefinedObject" })
        assert.strictEqual(wrong._tag === "QueryError" && wrong.statement, "SELECT a FROM nowhere")
        const twice = yield* Effect.flip(Db.batch([...rows(10, 750), ...rows(1, 5)]))
        assert.deepInclude(twice, { reason: "UniqueViolation", outcome: "RolledBack" })
        // What cannot be sent is found in its turn, too.
        const unsendable = yield* Effect.flip(Db.batch([...rows(10, 750), ["SELECT :a", { a: (() => 1) as never }]]))
        assert.deepInclude(unsendable, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        const missing = yield* Effect.flip(Db.batch([...rows(10, 750), ["SELECT :a", { b: 1 }]]))
        assert.deepInclude(missing, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.lengthOf(yield* bodies, 750)
        assert.deepStrictEqual((yield* Db.metrics).failures["QueryError.UniqueViolation"], 1)
        assert.strictEqual(failures["QueryError.UniqueViolation"], undefined)
        assert.deepStrictEqual(yield* Db.batch([]), [])
        yield* isWhole
      })
    )

    test(
      target,
      "batch: a text that ends the transaction by hand keeps nothing behind it from being refused",
      Effect.gen(function*() {
        yield* table
        const error = yield* Effect.flip(Db.batch([
          ["INSERT INTO t (body) VALUES ('one')"],
          ["ROLLBACK"],
          ["INSERT INTO t (body) VALUES ('two')"]
        ]))
        assert.deepInclude(error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "RolledBack" })
        assert.deepStrictEqual(yield* bodies, [])
        yield* isWhole
      })
    )

    test(
      target,
      "batch: an interrupt leaves nothing of it, wherever it comes",
      Effect.gen(function*() {
        yield* table
        const list = Array.from(
          { length: 2_000 },
          (_, i) => ["INSERT INTO t (body) VALUES (:body)", { body: `row ${i}` }] as const
        )
        for (let turns = 0; turns < 12; turns++) {
          const fiber = yield* Effect.fork(Db.batch(list))
          for (let i = 0; i < turns; i++) {
            yield* Effect.async<void>((resume) => {
              setImmediate(() => resume(Effect.void))
            })
          }
          yield* Fiber.interrupt(fiber)
          // It may have ended before.
          const kept = (yield* bodies).length
          assert.include([0, 2_000], kept)
          yield* Db.query("DELETE FROM t")
        }
        yield* isWhole
      })
    )

    const { deferred } = target.sql
    if (deferred !== undefined) {
      test(
        target,
        "fail typed when COMMIT is refused, and are rolled back then",
        Effect.gen(function*() {
          yield* Db.query(deferred.parent)
          yield* Db.query(deferred.child)
          const error = yield* Effect.flip(Db.query(deferred.insert).pipe(Db.transaction))
          assert.deepInclude(error, { _tag: "QueryError", reason: "ForeignKeyViolation", outcome: "RolledBack" })
          // The connection is not still inside that transaction: what follows is kept.
          yield* table
          yield* insert("kept")
          assert.deepStrictEqual(yield* bodies, ["kept"])
          assert.deepStrictEqual(yield* Db.query("SELECT * FROM child"), [])
          yield* isWhole
        })
      )
    }

    test(
      target,
      "isolate: what is not committed is not seen by others",
      Effect.gen(function*() {
        yield* table
        const written = yield* Deferred.make<void>()
        const seen = yield* Deferred.make<void>()
        const writer = yield* insert("secret").pipe(
          Effect.zipRight(Deferred.succeed(written, undefined)),
          Effect.zipRight(Deferred.await(seen)),
          Db.transaction,
          Effect.fork
        )
        yield* Deferred.await(written)
        // Readers go on while a writer's transaction is open.
        assert.deepStrictEqual(yield* bodies, [])
        yield* Deferred.succeed(seen, undefined)
        yield* Fiber.join(writer)
        assert.deepStrictEqual(yield* bodies, ["secret"])
      })
    )
  })
}
