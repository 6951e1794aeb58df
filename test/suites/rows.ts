/** Rows as they are asked for: what a statement did, one row, one value, rows by a schema. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import { Db } from "../../src/Db.js"
import { document, isRefused, number, placesOf, telling } from "./rowSchemas.js"
import { describe, type Target, test } from "./target.js"

class Other extends Db.Tag("Other")<Other>() {}

const Note = Schema.Struct({ n: Schema.Number, body: Schema.NonEmptyString })

/** What a new row's key is told by: its statement's clause, where not `lastInsertId`. */
const keyOf = Effect.map(Db.info, ({ serverVersion = "", type }) => ({
  tellsKey: type === "sqlite" || type === "mysql",
  returning: type === "mssql"
    ? (statement: string) => statement.replace(/ (?=VALUES|SET|WHERE)/, (space) => `${space}OUTPUT INSERTED.n `)
    : type === "mysql" && !serverVersion.includes("MariaDB")
    ? undefined
    : (statement: string) => `${statement} RETURNING n`,
  several: type !== "mssql"
}))

export const rows = (target: Target): void => {
  describe("rows as they are asked for", () => {
    const { id, series, text } = target.sql
    const table = Db.query(`CREATE TABLE note (id ${id}, n INTEGER, body ${text})`)
    const fill = Db.query("INSERT INTO note (n, body) VALUES (1, 'a'), (2, 'b'), (3, 'c')")

    test(
      target,
      "execute tells how many rows a statement has written, and the key of a new one",
      Effect.gen(function*() {
        yield* table
        const { tellsKey } = yield* keyOf
        const nothing = { rows: [], rowsAffected: 0, lastInsertId: undefined }
        const one = yield* Db.execute("INSERT INTO note (body) VALUES (:body)", { body: "first" })
        assert.deepStrictEqual(one, { rows: [], rowsAffected: 1, lastInsertId: tellsKey ? 1 : undefined })
        const two = yield* Db.execute("INSERT INTO note (body) VALUES (:a), (:b)", { a: "second", b: "third" })
        assert.strictEqual(two.rowsAffected, 2)
        assert.deepStrictEqual(yield* Db.execute("UPDATE note SET body = body WHERE id < :id", { id: 3 }), {
          ...nothing,
          rowsAffected: 2
        })
        assert.deepStrictEqual(yield* Db.execute("UPDATE note SET body = 'x' WHERE id = 99"), nothing)
        assert.deepStrictEqual(yield* Db.execute("DELETE FROM note"), { ...nothing, rowsAffected: 3 })
        assert.deepStrictEqual(yield* Db.execute("DROP TABLE note"), nothing)
      })
    )

    test(
      target,
      "execute gives the rows of a SELECT, which affects none, and of a statement that writes",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const { returning } = yield* keyOf
        const read = yield* Db.execute("SELECT body FROM note ORDER BY id")
        assert.deepStrictEqual(read, {
          rows: [{ body: "a" }, { body: "b" }, { body: "c" }],
          rowsAffected: 0,
          lastInsertId: undefined
        })
        if (returning !== undefined) {
          const written = yield* Db.execute(returning("INSERT INTO note (n, body) VALUES (4, :a), (5, :b)"), {
            a: "d",
            b: "e"
          })
          assert.deepStrictEqual(written.rows, [{ n: 4 }, { n: 5 }])
          assert.strictEqual(written.rowsAffected, 2)
        }
      })
    )

    test(
      target,
      "execute is one of the transaction that it is in",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const failed = Effect.zipRight(Db.execute("DELETE FROM note"), Effect.fail("undo" as const))
        assert.strictEqual(yield* Effect.flip(Db.transaction(failed)), "undo")
        const done = yield* Db.transaction(Db.execute("DELETE FROM note WHERE body = :body", { body: "b" }))
        assert.strictEqual(done.rowsAffected, 1)
        assert.strictEqual(Number(yield* Db.scalar("SELECT count(*) FROM note")), 2)
      })
    )

    test(
      target,
      "execute tells of the last of several statements",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const result = yield* Db.execute("DELETE FROM note WHERE id = 1; UPDATE note SET body = 'z'")
        assert.deepInclude(result, { rows: [], rowsAffected: 2 })
        const read = yield* Db.execute("UPDATE note SET body = 'y'; SELECT body FROM note WHERE id = 2")
        assert.deepStrictEqual(read.rows, [{ body: "y" }])
      })
    )

    test(
      target,
      "one, option and scalar ask for the last of several statements",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const text = "UPDATE note SET body = 'y' WHERE id = 1; SELECT body FROM note WHERE id = 1"
        const sql = yield* SqlClient.SqlClient
        assert.deepStrictEqual(yield* Db.query(text), [{ body: "y" }])
        assert.deepStrictEqual(yield* Db.one(text), { body: "y" })
        assert.deepStrictEqual(yield* Db.option(text), Option.some({ body: "y" }))
        for (const scalar of [Db.scalar(text), Db.scalar(sql.unsafe(text))]) assert.strictEqual(yield* scalar, "y")
        const wide = yield* Effect.flip(
          Db.scalar("SELECT id FROM note WHERE id = 1; SELECT n, body FROM note WHERE id = 1")
        )
        assert.deepInclude(wide, { reason: "TooMany" })
        assert.include(wide.message, "a row of 2 columns")
        const faulty = sql`SELECT n FROM note WHERE id = ${undefined}; SELECT 1`
        assert.deepInclude(yield* Effect.flip(Db.scalar(faulty)), { _tag: "QueryError", outcome: "NotSent" })
      })
    )

    test(
      target,
      "a procedure of MySQL gives its last rows, also among several statements and behind a comment",
      Effect.gen(function*() {
        const { type } = yield* Db.info
        if (type !== "mysql" && type !== "mariadb") return
        yield* Effect.zipRight(table, fill)
        yield* Db.query(
          "CREATE PROCEDURE gives() BEGIN SELECT 1 AS x; SELECT 2 AS y; DELETE FROM note WHERE id = 1; END"
        )
        yield* Db.query("CREATE PROCEDURE writes() BEGIN DELETE FROM note WHERE id = 2; END")
        for (
          const text of ["CALL gives()", "/* c */ CALL gives()", "-- c\nCALL gives()", "SELECT 3 AS z; CALL gives()"]
        ) {
          assert.deepStrictEqual(yield* Db.query(text), [{ y: 2 }])
          assert.deepStrictEqual((yield* Db.execute(text)).rows, [{ y: 2 }])
          assert.strictEqual(yield* Db.scalar(text), 2)
        }
        for (const text of ["SELECT 3 AS z; CALL writes()", "CALL gives(); SELECT 3 AS z; DELETE FROM note"]) {
          assert.deepStrictEqual((yield* Db.execute(text)).rows, [])
          assert.deepStrictEqual(yield* Db.query(text), [])
        }
        assert.deepStrictEqual(yield* Db.one("CALL writes(); SELECT 3 AS z"), { z: 3 })
      })
    )

    test(
      target,
      "a statement of sql can be given in place of a text",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const sql = yield* SqlClient.SqlClient
        assert.strictEqual((yield* Db.execute(sql`UPDATE note SET body = ${"q"} WHERE id < ${3}`)).rowsAffected, 2)
        assert.deepStrictEqual(yield* Db.query(sql`SELECT n FROM note WHERE body = ${"q"} ORDER BY id`), [
          { n: 1 },
          { n: 2 }
        ])
        assert.deepStrictEqual(yield* Db.one(sql<{ n: number }>`SELECT n FROM note WHERE id = ${3}`), { n: 3 })
        assert.deepStrictEqual(yield* Db.option(sql`SELECT id FROM note WHERE id = ${9}`), Option.none())
        assert.strictEqual(yield* Db.scalar(sql`SELECT body FROM note WHERE id = ${3}`), "c")
        const note = yield* Db.one(sql`SELECT n, body FROM note WHERE id = ${1}`, { schema: Note })
        assert.deepStrictEqual(note, { n: 1, body: "q" })
        const error = yield* Effect.flip(Db.query(sql`SELECT missing_column FROM note`))
        assert.deepInclude(error, { _tag: "QueryError", reason: "UndefinedObject" })
      })
    )

    test(
      target,
      "a statement of another database is refused, and not sent",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const sql = yield* Other.sql
        const error = yield* Effect.flip(Db.execute(sql`DELETE FROM note`))
        assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.strictEqual(Number(yield* Db.scalar("SELECT count(*) FROM note")), 3)
      }).pipe(Effect.provide(Other.layer({ url: "sqlite::memory:" })))
    )

    test(
      target,
      "one, option and scalar want one row",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        assert.deepStrictEqual(yield* Db.one("SELECT n, body FROM note WHERE id = :id", { id: 2 }), { n: 2, body: "b" })
        assert.deepStrictEqual(yield* Db.option("SELECT body FROM note WHERE id = 2"), Option.some({ body: "b" }))
        assert.deepStrictEqual(yield* Db.option("SELECT body FROM note WHERE id = 9"), Option.none())
        assert.strictEqual(yield* Db.scalar("SELECT body FROM note WHERE id = 2"), "b")
        const none = "SELECT body FROM note WHERE id = 9"
        for (const missing of [Db.one(none), Db.scalar(none)]) {
          const error = yield* Effect.flip(missing)
          assert.deepInclude(error, { _tag: "QueryError", reason: "NotFound", outcome: "Applied", statement: none })
        }
        const all = "SELECT body FROM note"
        for (const several of [Db.one(all), Db.option(all), Db.scalar(all)]) {
          const error = yield* Effect.flip(several)
          assert.deepInclude(error, { _tag: "QueryError", reason: "TooMany", outcome: "Applied", statement: all })
        }
        const wide = yield* Effect.flip(Db.scalar("SELECT n, body FROM note WHERE id = 1"))
        assert.deepInclude(wide, { reason: "TooMany" })
        assert.include(wide.message, "a row of 2 columns")
      })
    )

    test(
      target,
      "a row that is missing is no failure of the database, and undoes the transaction that it leaves",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const missing = Db.one("SELECT body FROM note WHERE id = 9")
        const before = (yield* Db.metrics).failures
        const kept = Db.execute("DELETE FROM note WHERE id = 1").pipe(
          Effect.zipRight(Effect.ignore(missing)),
          Db.transaction
        )
        yield* kept
        yield* Effect.flip(Db.transaction(Effect.zipRight(Db.execute("DELETE FROM note"), missing)))
        assert.strictEqual(Number(yield* Db.scalar("SELECT count(*) FROM note")), 2)
        assert.deepStrictEqual((yield* Db.metrics).failures, before)
      })
    )

    test(
      target,
      "a schema decodes rows; what it refuses is told by row and column, without the value",
      Effect.gen(function*() {
        yield* Effect.zipRight(table, fill)
        const all = "SELECT n, body FROM note ORDER BY id"
        const notes = yield* Db.query(all, {}, { schema: Note })
        assert.deepStrictEqual(notes.map(({ body }) => body), ["a", "b", "c"])
        assert.strictEqual(yield* Db.scalar("SELECT body FROM note WHERE id = 1", {}, { schema: Schema.String }), "a")
        const some = yield* Db.option("SELECT n, body FROM note WHERE id = :id", { id: 1 }, { schema: Note })
        assert.deepStrictEqual(some, Option.some({ n: 1, body: "a" }))
        yield* Db.query("UPDATE note SET body = NULL WHERE id = 3")
        const error = yield* Effect.flip(Db.query(all, {}, { schema: Note }))
        assert.isTrue(isRefused(error))
        assert.include(error.message, "row 3, column \"body\": expected string, got null")
        assert.include(error.message, all)
        assert.deepStrictEqual(yield* placesOf(error), [[2, "body"]])
        yield* Db.query("UPDATE note SET body = 'secret' WHERE id = 1")
        const wrong = Schema.Struct({ body: number.schema })
        const hidden = yield* Effect.flip(Db.one("SELECT body FROM note WHERE id = 1", {}, { schema: wrong }))
        assert.include(hidden.message, `row 1, column "body": ${number.refused}`)
        assert.notInclude(String(hidden), "secret")
        assert.notInclude(JSON.stringify(hidden), "secret")
        const absent = Schema.Struct({ title: Schema.String })
        const missing = yield* Effect.flip(Db.query("SELECT body FROM note WHERE id = 1", {}, { schema: absent }))
        assert.include(missing.message, "row 1, column \"title\": the answer has no such column")
        const executed = yield* Db.execute(all, {}, { schema: Schema.Struct({ n: Schema.Number }) })
        assert.deepStrictEqual(executed.rows, [{ n: 1 }, { n: 2 }, { n: 3 }])
      })
    )

    test(
      target,
      "what a schema refuses is told without the names in a document, and without what a filter says",
      Effect.gen(function*() {
        yield* table
        yield* Db.execute("INSERT INTO note (n, body) VALUES (1, :body)", { body: "{\"secret\":\"x\"}" })
        const scalar = Db.scalar("SELECT body FROM note", {}, { schema: document })
        const row = Db.one("SELECT body FROM note", {}, { schema: Schema.Struct({ body: document }) })
        const filter = Db.one("SELECT body FROM note", {}, { schema: telling })
        const paths: Array<unknown> = []
        for (const failing of [Effect.asVoid(scalar), Effect.asVoid(row), Effect.asVoid(filter)]) {
          const error = yield* Effect.flip(failing)
          for (const text of [error.message, JSON.stringify(error), inspect(error, { depth: null })]) {
            assert.notInclude(text, "secret")
          }
          paths.push(yield* placesOf(error))
        }
        assert.deepStrictEqual(paths, [[[0]], [[0, "body"]], [[0]]])
      })
    )

    test(
      target,
      "a long list is decoded",
      Effect.gen(function*() {
        const schema = Schema.Struct({ x: Schema.Union(Schema.Number, number.schema) })
        const many = yield* Db.query(series(500), {}, { schema })
        assert.strictEqual(many.length, 500)
        assert.strictEqual(many.at(-1)?.x, 500)
      })
    )
  })
}
