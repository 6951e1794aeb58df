/** Text that is not UTF-8 is refused, and U+FFFD that is stored is read. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import type { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Db } from "../../../src/Db.js"

const suite = (workers: number) =>
  it.scopedLive("is refused by its column, in statements, values and streams", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped({ prefix: "dblive-" })
      yield* Effect.gen(function*() {
        const sql = yield* Db.sql
        yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)`
        yield* sql`INSERT INTO t VALUES (1, 'plain'), (2, ${"a\uFFFDb"}), (3, 'naïve')`
        const good = [{ body: "plain" }, { body: "a\uFFFDb" }, { body: "naïve" }]
        const select = sql`SELECT body FROM t WHERE id < ${9} ORDER BY id; `
        const streamed = Effect.map(Stream.runCollect(sql`SELECT body FROM t ORDER BY id`.stream), (rows) => [...rows])
        assert.deepStrictEqual(yield* select, good)
        assert.deepStrictEqual(yield* streamed, good)
        yield* sql`INSERT INTO t VALUES (4, CAST(x'61FF62' AS TEXT))`
        const all: ReadonlyArray<Effect.Effect<unknown, SqlError>> = [
          select,
          select.values,
          sql`SELECT body FROM t ORDER BY id -- all of them`,
          sql`WITH w AS (SELECT id, body FROM t) SELECT id, body FROM w`,
          streamed
        ]
        for (const read of all) {
          const error = yield* Effect.flip(Db.session(read))
          assert.deepInclude(error, { _tag: "QueryError", reason: "DataError", outcome: "RolledBack" })
          assert.include(error.message, "column \"body\" holds text that is not UTF-8")
        }
        const rows = yield* sql<{ body: Uint8Array }>`SELECT CAST(body AS BLOB) AS body FROM t WHERE id = 4`
        assert.deepStrictEqual([...rows[0]!.body], [0x61, 0xff, 0x62])
        // The session goes on, and so does its transaction.
        const count = yield* Db.transaction(Effect.zipRight(Effect.ignore(select), sql`SELECT count(*) AS n FROM t`))
        assert.deepStrictEqual(count, [{ n: 4 }])
      }).pipe(
        Effect.provide(Db.layer({ type: "sqlite", filename: `${folder}/test.db`, environment: "test", workers }))
      )
    }).pipe(Effect.provide(NodeContext.layer)))

describe("text that is not UTF-8", () => {
  describe("in this process", () => suite(0))
  describe("in a worker process", () => suite(1))
})
