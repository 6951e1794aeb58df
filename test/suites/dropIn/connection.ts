/** The members of `Connection`, as `SqlClient.reserve` gives it. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type DropIn, test } from "./target.js"

export const connection = (target: DropIn): void => {
  const select = `SELECT id, name FROM t WHERE id = ${target.words.placeholder}`

  const reserved = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(`CREATE TABLE t (id INTEGER PRIMARY KEY, name ${target.words.text})`)
    yield* sql`INSERT INTO t ${sql.insert([{ id: 1, name: "a" }, { id: 2, name: "b" }])}`
    return yield* sql.reserve
  })

  /** What a client passes where results are renamed. */
  const upper = <A extends object>(rows: ReadonlyArray<A>): ReadonlyArray<A> =>
    // The names of a row's columns are all that is changed of it.
    rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toUpperCase(), value])) as A)

  describe("Connection", () => {
    test(
      target,
      "`execute` and `executeUnprepared` give rows, renamed where that is asked for",
      Effect.gen(function*() {
        const connection = yield* reserved
        assert.deepStrictEqual(yield* connection.execute(select, [1], undefined), [{ id: 1, name: "a" }])
        assert.deepStrictEqual(yield* connection.execute(select, [2], upper), [{ ID: 2, NAME: "b" }])
        assert.deepStrictEqual(yield* connection.executeUnprepared(select, [1], undefined), [{ id: 1, name: "a" }])
        assert.deepStrictEqual(yield* connection.executeUnprepared(select, [2], upper), [{ ID: 2, NAME: "b" }])
      })
    )

    test(
      target,
      "`executeValues` gives arrays, `executeRaw` the client library's answer",
      Effect.gen(function*() {
        const connection = yield* reserved
        assert.deepStrictEqual(yield* connection.executeValues(select, [1]), [[1, "a"]])
        const raw = yield* connection.executeRaw(select, [2])
        assert.deepStrictEqual(
          target.dialect === "pg" ? (raw as { readonly rows: unknown }).rows : raw,
          [{ id: 2, name: "b" }]
        )
      })
    )

    test(
      target,
      "`executeStream` gives rows, and other statements run beside it",
      Effect.gen(function*() {
        const connection = yield* reserved
        const rows = connection.executeStream("SELECT id, name FROM t ORDER BY id", [], upper)
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(rows)), [
          { ID: 1, NAME: "a" },
          { ID: 2, NAME: "b" }
        ])
        yield* connection.execute("DELETE FROM t WHERE id = 1", [], undefined)
        assert.deepStrictEqual(yield* connection.executeValues("SELECT id FROM t", []), [[2]])
      })
    )

    test(
      target,
      "fibers that share it take turns",
      Effect.gen(function*() {
        const connection = yield* reserved
        const found = yield* Effect.forEach(
          [1, 2, 1, 2],
          (id) => connection.executeValues(select, [id]),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(found, [[[1, "a"]], [[2, "b"]], [[1, "a"]], [[2, "b"]]])
      })
    )
  })
}
