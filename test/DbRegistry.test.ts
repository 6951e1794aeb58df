import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Db } from "../src/Db.js"
import type * as DbConfig from "../src/DbConfig.js"
import * as DbRegistry from "../src/DbRegistry.js"
import { faultsIn } from "./kit/configErrors.js"
import { describePostgres, freshDatabase, query } from "./kit/postgres.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "dblive-registry-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

const memory: DbConfig.Options = { url: "sqlite://:memory:", environment: "production" }

const fileName = Effect.map(Db.info, ({ uri }) => Path.basename(uri))

const withVariables = (variables: Readonly<Record<string, string>>) =>
  Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))))
const whose = FiberRef.unsafeMake("nobody's")

describe("DbRegistry", () => {
  it.scopedLive("opens a database on its first use, for all", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const at = (name: string) => Path.join(path, `${name}.db`)
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* DbRegistry.names, ["north", "south"])
        assert.deepStrictEqual(Fs.readdirSync(path), [])
        const [first, ...others] = yield* Effect.all(Array.from({ length: 10 }, () => DbRegistry.get("north")), {
          concurrency: "unbounded"
        })
        assert.isTrue(others.every((database) => database === first))
        assert.strictEqual(first!.name, "north")
        assert.isFalse(Fs.existsSync(at("south")))
      }).pipe(Effect.provide(DbRegistry.layer({ north: { filename: at("north") }, south: { filename: at("south") } })))
    }))

  it.scopedLive("an effect that needs Db runs on the database of the name, its SqlClient included", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const databases = { north: { filename: `${path}/north.db` }, south: { filename: `${path}/south.db` } }
      const files = Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql<{ file: string }>`SELECT file FROM pragma_database_list`
        const inside = yield* SqlClient.SqlClient.pipe(
          Effect.flatMap((sql) => sql<{ file: string }>`SELECT file FROM pragma_database_list`),
          Db.transaction
        )
        return [Path.basename(row!.file), Path.basename(inside[0]!.file), yield* fileName]
      })
      const both = Effect.gen(function*() {
        assert.deepStrictEqual(yield* DbRegistry.use("north")(files), ["north.db", "north.db", "north.db"])
        assert.deepStrictEqual(yield* DbRegistry.use("south")(files), ["south.db", "south.db", "south.db"])
        // One in the other, and back.
        const nested = Effect.all([fileName, DbRegistry.use("south")(files), fileName])
        assert.deepStrictEqual(yield* nested.pipe(Db.transaction, DbRegistry.use("north")), [
          "north.db",
          ["south.db", "south.db", "south.db"],
          "north.db"
        ])
      })
      yield* both.pipe(Effect.provide(DbRegistry.layer(databases)))
    }))

  it.scopedLive("an unknown name lists the known ones, and the one that is meant", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(DbRegistry.use("nort")(Db.query("SELECT 1")))
      assert.strictEqual(error._tag, "UnknownDatabaseError")
      assert.strictEqual(
        error.message,
        "no database \"nort\" is configured (is \"north\" meant?); known: north, survey_hub"
      )
      const other = yield* Effect.flip(DbRegistry.get("toString"))
      assert.deepStrictEqual(other._tag === "UnknownDatabaseError" && [other.database, other.known], [
        "toString",
        ["north", "survey_hub"]
      ])
      assert.strictEqual((yield* DbRegistry.get("SurveyHub")).name, "survey_hub")
    }).pipe(Effect.provide(DbRegistry.layer({ north: memory, survey_hub: memory }))))

  it.scopedLive("a failed opening is not remembered", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const blocked = Path.join(path, "blocked")
      Fs.writeFileSync(blocked, "")
      yield* Effect.gen(function*() {
        // In one scope, which holds whatever the failed ones have left.
        for (const _ of [1, 2]) {
          const error = yield* Effect.flip(DbRegistry.get("north"))
          assert.strictEqual(error._tag === "ConnectionError" && error.reason, "CannotOpen")
        }
        Fs.rmSync(blocked)
        assert.strictEqual((yield* DbRegistry.get("north")).name, "north")
      }).pipe(Effect.provide(DbRegistry.layer({ north: { filename: Path.join(blocked, "north.db") } })))
    }))

  it.scopedLive("is closed with its layer: typed errors afterwards, nothing left open", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Scope.extend(Layer.build(DbRegistry.layer({ north: memory })), scope)
      const get = Effect.provide(DbRegistry.get("north"), context)
      const database = yield* get
      const ask = Effect.provideService(Db.query("SELECT 1 AS one"), Db, database)
      assert.deepStrictEqual(yield* ask, [{ one: 1 }])
      yield* Scope.close(scope, Exit.void)
      for (const after of [Effect.asVoid(get), Effect.asVoid(ask)]) {
        const error = yield* Effect.flip(after)
        assert.strictEqual(error._tag === "ConnectionError" && error.reason, "Closed")
      }
    }))

  it.scoped("a database that is not used for a while is closed, and opened again", () =>
    Effect.gen(function*() {
      const ask = (text: string) => DbRegistry.use("north")(Db.query<{ n: number }>(text))
      yield* ask("CREATE TABLE note (body TEXT)")
      yield* TestClock.adjust("59 seconds")
      // In time: what an in-memory database holds is still there. The time begins anew.
      yield* ask("SELECT * FROM note")
      yield* TestClock.adjust("59 seconds")
      yield* ask("SELECT * FROM note")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* DbRegistry.get("north")
        // Held, it is not unused.
        yield* TestClock.adjust("10 minutes")
        yield* ask("SELECT * FROM note")
      }))
      yield* TestClock.adjust("60 seconds")
      const error = yield* Effect.flip(ask("SELECT * FROM note"))
      assert.strictEqual(error._tag === "QueryError" && error.reason, "UndefinedObject")
    }).pipe(Effect.provide(DbRegistry.layer({ north: memory }, { idleTimeToLive: "60 seconds" }))))

  it.live("without a limit it stays open", () =>
    Effect.gen(function*() {
      const ask = (text: string) => DbRegistry.use("north")(Db.query(text))
      yield* ask("CREATE TABLE note (body TEXT)")
      assert.deepStrictEqual(yield* ask("SELECT * FROM note"), [])
    }).pipe(Effect.provide(DbRegistry.layer({ north: memory }))))

  it.scopedLive("health of all: one that cannot be opened is unhealthy, and says why", () =>
    Effect.gen(function*() {
      const path = yield* folder
      Fs.writeFileSync(Path.join(path, "broken.db"), "no database, but long enough to be taken for one".repeat(20))
      yield* Effect.gen(function*() {
        const { broken, north } = yield* DbRegistry.health
        assert.deepStrictEqual([north!.status, north!.databaseName, north!.connection], ["healthy", "north", true])
        assert.deepStrictEqual(
          [broken!.status, broken!.databaseName, broken!.databaseType, broken!.connection],
          ["unhealthy", "broken", "sqlite", false]
        )
        assert.include(broken!.error, "file is not a database")
      }).pipe(Effect.provide(DbRegistry.layer({ north: memory, broken: { filename: `${path}/broken.db` } })))
    }))

  it.live("options: the faults of all databases at once, each with the database's name", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(DbRegistry.layer({
        north: { ...memory, pool: { size: 0 } },
        south: { ...memory, workers: -1 }
      }))))
      assert.deepStrictEqual(faultsIn(error).map((message) => message.split(";")[0]), [
        "north.pool.size: holds 0",
        "south.workers: holds -1"
      ])
    }))

  describe("layerEnv", () => {
    const names = (variables: Readonly<Record<string, string>>) =>
      DbRegistry.names.pipe(Effect.provide(DbRegistry.layerEnv.pipe(withVariables(variables))))

    it.live("finds the names in the environment", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(
          yield* names({
            APP_ENV: "production",
            DATABASE_URL: "postgresql://h/d",
            SURVEY_HUB_DATABASE_URL: "sqlite://:memory:",
            RPA_DB_DATABASE_TYPE: "postgresql",
            RPA_DB_DATABASE_HOST: "h",
            PRODUCTION_GLOBAL_LEDGER_TYPE: "sqlite",
            PRODUCTION_GLOBAL_LEDGER_CONNECTION_STRING: "sqlite:///ledger.db",
            PRODUCTION_GLOBAL_LEDGER_POOL_SIZE: "3",
            // Not a database of its own: limits for all, another environment, nothing in it, other people's.
            PRODUCTION_GLOBAL_DATABASE_TIMEOUT: "5",
            PRODUCTION_GLOBAL_CONNECTION_POOL_SIZE: "5",
            DEVELOPMENT_GLOBAL_TOY_CONNECTION_STRING: "sqlite:///toy.db",
            EMPTY_DATABASE_URL: "",
            GEOIP_DATABASE_PATH: "/usr/share/geoip.mmdb",
            SOME_URL: "http://h"
          }),
          ["default", "ledger", "rpa_db", "survey_hub"]
        )
        // Outside production the default one needs no variable.
        assert.deepStrictEqual(yield* names({ APP_ENV: "production" }), [])
        assert.deepStrictEqual(yield* names({ APP_ENV: "production", A_DATABASE_URL: "sqlite:a.db" }), ["a"])
        assert.deepStrictEqual(yield* names({ APP_ENV: "development" }), ["default"])
      }))

    it.scopedLive("in the process's own environment, a file's path included", () =>
      Effect.gen(function*() {
        const secret = Path.join(yield* folder, "url")
        Fs.writeFileSync(secret, "sqlite://:memory:\n")
        yield* Effect.acquireRelease(
          Effect.sync(() =>
            Object.assign(process.env, { RPA_DB_DATABASE_URL_FILE: secret, B_DATABASE_URL: "sqlite:b.db" })
          ),
          () =>
            Effect.sync(() => {
              delete process.env.RPA_DB_DATABASE_URL_FILE
              delete process.env.B_DATABASE_URL
            })
        )
        const found = yield* Effect.gen(function*() {
          const { uri } = yield* DbRegistry.use("rpa_db")(Db.info)
          return [uri, ...yield* DbRegistry.names]
        }).pipe(Effect.provide(DbRegistry.layerEnv), Effect.withConfigProvider(ConfigProvider.fromEnv()))
        assert.includeMembers(found, ["sqlite::memory:", "default", "rpa_db", "b"])
      }))

    it.live("all faults of all databases at once", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(names({
          APP_ENV: "production",
          A_DATABASE_URL: "sqlite:a.db",
          A_DATABASE_POOL_SIZE: "many",
          B_DATABASE_TYPE: "oracle"
        }))
        assert.deepStrictEqual(faultsIn(error).map((message) => message.split(";")[0]), [
          "A_DATABASE_POOL_SIZE: holds \"many\"",
          "B_DATABASE_TYPE: holds \"oracle\""
        ])
      }))

    it.live("names can be given instead", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* DbRegistry.names, ["SurveyHub"])
        assert.strictEqual((yield* DbRegistry.use("SurveyHub")(Db.info)).uri, "sqlite::memory:")
      }).pipe(Effect.provide(
        DbRegistry.layerNames(["SurveyHub"]).pipe(
          withVariables({
            APP_ENV: "production",
            SURVEY_HUB_DATABASE_URL: "sqlite://:memory:",
            B_DATABASE_URL: "nonsense"
          })
        )
      )))
  })

  describePostgres("on PostgreSQL", () => {
    /** The layer of one database whose opening waits for `latch`, and how often it was asked for its password. */
    const gated = Effect.gen(function*() {
      const { host, name, password, port, url, user } = yield* freshDatabase
      const latch = yield* Deferred.make<void>()
      const asked = yield* Deferred.make<void>()
      const count = { openings: 0 }
      return {
        url,
        name,
        latch,
        asked: Deferred.await(asked),
        count,
        layer: DbRegistry.layer({
          north: {
            type: "postgresql",
            host,
            port,
            database: name,
            username: user,
            password: Effect.sync(() => count.openings++).pipe(
              Effect.zipRight(Deferred.succeed(asked, void 0)),
              Effect.zipRight(Deferred.await(latch)),
              Effect.as(Redacted.make(password))
            )
          }
        })
      }
    })

    it.scopedLive("the first fiber's interrupt does not take the database from the others", () =>
      Effect.gen(function*() {
        const { asked, count, latch, layer } = yield* gated
        yield* Effect.gen(function*() {
          const ask = DbRegistry.use("north")(Db.query<{ n: number }>("SELECT 1 AS n"))
          const first = yield* Effect.fork(ask)
          yield* asked
          const second = yield* Effect.fork(ask)
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(first)
          yield* Deferred.succeed(latch, void 0)
          assert.deepStrictEqual(yield* Fiber.join(second), [{ n: 1 }])
          assert.strictEqual(count.openings, 1)
        }).pipe(Effect.provide(layer))
      }))

    it.scopedLive("closed while it opens: the waiting get a typed error, and the server shows no connection", () =>
      Effect.gen(function*() {
        const { asked, layer, name, url } = yield* gated
        const scope = yield* Scope.make()
        const context = yield* Scope.extend(Layer.build(layer), scope)
        const waiting = yield* Effect.fork(Effect.scoped(Effect.provide(DbRegistry.get("north"), context)))
        yield* asked
        yield* Scope.close(scope, Exit.void)
        const error = yield* Effect.flip(Fiber.join(waiting))
        assert.strictEqual(error._tag === "ConnectionError" && error.reason, "Closed")
        const left = yield* query(
          url,
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
          [name]
        )
        assert.deepStrictEqual(left, [{ n: 0 }])
      }))

    it.scopedLive("is not opened in the context of the fiber that comes first", () =>
      Effect.gen(function*() {
        const database = yield* freshDatabase
        const seen: Array<unknown> = []
        const password = Effect.gen(function*() {
          seen.push([yield* FiberRef.get(whose), Option.isSome(yield* Effect.option(Effect.currentSpan))])
          return Redacted.make(database.password)
        })
        yield* DbRegistry.use("north")(Db.query("SELECT 1")).pipe(
          Effect.locally(whose, "the first one's"),
          Effect.withSpan("request"),
          Effect.provide(DbRegistry.layer({ north: { url: database.url, password } }))
        )
        assert.deepStrictEqual(seen, [["nobody's", false]])
      }))
  })
})
