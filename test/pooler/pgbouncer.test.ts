/** PostgreSQL through PgBouncer in its default configuration: what is refused, remembered, carried, and what cannot be. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import * as DbError from "../../src/DbError.js"
import { PgClient } from "../../src/driver/Pg.js"
import * as Pg from "../../src/driver/Pg.js"
import { describePgBouncer, pgBouncer, type PoolMode } from "../kit/pgbouncer.js"
import { freshDatabase, query } from "../kit/postgres.js"

const layer = (options: DbConfig.Options) =>
  Db.layer({ environment: "production", ...options, pool: { size: 2, overflow: 0, ...options.pool } })

/** The ways through: with the option in transaction mode, without it in both. */
const ways: ReadonlyArray<readonly [name: string, mode: PoolMode, options: DbConfig.Options]> = [
  ["session mode", "session", {}],
  ["transaction mode, prepare: false", "transaction", { prepare: false }]
]

const through = (mode: PoolMode, settings?: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const pooler = yield* pgBouncer(mode, settings)
    const database = yield* freshDatabase
    return { url: pooler.through(database.url), direct: database.url, name: database.name, admin: pooler.admin }
  })

/** What is logged meanwhile. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.map(
      Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)),
      (value) => [value, lines] as const
    )
  })

const value = <A = unknown>(text: string, params: ReadonlyArray<Db.Param> = []) =>
  Effect.map(Db.query<{ v: A }>(text, params), (rows) => rows[0]?.v)

describePgBouncer("pgbouncer", () => {
  it.scopedLive("startup parameters that it refuses are left out, for the whole pool, and that is said once", () =>
    Effect.gen(function*() {
      const { admin, name, url } = yield* through("transaction")
      const open = Effect.gen(function*() {
        // Both connections at once.
        yield* Effect.all([Db.session(value("SELECT pg_sleep(0.05)")), Db.session(value("SELECT pg_sleep(0.05)"))], {
          concurrency: 2
        })
        return (yield* admin("SHOW CLIENTS")).filter(({ database }) => database === name)
      })
      const [clients, lines] = yield* logged(open.pipe(Effect.provide(layer({ url, applicationName: "mine" }))))
      assert.deepStrictEqual(clients.map((client) => client["application_name"]), ["mine", "mine"])
      const told = lines.filter((line) => line.includes("does not take startup parameters"))
      assert.lengthOf(told, 1)
      assert.include(told[0], "IntervalStyle")
      assert.include(told[0], "statement_timeout")
      assert.include(told[0], "prepare: false")
      const [, silent] = yield* logged(open.pipe(Effect.provide(layer({ url, prepare: false }))))
      assert.lengthOf(silent.filter((line) => line.includes("startup parameters")), 0)
    }))

  for (const [name, mode, options] of ways) {
    it.scopedLive(`settings go with every transaction (${name})`, () =>
      Effect.gen(function*() {
        const { direct, url } = yield* through(mode)
        yield* query(
          direct,
          "CREATE SCHEMA app; CREATE TABLE app.t (id int, body text); CREATE TABLE public.t (id int)"
        )
        const sees = "SELECT current_setting('search_path') AS v"
        yield* Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          assert.strictEqual(yield* value(sees), "app")
          assert.strictEqual(yield* value(`${sees} WHERE 1 = $1::int`, [1]), "app")
          assert.strictEqual(yield* value(`${sees} WHERE 1 = ANY ($1::int[])`, [[1]]), "app")
          assert.strictEqual(yield* value(sees).pipe(Db.transaction), "app")
          assert.strictEqual(yield* value(sees).pipe(Db.session), "app")
          assert.deepStrictEqual(yield* sql`SELECT current_setting('TimeZone') AS v`.unprepared, [{
            v: "Asia/Tokyo"
          }] as never)
          yield* Db.query("CREATE TABLE made (id int)")
          yield* Db.query("INSERT INTO t (id, body) VALUES (:id, 'one')", { id: 1 })
          yield* Db.query("INSERT INTO t VALUES (2, 'two'); INSERT INTO t VALUES (3, 'three')")
          yield* Db.query("INSERT INTO t VALUES (4, 'four')").pipe(Db.transaction)
          yield* Db.session(Effect.gen(function*() {
            yield* Db.query("BEGIN")
            yield* Db.query("INSERT INTO t VALUES (5, 'five')")
            yield* Db.query("COMMIT")
          }))
          yield* Effect.scoped(Effect.gen(function*() {
            const session = yield* Db.reserve
            yield* session.begin()
            yield* session.sql`INSERT INTO t VALUES (6, 'six')`
            yield* session.commit
          }))
          const ids = yield* sql<{ id: number }>`SELECT id FROM t ORDER BY id`.stream.pipe(
            Stream.map(({ id }) => id),
            Stream.runCollect
          )
          assert.deepStrictEqual([...ids], [1, 2, 3, 4, 5, 6])
          const inside = yield* Stream.runCollect(sql`SELECT id FROM t`.stream).pipe(Db.transaction)
          assert.lengthOf([...inside], 6)
          // Where an error stands is counted from the beginning of the statement, not of what goes ahead.
          const several = yield* Effect.flip(Db.query("SELECT 1; SELECT nonsense"))
          assert.deepInclude(several, { _tag: "QueryError", reason: "UndefinedObject", position: 18 })
          const single = yield* Effect.flip(Db.query("SELECT nonsense"))
          assert.deepInclude(single, { _tag: "QueryError", reason: "UndefinedObject", position: 8 })
          // What runs in no transaction cannot be given them, and must not run without them.
          for (
            const text of [
              "CREATE INDEX CONCURRENTLY ON t (id)",
              "VACUUM t",
              "INSERT INTO t VALUES (7); COMMIT; SELECT 1"
            ]
          ) {
            const refused = yield* Effect.flip(Db.query(text))
            assert.deepInclude(refused, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" }, text)
            assert.include(refused.message, "search_path")
          }
        }).pipe(Effect.provide(layer({ url, ...options, settings: { search_path: "app", TimeZone: "Asia/Tokyo" } })))
        assert.deepStrictEqual(yield* query(direct, "SELECT count(*)::int AS n FROM public.t"), [{ n: 0 }])
        assert.deepStrictEqual(yield* query(direct, "SELECT to_regclass('app.made') IS NOT NULL AS v"), [{ v: true }])
        // Nothing of it is left in the sessions that the pooler keeps.
        const seen = yield* query(url, "SELECT current_setting('search_path') AS v")
        assert.deepStrictEqual(seen, [{ v: "\"$user\", public" }])
        const wrong = yield* Effect.flip(
          Effect.provide(Db.query("SELECT 1"), layer({ url, ...options, settings: { no_such_setting: "1" } }))
        )
        assert.deepInclude(wrong, { _tag: "ConnectionError", reason: "Unsupported" })
      }))

    it.scopedLive(`access: "read-only" is kept by the server (${name})`, () =>
      Effect.gen(function*() {
        const { direct, url } = yield* through(mode)
        yield* query(direct, "CREATE TABLE t (id int)")
        const writes = ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"]
        yield* Effect.gen(function*() {
          for (const text of writes) {
            for (const effect of [Db.query(text), Db.query(text).pipe(Db.transaction), Db.session(Db.query(text))]) {
              assert.deepInclude(yield* Effect.flip(effect), { _tag: "QueryError", reason: "ReadOnly" })
            }
          }
          assert.strictEqual(yield* value("SELECT count(*)::int AS v FROM t"), 0)
        }).pipe(Effect.provide(layer({ url, ...options, access: "read-only" })))
      }))

    it.scopedLive(`values are read right, however the server writes them by itself (${name})`, () =>
      Effect.gen(function*() {
        for (const style of ["postgres", "postgres_verbose", "sql_standard", "iso_8601"]) {
          const { direct, name, url } = yield* through(mode)
          yield* query(
            direct,
            `ALTER DATABASE ${name} SET IntervalStyle TO ${style}; ALTER DATABASE ${name} SET DateStyle TO 'German'; ` +
              `ALTER DATABASE ${name} SET TimeZone TO 'Asia/Kolkata'; ALTER DATABASE ${name} SET extra_float_digits TO -3`
          )
          yield* Effect.gen(function*() {
            const when = new Date("2024-03-04T05:06:07.008Z")
            const read = Db.query<Record<string, unknown>>(
              `SELECT $1::timestamptz AS at, '2024-03-04'::date AS day, $2::float8 AS float, ARRAY[$2::float8] AS floats,
                interval '1 year 2 mons -3 days 04:05:06.789' AS mixed, interval '-1 day -02:03:04' AS negative,
                interval '0' AS zero, ARRAY[interval '14 months'] AS array, interval '26:00:00.5' AS time`,
              [when, 0.1 + 0.2]
            )
            for (const rows of [yield* read, yield* read.pipe(Db.transaction), yield* Db.session(read)]) {
              assert.deepStrictEqual(JSON.parse(JSON.stringify(rows[0])), {
                at: when.toISOString(),
                day: "2024-03-04T00:00:00.000Z",
                float: 0.30000000000000004,
                floats: [0.30000000000000004],
                mixed: interval({ years: 1, months: 2, days: -3, hours: 4, minutes: 5, seconds: 6, milliseconds: 789 }),
                negative: interval({ days: -1, hours: -2, minutes: -3, seconds: -4 }),
                zero: interval({}),
                array: [interval({ years: 1, months: 2 })],
                time: interval({ hours: 26, milliseconds: 500 })
              })
            }
          }).pipe(Effect.provide(layer({ url, ...options })))
        }
      }))

    it.scopedLive(`a lock is waited for within its limit (${name})`, () =>
      Effect.gen(function*() {
        const { direct, url } = yield* through(mode)
        yield* query(direct, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        const error = yield* Db.transaction(Effect.zipRight(
          Db.query("SELECT id FROM t FOR UPDATE"),
          Effect.flip(Effect.provide(
            Db.query("UPDATE t SET id = 2").pipe(Db.transaction),
            layer({ url, ...options, limits: { lockTimeout: "100 millis" } })
          ))
        )).pipe(Effect.provide(layer({ url, ...options })))
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Lock", limitMillis: 100, outcome: "RolledBack" })
      }))

    it.scopedLive(`a database is created, and the kind of server is asked for (${name})`, () =>
      Effect.gen(function*() {
        // After a failed login PgBouncer refuses all others for this many seconds, 15 by default.
        const { direct, name: old, url } = yield* through(mode, ["server_login_retry = 1"])
        const database = `${old}_made`
        const create = layer({ url, ...options, database, createDatabase: true, targetSessionAttrs: "read-write" })
        yield* Effect.ensuring(
          Effect.gen(function*() {
            assert.strictEqual(yield* Effect.provide(value("SELECT current_database() AS v"), create), database)
          }),
          query(direct, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
        )
        const standby = yield* Effect.flip(
          Effect.provide(Db.query("SELECT 1"), layer({ url, ...options, targetSessionAttrs: "standby" }))
        )
        assert.deepInclude(standby, { _tag: "ConnectionError", reason: "Unsupported" })
      }))
  }

  it.scopedLive("with the option, what would outlast its transaction is refused, and what does not is not", () =>
    Effect.gen(function*() {
      const { direct, url } = yield* through("transaction")
      yield* query(direct, "CREATE TABLE t (id int)")
      yield* Effect.gen(function*() {
        const lasting = [
          "SET search_path TO app",
          "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
          "SET ROLE postgres",
          "RESET ALL",
          "SELECT set_config('a.b', 'c', false)",
          "SELECT 1; SET a.b TO 'c'",
          "CREATE TEMP TABLE x (id int)",
          "CREATE TEMP TABLE x (id int) ON COMMIT DELETE ROWS",
          "SELECT 1 AS a INTO TEMPORARY x",
          "CREATE TABLE pg_temp.x (id int)",
          "SELECT pg_advisory_lock(1)",
          "SELECT pg_try_advisory_lock_shared(1)",
          "SELECT pg_advisory_unlock_all()",
          "LISTEN x",
          "PREPARE x AS SELECT 1",
          "DEALLOCATE ALL",
          "DISCARD ALL",
          "DECLARE x CURSOR WITH HOLD FOR SELECT 1",
          "LOAD 'auto_explain'"
        ]
        for (const text of lasting) {
          for (const effect of [Db.query(text), Db.query(text).pipe(Db.transaction), Db.session(Db.query(text))]) {
            const error = yield* Effect.flip(effect)
            assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" }, text)
          }
        }
        const local = [
          "SET LOCAL search_path TO app",
          "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
          "SET CONSTRAINTS ALL IMMEDIATE",
          "SELECT set_config('a.b', 'c, false)', true)",
          "SELECT set_config('a.b', lower($$X$$), true)",
          "CREATE TEMP TABLE x (id int) ON COMMIT DROP",
          "SELECT pg_advisory_xact_lock(1)",
          "DECLARE x CURSOR FOR SELECT 1",
          "INSERT INTO t SELECT 1",
          "SELECT 'SET a TO b; LISTEN x' AS listen"
        ]
        for (const text of local) yield* Db.query(text).pipe(Db.transaction)
        const sql = yield* SqlClient.SqlClient
        const streamed = yield* Effect.flip(Stream.runDrain(sql.unsafe("SELECT pg_advisory_lock(1)").stream))
        assert.include(streamed.message, "advisory lock")
      }).pipe(Effect.provide(layer({ url, prepare: false })))
      assert.deepStrictEqual(
        // Other tests have databases on the same server.
        yield* query(
          direct,
          "SELECT count(*)::int AS n FROM pg_locks JOIN pg_database d ON d.oid = database " +
            "WHERE locktype = 'advisory' AND datname = current_database()"
        ),
        [
          { n: 0 }
        ]
      )
    }))

  it.scopedLive("LISTEN works in session mode, and is refused with the option", () =>
    Effect.gen(function*() {
      const { url } = yield* through("session")
      yield* Effect.gen(function*() {
        const sql = yield* PgClient
        const heard = yield* sql.listen("events").pipe(Stream.take(1), Stream.runCollect, Effect.fork)
        // Not before it listens.
        yield* Effect.repeat(Effect.zipRight(Effect.sleep("20 millis"), sql.notify("events", "hello")), {
          until: () => Effect.map(Fiber.poll(heard), Option.isSome)
        })
        assert.deepStrictEqual([...(yield* Fiber.join(heard))], ["hello"])
      }).pipe(Effect.provide(layer({ url }).pipe(Pg.withClient)))
      const { url: other } = yield* through("transaction")
      const error = yield* Effect.flatMap(PgClient, (sql) => Effect.flip(Stream.runDrain(sql.listen("events"))))
        .pipe(
          Effect.provide(layer({ url: other, prepare: false }).pipe(Pg.withClient))
        )
      assert.include(error.message, "LISTEN needs a session of its own")
    }))

  it.scopedLive("without the option in transaction mode no statement is taken for another, and the advice names it", () =>
    Effect.gen(function*() {
      // Two sessions of the server for two clients: which one a statement meets is for the test to say.
      const { url } = yield* through("transaction", ["default_pool_size = 2"])
      yield* Effect.gen(function*() {
        const first = yield* Db.reserve
        const second = yield* Db.reserve
        const run = (sql: SqlClient.SqlClient, n: number) =>
          Effect.map(sql.unsafe<{ n: number }>(`SELECT ${n} AS n WHERE 1 = $1::int`, [1]), (rows) => rows[0]?.n)
        assert.strictEqual(yield* run(first.sql, 1), 1)
        // In the same session of the server, under a name of its own.
        assert.strictEqual(yield* run(second.sql, 2), 2)
        assert.strictEqual(yield* run(first.sql, 1), 1)
        yield* second.begin()
        yield* run(second.sql, 2)
        // The other session of the server does not know it: prepared again, where nothing has run.
        assert.strictEqual(yield* run(first.sql, 1), 1)
        yield* second.commit
        // In a transaction nothing can be run again. The session used last is given next.
        assert.strictEqual(yield* run(first.sql, 4), 4)
        yield* second.begin()
        yield* run(second.sql, 5)
        yield* first.begin()
        yield* run(first.sql, 6)
        const error = yield* Effect.map(
          Effect.flip(run(first.sql, 4)),
          (failure) => DbError.fromSqlError(failure, "default")
        )
        assert.include(error.message, "26000")
        assert.include(error.message, "prepare: false")
      }).pipe(Effect.scoped, Effect.provide(layer({ url })))
    }))
})

/** `pg` leaves out what is zero. */
const interval = (parts: Record<string, number>) => parts
