import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect } from "vitest"
import type { Cursor } from "../../../src/driver/Driver.js"
import { describeMssql, describeStandIn, mssqlQuery, type StandIn } from "../../kit/mssql.js"
import { eventually } from "../../kit/postgres.js"
import { another, call, type Handle, open, openStandIn } from "./harness.js"

const endless = "WAITFOR DELAY '01:00:00'"
const manyRows =
  "WITH s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 100000000) SELECT x FROM s OPTION (MAXRECURSION 0)"

/** What the server says of a connection's request: none, that it runs, or that another holds it up. */
const state = (db: Handle) =>
  Effect.map(
    mssqlQuery(
      db.database,
      `SELECT blocking_session_id AS b FROM sys.dm_exec_requests WHERE session_id = ${db.connection.id}`
    ),
    ([row]) => row === undefined ? "none" : Number(row["b"]) === 0 ? "runs" : "waits"
  )

/** Until the server runs what a connection has sent. */
const runs = (db: Handle) => eventually(state(db), (is) => is === "runs")

/** Until another connection holds it up. */
const waits = (db: Handle) => eventually(state(db), (is) => is === "waits")

/** Until nothing of a connection runs any more. */
const rests = (db: Handle) => eventually(state(db), (is) => is === "none")

const attentions = ({ database }: Handle<StandIn>) => database.server.log.filter(({ kind }) => kind === "attention")

const fetch = (cursor: Cursor, count: number) =>
  call<{ readonly rows: ReadonlyArray<unknown>; readonly done: boolean }>((done) => cursor.fetch(count, done))
const close = (cursor: Cursor) => call<void>((done) => cursor.close(done))

describeMssql("SQL Server cancels", () => {
  it.live("stop what runs by an attention, and leave the transaction as it was", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT)")
      yield* db.run("BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (1)")
      for (const text of [endless, manyRows]) {
        const running = yield* Effect.fork(Effect.flip(db.run(text)))
        yield* runs(db)
        yield* db.cancel
        expect(yield* Fiber.join(running)).toMatchObject({
          _tag: "QueryError",
          reason: "Unknown",
          outcome: "RolledBack"
        })
        expect(db.connection.transaction).toBe("open")
        // The acknowledgement has come: nothing is under way.
        expect(yield* state(db)).toBe("none")
        expect(yield* db.run("SELECT @@TRANCOUNT AS n")).toEqual([{ n: 1 }])
      }
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
      yield* db.run("COMMIT TRANSACTION")
    }).pipe(Effect.scoped))

  it.live("say that it is not known what became of a write without a transaction", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT)")
      const text = `INSERT INTO t VALUES (1); ${endless}`
      const running = yield* Effect.fork(Effect.flip(db.run(text)))
      yield* runs(db)
      yield* db.cancel
      expect(yield* Fiber.join(running)).toMatchObject({ outcome: "Unknown" })
      // Rightly so: the first statement stays.
      expect(yield* db.run("SELECT * FROM t")).toEqual([{ a: 1 }])
    }).pipe(Effect.scoped))

  it.live("stop a wait for a lock", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a)
      yield* a.run("CREATE TABLE t (a INT PRIMARY KEY)")
      yield* a.run("BEGIN TRANSACTION")
      yield* a.run("INSERT INTO t VALUES (1)")
      yield* b.run("BEGIN TRANSACTION")
      // The same key: the server locks rows, and the stand-in everything.
      const running = yield* Effect.fork(Effect.flip(b.run("INSERT INTO t VALUES (1)")))
      yield* waits(b)
      yield* b.cancel
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "QueryError", outcome: "RolledBack" })
      yield* a.run("COMMIT TRANSACTION")
      expect(b.connection.transaction).toBe("open")
      yield* b.run("INSERT INTO t VALUES (3)")
      yield* b.run("COMMIT TRANSACTION")
      expect(yield* a.run("SELECT * FROM t ORDER BY a")).toEqual([{ a: 1 }, { a: 3 }])
    }).pipe(Effect.scoped))

  it.live("never hit a later statement", () =>
    Effect.gen(function*() {
      const db = yield* open()
      let stopped = 0
      for (let i = 0; i < 300; i++) {
        const running = yield* Effect.fork(Effect.either(db.run("SELECT @1 AS v, REPLICATE(@2, 4000) AS w", [i, "x"])))
        for (let turn = 0; turn < i % 12; turn++) {
          yield* Effect.async<void>((done) => void setImmediate(() => done(Effect.void)))
        }
        yield* db.cancel
        if ((yield* Fiber.join(running))._tag === "Left") stopped++
        expect(yield* db.run("SELECT @1 AS v", [i])).toEqual([{ v: i }])
      }
      expect(stopped).toBeGreaterThan(0)
      expect(stopped).toBeLessThan(300)
    }).pipe(Effect.scoped), 60_000)

  it.live("settle at whatever moment they come", () =>
    Effect.gen(function*() {
      const db = yield* open()
      for (let moment = 0; moment < 60; moment++) {
        const running = yield* Effect.fork(Effect.flip(db.run(endless)))
        yield* Effect.repeatN(Effect.yieldNow(), moment % 20)
        // From the first packet on its way to the server's first look at the text.
        for (let turn = 0; turn < moment / 20; turn++) {
          yield* Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
        }
        yield* db.cancel
        expect(yield* Fiber.join(running)).toMatchObject({ _tag: "QueryError", reason: "Unknown" })
      }
      expect(yield* db.run("SELECT 1 AS one")).toEqual([{ one: 1 }])
    }).pipe(Effect.scoped))

  it.live("of nothing are nothing, and several are one", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* Effect.all([db.cancel, db.cancel], { concurrency: "unbounded" })
      const running = yield* Effect.fork(Effect.flip(db.run(endless)))
      yield* runs(db)
      yield* Effect.all([db.cancel, db.cancel, db.cancel], { concurrency: "unbounded" })
      yield* Fiber.join(running)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("are what a statement's limit does", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const error = yield* Effect.flip(db.run(endless, [], { statementTimeout: 100 }))
      expect(error).toMatchObject({ _tag: "TimeoutError", phase: "Statement", limitMillis: 100, statement: endless })
      yield* rests(db)
      expect(yield* db.run("SELECT 1 AS n", [], { statementTimeout: 100 })).toEqual([{ n: 1 }])
      yield* db.run("BEGIN TRANSACTION")
      expect(yield* Effect.flip(db.run(endless, [], { statementTimeout: 50 }))).toMatchObject({ outcome: "RolledBack" })
      expect(db.connection.transaction).toBe("open")
      yield* db.run("ROLLBACK TRANSACTION")
    }).pipe(Effect.scoped))

  it.live("reach a wait for a lock by the server's own limit", () =>
    Effect.gen(function*() {
      const a = yield* open()
      const b = yield* another(a)
      yield* a.run("CREATE TABLE t (a INT PRIMARY KEY)")
      yield* a.run("BEGIN TRANSACTION")
      yield* a.run("INSERT INTO t VALUES (1)")
      yield* b.run("BEGIN TRANSACTION")
      expect(yield* Effect.flip(b.run("INSERT INTO t VALUES (1)", [], { lockTimeout: 50 }))).toMatchObject({
        _tag: "TimeoutError",
        phase: "Lock",
        limitMillis: 50,
        code: "1222",
        outcome: "RolledBack"
      })
      expect(b.connection.transaction).toBe("open")
      yield* a.run("ROLLBACK TRANSACTION")
      yield* b.run("INSERT INTO t VALUES (2)")
    }).pipe(Effect.scoped))
})

describeMssql("SQL Server streams", () => {
  it.live("give rows as they are asked for, all of them, in order", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* db.cursor(
        "WITH s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < @1) SELECT x FROM s OPTION (MAXRECURSION 0)",
        [10_000]
      )
      expect(cursor.interleaves).toBe(false)
      const seen: Array<unknown> = []
      for (;;) {
        const { done, rows } = yield* fetch(cursor, 128)
        seen.push(...rows)
        if (done) break
        expect(rows).toHaveLength(128)
      }
      expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => ({ x: i + 1 })))
      yield* close(cursor)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("that are closed early stop the statement, and keep the transaction", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.run("CREATE TABLE t (a INT)")
      yield* db.run("BEGIN TRANSACTION")
      yield* db.run("INSERT INTO t VALUES (1)")
      const cursor = yield* db.cursor(manyRows)
      yield* fetch(cursor, 10)
      yield* close(cursor)
      yield* close(cursor)
      expect(db.connection.transaction).toBe("open")
      // What is left of few rows is read instead.
      const few = yield* db.cursor("SELECT a FROM t")
      yield* close(few)
      yield* db.run("COMMIT TRANSACTION")
    }).pipe(Effect.scoped))

  it.live("that are cancelled fail, at once or at the next fetch", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* db.cursor(manyRows)
      yield* fetch(cursor, 10)
      yield* db.cancel
      const error = yield* Effect.flip(Effect.gen(function*() {
        while (!(yield* fetch(cursor, 1000)).done);
      }))
      expect(error).toMatchObject({ _tag: "QueryError", reason: "Unknown" })
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("fail typed, before their first row or behind some", () =>
    Effect.gen(function*() {
      const db = yield* open()
      expect(yield* Effect.flip(db.cursor("SELECT * FROM nowhere"))).toMatchObject({ reason: "UndefinedObject" })
      const cursor = yield* db.cursor(
        "SELECT 6 / x AS n FROM (VALUES (3), (2), (1), (0)) AS v (x)"
      )
      expect((yield* fetch(cursor, 2)).rows).toEqual([{ n: 2 }, { n: 3 }])
      const rest = yield* Effect.flip(Effect.gen(function*() {
        while (!(yield* fetch(cursor, 1)).done);
      }))
      expect(rest).toMatchObject({ reason: "DataError", code: "8134" })
      const none = yield* db.cursor("CREATE TABLE t (a INT)")
      expect(yield* fetch(none, 1)).toEqual({ rows: [], done: true })
    }).pipe(Effect.scoped))

  it.live("whose link breaks fail, and do not hang", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const cursor = yield* db.cursor(manyRows)
      yield* fetch(cursor, 10)
      yield* mssqlQuery(db.database, `KILL ${db.connection.id}`)
      const error = yield* Effect.flip(Effect.gen(function*() {
        while (!(yield* fetch(cursor, 100_000)).done);
      }))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
      expect(db.connection.lost).toBe(true)
    }).pipe(Effect.scoped))
})

describeStandIn("SQL Server cancels, seen by the server", () => {
  it.live("are one attention each, several at a time one together, and none where nothing is left to stop", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      yield* Effect.all([db.cancel, db.cancel], { concurrency: "unbounded" })
      expect(attentions(db)).toEqual([])
      for (let count = 1; count <= 2; count++) {
        const running = yield* Effect.fork(Effect.flip(db.run(endless)))
        yield* runs(db)
        yield* Effect.all([db.cancel, db.cancel, db.cancel], { concurrency: "unbounded" })
        yield* Fiber.join(running)
        expect(attentions(db)).toHaveLength(count)
        expect(db.database.server.sessions()).toMatchObject([{ running: undefined }])
      }
      const cursor = yield* db.cursor(manyRows)
      yield* fetch(cursor, 10)
      yield* close(cursor)
      const few = yield* db.cursor("SELECT 1 AS n")
      yield* close(few)
      expect(attentions(db)).toHaveLength(3)
    }).pipe(Effect.scoped))

  it.live("that the server does not acknowledge lose the connection", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      db.database.server.faults.push({ when: "INSERT", action: "hang" })
      const running = yield* Effect.fork(Effect.flip(db.run("INSERT INTO t VALUES (1)")))
      yield* eventually(Effect.sync(() => db.database.server.log), (log) =>
        log.some(({ text }) => text.startsWith("INSERT")))
      const started = performance.now()
      yield* db.cancel
      expect(performance.now() - started).toBeGreaterThan(4500)
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "ConnectionError", reason: "Lost", outcome: "Unknown" })
      expect(db.connection.lost).toBe(true)
    }).pipe(Effect.scoped), 20_000)

  it.live("hold the server back while no rows are pulled", () =>
    Effect.gen(function*() {
      const db = yield* openStandIn()
      const cursor = yield* db.cursor(
        "WITH s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 10000000) SELECT x, REPLICATE('x', 8000) AS w FROM s OPTION (MAXRECURSION 0)"
      )
      expect((yield* fetch(cursor, 3)).rows).toHaveLength(3)
      // Until the server has sent nothing more for a while.
      let last = -1
      let still = 0
      const stalled = Effect.sync(() => {
        const { rowsSent } = db.database.server.sessions()[0]!
        still = rowsSent === last ? still + 1 : 0
        last = rowsSent
        return still
      })
      yield* eventually(stalled, (turns) => turns >= 10)
      expect(last).toBeLessThan(10_000)
      expect(db.database.server.sessions()).toMatchObject([{ running: expect.stringContaining("REPLICATE") }])
      yield* close(cursor)
      yield* rests(db)
      expect(yield* db.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))
})
