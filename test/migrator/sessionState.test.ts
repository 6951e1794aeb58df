/** What a migration does to its session: nothing of it is seen by the next one, and what is not committed is not applied. */
import { SqlClient } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { describeMssql, freshMssqlDatabase } from "../kit/mssql.js"
import { describeMariadb } from "../kit/mysql.js"
import { describePostgres } from "../kit/postgres.js"
import { withFixture } from "./databases.js"

/** A runner whose connection still runs a statement, as after the kill of its process; and the report of a waiting one. */
const waiting = (url: string, sleep: string, layer: (url: string) => Layer.Layer<Other, unknown>) =>
  Effect.gen(function*() {
    const told = yield* Deferred.make<string>()
    const running = yield* Deferred.make<void>()
    const record = DbMigrator.fromRecord({ V1__a: sleep })
    const first = yield* Effect.fork(DbMigrator.run(Db, {
      migrations: record,
      onEvent: (event) => event._tag === "Started" ? Deferred.succeed(running, undefined) : Effect.void
    }))
    yield* Deferred.await(running)
    const ask = (wait: number) =>
      DbMigrator.run(Other, {
        migrations: record,
        lockWait: wait,
        onEvent: (event) => event._tag === "Waiting" ? Deferred.succeed(told, event.holder) : Effect.void
      }).pipe(Effect.flip)
    // The first statements of the migration are gone in an instant: it is asked until the long one is seen.
    const error = yield* Effect.repeat(ask(50), {
      until: (error) => error._tag !== "MigrationError" || / runs .* since /.test(error.message),
      times: 100
    }).pipe(Effect.provide(layer(url)))
    yield* Fiber.interrupt(first)
    expect(yield* Deferred.await(told)).not.toContain("secret")
    return error.message
  })

class Other extends Db.Tag("Other")<Other>() {}

type Record = Readonly<
  { [key: string]: string | Effect.Effect<unknown, unknown, SqlClient.SqlClient> | DbMigrator.EffectMigration }
>

const run = (record: Record) => DbMigrator.run(Db, { migrations: DbMigrator.fromRecord(record as never) })

const history = Effect.map(
  Db.query<{ version: unknown; success: unknown }>(
    "SELECT version, success FROM schema_version ORDER BY installed_rank"
  ),
  (rows) => rows.map(({ success, version }) => [version, success === true || Number(success) === 1])
)

const countOf = (table: string) =>
  Effect.map(Db.query<{ n: unknown }>(`SELECT count(*) AS n FROM ${table}`), (rows) => Number(rows[0]!.n))

const sql = (...texts: ReadonlyArray<string>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.forEach(texts, (text) => sql.unsafe(text).unprepared))

const setUp = "CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT);\n" +
  "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES p (id) ON DELETE CASCADE);\n" +
  "INSERT INTO p VALUES (1, 'x');\nINSERT INTO c VALUES (1, 1), (2, 1);"

const rebuild =
  "CREATE TABLE new_p (id INTEGER PRIMARY KEY, v TEXT NOT NULL);\nINSERT INTO new_p SELECT id, v FROM p;\n" +
  "DROP TABLE p;\nALTER TABLE new_p RENAME TO p;"

describe("SQLite's table rebuild", () => {
  const forms: ReadonlyArray<readonly [string, string]> = [
    ["PRAGMA foreign_keys=OFF;", "PRAGMA foreign_keys=ON;"],
    ["pragma Foreign_Keys = 0;", "pragma foreign_keys = 1;"],
    ["PRAGMA foreign_keys(no);", "PRAGMA foreign_keys(yes);"],
    ["PRAGMA main.foreign_keys = false;", "PRAGMA main.foreign_keys = true;"],
    ["PRAGMA /* none */ foreign_keys -- here\n = 'off';", "PRAGMA foreign_keys = \"on\";"],
    ["PRAGMA foreign_keys=OFF; PRAGMA recursive_triggers=ON; PRAGMA foreign_keys = off;", ""],
    ["PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", "COMMIT;\nPRAGMA foreign_keys=ON;"],
    ["BEGIN;", "PRAGMA foreign_keys=ON;\nEND TRANSACTION;\n"].map((text, i) =>
      i === 0 ? `PRAGMA [foreign_keys]=OFF;${text}` : text
    ) as [string, string],
    ["CREATE TABLE first (x);\nPRAGMA foreign_keys=OFF;", "PRAGMA foreign_keys=ON;"]
  ]
  for (const [before, after] of forms) {
    it.scopedLive(`keeps child rows: ${before.replaceAll("\n", " ")}`, () =>
      withFixture("sqlite", () =>
        Effect.gen(function*() {
          yield* run({ V1__a: setUp, V2__b: `${before}\n${rebuild}\n${after}` })
          expect(yield* countOf("c")).toBe(2)
          expect(yield* Db.query("PRAGMA foreign_keys")).toEqual([{ foreign_keys: 1 }])
          expect(yield* Effect.flip(Db.query("INSERT INTO c VALUES (9, 9)"))).toMatchObject({
            reason: "ForeignKeyViolation"
          })
        })))
  }

  it.scopedLive("is undone when it leaves a row without its parent", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          run({ V1__a: setUp, V2__b: `PRAGMA foreign_keys=OFF;\n${rebuild}\nDELETE FROM p;\nPRAGMA foreign_keys=ON;` })
        )
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", outcome: "RolledBack" })
        expect(error.message).toContain("2 rows of c refer to rows of p that are not there")
        expect([yield* countOf("p"), yield* countOf("c")]).toEqual([1, 2])
        expect(yield* Db.query("PRAGMA foreign_keys")).toEqual([{ foreign_keys: 1 }])
      })))

  it.scopedLive("does not fail for rows that had no parent before", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        yield* run({
          V1__a: setUp,
          V2__b: "-- dblive: no-transaction\nPRAGMA foreign_keys=OFF; INSERT INTO c VALUES (7, 7);",
          V3__c: `PRAGMA foreign_keys=OFF;\n${rebuild}\nPRAGMA foreign_keys=ON;`
        })
        expect(yield* countOf("c")).toBe(3)
      })))

  it.scopedLive("holds for the whole file: what another part needs on is found out, or makes no difference", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        yield* run({ V1__a: setUp, V2__b: `DELETE FROM c WHERE id = 2;\nPRAGMA foreign_keys=OFF;\n${rebuild}` })
        expect(yield* countOf("c")).toBe(1)
        const error = yield* Effect.flip(run({
          V1__a: setUp,
          V2__b: `DELETE FROM c WHERE id = 2;\nPRAGMA foreign_keys=OFF;\n${rebuild}`,
          V3__c: `PRAGMA foreign_keys=OFF;\n${rebuild}\nPRAGMA foreign_keys=ON;\nDELETE FROM p WHERE id = 1;`
        }))
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", outcome: "RolledBack" })
        expect(error.message).toContain("a migration of its own")
        expect(yield* countOf("c")).toBe(1)
      })))

  it.scopedLive("in a file of megabytes: at its beginning, and refused in its middle", () =>
    withFixture("sqlite", ({ source, write }) =>
      Effect.gen(function*() {
        const data = `INSERT INTO p VALUES (NULL, '${"x".repeat(1000)}');\n`.repeat(1100)
        write({
          "V1__a.sql": setUp,
          "V2__b.sql":
            `PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n${data}${rebuild}\nCOMMIT;\nPRAGMA foreign_keys=ON;\n`
        })
        yield* DbMigrator.run(Db, { migrations: source })
        expect([yield* countOf("p"), yield* countOf("c")]).toEqual([1101, 2])
        write({ "V3__c.sql": `${data}PRAGMA foreign_keys=OFF;\n${rebuild}` })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Parse", line: 1101 })
        write({ "V3__c.sql": `BEGIN;\n${data}` })
        expect(yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))).toMatchObject({
          reason: "Parse",
          line: 1
        })
        expect([yield* countOf("p"), yield* countOf("c")]).toEqual([1101, 2])
      })))

  it.scopedLive("in an effect: the pragma is refused in the transaction, and the advice works", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        const bad = [
          sql("PRAGMA foreign_keys=OFF", ...rebuild.split("\n")),
          sql("/* now */ PRAGMA main.foreign_keys (0)"),
          Effect.asVoid(Db.query("PRAGMA foreign_keys = no"))
        ]
        for (const effect of bad) {
          const error = yield* Effect.flip(run({ V1__a: setUp, V2__b: effect as never }))
          expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", outcome: "RolledBack" })
          expect(error.message).toContain("transaction: false")
          expect(yield* countOf("c")).toBe(2)
        }
        yield* run({
          V1__a: setUp,
          V2__b: {
            effect: Effect.flatMap(SqlClient.SqlClient, (client) =>
              Effect.all([
                sql("PRAGMA foreign_keys=OFF"),
                client.withTransaction(sql(...rebuild.split("\n"))),
                sql("PRAGMA foreign_keys=ON")
              ])),
            transaction: false
          } as never
        })
        expect(yield* countOf("c")).toBe(2)
      })))

  it.scopedLive("pragmas that a transaction would refuse run before it", () =>
    withFixture("sqlite", () =>
      Db.session(Effect.gen(function*() {
        yield* run({
          V1__a: "PRAGMA journal_mode=DELETE;\nPRAGMA synchronous=OFF;\nPRAGMA temp_store=MEMORY;\nCREATE TABLE a (x);"
        })
        expect(yield* Db.query("PRAGMA journal_mode")).toEqual([{ journal_mode: "delete" }])
        expect(yield* countOf("a")).toBe(0)
      }))))
})

describe("a migration that leaves its transaction open", () => {
  it.scopedLive("is no success on SQLite", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          run({
            V1__a:
              "-- dblive: no-transaction\nCREATE TABLE b (x);\nBEGIN;\nCREATE TABLE a (x);\nINSERT INTO a VALUES (1);"
          })
        )
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", line: 3 })
        expect(error.message).toContain("still open")
        expect(yield* history).toEqual([["1", false]])
        expect(yield* Effect.flip(countOf("a"))).toMatchObject({ reason: "UndefinedObject" })
        expect(yield* countOf("b")).toBe(0)
      })))

  it.scopedLive("is no success as an effect, and the caller's session is left as it was", () =>
    withFixture("sqlite", () =>
      Db.session(Effect.gen(function*() {
        const error = yield* Effect.flip(
          run({ V1__a: { effect: sql("BEGIN", "CREATE TABLE a (x)"), transaction: false } as never })
        )
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed" })
        expect(yield* Db.transactionStatus).toBe("idle")
        expect(yield* history).toEqual([["1", false]])
      }))))

  it.scopedLive("may commit by itself, with progress in between", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        yield* run({
          V1__a:
            "-- dblive: no-transaction\nBEGIN;\nCREATE TABLE a (x);\nCOMMIT;\nBEGIN;\nINSERT INTO a VALUES (1);\nROLLBACK;"
        })
        expect(yield* history).toEqual([["1", true]])
        expect(yield* countOf("a")).toBe(0)
      })))
})

describePostgres("what a migration does to its session on PostgreSQL", () => {
  it.scopedLive("a transaction left open is no success, whether it stands or has failed", () =>
    withFixture("pg", () =>
      Effect.gen(function*() {
        const open = yield* Effect.flip(
          run({ V1__a: "-- dblive: no-transaction\nBEGIN;\nCREATE TABLE a (x INTEGER);" })
        )
        expect(open).toMatchObject({ _tag: "MigrationError", reason: "Failed", line: 2, outcome: "RolledBack" })
        expect(yield* history).toEqual([["1", false]])
        yield* DbMigrator.repair(Db, { migrations: DbMigrator.fromRecord({}) })
        const failed = yield* Effect.flip(run({ V1__a: "-- dblive: no-transaction\nBEGIN;\nSELECT 1/0;" }))
        expect(failed).toMatchObject({ _tag: "MigrationError", reason: "Failed", line: 3 })
        expect((yield* Db.query<{ description: string }>("SELECT description FROM schema_version"))[0]!.description)
          .toContain("failed at line 3")
      })))

  it.scopedLive("a file wrapped in BEGIN and COMMIT is one transaction with its row; one that lacks the end is refused", () =>
    withFixture("pg", () =>
      Effect.gen(function*() {
        yield* run({ V1__a: "BEGIN;\nCREATE TABLE a (x INTEGER);\nCOMMIT;" })
        const failed = yield* Effect.flip(run({
          V1__a: "BEGIN;\nCREATE TABLE a (x INTEGER);\nCOMMIT;",
          V2__b: "BEGIN;\nINSERT INTO a VALUES (1);\nSELECT 1/0;\nCOMMIT;"
        }))
        expect(failed).toMatchObject({ outcome: "RolledBack", line: 3 })
        expect(yield* countOf("a")).toBe(0)
        for (
          const text of [
            "BEGIN;\nINSERT INTO a VALUES (1);",
            "BEGIN; COMMIT;\nBEGIN; COMMIT;",
            "BEGIN;\nROLLBACK;",
            "BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT;",
            "PREPARE TRANSACTION 'x';"
          ]
        ) {
          const error = yield* Effect.flip(run({ V1__a: "BEGIN;\nCREATE TABLE a (x INTEGER);\nCOMMIT;", V2__b: text }))
          expect(error).toMatchObject({ _tag: "MigrationError", reason: "Parse" })
          expect(error.message.includes("SET TRANSACTION ISOLATION LEVEL")).toBe(text.includes("ISOLATION"))
        }
        expect(yield* countOf("a")).toBe(0)
        // What the refusal of an isolation level names.
        yield* run({
          V1__a: "BEGIN;\nCREATE TABLE a (x INTEGER);\nCOMMIT;",
          V2__b: "BEGIN;\nSET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\n" +
            "INSERT INTO a SELECT 1 WHERE current_setting('transaction_isolation') = 'serializable';\nCOMMIT;"
        })
        expect(yield* countOf("a")).toBe(1)
      })))

  const leaks: ReadonlyArray<readonly [what: string, make: string, see: string, clean: unknown]> = [
    ["a setting", "SET work_mem = '7MB';", "SELECT current_setting('work_mem') AS v", "5MB"],
    [
      "a replication role",
      "SET session_replication_role = replica;",
      "SELECT current_setting('session_replication_role') AS v",
      "origin"
    ],
    [
      "the search path",
      "SELECT set_config('search_path', '', false);",
      "SELECT current_setting('search_path') AS v",
      "mine, public"
    ],
    [
      "a reset of the caller's settings",
      "RESET ALL;",
      "SELECT current_setting('work_mem') || current_setting('search_path') AS v",
      "5MBmine, public"
    ],
    ["a role", "SET ROLE pg_monitor;", "SELECT current_user::text = session_user::text AS v", true],
    [
      "a session's user",
      "SET SESSION AUTHORIZATION pg_monitor;",
      "SELECT session_user::text <> 'pg_monitor' AS v",
      true
    ],
    ["a setting of one's own", "SET app.tenant = 'leak';", "SELECT current_setting('app.tenant', true) AS v", "caller"],
    [
      "a limit",
      "SET statement_timeout = 4711; SET lock_timeout = 4711;",
      "SELECT current_setting('lock_timeout') <> '4711ms' AS v",
      true
    ],
    ["a temporary table", "CREATE TEMP TABLE t (x INTEGER);", "SELECT to_regclass('pg_temp.t')::text AS v", null],
    [
      "a temporary function",
      "CREATE FUNCTION pg_temp.f() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1';",
      "SELECT to_regproc('pg_temp.f')::text AS v",
      null
    ],
    [
      "a prepared statement",
      "PREPARE s AS SELECT 1;",
      "SELECT count(*)::int AS v FROM pg_prepared_statements WHERE from_sql",
      0
    ],
    [
      "a cursor",
      "DECLARE k CURSOR WITH HOLD FOR SELECT 1;",
      "SELECT count(*)::int AS v FROM pg_cursors WHERE name = 'k'",
      0
    ],
    ["a listener", "LISTEN l;", "SELECT count(*)::int AS v FROM pg_listening_channels()", 0],
    [
      "a lock",
      "SELECT pg_advisory_lock(-4711); SELECT pg_advisory_lock(-4711); SELECT pg_advisory_lock_shared(1, -2);",
      "SELECT count(*)::int AS v FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid <> 1684171894",
      0
    ]
  ]
  for (const [what, make, see, clean] of leaks) {
    for (const how of ["file", "file without a transaction", "effect"] as const) {
      if (how === "effect" && what === "a setting of one's own") continue
      it.scopedLive(`${what} is not seen by the next one, nor by the caller (${how})`, () =>
        withFixture("pg", () =>
          Db.session(Effect.gen(function*() {
            yield* Db.query("CREATE SCHEMA mine")
            yield* Db.query("SET search_path = mine, public")
            yield* Db.query("SET work_mem = '5MB'")
            yield* Db.query("SET app.tenant = 'caller'")
            yield* Db.query("CREATE TEMP TABLE callers (x INTEGER)")
            let seen: unknown
            const look = Effect.map(Db.query<{ v: unknown }>(see), ([row]) => row!.v)
            yield* run({
              V1__a: how === "effect"
                ? sql(...make.split("; "))
                : how === "file"
                ? make
                : `-- dblive: no-transaction\n${make}`,
              V2__b: Effect.map(look, (v) => seen = v) as never
            })
            expect(seen).toEqual(clean)
            expect(yield* look).toEqual(clean)
            expect(yield* countOf("callers")).toBe(0)
            expect(yield* countOf("mine.schema_version")).toBe(2)
          }))))
    }
  }

  it.scopedLive("a waiting runner reports what the holder's connection runs, and since when", () =>
    withFixture("pg", ({ url }) =>
      Effect.map(
        waiting(url, "SELECT pg_sleep(60), 'secret';", (url) => Other.layer({ url, environment: "test" })),
        (message) => {
          expect(message).toMatch(/backend \d+.*; it runs SELECT since 20\d\d-/)
          expect(message).toContain("end that one on the server")
          expect(message).not.toContain("secret")
        }
      )))

  it.scopedLive("a migration that fails leaves the caller's session as it was", () =>
    withFixture("pg", () =>
      Db.session(Effect.gen(function*() {
        yield* Db.query("SET work_mem = '5MB'")
        yield* Effect.flip(run({ V1__a: "-- dblive: no-transaction\nSET work_mem = '7MB';\nBEGIN;\nSELECT 1/0;" }))
        expect(yield* Db.query("SHOW work_mem")).toEqual([{ work_mem: "5MB" }])
        expect(yield* Db.transactionStatus).toBe("idle")
      }))))
})

describeMariadb("a waiting runner on MySQL", () => {
  it.scopedLive("reports what the holder's connection runs, and since when", () =>
    withFixture("mysql", ({ url }) =>
      Effect.map(
        waiting(url, "SELECT SLEEP(60), 'secret';", (url) => Other.layer({ url, environment: "test" })),
        (message) => {
          expect(message).toMatch(/connection \d+, user tester, from .*; it runs SELECT since 20\d\d-\d\d-\d\d \d\d:/)
          expect(message).not.toContain("secret")
        }
      )))
})

describe("what a migration does to its session on SQLite", () => {
  const leaks: ReadonlyArray<readonly [what: string, make: string, see: string, clean: unknown]> = [
    ["foreign keys", "PRAGMA foreign_keys=OFF;", "SELECT foreign_keys AS v FROM pragma_foreign_keys", 1],
    ["triggers", "PRAGMA recursive_triggers=ON;", "SELECT recursive_triggers AS v FROM pragma_recursive_triggers", 0],
    ["the caller's setting", "PRAGMA cache_size=77;", "SELECT cache_size AS v FROM pragma_cache_size", 55],
    [
      "checks",
      "PRAGMA ignore_check_constraints=1;",
      "SELECT ignore_check_constraints AS v FROM pragma_ignore_check_constraints",
      0
    ],
    ["LIKE", "PRAGMA case_sensitive_like=ON;", "SELECT 'a' LIKE 'A' AS v", 1],
    [
      "a temporary table",
      "CREATE TEMP TABLE t (x);",
      "SELECT count(*) AS v FROM temp.sqlite_schema WHERE name = 't'",
      0
    ],
    [
      "an attached database",
      "ATTACH ':memory:' AS other;",
      "SELECT count(*) AS v FROM pragma_database_list WHERE name = 'other'",
      0
    ]
  ]
  for (const [what, make, see, clean] of leaks) {
    for (const how of ["file", "file without a transaction", "effect without a transaction"] as const) {
      it.scopedLive(`${what}: not seen by the next one, nor by the caller (${how})`, () =>
        withFixture("sqlite", () =>
          Db.session(Effect.gen(function*() {
            yield* Db.query("PRAGMA cache_size=55")
            yield* Db.query("CREATE TEMP TABLE callers (x)")
            let seen: unknown
            const look = Effect.map(Db.query<{ v: unknown }>(see), ([row]) => row!.v)
            yield* run({
              V1__a: how === "file"
                ? make
                : how === "file without a transaction"
                ? `-- dblive: no-transaction\n${make}`
                : { effect: sql(make), transaction: false } as never,
              V2__b: Effect.map(look, (v) => seen = v) as never
            })
            expect(seen).toEqual(clean)
            expect(yield* look).toEqual(clean)
            expect(yield* countOf("callers")).toBe(0)
          }))))
    }
  }
})

describeMariadb("what a migration does to its session on MariaDB", () => {
  const dump = "SET SQL_MODE = \"NO_AUTO_VALUE_ON_ZERO\";\nSET AUTOCOMMIT = 0;\nSTART TRANSACTION;\n" +
    "SET time_zone = \"+00:00\";\nCREATE TABLE a (x INT);\nINSERT INTO a VALUES (1);\nCOMMIT;\n"
  for (const directive of ["", "-- dblive: no-transaction\n"]) {
    it.scopedLive(`autocommit that was switched off does not lose the next one ${directive}`, () =>
      withFixture("mysql", () =>
        Effect.gen(function*() {
          yield* run({ V1__a: directive + dump, V2__b: "INSERT INTO a VALUES (2);" })
          expect(yield* countOf("a")).toBe(2)
          expect(yield* history).toEqual([["1", true], ["2", true]])
        })))
  }

  it.scopedLive("autocommit switched off in a file of data", () =>
    withFixture("mysql", () =>
      Effect.gen(function*() {
        yield* run({
          V1__a: "CREATE TABLE a (x INT)",
          V2__b: "SET autocommit=0;\nINSERT INTO a VALUES (1);",
          V3__c: "SET autocommit=0;\nSTART TRANSACTION;\nINSERT INTO a VALUES (2);\nCOMMIT;",
          V4__d: "INSERT INTO a VALUES (3);"
        })
        expect(yield* countOf("a")).toBe(3)
        expect(yield* history).toHaveLength(4)
      })))

  it.scopedLive("a transaction left open is no success", () =>
    withFixture("mysql", () =>
      Effect.gen(function*() {
        for (
          const text of [
            "-- dblive: no-transaction\nCREATE TABLE a (x INT);\nBEGIN;\nINSERT INTO a VALUES (1);",
            "CREATE TABLE b (x INT);\nSET autocommit = 0;\nINSERT INTO b VALUES (1);"
          ]
        ) {
          const error = yield* Effect.flip(run({ V1__a: text }))
          expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", outcome: "Unknown" })
          expect(error.message).toContain("still open")
          expect(yield* history).toEqual([["1", false]])
          yield* DbMigrator.repair(Db, { migrations: DbMigrator.fromRecord({}) })
        }
        expect([yield* countOf("a"), yield* countOf("b")]).toEqual([0, 0])
      })))

  const leaks: ReadonlyArray<readonly [what: string, make: string, see: string, clean: unknown]> = [
    ["foreign keys", "SET FOREIGN_KEY_CHECKS=0;", "SELECT @@foreign_key_checks AS v", "1"],
    ["sql_mode", "SET sql_mode='ANSI_QUOTES';", "SELECT @@sql_mode LIKE '%ANSI_QUOTES%' AS v", "0"],
    ["the caller's setting", "SET sort_buffer_size=1111040;", "SELECT @@sort_buffer_size AS v", "3333120"],
    ["a variable", "SET @leak = 'x';", "SELECT @leak IS NULL AS v", "1"],
    ["the caller's variable", "SET @mine = 5;", "SELECT @mine AS v", "caller's"],
    ["the time", "SET timestamp = 1000000000;", "SELECT NOW() > '2020-01-01' AS v", "1"],
    ["the character set", "SET NAMES utf8mb3;", "SELECT @@character_set_client AS v", "utf8mb4"],
    ["a temporary table", "CREATE TEMPORARY TABLE `t` (x INT);", "SHOW TABLES LIKE 't'", undefined],
    [
      "locked tables",
      "CREATE TABLE locked (x INT); LOCK TABLES locked WRITE; INSERT INTO locked VALUES (1);",
      "SELECT COUNT(*) AS v FROM callers",
      "0"
    ],
    ["a lock", "DO GET_LOCK('leak', 0);", "SELECT IS_FREE_LOCK('leak') AS v", "1"],
    [
      "a limit of rows, and what it hides",
      "SET @leak = 1, @other = 2; SET sql_select_limit = 0;",
      "SELECT @leak IS NULL AND @other IS NULL AND @@sql_select_limit > 0 AS v LIMIT 1",
      "1"
    ],
    ["a database", "USE mysql;", "SELECT DATABASE() <> 'mysql' AS v", "1"],
    ["a prepared statement", "PREPARE s FROM 'SELECT 1';", "EXECUTE s", "missing"]
  ]
  for (const [what, make, see, clean] of leaks) {
    for (const how of ["file", "file without a transaction", "effect"] as const) {
      it.scopedLive(`${what}: not seen by the next one, nor by the caller (${how})`, () =>
        withFixture("mysql", () =>
          Db.session(Effect.gen(function*() {
            yield* Db.query("CREATE TABLE callers (x INT)")
            yield* Db.query("SET sort_buffer_size=3333120")
            yield* Db.query("SET @mine = 'caller''s'")
            let seen: unknown
            const look = Effect.flatMap(SqlClient.SqlClient, (client) => client.unsafe<{ v: unknown }>(see).unprepared)
              .pipe(
                Effect.map(([row]) => row === undefined ? undefined : String(row.v)),
                Effect.catchAll(() => Effect.succeed("missing"))
              )
            yield* run({
              V1__a: how === "effect"
                ? sql(...make.split("; "))
                : how === "file"
                ? make
                : `-- dblive: no-transaction\n${make}`,
              V2__b: Effect.map(look, (v) => seen = v)
            })
            expect(seen).toEqual(clean)
            expect(yield* look).toEqual(clean)
          }))))
    }
  }
})

describeMssql("what a migration does to its session on SQL Server", () => {
  const fresh = <A, E>(body: Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
    Effect.flatMap(freshMssqlDatabase, (database) =>
      Effect.provide(
        body,
        Layer.orDie(Db.layer({
          url: database.url,
          environment: "test",
          ...(database.caCert === undefined ? { ssl: "require" as const } : { sslRootCert: database.caCert })
        }))
      ))
  for (const directive of ["", "-- dblive: no-transaction\n"]) {
    it.scopedLive(`a transaction left open is no success ${directive}`, () =>
      fresh(Effect.gen(function*() {
        const error = yield* Effect.flip(
          run({ V1__a: `${directive}CREATE TABLE a (x INT);\nGO\nBEGIN TRANSACTION;\nINSERT INTO a VALUES (1);` })
        )
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed" })
        expect(error.message).toContain("still open")
        expect(yield* Db.transactionStatus).toBe("idle")
      })))
  }

  const leaks: ReadonlyArray<readonly [what: string, make: string, see: string, clean: unknown]> = [
    ["the wait for locks", "SET LOCK_TIMEOUT 4711", "SELECT CASE WHEN @@LOCK_TIMEOUT = 4711 THEN 1 ELSE 0 END AS v", 0],
    [
      "the isolation level",
      "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
      "SELECT CAST(transaction_isolation_level AS INT) AS v FROM sys.dm_exec_sessions WHERE session_id = @@SPID",
      2
    ],
    [
      "a temporary table",
      "CREATE TABLE #t (x INT)",
      "SELECT CASE WHEN OBJECT_ID('tempdb..#t') IS NULL THEN 0 ELSE 1 END AS v",
      0
    ],
    [
      "identity_insert",
      "CREATE TABLE i (id INT IDENTITY PRIMARY KEY, x INT);\nGO\nSET IDENTITY_INSERT i ON",
      "INSERT INTO i (x) VALUES (1); SELECT COUNT(*) AS v FROM i",
      undefined
    ],
    [
      "the session's context",
      "EXEC sp_set_session_context N'leak', N'x'",
      "SELECT CAST(SESSION_CONTEXT(N'leak') AS NVARCHAR(10)) AS v",
      null
    ]
  ]
  for (const [what, make, see, clean] of leaks) {
    for (const directive of ["", "-- dblive: no-transaction\n"]) {
      it.scopedLive(`${what}: not seen by the next one, nor by the caller ${directive}`, () =>
        fresh(Db.session(Effect.gen(function*() {
          let seen: unknown
          const look = Effect.map(Db.query<{ v: unknown }>(see), ([row]) => row!.v)
          yield* run({ V1__a: directive + make, V2__b: Effect.map(look, (v) => seen = v) as never })
          if (clean === undefined) {
            expect(seen).toBeDefined()
          } else {
            expect(seen).toEqual(clean)
            expect(yield* look).toEqual(clean)
          }
        }))))
    }
  }
})
