/** Contracts 3 and 9: every failure is typed, says what and where, and holds no secret; the session lives on. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { inspect } from "node:util"
import { Db } from "../../src/Db.js"
import type { QueryReason } from "../../src/DbError.js"
import { isWhole } from "./sessions.js"
import { describe, type Target, test } from "./target.js"

export const errors = (target: Target): void => {
  describe("errors", () => {
    const schema = Effect.gen(function*() {
      yield* Db.query(`CREATE TABLE parent (id ${target.sql.id}, body ${target.sql.text} NOT NULL)`)
      yield* Db.query(
        `CREATE TABLE child (id ${target.sql.id}, name ${target.sql.text}, n ${target.sql.bigint}, ` +
          `parent_id ${target.sql.bigint} NOT NULL REFERENCES parent (id), ` +
          "CONSTRAINT n_positive CHECK (n > 0), CONSTRAINT name_unique UNIQUE (name))"
      )
      yield* Db.query("INSERT INTO parent (body) VALUES ('p')")
      yield* Db.query("INSERT INTO child (name, n, parent_id) VALUES ('a', 1, 1)")
    })
    const cases: ReadonlyArray<readonly [QueryReason, string]> = [
      ["SqlSyntax", "SELEC 1"],
      ["UndefinedObject", "SELECT * FROM nowhere"],
      ["UndefinedObject", "SELECT missing_column FROM parent"],
      ["UniqueViolation", "INSERT INTO child (name, n, parent_id) VALUES ('a', 1, 1)"],
      ["ForeignKeyViolation", "INSERT INTO child (name, n, parent_id) VALUES ('b', 1, 99)"],
      ["NotNullViolation", "INSERT INTO parent (body) VALUES (NULL)"],
      ["CheckViolation", "INSERT INTO child (name, n, parent_id) VALUES ('c', 0, 1)"]
    ]
    test(
      target,
      "are classified, and the session is usable afterwards",
      Effect.gen(function*() {
        yield* schema
        yield* Db.session(Effect.gen(function*() {
          for (const [reason, text] of cases) {
            const error = yield* Effect.flip(Db.query(text))
            assert.deepInclude(error, { _tag: "QueryError", reason, database: "default", statement: text }, text)
            assert.notStrictEqual(error.outcome, "Unknown", text)
            assert.isFalse(error.isTransient, text)
            assert.isDefined(error.cause, text)
            assert.include(error.message, "default", text)
            assert.lengthOf(yield* Db.query("SELECT id FROM child"), 1)
          }
        }))
        const { failures } = yield* Db.metrics
        assert.strictEqual(failures["QueryError.UndefinedObject"], 2)
        assert.strictEqual(failures["QueryError.UniqueViolation"], 1)
        yield* isWhole
      })
    )

    test(
      target,
      "of parameters name the parameter, never its value",
      Effect.gen(function*() {
        yield* Db.session(Effect.gen(function*() {
          const sql = yield* Db.sql
          for (
            const bad of [
              undefined,
              Symbol("secret-value"),
              () => "secret-value",
              "secret-value \ud800",
              new Date(NaN)
            ]
          ) {
            const error = yield* Effect.flip(sql`SELECT ${"ok"} AS a, ${bad} AS b`)
            const typed = yield* Effect.flip(Db.session(sql`SELECT ${bad} AS b`))
            assert.deepInclude(typed, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
            assert.notInclude(inspect(error, { depth: 9 }), "secret-value")
            assert.notInclude(inspect(typed, { depth: 9 }), "secret-value")
            assert.lengthOf(yield* sql`SELECT 1 AS one`, 1)
          }
        }))
      })
    )

    test(
      target,
      "of named parameters say which name",
      Effect.gen(function*() {
        const missing = yield* Effect.flip(Db.query("SELECT :a AS a, :b AS b", { a: 1 }))
        assert.deepInclude(missing, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.include(missing.message, "b")
        const unknown = yield* Effect.flip(Db.query("SELECT :a AS a", { a: 1, extra: 2 }))
        assert.deepInclude(unknown, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.include(unknown.message, "extra")
        const rows = yield* Db.query<{ a: string; b: string }>("SELECT ':x' AS a, :b AS b -- :c", { b: "B" })
        assert.deepStrictEqual({ ...rows[0]! }, { a: ":x", b: "B" })
      })
    )

    test(
      target,
      "inside a transaction roll back what they must, and no more",
      Effect.gen(function*() {
        yield* schema
        const result = yield* Effect.either(
          Db.query("INSERT INTO child (name, n, parent_id) VALUES ('x', 1, 1)").pipe(
            Effect.zipRight(Db.query("INSERT INTO child (name, n, parent_id) VALUES ('a', 1, 1)")),
            Db.transaction
          )
        )
        assert(Either.isLeft(result))
        assert.deepInclude(result.left, { _tag: "QueryError", reason: "UniqueViolation", outcome: "RolledBack" })
        assert.lengthOf(yield* Db.query("SELECT id FROM child"), 1)
      })
    )
  })
}
