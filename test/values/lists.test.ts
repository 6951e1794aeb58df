import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import type * as DbError from "../../src/DbError.js"
import { subjects, test } from "./databases.js"

/** `IN (:ids)` with an array, and what is said of parameters. */
for (const target of subjects) {
  target.describe(`IN with an array, ${target.name}`, () => {
    const table = Effect.gen(function*() {
      yield* Db.query(`CREATE TABLE t (n ${target.integer}, v ${target.text})`)
      yield* Db.batch([1, 2, 3].map((n) => ["INSERT INTO t VALUES (:n, :v)", { n, v: `v${n}` }] as const))
      yield* Db.query("INSERT INTO t VALUES (NULL, NULL)")
    })

    const found = (where: string, params: Db.Params) =>
      Effect.map(
        Db.query<{ n: unknown }>(`SELECT n FROM t WHERE ${where} ORDER BY n`, params),
        (rows) => rows.map(({ n }) => n === null ? null : Number(n))
      )

    test(
      target,
      "an array in IN is a list",
      Effect.gen(function*() {
        yield* table
        for (let length = 1; length <= 9; length++) {
          const ids = Array.from({ length }, (_, i) => i + 2)
          assert.deepStrictEqual(yield* found("n IN (:ids)", { ids }), ids.filter((n) => n <= 3))
          assert.deepStrictEqual(yield* found("n not in ( :ids )", { ids }), length === 1 ? [1, 3] : [1])
        }
        assert.deepStrictEqual(yield* found("v IN (:texts) AND n > :n", { texts: ["v1", "v2"], n: 1 }), [2])
        assert.deepStrictEqual(
          yield* found("n > :n AND v IN (:texts) AND n IN (:ids) AND n > :n", {
            texts: ["v1", "v2"],
            n: 0,
            ids: [2, 3]
          }),
          [2]
        )
        assert.deepStrictEqual(yield* found("n IN (:first, :ids)", { first: 1, ids: [3, 9] }), [1, 3])
        assert.deepStrictEqual(yield* found("n IN (:ids, :first, :ids)", { first: 1, ids: [3, 9] }), [1, 3])
        assert.deepStrictEqual(yield* found("n IN (:id)", { id: 2 }), [2])
        assert.deepStrictEqual(yield* found("n NOT IN (:ids)", { ids: [1, null] }), [])
        const written = yield* Db.batch([["DELETE FROM t WHERE n IN (:ids)", { ids: [1, 2] }], ["SELECT n FROM t"]])
        assert.lengthOf(written[1]!, 2)
      })
    )

    test(
      target,
      "an empty list is in nothing",
      Effect.gen(function*() {
        yield* table
        const none: ReadonlyArray<number> = []
        const count = (where: string, params: Db.Params) => Effect.map(found(where, params), (rows) => rows.length)
        assert.strictEqual(yield* count("n IN (:none)", { none }), 0)
        assert.strictEqual(yield* count("v IN (:none)", { none }), 0)
        assert.strictEqual(yield* count("n NOT IN (:none)", { none }), 4)
        assert.strictEqual(yield* count("v NOT IN (:none) AND n = :n", { none, n: 1 }), 1)
        assert.strictEqual(yield* count("NOT (v IN (:none)) OR n = :n", { none, n: 1 }), 4)
        const error = yield* Effect.flip(found("n IN (1, :none)", { none }))
        assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        assert.include(error.message, ":none is empty")
      })
    )

    test(
      target,
      "what cannot be sent is told by its name",
      Effect.gen(function*() {
        yield* table
        const refused = (text: string, params: Db.Params, name: string) =>
          Effect.gen(function*() {
            for (const ask of [Db.query(text, params), Db.batch([["SELECT 1 AS one"], [text, params]])]) {
              const error = yield* Effect.flip(ask as Effect.Effect<unknown, DbError.DbError, Db>)
              assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
              assert.include(error.message, `parameter :${name} is`)
            }
          })
        yield* refused("SELECT n FROM t WHERE n = :a AND v = :b", { a: 1, b: "\ud800" }, "b")
        yield* refused("SELECT n FROM t WHERE n = :a AND v = :b AND n = :a", { a: new Date(NaN), b: "" }, "a")
        yield* refused("SELECT n FROM t WHERE v IN (:list) AND v = :b", { list: ["a", "b", "\ud800"], b: "" }, "list")
        yield* refused("SELECT n FROM t WHERE n IN (:list, :b)", { list: [1, 2, 3], b: (() => 1) as never }, "b")
        const error = yield* Effect.flip(found("n IN (:list)", { list: [[1, 2]] }))
        assert.include(error.message, ":list holds a list")
        for (const where of ["n IN :ids", "n not in\n:ids"]) {
          const bare = yield* Effect.flip(found(where, { ids: [1, 2] }))
          assert.deepInclude(bare, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
          assert.include(bare.message, "write IN (:ids) for the list :ids")
        }
      })
    )

    test(
      target,
      "long lists",
      Effect.gen(function*() {
        yield* table
        const most = target.mostParameters
        const ids = Array.from({ length: most }, (_, i) => i + 1)
        assert.deepStrictEqual(yield* found("n IN (:ids)", { ids }), [1, 2, 3])
        const beyond = Array.from({ length: 200_000 }, (_, i) => i + 1)
        if (target.name === "postgresql") {
          assert.deepStrictEqual(yield* found("n IN (:beyond)", { beyond }), [1, 2, 3])
          assert.deepStrictEqual(yield* found("n = ANY(:beyond)", { beyond }), [1, 2, 3])
        } else {
          const error = yield* Effect.flip(found("n IN (:beyond)", { beyond }))
          assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
        }
      })
    )

    test(
      target,
      "comments around a list change nothing",
      Effect.gen(function*() {
        yield* table
        const ids = [1, 3]
        assert.deepStrictEqual(yield* found("n IN ( -- these\n :ids)", { ids }), [1, 3])
        assert.deepStrictEqual(yield* found("n IN (:ids /* these */ )", { ids }), [1, 3])
        assert.deepStrictEqual(yield* found("n IN /* these ( */ (:ids)", { ids }), [1, 3])
        assert.deepStrictEqual(yield* found("n IN (/* a */:first, /* b */ :ids -- c\n)", { first: 2, ids }), [1, 2, 3])
      })
    )
  })
}
