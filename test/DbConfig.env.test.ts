import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as DbConfig from "../src/DbConfig.js"
import { markdown } from "../src/internal/config/table.js"
import { typos } from "../src/internal/config/typos.js"
import { faultsIn } from "./kit/configErrors.js"

type Variables = Readonly<Record<string, string>>

const withVariables = (variables: Variables) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries({ APP_ENV: "production", ...variables }))))

const fromEnv = (variables: Variables, name = "default") => DbConfig.fromEnv(name).pipe(withVariables(variables))
const faults = (variables: Variables, name?: string) => Effect.map(Effect.flip(fromEnv(variables, name)), faultsIn)

const secret = (u: unknown): Effect.Effect<string, unknown> =>
  Redacted.isRedacted(u)
    ? Effect.succeed(String(Redacted.value(u)))
    : Effect.isEffect(u)
    ? Effect.flatMap(u as Effect.Effect<unknown, unknown>, secret)
    : Effect.succeed(String(u))

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "dblive-env-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

const host = (config: DbConfig.DbConfig) => config.hosts[0]?.host

describe("DbConfig.fromEnv", () => {
  it.effect("DATABASE_URL", () =>
    Effect.gen(function*() {
      const config = yield* fromEnv({ DATABASE_URL: "postgresql://u:p@h:5433/d" })
      strictEqual(config.type, "postgresql")
      deepStrictEqual([host(config), config.hosts[0]?.port, config.database, config.username], ["h", 5433, "d", "u"])
      strictEqual(yield* secret(config.password), "p")
    }))

  it.effect("DATABASE_TYPE and the other parts", () =>
    Effect.gen(function*() {
      const config = yield* fromEnv({
        DATABASE_TYPE: "SQLServer",
        DATABASE_NAME: "d",
        DATABASE_USER: "u",
        DATABASE_PASSWORD: "p:%/@",
        DATABASE_HOST: "h",
        DATABASE_PORT: "1500",
        DATABASE_SSL: "false"
      })
      strictEqual(config.type, "mssql")
      deepStrictEqual([host(config), config.hosts[0]?.port, config.database, config.username], ["h", 1500, "d", "u"])
      strictEqual(yield* secret(config.password), "p:%/@")
      strictEqual(config.ssl.mode, "disable")
    }))

  it.effect("DATABASE_PATH: a file, or a folder for DATABASE_NAME", () =>
    Effect.gen(function*() {
      strictEqual((yield* fromEnv({ DATABASE_PATH: "/x/y.db" })).filename, "/x/y.db")
      strictEqual((yield* fromEnv({ DATABASE_PATH: "/x/y", DATABASE_NAME: "app" })).filename, "/x/y/app.db")
      strictEqual((yield* fromEnv({ DATABASE_TYPE: "sqlite", DATABASE_NAME: "app" })).filename, Path.resolve("app.db"))
      strictEqual((yield* fromEnv({ DATABASE_PATH: ":memory:" })).filename, ":memory:")
    }))

  it.effect("every setting has a variable that works", () =>
    Effect.gen(function*() {
      const pem = "-----BEGIN X-----"
      const given: Record<string, string> = {
        DATABASE_TYPE: "postgresql",
        DATABASE_HOST: "h",
        DATABASE_PORT: "1",
        DATABASE_NAME: "d",
        DATABASE_USER: "u",
        DATABASE_PASSWORD: "p",
        DATABASE_SSL: "verify-ca",
        DATABASE_SSL_ROOT_CERT: pem,
        DATABASE_SSL_CERT: pem,
        DATABASE_SSL_KEY: pem,
        DATABASE_TARGET_SESSION_ATTRS: "primary",
        DATABASE_CHANNEL_BINDING: "require",
        DATABASE_SETTINGS: "search_path=a,b; TimeZone=UTC",
        DATABASE_ACCESS: "read-only",
        DATABASE_PREFIX: "test",
        DATABASE_APPLICATION_NAME: "app",
        DATABASE_PREPARE: "yes",
        DATABASE_PREPARE_CACHE_SIZE: "7",
        DATABASE_WORKERS: "2",
        DATABASE_SQLITE_MODULE: "node:sqlite",
        DATABASE_JSON_NUMBERS: "refuse",
        DATABASE_CONNECT_ON_START: "false",
        DATABASE_CREATE: "no",
        DATABASE_POOL_SIZE: "3",
        DATABASE_POOL_OVERFLOW: "4",
        DATABASE_POOL_OVERFLOW_IDLE: "5s",
        DATABASE_ACQUIRE_TIMEOUT: "6 s",
        DATABASE_CONNECT_TIMEOUT: "7 seconds",
        DATABASE_VALIDATE_AFTER: "8ms",
        DATABASE_MAX_LIFETIME: "9h",
        DATABASE_IDLE_TIMEOUT: "10min",
        DATABASE_MIN_IDLE: "2",
        DATABASE_KEEPALIVE: "0",
        DATABASE_LEAK_THRESHOLD: "1.5s",
        DATABASE_MAX_WAITERS: "12",
        DATABASE_RESET_ON_RETURN: "Discard",
        DATABASE_SHARING: "all",
        DATABASE_SHARING_DEPTH: "13",
        DATABASE_CLOSE_TIMEOUT: "1d",
        DATABASE_SHEDDING_TARGET: "14ms",
        DATABASE_SHEDDING_INTERVAL: "15ms",
        DATABASE_STATEMENT_TIMEOUT: "16ms",
        DATABASE_LOCK_TIMEOUT: "17ms",
        DATABASE_IDLE_IN_TRANSACTION_TIMEOUT: "18ms",
        DATABASE_TRANSACTION_TIMEOUT: "19ms",
        DATABASE_HEALTH_SLOW: "20ms",
        DATABASE_HEALTH_LONG_WAIT: "21ms",
        DATABASE_HEALTH_RECENT: "22ms",
        DATABASE_HEALTH_TIMEOUT: "23ms",
        DATABASE_HEALTH_CACHE: "24ms",
        DATABASE_SLOW_STATEMENT: "25ms",
        DATABASE_AUDIT: "on",
        DATABASE_TRACE_COMMENTS: "true",
        DATABASE_REPLICA_URLS: "postgresql://r-1 postgresql://r-2",
        DATABASE_REPLICA_STALENESS: "26ms",
        DATABASE_REPLICA_WAIT_TIMEOUT: "27ms",
        DATABASE_REPLICA_MAX_LAG: "28ms",
        DATABASE_REPLICA_RETRY_AFTER: "29ms",
        DATABASE_WHEN_NO_REPLICA: "fail"
      }
      const config = yield* fromEnv(given)
      const { hosts, password, replicas, ssl, ...rest } = config
      deepStrictEqual(replicas.map(host), ["r-1", "r-2"])
      deepStrictEqual(hosts.map(({ host, port }) => [host, port]), [["h", 1]])
      strictEqual(yield* secret(password), "p")
      deepStrictEqual([ssl.mode, ssl.ca, ssl.cert, ssl.key && Redacted.value(ssl.key)], ["verify-ca", pem, pem, pem])
      deepStrictEqual(rest, {
        name: "default",
        environment: "production",
        type: "postgresql",
        isUnconfigured: false,
        filename: undefined,
        database: "test.d",
        targetSessionAttrs: "primary",
        channelBinding: "require",
        username: "u",
        access: "read-only",
        applicationName: "app",
        settings: { search_path: "a,b", TimeZone: "UTC" },
        prepare: true,
        prepareCacheSize: 7,
        workers: 2,
        sqliteModule: "node:sqlite",
        jsonNumbers: "refuse",
        types: undefined,
        transformQueryNames: undefined,
        transformResultNames: undefined,
        transformJson: true,
        spanAttributes: {},
        connectOnStart: false,
        createDatabase: false,
        pool: {
          size: 3,
          overflow: 4,
          overflowIdle: 5000,
          acquireTimeout: 6000,
          connectTimeout: 7000,
          validateAfter: 8,
          maxLifetime: 32_400_000,
          idleTimeout: 600_000,
          minIdle: 2,
          keepalive: 0,
          leakThreshold: 1500,
          maxWaiters: 12,
          resetOnReturn: "discard",
          sharing: "all",
          sharingDepth: 13,
          closeTimeout: 86_400_000,
          shedding: { target: 14, interval: 15 }
        },
        limits: {
          statementTimeout: 16,
          lockTimeout: 17,
          idleInTransactionTimeout: 18,
          transactionTimeout: 19
        },
        health: { slow: 20, longWait: 21, recent: 22, timeout: 23, cache: 24 },
        log: { slowStatement: 25, audit: true },
        tracing: { comments: true },
        replication: { staleness: 26, waitTimeout: 27, maxLag: 28, retryAfter: 29, whenNoReplica: "fail" }
      })
      const left = DbConfig.settings.map(({ variable }) => variable).filter((variable) => !(variable in given))
      deepStrictEqual(left, ["DATABASE_URL", "DATABASE_PATH"])
    }))

  it.effect("other spellings: MAX_OVERFLOW, USERNAME, and TIMEOUT, which alone may be a bare number of seconds", () =>
    Effect.gen(function*() {
      const config = yield* fromEnv({
        DATABASE_URL: "postgresql://h",
        DATABASE_MAX_OVERFLOW: "9",
        DATABASE_TIMEOUT: "2.5",
        DATABASE_USERNAME: "u"
      })
      deepStrictEqual([config.pool.overflow, config.pool.acquireTimeout, config.username], [9, 2500, "u"])
      strictEqual(
        (yield* fromEnv({ DATABASE_URL: "sqlite:x.db", DATABASE_TIMEOUT: "2min" })).pool.acquireTimeout,
        120_000
      )
      assertInclude(
        (yield* faults({ DATABASE_URL: "sqlite:x.db", DATABASE_ACQUIRE_TIMEOUT: "10" }))[0],
        "DATABASE_ACQUIRE_TIMEOUT: holds \"10\"; accepted: a length of time with its unit"
      )
    }))

  it.effect("works under any provider: nested, and from objects", () =>
    Effect.gen(function*() {
      const nested = ConfigProvider.fromJson({ APP: { DATABASE_URL: "postgresql://h" } })
      strictEqual(
        host(
          yield* DbConfig.fromEnv("default").pipe(
            Effect.withConfigProvider(ConfigProvider.nested(nested, "APP"))
          )
        ),
        "h"
      )
      strictEqual(
        host(
          yield* DbConfig.fromEnv("default").pipe(
            Effect.withConfigProvider(ConfigProvider.fromJson({ DATABASE_URL: "postgresql://j" }))
          )
        ),
        "j"
      )
    }))

  describe("precedence", () => {
    const all: ReadonlyArray<readonly [variable: string, value: string]> = [
      ["PRODUCTION_GLOBAL_SURVEY_HUB_POOL_SIZE", "1"],
      ["SURVEY_HUB_DATABASE_POOL_SIZE", "2"],
      ["PRODUCTION_GLOBAL_DATABASE_POOL_SIZE", "3"]
    ]

    it.effect("of a named database: environment and name, name, environment", () =>
      Effect.gen(function*() {
        for (let i = 0; i < all.length; i++) {
          const variables = Object.fromEntries(all.slice(i))
          const config = yield* fromEnv({ SURVEY_HUB_DATABASE_URL: "postgresql://h", ...variables }, "SurveyHub")
          strictEqual(config.pool.size, i + 1)
        }
        // The default database's own variables are not shared, nor are those of other environments.
        const config = yield* fromEnv({
          SURVEY_HUB_DATABASE_URL: "postgresql://h",
          DATABASE_POOL_SIZE: "8",
          TEST_GLOBAL_SURVEY_HUB_POOL_SIZE: "9",
          DEVELOPMENT_GLOBAL_DATABASE_POOL_SIZE: "9"
        }, "SurveyHub")
        strictEqual(config.pool.size, 10)
      }))

    it.effect("of the default database", () =>
      Effect.gen(function*() {
        const variables: ReadonlyArray<readonly [string, string]> = [
          ["PRODUCTION_GLOBAL_DEFAULT_POOL_SIZE", "1"],
          ["DEFAULT_DATABASE_POOL_SIZE", "2"],
          ["DATABASE_POOL_SIZE", "3"],
          ["PRODUCTION_GLOBAL_CONNECTION_POOL_SIZE", "4"],
          ["DATABASE_URL", "postgresql://h?connection_limit=5"]
        ]
        for (let i = 0; i < variables.length; i++) {
          const config = yield* fromEnv({ DATABASE_URL: "postgresql://h", ...Object.fromEntries(variables.slice(i)) })
          strictEqual(config.pool.size, i + 1)
        }
      }))

    it.effect("the environment's layout: type, connection string, pool, overflow, timeout", () =>
      Effect.gen(function*() {
        const variables = {
          PRODUCTION_GLOBAL_RPA_DB_TYPE: "postgresql",
          PRODUCTION_GLOBAL_RPA_DB_CONNECTION_STRING: "postgresql+psycopg://u:p@h/d",
          PRODUCTION_GLOBAL_RPA_DB_POOL_SIZE: "6",
          PRODUCTION_GLOBAL_RPA_DB_MAX_OVERFLOW: "7",
          PRODUCTION_GLOBAL_RPA_DB_TIMEOUT: "8"
        }
        const config = yield* fromEnv(variables, "rpa_db")
        deepStrictEqual(
          [host(config), config.database, config.pool.size, config.pool.overflow, config.pool.acquireTimeout],
          ["h", "d", 6, 7, 8000]
        )
        const shared = yield* fromEnv({
          RPA_DB_DATABASE_URL: "postgresql://h",
          PRODUCTION_GLOBAL_DATABASE_TIMEOUT: "9",
          PRODUCTION_GLOBAL_CONNECTION_POOL_SIZE: "11"
        }, "rpa_db")
        deepStrictEqual([shared.pool.acquireTimeout, shared.pool.size], [9000, 11])
      }))

    it.effect("a database's name in capitals, with or without _ between its words", () =>
      Effect.gen(function*() {
        strictEqual(host(yield* fromEnv({ SURVEYHUB_DATABASE_URL: "postgresql://h" }, "SurveyHub")), "h")
        strictEqual(host(yield* fromEnv({ SURVEY_HUB_DATABASE_URL: "postgresql://h" }, "SurveyHub")), "h")
        strictEqual(host(yield* fromEnv({ SURVEY_HUB_2_DATABASE_URL: "postgresql://h" }, "survey-hub.2")), "h")
        deepStrictEqual(
          yield* faults(
            { SURVEY_HUB_DATABASE_URL: "postgresql://h", SURVEYHUB_DATABASE_URL: "postgresql://h" },
            "SurveyHub"
          ),
          ["SURVEY_HUB_DATABASE_URL: is set beside SURVEYHUB_DATABASE_URL; accepted: one of them"]
        )
      }))

    it.effect("an address is not mixed: parts from below the URL's place are left out, those beside it win", () =>
      Effect.gen(function*() {
        const config = yield* fromEnv({
          PRODUCTION_GLOBAL_DEFAULT_CONNECTION_STRING: "postgresql://h/d",
          PRODUCTION_GLOBAL_DEFAULT_PASSWORD: "beside",
          DATABASE_HOST: "below",
          DATABASE_PASSWORD: "below",
          DATABASE_TYPE: "mysql"
        })
        deepStrictEqual([config.type, host(config), config.database], ["postgresql", "h", "d"])
        strictEqual(yield* secret(config.password), "beside")
        // Above its place they win as well.
        strictEqual(host(yield* fromEnv({ DEFAULT_DATABASE_HOST: "above", DATABASE_URL: "postgresql://h" })), "above")
      }))

    it.effect("a named database never falls back to the address of the default one", () =>
      Effect.gen(function*() {
        assertInclude(
          (yield* faults({ DATABASE_URL: "postgresql://h", DATABASE_HOST: "h" }, "SurveyHub"))[0],
          "SURVEY_HUB_DATABASE_URL: the database \"SurveyHub\" is not configured"
        )
      }))

    it.effect("an empty variable is none", () =>
      Effect.gen(function*() {
        const config = yield* fromEnv({ DATABASE_URL: "postgresql://h", DATABASE_HOST: "", DATABASE_POOL_SIZE: "" })
        deepStrictEqual([host(config), config.pool.size], ["h", 10])
      }))
  })

  describe("files of secrets", () => {
    it.scoped("password and user are read again for every connection", () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const [password, user] = [Path.join(folder, "password"), Path.join(folder, "user")]
        Fs.writeFileSync(password, " one \n")
        Fs.writeFileSync(user, "u1\r\n")
        const config = yield* fromEnv({
          DATABASE_URL: "postgresql://h",
          DATABASE_PASSWORD_FILE: password,
          DATABASE_USER_FILE: user
        })
        deepStrictEqual([yield* secret(config.password), yield* secret(config.username)], [" one ", "u1"])
        Fs.writeFileSync(password, "two\n\n")
        Fs.writeFileSync(user, "u2")
        deepStrictEqual([yield* secret(config.password), yield* secret(config.username)], ["two\n", "u2"])
      }))

    it.scoped("URL and certificates", () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        Fs.writeFileSync(Path.join(folder, "url"), "postgresql://u:p@h/d\n")
        Fs.writeFileSync(Path.join(folder, "ca"), "-----BEGIN X-----\n")
        const config = yield* fromEnv({
          DATABASE_URL_FILE: Path.join(folder, "url"),
          DATABASE_SSL_ROOT_CERT_FILE: Path.join(folder, "ca")
        })
        deepStrictEqual([host(config), config.ssl.ca], ["h", "-----BEGIN X-----"])
      }))

    it.effect("one that cannot be read, and one beside the variable itself", () =>
      Effect.gen(function*() {
        deepStrictEqual(
          yield* faults({
            DATABASE_URL_FILE: "/no/url",
            DATABASE_PASSWORD_FILE: "/no/password",
            DATABASE_PASSWORD: "x"
          }),
          [
            "DATABASE_URL_FILE: names the file \"/no/url\", which cannot be read (ENOENT); accepted: the path of a file; example: DATABASE_URL_FILE=/run/secrets/database_url",
            "DATABASE_PASSWORD: is set beside DATABASE_PASSWORD_FILE; accepted: one of them"
          ]
        )
      }))
  })

  describe("bad input", () => {
    it.effect("all faults at once, under the names of their variables", () =>
      Effect.gen(function*() {
        deepStrictEqual(
          yield* faults({
            DATABASE_URL: "postgresql://u:hunter2@h:x/d?sslmode=y",
            DATABASE_POOL_SIZE: "many",
            DATABASE_SSL: "maybe",
            DATABASE_SETTINGS: "search_path",
            PRODUCTION_GLOBAL_DATABASE_TIMEOUT: "-1"
          }),
          [
            "DATABASE_SSL: holds \"maybe\"; accepted: true (the same as verify-full), false (disable), disable, prefer, require, verify-ca, verify-full; in code: options of node:tls too; example: DATABASE_SSL=verify-full",
            "DATABASE_SETTINGS: holds \"search_path\"; accepted: name=value, several separated by ;; example: DATABASE_SETTINGS=search_path=app;TimeZone=UTC",
            "DATABASE_POOL_SIZE: holds \"many\"; accepted: a whole number from 1 to 10000; example: DATABASE_POOL_SIZE=10",
            "PRODUCTION_GLOBAL_DATABASE_TIMEOUT: holds \"-1\"; accepted: a length of time with its unit (ms, s, min, h, d), at most 24 days, above 0; example: PRODUCTION_GLOBAL_DATABASE_TIMEOUT=10s",
            "DATABASE_URL: the port of the host is not valid; accepted: a number from 1 to 65535",
            "DATABASE_URL: query parameter sslmode has a value that cannot be used; accepted: disable, prefer, require, verify-ca, verify-full"
          ]
        )
      }))

    it.effect("a wrong type is told once", () =>
      Effect.gen(function*() {
        deepStrictEqual(yield* faults({ DATABASE_TYPE: "oracle", DATABASE_HOST: "h" }), [
          "DATABASE_TYPE: holds \"oracle\"; accepted: sqlite, postgresql, mysql, mariadb, mssql; example: DATABASE_TYPE=postgresql"
        ])
      }))

    it.effect("a wrong environment is told once", () =>
      Effect.gen(function*() {
        deepStrictEqual(yield* faults({ APP_ENV: "staging" }), [
          "APP_ENV: holds \"staging\"; accepted: production, development, test; example: APP_ENV=production"
        ])
      }))

    it.effect("nothing at all in production", () =>
      Effect.gen(function*() {
        const [fault, ...others] = yield* faults({})
        deepStrictEqual(others, [])
        assertInclude(
          fault,
          "DATABASE_URL: the database \"default\" is not configured, and in production none is assumed"
        )
      }))

    it.effect("nothing at all in development: a file", () =>
      Effect.gen(function*() {
        strictEqual((yield* fromEnv({ APP_ENV: "development" })).filename, Path.resolve("dblive.db"))
      }))
  })
})

describe("DbConfig.config", () => {
  it.effect("gives the options, to be changed and resolved", () =>
    Effect.gen(function*() {
      const options = yield* DbConfig.config("default").pipe(
        Config.map((options) => ({ ...options, access: "read-only" as const }))
      )
      const config = yield* DbConfig.resolve("default", options)
      deepStrictEqual([host(config), config.access, config.pool.size, config.environment], [
        "h",
        "read-only",
        3,
        "production"
      ])
    }).pipe(withVariables({ DATABASE_URL: "postgresql://u:hunter2@h", DATABASE_POOL_SIZE: "3" })))

  it.effect("tells the faults of all variables, the URL's too", () =>
    Effect.gen(function*() {
      deepStrictEqual(faultsIn(yield* Effect.flip(DbConfig.config("default"))), [
        "DATABASE_POOL_SIZE: holds \"x\"; accepted: a whole number from 1 to 10000; example: DATABASE_POOL_SIZE=10",
        "DATABASE_URL: the port of the host is not valid; accepted: a number from 1 to 65535"
      ])
    }).pipe(withVariables({ DATABASE_URL: "postgresql://u:hunter2", DATABASE_POOL_SIZE: "x" })))
})

describe("typos of variables", () => {
  it("finds what comes near to a known variable, and nothing else", () => {
    const cases: ReadonlyArray<readonly [variable: string, meant: string | undefined]> = [
      ["DATABASE_POOLSIZE", "DATABASE_POOL_SIZE"],
      ["DATABASE_URI", "DATABASE_URL"],
      ["DATABASE_HSOT", "DATABASE_HOST"],
      ["DATABASE_AQUIRE_TIMEOUT", "DATABASE_ACQUIRE_TIMEOUT"],
      ["DATABASE_PASSWORD_FIEL", "DATABASE_PASSWORD_FILE"],
      ["DATABSE_URL", "DATABASE_URL"],
      ["DATBASE_PASSWORD", "DATABASE_PASSWORD"],
      ["DATABASE_URL", undefined],
      ["DATABASE_PASSWORD_FILE", undefined],
      ["DATABASE_COLOUR", undefined],
      ["DATABASE_DIR", undefined],
      ["ORDERS_DATABASE_URI", undefined],
      ["TEST_DATABASE_URL", undefined],
      ["PATH", undefined],
      ["HOST", undefined]
    ]
    deepStrictEqual(
      typos("default", cases.map(([variable]) => variable)),
      cases.flatMap(([variable, meant]) => meant === undefined ? [] : [{ variable, meant }])
    )
  })

  it("of a named database: its own only", () => {
    deepStrictEqual(
      typos("SurveyHub", [
        "SURVEY_HUB_DATABASE_URI",
        "SURVEYHUB_DATABASE_HOSTT",
        "DATABASE_URI",
        "SURVEY_HUM_DATABASE_URL"
      ]),
      [
        { variable: "SURVEY_HUB_DATABASE_URI", meant: "SURVEY_HUB_DATABASE_URL" },
        { variable: "SURVEYHUB_DATABASE_HOSTT", meant: "SURVEYHUB_DATABASE_HOST" },
        { variable: "SURVEY_HUM_DATABASE_URL", meant: "SURVEY_HUB_DATABASE_URL" }
      ]
    )
  })

  it("of a named database: its name misspelt, where nothing configures it, and the word DATABASE", () => {
    deepStrictEqual(typos("Rep", ["REPP_DATABASE_URL"]), [
      { variable: "REPP_DATABASE_URL", meant: "REP_DATABASE_URL" }
    ])
    // It may be another database's.
    deepStrictEqual(typos("Rep", ["REPP_DATABASE_URL", "REP_DATABASE_URL"]), [])
    deepStrictEqual(typos("north", ["SOUTH_DATABASE_URL"]), [])
    deepStrictEqual(typos("Rep", ["REPP_DATABASE_POOL_SIZE"]), [])
    deepStrictEqual(typos("SurveyHub", ["SURVEY_HUB_DATABSE_URL", "SURVEY_HUB_URL", "SURVEY_HUB_DATABSE_COLOUR"]), [
      { variable: "SURVEY_HUB_DATABSE_URL", meant: "SURVEY_HUB_DATABASE_URL" }
    ])
  })

  it.effect("are logged, by name alone", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel.label} ${String(message)}`)
    })
    return Effect.gen(function*() {
      yield* fromEnv({ DATABASE_URL: "sqlite:x.db", DATABASE_PASWORD: "hunter2", DATABASE_COLOUR: "red" })
      deepStrictEqual(lines, ["WARN the variable DATABASE_PASWORD is not known; is DATABASE_PASSWORD meant?"])
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.scoped("are found in the process's environment", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(message))
    })
    return Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env.DATABASE_POOLSIZE = "3"
        }),
        () =>
          Effect.sync(() => {
            delete process.env.DATABASE_POOLSIZE
          })
      )
      yield* DbConfig.fromEnv("default")
      assertTrue(
        lines.includes("the variable DATABASE_POOLSIZE is not known; is DATABASE_POOL_SIZE meant?"),
        lines.join()
      )
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})

describe("DbConfig.dotenv", () => {
  const read = (folder: string, variables: Variables) =>
    DbConfig.fromEnv("default").pipe(Effect.provide(DbConfig.dotenv(folder)), withVariables(variables))

  const folderWith = (files: Variables) =>
    Effect.tap(temporaryFolder, (folder) =>
      Effect.sync(() => {
        for (const [file, text] of Object.entries(files)) {
          Fs.writeFileSync(Path.join(folder, file), text)
        }
      }))

  it.scoped("the process wins over .env.{environment}, and that over .env", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith({
        ".env":
          "DATABASE_URL=postgresql://h\nDATABASE_POOL_SIZE=1\nDATABASE_MAX_OVERFLOW=1\nDATABASE_MAX_WAITERS=1 # one\n",
        ".env.production": "export DATABASE_POOL_SIZE=2\nDATABASE_MAX_OVERFLOW='2'\n",
        ".env.test": "DATABASE_POOL_SIZE=99\n"
      })
      const { pool } = yield* read(folder, { DATABASE_POOL_SIZE: "3" })
      deepStrictEqual([pool.size, pool.overflow, pool.maxWaiters], [3, 2, 1])
    }))

  it.scoped(".env may name the environment", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith({
        ".env": "APP_ENV=development\nDATABASE_URL=postgresql://general",
        ".env.development": "DATABASE_URL=postgresql://special"
      })
      const config = yield* DbConfig.fromEnv("default").pipe(
        Effect.provide(DbConfig.dotenv(folder)),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
      )
      deepStrictEqual([config.environment, host(config)], ["development", "special"])
    }))

  it.scoped("a URL from above is not changed by the parts of an address below it", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith({
        ".env":
          "DATABASE_HOST=localhost\nDATABASE_PASSWORD=local\nDATABASE_NAME=local\nDATABASE_TYPE=mysql\nDATABASE_POOL_SIZE=7",
        ".env.development": "DATABASE_URL=postgresql://special/d"
      })
      const config = yield* read(folder, { DATABASE_URL: "postgresql://u:real@h/d" })
      deepStrictEqual([config.type, host(config), config.database, config.pool.size], ["postgresql", "h", "d", 7])
      strictEqual(yield* secret(config.password), "real")
      const special = yield* read(folder, { APP_ENV: "development" })
      deepStrictEqual([host(special), special.database, special.password], ["special", "d", undefined])
      // A part from above still wins over the file's URL.
      strictEqual(host(yield* read(folder, { APP_ENV: "development", DATABASE_HOST: "mine" })), "mine")
    }))

  it.scoped("missing files are fine; what is no readable file is a typed error", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      strictEqual(host(yield* read(folder, { DATABASE_URL: "postgresql://h" })), "h")
      Fs.mkdirSync(Path.join(folder, ".env"))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(DbConfig.dotenv(folder))))
      assertInclude(String(error), "the file cannot be read (EISDIR)")
    }))

  it.scoped("typos in the files are warned of", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(message))
    })
    return Effect.gen(function*() {
      const folder = yield* folderWith({ ".env": "DATABASE_URL=postgresql://h\nDATABASE_POOLSIZE=3" })
      yield* read(folder, {})
      deepStrictEqual(lines, ["the variable DATABASE_POOLSIZE is not known; is DATABASE_POOL_SIZE meant?"])
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})

describe("DbConfig.settings", () => {
  it("the table has one row per setting, with its variable and default", () => {
    const rows = markdown.split("\n")
    strictEqual(rows.length, DbConfig.settings.length + 2)
    for (
      const row of [
        "| `pool.size` | `DATABASE_POOL_SIZE` | 10; development 5; test worker 1 | connections kept; for SQLite: readers beside the one writer |",
        "| `pool.overflow` | `DATABASE_POOL_OVERFLOW` `DATABASE_MAX_OVERFLOW` | 20; development 10; test worker 1 | further connections under load |",
        "| `limits.statementTimeout` | `DATABASE_STATEMENT_TIMEOUT` | 1 min | the longest a statement may run (none for SQLite in this process, which cannot stop one) |",
        "| `password` | `DATABASE_PASSWORD` `DATABASE_PASSWORD_FILE` | none | the password; in code: an Effect is asked again for every connection, and so is a file |"
      ]
    ) {
      assertTrue(rows.includes(row), row)
    }
    assertTrue(rows.every((row) => row.split(/(?<!\\)\|/).length === 6))
  })
})
