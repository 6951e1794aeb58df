import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Db } from "../../../src/Db.js"
import { describePostgres, freshDatabase, query } from "../../kit/postgres.js"

const onDatabase = <A, E>(body: (url: string) => Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
  Effect.flatMap(
    freshDatabase,
    ({ url }) => Effect.provide(body(url), Db.layer({ url, environment: "production", pool: { size: 1, overflow: 0 } }))
  )

describePostgres("types of PostgreSQL that are made by programs", () => {
  it.scopedLive("their arrays are arrays, whatever the element", () =>
    onDatabase((url) =>
      Effect.gen(function*() {
        for (
          const text of [
            "CREATE TYPE mood AS ENUM ('a', 'b c', 'NULL', 'x,\"y\\z')",
            "CREATE DOMAIN small AS int",
            "CREATE DOMAIN row_of AS int[]",
            "CREATE TYPE pair AS (l int, r text)",
            "CREATE TABLE t (n int, m mood[], s small[], d row_of, b box[], p pair[], nested mood[][])"
          ]
        ) yield* query(url, text)
        const sql = yield* SqlClient.SqlClient
        const m = ["a", "b c", null, "NULL", "x,\"y\\z"]
        const b = ["(1,1),(0,0)", "(3,3),(2,2)"]
        const row = { m, s: [1, null, 3], d: [4, 5], b, p: ["(1,x)"], nested: [["a", "b c"], ["b c", null]] }
        const written = yield* sql`INSERT INTO t (n, m, s, d, b, p, nested)
          VALUES (1, ${m}, ${row.s}, ${row.d}, ${b}, ${row.p}, ${row.nested}) RETURNING m, s, d, b, p, nested`
        assert.deepStrictEqual(written, [row])
        const again = sql`SELECT m, s, d, b, p, nested FROM t`
        assert.deepStrictEqual(yield* again, [row])
        assert.deepStrictEqual(yield* again.values, [Object.values(row)])
        assert.deepStrictEqual(yield* again.unprepared, [row])
        assert.deepStrictEqual(
          yield* sql`SELECT ARRAY[name 'x'] AS n, ARRAY[inet '::1'] AS i, '1 2'::int2vector AS v`,
          [
            { n: ["x"], i: ["::1"], v: "1 2" }
          ]
        )
        assert.deepStrictEqual(
          yield* Db.query("SELECT m FROM t WHERE m = :m AND 'a'::mood = ANY(:moods)", { m, moods: ["a"] }),
          [{ m }]
        )
        assert.deepStrictEqual(yield* Db.query("SELECT 'a'::mood IN (:moods) AS v", { moods: ["a", "b c"] }), [{
          v: true
        }])
      })
    ))

  it.scopedLive("another database under the same name: the same oid may be another type", () =>
    Effect.gen(function*() {
      const admin = yield* freshDatabase
      const [first, second] = yield* Effect.all([freshDatabase, freshDatabase])
      const nameOf = (url: string) => new URL(url).pathname.slice(1)
      const name = nameOf(first.url)
      const other = nameOf(second.url)
      yield* query(first.url, "CREATE TYPE mood AS ENUM ('a', 'b')")
      yield* query(admin.url, `DROP DATABASE "${other}"`)
      yield* query(admin.url, `CREATE DATABASE "${other}" TEMPLATE "${name}"`)
      // The oid stays; what its arrays look like does not.
      yield* query(
        second.url,
        "SET allow_system_table_mods = on; UPDATE pg_type SET typdelim = ';' WHERE typname IN ('mood', '_mood')"
      )
      const read = Db.query<{ v: unknown }>("SELECT ARRAY['a', 'b']::mood[] AS v")
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* read, [{ v: ["a", "b"] }])
        const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`
        yield* query(admin.url, end)
        yield* query(admin.url, `ALTER DATABASE "${name}" RENAME TO "${name}_old"`)
        yield* query(admin.url, `ALTER DATABASE "${other}" RENAME TO "${name}"`)
        assert.deepStrictEqual(yield* Effect.retry(read, { times: 3 }), [{ v: ["a", "b"] }])
      }).pipe(
        Effect.provide(
          Db.layer({ url: first.url, environment: "production", pool: { size: 1, overflow: 0, validateAfter: 0 } })
        ),
        // Both are dropped by the names under which they were made.
        Effect.ensuring(Effect.ignore(query(admin.url, `ALTER DATABASE "${name}_old" RENAME TO "${other}"`)))
      )
    }))

  it.scopedLive("a stream, a script and a transaction meet them for the first time", () =>
    onDatabase((url) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const make = (name: string) => query(url, `CREATE TYPE ${name} AS ENUM ('a', 'b')`)
        const rows = (name: string) => `SELECT n, ARRAY['a', 'b']::${name}[] AS v FROM generate_series(1, 200) AS s (n)`
        const expected = Array.from({ length: 200 }, (_, i) => ({ n: i + 1, v: ["a", "b"] }))
        const all = (name: string) =>
          Effect.map(Stream.runCollect(sql.unsafe(rows(name)).stream), (chunk) => [...chunk])
        yield* make("one")
        assert.deepStrictEqual(yield* all("one"), expected)
        yield* make("two")
        assert.deepStrictEqual(yield* all("two").pipe(Db.transaction), expected)
        yield* make("three")
        yield* make("four")
        const [a, b] = (yield* sql.unsafe(`${rows("three")}; ${rows("four")}`)) as unknown as ReadonlyArray<unknown>
        assert.deepStrictEqual([a, b], [expected, expected])
        yield* make("five")
        const [c] = yield* Db.batch([["SELECT ARRAY['a']::five[] AS v"]])
        assert.deepStrictEqual(c, [{ v: ["a"] }])
      })
    ))

  it.scopedLive("what the catalog does not show to an old snapshot is read as text, and only there", () =>
    onDatabase((url) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const text = "SELECT '{a,b}'::late[] AS v FROM generate_series(1, 200)"
        const values = (rows: Iterable<unknown>) => [...new Set([...rows].map((row) => JSON.stringify(row)))]
        yield* Effect.gen(function*() {
          yield* Db.query("SELECT 1 AS one")
          yield* query(url, "CREATE TYPE late AS ENUM ('a', 'b')")
          assert.deepStrictEqual(values(yield* Db.query(text)), ["{\"v\":\"{a,b}\"}"])
          assert.deepStrictEqual(values(yield* Db.query(text)), ["{\"v\":\"{a,b}\"}"])
          assert.deepStrictEqual(values(yield* Stream.runCollect(sql.unsafe(text).stream)), ["{\"v\":\"{a,b}\"}"])
        }).pipe(Db.transaction({ isolation: "repeatable read" }))
        // On the same connection, by the statement that was prepared then.
        assert.deepStrictEqual(values(yield* Db.query(text)), ["{\"v\":[\"a\",\"b\"]}"])
        assert.deepStrictEqual(values(yield* Stream.runCollect(sql.unsafe(text).stream)), ["{\"v\":[\"a\",\"b\"]}"])
      })
    ))

  const remake = (url: string) =>
    query(
      url,
      "ALTER TYPE status RENAME TO status_old; CREATE TYPE status AS ENUM ('a', 'b', 'c'); " +
        "ALTER TABLE t ALTER COLUMN s TYPE status USING s::text::status; DROP TYPE status_old"
    )

  it.scopedLive("one that was made again is prepared for anew, once", () =>
    onDatabase((url) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* query(url, "CREATE TYPE status AS ENUM ('a', 'b')")
        yield* query(url, "CREATE TABLE t (s status)")
        const insert = (s: string) => sql`INSERT INTO t (s) VALUES (${s})`
        const read = sql`SELECT s FROM t WHERE s = ANY(${["a", "b"]}) ORDER BY s`
        yield* insert("a")
        yield* read
        yield* remake(url)
        yield* insert("b")
        assert.deepStrictEqual(yield* read, [{ s: "a" }, { s: "b" }])
        yield* remake(url)
        assert.deepStrictEqual(
          (yield* Stream.runCollect(sql`SELECT s FROM t WHERE s = ANY(${["a", "b"]}) ORDER BY s`.stream)).length,
          2
        )
        // In a transaction nothing can be run again by itself: the whole is.
        yield* insert("a")
        yield* remake(url)
        const failed = yield* Effect.flip(
          Effect.zipRight(sql`SELECT 1`, insert("a")).pipe(Db.transaction({ retry: undefined }))
        )
        assert.deepInclude(failed, {
          _tag: "QueryError",
          reason: "Serialization",
          outcome: "RolledBack",
          isTransient: true
        })
        yield* Effect.zipRight(sql`SELECT 1`, insert("a")).pipe(Db.transaction)
        assert.lengthOf(yield* sql`SELECT s FROM t`, 4)
      })
    ))
})
