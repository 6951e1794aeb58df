import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect } from "vitest"
import type { ConnectionError } from "../../../src/DbError.js"
import {
  describeMariadb,
  describePrivateMysql,
  freshMysqlDatabase,
  freshMysqlDatabaseAt,
  mysqlQuery,
  privateMysql
} from "../../kit/mysql.js"
import { eventually } from "../../kit/postgres.js"
import { call, configFor, type Handle, open, openFails, openWith, request } from "./harness.js"
import { makeRelay } from "./relay.js"

/** A connection by way of a relay, with a table. */
const relayed = Effect.gen(function*() {
  const database = yield* freshMysqlDatabase
  yield* mysqlQuery(database.url, "CREATE TABLE t (a INT) ENGINE=InnoDB")
  const relay = yield* makeRelay(database.host, database.port)
  const db = yield* openWith(configFor(database, { hosts: [{ host: "127.0.0.1", port: relay.port }] }), database)
  return { database, relay, db }
})

const rowsIn = (db: Handle) =>
  Effect.map(mysqlQuery(db.database.url, "SELECT COUNT(*) AS n FROM t"), (rows) => rows[0]!["n"])

const lossOf = (db: Handle) =>
  Effect.async<ConnectionError>((resume) => {
    db.connection.onLost = (error) => resume(Effect.succeed(error))
  })

const marker = "/* here */"

describeMariadb("A lost MySQL connection", () => {
  it.live("is known to be lost when it was lost behind a cancel, before anything else is sent on it", () =>
    Effect.gen(function*() {
      const { db, relay } = yield* relayed
      yield* db.run("SELECT 1 AS prepared")
      const running = yield* Effect.fork(Effect.exit(db.run(`SELECT SLEEP(10) ${marker}`)))
      yield* eventually(
        mysqlQuery(db.database.url, "SELECT COMMAND AS c FROM information_schema.processlist WHERE ID = ?", [
          db.connection.id
        ]),
        ([row]) => row?.["c"] === "Execute"
      )
      // The ping behind it, whose answer shows that no cancel is under way any more.
      relay.cutAt("\u0001\0\0\0\u000e", "before")
      const next = yield* Effect.async<unknown>((resume) => {
        db.connection.cancel(() => {
          try {
            db.connection.execute(request("SELECT 1 AS prepared"), (error) => resume(Effect.succeed(error)))
          } catch (cause) {
            resume(Effect.die(cause))
          }
        })
      })
      expect(next).toMatchObject({ _tag: "ConnectionError", reason: "Lost", outcome: "NotSent" })
      yield* Fiber.join(running)
    }).pipe(Effect.scoped))

  it.live("says what became of the statement", () =>
    Effect.gen(function*() {
      const lose = (when: "before" | "after", transaction: boolean, text: string) =>
        Effect.gen(function*() {
          const { db, relay } = yield* relayed
          if (transaction) {
            yield* db.run("START TRANSACTION")
            yield* db.run("INSERT INTO t VALUES (1)")
          }
          relay.cutAt(marker, when)
          const error = yield* Effect.flip(db.run(`${text} ${marker}`, [], { prepare: false }))
          expect(db.connection.lost).toBe(true)
          return { error, rows: yield* rowsIn(db) }
        }).pipe(Effect.scoped)
      const lost = { _tag: "ConnectionError", reason: "Lost" }

      const write = yield* lose("after", false, "INSERT INTO t VALUES (2)")
      expect(write.error).toMatchObject({ ...lost, outcome: "Unknown" })
      expect(write.rows).toBe(1)
      const unsent = yield* lose("before", false, "INSERT INTO t VALUES (2)")
      expect(unsent.error).toMatchObject({ ...lost, outcome: "Unknown" })
      expect(unsent.rows).toBe(0)

      const within = yield* lose("after", true, "INSERT INTO t VALUES (2)")
      expect(within.error).toMatchObject({ ...lost, outcome: "RolledBack" })
      expect(within.rows).toBe(0)
      // It commits what was written before it.
      const ddl = yield* lose("after", true, "CREATE TABLE u (a INT)")
      expect(ddl.error).toMatchObject({ ...lost, outcome: "Unknown" })
      expect(ddl.rows).toBe(1)

      const committed = yield* lose("after", true, "COMMIT")
      expect(committed.error).toMatchObject({ _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
      expect(committed.rows).toBe(1)
      const uncommitted = yield* lose("before", true, "COMMIT")
      expect(uncommitted.error).toMatchObject({ _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
      expect(uncommitted.rows).toBe(0)

      const rolledBack = yield* lose("after", true, "ROLLBACK")
      expect(rolledBack.error).toMatchObject({ ...lost, outcome: "RolledBack" })
      const begun = yield* lose("after", false, "START TRANSACTION")
      expect(begun.error).toMatchObject({ ...lost, outcome: "NotSent" })
    }).pipe(Effect.scoped))

  it.live("in the preparing of a statement has sent nothing", () =>
    Effect.gen(function*() {
      const { db, relay } = yield* relayed
      relay.cutAt(marker, "after")
      const error = yield* Effect.flip(db.run(`INSERT INTO t VALUES (?) ${marker}`, [1]))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "Lost", outcome: "NotSent" })
      expect(yield* rowsIn(db)).toBe(0)
    }).pipe(Effect.scoped))

  it.live("tells of itself while nothing runs, once", () =>
    Effect.gen(function*() {
      const db = yield* open()
      let losses = 0
      const loss = yield* Effect.fork(lossOf(db))
      yield* Effect.yieldNow()
      const told = db.connection.onLost!
      db.connection.onLost = (error) => {
        losses++
        told(error)
      }
      yield* mysqlQuery(db.database.url, `KILL ${db.connection.id}`)
      expect(yield* Fiber.join(loss)).toMatchObject({ _tag: "ConnectionError" })
      expect(db.connection.lost).toBe(true)
      expect(yield* Effect.flip(db.run("SELECT 1"))).toMatchObject({ reason: "Lost", outcome: "NotSent" })
      expect(yield* Effect.flip(db.reset())).toMatchObject({ reason: "Lost" })
      yield* db.cancel
      db.connection.destroy()
      expect(losses).toBe(1)
    }).pipe(Effect.scoped))

  it.live("that the server kills in a statement is one", () =>
    Effect.gen(function*() {
      const db = yield* open()
      const running = yield* Effect.fork(Effect.flip(db.run("SELECT BENCHMARK(1000000000, SHA1('x'))")))
      yield* eventually(
        mysqlQuery(
          db.database.url,
          "SELECT 1 FROM information_schema.processlist WHERE ID = ? AND INFO LIKE 'SELECT B%'",
          [
            db.connection.id
          ]
        ),
        (rows) => rows.length === 1
      )
      const loss = yield* Effect.fork(lossOf(db))
      yield* mysqlQuery(db.database.url, `KILL ${db.connection.id}`)
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "ConnectionError", outcome: "Unknown" })
      yield* Fiber.join(loss)
      expect(db.connection.lost).toBe(true)
    }).pipe(Effect.scoped))

  it.live("to a server that went silent ends when it is destroyed or closed", () =>
    Effect.gen(function*() {
      const { database, db, relay } = yield* relayed
      const second = yield* openWith(
        configFor(database, {
          hosts: [{ host: "127.0.0.1", port: relay.port }],
          pool: { connectTimeout: 200 }
        }),
        database
      )
      relay.silence()
      const running = yield* Effect.fork(Effect.flip(db.run("INSERT INTO t VALUES (1)")))
      yield* Effect.yieldNow()
      const other = yield* Effect.fork(Effect.flip(second.run("INSERT INTO t VALUES (1)")))
      yield* Effect.yieldNow()
      expect(yield* Effect.flip(second.cancel)).toMatchObject({
        _tag: "TimeoutError",
        phase: "Connect",
        limitMillis: 200
      })
      db.connection.destroy()
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
      const started = performance.now()
      yield* call<void>((done) => second.connection.close(done))
      expect(performance.now() - started).toBeLessThan(3000)
      expect(yield* Fiber.join(other)).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
      yield* eventually(Effect.sync(relay.links), (links) => links === 0)
    }).pipe(Effect.scoped))

  it.live("in the middle of a stream ends the stream", () =>
    Effect.gen(function*() {
      const { db, relay } = yield* relayed
      const cursor = yield* db.cursor("SELECT seq FROM seq_1_to_1000000")
      yield* call((done) => cursor.fetch(10, done))
      relay.cut()
      const readOn: Effect.Effect<never, unknown> = Effect.forever(call((done) => cursor.fetch(1000, done)))
      expect(yield* Effect.flip(readOn)).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
      yield* call<void>((done) => cursor.close(done))
    }).pipe(Effect.scoped))
})

describePrivateMysql("A MySQL server that restarts", () => {
  it.live("ends its connections and takes new ones", () =>
    Effect.gen(function*() {
      const server = yield* privateMysql({ tls: false })
      const database = yield* freshMysqlDatabaseAt(server.url)
      const db = yield* openWith(configFor(database), database)
      const loss = yield* Effect.fork(lossOf(db))
      yield* Effect.yieldNow()
      yield* Effect.promise(server.kill)
      expect(yield* Fiber.join(loss)).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
      expect(yield* openFails(configFor(database), database)).toMatchObject({ reason: "Refused" })
      yield* Effect.promise(server.start)
      const again = yield* openWith(configFor(database), database)
      expect(yield* again.run("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))
})
