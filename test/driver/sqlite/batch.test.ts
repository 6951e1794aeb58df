import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "../../../src/Db.js"
import { file, places } from "./harness.js"

describe.each(places)("a list of statements, %s", (_, workers) => {
  it.scopedLive("whose transaction SQLite ends in the middle keeps nothing, and says which one it was", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        yield* Db.batch([
          ["CREATE TABLE log (x)"],
          ["CREATE TABLE t (x PRIMARY KEY)"],
          ["CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.x = 13 BEGIN SELECT RAISE(ROLLBACK, 'unlucky'); END"]
        ])
        for (const culprit of ["INSERT OR ROLLBACK INTO t VALUES (1), (1)", "INSERT INTO t VALUES (13)"]) {
          const list = [["INSERT INTO log VALUES (1)"], [culprit], ["INSERT INTO log VALUES (2)"]] as const
          const error = yield* Effect.flip(Db.batch(list))
          assert.deepInclude(error, { _tag: "QueryError", outcome: "RolledBack", statement: culprit })
          // Who goes on all the same writes nothing beside the transaction that is no more.
          const swallowed = yield* Effect.gen(function*() {
            yield* Effect.ignore(Db.batch(list))
            yield* Effect.ignore(Db.query("INSERT INTO log VALUES (3)"))
          }).pipe(Db.transaction, Effect.flip)
          assert.deepInclude(swallowed, { reason: "TransactionAborted", outcome: "RolledBack" })
          assert.include(swallowed.message, `ended it (${culprit})`)
        }
        assert.deepStrictEqual(yield* Db.query("SELECT * FROM log"), [])
      }).pipe(Effect.provide(Db.layer({ type: "sqlite", filename, workers })))
    }))
})
