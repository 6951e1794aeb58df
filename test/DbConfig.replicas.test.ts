/** The configuration of replicas: what their URLs say, and what passes to them from the primary. */
import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as DbConfig from "../src/DbConfig.js"
import { faultsIn } from "./kit/configErrors.js"
import { rendered } from "./kit/renderings.js"

const resolve = (options: DbConfig.Options) => DbConfig.resolve("default", { environment: "production", ...options })
const faults = (options: DbConfig.Options) => Effect.map(Effect.flip(resolve(options)), faultsIn)

const passwordOf = ({ password }: DbConfig.DbConfig) =>
  Redacted.isRedacted(password) ? Redacted.value(password) : password

const addresses = ({ hosts }: DbConfig.DbConfig) => hosts.map(({ host, port }) => [host, port])

describe("replicas in the configuration", () => {
  it.effect("what a replica's URL leaves out is the primary's", () =>
    Effect.gen(function*() {
      const config = yield* resolve({
        url:
          "postgresql://app:secret@primary:5433/shop?sslmode=require&connect_timeout=3&options=-c%20search_path%3Dshop",
        pool: { size: 7 },
        limits: { lockTimeout: "2 seconds" },
        targetSessionAttrs: "read-write",
        replicas: [{ url: "postgresql://r1" }, { url: "postgresql://r2:6000/other?sslmode=disable", pool: { size: 3 } }]
      })
      const [first, second] = config.replicas
      deepStrictEqual(addresses(first!), [["r1", 5432]])
      deepStrictEqual([first!.username, passwordOf(first!), first!.database], ["app", "secret", "shop"])
      deepStrictEqual([first!.ssl.mode, first!.pool, first!.limits], [config.ssl.mode, config.pool, config.limits])
      deepStrictEqual([first!.settings, first!.targetSessionAttrs], [config.settings, "any"])
      deepStrictEqual(first!.replicas, [])
      deepStrictEqual(addresses(second!), [["r2", 6000]])
      deepStrictEqual([second!.database, second!.ssl.mode, second!.pool.size], ["other", "disable", 3])
      strictEqual(second!.pool.overflow, config.pool.overflow)
    }))

  it.effect("a user passes with the password, never alone", () =>
    Effect.gen(function*() {
      const { replicas } = yield* resolve({
        url: "postgresql://app:secret@primary/shop",
        replicas: [{ url: "postgresql://reader@r1" }, { url: "postgresql://reader:other@r2" }]
      })
      deepStrictEqual(replicas.map((replica) => [replica.username, passwordOf(replica)]), [
        ["reader", undefined],
        ["reader", "other"]
      ])
    }))

  it.effect("options beside the primary's URL pass, too, and give way to the replica's URL", () =>
    Effect.gen(function*() {
      const { replicas: [replica] } = yield* resolve({
        type: "postgresql",
        host: "primary",
        port: 5433,
        username: "app",
        password: "secret",
        database: "shop",
        createDatabase: true,
        replicas: [{ url: Redacted.make("postgresql://reader:other@r1/shop2") }]
      })
      deepStrictEqual(addresses(replica!), [["r1", 5432]])
      deepStrictEqual([replica!.username, passwordOf(replica!), replica!.database, replica!.createDatabase], [
        "reader",
        "other",
        "shop2",
        false
      ])
    }))

  it.effect("a database that is named after its tag is that on its replicas, too", () =>
    Effect.gen(function*() {
      const { replicas: [replica] } = yield* DbConfig.resolve("Shop", {
        url: "postgresql://primary",
        createDatabase: true,
        prefix: "test",
        replicas: [{ url: "postgresql://r1" }]
      })
      strictEqual(replica!.database, "test.Shop")
    }))

  it.effect("each fault says which replica it is of, and repeats no password", () =>
    Effect.gen(function*() {
      const url = "postgresql://app@primary/shop"
      const found = yield* faults({
        url,
        replicas: [
          { url: "postgresql://app:zqsecret@h:99999/shop" },
          { url: "mysql://app:zqsecret@h/shop" },
          // What the types refuse comes from JavaScript.
          { url: "postgresql://h", pools: 1, pool: { sise: 1 } } as unknown as DbConfig.ReplicaOptions
        ]
      })
      assertInclude(found[0], "replicas: the first of them: the port of the host is not valid")
      assertInclude(found[1], "replicas: the second of them: it is one of mysql; accepted: a URL of postgresql")
      assertInclude(found[2], "replicas: the third of them: pools is no option of a replica; accepted: url, pool")
      assertInclude(found[3], "replicas: the third of them: pool.sise is no option of pool (is pool.size meant?)")
      strictEqual(found.length, 4)
      assertTrue(!found.join("\n").includes("zqsecret"))
      assertInclude(
        (yield* faults({ url, replicas: ["postgresql://h"] as never }))[0],
        "accepted: URLs, apart by spaces; in code: a list of { url, pool? }"
      )
      assertInclude(
        (yield* faults({ url, replicas: [{ url: "postgresql://h", pool: { size: 0 } }] }))[0],
        "replicas: the first of them: pool.size holds 0; accepted: a whole number from 1"
      )
    }))

  it.effect("other families than PostgreSQL have none", () =>
    Effect.gen(function*() {
      for (
        const [type, url] of [
          ["mysql", "mysql://app@h/shop"],
          ["mariadb", "mariadb://app@h/shop"],
          ["mssql", "mssql://app@h/shop"],
          ["sqlite", "sqlite:///shop.db"]
        ]
      ) {
        // Also a replica of PostgreSQL, whose faults are not told beside.
        for (const replica of [url!, "postgresql://r"]) {
          deepStrictEqual(yield* faults({ url, replicas: [{ url: replica }] }), [
            `replicas: is given, but the database is one of ${type}; accepted: PostgreSQL alone`
          ])
        }
        deepStrictEqual((yield* resolve({ url, replicas: [] })).replicas, [])
      }
    }))

  it.effect("DATABASE_REPLICA_URLS, and that of a named database; they belong to the URL", () =>
    Effect.gen(function*() {
      const fromEnv = (name: string, variables: Record<string, string>) =>
        DbConfig.fromEnv(name).pipe(
          Effect.withConfigProvider(
            ConfigProvider.fromMap(new Map(Object.entries({ APP_ENV: "production", ...variables })))
          )
        )
      const hosts = (config: DbConfig.DbConfig) => config.replicas.map(({ hosts }) => hosts[0]?.host)
      const variables = {
        DATABASE_URL: "postgresql://u:p@h/d",
        DATABASE_REPLICA_URLS: " postgresql://r1\npostgresql://r2 ",
        SURVEY_HUB_DATABASE_URL: "postgresql://u:p@s/d",
        SURVEY_HUB_DATABASE_REPLICA_URLS: "postgresql://s1"
      }
      deepStrictEqual(hosts(yield* fromEnv("default", variables)), ["r1", "r2"])
      deepStrictEqual(hosts(yield* fromEnv("SurveyHub", variables)), ["s1"])
      deepStrictEqual(
        hosts(yield* fromEnv("default", { ...variables, PRODUCTION_GLOBAL_DEFAULT_URL: "postgresql://g/d" })),
        []
      )
      const error = yield* Effect.flip(
        fromEnv("default", { ...variables, DATABASE_REPLICA_URLS: "postgresql://:zqword" })
      )
      assertInclude(faultsIn(error)[0], "DATABASE_REPLICA_URLS: the first of them: ")
      assertTrue(!JSON.stringify(error).includes("zqword"))
    }))

  it.effect("no rendering of a configuration shows the password of a replica", () =>
    Effect.gen(function*() {
      const config = yield* resolve({
        url: "postgresql://app@primary/shop",
        replicas: [{ url: "postgresql://app:zqsecret@r1" }]
      })
      assertTrue(!rendered(config).includes("zqsecret"))
    }))
})
