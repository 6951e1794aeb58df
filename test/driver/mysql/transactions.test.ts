import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect } from "vitest"
import {
  describeMariadb,
  describePrivateMysql,
  freshMysqlDatabaseAt,
  mysqlQuery,
  privateMysql
} from "../../kit/mysql.js"
import { eventually } from "../../kit/postgres.js"
import { another, configFor, type Handle, open, openFails, openWith } from "./harness.js"

const table = (db: Handle) =>
  db.script("CREATE TABLE t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB; INSERT INTO t VALUES (1, 0), (2, 0)")

/** A connection's transaction as InnoDB shows it, in a picture that it renews when that was not read for 100 ms. */
const transactionOf = (db: Handle, id: number) =>
  Effect.zipRight(
    mysqlQuery(db.database.url, "DO SLEEP(0.12)"),
    mysqlQuery(
      db.database.url,
      "SELECT trx_state AS state, trx_isolation_level AS level, trx_is_read_only AS readOnly " +
        "FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = ?",
      [id]
    )
  )

/** Until the server shows a connection waiting in a statement. */
const waits = (db: Handle, id: number) =>
  eventually(transactionOf(db, id), (rows) => rows[0]?.["state"] === "LOCK WAIT")

/** Two connections lock each other out; gives the one whose transaction the server rolled back, and its error. */
const deadlock = (a: Handle, b: Handle) =>
  Effect.gen(function*() {
    yield* a.run("START TRANSACTION")
    yield* b.run("START TRANSACTION")
    yield* a.run("UPDATE t SET n = n + 1 WHERE id = ?", [1])
    yield* b.run("UPDATE t SET n = n + 1 WHERE id = ?", [2])
    const waiting = yield* Effect.fork(Effect.either(a.run("UPDATE t SET n = n + 1 WHERE id = ?", [2])))
    yield* waits(a, a.connection.id)
    const mine = yield* Effect.either(b.run("UPDATE t SET n = n + 1 WHERE id = ?", [1]))
    const theirs = yield* Fiber.join(waiting)
    if (mine._tag === "Left") return { victim: b, winner: a, error: mine.left }
    if (theirs._tag === "Left") return { victim: a, winner: b, error: theirs.left }
    return yield* Effect.dieMessage("no deadlock")
  })

describeMariadb("MySQL transactions", () => {
  it.live("that a failing procedure has committed are not said to be rolled back", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      const define = (end: string) =>
        db.run(`CREATE OR REPLACE PROCEDURE p() BEGIN UPDATE t SET n = n + 1; ${end}; SIGNAL SQLSTATE '45000'; END`)
      const call = Effect.flip(db.run("CALL p()"))
      const sum = Effect.map(db.run("SELECT CAST(SUM(n) AS SIGNED) AS n FROM t"), (rows) =>
        (rows as ReadonlyArray<{ n: number }>)[0]!.n)
      yield* define("DO 0")
      // Without a transaction each of its statements commits for itself.
      expect(yield* call).toMatchObject({ outcome: "Unknown" })
      expect(yield* sum).toBe(2)
      yield* db.run("START TRANSACTION")
      expect(yield* call).toMatchObject({ outcome: "RolledBack" })
      expect(db.connection.transaction).toBe("open")
      yield* db.run("ROLLBACK")
      expect(yield* sum).toBe(2)
      yield* define("COMMIT")
      yield* db.run("START TRANSACTION")
      expect(yield* call).toMatchObject({ outcome: "Unknown" })
      expect(db.connection.transaction).toBe("idle")
      expect(yield* sum).toBe(4)
    }).pipe(Effect.scoped))

  it.live("have the status the server tells", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      yield* db.reset()
      expect(db.connection.transaction).toBe("idle")
      yield* db.run("START TRANSACTION")
      expect(db.connection.transaction).toBe("open")
      yield* db.run("SELECT * FROM t")
      expect(db.connection.transaction).toBe("open")
      yield* db.run("SAVEPOINT a")
      yield* db.run("INSERT INTO t VALUES (3, 0)")
      yield* db.run("ROLLBACK TO SAVEPOINT a")
      expect(db.connection.transaction).toBe("open")
      yield* db.run("COMMIT")
      expect(db.connection.transaction).toBe("idle")
      yield* db.run("START TRANSACTION READ ONLY")
      expect(db.connection.transaction).toBe("open")
      yield* db.run("ROLLBACK")
      expect(db.connection.transaction).toBe("idle")
      expect((yield* db.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(2)
      expect(db.connection.dirty).toBe(false)
    }).pipe(Effect.scoped))

  it.live("are idle after what commits implicitly, also where it answers with rows", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      yield* db.run("START TRANSACTION")
      yield* db.run("ANALYZE TABLE t")
      expect(db.connection.transaction).toBe("idle")
      yield* db.run("START TRANSACTION")
      yield* db.run("CREATE TABLE u (a INT)")
      expect(db.connection.transaction).toBe("idle")
      yield* db.run("START TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (7, 0)")
      expect(yield* Effect.flip(db.run("CREATE TABLE u (a INT)"))).toMatchObject({ code: "1050" })
      expect(db.connection.transaction).toBe("idle")
      expect((yield* db.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(3)
    }).pipe(Effect.scoped))

  it.live("go on after an error that undoes one statement", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      yield* db.run("START TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (3, 0)")
      expect(yield* Effect.flip(db.run("INSERT INTO t VALUES (?, 0), (1, 0)", [4]))).toMatchObject({
        reason: "UniqueViolation",
        outcome: "RolledBack"
      })
      expect(db.connection.transaction).toBe("open")
      yield* db.run("COMMIT")
      expect(yield* db.run("SELECT id FROM t ORDER BY id", [], { mode: "values" })).toEqual([[1], [2], [3]])
    }).pipe(Effect.scoped))

  it.live("that the server rolled back in a deadlock are idle", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a)
      yield* table(a)
      const { error, victim, winner } = yield* deadlock(a, b)
      expect(error).toMatchObject({ _tag: "QueryError", reason: "Deadlock", outcome: "RolledBack", code: "1213" })
      expect(error.isTransient).toBe(true)
      expect(victim.connection.transaction).toBe("idle")
      expect(winner.connection.transaction).toBe("open")
      yield* victim.run("ROLLBACK")
      yield* winner.run("COMMIT")
      expect(yield* victim.run("SELECT id, n FROM t ORDER BY id", [], { mode: "values" })).toEqual([[1, 1], [2, 1]])
    }).pipe(Effect.scoped))

  it.live("stay open after a lock timeout, which undoes its statement", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a, { limits: { lockTimeout: 400 } })
      yield* table(a)
      yield* a.run("START TRANSACTION")
      yield* a.run("UPDATE t SET n = 1 WHERE id = 1")
      yield* b.run("START TRANSACTION")
      yield* b.run("INSERT INTO t VALUES (5, 0)")
      const error = yield* Effect.flip(b.run("UPDATE t SET n = 2 WHERE id = ?", [1]))
      // MySQL waits for locks in whole seconds.
      expect(error).toMatchObject({
        _tag: "TimeoutError",
        phase: "Lock",
        limitMillis: 1000,
        outcome: "RolledBack",
        code: "1205"
      })
      expect(b.connection.transaction).toBe("open")
      yield* b.run("COMMIT")
      expect((yield* b.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(3)
      yield* a.run("ROLLBACK")
    }).pipe(Effect.scoped))

  it.live("tell NOWAIT from a lock timeout", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a)
      yield* table(a)
      yield* a.run("START TRANSACTION")
      yield* a.run("UPDATE t SET n = 1 WHERE id = 1")
      const error = yield* Effect.flip(b.run("SELECT * FROM t WHERE id = ? FOR UPDATE NOWAIT", [1]))
      expect(error).toMatchObject({ _tag: "QueryError", reason: "LockConflict", outcome: "RolledBack" })
      expect(error.isTransient).toBe(true)
    }).pipe(Effect.scoped))

  it.live("begin with isolation and access, in one round trip", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      yield* db.reset()
      const { begin } = db.driver.transaction
      const begins = (text: string | { readonly unsupported: string }, level: string, readOnly: number) =>
        Effect.gen(function*() {
          expect(typeof text).toBe("string")
          yield* db.run(String(text), [], { prepare: false })
          expect(db.connection.transaction).toBe("open")
          yield* db.run("SELECT COUNT(*) FROM t")
          yield* eventually(transactionOf(db, db.connection.id), (rows) =>
            rows[0]?.["level"] === level && rows[0]["readOnly"] === readOnly)
          yield* db.run("ROLLBACK")
        })
      yield* begins(begin({ isolation: "serializable" }), "SERIALIZABLE", 0)
      yield* begins(begin({ isolation: "read committed", readOnly: true }), "READ COMMITTED", 1)
      yield* begins(begin({}), "REPEATABLE READ", 0)
      // Also where it is prepared already.
      yield* db.run(String(begin({ isolation: "serializable" })))
      expect(db.connection.transaction).toBe("open")
      yield* db.run("COMMIT")
      expect(begin({ isolation: "snapshot" })).toHaveProperty("unsupported")
      expect(begin({ deferrable: true })).toHaveProperty("unsupported")
      expect(db.connection.dirty).toBe(false)
    }).pipe(Effect.scoped))

  it.live("refuse writes where they are read-only", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      yield* db.run(String(db.driver.transaction.begin({ readOnly: true })))
      expect(yield* Effect.flip(db.run("INSERT INTO t VALUES (8, 0)"))).toMatchObject({
        reason: "ReadOnly",
        outcome: "NotSent"
      })
      yield* db.run("ROLLBACK")
      const reader = yield* another(db, { access: "read-only" })
      for (const text of ["INSERT INTO t VALUES (8, 0)", "CREATE TABLE v (a INT)", "DROP TABLE t"]) {
        expect(yield* Effect.flip(reader.run(text))).toMatchObject({ reason: "ReadOnly", outcome: "NotSent" })
      }
      yield* reader.run(String(reader.driver.transaction.begin({ readOnly: false })))
      expect(yield* Effect.flip(reader.run("INSERT INTO t VALUES (8, 0)"))).toMatchObject({ reason: "ReadOnly" })
      yield* reader.reset("discard")
      expect(yield* Effect.flip(reader.run("INSERT INTO t VALUES (8, 0)"))).toMatchObject({ reason: "ReadOnly" })
      expect((yield* reader.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(2)
    }).pipe(Effect.scoped))

  it.live("send a BEGIN ahead of a statement, which does not run when it fails", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      yield* db.run("INSERT INTO t VALUES (?, 0)", [5], { begin: "START TRANSACTION" })
      expect(db.connection.transaction).toBe("open")
      yield* db.run("ROLLBACK")
      const error = yield* Effect.flip(db.run("INSERT INTO t VALUES (?, 0)", [6], { begin: "START TRANSACTIOM" }))
      expect(error).toMatchObject({ reason: "SqlSyntax", outcome: "NotSent" })
      expect((yield* db.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(2)
    }).pipe(Effect.scoped))

  it.live("have savepoints of any name", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* table(db)
      const { release, rollbackTo, savepoint } = db.driver.transaction
      yield* db.run("START TRANSACTION")
      yield* db.run(savepoint("a`; DROP TABLE t"))
      yield* db.run("DELETE FROM t")
      yield* db.run(rollbackTo("a`; DROP TABLE t"))
      yield* db.run(release!("a`; DROP TABLE t"))
      yield* db.run("COMMIT")
      expect((yield* db.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(2)
    }).pipe(Effect.scoped))
})

describePrivateMysql("MySQL transactions on other servers", () => {
  it.live("are idle after a lock timeout where the server rolls back on it", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ args: ["--innodb-rollback-on-timeout=ON"], tls: false })
      const database = yield* freshMysqlDatabaseAt(server.url)
      const a = yield* openWith(configFor(database), database)
      const b = yield* another(a)
      yield* table(a)
      yield* a.run("START TRANSACTION")
      yield* a.run("UPDATE t SET n = 1 WHERE id = 1")
      yield* b.run("START TRANSACTION")
      yield* b.run("INSERT INTO t VALUES (5, 0)")
      const error = yield* Effect.flip(b.run("UPDATE t SET n = 2 WHERE id = 1", [], { lockTimeout: 100 }))
      expect(error).toMatchObject({ _tag: "TimeoutError", phase: "Lock" })
      expect(b.connection.transaction).toBe("idle")
      yield* b.reset()
      expect((yield* b.run("SELECT COUNT(*) AS n FROM t"))[0].n).toBe(2)
    }).pipe(Effect.scoped))

  it.live("say that a server is read-only", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ tls: false })
      const database = yield* freshMysqlDatabaseAt(server.url)
      yield* mysqlQuery(server.url, "CREATE USER app@'%' IDENTIFIED BY 'app'")
      yield* mysqlQuery(server.url, `GRANT ALL ON ${database.name}.* TO app@'%'`)
      const app = { ...database, user: "app", password: "app" }
      const db = yield* openWith(configFor(app), app)
      yield* db.script("CREATE TABLE t (a INT)")
      yield* mysqlQuery(server.url, "SET GLOBAL read_only = ON")
      const error = yield* Effect.flip(db.run("INSERT INTO t VALUES (1)"))
      expect(error).toMatchObject({
        _tag: "ConnectionError",
        reason: "ReadOnlyServer",
        outcome: "NotSent",
        code: "1290"
      })
      const wanted = yield* openFails(configFor(app, { targetSessionAttrs: "read-write" }), app)
      expect(wanted).toMatchObject({ _tag: "ConnectionError", reason: "ReadOnlyServer" })
      const reader = yield* openWith(configFor(app, { targetSessionAttrs: "read-only" }), app)
      expect(yield* reader.run("SELECT * FROM t")).toEqual([])
      yield* mysqlQuery(server.url, "SET GLOBAL read_only = OFF")
      const second = yield* openWith(configFor(app, { targetSessionAttrs: "prefer-standby" }), app)
      yield* second.run("INSERT INTO t VALUES (1)")
    }).pipe(Effect.scoped))
})
