import { SqlClient } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { Db } from "../src/Db.js"
import * as DbMigrator from "../src/DbMigrator.js"
import { describeBoth, withFixture } from "./migrator/databases.js"

const history = Db.query<
  { version: string | null; type: string; success: unknown; description: string; checksum: number | null }
>(
  "SELECT version, type, success, description, checksum FROM schema_version ORDER BY installed_rank"
)
const versions = Effect.map(history, (rows) => rows.map((row) => row.version))
const states = (state: DbMigrator.State) =>
  state.migrations.map((info) => [info.version ?? info.description, info.state])

describeBoth("DbMigrator", (kind) => {
  it.scoped("runs what is pending, in the order of versions, and only once", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({
          "V10__Third.sql": "INSERT INTO a VALUES (3);",
          "V2__Second.sql": "INSERT INTO a VALUES (2); INSERT INTO a VALUES (22);",
          "V001__First.sql": "CREATE TABLE a (x INTEGER);\nINSERT INTO a VALUES (1);\n",
          "R__A_view.sql": "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT x + 1 AS y FROM a;",
          "README.md": "not a migration"
        })
        const first = yield* DbMigrator.run(Db, { migrations: source })
        expect(first.applied.map((_) => _.script)).toEqual([
          "V001__First.sql",
          "V2__Second.sql",
          "V10__Third.sql",
          "R__A_view.sql"
        ])
        expect(first.current).toBe("10")
        expect(yield* Db.query("SELECT y FROM v ORDER BY y")).toEqual([{ y: 2 }, { y: 3 }, { y: 4 }, { y: 23 }])
        expect(yield* DbMigrator.run(Db, { migrations: source })).toEqual({ applied: [], current: "10" })
        const rows = yield* history
        expect(rows.map((row) => [row.version, row.type, row.description])).toEqual([
          ["001", "SQL", "First"],
          ["2", "SQL", "Second"],
          ["10", "SQL", "Third"],
          [null, "SQL", "A view"]
        ])
        expect(rows.every((row) => row.success === true || row.success === 1)).toBe(true)
      })))

  it.scoped("a repeatable one runs again when it changed, after the versioned ones", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)", "R__v.sql": "CREATE VIEW v AS SELECT 1 AS y" })
        yield* DbMigrator.run(Db, { migrations: source })
        write({
          "R__v.sql": "DROP VIEW v; CREATE VIEW v AS SELECT z AS y FROM a",
          "V2__z.sql": "ALTER TABLE a ADD COLUMN z INTEGER"
        })
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))).toEqual([
          ["1", "success"],
          ["2", "pending"],
          ["v", "outdated"]
        ])
        const { applied } = yield* DbMigrator.run(Db, { migrations: source })
        expect(applied.map((_) => _.script)).toEqual(["V2__z.sql", "R__v.sql"])
        expect((yield* DbMigrator.validate(Db, { migrations: source })).pending).toEqual([])
      })))

  it.scoped("effects: in the migration's transaction, with what they require", () =>
    withFixture(kind, () =>
      Effect.gen(function*() {
        class Word extends Context.Tag("Word")<Word, string>() {}
        const record = {
          V1__Create: "CREATE TABLE a (x VARCHAR(20))",
          V2__Fill: Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* sql`INSERT INTO a ${sql.insert({ x: yield* Word })}`
          }),
          V3__Fail: Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* sql`INSERT INTO a VALUES ('lost')`
            return yield* Effect.fail("on purpose")
          })
        }
        const error = yield* Effect.flip(
          DbMigrator.run(Db, { migrations: DbMigrator.fromRecord(record) }).pipe(Effect.provideService(Word, "hello"))
        )
        expect(error).toMatchObject({
          _tag: "MigrationError",
          reason: "Failed",
          script: "V3__Fail",
          outcome: "RolledBack",
          serverMessage: "on purpose",
          applied: ["V1__Create", "V2__Fill"],
          notApplied: ["V3__Fail"]
        })
        expect(yield* Db.query("SELECT x FROM a")).toEqual([{ x: "hello" }])
        expect(yield* versions).toEqual(["1", "2"])
        expect((yield* history)[1]).toMatchObject({ type: "EFFECT", checksum: null })
      })))

  it.scoped("a defect of an effect is a MigrationError, too", () =>
    withFixture(kind, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(DbMigrator.run(Db, {
          migrations: DbMigrator.fromRecord({ V1__Die: { effect: Effect.die(new Error("boom")), checksum: 1 } })
        }))
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", serverMessage: "boom" })
      })))

  it.scoped("migrations behind a glob", () =>
    withFixture(kind, () =>
      Effect.gen(function*() {
        const migrations = DbMigrator.fromGlob({
          "./migrations/V1__a.ts": () =>
            Promise.resolve({ default: Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE a (x INTEGER)`) }),
          "./migrations/sub/V2__b.sql": "INSERT INTO a VALUES (1)"
        })
        const { applied } = yield* DbMigrator.run(Db, { migrations })
        expect(applied.map((_) => _.script)).toEqual(["V1__a.ts", "sub/V2__b.sql"])
      })))

  it.scoped("a failing statement: nothing of its migration stays, and the error says everything", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({
          "V1__a.sql": "CREATE TABLE a (x INTEGER);",
          "V2__b.sql": "CREATE TABLE b (x INTEGER);\n\nINSERT INTO\n\tnowhere VALUES (1);\nSELECT 1;",
          "V3__c.sql": "CREATE TABLE c (x INTEGER);"
        })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({
          _tag: "MigrationError",
          reason: "Failed",
          script: "V2__b.sql",
          version: "2",
          line: kind === "pg" ? 4 : 3,
          column: kind === "pg" ? 2 : 1,
          applied: ["V1__a.sql"],
          notApplied: ["V2__b.sql", "V3__c.sql"],
          outcome: kind === "pg" ? "RolledBack" : error.outcome
        })
        expect(error.message).toContain("nowhere")
        expect(error.message).toContain("next: nothing of this migration is left; correct the file and run again")
        expect(yield* versions).toEqual(["1"])
        expect(yield* Effect.flip(Db.query("SELECT * FROM b"))).toMatchObject({ reason: "UndefinedObject" })
        write({ "V2__b.sql": "CREATE TABLE b (x INTEGER)" })
        yield* DbMigrator.run(Db, { migrations: source })
        expect(yield* versions).toEqual(["1", "2", "3"])
      })))

  it.scoped("line and column of an error on line 87 of a file with CRLF, a BOM, dollar quotes and comments", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        const lines = Array.from({ length: 120 }, (_, i) => `-- line ${i + 1}: it's a comment; "with" $$ quotes /*`)
        lines[9] = "/* a comment; over"
        lines[10] = "   two lines ' */"
        lines[20] = "CREATE TABLE t (id INTEGER PRIMARY KEY, \"odd;name\" TEXT); INSERT INTO t VALUES (1, 'a;"
        lines[21] = "b''c'); -- not the end;"
        if (kind === "pg") {
          lines[30] = "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$"
          lines[31] = "BEGIN"
          lines[32] = "  RETURN (SELECT count(*) FROM t WHERE \"odd;name\" = $$;'$$);"
          lines[33] = "END;"
          lines[34] = "$body$; SELECT f();"
        } else {
          lines[30] = "CREATE TRIGGER r AFTER INSERT ON t BEGIN"
          lines[31] = "  UPDATE t SET \"odd;name\" = CASE WHEN 1 THEN ';' END WHERE id = 0;"
          lines[32] = "END;"
        }
        lines[85] = "  SELECT '😀', id FROM t;"
        lines[86] = kind === "pg" ? "  SELECT '😀', /* ; */ nosuchcolumn FROM t;" : "  SELECT '😀', 1; SELEKT 1;"
        write({ "V1__Long.sql": Buffer.from("\ufeff" + lines.join("\r\n"), "utf8") })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({
          reason: "Failed",
          line: 87,
          column: kind === "pg" ? 24 : 19,
          script: "V1__Long.sql"
        })
        if (error._tag === "MigrationError") {
          expect(error.excerpt.map((_) => _.line)).toEqual([85, 86, 87, 88, 89])
          expect(error.message.split("\n")).toContain(`> 87 | ${lines[86]}`)
          expect(error.message).toContain(
            kind === "pg" ? "column \"nosuchcolumn\" does not exist (42703)" : "near \"SELEKT\""
          )
        }
      })))

  it.scoped("an edited file is refused, and repair mends it", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
        yield* DbMigrator.run(Db, { migrations: source })
        write({ "V1__a.sql": "CREATE TABLE a (x BIGINT)", "V2__b.sql": "CREATE TABLE b (x INTEGER)" })
        for (const operation of [DbMigrator.run, DbMigrator.validate, DbMigrator.plan]) {
          const error = yield* Effect.flip<unknown, DbMigrator.MigrationError | { _tag: string }, any>(
            operation(Db, { migrations: source })
          )
          expect(error).toMatchObject({
            _tag: "MigrationError",
            reason: "Checksum",
            script: "V1__a.sql",
            notApplied: ["V2__b.sql"]
          })
          expect((error as DbMigrator.MigrationError).message).toMatch(
            /was edited after it had been applied: its checksum is -?\d+, the history has -?\d+/
          )
        }
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))).toEqual([["1", "changed"], [
          "2",
          "pending"
        ]])
        const repairs = yield* DbMigrator.repair(Db, { migrations: source })
        expect(repairs).toMatchObject([{ _tag: "Align", row: { version: "1" } }])
        expect(yield* DbMigrator.repair(Db, { migrations: source })).toEqual([])
        yield* DbMigrator.run(Db, { migrations: source })
        yield* DbMigrator.validate(Db, { migrations: source })
        // The line ends of another system are no edit.
        write({ "V2__b.sql": "\ufeffCREATE TABLE b (x INTEGER)\r\n" })
        yield* DbMigrator.validate(Db, { migrations: source })
      })))

  it.scoped("a lower version that arrives late is refused, or run when it is allowed", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)", "V3__c.sql": "CREATE TABLE c (x INTEGER)" })
        yield* DbMigrator.run(Db, { migrations: source })
        write({ "V2__b.sql": "CREATE TABLE b (x INTEGER)", "V4__d.sql": "CREATE TABLE d (x INTEGER)" })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({ reason: "OutOfOrder", script: "V2__b.sql", notApplied: ["V4__d.sql"] })
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))).toEqual([
          ["1", "success"],
          ["2", "ignored"],
          ["3", "success"],
          ["4", "pending"]
        ])
        expect(yield* versions).toEqual(["1", "3"])
        yield* DbMigrator.run(Db, { migrations: source, outOfOrder: true })
        expect(yield* versions).toEqual(["1", "3", "2", "4"])
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))[1]).toEqual(["2", "out of order"])
        expect(
          (yield* Db.query<{ version: string }>("SELECT version FROM schema_version ORDER BY version_rank")).map((_) =>
            _.version
          )
        )
          .toEqual(["1", "2", "3", "4"])
      })))

  it.scoped("a removed file is missing, a newer release's version is not", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "SELECT 1", "V2__b.sql": "SELECT 1", "V3__c.sql": "SELECT 1" })
        yield* DbMigrator.run(Db, { migrations: source })
        write({ "V3__c.sql": undefined })
        expect(states(yield* DbMigrator.validate(Db, { migrations: source }))[2]).toEqual(["3", "future"])
        yield* DbMigrator.run(Db, { migrations: source })
        write({ "V3__c.sql": "SELECT 1", "V2__b.sql": undefined })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({ reason: "Missing", script: "V2__b.sql", version: "2" })
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))[1]).toEqual(["2", "missing"])
      })))

  it.scoped("faults of the files are found before anything runs", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        const refused = (files: Record<string, string | Uint8Array>) =>
          Effect.gen(function*() {
            write(files)
            const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
            write(Object.fromEntries(Object.keys(files).map((name) => [name, undefined])))
            return error
          })
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
        expect(yield* refused({ "V01.0__b.sql": "" })).toMatchObject({
          reason: "DuplicateVersion",
          script: "V1__a.sql"
        })
        expect(yield* refused({ "R__x.sql": "", "sub/R__x.sql": "" })).toMatchObject({ reason: "DuplicateVersion" })
        expect(yield* refused({ "V2_missing_underscore.sql": "" })).toMatchObject({ reason: "Parse" })
        expect(yield* refused({ "V2__x.sql": "SELECT 1;\nSELECT 'x" })).toMatchObject({
          reason: "Parse",
          line: 2,
          column: 8
        })
        expect(yield* refused({ "V2__x.sql": "SELECT\n '${who}'" })).toMatchObject({
          reason: "Parse",
          line: 2,
          column: 3
        })
        expect(yield* refused({ "V2__x.sql": "-- dblive: no-transactions\nSELECT 1" })).toMatchObject({
          reason: "Parse",
          line: 1
        })
        expect(yield* refused({ "V2__x.sql": "SELECT 1;\n-- dblive: no-transaction" })).toMatchObject({
          reason: "Parse",
          line: 2
        })
        expect(yield* refused({ "V2__x.sql": "SELECT 1;\nCOMMIT;" })).toMatchObject({ reason: "Parse", line: 2 })
        expect(yield* refused({ "V2__x.sql": new Uint8Array([0x53, 0xff, 0xfe]) })).toMatchObject({ reason: "Parse" })
        expect(yield* Effect.flip(DbMigrator.run(Db, { migrations: DbMigrator.fromDirectory("/nowhere/at/all") })))
          .toMatchObject({ reason: "Missing" })
        expect(yield* Effect.flip(Db.query("SELECT * FROM schema_version"))).toMatchObject({
          reason: "UndefinedObject"
        })
        expect(yield* Effect.flip(Db.query("SELECT * FROM a"))).toMatchObject({ reason: "UndefinedObject" })
      })))

  it.scoped("placeholders: replaced everywhere, places of errors stay right, repeatable ones notice new values", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({
          "V1__a.sql": "CREATE TABLE ${table} (x VARCHAR(20)); INSERT INTO ${table} VALUES ('${what} ${what}')",
          "R__v.sql": "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT '${what}' AS y"
        })
        const placeholders = { table: "quite_a_long_name", what: "it" }
        yield* DbMigrator.run(Db, { migrations: source, placeholders })
        expect(yield* Db.query("SELECT x FROM quite_a_long_name")).toEqual([{ x: "it it" }])
        const again = yield* DbMigrator.run(Db, { migrations: source, placeholders: { ...placeholders, what: "that" } })
        expect(again.applied.map((_) => _.script)).toEqual(["R__v.sql"])
        expect(yield* Db.query("SELECT y FROM v")).toEqual([{ y: "that" }])
        const line = " '${table}', x FROM ${table}; SELECT '${table}' FROM ${table} WHERE (;"
        write({
          "V2__b.sql": "-- dblive: no-placeholders\nINSERT INTO quite_a_long_name VALUES ('${what}');",
          "V3__c.sql": `SELECT '\${table}',\n${line}`
        })
        const error = yield* Effect.flip(
          DbMigrator.run(Db, { migrations: source, placeholders: { ...placeholders, what: "that" } })
        )
        // PostgreSQL points at the semicolon; SQLite says no place, so that it is the statement's.
        const column = 1 + (kind === "pg" ? line.lastIndexOf(";") : line.indexOf("SELECT"))
        expect(error).toMatchObject({ script: "V3__c.sql", line: 2, column, applied: ["V2__b.sql"] })
        expect(yield* Db.query("SELECT x FROM quite_a_long_name ORDER BY x")).toEqual([{ x: "${what}" }, {
          x: "it it"
        }])
      })))

  it.scoped("target stops before what is above it", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "SELECT 1", "V2__b.sql": "SELECT 1", "V2_1__c.sql": "SELECT 1", "R__v.sql": "SELECT 1" })
        expect((yield* DbMigrator.run(Db, { migrations: source, target: "2" })).current).toBe("2")
        expect(states(yield* DbMigrator.status(Db, { migrations: source, target: "2" }))).toEqual([
          ["1", "success"],
          ["2", "success"],
          ["2.1", "above target"],
          ["v", "above target"]
        ])
        expect((yield* DbMigrator.run(Db, { migrations: source })).applied).toHaveLength(2)
        expect(yield* Effect.flip(DbMigrator.run(Db, { migrations: source, target: "two" }))).toMatchObject({
          reason: "Parse"
        })
      })))

  it.scoped("baseline, and what is below it", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "SELECT nonsense", "V2__b.sql": "SELECT nonsense", "V3__c.sql": "SELECT 1" })
        yield* DbMigrator.baseline(Db, { migrations: source, version: "2" })
        expect(states(yield* DbMigrator.status(Db, { migrations: source })).sort()).toEqual([
          ["1", "below baseline"],
          ["2", "baseline"],
          ["2", "below baseline"],
          ["3", "pending"]
        ])
        expect((yield* DbMigrator.run(Db, { migrations: source })).applied.map((_) => _.version)).toEqual(["3"])
        expect(yield* Effect.flip(DbMigrator.baseline(Db, { migrations: source }))).toMatchObject({ reason: "History" })
      })))

  it.scoped("undo: the last one, or down to the target; the history keeps both", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({
          "V1__a.sql": "CREATE TABLE a (x INTEGER)",
          "U1__a.sql": "DROP TABLE a",
          "V2__b.sql": "CREATE TABLE b (x INTEGER)",
          "U2__b.sql": "DROP TABLE b",
          "V3__c.sql": "CREATE TABLE c (x INTEGER)",
          "U3__c.sql": "DROP TABLE c"
        })
        yield* DbMigrator.run(Db, { migrations: source })
        expect((yield* DbMigrator.undo(Db, { migrations: source })).map((_) => _.script)).toEqual(["U3__c.sql"])
        expect(yield* Effect.flip(Db.query("SELECT * FROM c"))).toMatchObject({ reason: "UndefinedObject" })
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))).toEqual([
          ["1", "success"],
          ["2", "success"],
          ["3", "pending"]
        ])
        yield* DbMigrator.run(Db, { migrations: source })
        expect((yield* DbMigrator.undo(Db, { migrations: source, target: "2" })).map((_) => _.version)).toEqual([
          "3",
          "2"
        ])
        expect((yield* history).map((row) => `${row.version} ${row.type}`)).toEqual([
          "1 SQL",
          "2 SQL",
          "3 SQL",
          "3 UNDO_SQL",
          "3 SQL",
          "3 UNDO_SQL",
          "2 UNDO_SQL"
        ])
        write({ "U1__a.sql": undefined })
        expect(yield* Effect.flip(DbMigrator.undo(Db, { migrations: source }))).toMatchObject({ reason: "Missing" })
      })))

  it.scoped("plan shows the SQL and changes nothing", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({
          "V1__a.sql": "-- first\nCREATE TABLE ${t} (x INTEGER);\n\nINSERT INTO ${t} VALUES (1);",
          "V2__b.sql": "-- dblive: no-transaction\nVACUUM;"
        })
        const plan = yield* DbMigrator.plan(Db, { migrations: source, placeholders: { t: "a" } })
        expect(plan).toEqual([
          {
            script: "V1__a.sql",
            version: "1",
            description: "a",
            transaction: true,
            statements: [{ line: 2, text: "CREATE TABLE a (x INTEGER)" }, { line: 4, text: "INSERT INTO a VALUES (1)" }]
          },
          {
            script: "V2__b.sql",
            version: "2",
            description: "b",
            transaction: false,
            statements: [{ line: 2, text: "VACUUM" }]
          }
        ])
        expect(yield* Effect.flip(Db.query("SELECT * FROM schema_version"))).toMatchObject({
          reason: "UndefinedObject"
        })
      })))

  it.scoped("without a transaction: what cannot run in one runs, and a failure leaves a row that says how far it came", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        const outside = kind === "pg" ? "CREATE INDEX CONCURRENTLY a_x ON a (x)" : "VACUUM"
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)", "V2__index.sql": `${outside};` })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({ reason: "Failed", script: "V2__index.sql", line: 1, column: 1 })
        expect(error.message).toContain("-- dblive: no-transaction")
        write({
          "V2__index.sql":
            `-- dblive: no-transaction\n${outside};\nINSERT INTO a VALUES (1);\nINSERT INTO a\n  VALUES (x y);`
        })
        const second = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(second).toMatchObject({ reason: "Failed", line: kind === "pg" ? 5 : 5 })
        expect(second.message).toContain("2 statements before it stay applied")
        expect(second.message).toContain("run repair")
        expect((yield* history)[1]).toMatchObject({
          version: "2",
          description: "index [failed at line 5; 2 statements done]"
        })
        const third = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(third).toMatchObject({ reason: "Failed", script: "V2__index.sql" })
        expect(third.message).toContain("then run repair")
        expect(states(yield* DbMigrator.status(Db, { migrations: source }))[1]).toEqual(["2", "failed"])
        expect(yield* DbMigrator.repair(Db, { migrations: source })).toMatchObject([{
          _tag: "RemoveFailed",
          row: { version: "2" }
        }])
        write({ "V2__index.sql": "-- dblive: no-transaction\nINSERT INTO a VALUES (2);" })
        yield* DbMigrator.run(Db, { migrations: source })
        expect((yield* history)[1]).toMatchObject({ version: "2", description: "index" })
        expect(yield* Db.query("SELECT x FROM a ORDER BY x")).toEqual([{ x: 1 }, { x: 2 }])
      })))

  it.scoped("Flyway's history is adopted, and never passed over", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        // As Flyway creates and fills it.
        yield* Db.batch([
          [
            kind === "pg"
              ? `CREATE TABLE "flyway_schema_history" ("installed_rank" INT NOT NULL, "version" VARCHAR(50),
              "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL, "script" VARCHAR(1000) NOT NULL,
              "checksum" INTEGER, "installed_by" VARCHAR(100) NOT NULL, "installed_on" TIMESTAMP NOT NULL DEFAULT now(),
              "execution_time" INTEGER NOT NULL, "success" BOOLEAN NOT NULL,
              CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank"))`
              : `CREATE TABLE "flyway_schema_history" ("installed_rank" INT NOT NULL PRIMARY KEY, "version" VARCHAR(50),
              "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL, "script" VARCHAR(1000) NOT NULL,
              "checksum" INT, "installed_by" VARCHAR(100) NOT NULL,
              "installed_on" TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now')),
              "execution_time" INT NOT NULL, "success" BOOLEAN NOT NULL)`
          ],
          ["CREATE INDEX \"flyway_schema_history_s_idx\" ON \"flyway_schema_history\" (\"success\")"],
          // 123456789 has the CRC32 0xcbf43926, which is -873187034 as a signed number.
          [
            `INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by,
            execution_time, success) VALUES (1, '1', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'me', 0, TRUE),
            (2, '2', 'Digits', 'SQL', 'V2__Digits.sql', -873187034, 'me', 3, TRUE),
            (3, '3', 'By Java', 'JDBC', 'db.migration.V3__By_Java', NULL, 'me', 3, TRUE),
            (4, NULL, 'A view', 'SQL', 'R__A_view.sql', -873187034, 'me', 3, TRUE)`
          ]
        ])
        write({
          "V1__Old.sql": "SELECT nonsense",
          "V2__Digits.sql": "1234\r\n56\n789\n",
          "V3__By_Java.sql": "SELECT nonsense",
          "R__A_view.sql": "\ufeff123456789",
          "V4__New.sql": "CREATE TABLE a (x INTEGER)"
        })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({ reason: "History" })
        expect(error.message).toContain("set the option table (--table) to flyway_schema_history")
        const table = "flyway_schema_history"
        const { applied } = yield* DbMigrator.run(Db, { migrations: source, table })
        expect(applied.map((_) => _.script)).toEqual(["V4__New.sql"])
        yield* DbMigrator.validate(Db, { migrations: source, table })
        expect(
          yield* Db.query(
            "SELECT installed_rank, version, description, type, script FROM flyway_schema_history WHERE installed_rank = 5"
          )
        )
          .toEqual([{ installed_rank: 5, version: "4", description: "New", type: "SQL", script: "V4__New.sql" }])
      })))

  it.scoped("the table of Flyway 3 is used in its shape", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        yield* Db.batch([
          [`CREATE TABLE schema_version (version_rank INT NOT NULL, installed_rank INT NOT NULL, version VARCHAR(50) NOT NULL PRIMARY KEY,
            description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, checksum INTEGER,
            installed_by VARCHAR(100) NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
            execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL)`],
          ["INSERT INTO schema_version VALUES (1, 1, '1', 'a', 'SQL', 'V1__a.sql', NULL, 'me', CURRENT_TIMESTAMP, 1, TRUE)"]
        ])
        write({
          "V1__a.sql": "SELECT nonsense",
          "V2__b.sql": "CREATE TABLE b (x INTEGER)",
          "U2__b.sql": "DROP TABLE b"
        })
        yield* DbMigrator.run(Db, { migrations: source })
        expect(
          yield* Db.query("SELECT version_rank, installed_rank, version FROM schema_version ORDER BY installed_rank")
        ).toEqual([
          { version_rank: 1, installed_rank: 1, version: "1" },
          { version_rank: 2, installed_rank: 2, version: "2" }
        ])
        yield* DbMigrator.undo(Db, { migrations: source })
        expect(yield* versions).toEqual(["1"])
        yield* DbMigrator.run(Db, { migrations: source })
        write({ "R__v.sql": "SELECT 1" })
        expect(yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))).toMatchObject({ reason: "History" })
      })))

  it.scoped("a table of the same name that is no history is left alone", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE schema_version (version INTEGER)")
        write({ "V1__a.sql": "SELECT 1" })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
        expect(error).toMatchObject({ reason: "History" })
      })))

  it.scoped("a layer runs or validates them when it is built", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
        const validated = DbMigrator.layer(Db, { migrations: source, onStart: "validate" })
        expect(yield* Effect.flip(Effect.provide(Effect.void, validated))).toMatchObject({ reason: "Pending" })
        yield* Effect.provide(Db.query("INSERT INTO a VALUES (1)"), DbMigrator.layer(Db, { migrations: source }))
        yield* Effect.provide(Effect.void, validated)
      })))

  it.scoped("a layer tells the health report the state of its migrations", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        let told: Effect.Effect<DbMigrator.HealthStatus | null> = Effect.succeed(null)
        const target: DbMigrator.Target<Db> = {
          info: Db.info,
          session: Db.session,
          withLimits: Db.withLimits,
          watchMigrations: (status) => Effect.sync(() => told = status)
        }
        const layer = (onStart: DbMigrator.OnStart) =>
          Effect.provide(Effect.void, DbMigrator.layer(target, { migrations: source, onStart }))
        const later = TestClock.adjust("10 seconds")
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
        yield* layer("off")
        expect(yield* told).toBe("pending")
        yield* layer("run")
        expect(yield* told).toBe("upToDate")
        write({ "V1__a.sql": "CREATE TABLE a (x BIGINT)" })
        expect(yield* told).toBe("upToDate")
        yield* later
        expect(yield* told).toBe("failed")
        expect(yield* DbMigrator.healthStatus(Db, { migrations: source })).toBe("failed")
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
        // All connections are in use: what was seen last, soon enough.
        yield* later
        const asking = yield* Effect.gen(function*() {
          yield* Db.reserve
          yield* Db.reserve
          const asking = yield* Effect.fork(told)
          yield* TestClock.adjust("1 second")
          return yield* asking
        }).pipe(Effect.scoped)
        expect(asking).toBe("failed")
        yield* later
        expect(yield* told).toBe("upToDate")
      })))

  it.scoped("events tell what happens", () =>
    withFixture(kind, ({ source, write }) =>
      Effect.gen(function*() {
        write({ "V1__a.sql": "CREATE TABLE a (x INTEGER);\nSELECT 1;", "V2__b.sql": "SELECT 1" })
        const events: Array<string> = []
        yield* DbMigrator.run(Db, {
          migrations: source,
          onEvent: (event) =>
            Effect.sync(() => {
              events.push(
                event._tag === "Statement" ?
                  `statement ${event.count} of line ${event.line}`
                  : event._tag === "Waiting" ?
                  "waiting"
                  : `${event._tag} ${event.script} ${event.index}/${event.total}`
              )
            })
        })
        expect(events).toEqual([
          "Started V1__a.sql 1/2",
          "statement 1 of line 1",
          "statement 2 of line 2",
          "Ended V1__a.sql 1/2",
          "Started V2__b.sql 2/2",
          "statement 1 of line 1",
          "Ended V2__b.sql 2/2"
        ])
      })))
})

describe("MigrationError", () => {
  it("survives being written down", () => {
    const error = new DbMigrator.MigrationError({
      message: "m",
      reason: "Failed",
      outcome: "RolledBack",
      database: "default",
      problem: "p",
      advice: "a",
      excerpt: [{ line: 1, text: "x" }],
      applied: [],
      notApplied: ["V1__a.sql"],
      problems: []
    })
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ _tag: "MigrationError", notApplied: ["V1__a.sql"] })
  })
})
