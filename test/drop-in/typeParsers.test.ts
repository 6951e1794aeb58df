/** `types`: the program's own parsers for PostgreSQL. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import pg from "pg"
import { Db } from "../../src/Db.js"
import type { TypeParsers } from "../../src/DbConfig.js"
import { fromSqlError } from "../../src/DbError.js"
import * as Pg from "../../src/driver/Pg.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

/** As programs write it for `PgClient.layer`: what it does not choose is `pg`'s own. */
const types: TypeParsers = {
  getTypeParser: (oid, format) =>
    oid === 20
      ? Number
      : oid === 1082
      ? (text) => text
      : oid === 25
      ? (text) => {
        if (text === "bad") throw new Error("cannot be read")
        return text.toUpperCase()
      }
      // The overload for text.
      : pg.types.getTypeParser(oid, format) as (text: string) => unknown
}

describePostgres("the parsers of the option types", () => {
  it.scopedLive("are read by the program's parsers, every way; the others as ever", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const one = sql`SELECT 9007199254740993::int8 AS n, DATE '2024-02-30'::date - 1 + 1 AS d`
        assert.strictEqual((yield* Effect.flip(one))._tag, "SqlError")
        const row =
          sql`SELECT 42::int8 AS n, DATE '2024-02-29' AS d, TIMESTAMPTZ '2024-02-29 12:00:00.123456Z' AS t, 'x'::text AS s, NULL::int8 AS none`
        const [read] = yield* row
        assert.deepInclude(read, { n: 42, d: "2024-02-29", s: "X", none: null })
        assert.instanceOf((read as { readonly t: unknown }).t, Pg.Timestamp)
        assert.deepInclude((yield* row.unprepared)[0], { n: 42, s: "X" })
        assert.deepStrictEqual((yield* row.values)[0]!.slice(0, 2), [42, "2024-02-29"])
        assert.deepInclude(Array.from(yield* Stream.runCollect(row.stream))[0], { n: 42, s: "X" })
        assert.deepInclude((yield* Effect.provideService(row, SqlClient.SafeIntegers, true))[0], { n: 42n })
        const failed = yield* Effect.flip(sql`SELECT 'bad'::text AS s`)
        assert.strictEqual(fromSqlError(failed, "default")._tag, "QueryError")
        assert.deepInclude((yield* row)[0], { n: 42 })
        assert.isTrue(Object.is((yield* Pg.PgClient).config.types, types))
      }).pipe(Effect.provide(Db.layer({ url, types }).pipe(Pg.withClient)))
    }))

  it.effect("are PostgreSQL's alone", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(Effect.void, Db.layer({ url: "sqlite://:memory:", types })))
      assert.include(String(error), "types")
    }))
})
