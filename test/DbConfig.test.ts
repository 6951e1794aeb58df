import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as DbConfig from "../src/DbConfig.js"
import { faultsIn } from "./kit/configErrors.js"

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "dblive-config-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

const production = (options: DbConfig.Options, name = "default") =>
  DbConfig.resolve(name, { environment: "production", ...options })

const server = { type: "postgresql", host: "h" } as const

const faultsOf = (options: DbConfig.Options, name?: string) =>
  Effect.map(Effect.flip(production(options, name)), faultsIn)

/** Of options that the types refuse, and a program in JavaScript may give. */
const faultsOfAny = (options: object) => faultsOf({ ...server, ...options })

const presets: Record<"production" | "development" | "worker", DbConfig.Pool> = {
  production: {
    size: 10,
    overflow: 20,
    overflowIdle: 10_000,
    acquireTimeout: 10_000,
    connectTimeout: 5000,
    validateAfter: 500,
    maxLifetime: 3_600_000,
    idleTimeout: 600_000,
    minIdle: 1,
    keepalive: 120_000,
    leakThreshold: 60_000,
    maxWaiters: 10_000,
    resetOnReturn: "rollback",
    sharing: "reads",
    sharingDepth: 128,
    closeTimeout: 10_000,
    shedding: undefined
  },
  development: {
    size: 5,
    overflow: 10,
    overflowIdle: 10_000,
    acquireTimeout: 10_000,
    connectTimeout: 5000,
    validateAfter: 500,
    maxLifetime: 3_600_000,
    idleTimeout: 600_000,
    minIdle: 1,
    keepalive: 0,
    leakThreshold: 10_000,
    maxWaiters: 10_000,
    resetOnReturn: "rollback",
    sharing: "reads",
    sharingDepth: 128,
    closeTimeout: 2000,
    shedding: undefined
  },
  worker: {
    size: 1,
    overflow: 1,
    overflowIdle: 10_000,
    acquireTimeout: 10_000,
    connectTimeout: 5000,
    validateAfter: 0,
    maxLifetime: 3_600_000,
    idleTimeout: 600_000,
    minIdle: 0,
    keepalive: 0,
    leakThreshold: 0,
    maxWaiters: 10_000,
    resetOnReturn: "commit",
    sharing: "reads",
    sharingDepth: 128,
    closeTimeout: 1000,
    shedding: undefined
  }
}

const withVariables = (variables: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

describe("DbConfig.resolve", () => {
  describe("presets", () => {
    it.effect("production and development", () =>
      Effect.gen(function*() {
        deepStrictEqual((yield* production(server)).pool, presets.production)
        deepStrictEqual(
          (yield* DbConfig.resolve("x", { ...server, environment: "development" })).pool,
          presets.development
        )
      }))

    it.effect("a test worker has 1 + 1 connections, commits on return, and is told apart by its name", () =>
      Effect.gen(function*() {
        const config = yield* DbConfig.resolve("x", { ...server, environment: "test", applicationName: "billing" })
        deepStrictEqual(config.pool, presets.worker)
        strictEqual(config.applicationName, `billing_test_w7_${process.pid}`)
      }).pipe(withVariables({ DBLIVE_WORKER: "w7" })))

    it.effect("Vitest's own workers are seen, whatever the provider", () =>
      Effect.gen(function*() {
        const config = yield* DbConfig.resolve("x", server)
        strictEqual(config.environment, "test")
        strictEqual(config.applicationName, `dblive_test_${process.env.VITEST_POOL_ID}_${process.pid}`)
        deepStrictEqual(config.pool, presets.worker)
      }).pipe(withVariables({})))

    it.effect("a worker's id means nothing outside the test environment", () =>
      Effect.gen(function*() {
        const config = yield* production(server)
        strictEqual(config.applicationName, "dblive")
        strictEqual(config.pool.size, 10)
      }).pipe(withVariables({ DBLIVE_WORKER: "w7" })))

    it.effect("a long program name is cut so that worker and process stay readable", () =>
      Effect.gen(function*() {
        const config = yield* DbConfig.resolve("x", { ...server, environment: "test", applicationName: "a".repeat(80) })
        strictEqual(config.applicationName.length, 63)
        assertTrue(config.applicationName.endsWith(`_test_w_7_${process.pid}`))
      }).pipe(withVariables({ DBLIVE_WORKER: "w/7" })))

    it.effect("an option wins over the preset", () =>
      Effect.gen(function*() {
        const config = yield* DbConfig.resolve("x", {
          ...server,
          environment: "test",
          pool: { size: 4, resetOnReturn: "discard", overflow: undefined }
        })
        deepStrictEqual(config.pool, { ...presets.worker, size: 4, resetOnReturn: "discard" })
      }))

    it.effect("the environment: option, APP_ENV, NODE_ENV; other words are refused", () =>
      Effect.gen(function*() {
        const environmentOf = (variables: Record<string, string>, environment?: DbConfig.Environment) =>
          Effect.map(DbConfig.resolve("x", { ...server, environment }), (config) => config.environment).pipe(
            withVariables(variables)
          )
        strictEqual(yield* environmentOf({ APP_ENV: "test", NODE_ENV: "development" }, "production"), "production")
        strictEqual(yield* environmentOf({ APP_ENV: "production", NODE_ENV: "development" }), "production")
        strictEqual(yield* environmentOf({ APP_ENV: "Prod" }), "production")
        // The provider's empty APP_ENV is none.
        strictEqual(yield* environmentOf({ APP_ENV: "", NODE_ENV: "dev" }), "development")
        deepStrictEqual(faultsIn(yield* Effect.flip(environmentOf({ NODE_ENV: "staging" }))), [
          "NODE_ENV: holds \"staging\"; accepted: production, development, test; example: APP_ENV=production"
        ])
      }))
  })

  describe("url and fields", () => {
    it.effect("the URL's parts arrive; defaults fill the rest", () =>
      Effect.gen(function*() {
        const config = yield* production({
          url: "postgresql://u:p@a:5433,b/d?sslmode=require&connect_timeout=2&options=-cgeqo%3Doff"
        })
        deepStrictEqual(config.hosts.map(({ host, port }) => [host, port]), [["a", 5433], ["b", 5432]])
        strictEqual(config.database, "d")
        strictEqual(config.username, "u")
        assertTrue(Redacted.isRedacted(config.password) && Redacted.value(config.password) === "p")
        strictEqual(config.ssl.mode, "require")
        strictEqual(config.pool.connectTimeout, 2000)
        strictEqual(config.pool.size, 10)
        deepStrictEqual(config.settings, { geqo: "off" })
        strictEqual(config.targetSessionAttrs, "any")
      }))

    it.effect("a field wins over the URL's part, also inside pool, limits and settings", () =>
      Effect.gen(function*() {
        const config = yield* production({
          url: Redacted.make(
            "postgresql://u:p@h:5433/d?connect_timeout=2&statement_timeout=5&lock_timeout=6&options=-cgeqo%3Doff+-cjit%3Doff"
          ),
          password: "q",
          port: 6000,
          database: "e",
          username: undefined,
          pool: { connectTimeout: "7 seconds" },
          limits: { statementTimeout: "2 minutes" },
          settings: { geqo: "on" }
        })
        deepStrictEqual(config.hosts.map(({ host, port }) => [host, port]), [["h", 6000]])
        assertTrue(Redacted.isRedacted(config.password) && Redacted.value(config.password) === "q")
        strictEqual(config.username, "u")
        strictEqual(config.database, "e")
        strictEqual(config.pool.connectTimeout, 7000)
        deepStrictEqual(config.limits, {
          statementTimeout: 120_000,
          lockTimeout: 6,
          idleInTransactionTimeout: 60_000,
          transactionTimeout: 0
        })
        deepStrictEqual(config.settings, { geqo: "on", jit: "off" })
        const several = yield* production({ url: "postgresql://a:1,[::1]:2,c/d", port: 3 })
        deepStrictEqual(several.hosts.map(({ host, port }) => [host, port]), [["a", 3], ["::1", 3], ["c", 3]])
      }))

    it.effect("hosts: names, IPv6, sockets, lists with ports of their own, named instances", () =>
      Effect.gen(function*() {
        const hosts = (host: string | undefined, port?: number, type: DbConfig.DatabaseType = "postgresql") =>
          Effect.map(
            production({ type, host, port }),
            (config) =>
              config.hosts.map(({ host, instance, port }) => instance === undefined ? [host, port] : [host, instance])
          )
        deepStrictEqual(yield* hosts(undefined), [["localhost", 5432]])
        deepStrictEqual(yield* hosts(undefined, undefined, "mariadb"), [["localhost", 3306]])
        deepStrictEqual(yield* hosts("h", 1), [["h", 1]])
        deepStrictEqual(yield* hosts("h:2", 1), [["h", 2]])
        deepStrictEqual(yield* hosts("::1", 1), [["::1", 1]])
        deepStrictEqual(yield* hosts("2001:db8::ff"), [["2001:db8::ff", 5432]])
        deepStrictEqual(yield* hosts("[::1]:7,a,b:8", 1), [["::1", 7], ["a", 1], ["b", 8]])
        deepStrictEqual(yield* hosts("/var/run/postgresql"), [["/var/run/postgresql", 5432]])
        deepStrictEqual(yield* hosts("h\\inst", undefined, "mssql"), [["h", "inst"]])
        // A port says all: the instance needs no looking up.
        deepStrictEqual(yield* hosts("h\\inst", 1500, "mssql"), [["h", 1500]])
      }))

    it.effect("TLS: flags, defaults, and libpq's rule that a root certificate is checked", () =>
      Effect.gen(function*() {
        const pem = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
        const mode = (options: DbConfig.Options) => Effect.map(production(options), (config) => config.ssl.mode)
        strictEqual(yield* mode(server), "prefer")
        strictEqual(yield* mode({ type: "mssql" }), "verify-full")
        strictEqual(yield* mode({ ...server, ssl: true }), "verify-full")
        strictEqual(yield* mode({ ...server, ssl: false }), "disable")
        strictEqual(yield* mode({ ...server, ssl: "require" }), "require")
        strictEqual(yield* mode({ ...server, ssl: "require", sslRootCert: pem }), "verify-ca")
        strictEqual((yield* production({ ...server, sslRootCert: pem })).ssl.ca, pem)
        strictEqual((yield* production({ ...server, sslRootCert: pem.replaceAll("\n", "\\n") })).ssl.ca, pem)
      }))

    it.effect("TLS: options of Node ask for a check, unless they switch it off", () =>
      Effect.gen(function*() {
        const ca = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
        const ssl = (options: DbConfig.Options) => Effect.map(production(options), (config) => config.ssl)
        const given = { servername: "db.example.org", minVersion: "TLSv1.3", ca: undefined } as const
        const decoded = yield* ssl({ ...server, ssl: given })
        strictEqual(decoded.mode, "verify-full")
        deepStrictEqual(Redacted.value(decoded.options!), { servername: "db.example.org", minVersion: "TLSv1.3" })
        strictEqual((yield* ssl({ ...server, ssl: {} })).mode, "verify-full")
        strictEqual((yield* ssl({ ...server, ssl: { rejectUnauthorized: false } })).mode, "require")
        strictEqual((yield* ssl({ ...server, sslRootCert: ca, ssl: { rejectUnauthorized: false } })).mode, "require")
        strictEqual((yield* ssl({ type: "mssql", ssl: { rejectUnauthorized: false } })).mode, "require")
        // The stricter of both.
        strictEqual((yield* ssl({ url: "postgresql://h/d?sslmode=require", ssl: {} })).mode, "verify-full")
        strictEqual((yield* ssl({ url: "postgresql://h/d?sslmode=verify-ca", ssl: {} })).mode, "verify-full")
      }))

    it.effect("TLS: options of Node that cannot be used, or contradict others, are faultsIn", () =>
      Effect.gen(function*() {
        const ca = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
        const tls = (ssl: unknown, options: DbConfig.Options = server) =>
          // What a program in JavaScript may give.
          faultsOf({ ...options, ssl: ssl as DbConfig.TlsOptions })
        deepStrictEqual(yield* tls({ ca }, { ...server, sslRootCert: ca }), [
          "ssl.ca: is given, and so is sslRootCert; accepted: one of them"
        ])
        deepStrictEqual(yield* tls({ ca }, { url: `postgresql://h/d?sslrootcert=${encodeURIComponent(ca)}` }), [
          "ssl.ca: is given, and so is sslRootCert by the URL; accepted: one of them"
        ])
        deepStrictEqual(yield* tls({ cert: ca, key: ca }, { ...server, sslCert: ca, sslKey: ca }), [
          "ssl.cert: is given, and so is sslCert; accepted: one of them",
          "ssl.key: is given, and so is sslKey; accepted: one of them",
          "ssl: cannot be used by Node (ERR_OSSL_PEM_BAD_BASE64_DECODE); accepted: certificates with their keys, the " +
          "passphrase of the key, versions and ciphers that fit"
        ])
        for (
          const url of [
            "postgresql://h/d?sslmode=disable",
            "mysql://h/d?ssl-mode=DISABLED",
            "sqlserver://h;encrypt=false"
          ]
        ) {
          deepStrictEqual(yield* tls({}, { url }), [
            "ssl: holds TLS options, but the URL asks for disable; accepted: one of them"
          ])
        }
        for (const mode of ["verify-ca", "verify-full"]) {
          deepStrictEqual(yield* tls({ rejectUnauthorized: false }, { url: `postgresql://h/d?sslmode=${mode}` }), [
            `ssl.rejectUnauthorized: holds false, but the URL asks for ${mode}; accepted: one of them`
          ])
        }
        deepStrictEqual(yield* tls({ servername: "a" }, { type: "mssql", settings: { serverName: "b" } }), [
          "ssl.servername: is given, and so is settings.serverName; accepted: one of them"
        ])
        deepStrictEqual(yield* tls({ ca: "/ca.pem", servername: "10.0.0.1", rejectUnauthorized: 0, passphrase: 1 }), [
          "ssl.ca: has a value that cannot be used; accepted: PEM text (-----BEGIN ...) or its bytes, or a list of them",
          "ssl.servername: has a value that cannot be used; accepted: a name, which is no address",
          "ssl.rejectUnauthorized: has a value that cannot be used; accepted: true or false",
          "ssl.passphrase: has a value that cannot be used; accepted: a text, or a Redacted text"
        ])
        deepStrictEqual(yield* tls({ cert: ca }), [
          "ssl.key: is missing; accepted: certificate and key together, or neither",
          "ssl: cannot be used by Node (ERR_OSSL_PEM_BAD_BASE64_DECODE); accepted: certificates with their keys, the " +
          "passphrase of the key, versions and ciphers that fit"
        ])
        assertInclude(
          (yield* tls({ ALPNProtocols: ["x"] })).join(),
          `ssl.ALPNProtocols: is no option of ssl; accepted: ca, cert, key`
        )
        assertInclude((yield* tls({ pfx: Buffer.from("hush") })).join(), "ssl: cannot be used by Node (")
        for (const wrong of [[], Redacted.make({}), 1]) {
          assertInclude((yield* tls(wrong)).join(), "in code: options of node:tls too")
        }
        deepStrictEqual(yield* tls({}, { type: "sqlite", filename: ":memory:" }), [
          "ssl: holds TLS options, but the database is one of sqlite; accepted: PostgreSQL, MySQL, MariaDB, SQL Server"
        ])
        deepStrictEqual((yield* tls({}, {})).map((text) => text.split(";")[0]), ["type: is missing beside ssl"])
      }))

    it.scoped("certificates and keys may be paths", () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const path = Path.join(folder, "k.pem")
        Fs.writeFileSync(path, "-----BEGIN PRIVATE KEY-----\nsecret\n")
        const config = yield* production({ ...server, sslCert: path, sslKey: path })
        strictEqual(config.ssl.cert, "-----BEGIN PRIVATE KEY-----\nsecret\n")
        assertTrue(config.ssl.key !== undefined && Redacted.value(config.ssl.key).includes("secret"))
        Fs.writeFileSync(path, "nothing")
        deepStrictEqual(yield* faultsOf({ ...server, sslRootCert: "/no/ca.pem", sslCert: path, sslKey: path }), [
          "sslKey: holds the path of a file that holds no PEM text (-----BEGIN ...)",
          "sslRootCert: holds \"/no/ca.pem\", which cannot be read (ENOENT)",
          `sslCert: holds ${JSON.stringify(path)}, which holds no PEM text (-----BEGIN ...)`
        ])
      }))
  })

  describe("sqlite", () => {
    const file = (options: DbConfig.Options, name = "default") =>
      Effect.map(
        DbConfig.resolve(name, { environment: "development", ...options }),
        (config) =>
          config.filename && config.filename !== ":memory:"
            ? Path.relative(process.cwd(), config.filename)
            : config.filename
      )

    it.effect("nothing configured: a file in the current folder, named after the database", () =>
      Effect.gen(function*() {
        const config = yield* DbConfig.resolve("default", { environment: "development" })
        strictEqual(config.type, "sqlite")
        strictEqual(config.filename, Path.resolve("dblive.db"))
        deepStrictEqual(config.hosts, [])
        strictEqual(config.limits.lockTimeout, 30_000)
        strictEqual(yield* file({ environment: "test" }), "dblive.db")
        strictEqual(yield* file({}, "SurveyHub"), "SurveyHub.db")
      }))

    it.scoped("files and folders", () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        Fs.writeFileSync(Path.join(folder, "plain"), "")
        strictEqual(yield* file({ filename: "x/y.db" }), "x/y.db")
        strictEqual(yield* file({ filename: "x/y" }), "x/y")
        strictEqual(yield* file({ filename: "x/" }), "x/dblive.db")
        strictEqual(yield* file({ database: "app" }), "app.db")
        strictEqual(yield* file({ database: "app.sqlite" }), "app.sqlite")
        strictEqual(yield* file({ filename: "x", database: "app" }), "x/app.db")
        strictEqual(yield* file({ filename: "x.v2", database: "app" }), "x.v2/app.db")
        strictEqual(yield* file({ database: "test.payment.orders" }), "test.payment.orders.db")
        strictEqual(yield* file({ filename: "x.db", database: "app" }), "x.db")
        strictEqual(yield* file({ filename: ":memory:", database: "app" }), ":memory:")
        const path = (filename: string) =>
          Effect.map(production({ type: "sqlite", filename }), (config) => config.filename)
        strictEqual(yield* path(folder), Path.join(folder, "dblive.db"))
        strictEqual(yield* path(Path.join(folder, "plain")), Path.join(folder, "plain"))
      }))

    it.effect("production assumes nothing, and shows the three ways", () =>
      Effect.gen(function*() {
        const [fault, ...others] = yield* faultsOf({}, "SurveyHub")
        deepStrictEqual(others, [])
        assertInclude(fault, "SURVEY_HUB_DATABASE_URL: the database \"SurveyHub\" is not configured")
        assertInclude(fault, "1. a URL: SURVEY_HUB_DATABASE_URL=postgresql://")
        assertInclude(fault, "2. its parts: SURVEY_HUB_DATABASE_TYPE=postgresql")
        assertInclude(fault, "3. in code: Db.layer({")
        assertInclude((yield* faultsOf({ database: "x" }))[0], "DATABASE_URL=postgresql://")
        strictEqual((yield* production({ type: "sqlite" })).filename, Path.resolve("dblive.db"))
      }))
  })

  describe("prefixes", () => {
    const cases: ReadonlyArray<readonly [prefix: string, name: string, prefixed: string]> = [
      ["test", "orders", "test.orders"],
      ["test.payment", "orders", "test.payment.orders"],
      ["test", "test.orders", "test.orders"],
      ["test.payment", "test.orders", "test.payment.orders"],
      ["test", "test.payment.orders", "test.payment.orders"],
      ["test.payment", "test.payment.orders", "test.payment.orders"],
      ["test", "test", "test.test"],
      ["test", "testing", "test.testing"],
      ["test", "payment.test", "test.payment.test"]
    ]
    for (const [prefix, name, prefixed] of cases) {
      it.effect(`${prefix} before ${name}`, () =>
        Effect.gen(function*() {
          strictEqual((yield* production({ ...server, prefix, database: name })).database, prefixed)
          strictEqual(
            (yield* production({ type: "sqlite", prefix, filename: `/x/${name}.db` })).filename,
            `/x/${prefixed}.db`
          )
        }))
    }

    it.effect("the tag's name stands in for a missing name; :memory: has none", () =>
      Effect.gen(function*() {
        strictEqual((yield* production({ ...server, prefix: "test" }, "orders")).database, "test.orders")
        strictEqual(
          (yield* DbConfig.resolve("default", { environment: "development", prefix: "test" })).filename,
          Path.resolve("test.dblive.db")
        )
        strictEqual((yield* production({ filename: ":memory:", prefix: "test" })).filename, ":memory:")
        assertInclude((yield* faultsOf({ ...server, prefix: "test" }))[0], "database: is missing, and prefix needs one")
      }))

    it.effect("twice is as once", () =>
      Effect.promise(() => {
        const word = fc.constantFrom("a", "b", "test")
        const words = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("."))
        const apply = (prefix: string, database: string) =>
          Effect.runPromise(Effect.map(production({ ...server, prefix, database }), (config) => config.database!))
        return fc.assert(
          fc.asyncProperty(words, words, async (prefix, name) => {
            const once = await apply(prefix, name)
            assertTrue(once.startsWith(`${prefix}.`) && once.endsWith(name.split(".").at(-1)!))
            strictEqual(await apply(prefix, once), once)
          })
        )
      }))

    it.effect("a name that the server would cut is refused", () =>
      Effect.gen(function*() {
        assertInclude(
          (yield* faultsOf({ ...server, prefix: "test", database: "x".repeat(59) }))[0],
          "database: holds a text of 64 characters; accepted: at most 63 bytes, with the prefix"
        )
        strictEqual((yield* production({ ...server, prefix: "test", database: "x".repeat(58) })).database!.length, 63)
      }))
  })

  describe("bad input", () => {
    it.effect("all faultsIn at once, each with what it held, what is accepted and an example", () =>
      Effect.gen(function*() {
        deepStrictEqual(
          yield* faultsOf({
            // A program in JavaScript may give anything.
            type: "oracle" as DbConfig.DatabaseType,
            host: "a b",
            port: 70_000,
            pool: { size: 0, acquireTimeout: -1, resetOnReturn: "wash" as "none", idleTimeout: "soon" as "1 second" },
            limits: { statementTimeout: "40 days" }
          }),
          [
            "type: holds \"oracle\"; accepted: sqlite, postgresql, mysql, mariadb, mssql; example: DATABASE_TYPE=postgresql",
            "host: holds \"a b\"; accepted: a host name, an address, or the folder of a unix socket, each with :port or without; several separated by commas; example: DATABASE_HOST=db.example.com",
            "port: holds 70000; accepted: a whole number from 1 to 65535; example: DATABASE_PORT=5432",
            "pool.size: holds 0; accepted: a whole number from 1 to 10000; example: DATABASE_POOL_SIZE=10",
            "pool.acquireTimeout: holds -1; accepted: a length of time with its unit (ms, s, min, h, d), at most 24 days, above 0; example: DATABASE_ACQUIRE_TIMEOUT=10s",
            "pool.idleTimeout: holds \"soon\"; accepted: a length of time with its unit (ms, s, min, h, d), at most 24 days; 0: off; example: DATABASE_IDLE_TIMEOUT=10min",
            "pool.resetOnReturn: holds \"wash\"; accepted: rollback, commit, discard, none; example: DATABASE_RESET_ON_RETURN=rollback",
            "limits.statementTimeout: holds \"40 days\"; accepted: a length of time with its unit (ms, s, min, h, d), at most 24 days; 0: off; example: DATABASE_STATEMENT_TIMEOUT=30s"
          ]
        )
      }))

    it.effect("an option that is not known: where it stood, and which one is meant", () =>
      Effect.gen(function*() {
        const unknown = (options: object) =>
          Effect.map(faultsOfAny(options), (found) => found.map((text) => text.split("; accepted: ")[0]))
        deepStrictEqual(yield* unknown({ closeTimeout: 1 }), [
          "closeTimeout: is no option of a database (is pool.closeTimeout meant?)"
        ])
        deepStrictEqual(
          yield* unknown({
            user: "u",
            connectionString: "postgresql://u:hunter2@h",
            statmentTimeout: 1,
            zzzzzz: 1,
            pool: { sise: 1, timeout: 1, host: "h", shedding: { intervall: 1 } },
            limits: { toString: 1 },
            health: { slow: 1, recently: 1 },
            log: { Audit: true },
            tracing: { comment: true },
            ssl: { cipher: "x" }
          }),
          [
            "user: is no option of a database (is username meant?)",
            "connectionString: is no option of a database (is url meant?)",
            "statmentTimeout: is no option of a database (is limits.statementTimeout meant?)",
            "zzzzzz: is no option of a database",
            "pool.sise: is no option of pool (is pool.size meant?)",
            "pool.timeout: is no option of pool (is pool.acquireTimeout meant?)",
            "pool.host: is no option of pool (is host meant?)",
            "pool.shedding.intervall: is no option of pool.shedding (is pool.shedding.interval meant?)",
            "limits.toString: is no option of limits",
            "health.recently: is no option of health (is health.recent meant?)",
            "log.Audit: is no option of log (is log.audit meant?)",
            "tracing.comment: is no option of tracing (is tracing.comments meant?)",
            "ssl.cipher: is no option of ssl (is ssl.ciphers meant?)"
          ]
        )
        deepStrictEqual((yield* faultsOfAny({ pool: { sise: 1, shedding: { x: 1 } } })).length, 2)
        assertInclude(
          (yield* faultsOfAny({ limits: { x: 1 } }))[0],
          "; accepted: statementTimeout, lockTimeout, idleInTransactionTimeout, transactionTimeout"
        )
        // A name may be anything, also a URL; one that is given as undefined is not given.
        deepStrictEqual(yield* unknown({ "postgresql://u:hunter2@h": 1 }), [
          "(a name of 24 characters): is no option of a database"
        ])
        strictEqual((yield* production({ ...server, ...({ closeTimeout: undefined } as object) })).type, "postgresql")
      }))

    it.effect("an option of the wrong kind, also where there is no variable", () =>
      Effect.gen(function*() {
        deepStrictEqual(
          yield* faultsOfAny({
            pool: 5,
            limits: [],
            log: null,
            transformJson: "no",
            transformQueryNames: "snake",
            spanAttributes: 1,
            types: {}
          }),
          [
            "pool: holds 5; accepted: an object with size, overflow, overflowIdle, acquireTimeout, connectTimeout, " +
            "validateAfter, maxLifetime, idleTimeout, minIdle, keepalive, leakThreshold, maxWaiters, resetOnReturn, sharing, " +
            "sharingDepth, " +
            "closeTimeout, shedding",
            "limits: holds a value of type object; accepted: an object with statementTimeout, lockTimeout, " +
            "idleInTransactionTimeout, transactionTimeout",
            "log: holds null; accepted: an object with slowStatement, audit",
            "types: holds a value of type object; accepted: { getTypeParser: (oid, format) => parser }",
            "transformQueryNames: holds \"snake\"; accepted: a function (name) => name",
            "transformJson: holds \"no\"; accepted: true or false",
            "spanAttributes: holds 1; accepted: an object of attributes"
          ]
        )
        deepStrictEqual(yield* faultsOfAny({ pool: { shedding: true } }), [
          "pool.shedding: holds true; accepted: an object with target, interval"
        ])
      }))

    it.effect("a server without a type", () =>
      Effect.gen(function*() {
        deepStrictEqual(yield* faultsOf({ host: "a b", password: "hunter2" }), [
          "host: holds \"a b\"; accepted: a host name, an address, or the folder of a unix socket, each with :port or without; several separated by commas; example: DATABASE_HOST=db.example.com",
          "type: is missing beside host; accepted: sqlite, postgresql, mysql, mariadb, mssql; example: DATABASE_TYPE=postgresql"
        ])
      }))

    it.effect("a URL of another family than the type", () =>
      Effect.gen(function*() {
        assertInclude(
          (yield* faultsOf({ url: "postgresql://h", type: "mysql" }))[0],
          "type: holds \"mysql\", but the URL is one of postgresql"
        )
        strictEqual((yield* production({ url: "mysql://h", type: "mariadb" })).type, "mariadb")
      }))

    it.effect("settings that contradict each other", () =>
      Effect.gen(function*() {
        deepStrictEqual(
          yield* faultsOf({ ...server, pool: { size: 2, minIdle: 3 }, ssl: false, channelBinding: "require" }),
          [
            "channelBinding: holds \"require\", but ssl is disabled; accepted: ssl=require and above",
            "pool.minIdle: holds 3; accepted: at most pool.size, which is 2"
          ]
        )
      }))

    it.effect("a URL in the wrong place is not repeated", () =>
      Effect.gen(function*() {
        const found = yield* faultsOf({
          ...server,
          host: "postgresql://u:hunter2@h",
          prefix: "postgresql://u:hunter2@h/d"
        })
        strictEqual(found.length, 2)
        assertTrue(!found.join().includes("hunter2"))
        for (const field of ["database", "filename"]) {
          assertInclude(
            (yield* faultsOf({ [field]: "postgresql://u:hunter2@h" }))[0],
            `${field}: holds a text of 24 characters`
          )
        }
        assertInclude((yield* faultsOf({ ...server, host: "h\\instance" }))[0], "host: the host cannot be read")
      }))
  })

  it.effect("durations in every form; no limit is 0", () =>
    Effect.gen(function*() {
      const limit = (statementTimeout: Duration.DurationInput) =>
        Effect.map(production({ ...server, limits: { statementTimeout } }), (config) => config.limits.statementTimeout)
      strictEqual(yield* limit(1500), 1500)
      strictEqual(yield* limit("2 seconds"), 2000)
      strictEqual(yield* limit(Duration.minutes(1)), 60_000)
      strictEqual(yield* limit(5_000_000n), 5)
      strictEqual(yield* limit(0), 0)
      strictEqual(yield* limit(Duration.infinity), 0)
      for (
        const wrong of [-1, NaN, Infinity, "-1 seconds", Duration.days(25)] as ReadonlyArray<Duration.DurationInput>
      ) {
        const result = yield* Effect.either(limit(wrong))
        assertTrue(wrong === Infinity ? Either.isRight(result) : Either.isLeft(result), String(wrong))
      }
    }))

  it.effect("shedding is off unless it is asked for", () =>
    Effect.gen(function*() {
      const shed = (shedding: NonNullable<DbConfig.PoolOptions["shedding"]>) =>
        Effect.map(production({ ...server, pool: { shedding } }), (config) => config.pool.shedding)
      strictEqual(yield* shed(false), undefined)
      deepStrictEqual(yield* shed({}), { target: 50, interval: 2000 })
      deepStrictEqual(yield* shed({ target: "80 millis" }), { target: 80, interval: 2000 })
    }))

  it.effect("preparing can be switched off", () =>
    Effect.gen(function*() {
      strictEqual((yield* production(server)).prepareCacheSize, 256)
      strictEqual((yield* production({ ...server, prepareCacheSize: 8 })).prepareCacheSize, 8)
      strictEqual((yield* production({ ...server, prepare: false })).prepareCacheSize, 0)
    }))
})

describe("DbConfig.uri", () => {
  it.effect("names the database and reads back as the same one, without the password", () =>
    Effect.gen(function*() {
      for (
        const [url, uri] of [
          ["postgres://me%40corp:hunter2@h/d%20b?sslmode=require", "postgresql://me%40corp@h:5432/d%20b"],
          ["postgresql://u:hunter2@a:1,[::1]:2/d", "postgresql://u@a:1,[::1]:2/d"],
          ["postgresql://u@%2Ftmp/d", "postgresql://u@%2Ftmp:5432/d"],
          ["mysql://u:hunter2@h", "mysql://u@h:3306"],
          ["sqlserver://h\\inst;database=d;user=u;password=hunter2", "mssql://u@h\\inst/d"],
          ["sqlite:////x/a%23%3Fb.db", "sqlite:////x/a%23%3Fb.db"],
          ["sqlite://:memory:", "sqlite://:memory:"]
        ] as const
      ) {
        const config = yield* production({ url })
        strictEqual(DbConfig.uri(config), uri)
        const again = yield* production({ url: uri })
        deepStrictEqual(
          [again.hosts, again.database, again.username, again.filename],
          [config.hosts, config.database, config.username, config.filename]
        )
      }
    }))

  it.effect("a user name that changes is left out", () =>
    Effect.gen(function*() {
      const config = yield* production({ ...server, database: "d", username: Effect.succeed("u") })
      strictEqual(DbConfig.uri(config), "postgresql://h:5432/d")
    }))
})
