import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { inspect } from "node:util"
import { expect } from "vitest"
import {
  describeMariadb,
  describePrivateMysql,
  freshMysqlDatabaseAt,
  mysqlQuery,
  privateMysql
} from "../../kit/mysql.js"
import { eventually } from "../../kit/postgres.js"
import { another, call, configFor, open, openFails, openWith, request } from "./harness.js"

const statementsOn = (url: string, id: number) =>
  mysqlQuery(
    url,
    "SELECT SQL_TEXT AS t FROM performance_schema.prepared_statements_instances i " +
      "JOIN performance_schema.threads t ON t.THREAD_ID = i.OWNER_THREAD_ID WHERE t.PROCESSLIST_ID = ? ORDER BY 1",
    [id]
  )

describeMariadb("MySQL requests", () => {
  it.live("give rows, values and headers", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE note (id INT PRIMARY KEY AUTO_INCREMENT, body VARCHAR(20))")
      expect(yield* db.run("INSERT INTO note (body) VALUES (?), (?)", ["a", "b"])).toEqual([])
      expect(yield* db.run("SELECT id, body FROM note WHERE id > ? ORDER BY id LIMIT ?", [0, 2])).toEqual([
        { id: 1, body: "a" },
        { id: 2, body: "b" }
      ])
      expect(yield* db.run("SELECT id, body FROM note", [], { mode: "values" })).toEqual([[1, "a"], [2, "b"]])
      expect(yield* db.run("UPDATE note SET body = ? WHERE id = 1", ["c"], { mode: "raw" })).toMatchObject({
        affectedRows: 1
      })
      expect(yield* db.run("SELECT 1 AS n, 2 AS n", [], { mode: "values" })).toEqual([[1, 2]])
      expect(yield* db.run("SELECT 1 AS n", [], { mode: "raw" })).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("give what the last statement gave and did", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const result = (text: string, params: ReadonlyArray<unknown> = []) => db.run(text, params, { mode: "result" })
      const nothing = { rows: [], rowsAffected: 0, lastInsertId: undefined }
      yield* db.script("CREATE TABLE keyed (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, body VARCHAR(20) UNIQUE)")
      expect(yield* result("INSERT INTO keyed (body) VALUES (?), (?)", ["a", "b"])).toEqual({
        rows: [],
        rowsAffected: 2,
        lastInsertId: 1
      })
      const upsert = "INSERT INTO keyed (body) VALUES (?) ON DUPLICATE KEY UPDATE body = ?"
      expect(yield* result(upsert, ["a", "c"])).toMatchObject({ rowsAffected: 2 })
      // Rows that are found count, also where they have the value already.
      expect(yield* result("UPDATE keyed SET body = 'c' WHERE id = 1")).toEqual({ ...nothing, rowsAffected: 1 })
      expect(yield* result("INSERT INTO keyed (body) VALUES ('d') RETURNING body")).toEqual({
        ...nothing,
        rows: [{ body: "d" }],
        rowsAffected: 1
      })
      expect(yield* result("SELECT body FROM keyed WHERE id = ?", [1])).toEqual({ ...nothing, rows: [{ body: "c" }] })
      expect(yield* result("INSERT INTO keyed (id) VALUES (18446744073709551000)")).toMatchObject({
        rowsAffected: 1,
        lastInsertId: 18446744073709551000n
      })
      expect(yield* result("UPDATE keyed SET body = ? WHERE id = 1; SELECT ? AS x", ["e", 1])).toEqual({
        ...nothing,
        rows: [{ x: 1 }]
      })
      expect(yield* result("SELECT 1 AS x; DELETE FROM keyed WHERE id < 3")).toEqual({ ...nothing, rowsAffected: 2 })
      yield* db.script("CREATE PROCEDURE both_of() BEGIN SELECT 1 AS x; DELETE FROM keyed; END")
      expect(yield* result("CALL both_of()")).toEqual({ ...nothing, rows: [{ x: 1 }], rowsAffected: 2 })
    }).pipe(Effect.scoped))

  it.live("send parameters apart from SQL, also under NO_BACKSLASH_ESCAPES and in streams", () =>
    Effect.gen(function*() {
      const db = yield* open({ settings: { sql_mode: "NO_BACKSLASH_ESCAPES" } })
      const evil = "\\' OR 1=1 -- "
      expect(yield* db.run("SELECT ? AS v", [evil])).toEqual([{ v: evil }])
      expect(yield* db.run("SELECT ? AS v", [evil], { prepare: false })).toEqual([{ v: evil }])
      const cursor = yield* db.cursor("SELECT ? AS v", [evil], { prepare: false })
      expect(yield* call((done) => cursor.fetch(10, done))).toEqual({ rows: [{ v: evil }], done: true })
      // A question mark in a text is no placeholder, and no value of ours gets there.
      expect(yield* db.script("SELECT 'a?b' AS v")).toEqual([{ v: "a?b" }])
    }).pipe(Effect.scoped))

  it.live("run several statements of one text, each with its own parameters", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(40), b VARCHAR(40))")
      for (const prepare of [true, false]) {
        const text = "INSERT INTO t (a, b) VALUES (?, ?); SELECT a, b FROM t WHERE id = LAST_INSERT_ID() AND a = ?;"
        const evil = "'; DROP TABLE t; -- \\"
        expect(yield* db.run(text, [evil, "y", evil], { prepare })).toEqual([[], [{ a: evil, b: "y" }]])
        expect(yield* db.run(text, ["x", "y", "x"], { prepare, mode: "values" })).toEqual([[], [["x", "y"]]])
        expect(yield* db.run(text, ["x", "y", "x"], { prepare, mode: "raw" })).toEqual([
          expect.objectContaining({ affectedRows: 1 }),
          [{ a: "x", b: "y" }]
        ])
        // Without parameters, too.
        expect(yield* db.run("SELECT 1 AS x; SELECT 2 AS y", [], { prepare })).toEqual([[{ x: 1 }], [{ y: 2 }]])
      }
      yield* db.script("CREATE PROCEDURE p(v INT) BEGIN SELECT v AS x; SELECT v + 1 AS y; END")
      expect(yield* db.run("CALL p(?); SELECT ? AS z", [1, 3])).toEqual([[{ x: 1 }], [{ y: 2 }], [], [{ z: 3 }]])
      expect(yield* db.script("CALL p(1); SELECT 3 AS z")).toEqual([[{ x: 1 }], [{ y: 2 }], [], [{ z: 3 }]])
      // A setting or a table of the connection is looked for in each of them; these leave nothing behind.
      yield* db.reset()
      yield* db.run("UPDATE t SET b = ?; SELECT COUNT(*) AS n FROM t", ["z"])
      expect(db.connection.dirty).toBe(false)
      yield* db.run("SET @a = ?; SELECT ? AS v", [1, 2])
      expect(db.connection.dirty).toBe(true)
    }).pipe(Effect.scoped))

  it.live("count parameters where the server does, whatever its sql_mode makes of quotes", () =>
    Effect.gen(function*() {
      const usual = yield* open()
      const text = "SELECT 'a\\' AS a; SELECT ? AS b -- \\'"
      // To the usual mode the first string ends behind the semicolon and the placeholder.
      expect(yield* Effect.flip(usual.run("SELECT 'a\\'; SELECT ? -- ' AS a; SELECT ? AS b", [1, 2]))).toMatchObject({
        reason: "Parameter",
        outcome: "NotSent"
      })
      expect(yield* usual.run("SELECT 'a\\'; SELECT ? -- ' AS a; SELECT ? AS b", [1])).toEqual([
        [{ a: "a'; SELECT ? -- " }],
        [{ b: 1 }]
      ])
      const plain = yield* open({ settings: { sql_mode: "NO_BACKSLASH_ESCAPES" } })
      expect(yield* plain.run(text, [1])).toEqual([[{ a: "a\\" }], [{ b: 1 }]])
      const ansi = yield* open({ settings: { sql_mode: "ANSI_QUOTES" } })
      expect(yield* ansi.run("SELECT 1 AS \"a\\\"; SELECT ? AS b", [2])).toEqual([[{ "a\\": 1 }], [{ b: 2 }]])
      expect(yield* Effect.flip(ansi.run("SET sql_mode = ''; SELECT \"a\\\" AS b, ?", [2]))).toMatchObject({
        outcome: "NotSent"
      })
    }).pipe(Effect.scoped))

  it.live("run none of several statements when their parameters are miscounted", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT)")
      const error = yield* Effect.flip(db.run("INSERT INTO t VALUES (?); SELECT ?", [1]))
      expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
      expect(error.message).toContain("2 placeholders, and 1 parameters")
      expect(yield* db.run("SELECT * FROM t")).toEqual([])
    }).pipe(Effect.scoped))

  it.live("say which of several statements failed, and that those before it stay", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT PRIMARY KEY)")
      const error = yield* Effect.flip(db.run("INSERT INTO t VALUES (?); INSERT INTO t VALUES (?); SELECT 1", [1, 1]))
      expect(error).toMatchObject({
        _tag: "QueryError",
        reason: "UniqueViolation",
        outcome: "Unknown",
        statement: "INSERT INTO t VALUES (?)"
      })
      expect(error.message).toContain("statement 2 of the 3 of its text; those before it have run")
      const absent = yield* Effect.flip(db.run("INSERT INTO t VALUES (?); INSERT INTO u VALUES (?)", [2, 2]))
      expect(absent).toMatchObject({ reason: "UndefinedObject", outcome: "Unknown" })
      const first = yield* Effect.flip(db.run("INSERT INTO u VALUES (?); INSERT INTO t VALUES (?)", [3, 3]))
      expect(first).toMatchObject({ reason: "UndefinedObject", outcome: "NotSent" })
      expect(yield* db.run("SELECT a FROM t ORDER BY a", [], { mode: "values" })).toEqual([[1], [2]])
    }).pipe(Effect.scoped))

  it.live("stop several statements at the one that runs", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT)")
      const text = "INSERT INTO t VALUES (?); SELECT SLEEP(?); INSERT INTO t VALUES (?)"
      const running = yield* Effect.fork(Effect.flip(db.run(text, [1, 30, 2])))
      yield* eventually(
        mysqlQuery(db.database.url, "SELECT INFO AS t FROM information_schema.PROCESSLIST WHERE ID = ?", [
          db.connection.id
        ]),
        (rows) => String(rows[0]?.["t"]).includes("SLEEP")
      )
      yield* db.cancel
      const error = yield* Fiber.join(running)
      expect(error).toMatchObject({ _tag: "QueryError", outcome: "Unknown" })
      expect(yield* db.run("SELECT a FROM t", [], { mode: "values" })).toEqual([[1]])
      // A limit of the server's, on a text that it cuts itself.
      const limited = yield* Effect.flip(
        db.run("INSERT INTO t VALUES (3); SELECT SLEEP(30)", [], { prepare: false, statementTimeout: 300 })
      )
      expect(limited).toMatchObject({ _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
    }).pipe(Effect.scoped))

  it.live("give the answers of several statements in order", () =>
    Effect.gen(function*() {
      const db = yield* open()
      expect(yield* db.script("CREATE TABLE t (a INT); INSERT INTO t VALUES (1); SELECT * FROM t; SELECT 2 AS b"))
        .toEqual(
          [[], [], [{ a: 1 }], [{ b: 2 }]]
        )
      yield* db.script("CREATE PROCEDURE p() BEGIN SELECT 1 AS x; SELECT 2 AS y; END")
      expect(yield* db.run("CALL p()")).toEqual([[{ x: 1 }], [{ y: 2 }], []])
    }).pipe(Effect.scoped))

  it.live("say that the first of several statements may have stayed", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const error = yield* Effect.flip(
        db.script("CREATE TABLE t (a INT); INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)")
      )
      expect(error).toMatchObject({ _tag: "QueryError", reason: "UndefinedObject", outcome: "Unknown" })
      const first = yield* Effect.flip(db.script("INSERT INTO u VALUES (1); INSERT INTO t VALUES (2)"))
      expect(first).toMatchObject({ reason: "UndefinedObject", outcome: "NotSent" })
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
    }).pipe(Effect.scoped))

  it.live("prepare once per connection, and close the statement longest unused", () =>
    Effect.gen(function*() {
      const db = yield* open({ prepareCacheSize: 2 })
      for (const text of ["SELECT 1 + ?", "SELECT 2 + ?", "SELECT 1 + ?", "SELECT 3 + ?", "SELECT 1 + ?"]) {
        yield* db.run(text, [1])
      }
      expect(yield* statementsOn(db.database.url, db.connection.id)).toEqual([{ t: "SELECT 1 + ?" }, {
        t: "SELECT 3 + ?"
      }])
      const prepared = () =>
        Effect.map(
          db.script("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'"),
          (rows) => Number((rows as ReadonlyArray<{ readonly Value: string }>)[0]!.Value)
        )
      const before = yield* prepared()
      yield* db.run("SELECT 1 + ?", [2])
      yield* db.run("SELECT 3 + ?", [2])
      expect(yield* prepared()).toBe(before)
      yield* db.run("SELECT 4 + ?", [2], { prepare: false })
      expect(yield* prepared()).toBe(before + 1)
      yield* db.ping
      expect((yield* statementsOn(db.database.url, db.connection.id)).length).toBe(2)
    }).pipe(Effect.scoped))

  it.live("keep nothing prepared with a cache of 0", () =>
    Effect.gen(function*() {
      const db = yield* open({ prepareCacheSize: 0 })
      expect(yield* db.run("SELECT ? AS v", [1])).toEqual([{ v: 1 }])
      expect(yield* db.run("SELECT ? AS v", [2])).toEqual([{ v: 2 }])
      expect(yield* statementsOn(db.database.url, db.connection.id)).toEqual([])
    }).pipe(Effect.scoped))

  it.live("send as text what cannot be prepared", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("PREPARE s FROM 'SELECT 1 AS n'")
      expect(yield* db.run("EXECUTE s")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("refuse a wrong number of parameters before anything runs", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const error = yield* Effect.flip(db.run("SELECT ?, ?", [1]))
      expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
      expect(error.message).toContain("2 placeholders")
      expect(yield* db.run("SELECT ?, ?", [1, 2], { mode: "values" })).toEqual([[1, 2]])
    }).pipe(Effect.scoped))

  it.live("refuse what is larger than the server takes, and the connection lives on", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const text = "x".repeat(17_000_000)
      for (const value of [text, { text }, Buffer.from(text)]) {
        const error = yield* Effect.flip(db.run("SELECT LENGTH(?) AS n", [value]))
        expect(error).toMatchObject({ _tag: "QueryError", reason: "DataError", outcome: "NotSent" })
        expect(error.message).toContain("max_allowed_packet on the server")
      }
      // More than one packet of the protocol, and text whose size in bytes has to be counted.
      expect(yield* db.run("SELECT LENGTH(?) AS n", ["x".repeat(16_000_000)])).toEqual([{ n: 16_000_000 }])
    }).pipe(Effect.scoped))

  it.live("show no password when a connection or an error is inspected", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const wrong = yield* openFails(
        configFor(db.database, { username: "nobody-there" }),
        db.database
      )
      const failed = yield* Effect.flip(db.run("SELECT nothing"))
      for (const value of [db.connection, db.driver, wrong, failed]) {
        expect(inspect(value, { depth: 20, showHidden: true })).not.toContain(db.database.password)
      }
      expect(wrong).toMatchObject({ _tag: "ConnectionError", reason: "Authentication", outcome: "NotSent" })
    }).pipe(Effect.scoped))

  it.live("answer a request on a closed connection with an error", () =>
    Effect.gen(function*() {
      const db = yield* open()
      db.connection.destroy()
      expect(db.connection.lost).toBe(true)
      const result = yield* Effect.either(db.run("SELECT 1"))
      expect(Either.isLeft(result) && result.left).toMatchObject({
        _tag: "ConnectionError",
        reason: "Lost",
        outcome: "NotSent"
      })
      expect(request("SELECT 1").mode).toBe("rows")
    }).pipe(Effect.scoped))
})

describePrivateMysql("MySQL requests to other servers", () => {
  it.live("give up their own prepared statements at the server's limit of them", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ tls: false, args: ["--max-prepared-stmt-count=1"] })
      const database = yield* freshMysqlDatabaseAt(server.url)
      const db = yield* openWith(configFor(database), database)
      yield* db.run("SELECT ? AS a", [1])
      expect(yield* db.run("SELECT ? AS b", [2])).toEqual([{ b: 2 }])
      const other = yield* another(db)
      expect(yield* Effect.flip(other.run("SELECT ? AS c", [3]))).toMatchObject({
        _tag: "QueryError",
        reason: "OutOfMemory",
        outcome: "NotSent"
      })
    }).pipe(Effect.scoped))
})
