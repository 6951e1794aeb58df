/** Layers from the environment: variables, `.env` files and presets, up to the server's own word. */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Fs from "node:fs"
import { Db, DbLive } from "../../src/Db.js"
import * as DbConfig from "../../src/DbConfig.js"
import * as DbRegistry from "../../src/DbRegistry.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { folder } from "./folder.js"

class RpaDb extends Db.Tag("rpa_db")<RpaDb>() {}

const variables = (entries: Readonly<Record<string, string>>) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(entries))))

/** Not shared between tests: the same layer under another provider is another database. */
const fresh = <A, E, R>(layer: Layer.Layer<A, E, R>) => Layer.fresh(layer)

const uris = Effect.all({ default: Effect.map(Db.info, (_) => _.uri), rpa: Effect.map(RpaDb.info, (_) => _.uri) })

describe("layers from the environment", () => {
  it.scopedLive("the default database and a named one, each by its own variables", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const found = yield* uris.pipe(
        Effect.provide([fresh(DbLive), fresh(RpaDb.layerEnv)]),
        Effect.provide(variables({
          APP_ENV: "production",
          DATABASE_URL: `sqlite:///${path}/default.db`,
          RPA_DB_DATABASE_URL: `sqlite:///${path}/rpa.db`
        }))
      )
      assert.deepStrictEqual(found, { default: `sqlite:${path}/default.db`, rpa: `sqlite:${path}/rpa.db` })
    }))

  it.scopedLive("a named one that is not configured says how, and never takes the default one's place", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        RpaDb.info.pipe(
          Effect.provide(fresh(RpaDb.layerEnv)),
          Effect.provide(variables({ APP_ENV: "production", DATABASE_URL: "sqlite://:memory:" }))
        )
      )
      assert.include(String(error), "the database \"rpa_db\" is not configured")
      assert.include(String(error), "RPA_DB_DATABASE_URL=postgresql://")
    }))

  it.scopedLive("a folder of .env files: tags and registry read the same", () =>
    Effect.gen(function*() {
      const path = yield* folder
      Fs.writeFileSync(
        `${path}/.env`,
        `APP_ENV=development\nDATABASE_TYPE=sqlite\nDATABASE_PATH=${path}/general.db\nDATABASE_POOL_SIZE=3\n`
      )
      Fs.writeFileSync(
        `${path}/.env.development`,
        [
          `DATABASE_PATH="${path}/special.db"`,
          "DEVELOPMENT_GLOBAL_RPA_DB_TYPE=sqlite",
          `DEVELOPMENT_GLOBAL_RPA_DB_CONNECTION_STRING=sqlite:///${path}/rpa.db`,
          "DEVELOPMENT_GLOBAL_RPA_DB_MAX_OVERFLOW=2",
          "DEVELOPMENT_GLOBAL_DATABASE_TIMEOUT=7",
          ""
        ].join("\n")
      )
      const dotenv = Layer.provide(DbConfig.dotenv(path), variables({}))
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* uris, { default: `sqlite:${path}/special.db`, rpa: `sqlite:${path}/rpa.db` })
        assert.deepStrictEqual(yield* DbRegistry.names, ["default", "rpa_db"])
        assert.strictEqual((yield* DbRegistry.use("rpa_db")(Db.info)).uri, `sqlite:${path}/rpa.db`)
        // Writing and reading, to the files that were named.
        yield* RpaDb.query("CREATE TABLE job (name varchar(100))")
        yield* RpaDb.query("INSERT INTO job VALUES ('a')").pipe(RpaDb.transaction)
        assert.deepStrictEqual(yield* DbRegistry.use("rpa_db")(Db.query("SELECT name FROM job")), [{ name: "a" }])
      }).pipe(
        Effect.provide([fresh(DbLive), fresh(RpaDb.layerEnv), fresh(DbRegistry.layerEnv)]),
        Effect.provide(dotenv)
      )
      assert.isTrue(Fs.existsSync(`${path}/special.db`))
      assert.isFalse(Fs.existsSync(`${path}/general.db`))
    }))

  it.scopedLive("typos are warned of when a database is opened", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
      yield* Effect.all([Db.ping, RpaDb.ping]).pipe(
        Effect.provide([fresh(DbLive), fresh(RpaDb.layerEnv)]),
        Effect.provide(variables({
          APP_ENV: "production",
          DATABASE_URL: "sqlite://:memory:",
          DATABASE_POOLSIZE: "3",
          RPA_DB_DATABASE_URL: "sqlite://:memory:",
          RPA_DB_DATABASE_TIMEOT: "3"
        })),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("WARN")).sort(), [
        "WARN the variable DATABASE_POOLSIZE is not known; is DATABASE_POOL_SIZE meant?",
        "WARN the variable RPA_DB_DATABASE_TIMEOT is not known; is RPA_DB_DATABASE_TIMEOUT meant?"
      ])
    }))

  it.scopedLive("presets: how many connections a layer has", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const capacity = (entries: Readonly<Record<string, string>>) =>
        Effect.map(Db.pool, (_) => _.capacity).pipe(
          Effect.provide(fresh(DbLive)),
          Effect.provide(variables({ DATABASE_URL: `sqlite:///${path}/a.db`, ...entries }))
        )
      assert.strictEqual(yield* capacity({ APP_ENV: "production" }), 30)
      assert.strictEqual(yield* capacity({ APP_ENV: "development" }), 15)
      assert.strictEqual(yield* capacity({ APP_ENV: "test", DBLIVE_WORKER: "4" }), 2)
      assert.strictEqual(yield* capacity({ APP_ENV: "test", DBLIVE_WORKER: "4", DATABASE_POOL_SIZE: "5" }), 6)
    }))
})

describePostgres("layers from the environment, postgresql", () => {
  it.scopedLive("a test worker commits on return, and the server knows it by its name", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        const [row] = yield* Db.query<{ name: string }>("SELECT current_setting('application_name') AS name")
        assert.strictEqual(row?.name, `billing_test_4_${process.pid}`)
        yield* Db.query("CREATE TABLE note (body text)")
        yield* Effect.all([Db.query("BEGIN"), Db.query("INSERT INTO note VALUES ('kept')")]).pipe(Db.session)
        assert.deepStrictEqual(yield* Db.query("SELECT body FROM note"), [{ body: "kept" }])
      }).pipe(
        Effect.provide(fresh(DbLive)),
        Effect.provide(variables({
          APP_ENV: "test",
          DBLIVE_WORKER: "4",
          DATABASE_URL: url,
          DATABASE_APPLICATION_NAME: "billing"
        }))
      )
    }))

  it.scopedLive("what production and the variables say arrives at the server", () =>
    Effect.gen(function*() {
      const { name, url } = yield* freshDatabase
      const [row] = yield* Db.query(
        "SELECT current_setting('statement_timeout') AS statement, current_setting('TimeZone') AS zone, " +
          "current_setting('application_name') AS program, current_database() AS name"
      ).pipe(
        Effect.provide(fresh(DbLive)),
        Effect.provide(variables({
          APP_ENV: "production",
          PRODUCTION_GLOBAL_DEFAULT_TYPE: "postgresql",
          PRODUCTION_GLOBAL_DEFAULT_CONNECTION_STRING: url.replace("postgres:", "postgresql+asyncpg:"),
          DATABASE_STATEMENT_TIMEOUT: "90s",
          PRODUCTION_GLOBAL_DEFAULT_SETTINGS: "TimeZone=Asia/Tokyo"
        }))
      )
      assert.deepStrictEqual(row, { statement: "90s", zone: "Asia/Tokyo", program: "dblive", name })
    }))
})
