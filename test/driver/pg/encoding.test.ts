/** A database that keeps bytes as they come (SQL_ASCII): what is read is what was written, or refused. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../../src/Db.js"
import { describePostgres, freshDatabase } from "../../kit/postgres.js"

describePostgres("a database of the encoding SQL_ASCII", () => {
  it.scopedLive("gives text that is UTF-8 as it is, and refuses other bytes", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const place = new URL(url)
      const name = `${place.pathname.slice(1)}_ascii`
      const direct = Db.layer({ url, environment: "test" })
      yield* Effect.acquireRelease(
        Effect.provide(
          Db.query(`CREATE DATABASE ${name} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`),
          direct
        ),
        () => Effect.orDie(Effect.provide(Db.query(`DROP DATABASE ${name} WITH (FORCE)`), direct))
      )
      place.pathname = `/${name}`
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* Db.query("SHOW server_encoding"), [{ server_encoding: "SQL_ASCII" }])
        yield* Db.query("CREATE TABLE t (v text)")
        yield* Db.query("INSERT INTO t VALUES (:v)", { v: "é€😀" })
        assert.deepStrictEqual(yield* Db.query("SELECT v, octet_length(v) AS n FROM t"), [{ v: "é€😀", n: 9 }])
        yield* Db.query(String.raw`INSERT INTO t VALUES (E'caf\xe9')`)
        const error = yield* Effect.flip(Db.query("SELECT v FROM t"))
        assert.deepInclude(error, { _tag: "QueryError", reason: "DataError", code: "22021" })
        // The bytes can be read.
        const rows = yield* Db.query("SELECT v::bytea AS bytes FROM t ORDER BY octet_length(v)")
        assert.deepStrictEqual(rows[0], { bytes: Buffer.from("636166e9", "hex") })
      }).pipe(Effect.provide(Db.layer({ url: place.href, environment: "test" })))
    }))
})
