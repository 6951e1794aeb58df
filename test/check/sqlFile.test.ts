import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as path from "node:path"
import { Db } from "../../src/Db.js"
import * as DbTest from "../../src/DbTest.js"
import { project } from "./kit.js"

describe("Db.sqlFile", () => {
  it.effect("gives a file's statement, and says what is wrong with a file", () =>
    Effect.gen(function*() {
      const folder = yield* project({
        "one.sql": "\ufeff-- A report.\nSELECT :n AS n;\n",
        "two.sql": "SELECT 1; SELECT 2",
        "none.sql": "-- nothing",
        "open.sql": "SELECT 'open"
      })
      const file = (name: string) => path.join(folder, name)
      expect(yield* Db.sqlFile(file("one.sql"))).toBe("SELECT :n AS n")
      expect(yield* Db.query(yield* Db.sqlFile(file("one.sql")), { n: 7 })).toEqual([{ n: 7 }])
      const failure = (name: string) => Effect.flip(Db.sqlFile(file(name)))
      expect(yield* failure("missing.sql")).toMatchObject({
        _tag: "QueryError",
        reason: "SqlFile",
        outcome: "NotSent",
        what: `there is no file ${file("missing.sql")}`
      })
      expect((yield* failure("two.sql")).what).toMatch(/holds 2 statements: Db\.sqlFile takes files of one$/)
      expect((yield* failure("none.sql")).what).toMatch(/holds no statement$/)
      expect((yield* failure("open.sql")).what).toMatch(/cannot be read as SQL: line 1: this string is never closed$/)
      expect((yield* failure("")).what).toMatch(/cannot be read$/)
    }).pipe(Effect.scoped, Effect.provide(DbTest.sqlite())))
})
