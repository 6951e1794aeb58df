import { describe, it } from "@effect/vitest"
import { assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { cancel, connect, execute, file, lock, make, once, places, request, single, turns } from "./harness.js"

describe.each(places)("transactions, %s", (_, workers) => {
  it.scoped("BEGIN travels with the first statement", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE t(x)")
      yield* execute(connection, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      strictEqual(connection.transaction, "open")
      yield* execute(connection, "ROLLBACK")
      strictEqual(connection.transaction, "idle")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  it.scoped("where BEGIN fails, the statement does not run", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE t(x)")
      const error = yield* Effect.flip(execute(connection, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN NOW" }))
      strictEqual(error.reason, "SqlSyntax")
      strictEqual(error.outcome, "NotSent")
      strictEqual(connection.transaction, "idle")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  it.scoped("where the statement behind BEGIN is refused, the transaction is open", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      for (const [text, params] of [["SELECT ?", [undefined]], ["SELEC", []]] as const) {
        yield* Effect.flip(execute(connection, text, params, { begin: "BEGIN IMMEDIATE" }))
        strictEqual(connection.transaction, "open")
        yield* execute(connection, "COMMIT")
      }
    }))

  it.scoped("a text of several statements is one transaction, and gives the rows of each", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      const answers = yield* execute(
        connection,
        "CREATE TABLE t(x PRIMARY KEY); INSERT INTO t VALUES (1); SELECT x FROM t;"
      )
      deepStrictEqual(answers as unknown, [[], [], [{ x: 1 }]])
      const error = yield* Effect.flip(execute(connection, "INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)"))
      strictEqual(error.reason, "UniqueViolation")
      strictEqual(error.outcome, "RolledBack")
      strictEqual(connection.transaction, "idle")
      deepStrictEqual(yield* execute(connection, "SELECT x FROM t"), [{ x: 1 }])
      yield* Effect.flip(execute(connection, "INSERT INTO t VALUES (3); SELEC", [], { begin: "BEGIN IMMEDIATE" }))
      strictEqual(connection.transaction, "open")
    }))

  it.scoped("what cannot be one transaction says when a part was applied", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      const error = yield* Effect.flip(execute(connection, "PRAGMA user_version = 3; CREATE TABLE t(x); SELEC"))
      strictEqual(error.reason, "SqlSyntax")
      strictEqual(error.outcome, "Unknown")
      deepStrictEqual(yield* execute(connection, "PRAGMA user_version"), [{ user_version: 3 }])
      // Not the state of the one before.
      strictEqual((yield* Effect.flip(execute(connection, "SELEC"))).outcome, "NotSent")
    }))

  it.scoped("several statements take no parameters, and an empty text is no fault", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      strictEqual((yield* Effect.flip(execute(connection, "SELECT ?; SELECT 1", [1]))).reason, "SqlSyntax")
      deepStrictEqual(yield* execute(connection, " -- nothing\n ; /* at all */"), [])
    }))

  it.scoped("ten thousand statements in one text", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, "CREATE TABLE t(x)")
      yield* execute(connection, "INSERT INTO t VALUES (1);".repeat(10_000))
      deepStrictEqual(yield* execute(connection, "SELECT count(*) AS n FROM t"), [{ n: 10_000 }])
    }))
})

describe.each(places)("another process's lock, %s", (_, workers) => {
  it.scoped("is waited for, the event loop goes on, and the limit is kept", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const held = yield* lock(filename, "CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)", {
        atEnd: "COMMIT"
      })
      const connection = yield* single({ filename, workers, limits: { lockTimeout: 20_000 } })
      const insert = "INSERT INTO t VALUES (2)"
      const [error, count] = yield* turns(Effect.flip(execute(connection, insert, [], { lockTimeout: 200 })))
      strictEqual(error._tag, "TimeoutError")
      strictEqual(error.reason, "Lock")
      assertTrue(error._tag === "TimeoutError" && error.limitMillis === 200 && error.statement === insert)
      strictEqual(error.outcome, "RolledBack")
      assertTrue(count > 20, `${count} turns`)
      const begun = yield* Effect.flip(
        execute(connection, "SELECT 1", [], { begin: "BEGIN IMMEDIATE", lockTimeout: 50 })
      )
      strictEqual(begun.reason, "Lock")
      strictEqual(begun.outcome, "NotSent")
      strictEqual(connection.transaction, "idle")
      // Readers do not wait for a writer.
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t", [], { lockTimeout: 1 }), [])
      const waiting = yield* Effect.fork(execute(connection, insert, [], { begin: "BEGIN IMMEDIATE" }))
      yield* Effect.yieldNow()
      yield* held.release
      yield* Fiber.join(waiting)
      yield* execute(connection, "COMMIT")
      deepStrictEqual(yield* execute(connection, "SELECT x FROM t"), [{ x: 1 }, { x: 2 }])
    }))

  it.scoped("at COMMIT: the transaction stays open, and COMMIT can come again", () =>
    Effect.gen(function*() {
      const filename = yield* file
      // Without WAL a reader stands in the way of a commit.
      const settings = { journal_mode: "DELETE" }
      const connection = yield* single({ filename, workers, settings })
      yield* execute(connection, "CREATE TABLE t(x)")
      const held = yield* lock(filename, "BEGIN; SELECT * FROM t", { journal: "DELETE" })
      yield* execute(connection, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      const error = yield* Effect.flip(execute(connection, "COMMIT", [], { lockTimeout: 50 }))
      strictEqual(error.reason, "Lock")
      strictEqual(connection.transaction, "open")
      yield* held.release
      yield* execute(connection, "COMMIT")
      strictEqual(connection.transaction, "idle")
      deepStrictEqual(yield* execute(connection, "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("an outdated snapshot is a serialization failure at once", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(x)")
      yield* execute(one, "SELECT * FROM t", [], { begin: "BEGIN" })
      yield* execute(two, "INSERT INTO t VALUES (1)")
      const error = yield* Effect.flip(execute(one, "INSERT INTO t VALUES (2)"))
      strictEqual(error.reason, "Serialization")
      assertTrue(error.isTransient)
      strictEqual(one.transaction, "open")
    }))

  it.scoped("a transaction that reads already does not wait for a writer", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(x)")
      yield* execute(one, "SELECT * FROM t", [], { begin: "BEGIN" })
      yield* execute(two, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      const error = yield* Effect.flip(execute(one, "INSERT INTO t VALUES (2)"))
      strictEqual(error.reason, "LockConflict")
      yield* execute(two, "COMMIT")
    }))
})

describe("a wait for a lock, in this process", () => {
  it.scoped("is ended by cancel, and the connection goes on", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(x)")
      yield* execute(one, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      const waiting = yield* Effect.fork(Effect.flip(execute(two, "INSERT INTO t VALUES (2)")))
      yield* Effect.yieldNow()
      yield* cancel(two)
      const error = yield* Fiber.join(waiting)
      strictEqual(error.reason, "LockConflict")
      strictEqual(error.outcome, "RolledBack")
      deepStrictEqual(yield* execute(two, "SELECT * FROM t"), [])
      yield* execute(one, "COMMIT")
      deepStrictEqual(yield* execute(two, "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("is ended by destroy", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(x)")
      yield* execute(one, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      const waiting = yield* Effect.fork(Effect.flip(execute(two, "INSERT INTO t VALUES (2)")))
      yield* Effect.yieldNow()
      two.destroy()
      strictEqual((yield* Fiber.join(waiting)).reason, "Lost")
      assertTrue(two.lost)
    }))
})

describe("a synchronous connection", () => {
  it.scoped("answers before it returns", () =>
    Effect.gen(function*() {
      const connection = yield* single({})
      let answer: unknown
      connection.execute(request("SELECT 1 AS n"), (_, value) => {
        answer = value
      })
      deepStrictEqual(answer, [{ n: 1 }])
    }))

  it.scoped("does not take what a callback throws for its own", () =>
    Effect.gen(function*() {
      const connection = yield* single({})
      let calls = 0
      const thrown = yield* Effect.flip(Effect.try(() =>
        connection.execute(request("SELECT 1"), () => {
          calls++
          throw new Error("of the caller")
        })
      ))
      assertTrue(String(thrown.cause).includes("of the caller"))
      strictEqual(calls, 1)
    }))

  it.scoped("is closed once", () =>
    Effect.gen(function*() {
      const connection = yield* single({})
      yield* once<void>((done) => connection.close(done))
      yield* once<void>((done) => connection.close(done))
      const error = yield* Effect.flip(execute(connection, "SELECT 1"))
      strictEqual(error._tag, "ConnectionError")
      strictEqual(error.outcome, "NotSent")
      strictEqual(connection.writes("SELECT 1"), false)
    }))
})
