import { it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect } from "vitest"
import { describeMssql, describeStandIn, standIn } from "../../kit/mssql.js"
import { eventually } from "../../kit/postgres.js"
import { another, configFor, open, openStandIn, openWith } from "./harness.js"

describeMssql("SQL Server transactions", () => {
  it.live("that a failing statement has committed are not said to be rolled back", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT PRIMARY KEY)")
      for (const [end, outcome, rows] of [["ROLLBACK", "RolledBack", 0], ["COMMIT", "Unknown", 1]] as const) {
        yield* db.run("BEGIN TRANSACTION")
        yield* db.run("INSERT INTO t VALUES (1)")
        expect(yield* Effect.flip(db.run(`IF @@TRANCOUNT > 0 ${end} TRANSACTION SELECT a FROM nowhere`)))
          .toMatchObject({ reason: "UndefinedObject", outcome })
        expect(db.connection.transaction).toBe("idle")
        expect(yield* db.run("SELECT a FROM t")).toHaveLength(rows)
      }
    }).pipe(Effect.scoped))

  it.live("have the status that the server tells", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const { transaction } = db.driver
      yield* db.run("CREATE TABLE t (a INT PRIMARY KEY)")
      expect(db.connection.transaction).toBe("idle")
      yield* db.run(transaction.begin({}) as string)
      yield* db.run("INSERT INTO t VALUES (1)")
      yield* db.run(transaction.savepoint("a ] b"))
      yield* db.run("INSERT INTO t VALUES (2)")
      yield* db.run(transaction.rollbackTo("a ] b"))
      expect(db.connection.transaction).toBe("open")
      yield* db.run(transaction.commit)
      expect(db.connection.transaction).toBe("idle")
      yield* db.run(transaction.begin({ isolation: "serializable" }) as string)
      yield* db.run("DELETE FROM t")
      yield* db.run(transaction.rollback)
      expect(db.connection.transaction).toBe("idle")
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
      // BEGIN that travels with its first statement.
      expect(yield* db.run("SELECT @1 AS n", [1], { begin: transaction.begin({}) as string })).toEqual([{ n: 1 }])
      expect(db.connection.transaction).toBe("open")
      yield* db.run(transaction.rollback)
      expect(transaction.begin({ deferrable: true })).toMatchObject({
        unsupported: expect.stringContaining("deferrable")
      })
    }).pipe(Effect.scoped))

  it.live("go on after a violation, and say so", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT CONSTRAINT pk_t PRIMARY KEY)")
      yield* db.run("BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (@1)", [1])
      for (const params of [[1], []]) {
        const text = params.length === 0 ? "INSERT INTO t VALUES (1)" : "INSERT INTO t VALUES (@1)"
        expect(yield* Effect.flip(db.run(text, params))).toMatchObject({
          reason: "UniqueViolation",
          constraint: "pk_t",
          outcome: "RolledBack"
        })
        expect(db.connection.transaction).toBe("open")
      }
      yield* db.run("COMMIT TRANSACTION")
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
    }).pipe(Effect.scoped))

  it.live("that conflict are ended by the server: nothing is left to roll back", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a)
      yield* a.run("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
      yield* a.run("INSERT INTO t VALUES (1, 1)")
      yield* a.run(a.driver.transaction.begin({ isolation: "snapshot" }) as string)
      yield* a.run("SELECT v FROM t WHERE id = 1")
      yield* b.run("UPDATE t SET v = 2 WHERE id = 1")
      const error = yield* Effect.flip(a.run("UPDATE t SET v = v + 1 WHERE id = @1", [1]))
      expect(error).toMatchObject({ reason: "Serialization", code: "3960", outcome: "RolledBack", isTransient: true })
      expect(a.connection.transaction).toBe("idle")
      expect(yield* a.run("SELECT v FROM t")).toEqual([{ v: 2 }])
    }).pipe(Effect.scoped))

  it.live("for reading only refuse writes, and only they", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const begin = db.driver.transaction.begin({ readOnly: true, isolation: "serializable" }) as string
      yield* db.run("CREATE TABLE t (a INT)")
      yield* db.run(begin)
      expect(yield* Effect.flip(db.run("INSERT INTO t VALUES (1)"))).toMatchObject({
        reason: "ReadOnly",
        outcome: "NotSent"
      })
      expect(yield* db.run("SELECT * FROM t")).toEqual([])
      yield* db.run("SAVE TRANSACTION s")
      yield* db.run("COMMIT TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (1)")
      expect(yield* Effect.flip(db.run("INSERT INTO t VALUES (@1)", [2], { begin }))).toMatchObject({
        reason: "ReadOnly"
      })
      expect(db.connection.transaction).toBe("idle")
    }).pipe(Effect.scoped))

  it.live("of several statements without one say what is not known", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT PRIMARY KEY)")
      // The second fails, the first and the third stay.
      const error = yield* Effect.flip(
        db.run("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
      )
      expect(error).toMatchObject({ reason: "UniqueViolation", outcome: "Unknown" })
      expect(yield* db.run("SELECT a FROM t ORDER BY a")).toEqual([{ a: 1 }, { a: 2 }])
      expect(yield* Effect.flip(db.run("INSERT INTO t VALUES (1)"))).toMatchObject({ outcome: "RolledBack" })
      expect(yield* Effect.flip(db.run("SELEC 1"))).toMatchObject({ outcome: "NotSent" })
    }).pipe(Effect.scoped))
})

describeMssql("SQL Server resets", () => {
  it.live("leave nothing of what was done", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT)")
      expect(db.connection.dirty).toBe(false)
      yield* db.run("BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (1)")
      yield* db.reset("rollback")
      expect(db.connection.transaction).toBe("idle")
      expect(yield* db.run("SELECT * FROM t")).toEqual([])
      yield* db.run("BEGIN TRANSACTION; BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (2)")
      yield* db.reset("rollback")
      yield* db.run("BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (3)")
      yield* db.reset("commit")
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 3 }])
    }).pipe(Effect.scoped))

  it.live("take temporary tables, settings, isolation levels, locks and handles with them", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE #t (a INT)")
      yield* db.run("SET LOCK_TIMEOUT 5; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
      yield* db.run("EXEC sp_getapplock @Resource = 'r', @LockMode = 'Exclusive', @LockOwner = 'Session'")
      for (let i = 0; i < 3; i++) yield* db.run("SELECT @1 AS n", [i])
      expect(db.connection.dirty).toBe(true)
      yield* db.reset()
      expect(db.connection.dirty).toBe(false)
      expect(yield* Effect.flip(db.run("SELECT * FROM #t"))).toMatchObject({ reason: "UndefinedObject", table: "#t" })
      expect(yield* db.run("SELECT @@LOCK_TIMEOUT AS n")).toEqual([{ n: -1 }])
      expect(yield* db.run("SELECT @1 AS n", [9])).toEqual([{ n: 9 }])
      const other = yield* another(db)
      expect(
        yield* other.run(
          "DECLARE @r INT; EXEC @r = sp_getapplock @Resource = 'r', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0; SELECT @r AS r"
        )
      ).toEqual([{ r: 0 }])
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server resets", () => {
  it.live("cost nothing where nothing was done", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      yield* db.run("SELECT 1")
      const { log } = db.database.server
      log.length = 0
      yield* db.reset("rollback")
      expect(log).toEqual([])
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server links that break", () => {
  const setUp = Effect.gen(function*() {
    const database = yield* standIn()
    const db = yield* openWith(configFor(database), database)
    yield* db.run("CREATE TABLE t (a INT)")
    const rows = Effect.scoped(
      Effect.flatMap(openWith(configFor(database), database), (other) => other.run("SELECT a FROM t"))
    )
    return { database, db, rows, faults: database.server.faults }
  })

  it.live("at COMMIT leave it unknown, whichever way it went", () =>
    Effect.gen(function*() {
      for (const action of ["drop-before", "drop-after"] as const) {
        const { db, faults, rows } = yield* setUp
        yield* db.run("BEGIN TRANSACTION")
        yield* db.run("INSERT INTO t VALUES (1)")
        faults.push({ when: "COMMIT", action })
        expect(yield* Effect.flip(db.run("COMMIT TRANSACTION"))).toMatchObject({
          _tag: "QueryError",
          reason: "CommitUnknown",
          outcome: "Unknown"
        })
        expect(db.connection.lost).toBe(true)
        expect(yield* rows).toHaveLength(action === "drop-after" ? 1 : 0)
      }
    }).pipe(Effect.scoped))

  it.live("in a transaction roll it back; without one it is not known", () =>
    Effect.gen(function*() {
      const first = yield* setUp
      yield* first.db.run("BEGIN TRANSACTION")
      first.faults.push({ when: "INSERT", action: "drop-after" })
      expect(yield* Effect.flip(first.db.run("INSERT INTO t VALUES (1)"))).toMatchObject({
        _tag: "ConnectionError",
        reason: "Lost",
        outcome: "RolledBack"
      })
      expect(yield* first.rows).toEqual([])
      const second = yield* setUp
      second.faults.push({ when: "INSERT", action: "drop-after" })
      expect(yield* Effect.flip(second.db.run("INSERT INTO t VALUES (1)"))).toMatchObject({ outcome: "Unknown" })
      expect(yield* Effect.flip(second.db.run("SELECT 1"))).toMatchObject({ reason: "Lost", outcome: "NotSent" })
    }).pipe(Effect.scoped))

  it.live("in a text that commits leave it unknown too", () =>
    Effect.gen(function*() {
      const { db, faults, rows } = yield* setUp
      yield* db.run("BEGIN TRANSACTION")
      const text = "INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2)"
      faults.push({ when: text, action: "drop-after" })
      expect(yield* Effect.flip(db.run(text))).toMatchObject({ reason: "Lost", outcome: "Unknown" })
      expect(yield* rows).toHaveLength(2)
    }).pipe(Effect.scoped))

  it.live("while nothing runs are told once", () =>
    Effect.gen(function*() {
      const { database, db } = yield* setUp
      const told = yield* Deferred.make<string>()
      db.connection.onLost = (error) => Deferred.unsafeDone(told, Effect.succeed(error.reason))
      database.server.kill(db.connection.id)
      expect(yield* Deferred.await(told)).toBe("Lost")
      expect(db.connection.lost).toBe(true)
    }).pipe(Effect.scoped))

  it.live("by our own hand end what runs, and the server has nothing left", () =>
    Effect.gen(function*() {
      const { database, db } = yield* setUp
      yield* db.run("BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (1)")
      const running = yield* Effect.fork(Effect.flip(db.run("WAITFOR DELAY '01:00:00'")))
      yield* eventually(Effect.sync(() => database.server.sessions()), (all) =>
        all[0]?.running?.startsWith("WAITFOR") === true)
      db.connection.destroy()
      expect(yield* Fiber.join(running)).toMatchObject({ reason: "Lost", outcome: "RolledBack" })
      yield* eventually(
        Effect.sync(() =>
          database.server.connections()
        ),
        (n) => n === 0
      )
    }).pipe(Effect.scoped))
})
