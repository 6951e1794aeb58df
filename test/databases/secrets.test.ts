/** No password in what a layer fails with, logs, traces or rendered, whatever is wrong, and when nothing is. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { DbError, isDbError } from "../../src/DbError.js"
import * as DbRegistry from "../../src/DbRegistry.js"
import { describeStandIn, standIn, standInCertificates } from "../kit/mssql.js"
import { describeMysql, freshMysqlDatabase, mysqlQuery } from "../kit/mysql.js"
import { describePostgres, freshDatabase, query, sharedPostgres } from "../kit/postgres.js"
import { rendered } from "../kit/renderings.js"
import { collectingTracer } from "../kit/spans.js"
import { folder } from "./folder.js"

const password = "zqcanary/7:@x%zqend"

/** The password as it may turn up: plain, in parts, in a URL, on the wire. */
const forms = [
  "zqcanary",
  "zqend",
  encodeURIComponent(password),
  Buffer.from(password).toString("base64"),
  Buffer.from(`\0app\0${password}`).toString("base64"),
  Buffer.from(password).toString("hex")
]

/** Everything that is logged, at every level, in every form. */
const recorder = () => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>((options) => {
    lines.push(
      Logger.logfmtLogger.log(options),
      Logger.jsonLogger.log(options),
      Logger.stringLogger.log(options),
      rendered(Logger.structuredLogger.log(options))
    )
  })
  const { tracer } = collectingTracer((recorded) => lines.push(rendered(recorded)))
  return {
    lines,
    layer: Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, logger),
      Logger.minimumLogLevel(LogLevel.All),
      Layer.setTracer(tracer)
    )
  }
}

const assertHidden = (texts: ReadonlyArray<string>): void => {
  for (const text of texts) {
    for (const form of forms) {
      assert.isFalse(
        text.includes(form),
        `rendered ${form}: ${text.slice(Math.max(text.indexOf(form) - 300, 0), 2000)}`
      )
    }
  }
}

/** Runs it and gives everything that can be seen of it. */
const seen = <A, E>(effect: Effect.Effect<A, E>, ofSuccess = (value: A): ReadonlyArray<string> => [rendered(value)]) =>
  Effect.gen(function*() {
    const { layer, lines } = recorder()
    const exit = yield* Effect.exit(Effect.provide(effect, layer))
    const values = Exit.match(exit, {
      onSuccess: ofSuccess,
      onFailure: (cause) => [
        rendered(cause),
        Cause.pretty(cause),
        Cause.pretty(cause, { renderErrorCause: true }),
        ...[...Cause.failures(cause)].flatMap((error) => [
          rendered(error),
          ...isDbError(error) ? [rendered(Schema.encodeSync(DbError)(error))] : []
        ])
      ]
    })
    return { exit, texts: [...values, ...lines] }
  })

const build = <A, E>(layer: Layer.Layer<A, E>) => Effect.scoped(Layer.build(layer))

/** Layers that cannot be built: each fails with a typed error that rendered nothing. */
const allRefused = (cases: Readonly<Record<string, DbConfig.Options>>) =>
  Effect.forEach(Object.entries(cases), ([what, options]) =>
    Effect.gen(function*() {
      const registered = Layer.scopedDiscard(Effect.flatMap(DbRegistry.DbRegistry, (_) => _.get("x"))).pipe(
        Layer.provide(DbRegistry.layer({ x: options }))
      )
      for (const attempt of [Effect.asVoid(build(Db.layer(options))), Effect.asVoid(build(registered))]) {
        const { exit, texts } = yield* seen<void, unknown>(attempt)
        assert.isTrue(Exit.isFailure(exit) && Option.isSome(Cause.failureOption(exit.cause)), `${what}: ${texts[1]}`)
        assertHidden(texts)
      }
    }))

/** A layer that is built: nothing that hangs together with its database rendered anything. */
const opened = (options: DbConfig.Options) =>
  Effect.gen(function*() {
    const look = (context: Context.Context<Db | SqlClient.SqlClient>) =>
      Effect.gen(function*() {
        yield* Db.query("SELECT 1 AS one").pipe(Db.transaction)
        const failed = yield* Effect.flip(Db.query("SELECT nonsense FROM nowhere"))
        return [
          failed,
          context,
          Context.get(context, Db),
          ...context.unsafeMap.values(),
          yield* Db.info,
          yield* Db.pool,
          yield* Db.health,
          yield* Db.metrics
        ].map(rendered)
      }).pipe(Effect.provide(context))
    const { exit, texts } = yield* seen(
      Effect.scoped(Effect.flatMap(Layer.build(Db.layer(options)), look)),
      (rendered) => rendered
    )
    assert.isTrue(Exit.isSuccess(exit), texts[1])
    assertHidden(texts)
  })

describePostgres("no password is shown, postgresql", () => {
  /** A role with that password, which may log in and do no more. */
  const role = Effect.acquireRelease(
    Effect.tap(
      Effect.sync(() => `canary_${randomBytes(6).toString("hex")}`),
      (name) => query(sharedPostgres().url, `CREATE ROLE ${name} LOGIN PASSWORD '${password}'`)
    ),
    (name) => query(sharedPostgres().url, `DROP OWNED BY ${name}; DROP ROLE ${name}`)
  )

  it.scopedLive("by layers that cannot be built", () =>
    Effect.gen(function*() {
      const { host, name, port } = yield* freshDatabase
      const user = yield* role
      const secret = `${yield* folder}/secret`
      Fs.writeFileSync(secret, `${password}\n`)
      const url = (parts: string) => `postgresql://app:${encodeURIComponent(password)}@${parts}`
      const right = { type: "postgresql", host, port, database: name, username: user, password } as const
      const cases: Readonly<Record<string, DbConfig.Options>> = {
        "wrong password": { url: url(`${host}:${port}/${name}`) },
        "wrong password from an effect": {
          url: `postgresql://app@${host}:${port}/${name}`,
          password: Effect.succeed(Redacted.make(password))
        },
        "the password where the name belongs": { ...right, username: "postgres" },
        "unknown database": { ...right, database: "nowhere" },
        "database that may not be created": { ...right, database: "nowhere", createDatabase: true },
        "no server": { url: url(`${host}:1/${name}`), pool: { acquireTimeout: "300 millis" } },
        "unknown host": { url: url(`nowhere.invalid/${name}`), pool: { acquireTimeout: "300 millis" } },
        "certificate that is not trusted": { ...right, ssl: "verify-full" },
        "setting the server refuses": { ...right, settings: { work_mem: "nonsense" } },
        "broken URL": { url: url(`${host}:x/${name}?nonsense=1`) },
        "broken URL without its escapes": { url: `postgresql://app:${password}@${host}:${port}/${name}` },
        "key that is no key": { ...right, sslKey: password, sslCert: "-----BEGIN X-----" },
        "driver that cannot": { type: "sqlite", filename: ":memory:", password, limits: { statementTimeout: 1 } }
      }
      yield* allRefused(cases)
      const variables: ReadonlyArray<Readonly<Record<string, string>>> = [
        { DATABASE_URL: url(`${host}:${port}/${name}`) },
        { DATABASE_URL: url("h:x"), DATABASE_PASWORD: password, DATABASE_PORT: password },
        {
          DATABASE_TYPE: "postgresql",
          DATABASE_HOST: host,
          DATABASE_PORT: String(port),
          DATABASE_USER: "app",
          DATABASE_PASSWORD_FILE: secret
        },
        { DATABASE_HOST: password, DATABASE_PASSWORD: password }
      ]
      for (const entries of variables) {
        const provider = ConfigProvider.fromMap(new Map(Object.entries({ APP_ENV: "production", ...entries })))
        const { exit, texts } = yield* seen(
          build(Layer.fresh(Db.layerEnv).pipe(Layer.provide(Layer.setConfigProvider(provider))))
        )
        assert.isTrue(Exit.isFailure(exit) && Option.isSome(Cause.failureOption(exit.cause)))
        assertHidden(texts)
      }
    }), 60_000)

  it.scopedLive("by a database that is open, in reports and under inspection", () =>
    Effect.gen(function*() {
      const { host, name, port } = yield* freshDatabase
      const user = yield* role
      yield* opened({ url: `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${name}` })
    }))
})

describeMysql("no password is shown, mysql", () => {
  it.scopedLive("by layers, built or not", () =>
    Effect.gen(function*() {
      const { host, name, port, url } = yield* freshMysqlDatabase
      const user = yield* Effect.acquireRelease(
        Effect.tap(
          Effect.sync(() => `canary_${randomBytes(6).toString("hex")}`),
          (user) =>
            Effect.zipRight(
              mysqlQuery(url, `CREATE USER '${user}' IDENTIFIED BY '${password}'`),
              mysqlQuery(url, `GRANT ALL ON ${name}.* TO '${user}'`)
            )
        ),
        (user) => mysqlQuery(url, `DROP USER '${user}'`)
      )
      const right = { type: "mysql", host, port, database: name, username: user, password, ssl: false } as const
      yield* allRefused({
        "wrong password": { ...right, username: "nobody" },
        "database that may not be created": { ...right, database: "nowhere", createDatabase: true },
        "setting the server refuses": { ...right, settings: { time_zone: "nonsense" } },
        "no server": { ...right, port: 1, pool: { acquireTimeout: "300 millis" } }
      })
      yield* opened(right)
    }), 60_000)
})

describeStandIn("no password is shown", () => {
  it.scopedLive("by layers, built or not", () =>
    Effect.gen(function*() {
      const { authority } = yield* Effect.promise(standInCertificates)
      const { host, name, port } = yield* standIn({ users: { canary: password } })
      const right = {
        type: "mssql",
        host,
        port,
        database: name,
        username: "canary",
        password,
        sslRootCert: authority.cert
      } as const
      yield* allRefused({
        "wrong user": { ...right, username: "nobody" },
        "missing database": { ...right, database: "nowhere" },
        "certificate that is not trusted": { ...right, sslRootCert: undefined },
        "no server": { ...right, port: 1, pool: { acquireTimeout: "300 millis" } }
      })
      yield* opened(right)
    }), 60_000)
})
