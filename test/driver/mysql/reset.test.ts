import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { expect } from "vitest"
import { describeMariadb, mysqlQuery } from "../../kit/mysql.js"
import { another, call, configFor, open, openWith } from "./harness.js"

/** What a borrower could see of another, as one row. */
const traces = "SELECT @a AS a, @@time_zone AS zone, @@sql_mode AS mode, @@character_set_client AS client, " +
  "@@character_set_results AS results, @@collation_connection AS collation, DATABASE() AS db, " +
  "IS_USED_LOCK('l') AS l, @@tx_isolation AS isolation, @@autocommit AS autocommit, CURRENT_ROLE() AS role, " +
  "@@max_statement_time AS statement, @@innodb_lock_wait_timeout AS lck, @@foreign_key_checks AS fk"

/** What leaves something behind, one by one. */
const leavings: ReadonlyArray<readonly [text: string, seen?: string]> = [
  ["SET @a = 5"],
  ["SELECT @a := 5"],
  ["SELECT 5 INTO @a"],
  ["SET time_zone = '+05:00'"],
  ["SET sql_mode = ''"],
  ["SET NAMES latin1"],
  ["SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
  ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
  ["SET autocommit = 0"],
  ["SET foreign_key_checks = 0"],
  ["/* a comment */ SET @a = 1"],
  ["-- a comment\nSET @a = 1"],
  ["/*!50000 SET @a = 1 */"],
  ["USE mysql"],
  ["SELECT GET_LOCK('l', 0)"],
  ["CREATE TEMPORARY TABLE tmp (a INT)", "SELECT * FROM tmp"],
  ["CREATE OR REPLACE TEMPORARY TABLE tmp (a INT)", "SELECT * FROM tmp"],
  ["LOCK TABLES t WRITE"],
  ["PREPARE s FROM 'SELECT 1'", "EXECUTE s"],
  ["HANDLER t OPEN", "HANDLER t READ FIRST"],
  ["CALL leftover()"],
  ["INSERT INTO t VALUES (1)"]
]

describeMariadb("MySQL resets", () => {
  it.live("leave nothing of one borrower to the next", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script(
        "CREATE TABLE t (a INT) ENGINE=InnoDB; CREATE TABLE u (a INT); " +
          "CREATE PROCEDURE leftover() SET @a = 7; CREATE TRIGGER leaves AFTER INSERT ON t FOR EACH ROW SET @a = NEW.a"
      )
      yield* db.reset()
      const clean = yield* db.run(traces)
      expect(clean[0]).toMatchObject({
        a: null,
        zone: "+00:00",
        client: "utf8mb4",
        results: "utf8mb4",
        db: db.database.name,
        l: null,
        isolation: "REPEATABLE-READ",
        autocommit: 1
      })
      expect(clean[0].mode).toContain("STRICT_ALL_TABLES")
      for (const [text, seen] of leavings) {
        for (const prepare of [true, false]) {
          expect(db.connection.dirty).toBe(false)
          yield* db.run(text, [], { prepare })
          expect([text, db.connection.dirty]).toEqual([text, true])
          yield* db.reset()
          expect([text, yield* db.run(traces)]).toEqual([text, clean])
          expect(db.connection.transaction).toBe("idle")
          if (seen !== undefined) expect(yield* Effect.flip(db.run(seen))).toMatchObject({ _tag: "QueryError" })
          // A table lock of the connection's own would be in the way.
          expect(yield* another(db).pipe(Effect.flatMap((other) => other.run("SELECT COUNT(*) FROM t")), Effect.scoped))
            .toHaveLength(1)
          yield* db.reset()
        }
      }
    }).pipe(Effect.scoped))

  it.live("cost nothing where nothing was left", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT) ENGINE=InnoDB")
      const questions = Effect.map(
        db.script("SHOW SESSION STATUS LIKE 'Questions'"),
        (rows) => Number((rows as ReadonlyArray<{ readonly Value: string }>)[0]!.Value)
      )
      yield* db.run("START TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (?)", [1])
      yield* db.run("SELECT * FROM t FOR UPDATE")
      yield* db.run("COMMIT")
      expect(db.connection.dirty).toBe(false)
      const before = yield* questions
      yield* db.reset()
      expect(yield* questions).toBe(before + 1)
    }).pipe(Effect.scoped))

  it.live("roll back, commit or discard what is open", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT) ENGINE=InnoDB")
      const leave = (a: number, policy: "rollback" | "commit" | "discard", dirty: boolean) =>
        Effect.gen(function*() {
          yield* db.run("START TRANSACTION")
          yield* db.run("INSERT INTO t VALUES (?)", [a])
          if (dirty) yield* db.run("SET @x = 1")
          yield* db.reset(policy)
          expect(db.connection.transaction).toBe("idle")
          expect(db.connection.dirty).toBe(false)
        })
      yield* leave(1, "rollback", false)
      yield* leave(2, "rollback", true)
      yield* leave(3, "commit", false)
      yield* leave(4, "commit", true)
      yield* leave(5, "discard", false)
      yield* leave(6, "discard", true)
      expect(yield* db.run("SELECT a FROM t ORDER BY a", [], { mode: "values" })).toEqual([[3], [4]])
    }).pipe(Effect.scoped))

  it.live("fail where a transaction of XA stands, so that no other borrower gets it", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script(
        "CREATE TABLE t (a INT) ENGINE=InnoDB; CREATE PROCEDURE begins(x TEXT) " +
          "EXECUTE IMMEDIATE CONCAT('XA START ', QUOTE(x))"
      )
      yield* db.reset()
      const prepared = Effect.map(
        mysqlQuery(db.database.url, "XA RECOVER"),
        (rows) => rows.filter((row) => String(row["data"]).startsWith(db.database.name)).length
      )
      const leave = (texts: ReadonlyArray<string>, policy: "rollback" | "commit" | "discard") =>
        Effect.gen(function*() {
          const one = yield* another(db)
          for (const text of texts) yield* one.run(text)
          expect([texts, Either.isLeft(yield* Effect.either(one.reset(policy)))]).toEqual([texts, true])
        }).pipe(Effect.scoped)
      for (const policy of ["rollback", "commit", "discard"] as const) {
        const x = `'${db.database.name} ${policy}'`
        const insert = "INSERT INTO t VALUES (1)"
        yield* leave([`XA START ${x}`, insert], policy)
        yield* leave([`XA START ${x}`, insert, `XA END ${x}`], policy)
        yield* leave([`CALL begins(${x})`, insert], policy)
        expect(yield* prepared).toBe(0)
        const texts = [`XA START ${x}`, insert, `XA END ${x}`, `XA PREPARE ${x}`]
        yield* leave(texts, policy)
        expect(yield* prepared).toBe(1)
        // What is ended is in no way, wherever that is done.
        yield* db.run(`XA ROLLBACK ${x}`)
        for (const text of texts) yield* db.run(text)
        yield* db.run(`XA COMMIT ${x}`)
        yield* db.reset(policy)
      }
      expect(yield* db.run("SELECT a FROM t", [], { mode: "values" })).toEqual([[1], [1], [1]])
    }).pipe(Effect.scoped))

  it.live("forget prepared statements with the server, and prepare them again", () =>
    Effect.gen(function*() {
      const db = yield* open()
      for (let i = 0; i < 5; i++) {
        for (const text of ["SELECT ? AS v", "SELECT ? + 1 AS v"]) yield* db.run(text, [i])
        yield* db.reset("discard")
      }
      expect(yield* db.run("SELECT ? AS v", [9])).toEqual([{ v: 9 }])
      expect(yield* db.run("SELECT ? + 1 AS v", [9])).toEqual([{ v: 10 }])
    }).pipe(Effect.scoped))

  it.live("put settings and limits back", () =>
    Effect.gen(function*() {
      const db = yield* open({
        settings: { sql_mode: "ANSI_QUOTES", max_sort_length: "2000", lc_time_names: "de_DE" },
        limits: { statementTimeout: 7000, lockTimeout: 9000 }
      })
      const settings = "SELECT @@sql_mode AS mode, @@max_sort_length AS sort, @@lc_time_names AS names, " +
        "@@max_statement_time AS statement, @@innodb_lock_wait_timeout AS lck"
      const expected = [{ mode: "ANSI_QUOTES", sort: 2000, names: "de_DE", statement: 7, lck: 9 }]
      expect(yield* db.run(settings)).toEqual(expected)
      yield* db.run("SET SESSION max_statement_time = 100, sql_mode = '', lc_time_names = 'en_US'")
      yield* db.reset()
      expect(yield* db.run(settings)).toEqual(expected)
    }).pipe(Effect.scoped))

  it.live("put the role back, and refuse where a database cannot be left", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const name = db.database.name.slice(0, 20)
      yield* Effect.acquireRelease(
        mysqlQuery(db.database.url, `CREATE ROLE ${name}`),
        () => mysqlQuery(db.database.url, `DROP ROLE ${name}`)
      )
      yield* mysqlQuery(db.database.url, `GRANT ${name} TO ${db.database.user}@'%'`)
      yield* db.run(`SET ROLE ${name}`)
      expect(yield* db.run("SELECT CURRENT_ROLE() AS r")).toEqual([{ r: name }])
      yield* db.reset()
      expect(yield* db.run("SELECT CURRENT_ROLE() AS r")).toEqual([{ r: null }])

      const homeless = yield* openWith(configFor(db.database, { database: undefined }), db.database)
      yield* homeless.run("SET @a = 1")
      yield* homeless.reset()
      yield* homeless.run(`USE ${db.database.name}`)
      expect(yield* Effect.flip(homeless.reset())).toMatchObject({ _tag: "ConnectionError", reason: "Unsupported" })
    }).pipe(Effect.scoped))

  it.live("answer a ping", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.ping
      yield* call<void>((done) => db.connection.close(done))
      expect(yield* Effect.flip(db.ping)).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
      expect(
        yield* mysqlQuery(db.database.url, "SELECT ID FROM information_schema.processlist WHERE ID = ?", [
          db.connection.id
        ])
      ).toEqual([])
    }).pipe(Effect.scoped))
})
