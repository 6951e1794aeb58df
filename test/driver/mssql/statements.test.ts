import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { describe, expect } from "vitest"
import { traitsOf } from "../../../src/internal/driver/mssql/texts.js"
import { describeMssql, describeStandIn, standIn } from "../../kit/mssql.js"
import { configFor, open, openStandIn, openWith } from "./harness.js"

describeStandIn("SQL Server statements", () => {
  it.live("go as procedures with parameters, prepared when they come again, and by handle then", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const db = yield* openWith(configFor(database), database)
      const { log } = database.server
      log.length = 0
      for (let i = 0; i < 4; i++) expect(yield* db.run("SELECT @1 + 1 AS n", [i])).toEqual([{ n: i + 1 }])
      // Other types are another statement to the server.
      expect(yield* db.run("SELECT @1 + 1 AS n", [0.5])).toEqual([{ n: 1.5 }])
      expect(yield* db.run("SELECT @1 + 1 AS n", [1], { prepare: false })).toEqual([{ n: 2 }])
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
      expect(log.map(({ kind, procedure }) => procedure ?? kind)).toEqual([
        "sp_executesql",
        "sp_prepexec",
        "sp_execute",
        "sp_execute",
        "sp_executesql",
        "sp_executesql",
        "batch"
      ])
      // All texts up to 4000 characters are one type, as are all binaries up to 8000 bytes.
      log.length = 0
      for (const text of ["", "a", "b".repeat(4000)]) yield* db.run("SELECT @1 AS v", [text])
      expect(log.map(({ procedure }) => procedure)).toEqual(["sp_executesql", "sp_prepexec", "sp_execute"])
    }).pipe(Effect.scoped))

  it.live("that are prepared are bounded in number, and given up when they are too many", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const db = yield* openWith(configFor(database, { prepareCacheSize: 3 }), database)
      for (let i = 0; i < 10; i++) {
        for (let again = 0; again < 2; again++) yield* db.run(`SELECT @1 AS c${i}`, [i])
        expect(database.server.sessions()[0]!.preparedStatements).toBeLessThanOrEqual(4)
      }
      yield* db.run("SELECT @1 AS n", [1])
      expect(database.server.sessions()[0]!.preparedStatements).toBeLessThanOrEqual(3)
      const none = yield* openWith(configFor(database, { prepareCacheSize: 0 }), database)
      for (let i = 0; i < 3; i++) yield* none.run("SELECT @1 AS n", [i])
      expect(database.server.sessions()[1]!.preparedStatements).toBe(0)
    }).pipe(Effect.scoped))

  it.live("whose handle the server has lost are prepared again", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const db = yield* openWith(configFor(database), database)
      for (let i = 0; i < 3; i++) yield* db.run("SELECT @1 AS n", [i])
      database.server.faults.push({
        when: "SELECT @1 AS n",
        action: { number: 8179, message: "Could not find prepared statement with handle 1." }
      })
      expect(yield* db.run("SELECT @1 AS n", [7])).toEqual([{ n: 7 }])
      expect(yield* db.run("SELECT @1 AS n", [8])).toEqual([{ n: 8 }])
    }).pipe(Effect.scoped))

  it.live("of a connection for reading only never reach the server when they may write", () =>
    Effect.gen(function*() {
      const database = yield* standIn()
      const admin = yield* openWith(configFor(database), database)
      yield* admin.run("CREATE TABLE t (a INT)")
      const db = yield* openWith(configFor(database, { access: "read-only" }), database)
      expect(database.server.sessions().map((one) => one.readOnlyIntent)).toEqual([false, true])
      database.server.log.length = 0
      for (
        const text of [
          "INSERT INTO t VALUES (1)",
          "/* SELECT */ DELETE FROM t",
          "SELECT * INTO u FROM t",
          "WITH x AS (SELECT 1 AS a) UPDATE t SET a = x.a FROM x",
          "SELECT 1; DROP TABLE t",
          "EXEC sp_anything",
          "sp_anything",
          "TRUNCATE TABLE t"
        ]
      ) {
        const error = yield* Effect.flip(db.run(text))
        expect(error, text).toMatchObject({
          _tag: "QueryError",
          reason: "ReadOnly",
          outcome: "NotSent",
          statement: text
        })
      }
      expect(database.server.log).toEqual([])
      expect(yield* db.run("SELECT [insert] = 1, 'DELETE' AS a, COUNT(*) AS [update] FROM t -- INSERT")).toEqual([
        { insert: 1, a: "DELETE", update: 0 }
      ])
    }).pipe(Effect.scoped))
})

describeMssql("SQL Server statements", () => {
  it.live("give rows, values, or what the server counted", () =>
    Effect.gen(function*() {
      const db = yield* open()
      expect(yield* db.run("CREATE TABLE t (id INT IDENTITY PRIMARY KEY, v NVARCHAR(10))")).toEqual([])
      expect(yield* db.run("INSERT INTO t (v) OUTPUT INSERTED.id VALUES (@1), (@2)", ["a", "b"])).toEqual([
        { id: 1 },
        { id: 2 }
      ])
      const updated = yield* db.run("UPDATE t SET v = @1", ["c"], { mode: "raw" })
      expect(updated).toEqual([])
      expect(updated).toHaveProperty("rowCount", 2)
      expect(yield* db.run("SELECT id, v FROM t ORDER BY id", [], { mode: "values" })).toEqual([[1, "c"], [2, "c"]])
      const result = (text: string) => db.run(text, [], { mode: "result" })
      const nothing = { rows: [], rowsAffected: 0, lastInsertId: undefined }
      expect(yield* result("UPDATE t SET v = 'c'")).toEqual({ ...nothing, rowsAffected: 2 })
      expect(yield* result("SELECT id FROM t")).toEqual({ ...nothing, rows: [{ id: 1 }, { id: 2 }] })
      expect(yield* result("INSERT INTO t (v) OUTPUT INSERTED.v VALUES ('c')")).toEqual({
        ...nothing,
        rows: [{ v: "c" }],
        rowsAffected: 1
      })
      expect(yield* result("SELECT 1 AS a; DELETE FROM t WHERE id = 3")).toEqual({ ...nothing, rowsAffected: 1 })
      const several = yield* db.run("SELECT 1 AS a; SELECT 2 AS b, 3 AS c", [], { mode: "raw" })
      expect(several).toEqual([{ a: 1 }, { b: 2, c: 3 }])
      expect(several).toHaveProperty("recordsets", [[{ a: 1 }], [{ b: 2, c: 3 }]])
    }).pipe(Effect.scoped))

  it.live("keep the wait for a lock that was asked for, and no longer than for one of them", () =>
    Effect.gen(function*() {
      const db = yield* open({ limits: { lockTimeout: 1234 } })
      const limit = (options = {}) => Effect.map(db.run("SELECT @@LOCK_TIMEOUT AS n", [], options), ([row]) => row.n)
      expect(yield* limit()).toBe(1234)
      expect(yield* limit({ lockTimeout: 50 })).toBe(50)
      expect(yield* limit()).toBe(1234)
      expect(db.connection.dirty).toBe(false)
      yield* db.reset("discard")
      expect(yield* limit()).toBe(1234)
    }).pipe(Effect.scoped))

  it.live("take the settings of the configuration, and have them again after a reset", () =>
    Effect.gen(function*() {
      const db = yield* open({ settings: { XACT_ABORT: "ON", "TRANSACTION ISOLATION LEVEL": "SNAPSHOT" } })
      const level =
        "SELECT CAST(transaction_isolation_level AS INT) AS n FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
      for (let i = 0; i < 2; i++) {
        expect(yield* db.run(level)).toEqual([{ n: 5 }])
        yield* db.run("BEGIN TRANSACTION")
        yield* Effect.flip(db.run("SELECT 1 / 0 AS n"))
        expect(db.connection.transaction).toBe("idle")
        yield* db.reset("discard")
      }
    }).pipe(Effect.scoped))
})

/** As many parameters as there are, each of which is used. */
const many = (count: number) => ({
  text: `SELECT 1 AS n WHERE ${count} IN (${Array.from({ length: count }, (_, i) => `@${i + 1}`).join(", ")})`,
  params: Array.from({ length: count }, (_, i) => i + 1)
})

describeMssql("SQL Server statements with very many parameters", () => {
  it.live("run with as many as the server takes, however often, and are refused with one more", () =>
    Effect.gen(function*() {
      const db = yield* open()
      for (const count of [2097, 2098]) {
        const { params, text } = many(count)
        // The third time a statement is run by its handle, where it has one.
        for (let time = 0; time < 3; time++) expect(yield* db.run(text, params)).toEqual([{ n: 1 }])
      }
      const { params, text } = many(2099)
      yield* db.run("BEGIN TRANSACTION")
      const error = yield* Effect.flip(db.run(text, params))
      expect(error).toMatchObject({ _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
      expect(error.message).toContain("2099 parameters, and SQL Server takes 2098")
      expect(db.connection.transaction).toBe("open")
      yield* db.run("COMMIT TRANSACTION")
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server statements with very many parameters", () => {
  it.live("are refused before anything is sent, the BEGIN that goes ahead included; the server's own refusal is known", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      const { log } = db.database.server
      log.length = 0
      for (const [text, params] of [[many(2099).text, many(2099).params], ["SELECT @1 AS n", [Number.NaN]]] as const) {
        yield* Effect.flip(db.run(text, params, { begin: "BEGIN TRANSACTION", lockTimeout: 77 }))
        expect(log).toEqual([])
        expect(db.connection.transaction).toBe("idle")
      }
      db.database.server.faults.push({ when: "SELECT 42", action: { number: 8003, message: "too many parameters" } })
      expect(yield* Effect.flip(db.run("SELECT 42"))).toMatchObject({
        reason: "Parameter",
        outcome: "NotSent",
        code: "8003"
      })
    }).pipe(Effect.scoped))
})

describe("the classification of a T-SQL text", () => {
  it("tells what leaves something behind", () => {
    const clean = [
      "SELECT 1",
      "INSERT INTO t VALUES ('SET x; EXEC y')",
      "UPDATE t SET a = 1, b = 2 WHERE c = 'DECLARE'",
      "WITH x AS (SELECT 1) DELETE FROM t",
      ";WITH x AS (SELECT 1) DELETE FROM t",
      "MERGE t USING s ON 1 = 1 WHEN MATCHED THEN UPDATE SET a = 1;",
      "CREATE TABLE t (a INT)",
      "BEGIN TRANSACTION",
      "COMMIT TRANSACTION",
      "SELECT [EXEC], \"SET\" FROM t -- SET",
      "/* /* nested */ SET x 1 */ SELECT 1"
    ]
    const dirty = [
      "SET LOCK_TIMEOUT 5",
      "SELECT 1; SET LOCK_TIMEOUT 5",
      "SELECT 1 SET LOCK_TIMEOUT 5",
      "UPDATE t SET a = 1 SET NOCOUNT ON",
      "CREATE TABLE #t (a INT)",
      "SELECT * INTO [#t] FROM t",
      "SELECT * INTO ##t FROM t",
      "DECLARE @a INT",
      "EXEC sp_anything",
      "sp_anything",
      "USE other",
      "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRANSACTION",
      ""
    ]
    for (const text of clean) expect(traitsOf(text).dirties, text).toBe(false)
    for (const text of dirty) expect(traitsOf(text).dirties, text).toBe(true)
  })

  it("tells what begins and ends transactions", () => {
    const control = [
      "BEGIN TRAN",
      "begin transaction",
      "COMMIT",
      "ROLLBACK TRANSACTION [a]",
      "SAVE TRAN a",
      "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION"
    ]
    for (const text of control) expect(traitsOf(text).control, text).toBe(true)
    for (const text of ["BEGIN SELECT 1 END", "SELECT 'COMMIT'", "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"]) {
      expect(traitsOf(text).control, text).toBe(false)
    }
    expect(traitsOf("COMMIT TRANSACTION").commit).toBe(true)
    expect(traitsOf("COMMIT; SELECT 1").commit).toBe(false)
  })

  it("ends for any text", () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => {
      traitsOf(`/* ${text}`)
      traitsOf(`'${text}`)
      expect(typeof traitsOf(text).dirties).toBe("boolean")
    }))
  })
})
