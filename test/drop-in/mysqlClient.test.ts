/** What `@effect/sql-mysql2` has beyond `SqlClient`: `MysqlClient` and `MysqlMigrator`. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Migrator from "@effect/sql-mysql2/MysqlMigrator"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { spawnSync } from "node:child_process"
import { inspect } from "node:util"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import * as Mysql from "../../src/driver/Mysql.js"
import { describeMariadb, freshMysqlDatabase, mysqlQuery, sharedMysql } from "../kit/mysql.js"

const layer = (options: DbConfig.Options) => Db.layer({ environment: "production", ...options }).pipe(Mysql.withClient)

const Live = Layer.unwrapScoped(Effect.map(freshMysqlDatabase, ({ url }) => layer({ url })))

const configOf = (options: DbConfig.Options) =>
  Effect.map(Mysql.MysqlClient, (sql) => sql.config).pipe(
    // Nothing is opened for it.
    Effect.provide(layer({ connectOnStart: false, ...options }))
  )

describe("MysqlClient.config", () => {
  it.effect("has what the published client's has, the secrets redacted", () =>
    Effect.gen(function*() {
      const config = yield* configOf({
        url: "mysql://app:secret-1@db.example:3307/shop",
        pool: { size: 3, overflow: 2 }
      })
      assert.deepInclude(config, {
        host: "db.example",
        port: 3307,
        database: "shop",
        username: "app",
        maxConnections: 5
      })
      assert.strictEqual(Redacted.value(config.password!), "secret-1")
      assert.strictEqual(Redacted.value(config.url!), "mysql://app:secret-1@db.example:3307/shop")
      assert.notInclude(inspect(config, { depth: 10, showHidden: true }) + JSON.stringify(config), "secret-1")
    }))

  it.effect("has no URL where its parts would be read as others than they are", () =>
    Effect.gen(function*() {
      for (
        const url of [
          "mysql://app:p%40ss@h/db",
          "mysql://a%3Ab:x@h/db",
          "mysql://app:x@[::1]/db",
          "mysql://app:x@h/d%20b"
        ]
      ) {
        const config = yield* configOf({ url })
        assert.isUndefined(config.url)
        assert.isTrue(Redacted.isRedacted(config.password))
      }
      assert.strictEqual(Redacted.value((yield* configOf({ url: "mysql://app:p%40ss@h/db" })).password!), "p@ss")
      const rotating = yield* configOf({
        type: "mysql",
        host: "h",
        username: "app",
        password: Effect.succeed(Redacted.make("secret-2"))
      })
      // None was obtained yet.
      assert.isUndefined(rotating.password)
      const socket = yield* configOf({ type: "mysql", host: "/run/mysqld/mysqld.sock", username: "app" })
      assert.deepInclude(socket, {
        host: "localhost",
        port: undefined,
        poolConfig: { socketPath: "/run/mysqld/mysqld.sock" }
      })
      assert.isUndefined(socket.url)
    }))
})

const recorded = Effect.map(
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql<{ name: string }>`SELECT name FROM effect_sql_migrations ORDER BY migration_id`
  ),
  (rows) => rows.map((row) => row.name)
)

const migrations = {
  "1_create": Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`CREATE TABLE shop (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20))`
  ),
  "2_fill": Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.all([sql`INSERT INTO shop (name) VALUES (${"a"})`, sql`ALTER TABLE shop ADD COLUMN open BOOLEAN`])
  ),
  "3_more": Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`CREATE INDEX by_name ON shop (name); INSERT INTO shop (name) VALUES ('b')`.unprepared
  )
}

describeMariadb("MysqlClient.config of credentials that change", () => {
  it.scopedLive("has those with which a connection was last opened", () =>
    Effect.gen(function*() {
      const { host, name, password, port, user } = yield* freshMysqlDatabase
      yield* Effect.gen(function*() {
        const { config } = yield* Mysql.MysqlClient
        yield* Db.query("SELECT 1")
        assert.strictEqual(config.username, user)
        assert.strictEqual(Redacted.value(config.password!), password)
        assert.strictEqual(Redacted.value(config.url!), `mysql://${user}:${password}@${host}:${port}/${name}`)
      }).pipe(
        Effect.provide(
          layer({
            type: "mysql",
            host,
            port,
            database: name,
            username: Effect.succeed(user),
            password: Effect.sync(() => Redacted.make(password))
          })
        )
      )
    }))
})

describeMariadb("MysqlMigrator", () => {
  it.scopedLive("runs migrations with DDL, and records what has run", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { "1_create": first, ...others } = migrations
      assert.deepStrictEqual(yield* Migrator.run({ loader: Migrator.fromRecord({ "1_create": first }) }), [[
        1,
        "create"
      ]])
      assert.deepStrictEqual(yield* recorded, ["create"])
      const run = Migrator.run({ loader: Migrator.fromRecord({ "1_create": first, ...others }) })
      assert.deepStrictEqual(yield* run, [[2, "fill"], [3, "more"]])
      assert.deepStrictEqual(yield* recorded, ["create", "fill", "more"])
      assert.deepStrictEqual(yield* sql`SELECT name, open FROM shop ORDER BY id`, [
        { name: "a", open: null },
        { name: "b", open: null }
      ])
      assert.deepStrictEqual(yield* run, [])
    }).pipe(Effect.provide([Live, NodeContext.layer])))

  it.scopedLive("keeps what a migration applied when a later one fails, as its record has it", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const exit = yield* Migrator.run({
        loader: Migrator.fromRecord({
          ...migrations,
          "4_wrong": sql`INSERT INTO nowhere VALUES (1)`
        })
      }).pipe(Effect.exit)
      assert.isTrue(Exit.isFailure(exit))
      // The Migrator writes them all down ahead of the first, and that is committed with its DDL.
      assert.deepStrictEqual(yield* recorded, ["create", "fill", "more", "wrong"])
      assert.deepStrictEqual(yield* sql`SELECT name FROM shop ORDER BY id`, [{ name: "a" }, { name: "b" }])
      assert.include(Cause.pretty(Exit.isFailure(exit) ? exit.cause : Cause.empty), "4_wrong")
    }).pipe(Effect.provide([Live, NodeContext.layer])))
})

const dumps = spawnSync("mysqldump", ["--version"]).status === 0
;(dumps ? describeMariadb : describe.skip)(`MysqlMigrator's dump${dumps ? "" : " (skipped: no mysqldump)"}`, () => {
  it.scopedLive("is written, whatever characters the password has", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { url } = yield* sharedMysql
      const database = yield* freshMysqlDatabase
      for (const [user, password] of [["plain_dumper", "Plain-1.x"], ["odd_dumper", "p@ss w:/?#%ö'"]] as const) {
        yield* Effect.acquireRelease(
          mysqlQuery(url, `CREATE USER ${user}@'%' IDENTIFIED BY ${JSON.stringify(password)}`),
          () => mysqlQuery(url, `DROP USER ${user}@'%'`)
        )
        yield* mysqlQuery(url, `GRANT ALL ON ${database.name}.* TO ${user}@'%'`)
        const { host, name, port } = database
        const schemaDirectory = yield* fs.makeTempDirectoryScoped()
        yield* Migrator.run({
          schemaDirectory,
          table: `${user}_migrations`,
          loader: Migrator.fromRecord({
            "1_create": Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE ${sql(`${user}_shop`)} (id INT)`)
          })
        }).pipe(
          Effect.provide(
            layer({ type: "mysql", host, port, database: name, username: user, password: Redacted.make(password) })
          )
        )
        const dump = yield* fs.readFileString(`${schemaDirectory}/_schema.sql`)
        assert.include(dump, `CREATE TABLE \`${user}_shop\``)
        assert.include(dump, `INSERT INTO \`${user}_migrations\` VALUES`)
      }
    }).pipe(Effect.provide(NodeContext.layer)))
})
