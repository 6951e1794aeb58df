import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { expect } from "vitest"
import { MysqlConnection } from "../../../src/internal/driver/mysql/connection.js"
import { openLink } from "../../../src/internal/driver/mysql/link.js"
import { describeMariadb, freshMysqlDatabase, mysqlQuery } from "../../kit/mysql.js"
import { eventually } from "../../kit/postgres.js"
import { another, call, configFor, type Handle, open, request } from "./harness.js"

const processOf = (db: Handle, id: number) =>
  mysqlQuery(db.database.url, "SELECT COMMAND AS c, INFO AS info FROM information_schema.processlist WHERE ID = ?", [
    id
  ])

/** Until the server runs this statement on the connection. It shows the text already while it prepares it, which takes long on a busy machine. */
const runs = (db: Handle, text: string) =>
  eventually(
    processOf(db, db.connection.id),
    ([row]) => ["Execute", "Query"].includes(String(row?.["c"])) && String(row?.["info"]).includes(text)
  )

/** Until the connection rests. */
const rests = (db: Handle) => eventually(processOf(db, db.connection.id), (rows) => rows[0]?.["c"] === "Sleep")

const connectionsOf = (db: Handle) =>
  mysqlQuery(
    db.database.url,
    "SELECT ID AS id FROM information_schema.processlist WHERE DB = ? AND ID <> CONNECTION_ID() ORDER BY 1",
    [db.database.name]
  )

/** Counts rows forever, for practical purposes, and can be stopped at any point. */
const endless = "SELECT COUNT(*) AS n FROM seq_1_to_100000 a JOIN seq_1_to_100000 b ON a.seq <> b.seq"

describeMariadb("MySQL cancels", () => {
  it.live("stop what runs, and leave the transaction as it was", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT) ENGINE=InnoDB")
      yield* db.run("START TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (1)")
      for (const prepare of [true, false]) {
        const running = yield* Effect.fork(Effect.flip(db.run(endless, [], { prepare })))
        yield* runs(db, endless)
        yield* db.cancel
        const error = yield* Fiber.join(running)
        expect(error).toMatchObject({ _tag: "QueryError", code: "1317", outcome: "RolledBack" })
        expect(db.connection.transaction).toBe("open")
        yield* rests(db)
      }
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
      yield* db.run("COMMIT")
      // The links that carried the cancels are gone.
      yield* eventually(connectionsOf(db), (rows) => rows.length === 1)
    }).pipe(Effect.scoped))

  it.live("stop a wait for a lock", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a)
      yield* a.script("CREATE TABLE t (a INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO t VALUES (1)")
      yield* a.run("START TRANSACTION")
      yield* a.run("UPDATE t SET a = 1 WHERE a = 1")
      yield* b.run("START TRANSACTION")
      const running = yield* Effect.fork(Effect.flip(b.run("DELETE FROM t WHERE a = ?", [1])))
      yield* runs(b, "DELETE")
      yield* b.cancel
      expect(yield* Fiber.join(running)).toMatchObject({ code: "1317" })
      expect(b.connection.transaction).toBe("open")
      yield* a.run("ROLLBACK")
      expect(yield* b.run("SELECT * FROM t")).toEqual([{ a: 1 }])
    }).pipe(Effect.scoped))

  it.live("never hit a later statement", () =>
    Effect.gen(function*() {
      const db = yield* open()
      for (let i = 0; i < 150; i++) {
        // Statements that end at about the time at which their cancel arrives; and one of 30 that runs for certain then.
        const lasts = i % 30 === 29
        const statement = lasts ? db.run(endless) : db.run(`SELECT BENCHMARK(?, SHA1('x')) AS n`, [(i % 30) * 1500])
        const running = yield* Effect.fork(Effect.either(statement))
        if (lasts) yield* runs(db, endless)
        else yield* Effect.yieldNow()
        yield* db.cancel
        const result = yield* Fiber.join(running)
        if (lasts) expect(Either.getOrNull(Either.flip(result))).toMatchObject({ code: "1317" })
        expect(yield* db.run("SELECT ? AS v", [i])).toEqual([{ v: i }])
      }
      yield* eventually(connectionsOf(db), (rows) => rows.length === 1)
    }).pipe(Effect.scoped), 60_000)

  it.live("of nothing are nothing", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.cancel
      yield* Effect.all([db.cancel, db.cancel], { concurrency: "unbounded" })
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("that come before anything was sent keep it from being sent", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT)")
      // The text is being prepared when the cancel comes; the statement itself must not follow.
      const running = yield* Effect.fork(Effect.flip(db.run("INSERT INTO t SELECT ? FROM (SELECT 1) x", [1])))
      yield* Effect.yieldNow()
      yield* db.cancel
      const error = yield* Fiber.join(running)
      expect(error).toMatchObject({ _tag: "QueryError", outcome: "NotSent" })
      expect(yield* db.run("SELECT * FROM t")).toEqual([])
    }).pipe(Effect.scoped))

  it.live("that come while settings go ahead keep the statement from being sent", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT)")
      const options = { prepare: false, lockTimeout: 7000 }
      const running = yield* Effect.fork(Effect.flip(db.run("INSERT INTO t VALUES (1)", [], options)))
      const opening = Effect.flip(db.cursor("INSERT INTO t VALUES (1)", [], { ...options, lockTimeout: 8000 }))
      yield* Effect.yieldNow()
      yield* db.cancel
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "QueryError", outcome: "NotSent" })
      const stream = yield* Effect.fork(opening)
      yield* Effect.yieldNow()
      yield* db.cancel
      expect(yield* Fiber.join(stream)).toMatchObject({ _tag: "QueryError", outcome: "NotSent" })
      expect(yield* db.run("SELECT * FROM t")).toEqual([])
    }).pipe(Effect.scoped))

  it.live("say so when they cannot be delivered", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const user = db.database.name.slice(0, 20)
      yield* Effect.acquireRelease(
        mysqlQuery(db.database.url, `CREATE USER ${user}@'%' IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1`),
        () => mysqlQuery(db.database.url, `DROP USER ${user}@'%'`)
      )
      yield* mysqlQuery(db.database.url, `GRANT ALL ON ${db.database.name}.* TO ${user}@'%'`)
      const limited = yield* another({ ...db, database: { ...db.database, user, password: "pw" } })
      const running = yield* Effect.fork(Effect.flip(limited.run(endless)))
      yield* runs(limited, endless)
      const error = yield* Effect.flip(limited.cancel)
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "TooManyConnections" })
      limited.connection.destroy()
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "ConnectionError", reason: "Lost", outcome: "Unknown" })
      yield* mysqlQuery(db.database.url, `KILL ${limited.connection.id}`)
    }).pipe(Effect.scoped))

  it.live("are what a statement's limit does, kept by the server", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const started = performance.now()
      const error = yield* Effect.flip(db.run(endless, [], { statementTimeout: 150 }))
      expect(error).toMatchObject({
        _tag: "TimeoutError",
        phase: "Statement",
        limitMillis: 150,
        outcome: "RolledBack",
        code: "1969",
        statement: endless
      })
      expect(performance.now() - started).toBeLessThan(3000)
      // The limit was that statement's alone.
      const limits = "SELECT @@max_statement_time AS n, @@innodb_lock_wait_timeout AS r, @@lock_wait_timeout AS t"
      const before = yield* db.run(limits)
      expect(before[0].n).toBe(0)
      expect(yield* db.run(limits, [], { statementTimeout: 2500, lockTimeout: 2100 })).toEqual([{ n: 2.5, r: 3, t: 3 }])
      expect(yield* db.run(limits)).toEqual(before)
      expect(db.connection.dirty).toBe(false)
    }).pipe(Effect.scoped))
})

describeMariadb("MySQL's limits for what is no SELECT", () => {
  it.live("are kept by the driver, since MySQL itself keeps them for SELECT only", () =>
    Effect.gen(function*() {
      const database = yield* freshMysqlDatabase
      const config = configFor(database)
      const open = openLink(config, config.hosts[0]!, undefined)
      const link = yield* open
      const connection = new MysqlConnection({
        config,
        host: config.hosts[0]!,
        where: "the server",
        link: open,
        within: (effect) => effect
      }, link)
      yield* call<void>((done) => connection.setUp(done))
      // From here on MariaDB is taken for MySQL, with a limit that has been set already.
      Object.assign(link, { mariadb: false })
      Object.assign(connection.facts!.limits, { statement: 200 })
      const error = yield* Effect.flip(call((done) => connection.execute(request(endless), done)))
      expect(error).toMatchObject({
        _tag: "TimeoutError",
        phase: "Statement",
        limitMillis: 200,
        outcome: "RolledBack",
        code: "1317"
      })
      yield* call((done) => connection.execute(request("SELECT 1"), done))
      yield* call<void>((done) => connection.close(done))
    }).pipe(Effect.scoped))
})

describeMariadb("MySQL streams", () => {
  const rowsOf = (db: Handle, count: number) =>
    db.cursor(`SELECT seq AS n, REPEAT('x', 1000) AS x FROM seq_1_to_${count}`)

  it.live("come in order, in the sizes asked for", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* rowsOf(db, 1000)
      const seen: Array<number> = []
      for (;;) {
        const { done, rows } = yield* call<{ readonly rows: ReadonlyArray<any>; readonly done: boolean }>((reply) =>
          cursor.fetch(64, reply)
        )
        expect(rows.length).toBeLessThanOrEqual(64)
        seen.push(...rows.map((row) => row.n))
        if (done) break
      }
      expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
      yield* call<void>((done) => cursor.close(done))
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("hold the server back until they are read", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* rowsOf(db, 100_000)
      yield* call((done) => cursor.fetch(10, done))
      // Time enough to send all 100 MB, if nothing held it back.
      yield* mysqlQuery(db.database.url, "DO SLEEP(2)")
      expect((yield* processOf(db, db.connection.id))[0]!["c"]).not.toBe("Sleep")
      yield* call<void>((done) => cursor.close(done))
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("that are closed early leave the connection free, soon and without their transaction's end", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("START TRANSACTION")
      const cursor = yield* db.cursor("SELECT a.seq AS n FROM seq_1_to_100000 a JOIN seq_1_to_100000 b")
      yield* call((done) => cursor.fetch(10, done))
      const started = performance.now()
      yield* call<void>((done) => cursor.close(done))
      expect(performance.now() - started).toBeLessThan(5000)
      yield* call<void>((done) => cursor.close(done))
      expect(db.connection.transaction).toBe("open")
      for (let i = 0; i < 20; i++) expect(yield* db.run("SELECT ? AS v", [i])).toEqual([{ v: i }])
      yield* db.run("COMMIT")
    }).pipe(Effect.scoped))

  it.live("can be stopped between fetches, and say so at the next one", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* db.cursor("SELECT a.seq AS n FROM seq_1_to_100000 a JOIN seq_1_to_100000 b")
      yield* call((done) => cursor.fetch(10, done))
      yield* db.cancel
      const error = yield* Effect.flip(call((done) => cursor.fetch(10, done)))
      expect(error).toMatchObject({ _tag: "QueryError", code: "1317" })
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("can be stopped before their first row", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const opening = yield* Effect.fork(Effect.flip(db.cursor(endless)))
      yield* runs(db, endless)
      yield* db.cancel
      expect(yield* Fiber.join(opening)).toMatchObject({ _tag: "QueryError", code: "1317" })
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("end with the error of a statement that fails on its way, or at once", () =>
    Effect.gen(function*() {
      const db = yield* open()
      expect(yield* Effect.flip(db.cursor("SELECT * FROM nowhere"))).toMatchObject({ reason: "UndefinedObject" })
      yield* db.script("CREATE TABLE t (a INT)")
      const empty = yield* db.cursor("SELECT * FROM t")
      expect(yield* call((done) => empty.fetch(5, done))).toEqual({ rows: [], done: true })
      const none = yield* db.cursor("INSERT INTO t VALUES (?)", [1])
      expect(yield* call((done) => none.fetch(5, done))).toEqual({ rows: [], done: true })
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
    }).pipe(Effect.scoped))

  it.live("that are lost on their way fail, and do not hang", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* rowsOf(db, 200_000)
      yield* call((done) => cursor.fetch(10, done))
      yield* mysqlQuery(db.database.url, `KILL ${db.connection.id}`)
      const readOn: Effect.Effect<never, unknown> = Effect.forever(call((done) => cursor.fetch(1000, done)))
      const error = yield* Effect.flip(readOn)
      expect(error).toMatchObject({ _tag: "ConnectionError" })
      expect(db.connection.lost).toBe(true)
    }).pipe(Effect.scoped))
})
