import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DbTest from "../../src/DbTest.js"
import { Db, DbMigrator } from "../../src/index.js"
import { faultsIn } from "../kit/configErrors.js"
import { describeMysql, freshMysqlDatabase, mysqlQuery } from "../kit/mysql.js"
import { describePostgres, freshDatabase, query } from "../kit/postgres.js"

class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}

const migrations = DbMigrator.fromRecord({
  V1__note: "CREATE TABLE note (id INTEGER NOT NULL PRIMARY KEY, body VARCHAR(20) NOT NULL)"
})

/** What a process is started with. */
const env = (url?: string) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(url === undefined ? [] : [["TEST_DATABASE_URL", url]])))

const database = (url?: string) => Layer.provide(DbTest.fromEnv({ migrations }), env(url))

/** A database with the migrations and no rows; the name of what it is. */
const used = Effect.gen(function*() {
  expect(yield* Db.query("SELECT id FROM note")).toEqual([])
  yield* Db.transaction(Db.query("INSERT INTO note (id, body) VALUES (:id, :body)", { id: 1, body: "mine" }))
  const { type, uri } = yield* Db.info
  return { type, name: uri.slice(uri.lastIndexOf("/") + 1) }
})

describe("DbTest.fromEnv", () => {
  it.effect("without the variable it is SQLite: each layer has a database of its own", () =>
    Effect.gen(function*() {
      for (const url of [undefined, "", "sqlite://:memory:"]) {
        expect((yield* Effect.provide(used, database(url))).type).toBe("sqlite")
        expect((yield* Effect.provide(used, database(url))).type).toBe("sqlite")
      }
    }))

  it.effect("named databases, with rows of their own, and a file", () =>
    Effect.gen(function*() {
      yield* SurveyHub.query("INSERT INTO note (id, body) VALUES (2, 'x')")
      expect(yield* SurveyHub.query("SELECT id FROM note ORDER BY id")).toEqual([{ id: 1 }, { id: 2 }])
    }).pipe(Effect.provide(Layer.provide(
      DbTest.fromEnv({
        database: SurveyHub,
        migrations,
        file: true,
        seed: SurveyHub.query("INSERT INTO note (id, body) VALUES (1, 'seed')")
      }),
      env()
    ))))

  it.layer(database())("shared by tests", (it) => {
    it.effect("one", () => Db.query("INSERT INTO note (id, body) VALUES (7, 'x')"))
    it.effect("and another", () =>
      Effect.map(Db.query("SELECT id FROM note"), (rows) => expect(rows).toEqual([{ id: 7 }])))
  })

  it.effect("what cannot be meant is a ConfigError that names the variable, and shows no password", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [url: string, says: RegExp]> = [
        ["mssql://sa:hunter2@localhost/app", /SQL Server, for which there are no databases of tests; accepted: /],
        ["sqlite:///app.db", /names a file of SQLite/],
        ["postgrse://app:hunter2@localhost/app", /accepted: the URL of a PostgreSQL/],
        ["postgres://app:hunter2@localhost:many/app", /port/],
        ["pglite:app", /accepted: /],
        ["yes", /accepted: /]
      ]
      for (const [url, says] of cases) {
        const error = yield* Effect.flip(Effect.provide(used, database(url)))
        expect("reason" in error ? [] : faultsIn(error), url).toHaveLength(1)
        expect(String(error), url).toMatch(/TEST_DATABASE_URL/)
        expect(String(error), url).toMatch(says)
        expect(String(error), url).not.toContain("hunter2")
      }
    }))

  it.live(
    "pglite: is PostgreSQL in this process",
    () => Effect.map(Effect.provide(used, database("pglite:")), ({ type }) => expect(type).toBe("postgresql")),
    60_000
  )
})

describePostgres("DbTest.fromEnv on PostgreSQL", () => {
  it.scopedLive(
    "a database beside the one of the URL, which stays as it is; dropped afterwards",
    () =>
      Effect.gen(function*() {
        const { name, url } = yield* freshDatabase
        yield* query(url, "CREATE TABLE note (id int)")
        const first = yield* Effect.provide(used, database(url))
        const second = yield* Effect.provide(used, database(url))
        expect(first.type).toBe("postgresql")
        expect(new Set([name, first.name, second.name]).size).toBe(3)
        expect(yield* query(url, "SELECT * FROM note")).toEqual([])
        expect(
          yield* query(url, "SELECT datname FROM pg_database WHERE datname IN ($1, $2)", [first.name, second.name])
        ).toEqual([])
      }),
    60_000
  )
})

describeMysql("DbTest.fromEnv on MySQL or MariaDB", () => {
  it.scopedLive(
    "a database beside the one of the URL, which stays as it is; dropped afterwards, also after an interrupt",
    () =>
      Effect.gen(function*() {
        const { name, url } = yield* freshMysqlDatabase
        yield* mysqlQuery(url, "CREATE TABLE note (id int)")
        const first = yield* Effect.provide(used, database(url))
        const second = yield* Effect.provide(used, database(url))
        expect(first.type).toBe("mysql")
        expect(new Set([name, first.name, second.name]).size).toBe(3)
        let third = ""
        const interrupted = yield* Effect.exit(
          Effect.provide(
            Effect.flatMap(used, ({ name }) => {
              third = name
              return Effect.interrupt
            }),
            database(url)
          )
        )
        expect(interrupted._tag).toBe("Failure")
        expect(third).toMatch(/^dblive_test_/)
        expect(yield* mysqlQuery(url, "SELECT * FROM note")).toEqual([])
        expect(
          yield* mysqlQuery(url, "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN (?, ?, ?)", [
            first.name,
            second.name,
            third
          ])
        ).toEqual([])
        // Nothing is left of one whose migrations failed.
        const before = yield* mysqlQuery(url, "SHOW DATABASES LIKE 'dblive\\_test\\_%'")
        const broken = DbTest.fromEnv({ migrations: DbMigrator.fromRecord({ V1__a: "nonsense" }) })
        expect(yield* Effect.flip(Effect.provide(Effect.void, Layer.provide(broken, env(url))))).toMatchObject({
          _tag: "MigrationError"
        })
        expect((yield* mysqlQuery(url, "SHOW DATABASES LIKE 'dblive\\_test\\_%'")).length).toBeLessThanOrEqual(
          before.length
        )
      }),
    60_000
  )
})
