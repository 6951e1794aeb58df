import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import * as Mysql from "../../src/driver/Mysql.js"
import { describeMariadb, describeMysql, freshMysqlDatabase, mysqlQuery } from "../kit/mysql.js"

const fresh = Effect.map(freshMysqlDatabase, ({ url }) => ({
  url,
  layer: Layer.merge(Layer.orDie(Db.layerDriver({ url, environment: "test" }, Mysql.make)), NodeContext.layer)
}))

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)

const history = Db.query<{ version: string; description: string; success: unknown }>(
  "SELECT version, description, success FROM schema_version ORDER BY installed_rank"
)

describeMysql("migrations on MySQL", () => {
  it.scopedLive("stored programs, DELIMITER, comments; repeatable and undo; then nothing to do", () =>
    Effect.gen(function*() {
      const { layer } = yield* fresh
      yield* Effect.gen(function*() {
        const migrations = DbMigrator.fromRecord({
          V1__Tables: "# notes\nCREATE TABLE `a;b` (x INT); -- done;\nINSERT INTO `a;b` VALUES (1), (2);",
          V2__Program:
            "DELIMITER //\nCREATE PROCEDURE p() BEGIN INSERT INTO `a;b` VALUES (3); INSERT INTO `a;b` VALUES (4); END//\n" +
            "DELIMITER ;\nCALL p();",
          V3__Trigger:
            "CREATE TRIGGER t BEFORE INSERT ON `a;b` FOR EACH ROW BEGIN IF NEW.x > 9 THEN SET NEW.x = 9; END IF; END;\n" +
            "INSERT INTO `a;b` VALUES (99);",
          V4__Data: "INSERT INTO `a;b` VALUES (5); UPDATE `a;b` SET x = 6 WHERE x = 5;",
          U4__Data: "DELETE FROM `a;b` WHERE x = 6",
          R__View: "CREATE OR REPLACE VIEW v AS SELECT MAX(x) AS m FROM `a;b`"
        })
        const { applied } = yield* DbMigrator.run(Db, { migrations })
        expect(applied).toHaveLength(5)
        expect((yield* Db.query<{ x: number }>("SELECT x FROM `a;b` ORDER BY x")).map((row) => row.x)).toEqual([
          1,
          2,
          3,
          4,
          6,
          9
        ])
        expect((yield* DbMigrator.validate(Db, { migrations })).current).toBe("4")
        yield* DbMigrator.undo(Db, { migrations })
        expect((yield* DbMigrator.run(Db, { migrations })).applied.map((_) => _.script)).toEqual(["V4__Data"])
        expect((yield* DbMigrator.run(Db, { migrations })).applied).toEqual([])
      }).pipe(Effect.provide(layer), quiet)
    }))

  it.scopedLive("DDL commits by itself: a failed row says how far it came, until it is repaired", () =>
    Effect.gen(function*() {
      const { layer } = yield* fresh
      yield* Effect.gen(function*() {
        const migrations = (last: string) =>
          DbMigrator.fromRecord({ V1__Two_tables: `CREATE TABLE a (x INT);\nCREATE TABLE b (x INT);\n${last}` })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: migrations("SELECT\n  1,\n  FROM a;") }))
        expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", line: 5, code: "1064" })
        expect(error.message).toContain("2 statements before it stay applied")
        expect(yield* history).toMatchObject([{
          version: "1",
          description: "Two tables [failed at line 5; 2 statements done]"
        }])
        expect(yield* Effect.flip(DbMigrator.run(Db, { migrations: migrations("SELECT 1") }))).toMatchObject({
          reason: "Failed"
        })
        yield* DbMigrator.repair(Db, { migrations: migrations("") })
        yield* Db.query("DROP TABLE a")
        yield* Db.query("DROP TABLE b")
        yield* DbMigrator.run(Db, { migrations: migrations("SELECT 1") })
        expect(yield* history).toMatchObject([{ version: "1", description: "Two tables" }])
      }).pipe(Effect.provide(layer), quiet)
    }))

  it.scopedLive("a file of data only is one transaction with its row", () =>
    Effect.gen(function*() {
      const { layer } = yield* fresh
      yield* Effect.gen(function*() {
        const migrations = DbMigrator.fromRecord({
          V1__Table: "CREATE TABLE a (x INT PRIMARY KEY)",
          V2__Data: "INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);"
        })
        const error = yield* Effect.flip(DbMigrator.run(Db, { migrations }))
        expect(error).toMatchObject({ reason: "Failed", line: 2, outcome: "RolledBack" })
        expect(yield* Db.query("SELECT x FROM a")).toEqual([])
        expect(yield* history).toHaveLength(1)
      }).pipe(Effect.provide(layer), quiet)
    }))

  it.scopedLive("one runner at a time; a waiting one says which it waits for", () =>
    Effect.gen(function*() {
      const { layer, url } = yield* fresh
      yield* Effect.gen(function*() {
        class Other extends Db.Tag("Other")<Other>() {}
        const started = yield* Deferred.make<void>()
        const waiting = yield* Deferred.make<string>()
        const migrations = DbMigrator.fromRecord({
          V1__a: "CREATE TABLE a (x INT)",
          V2__b: Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(waiting))
        })
        const first = yield* Effect.fork(DbMigrator.run(Db, { migrations }))
        yield* Deferred.await(started)
        const second = yield* DbMigrator.run(Other, {
          migrations,
          onEvent: (event) => event._tag === "Waiting" ? Deferred.succeed(waiting, event.holder) : Effect.void
        }).pipe(Effect.provide(Other.layerDriver({ url, environment: "test" }, Mysql.make)))
        expect(second.applied).toEqual([])
        expect((yield* Fiber.join(first)).applied).toHaveLength(2)
        expect(yield* Deferred.await(waiting)).toMatch(/^connection \d+, user /)
      }).pipe(Effect.provide(layer), quiet)
    }))
})

describeMariadb("migrations on MariaDB", () => {
  it.scopedLive("a SET that commits: what was applied is said, and is not applied another time", () =>
    Effect.gen(function*() {
      const { layer } = yield* fresh
      yield* Effect.gen(function*() {
        const commits = [
          "SET PASSWORD FOR note@localhost = PASSWORD('')",
          "SET autocommit = 0, foreign_key_checks = 0; INSERT INTO note VALUES (2); SET autocommit = 1, foreign_key_checks = 1",
          "SET STATEMENT max_statement_time = 9 FOR ANALYZE TABLE note"
        ]
        yield* Db.query("CREATE OR REPLACE USER note@localhost")
        for (const set of commits) {
          yield* Db.script("DROP TABLE IF EXISTS note, schema_version; CREATE TABLE note (x INT)")
          const migrations = DbMigrator.fromRecord({
            V1__Note: `INSERT INTO note VALUES (1); ${set}; INSERT INTO nowhere VALUES (1);`
          })
          const error = yield* Effect.flip(DbMigrator.run(Db, { migrations }))
          expect(error.message).toContain("stay applied")
          expect(yield* Db.query("SELECT x FROM note WHERE x = 1")).toHaveLength(1)
          expect((yield* Effect.flip(DbMigrator.run(Db, { migrations }))).message).toContain("repair")
          expect(yield* Db.query("SELECT x FROM note WHERE x = 1")).toHaveLength(1)
        }
        yield* Db.query("DROP USER note@localhost")
      }).pipe(Effect.provide(layer), quiet)
    }))

  it.scopedLive("a transaction of XA that a file leaves prepared is not said to be rolled back", () =>
    Effect.gen(function*() {
      const { layer, url } = yield* fresh
      const name = new URL(url).pathname.slice(1)
      yield* Effect.gen(function*() {
        yield* Db.query("CREATE TABLE note (x INT)")
        const begin = (x: string) => `INSERT INTO note VALUES (0);\nXA START '${x}';\nINSERT INTO note VALUES (1);\n`
        const prepare = (x: string) => `${begin(x)}XA END '${x}';\nXA PREPARE '${x}';`
        const fails = (script: string) =>
          Effect.flip(DbMigrator.run(Db, { migrations: DbMigrator.fromRecord({ V1__Note: script }) })).pipe(
            Effect.ensuring(Effect.orDie(Db.query("DROP TABLE schema_version")))
          )
        const prepared = Effect.map(
          mysqlQuery(url, "XA RECOVER"),
          (rows) => rows.map((row) => String(row["data"])).filter((data) => data.startsWith(name))
        )
        const left = yield* fails(prepare(`${name} a`))
        expect(left).toMatchObject({ _tag: "MigrationError", reason: "Failed", outcome: "Unknown", line: 2 })
        expect(left.message).toContain("XA RECOVER")
        expect(left.message).not.toContain("rolled back;")
        const behind = yield* fails(`${prepare(`${name} b`)}\nINSERT INTO note VALUES (2);`)
        expect(behind).toMatchObject({ reason: "Failed", outcome: "Unknown", line: 6, code: "1399" })
        expect(behind.message).toContain("XA RECOVER")
        const open = yield* fails(begin(`${name} c`))
        expect(open.message).toContain("was still open; what was done in it was rolled back")
        expect((yield* prepared).sort()).toEqual([`${name} a`, `${name} b`])
        for (const x of yield* prepared) yield* Db.query(`XA COMMIT '${x}'`)
        yield* DbMigrator.run(Db, {
          migrations: DbMigrator.fromRecord({ V1__Note: `${prepare(`${name} d`)}\nXA COMMIT '${name} d';` })
        })
        expect(yield* history).toMatchObject([{ version: "1", success: 1 }])
        const rows = yield* Db.query<{ x: number }>("SELECT x FROM note ORDER BY x")
        expect(rows.map(({ x }) => x)).toEqual([0, 0, 0, 0, 1, 1, 1])
      }).pipe(Effect.provide(layer), quiet)
    }))
})
