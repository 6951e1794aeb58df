import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import { typed } from "../../src/internal/database/Typed.js"
import { subjects, test } from "./databases.js"

/** The helpers of the template: the right SQL, or a refusal that says what is wrong. */
for (const target of subjects) {
  target.describe(`helpers of the template, ${target.name}`, () => {
    const table = Effect.flatMap(SqlClient.SqlClient, (sql) =>
      Effect.as(
        sql.unsafe(`CREATE TABLE t (n ${target.integer}, v ${target.text} DEFAULT 'd')`),
        sql
      ))

    const refused = <A, R>(effect: Effect.Effect<A, unknown, R>, said: RegExp) =>
      Effect.gen(function*() {
        const error = typed("default")(yield* Effect.flip(effect))
        assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.match(String((error as { readonly message: string }).message), said)
      })

    const all = Effect.gen(function*() {
      const rows = yield* Db.query<{ n: unknown; v: string | null }>("SELECT n, v FROM t ORDER BY n")
      return rows.map(({ n, v }) => [Number(n), v])
    })

    test(
      target,
      "rows of different keys lose nothing",
      Effect.gen(function*() {
        const sql = yield* table
        yield* sql`INSERT INTO t ${sql.insert([{ n: 1 }, { n: 2, v: "x" }])}`
        yield* sql`INSERT INTO t ${sql.insert([{ n: 3, v: "y" }, { n: 4 }, { v: "z", n: 5 }])}`
        yield* sql`INSERT INTO t ${sql.insert({ n: 6, v: undefined })}`
        yield* sql`INSERT INTO t ${sql.insert({ n: 7 })}`
        assert.deepStrictEqual(yield* all, [[1, null], [2, "x"], [3, "y"], [4, null], [5, "z"], [6, null], [7, "d"]])
      })
    )

    test(
      target,
      "an insert without a column takes the defaults",
      Effect.gen(function*() {
        const sql = yield* table
        yield* sql`INSERT INTO t ${sql.insert({})}`
        assert.deepStrictEqual(yield* Db.query("SELECT n, v FROM t"), [{ n: null, v: "d" }])
      })
    )

    test(
      target,
      "nothing, and pieces of SQL, are refused where only values can stand",
      Effect.gen(function*() {
        const sql = yield* table
        yield* refused(sql`INSERT INTO t ${sql.insert([])}`, /sql\.insert was given no rows/)
        yield* refused(sql`INSERT INTO t ${sql.insert([])}`.stream.pipe(Stream.runDrain), /no rows/)
        yield* refused(sql`INSERT INTO t ${sql.insert([])}`.unprepared, /no rows/)
        yield* refused(sql`INSERT INTO t ${sql.insert([])}`.raw, /no rows/)
        yield* refused(sql`INSERT INTO t ${sql.insert({ n: 1, v: sql`upper('x')` })}`, /SQL as the value of "v"/)
        yield* refused(sql`INSERT INTO t ${sql.insert([{ n: 1 }, { n: sql("v") }])}`, /value of "n" in row 2/)
        yield* refused(sql`UPDATE t SET ${sql.update({})}`, /nothing to set/)
        yield* refused(sql`UPDATE t SET ${sql.update({ n: 1 }, ["n"])}`, /nothing to set/)
        yield* refused(sql`UPDATE t SET ${sql.update({ v: sql`upper(v)` })}`, /SQL as the value of "v"/)
        yield* refused(sql`UPDATE t SET v = x.v ${sql.updateValues([], "x")}`, /updateValues/)
        yield* refused(sql`UPDATE t SET v = x.v ${sql.updateValues([{ n: 1 }, { n: 1, v: "" }], "x")}`, /updateValues/)
        for (const nothing of [undefined, null, 7, {}] as ReadonlyArray<unknown> as ReadonlyArray<never>) {
          const row = { n: 1, v: "x" }
          yield* refused(sql`INSERT INTO t ${sql.insert(row).returning(nothing)}`, /returning was given/)
          yield* refused(sql`UPDATE t SET ${sql.update({ n: 1 }).returning(nothing)}`, /returning was given/)
          yield* refused(
            sql`UPDATE t SET v = x.v ${sql.updateValues([row], "x").returning(nothing)}`,
            /returning was given|updateValues/
          )
        }
        yield* refused(sql`SELECT ${sql.in([])}`, /stands behind no IN/)
        yield* refused(sql`SELECT n FROM t WHERE n IN ${sql.in([1, sql("v")])}`, /item 2/)
        yield* refused(sql`SELECT n FROM t WHERE n IN ${sql.in([undefined])}`, /undefined/)
        assert.deepStrictEqual(yield* all, [])
        const embedded = sql`${sql.insert([])}`
        yield* refused(sql`INSERT INTO t ${embedded}`, /no rows/)
        // It is printed, and does not throw.
        assert.include(JSON.stringify(embedded), "no rows")
        assert.throws(() => embedded.compile(), /no rows/)
      })
    )

    test(
      target,
      "an empty list is in nothing",
      Effect.gen(function*() {
        const sql = yield* table
        yield* sql`INSERT INTO t ${sql.insert([{ n: 1, v: "x" }, { n: null, v: null }])}`
        const none: ReadonlyArray<number> = []
        const count = (where: unknown) =>
          Effect.map(
            sql<{ c: unknown }>`SELECT count(*) AS c FROM t WHERE ${where}`,
            ([row]) => Number(row!.c)
          )
        for (const column of ["n", "v"]) {
          assert.strictEqual(yield* count(sql`${sql(column)} IN ${sql.in(none)}`), 0)
          assert.strictEqual(yield* count(sql`${sql(column)} NOT IN ${sql.in(none)}`), 2)
          assert.strictEqual(yield* count(sql`NOT (${sql(column)} in ${sql.in(none)})`), 2)
          assert.strictEqual(yield* count(sql.in(column, none)), 0)
        }
        assert.strictEqual(yield* count(sql`n IN ${sql.in([1, 2])}`), 1)
        assert.strictEqual(yield* count(sql`n IN ${sql.in([sql`1 + 0`, 2])}`), 1)
        assert.strictEqual(yield* count(sql.and([sql.in("n", [1]), sql`v = ${"x"}`])), 1)
        assert.strictEqual(yield* count(sql.or([sql.in("n", [7]), sql`v = ${"x"}`])), 1)
        assert.strictEqual(yield* count(sql.and([])), 2)
        assert.lengthOf(yield* sql`SELECT n, v FROM t ${sql.csv("ORDER BY", ["n", "v"])}`, 2)
        assert.lengthOf(yield* sql`SELECT ${sql.csv(["n", "v"])} FROM t ${sql.csv("ORDER BY", [])}`, 2)
      })
    )

    test(
      target,
      "too many parameters are refused before they are sent, at the right number",
      Effect.gen(function*() {
        const sql = yield* table
        const most = target.mostParameters
        const many = Array.from({ length: 200_000 }, (_, n) => n)
        const within = many.slice(0, most)
        assert.deepStrictEqual(
          (yield* sql<{ c: unknown }>`SELECT count(*) AS c FROM t WHERE n IN ${sql.in(within)}`).map(({ c }) =>
            Number(c)
          ),
          [0]
        )
        const said = new RegExp(`parameters; .* takes ${most}`)
        yield* refused(sql`SELECT n FROM t WHERE n IN ${sql.in(many)}`, said)
        yield* refused(sql`SELECT n FROM t WHERE n IN ${sql.in(many.slice(0, most + 1))}`, said)
        yield* refused(sql`INSERT INTO t ${sql.insert(many.map((n) => ({ n })))}`, said)
        yield* refused(sql`SELECT n FROM t WHERE ${sql.or(many.map((n) => sql`n = ${n}`))}`, said)
        const marks = many.slice(0, most + 1).map((_, i) => target.placeholder(i + 1)).join(",")
        yield* refused(sql.unsafe(`SELECT n FROM t WHERE n IN (${marks})`, many.slice(0, most + 1)), /./)
        assert.deepStrictEqual(yield* all, [])
      })
    )

    test(
      target,
      "a column may be called like a member of every object",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE k (${sql("constructor")} ${sql.literal(target.text)}, n ${sql.literal(target.integer)})`
        const row = (n: number, constructor: string) => ({ n, constructor }) as unknown as { readonly n: number }
        yield* sql`INSERT INTO k ${sql.insert([{ n: 1 }, row(2, "x")])}`
        yield* sql`INSERT INTO k ${sql.insert([row(3, "y"), { n: 4 }])}`
        const rows = yield* sql<{ c: string | null }>`SELECT ${sql("constructor")} AS c FROM k ORDER BY n`
        assert.deepStrictEqual(rows.map(({ c }) => c), [null, "x", "y", null])
      })
    )

    test(
      target,
      "what cannot be read, and what is no row or list, is refused, and holds no connection",
      Effect.gen(function*() {
        const sql = yield* table
        const bad = {
          get n(): number {
            throw new Error("this getter throws")
          }
        }
        // The types refuse most of these; what is not checked by them arrives all the same.
        const untyped = (value: unknown) => value as never
        const list = Object.defineProperty([1], 0, { get: () => bad.n })
        yield* refused(sql`INSERT INTO t ${sql.insert(bad)}`, /fails when it is read/)
        yield* refused(sql`INSERT INTO t ${sql.insert([{ n: 1 }, bad])}`, /fails when it is read/)
        yield* refused(sql`UPDATE t SET ${sql.update(bad)}`, /fails when it is read/)
        yield* refused(sql`UPDATE t SET ${sql.update(untyped(null))}`, /no object/)
        yield* refused(sql`INSERT INTO t ${sql.insert(untyped(new Map([["n", 1]])))}`, /no object/)
        yield* refused(sql`INSERT INTO t ${sql.insert(untyped(new Date()))}`, /no object/)
        yield* refused(sql`SELECT n FROM t WHERE n IN ${sql.in(untyped(new Set([1])))}`, /no array/)
        yield* refused(sql`SELECT n FROM t WHERE n IN ${sql.in(untyped(undefined))}`, /no array/)
        yield* refused(Db.query("SELECT n FROM t WHERE n = :n", bad), /fails when it is read/)
        yield* refused(Db.query(`SELECT n FROM t WHERE n = ${target.placeholder(1)}`, list), /fails when it is read/)
        assert.deepStrictEqual(yield* all, [])
        assert.strictEqual((yield* Db.pool).inUse, 0)
      })
    )

    test(
      target,
      "what is no piece of SQL is refused by the statement, not by the helper",
      Effect.gen(function*() {
        const sql = yield* table
        // The types refuse these; plain JavaScript and casts let them through.
        const untyped = (value: unknown) => value as never
        yield* refused(sql`SELECT n FROM t WHERE ${sql.and([untyped(undefined)])}`, /sql\.and .* undefined .* item 1/)
        yield* refused(sql`SELECT n FROM t WHERE ${sql.or(["1=1", untyped(null)])}`, /sql\.or .* null .* item 2/)
        yield* refused(
          sql`SELECT n FROM t ${sql.csv("ORDER BY", [untyped(undefined)])}`,
          /sql\.csv .* undefined .* item 1/
        )
        yield* refused(sql`SELECT ${sql.csv(["n", untyped(1)])} FROM t`, /sql\.csv .* a number .* item 2/)
        yield* refused(sql`SELECT ${sql.csv(["n", untyped({})])} FROM t`, /sql\.csv .* an object .* item 2/)
        yield* refused(sql`SELECT ${sql.csv([untyped(sql("n")), "v"])} FROM t`, /sql\.csv .* a helper .* item 1/)
        yield* refused(sql`SELECT n FROM t ${sql.csv(untyped(undefined), ["n"])}`, /sql\.csv .* undefined .* first/)
        yield* refused(sql`SELECT n FROM t WHERE ${sql.and(untyped(undefined))}`, /sql\.and was given what is no array/)
        yield* refused(sql`SELECT n FROM t WHERE ${sql.and(untyped(new Set(["1=1"])))}`, /no array/)
        yield* refused(sql`SELECT n FROM t WHERE ${sql.join(" AND ")([untyped(undefined)])}`, /sql\.join .* undefined/)
        yield* refused(
          sql`SELECT n FROM t WHERE ${sql.join(untyped(undefined))(["1=1", "1=1"])}`,
          /sql\.join .* undefined/
        )
        yield* refused(
          sql`SELECT n FROM t WHERE ${sql.in("n", untyped(undefined))}`,
          /sql\.in was given what is no array/
        )
        yield* refused(sql`SELECT n FROM t WHERE ${sql.in(untyped(undefined), [1])}`, /sql\.in .* undefined .* first/)
        yield* refused(sql`SELECT n FROM t ORDER BY ${sql.literal(untyped(undefined))}`, /sql\.literal .* undefined/)
        yield* refused(sql`SELECT ${sql(untyped(undefined))} FROM t`, /sql\(\.\.\.\) .* undefined/)
        yield* refused(sql(untyped(undefined)), /sql\(\.\.\.\) .* undefined/)
        yield* refused(sql`UPDATE t SET v = x.v ${sql.updateValues(untyped(undefined), "x")}`, /sql\.updateValues/)
        // Within others.
        const bad = sql.and(["1=1", sql.or([untyped(undefined)])])
        yield* refused(sql`SELECT n FROM t WHERE ${sql`(${bad})`}`, /sql\.or .* undefined/)
        yield* refused(sql`SELECT n FROM t WHERE ${bad}`.stream.pipe(Stream.runDrain), /sql\.or .* undefined/)
        yield* refused(sql`INSERT INTO t ${sql.insert({ n: 1 }).returning(bad)}`, /sql\.or .* undefined/)
        assert.include(JSON.stringify(sql`${bad}`), "sql.or")
        // What was fine stays it.
        assert.deepStrictEqual(yield* sql`SELECT n FROM t WHERE ${sql.and([])} AND ${sql.or(["1=1", sql`1=${1}`])}`, [])
        assert.deepStrictEqual(
          yield* sql`SELECT n FROM t WHERE ${sql.in("n", [])} ${sql.csv("ORDER BY", ["n", "v"])}`,
          []
        )
        assert.deepStrictEqual(yield* sql`SELECT n FROM t ${sql.csv("ORDER BY", [])}`, [])
        assert.deepStrictEqual(yield* all, [])
      })
    )
  })
}
