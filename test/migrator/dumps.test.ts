/**
 * Dumps run as migrations as their tools write them. The tool of this machine makes one; where it is missing, the one that
 * was kept in `fixtures/` is run.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Mysql from "mysql2/promise"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { describeMariadb, freshMysqlDatabase, mysqlQuery } from "../kit/mysql.js"
import { describePostgres, freshDatabase, query } from "../kit/postgres.js"
import { withFixture } from "./databases.js"

const kept = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

/** What the tool writes, or what was kept of it; `DBLIVE_KEEP_DUMPS=1` keeps it anew. */
const dumpOf = (
  name: string,
  program: string,
  args: ReadonlyArray<string>,
  options: { input?: string; password?: string } = {}
) => {
  try {
    const text = execFileSync(program, args, {
      encoding: "utf8",
      stdio: "pipe",
      input: options.input,
      env: {
        ...process.env,
        PATH: `${process.env["PATH"]}:/usr/lib/postgresql/15/bin`,
        PGPASSWORD: options.password,
        MYSQL_PWD: options.password
      }
    })
    if (process.env["DBLIVE_KEEP_DUMPS"] === "1") {
      fs.writeFileSync(kept(name), text)
    }
    return text
  } catch (error) {
    // A tool that is missing, or one that is older than the server of the tests.
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT"
    if (isMissing || /server version mismatch/.test(String(error))) {
      return fs.readFileSync(kept(name), "utf8")
    }
    throw error
  }
}

const run = (files: Readonly<Record<string, string>>) =>
  DbMigrator.run(Db, { migrations: DbMigrator.fromRecord(files) })

const bodies = Effect.map(
  Db.query<{ v: string | null }>("SELECT v FROM p ORDER BY id"),
  (rows) => rows.map(({ v }) => v)
)

describe("a dump of sqlite3", () => {
  const schema = `create table p(id integer primary key autoincrement, v text);
    create table c(id integer primary key, p integer references p on delete cascade);
    insert into c values(1,1); insert into p values(1,'a;''b'),(2,NULL);
    create trigger t after insert on c begin update p set v = 'x' where id = 2; end;`
  it.scopedLive("runs, with its row in its own transaction", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        const dump = dumpOf("sqlite.sql", "sqlite3", [":memory:"], { input: `${schema}\n.dump\n` })
        expect(dump).toContain("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;")
        const error = yield* Effect.flip(run({ V1__Dump: dump.replace("COMMIT;", "SELECT nothing;\nCOMMIT;") }))
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", outcome: "RolledBack" })
        yield* run({ V1__Dump: dump, V2__Next: "INSERT INTO c VALUES (2, 2);" })
        expect(yield* bodies).toEqual(["a;'b", "x"])
        expect(yield* Effect.flip(Db.query("INSERT INTO c VALUES (3, 9)"))).toMatchObject({
          reason: "ForeignKeyViolation"
        })
      })))

  it.scopedLive("with a virtual table is refused where it stands, and told what to do", () =>
    withFixture("sqlite", () =>
      Effect.gen(function*() {
        const fts = "create virtual table f using fts5(body); insert into f values ('a');"
        const dump = dumpOf("sqlite-fts.sql", "sqlite3", [":memory:"], { input: `${fts}\n.dump\n` })
        expect(dump).toContain("PRAGMA writable_schema=ON;")
        const error = yield* Effect.flip(run({ V1__Dump: dump }))
        const line = dump.slice(0, dump.search(/INSERT INTO sqlite_(?:schema|master)/)).split("\n").length
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", line, outcome: "RolledBack" })
        expect(error.message).toMatch(/sqlite3 shell.*CREATE VIRTUAL TABLE/)
      })))
})

describePostgres("a dump of pg_dump", () => {
  const schema = "CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO p VALUES (1, 'a;''b'), (2, NULL);" +
    "CREATE FUNCTION f() RETURNS INTEGER LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;"
  const make = (name: string, ...args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const { host, name: database, password, port, url, user } = yield* freshDatabase
      yield* query(url, schema)
      return dumpOf(name, "pg_dump", ["-h", host, "-p", String(port), "-U", user, "-d", database, ...args], {
        password
      })
    })

  it.scopedLive("runs with rows as INSERT, and leaves the next one its session", () =>
    withFixture("pg", () =>
      Effect.gen(function*() {
        const dump = yield* make("pg.sql", "--rows-per-insert=1000", "--no-owner")
        expect(dump).toContain("\\restrict")
        yield* run({ V1__Dump: dump, V2__Next: "INSERT INTO p VALUES (3, 'after');" })
        expect(yield* bodies).toEqual(["a;'b", null, "after"])
      })))

  it.scopedLive("with rows as COPY is refused where it stands, and told what to do", () =>
    withFixture("pg", () =>
      Effect.gen(function*() {
        const dump = yield* make("pg-copy.sql", "--no-owner")
        const error = yield* Effect.flip(run({ V1__Dump: dump }))
        const line = dump.slice(0, dump.indexOf("COPY public.p")).split("\n").length
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Parse", line })
        expect(error.message).toContain("pg_dump --rows-per-insert")
      })))
})

describeMariadb("a dump of MariaDB", () => {
  const schema: ReadonlyArray<string> = [
    "CREATE TABLE p (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)",
    "INSERT INTO p VALUES (1, 'a;''b'), (2, NULL)",
    "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))",
    "CREATE VIEW w AS SELECT * FROM p",
    "CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW IF NEW.id > 9 THEN SET NEW.id = 9; END IF",
    "CREATE PROCEDURE q() BEGIN SELECT 1; SELECT 2; END"
  ]
  for (const args of [["--routines"], ["--routines", "--no-autocommit", "--skip-add-locks"], ["--no-create-info"]]) {
    it.scopedLive(`by mariadb-dump ${args.join(" ")}`, () =>
      withFixture("mysql", () =>
        Effect.gen(function*() {
          const { host, name, password, port, url, user } = yield* freshMysqlDatabase
          for (const text of schema) {
            yield* mysqlQuery(url, text)
          }
          const dump = dumpOf(
            `mariadb${args.join("")}.sql`,
            "mariadb-dump",
            ["--protocol=tcp", "-h", host, "-P", String(port), "-u", user, ...args, name],
            { password }
          ).replaceAll(/DEFINER=`[^`]*`@`[^`]*`/g, "DEFINER=CURRENT_USER")
          const tables = args.includes("--no-create-info") ? schema.filter((text) => /TABLE/.test(text)) : []
          yield* run({
            V1__Tables: tables.map((text) => `${text};`).join("\n"),
            V2__Dump: dump,
            V3__Next: "INSERT INTO p (v) VALUES ('after');"
          })
          expect(yield* bodies).toEqual(["a;'b", null, "after"])
          expect(yield* Effect.flip(Db.query("INSERT INTO c VALUES (1, 99)"))).toMatchObject({
            reason: "ForeignKeyViolation"
          })
        })), 60_000)
  }

  it.scopedLive("with a routine made under NO_BACKSLASH_ESCAPES", () =>
    withFixture("mysql", () =>
      Effect.gen(function*() {
        const { host, name, password, port, url, user } = yield* freshMysqlDatabase
        const procedure = "CREATE PROCEDURE q() BEGIN SELECT 'c:\\' AS a; SELECT 2 AS b; END"
        yield* Effect.promise(async () => {
          const connection = await Mysql.createConnection(url)
          await connection.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
          await connection.query(procedure)
          await connection.end()
        })
        yield* mysqlQuery(url, "CREATE PROCEDURE r() SELECT 'it\\'s; c' AS a")
        const dump = dumpOf(
          "mariadb--routines--no-backslash-escapes.sql",
          "mariadb-dump",
          ["--protocol=tcp", "-h", host, "-P", String(port), "-u", user, "--routines", name],
          { password }
        ).replaceAll(/DEFINER=`[^`]*`@`[^`]*`/g, "DEFINER=CURRENT_USER")
        yield* run({ V1__Dump: dump })
        expect(yield* Db.script("CALL q(); CALL r()")).toEqual(
          expect.arrayContaining([[{ a: "c:\\" }], [{ b: 2 }], [{ a: "it's; c" }]])
        )
      })))

  it.scopedLive("with binary values as they are is refused, and told of --hex-blob", () =>
    withFixture("mysql", ({ source, write }) =>
      Effect.gen(function*() {
        const { host, name, password, port, url, user } = yield* freshMysqlDatabase
        yield* mysqlQuery(url, "CREATE TABLE b (id INT PRIMARY KEY, v BLOB)")
        yield* mysqlQuery(url, "INSERT INTO b VALUES (1, X'FF00275C80'), (2, X'C3A9')")
        const dump = (...args: ReadonlyArray<string>): Buffer => {
          try {
            return execFileSync(
              "mariadb-dump",
              ["--protocol=tcp", "-h", host, "-P", String(port), "-u", user, ...args, name],
              { stdio: "pipe", env: { ...process.env, MYSQL_PWD: password } }
            )
          } catch {
            // The tool is missing: what it writes.
            return args.includes("--hex-blob")
              ? Buffer.from(
                "CREATE TABLE `b` (id INT PRIMARY KEY, v BLOB);\nINSERT INTO `b` VALUES (1,0xFF00275C80),(2,0xC3A9);"
              )
              : Buffer.from(
                "-- MariaDB dump 10.19\nINSERT INTO `b` VALUES (1,_binary '\xff\\0\\'\\\\\x80');\n",
                "latin1"
              )
          }
        }
        for (const args of [[], ["--compact"]]) {
          write({ "V1__Dump.sql": dump(...args) })
          const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
          expect(error).toMatchObject({ _tag: "MigrationError", reason: "Parse" })
          expect(error.message).toContain("--hex-blob")
          expect(error.message).not.toContain("save it as UTF-8")
        }
        write({ "V1__Dump.sql": Buffer.from("INSERT INTO b VALUES ('caf\xe9')", "latin1") })
        expect((yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))).message).toContain("save it as UTF-8")
        write({ "V1__Dump.sql": dump("--hex-blob") })
        yield* DbMigrator.run(Db, { migrations: source })
        expect(yield* Db.query("SELECT HEX(v) AS v FROM b ORDER BY id")).toEqual([{ v: "FF00275C80" }, { v: "C3A9" }])
      })))

  it.scopedLive("by phpMyAdmin, with and without the directive", () =>
    withFixture("mysql", () =>
      Effect.gen(function*() {
        const dump = fs.readFileSync(kept("phpmyadmin.sql"), "utf8")
        yield* run({
          V1__Dump: dump,
          V2__Next: "INSERT INTO p (v) VALUES ('after');",
          V3__Again: `-- dblive: no-transaction\n${dump.replaceAll("`p`", "`again`")}`,
          V4__Next: "INSERT INTO again (v) VALUES ('after');"
        })
        expect(yield* bodies).toEqual(["a;'b", null, "after"])
        expect(yield* Db.query("SELECT COUNT(*) AS n FROM again")).toMatchObject([{ n: 3 }])
        expect(yield* Db.query("SELECT version FROM schema_version WHERE success")).toHaveLength(4)
      })))
})
