/** Several statements of a transaction in one round trip. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { DbError } from "../../../src/DbError.js"
import type { Connection, Request } from "../../../src/driver/Driver.js"
import { describePostgres, freshDatabase, observer } from "../../kit/postgres.js"
import { beforeReply, makeProxy } from "../../kit/proxy.js"
import { driverAt, execute, opened, request } from "./fixture.js"

const some = (connection: Connection, requests: ReadonlyArray<Request>) =>
  Effect.async<{ readonly error: DbError | undefined; readonly answers: ReadonlyArray<unknown> }>((resume) =>
    connection.executeSome!(requests, (error, answers) => resume(Effect.succeed({ error, answers })))
  )

const begun = (first: Request): Request => ({ ...first, begin: "BEGIN" })

const proxied = Effect.gen(function*() {
  const database = yield* freshDatabase
  const proxy = yield* makeProxy({ host: database.host, port: database.port })
  const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
  yield* execute(connection, "CREATE TABLE t (id int4 PRIMARY KEY, v text)")
  return { connection, database, proxy }
})

const insert = (id: number, v = "v") => request("INSERT INTO t VALUES ($1, $2) RETURNING id", [id, v])

describePostgres("a batch on PostgreSQL", () => {
  it.scoped("takes one write and one wait, its BEGIN and the first use of a text included", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      proxy.resetCounts()
      const { answers, error } = yield* some(connection, [
        begun(insert(1)),
        insert(2),
        request("SELECT v FROM t WHERE id = $1", [1], { mode: "values" }),
        insert(3)
      ])
      assert.isUndefined(error)
      assert.deepStrictEqual(answers, [[{ id: 1 }], [{ id: 2 }], [["v"]], [{ id: 3 }]])
      assert.strictEqual(connection.transaction, "open")
      assert.strictEqual(proxy.counts().roundTrips, 1)
      // BEGIN, INSERT and SELECT are parsed once each.
      assert.strictEqual(proxy.counts().messages.frontend["P"], 3)
      assert.strictEqual(proxy.counts().messages.frontend["S"], 1)
    }))

  it.scoped("stops at the first that fails, and tells what those before it gave", () =>
    Effect.gen(function*() {
      const { connection, database } = yield* proxied
      const { answers, error } = yield* some(connection, [begun(insert(1)), insert(2), insert(1), insert(3)])
      assert.deepStrictEqual(answers, [[{ id: 1 }], [{ id: 2 }]])
      assert.deepInclude(error, { _tag: "QueryError", reason: "UniqueViolation", outcome: "RolledBack" })
      assert.strictEqual(connection.transaction, "failed")
      yield* execute(connection, "ROLLBACK")
      const ask = yield* observer(database.url)
      assert.deepStrictEqual(yield* ask("SELECT count(*)::int4 AS n FROM t"), [{ n: 0 }])
    }))

  it.scoped("runs the first again where what it was prepared from has changed", () =>
    Effect.gen(function*() {
      const { connection, database } = yield* proxied
      const read = request("SELECT * FROM t", [])
      yield* execute(connection, read.text)
      const ask = yield* observer(database.url)
      yield* ask("ALTER TABLE t ADD COLUMN w int4 DEFAULT 7")
      const { answers, error } = yield* some(connection, [begun(read), insert(1)])
      assert.isUndefined(error)
      assert.deepStrictEqual(answers, [[]])
      assert.strictEqual(connection.transaction, "open")
      const rest = yield* some(connection, [insert(1), read])
      assert.deepStrictEqual(rest.answers, [[{ id: 1 }], [{ id: 1, v: "v", w: 7 }]])
    }))

  it.scoped("asks for types that it does not know, in the order of the statements", () =>
    Effect.gen(function*() {
      const { connection, database } = yield* proxied
      const ask = yield* observer(database.url)
      yield* ask("CREATE TYPE mood AS ENUM ('sad', 'ok')")
      const { answers, error } = yield* some(connection, [
        begun(request("SELECT ARRAY['ok', 'sad']::mood[] AS moods")),
        request("SELECT $1::int4 AS n", [1]),
        request("SELECT 'sad'::mood AS mood")
      ])
      assert.isUndefined(error)
      assert.deepStrictEqual(answers, [[{ moods: ["ok", "sad"] }], [{ n: 1 }], [{ mood: "sad" }]])
    }))

  it.scoped("goes only as far as nothing depends on what went before", () =>
    Effect.gen(function*() {
      const { connection } = yield* proxied
      const listed = request("SELECT $1::int4[] AS list", [[1, 2]])
      const first = yield* some(connection, [begun(insert(1)), insert(2), listed, insert(3)])
      assert.deepStrictEqual(first.answers, [[{ id: 1 }], [{ id: 2 }]])
      // What cannot stand in one is run by itself.
      const second = yield* some(connection, [listed, insert(3)])
      assert.deepStrictEqual(second.answers, [[{ list: [1, 2] }]])
      const third = yield* some(connection, [insert(3), listed])
      assert.deepStrictEqual(third.answers, [[{ id: 3 }], [{ list: [1, 2] }]])
      const wrong = yield* some(connection, [insert(4), request("SELECT $1::text AS t", [Symbol("no")])])
      assert.deepStrictEqual(wrong.answers, [[{ id: 4 }]])
    }))

  it.scoped("undoes all of it when the link breaks", () =>
    Effect.gen(function*() {
      const { connection, database, proxy } = yield* proxied
      proxy.at(beforeReply("INSERT"), "cut")
      const { answers, error } = yield* some(connection, [begun(insert(1)), insert(2)])
      assert.deepStrictEqual(answers, [])
      assert.deepInclude(error, { _tag: "ConnectionError", reason: "Lost", outcome: "RolledBack" })
      const ask = yield* observer(database.url)
      assert.deepStrictEqual(yield* ask("SELECT count(*)::int4 AS n FROM t"), [{ n: 0 }])
    }))
})
