import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ConnectionError, TimeoutError } from "../../../src/DbError.js"
import type { DbError, QueryError } from "../../../src/DbError.js"
import type { Connection, Request } from "../../../src/driver/Driver.js"
import { describePostgres, eventually, freshDatabase, observer, query } from "../../kit/postgres.js"
import { afterStatement, beforeReply, beforeStatement, makeProxy } from "../../kit/proxy.js"
import {
  close,
  connected,
  driverAt,
  execute,
  fetch,
  openCursor,
  opened,
  ping,
  request,
  reset,
  value
} from "./fixture.js"

const reasonOf = (error: DbError) => [error._tag, error.reason, error.outcome] as const

/** A connection through a proxy, and a second look at the same database. */
const proxied = Effect.gen(function*() {
  const database = yield* freshDatabase
  const proxy = yield* makeProxy({ host: database.host, port: database.port })
  const driver = yield* driverAt(proxy.url(database.url), { ssl: "disable" })
  const connection = yield* Effect.orDie(opened(driver))
  const ask = yield* observer(database.url)
  return { database, proxy, driver, connection, ask }
})

const table = (connection: Connection) => execute(connection, "CREATE TABLE t (id int4 PRIMARY KEY, v text NOT NULL)")

describePostgres("a connection to PostgreSQL", () => {
  it.scoped("a statement is parsed once and then takes one round trip and one Bind", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      yield* execute(connection, "SELECT $1::int4 AS a", [1])
      proxy.resetCounts()
      for (let i = 0; i < 10; i++) {
        assert.deepStrictEqual(yield* execute(connection, "SELECT $1::int4 AS a", [i]), [{ a: i }])
      }
      const counts = proxy.counts()
      assert.deepStrictEqual(counts.messages.frontend, { B: 10, E: 10, S: 10 })
      assert.strictEqual(counts.roundTrips, 10)
    }))

  it.scoped("no more statements are kept than prepareCacheSize, the least recently used goes first", () =>
    Effect.gen(function*() {
      const connection = yield* connected({ prepareCacheSize: 3 })
      const names = () =>
        Effect.map(
          execute(connection, "SELECT statement FROM pg_prepared_statements", [], { prepare: false }),
          (rows) => rows.map((row: any) => row.statement).sort()
        )
      for (const n of [1, 2, 3, 1, 4]) yield* execute(connection, `SELECT ${n}, $1::int4`, [n])
      // The Close of what was pushed out travels with the next name.
      yield* execute(connection, "SELECT 5, $1::int4", [5])
      yield* execute(connection, "SELECT 6, $1::int4", [6])
      const kept = yield* names()
      assert.isAtMost(kept.length, 4)
      assert.includeMembers(kept, ["SELECT 4, $1::int4", "SELECT 5, $1::int4", "SELECT 6, $1::int4"])
      for (let i = 0; i < 50; i++) yield* execute(connection, `SELECT ${i}, $1::int4`, [i])
      assert.isAtMost((yield* names()).length, 4)
    }))

  it.scoped("long texts do not pile up on the server", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      for (let i = 0; i < 30; i++) {
        const text = `SELECT $1::int4 /* ${i} ${"x".repeat(40_000)} */`
        assert.strictEqual(yield* value(connection, text, [i]), i)
      }
      const [kept] = yield* execute(
        connection,
        "SELECT sum(length(statement))::int4 AS n FROM pg_prepared_statements",
        [],
        { prepare: false }
      )
      assert.isBelow(kept.n, 600_000)
      assert.isAbove(kept.n, 100_000)
    }))

  for (const options of [{ prepare: false }, { prepareCacheSize: 0 }]) {
    it.scoped(`nothing is named with ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const connection = yield* connected(options)
        for (let i = 0; i < 3; i++) {
          assert.strictEqual(yield* value(connection, "SELECT $1::int4", [i]), i)
          assert.strictEqual(yield* value(connection, "SELECT 1", [], { begin: "BEGIN" }), 1)
          assert.strictEqual(yield* value(connection, "SELECT $1::int4", [i], { statementTimeout: 1000 }), i)
          yield* reset(connection)
        }
        assert.strictEqual(yield* value(connection, "SELECT count(*)::int4 FROM pg_prepared_statements"), 0)
      }))
  }

  it.scoped("a changed table does not break a prepared statement outside a transaction; inside, it can be retried", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* proxied
      yield* table(connection)
      yield* execute(connection, "INSERT INTO t VALUES (1, 'a')")
      const all = "SELECT * FROM t"
      assert.deepStrictEqual(yield* execute(connection, all), [{ id: 1, v: "a" }])
      yield* ask("ALTER TABLE t ADD COLUMN w int4 DEFAULT 7")
      assert.deepStrictEqual(yield* execute(connection, all), [{ id: 1, v: "a", w: 7 }])

      yield* ask("ALTER TABLE t RENAME COLUMN w TO x")
      assert.deepStrictEqual(yield* execute(connection, all, [], { begin: "BEGIN" }), [{ id: 1, v: "a", x: 7 }])
      assert.strictEqual(connection.transaction, "open")
      yield* execute(connection, "COMMIT")

      yield* execute(connection, "BEGIN")
      yield* ask("ALTER TABLE t DROP COLUMN x")
      const error = yield* Effect.flip(execute(connection, all))
      assert.deepStrictEqual(reasonOf(error), ["QueryError", "Serialization", "RolledBack"])
      assert.isTrue(error.isTransient)
      yield* execute(connection, "ROLLBACK")
      assert.deepStrictEqual(yield* execute(connection, all), [{ id: 1, v: "a" }])
    }))

  const columnOf = (type: string) => `DROP TABLE IF EXISTS c; CREATE TABLE c (a ${type}, b int4)`
  const insert = "INSERT INTO c (a, b) VALUES ($1, 1)"

  it.scoped("a column that changed its type: statements take the new one, before and after, in a transaction and out", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* proxied
      const rows = () => execute(connection, "SELECT a FROM c")
      yield* execute(connection, columnOf("int4"))
      yield* execute(connection, insert, [1])
      assert.deepStrictEqual(yield* rows(), [{ a: 1 }])
      // By this connection: it knows, and prepares anew.
      yield* execute(connection, columnOf("text"))
      yield* execute(connection, "BEGIN")
      yield* execute(connection, insert, ["abc"])
      assert.deepStrictEqual(yield* rows(), [{ a: "abc" }])
      yield* execute(connection, "COMMIT")
      // By another session: outside a transaction what was refused before it ran is run again.
      yield* ask(columnOf("bool"))
      yield* execute(connection, insert, [true])
      assert.deepStrictEqual(yield* rows(), [{ a: true }])
      yield* ask(columnOf("text[]"))
      yield* execute(connection, insert, [["x"]], { begin: "BEGIN" })
      assert.strictEqual(connection.transaction, "open")
      yield* execute(connection, "COMMIT")
      assert.deepStrictEqual(yield* rows(), [{ a: ["x"] }])
      // A value that does not fit is refused as ever, and the statement stays usable.
      yield* ask(columnOf("int4"))
      assert.deepStrictEqual(reasonOf(yield* Effect.flip(execute(connection, insert, ["no number"]))), [
        "QueryError",
        "DataError",
        "NotSent"
      ])
      yield* execute(connection, insert, [7])
      assert.deepStrictEqual(yield* rows(), [{ a: 7 }])
    }))

  it.scoped("a column changed by another session, in a transaction: the error says so, and the next run is right", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* proxied
      const attempt = (value: unknown) =>
        Effect.gen(function*() {
          yield* execute(connection, "BEGIN")
          const result = yield* Effect.either(execute(connection, insert, [value]))
          yield* execute(connection, result._tag === "Left" ? "ROLLBACK" : "COMMIT")
          return yield* result
        })
      yield* ask(columnOf("int4"))
      yield* attempt(1)
      yield* ask(columnOf("date"))
      const clash = yield* Effect.flip(attempt(2))
      assert.deepInclude(clash, { reason: "Serialization", code: "42804", outcome: "RolledBack", isTransient: true })
      yield* attempt("2020-02-29")
      yield* ask(columnOf("text"))
      const doubtful = yield* Effect.flip(attempt("abc"))
      assert.deepInclude(doubtful, { reason: "DataError", code: "22007", outcome: "RolledBack", isTransient: false })
      assert.include((doubtful as QueryError).hint, "prepared anew")
      yield* attempt("abc")
      yield* ask("DROP TABLE c")
      assert.deepInclude(yield* Effect.flip(attempt("abc")), { reason: "UndefinedObject", isTransient: false })
    }))

  it.scoped("DDL between two runs of a statement, in one transaction, and rolled back again", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      const all = "SELECT * FROM d"
      yield* execute(connection, "CREATE TABLE d (a int4); INSERT INTO d VALUES (1)")
      yield* execute(connection, "BEGIN")
      assert.deepStrictEqual(yield* execute(connection, all), [{ a: 1 }])
      yield* execute(connection, "ALTER TABLE d ADD COLUMN b int4 DEFAULT 2")
      assert.deepStrictEqual(yield* execute(connection, all), [{ a: 1, b: 2 }])
      yield* execute(connection, "SAVEPOINT s")
      yield* execute(connection, "DO $$ BEGIN ALTER TABLE d DROP COLUMN b; END $$")
      assert.deepStrictEqual(yield* execute(connection, all), [{ a: 1 }])
      yield* execute(connection, "ROLLBACK TO s")
      assert.deepStrictEqual(yield* execute(connection, all), [{ a: 1, b: 2 }])
      yield* execute(connection, "ROLLBACK")
      yield* execute(connection, "BEGIN")
      assert.deepStrictEqual(yield* execute(connection, all), [{ a: 1 }])
      yield* execute(connection, "COMMIT")
      assert.isAtMost(
        yield* value(connection, "SELECT count(*)::int4 FROM pg_prepared_statements WHERE statement LIKE '%FROM d'"),
        1
      )
    }))

  it.scoped("DDL by a function of the transaction's own is not retried in vain", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* execute(
        connection,
        "CREATE TABLE d (a int4); CREATE FUNCTION widen() RETURNS int AS " +
          "$$ BEGIN ALTER TABLE d ADD COLUMN b int4; RETURN 1; END $$ LANGUAGE plpgsql"
      )
      const error = yield* Effect.flip(Effect.gen(function*() {
        yield* execute(connection, "BEGIN")
        yield* execute(connection, "SELECT * FROM d")
        yield* execute(connection, "SELECT widen()")
        yield* execute(connection, "SELECT * FROM d")
      }))
      assert.deepInclude(error, { reason: "Unknown", code: "0A000", outcome: "RolledBack", isTransient: false })
      assert.include((error as QueryError).hint, "unprepared")
    }))

  it.scoped("cursors of a statement that went stale begin again, too", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* proxied
      yield* ask("CREATE TABLE d (a int4); INSERT INTO d SELECT generate_series(1, 5)")
      const all = "SELECT * FROM d"
      const read = (begin?: string) =>
        Effect.gen(function*() {
          const cursor = yield* openCursor(connection, all, [], { begin })
          const first = yield* fetch(cursor, 2)
          const second = yield* fetch(cursor, 9)
          return [first.rows[0], first.rows.length + second.rows.length]
        })
      assert.deepStrictEqual(yield* read(), [{ a: 1 }, 5])
      yield* execute(connection, all)
      yield* ask("ALTER TABLE d ADD COLUMN b int4")
      assert.deepStrictEqual(yield* read(), [{ a: 1, b: null }, 5])
      yield* ask("ALTER TABLE d ADD COLUMN c int4")
      assert.deepStrictEqual(yield* read("BEGIN"), [{ a: 1, b: null, c: null }, 5])
      yield* execute(connection, "COMMIT")
    }))

  it.scoped("prepared statements that were removed are prepared again", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* execute(connection, "SELECT $1::int4", [1])
      yield* execute(connection, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
      assert.strictEqual(yield* value(connection, "SELECT $1::int4", [2]), 2)
      yield* execute(connection, "DEALLOCATE ALL")
      assert.strictEqual(yield* value(connection, "SELECT $1::int4", [3]), 3)
      yield* execute(connection, "SELECT $1::int4", [4], { begin: "BEGIN" })
      yield* execute(connection, "DEALLOCATE ALL")
      assert.strictEqual(yield* value(connection, "SELECT $1::int4", [5]), 5, "in a transaction too")
      yield* execute(connection, "ROLLBACK")
      yield* execute(connection, "DISCARD ALL")
      assert.strictEqual(yield* value(connection, "SELECT $1::int4", [4], { begin: "BEGIN" }), 4)
    }))

  it.scoped("a text with several statements gives an array of rows each, and a semicolon at the end none more", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      assert.deepStrictEqual(
        yield* execute(connection, "CREATE TABLE u (a int4); INSERT INTO u VALUES (1); SELECT a FROM u"),
        [[], [], [{ a: 1 }]]
      )
      assert.deepStrictEqual(yield* execute(connection, "SELECT 1 AS a;"), [{ a: 1 }])
      assert.deepStrictEqual(yield* execute(connection, "SELECT ';' AS a; -- ; nothing"), [{ a: ";" }])
      assert.deepStrictEqual(yield* execute(connection, ""), [])
      assert.deepStrictEqual(yield* execute(connection, "-- nothing", [], { prepare: false }), [])
      const error = yield* Effect.flip(execute(connection, "SELECT $1::int4; SELECT 2", [1]))
      assert.deepStrictEqual(reasonOf(error), ["QueryError", "SqlSyntax", "NotSent"])
      assert.include(error.message, "by Db.batch")
    }))

  it.scoped("BEGIN travels with the first statement, in one round trip", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      yield* execute(connection, "SELECT 1", [], { begin: "BEGIN ISOLATION LEVEL SERIALIZABLE" })
      yield* execute(connection, "COMMIT")
      proxy.resetCounts()
      assert.strictEqual(
        yield* value(connection, "SHOW transaction_isolation", [], { begin: "BEGIN ISOLATION LEVEL SERIALIZABLE" }),
        "serializable"
      )
      assert.strictEqual(connection.transaction, "open")
      assert.strictEqual(proxy.counts().roundTrips, 1)
    }))

  it.scoped("when BEGIN fails its statement does not run, by either protocol", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* table(connection)
      for (
        const insert of [
          "INSERT INTO t VALUES (1, 'a')",
          "INSERT INTO t VALUES (2, 'a'); INSERT INTO t VALUES (3, 'a')"
        ]
      ) {
        const error = yield* Effect.flip(execute(connection, insert, [], { begin: "BEGIN ISOLATION LEVEL NONSENSE" }))
        assert.deepStrictEqual(reasonOf(error)[1], "SqlSyntax")
        assert.include(["NotSent", "RolledBack"], error.outcome)
        assert.strictEqual(connection.transaction, "idle")
      }
      assert.deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
      const wrong = yield* Effect.flip(execute(connection, "SELEC", [], { begin: "BEGIN" }))
      assert.strictEqual(wrong.outcome, "RolledBack", "the transaction had begun")
      yield* execute(connection, "ROLLBACK")
      // And by the simple protocol BEGIN is there before the statements.
      yield* execute(connection, "INSERT INTO t VALUES (2, 'a'); INSERT INTO t VALUES (3, 'a')", [], { begin: "BEGIN" })
      assert.strictEqual(connection.transaction, "open")
      yield* execute(connection, "ROLLBACK")
      assert.deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  it.scoped("errors carry what the server said, and never a parameter's value in the message", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* execute(connection, "CREATE TABLE p (id int4 PRIMARY KEY)")
      yield* execute(
        connection,
        "CREATE TABLE c (id int4 CONSTRAINT c_small CHECK (id < 100), p int4 NOT NULL CONSTRAINT c_p REFERENCES p)"
      )
      yield* execute(connection, "CREATE UNIQUE INDEX c_id ON c (id)")
      yield* execute(connection, "INSERT INTO p VALUES (1)")
      const insert = "INSERT INTO c VALUES ($1, $2)"
      yield* execute(connection, insert, [1, 1])
      const fails = (params: ReadonlyArray<unknown>) =>
        Effect.flip(execute(connection, insert, params)) as Effect.Effect<QueryError, unknown>
      const unique = yield* fails([1, 1])
      assert.deepStrictEqual([unique.reason, unique.constraint, unique.code], ["UniqueViolation", "c_id", "23505"])
      assert.deepStrictEqual([unique.table, unique.schema, unique.statement], ["c", "public", insert])
      assert.include(unique.detail!, "(id)=(1)")
      assert.include(unique.message, "c_id")
      const foreign = yield* fails([2, 77777])
      assert.deepStrictEqual([foreign.reason, foreign.constraint], ["ForeignKeyViolation", "c_p"])
      const check = yield* fails([77777, 1])
      assert.deepStrictEqual([check.reason, check.constraint], ["CheckViolation", "c_small"])
      const missing = yield* fails([3, null])
      assert.deepStrictEqual([missing.reason, missing.column], ["NotNullViolation", "p"])
      const data = yield* fails(["secret\"value", 1])
      assert.strictEqual(data.reason, "DataError")
      const range = yield* fails(["77777777777", 1])
      assert.strictEqual(range.reason, "DataError")
      for (const error of [unique, foreign, check, missing, data, range]) {
        assert.notInclude(error.message, "77777")
        assert.notInclude(error.message, "secret")
      }
      const column = (yield* Effect.flip(execute(connection, "SELECT 1, nope"))) as QueryError
      assert.deepStrictEqual([column.reason, column.position], ["UndefinedObject", 11])
    }))

  it.scoped("outcome: NotSent before it ran, RolledBack after, also in a transaction and when what fails is its end", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* table(connection)
      const outcome = (text: string, params: ReadonlyArray<unknown> = []) =>
        Effect.map(Effect.flip(execute(connection, text, params)), (error) => error.outcome)
      assert.strictEqual(yield* outcome("SELEC"), "NotSent")
      assert.strictEqual(yield* outcome("INSERT INTO t VALUES ($1::int4, 'a')", ["x"]), "NotSent")
      assert.strictEqual(yield* outcome("INSERT INTO t VALUES (1, NULL)"), "RolledBack")
      yield* execute(connection, "BEGIN")
      assert.strictEqual(yield* outcome("SELEC"), "RolledBack")
      assert.strictEqual(connection.transaction, "failed")
      const aborted = yield* Effect.flip(execute(connection, "SELECT 1"))
      assert.deepStrictEqual(reasonOf(aborted), ["QueryError", "TransactionAborted", "RolledBack"])
      const commit = yield* Effect.flip(execute(connection, "COMMIT"))
      assert.deepStrictEqual(reasonOf(commit), ["QueryError", "TransactionAborted", "RolledBack"])
      assert.strictEqual(connection.transaction, "idle")

      yield* execute(connection, "CREATE TABLE d (id int4 UNIQUE DEFERRABLE INITIALLY DEFERRED)")
      yield* execute(connection, "INSERT INTO d VALUES (1)")
      const statement = yield* Effect.flip(execute(connection, "INSERT INTO d VALUES (1)"))
      assert.deepStrictEqual(reasonOf(statement), ["QueryError", "UniqueViolation", "RolledBack"])
      yield* execute(connection, "INSERT INTO d VALUES (1)", [], { begin: "BEGIN" })
      const deferred = yield* Effect.flip(execute(connection, "COMMIT"))
      assert.deepStrictEqual(reasonOf(deferred), ["QueryError", "UniqueViolation", "RolledBack"])
      assert.strictEqual(connection.transaction, "idle")
      assert.strictEqual(yield* value(connection, "SELECT count(*)::int4 FROM d"), 1)
    }))

  it.scoped("outcome: a procedure that commits on its way leaves it unknown", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* table(connection)
      yield* execute(
        connection,
        "CREATE PROCEDURE half() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1, 'a'); COMMIT; RAISE 'no'; END $$"
      )
      const error = yield* Effect.flip(execute(connection, "CALL half()"))
      assert.strictEqual(error.outcome, "Unknown")
      const several = yield* Effect.flip(
        execute(connection, "BEGIN; INSERT INTO t VALUES (2, 'a'); COMMIT; SELECT 1/0")
      )
      assert.strictEqual(several.outcome, "Unknown")
      const undone = yield* Effect.flip(execute(connection, "INSERT INTO t VALUES (3, 'a'); SELECT 1/0"))
      assert.strictEqual(undone.outcome, "RolledBack")
      assert.strictEqual(yield* value(connection, "SELECT count(*)::int4 FROM t"), 2)
    }))

  it.scoped("a link that breaks: Unknown for what was sent, RolledBack in a transaction, CommitUnknown at its end", () =>
    Effect.gen(function*() {
      const { connection, driver, proxy } = yield* proxied
      yield* table(connection)
      const insert = "INSERT INTO t VALUES ($1, 'a')"
      proxy.at(afterStatement(/INSERT/), "cut")
      let told = 0
      connection.onLost = (error) => {
        assert.strictEqual(error.reason, "Lost")
        told++
      }
      const error = yield* Effect.flip(execute(connection, insert, [1]))
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "Lost", "Unknown"])
      assert.isTrue(connection.lost)
      // It is told behind the answer.
      yield* Effect.yieldNow()
      assert.strictEqual(told, 1)
      const after = yield* Effect.flip(execute(connection, insert, [2]))
      assert.deepStrictEqual(reasonOf(after), ["ConnectionError", "Lost", "NotSent"])
      assert.strictEqual((yield* Effect.flip(ping(connection))).reason, "Lost")

      const inside = yield* Effect.orDie(opened(driver))
      yield* execute(inside, insert, [10], { begin: "BEGIN" })
      proxy.at(beforeStatement(/INSERT/), "cut")
      const lost = yield* Effect.flip(execute(inside, insert, [11]))
      assert.deepStrictEqual(reasonOf(lost), ["ConnectionError", "Lost", "RolledBack"])

      for (const [id, point] of [[20, afterStatement(/^COMMIT/)], [21, beforeStatement(/^COMMIT/)]] as const) {
        const committing = yield* Effect.orDie(opened(driver))
        yield* execute(committing, insert, [id], { begin: "BEGIN" })
        proxy.at(point, "cut")
        const unknown = yield* Effect.flip(execute(committing, "COMMIT"))
        assert.deepStrictEqual(reasonOf(unknown), ["QueryError", "CommitUnknown", "Unknown"])
      }
    }))

  it.scoped("a backend that is terminated: typed, reported, and never used again", () =>
    Effect.gen(function*() {
      const { connection, database, driver } = yield* proxied
      yield* table(connection)
      const lost = yield* Deferred.make<ConnectionError>()
      connection.onLost = (error) => Deferred.unsafeDone(lost, Effect.succeed(error))
      yield* query(database.url, "SELECT pg_terminate_backend($1)", [connection.id])
      const told = yield* Deferred.await(lost)
      assert.deepStrictEqual(reasonOf(told), ["ConnectionError", "ServerShutdown", "NotSent"])
      assert.isTrue(connection.lost)
      const error = yield* Effect.flip(execute(connection, "SELECT 1"))
      assert.deepStrictEqual(reasonOf(error), ["ConnectionError", "ServerShutdown", "NotSent"])

      // While a statement runs: it had not ended, so it is undone.
      const running = yield* Effect.orDie(opened(driver))
      const own = yield* Effect.flip(execute(running, "SELECT pg_terminate_backend(pg_backend_pid())"))
      assert.deepStrictEqual(reasonOf(own), ["ConnectionError", "ServerShutdown", "RolledBack"])
    }))

  it.scoped("the server's limits: statement, lock and idle transaction are timeouts with their phase", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const driver = yield* driverAt(database.url, { limits: { idleInTransactionTimeout: "100 millis" } })
      const connection = yield* Effect.orDie(opened(driver))
      yield* table(connection)
      const slow = yield* Effect.flip(execute(connection, "SELECT pg_sleep(9)", [], { statementTimeout: 30 }))
      assert.deepStrictEqual(reasonOf(slow), ["TimeoutError", "Statement", "RolledBack"])
      assert.strictEqual((slow as TimeoutError).limitMillis, 30)
      assert.strictEqual(yield* value(connection, "SHOW statement_timeout"), "0", "it ended with its statement")

      const holder = yield* Effect.orDie(opened(yield* driverAt(database.url)))
      yield* execute(holder, "LOCK TABLE t", [], { begin: "BEGIN" })
      const locked = yield* Effect.flip(execute(connection, "SELECT * FROM t", [], { lockTimeout: 30 }))
      // The lock is taken while the statement is parsed.
      assert.deepStrictEqual(reasonOf(locked), ["TimeoutError", "Lock", "NotSent"])
      assert.strictEqual((locked as TimeoutError).limitMillis, 30)
      const noWait = yield* Effect.flip(execute(connection, "LOCK TABLE t NOWAIT", [], { begin: "BEGIN" }))
      assert.deepStrictEqual(reasonOf(noWait), ["QueryError", "LockConflict", "RolledBack"])
      yield* execute(connection, "ROLLBACK")

      const lost = yield* Deferred.make<ConnectionError>()
      connection.onLost = (error) => Deferred.unsafeDone(lost, Effect.succeed(error))
      yield* execute(connection, "SELECT 1", [], { begin: "BEGIN" })
      yield* Deferred.await(lost)
      const idle = yield* Effect.flip(execute(connection, "SELECT 1"))
      assert.deepStrictEqual(reasonOf(idle), ["TimeoutError", "IdleInTransaction", "RolledBack"])
      assert.strictEqual((idle as TimeoutError).limitMillis, 100)
    }))

  it.scoped("limits of single statements do not reach their neighbours in a transaction", () =>
    Effect.gen(function*() {
      const connection = yield* connected({ limits: { statementTimeout: "20 seconds" } })
      const show = (options = {}) => value(connection, "SHOW statement_timeout", [], options)
      assert.strictEqual(yield* show({ begin: "BEGIN", statementTimeout: 5000 }), "5s")
      assert.strictEqual(yield* show({ statementTimeout: 7000 }), "7s")
      assert.strictEqual(yield* show(), "20s")
      yield* execute(connection, "SAVEPOINT a")
      assert.strictEqual(yield* show({ statementTimeout: 3000 }), "3s")
      yield* execute(connection, "ROLLBACK TO a")
      assert.strictEqual(yield* show({ statementTimeout: 3000 }), "3s")
      yield* execute(connection, "ROLLBACK TO a")
      assert.strictEqual(yield* show(), "20s")
      assert.strictEqual(yield* value(connection, "SHOW lock_timeout", [], { lockTimeout: 1500 }), "1500ms")
      yield* execute(connection, "COMMIT")
      assert.strictEqual(yield* show(), "20s")
      assert.strictEqual(yield* value(connection, "SHOW lock_timeout"), "0")
    }))

  it.scoped("a limit also holds for what cannot run in a transaction, and for several statements", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* table(connection)
      yield* execute(connection, "VACUUM t", [], { statementTimeout: 5000, lockTimeout: 5000 })
      yield* execute(connection, "CREATE INDEX CONCURRENTLY i ON t (v)", [], { statementTimeout: 5000 })
      const slow = yield* Effect.flip(
        execute(connection, "SELECT 1; SELECT pg_sleep(9)", [], { statementTimeout: 30 })
      )
      assert.deepStrictEqual(reasonOf(slow), ["TimeoutError", "Statement", "RolledBack"])
      assert.strictEqual(yield* value(connection, "SHOW statement_timeout"), "0")
      const inside = yield* Effect.flip(
        execute(connection, "SELECT 1; SELECT pg_sleep(9)", [], { statementTimeout: 30, begin: "BEGIN" })
      )
      assert.deepStrictEqual(reasonOf(inside), ["TimeoutError", "Statement", "RolledBack"])
    }))

  it.scoped("a reset leaves nothing of the last borrower", () =>
    Effect.gen(function*() {
      const connection = yield* connected({ settings: { search_path: "public,pg_catalog" } })
      yield* table(connection)
      const leftovers = [
        "SET search_path TO pg_catalog",
        "SELECT set_config('myapp.user', 'secret', false)",
        "SELECT pg_advisory_lock(1)",
        "CREATE TEMP TABLE temporary_one (id int4)",
        "SELECT 1 AS a INTO TEMP temporary_two",
        "LISTEN a",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "SET ROLE pg_monitor",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
      ]
      for (const text of leftovers) {
        assert.isFalse(connection.dirty, text)
        yield* execute(connection, text)
        assert.isTrue(connection.dirty, text)
        yield* execute(connection, "INSERT INTO public.t VALUES (1, 'a')", [], { begin: "BEGIN READ WRITE" }).pipe(
          Effect.ignore
        )
        yield* reset(connection)
        assert.isFalse(connection.dirty, text)
        assert.strictEqual(connection.transaction, "idle", text)
        const [left] = yield* execute(
          connection,
          `SELECT current_setting('search_path') AS path,
            coalesce(nullif(current_setting('myapp.user', true), ''), 'none') AS user,
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())::int4 AS locks,
            (SELECT count(*) FROM pg_class WHERE relname LIKE 'temporary%')::int4 AS tables,
            (SELECT count(*) FROM pg_listening_channels())::int4 AS channels,
            (SELECT count(*) FROM pg_prepared_statements WHERE name = 'p')::int4 AS prepared,
            (SELECT count(*) FROM pg_cursors WHERE name = 'c')::int4 AS cursors,
            current_user = session_user AS own, current_setting('default_transaction_read_only') AS read_only`
        )
        assert.deepStrictEqual(left, {
          path: "public,pg_catalog",
          user: "none",
          locks: 0,
          tables: 0,
          channels: 0,
          prepared: 0,
          cursors: 0,
          own: true,
          read_only: "off"
        }, text)
        yield* reset(connection)
      }
      assert.deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  it.scoped("a reset costs nothing where nothing was left, and commits where it is told to", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      yield* table(connection)
      yield* execute(connection, "INSERT INTO t VALUES ($1, lower('A'))", [1])
      proxy.resetCounts()
      yield* reset(connection)
      assert.strictEqual(proxy.counts().roundTrips, 0)
      yield* execute(connection, "INSERT INTO t VALUES ($1, 'b')", [2], { begin: "BEGIN" })
      yield* reset(connection, "commit")
      assert.strictEqual(yield* value(connection, "SELECT count(*)::int4 FROM t"), 2)
      yield* Effect.ignore(execute(connection, "SELEC", [], { begin: "BEGIN" }))
      assert.strictEqual(connection.transaction, "failed")
      yield* reset(connection, "commit")
      assert.strictEqual(connection.transaction, "idle")
      assert.strictEqual(yield* value(connection, "SELECT $1::int4", [1]), 1)
    }))

  it.scoped("a reset works on a read-only connection, and writes are refused there", () =>
    Effect.gen(function*() {
      const connection = yield* connected({ access: "read-only" })
      const error = yield* Effect.flip(table(connection))
      assert.deepStrictEqual(reasonOf(error), ["QueryError", "ReadOnly", "RolledBack"])
      yield* reset(connection, "discard")
      assert.deepStrictEqual((yield* Effect.flip(table(connection))).reason, "ReadOnly")
    }))

  it.scoped("a ping asks the server, and nothing else", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      proxy.resetCounts()
      yield* ping(connection)
      assert.deepStrictEqual(proxy.counts().messages.frontend, { S: 1 })
      yield* Effect.ignore(execute(connection, "SELEC", [], { begin: "BEGIN" }))
      yield* ping(connection)
      assert.strictEqual(connection.transaction, "failed")
    }))

  it.scoped("close sends Terminate: the server shows no connection afterwards", () =>
    Effect.gen(function*() {
      const { ask, connection, database } = yield* proxied
      yield* close(connection)
      assert.isTrue(connection.lost)
      yield* close(connection)
      yield* eventually(
        ask("SELECT count(*)::int4 AS n FROM pg_stat_activity WHERE datname = $1 AND application_name = 'dblive'", [
          database.name
        ]),
        ([row]) => row!["n"] === 0
      )
    }))

  it.scoped("destroy ends the running request at once", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      proxy.blackHole()
      const ended: Array<DbError | undefined> = []
      connection.execute(request("SELECT 1"), (error) => ended.push(error))
      connection.destroy()
      connection.destroy()
      assert.deepStrictEqual(ended.map((error) => reasonOf(error!)), [["ConnectionError", "Lost", "Unknown"]])
    }))

  it.scoped("COPY from or to the client is refused, with what became of it, and the connection goes on", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      yield* table(connection)
      const copying = "COPY (INSERT INTO t VALUES (2, 'b') RETURNING id) TO STDOUT"
      const left = value(connection, "SELECT count(*)::int4 FROM t")
      const ways: ReadonlyArray<(text: string, more?: Partial<Request>) => Effect.Effect<unknown, DbError>> = [
        (text, more) => execute(connection, text, [], more),
        (text, more) => execute(connection, text, [], { ...more, prepare: false }),
        (text, more) => Effect.flatMap(openCursor(connection, text, [], more), (cursor) => fetch(cursor, 10))
      ]
      for (const run of ways) {
        // The server has said that it undid it, outside a transaction too.
        const refused = yield* Effect.flip(run("COPY t FROM STDIN"))
        assert.deepStrictEqual(reasonOf(refused), ["QueryError", "Unknown", "RolledBack"])
        assert.include(refused.message, "COPY")
        assert.strictEqual(yield* left, 0)
        // It has sent what it read, and done what stands in it.
        assert.strictEqual((yield* Effect.flip(run(copying))).outcome, "Unknown")
        assert.strictEqual(yield* left, 1)

        for (const [begin, text] of [["BEGIN", "SELECT 1"], [undefined, "BEGIN"]] as const) {
          if (begin === undefined) yield* execute(connection, text)
          assert.strictEqual((yield* Effect.flip(run("COPY t FROM STDIN", { begin }))).outcome, "RolledBack")
          assert.strictEqual(connection.transaction, "failed")
          yield* execute(connection, "ROLLBACK")
        }
        // This one is not failed, and can be committed.
        assert.strictEqual((yield* Effect.flip(run("COPY t TO STDOUT", { begin: "BEGIN" }))).outcome, "Unknown")
        assert.strictEqual(connection.transaction, "open")
        yield* execute(connection, "ROLLBACK")
        yield* execute(connection, "DELETE FROM t")
        assert.strictEqual(yield* left, 0)
      }
      const script = "INSERT INTO t VALUES (3, 'c'); COMMIT; COPY t FROM STDIN"
      assert.strictEqual((yield* Effect.flip(execute(connection, script))).outcome, "Unknown")
      assert.strictEqual(yield* left, 1)
    }))

  it.scoped("a text that cannot be sent as it is is refused", () =>
    Effect.gen(function*() {
      const connection = yield* connected()
      for (const text of ["SELECT 'a\0b'", "SELECT '\ud800'"]) {
        const error = yield* Effect.flip(execute(connection, text))
        assert.deepStrictEqual(reasonOf(error), ["QueryError", "SqlSyntax", "NotSent"])
      }
      assert.strictEqual(yield* value(connection, "SELECT 1"), 1)
    }))

  it.scoped("a transaction whose COMMIT was lost can be asked for", () =>
    Effect.gen(function*() {
      const { connection, driver, proxy, ask } = yield* proxied
      yield* table(connection)
      const looker = yield* Effect.orDie(opened(driver))
      const status = (id: string) =>
        Effect.async<string, DbError>((resume) =>
          driver.commitStatus!(looker, id, (error, value) =>
            resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
        )
      for (
        const [point, action, expected] of [
          [beforeReply("COMMIT"), "cut", "committed"],
          [beforeStatement(/^COMMIT/), "cut", "rolled back"],
          // The server has not noticed that the client is gone: the transaction is still open there.
          [beforeStatement(/^COMMIT/), "hold", "rolled back"]
        ] as const
      ) {
        const writer = yield* Effect.orDie(opened(driver))
        yield* execute(writer, "INSERT INTO t VALUES (1, 'a')", [], { begin: "BEGIN" })
        const id = yield* value(writer, driver.transactionId!)
        assert.isFalse(writer.dirty)
        const trigger = proxy.at(point, action)
        if (action === "hold") {
          writer.execute(request("COMMIT"), () => {})
          yield* trigger.fired
        } else {
          yield* Effect.flip(execute(writer, "COMMIT"))
        }
        assert.strictEqual(yield* status(id), expected)
        assert.deepStrictEqual(yield* ask("DELETE FROM t RETURNING id"), expected === "committed" ? [{ id: 1 }] : [])
      }
      const [current] = yield* ask("SELECT pg_current_xact_id()::text AS id")
      assert.strictEqual(yield* status(`${current!["id"]}:1:FFFFFFFF`), "unknown", "another timeline")

      // A process that serves another client by now is left alone.
      const busy = yield* Effect.orDie(opened(driver))
      yield* execute(busy, "INSERT INTO t VALUES (1, 'a')", [], { begin: "BEGIN" })
      const [xid, , timeline] = (yield* value(busy, driver.transactionId!)).split(":")
      const innocent = yield* Effect.orDie(opened(driver))
      assert.strictEqual(yield* status(`${xid}:${innocent.id}:${timeline}`), "unknown")
      yield* ping(innocent)
      yield* ping(busy)
    }))
})
