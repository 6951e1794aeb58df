import { describe, it } from "@effect/vitest"
import { assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import { connect, execute, file, make, places, reset, single } from "./harness.js"

describe.each(places)("reset, %s", (_, workers) => {
  it.scoped("rolls back, or commits, what is open", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE t(x)")
      yield* execute(connection, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      assertTrue(connection.dirty)
      yield* reset(connection, "rollback")
      assertTrue(!connection.dirty)
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
      yield* execute(connection, "INSERT INTO t VALUES (2)", [], { begin: "BEGIN IMMEDIATE" })
      yield* reset(connection, "commit")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [{ x: 2 }])
    }))

  it.scoped("reads and plain writes leave nothing behind", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      for (
        const text of [
          "CREATE TABLE t(x)",
          "INSERT INTO t VALUES (1)",
          "SELECT * FROM t",
          "PRAGMA table_info(t)",
          "PRAGMA user_version = 1",
          "PRAGMA foreign_keys",
          "EXPLAIN SELECT 1"
        ]
      ) {
        yield* execute(connection, text)
        assertTrue(!connection.dirty, text)
      }
    }))

  it.scoped("temporary objects are gone", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      yield* execute(connection, "CREATE TABLE main.t(x)")
      yield* execute(
        connection,
        `CREATE TEMP TABLE a(x); CREATE INDEX temp.i ON a(x); CREATE TEMPORARY VIEW "v ""1" AS SELECT * FROM a;
         CREATE TEMP TRIGGER g AFTER INSERT ON main.t BEGIN INSERT INTO a VALUES (new.x); SELECT 1; END;
         CREATE TABLE [temp].t(x)`
      )
      yield* execute(connection, "INSERT INTO main.t VALUES (1)")
      assertTrue(connection.dirty)
      yield* reset(connection)
      assertTrue(!connection.dirty)
      deepStrictEqual(yield* execute(connection, "SELECT name FROM temp.sqlite_schema"), [])
      deepStrictEqual(yield* execute(connection, "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("pragmas have their values again", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      const names = ["foreign_keys", "cache_size", "synchronous", "query_only", "recursive_triggers", "busy_timeout"]
      const values = Effect.forEach(names, (name) => execute(connection, `PRAGMA ${name}`))
      const before = yield* values
      yield* execute(connection, "PRAGMA foreign_keys = OFF")
      yield* execute(connection, "PRAGMA main.cache_size(10)")
      yield* execute(connection, "/* c */ pragma \"synchronous\" = OFF")
      yield* execute(connection, "PRAGMA recursive_triggers = ON; PRAGMA busy_timeout = 1000; PRAGMA query_only = 1")
      assertTrue(connection.dirty)
      yield* reset(connection)
      assertTrue(!connection.dirty)
      deepStrictEqual(yield* values, before)
    }))

  it.scoped("attached databases are detached", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      yield* execute(connection, "ATTACH ':memory:' AS \"o \"\"1\"")
      assertTrue(connection.dirty)
      yield* reset(connection)
      deepStrictEqual((yield* execute(connection, "PRAGMA database_list")).map((row) => row["name"]), ["main"])
    }))

  it.scoped("what cannot be put back is told, so that the connection is closed", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      yield* execute(connection, "PRAGMA case_sensitive_like = ON")
      const error = yield* Effect.flip(reset(connection))
      assertTrue(error.message.includes("case_sensitive_like"))
    }))

  it.scoped("an in-memory database is never given up for it", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE t(x)")
      yield* execute(
        connection,
        "PRAGMA case_sensitive_like = ON; PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys = 0"
      )
      yield* reset(connection)
      assertTrue(!connection.dirty)
      deepStrictEqual(yield* execute(connection, "SELECT 'a' LIKE 'A' AS l, (SELECT count(*) FROM t) AS n"), [{
        l: 1,
        n: 0
      }])
      deepStrictEqual(yield* execute(connection, "PRAGMA foreign_keys"), [{ foreign_keys: 1 }])
    }))
})

describe("reset", () => {
  it.scoped("frees the locks of what it rolls back", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, limits: { lockTimeout: 1 } })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(x)")
      yield* execute(one, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      strictEqual((yield* Effect.flip(execute(two, "INSERT INTO t VALUES (2)"))).reason, "Lock")
      yield* reset(one)
      yield* execute(two, "INSERT INTO t VALUES (2)")
    }))
})
