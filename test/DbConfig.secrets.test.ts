import { describe, it } from "@effect/vitest"
import { assertTrue } from "@effect/vitest/utils"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import * as DbConfig from "../src/DbConfig.js"
import { rendered } from "./kit/renderings.js"

/** The pieces of a password are rare words, so that finding one anywhere means that it leaked. */
const piece = fc.stringMatching(/^zq[a-z0-9]{4,8}$/)

/** With the characters between the pieces that a URL takes for its own. */
const password = fc.array(
  fc.record({
    piece,
    glue: fc.constantFrom(..."/:@?&=%[];{}\\#+, '\"é".split(""), "%2", "%40", "&x=", ";x=", "://", "")
  }),
  { minLength: 1, maxLength: 3 }
).map((parts) => ({
  text: parts.map(({ glue, piece }) => piece + glue).join("") + "zqend",
  pieces: [...parts.map(({ piece }) => piece), "zqend"]
}))

const assertHidden = (what: string, text: string, pieces: ReadonlyArray<string>) => {
  for (const piece of pieces) {
    assertTrue(!text.includes(piece), `${what} rendered ${piece}: ${text.slice(0, 2000)}`)
  }
}

/** Where nothing follows the password, an `@` in it would begin a host: that is another URL, and a right one. */
const templates: ReadonlyArray<(password: string) => string> = [
  (p) => `postgresql://u:${p}@h/d`,
  (p) => `postgresql+asyncpg://u:${p}@h:5432/d?sslmode=require`,
  (p) => `postgresql://u:${p}@a:1,b:2/d`,
  (p) => `postgresql://u:${p}@/d`,
  (p) => `postgresql://u:${p}@`,
  (p) => `postgresql://u:${p.replaceAll("@", "")}`,
  (p) => `postgresql://u:${p.replaceAll("@", "")}/d`,
  (p) => `postgresql://u:${p}@h:x/d`,
  (p) => `postgresql://u:${p}@h:99999/d`,
  (p) => `postgresql://u:${p}@h h/d`,
  (p) => `postgresql://u:${p}@[::1/d`,
  (p) => `postgresql://u:${p}@h/d%`,
  (p) => `postgresql://u:${p}@h/d/e`,
  (p) => `postgresql://u:${p}@h/d?nonsense=1`,
  (p) => `postgresql://u:${p}@h/d?sslmode=nonsense`,
  (p) => `postgresql://u:${p}@h/d?port=0&connect_timeout=x&options=x`,
  (p) => `postgresql://h/d?user=u&password=${p}&nonsense`,
  (p) => `postgresql://h/d?pasword=${p}`,
  (p) => `postgresql://h/d?${p}`,
  (p) => `postgresql://h/d?sslmode=${p}`,
  (p) => `postgresql:u:${p}@h/d`,
  (p) => `postgresql:/u:${p}@h/d`,
  (p) => `postgressql://u:${p}@h/d`,
  (p) => `nonsense://u:${p}@h/d`,
  (p) => `//u:${p}@h/d`,
  (p) => `u:${p}@h/d`,
  (p) => `u ${p}`,
  (p) => `:${p}@h`,
  (p) => `mysql://u:${p}@h/d?charset=latin1`,
  (p) => `mysql+pymysql://u:${p}@h:/d?x`,
  (p) => `mssql://u:${p}@h\\i\\j/d`,
  (p) => `mssql+pyodbc://u:${p}@h/d?driver=ODBC&encrypt=maybe`,
  (p) => `mssql+pyodbc:///?odbc_connect=${encodeURIComponent(`SERVER=h;UID=u;PWD=${p}`)};x`,
  (p) => `sqlserver://h:1433;database=d;user=u;password=${p}`,
  (p) => `sqlserver://h:1433;database=d;user=u;password={${p}}`,
  (p) => `sqlserver://h:1433;database=d;user=u;password={${p}`,
  (p) => `sqlserver://h:x;pwd=${p};nonsense=1`,
  (p) => `sqlserver://u:${p}@h;database=d`,
  (p) => `Server=h;Database=d;User Id=u;Password=${p};Nonsense=1`,
  (p) => `sqlite://u:${p}@h/d`,
  (p) => `jdbc:postgresql://u:${p}@h/d?x=y`
]

const outcomeOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    Exit.match(exit, {
      onFailure: (cause) =>
        [rendered(cause), Cause.pretty(cause), ...[...Cause.failures(cause)].map(rendered)].join("\n"),
      onSuccess: rendered
    }))

describe("no password survives", () => {
  it("in what parseUrl answers, right or wrong, escaped or not", () => {
    fc.assert(
      fc.property(password, fc.constantFrom(...templates), fc.boolean(), ({ pieces, text }, template, escape) => {
        const result = DbConfig.parseUrl(template(escape ? encodeURIComponent(text) : text))
        assertHidden("the answer", rendered(result), pieces)
        Either.match(result, {
          onLeft: (error) => assertHidden("the error", rendered(error), pieces),
          onRight: (options) => assertHidden("the options", rendered(options), pieces)
        })
      }),
      { numRuns: 1500 }
    )
  })

  it.effect("in a resolved configuration, its URI, or the faults of one", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          password,
          fc.constantFrom(...templates),
          fc.constantFrom("url", "redacted url", "password", "redacted password", "effect", "key", "tls", "tls key"),
          fc.boolean(),
          ({ pieces, text }, template, how, faulty) => {
            const options: DbConfig.Options = {
              environment: "production",
              ...how.endsWith("url")
                ? { url: how === "url" ? template(text) : Redacted.make(template(text)) }
                : { type: "postgresql", host: "h", username: "u" },
              ...how === "password" ? { password: text } : {},
              ...how === "redacted password" ? { password: Redacted.make(text) } : {},
              ...how === "effect" ? { password: Effect.sync(() => Redacted.make(text)) } : {},
              ...how === "key" ? { sslCert: "-----BEGIN", sslKey: text } : {},
              ...how === "tls" ? { ssl: { passphrase: text, rejectUnauthorized: !faulty } } : {},
              ...how === "tls key"
                ? { ssl: { cert: "-----BEGIN", key: `-----BEGIN ${text}`, pfx: Buffer.from(text), passphrase: text } }
                : {},
              ...faulty ? { port: 0, pool: { size: -1 } } : {}
            }
            return Effect.runPromise(
              outcomeOf(Effect.map(DbConfig.resolve("x", options), (config) => [config, DbConfig.uri(config)] as const))
            ).then((shown) => assertHidden("the outcome", shown, pieces))
          }
        ),
        { numRuns: 600 }
      )
    ))

  it.effect("in what variables make: options, configuration, faults, logs", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          password,
          fc.constantFrom(...templates),
          fc.constantFrom(
            "DATABASE_URL",
            "DATABASE_PASSWORD",
            "X_DATABASE_URL",
            "DATABASE_PASWORD",
            "DATABASE_URLS",
            "DATABASE_SSL_KEY",
            "PRODUCTION_GLOBAL_X_CONNECTION_STRING",
            "DATABASE_HOST",
            "DATABASE_TYPE",
            "DATABASE_SSL",
            "DATABASE_PORT",
            "DATABASE_PREFIX",
            "DATABASE_POOL_SIZE"
          ),
          ({ pieces, text }, template, variable) => {
            const lines: Array<string> = []
            const logger = Logger.make((entry) => {
              lines.push(Logger.logfmtLogger.log(entry), rendered(entry.message), rendered(entry.cause))
            })
            // A whole URL may end in a variable where it does not belong; a bare password has no business there.
            const value = /PASSWORD|PASWORD|KEY/.test(variable) ? text : template(text)
            // What does not hold an @ cannot be told from a harmless word.
            const variables = !/URL|STRING|PASSWORD|PASWORD|KEY/.test(variable) && !value.includes("@")
              ? {}
              : { [variable]: value }
            const name = /X_/.test(variable) ? "x" : "default"
            return Effect.runPromise(
              Effect.all([
                outcomeOf(Effect.map(DbConfig.fromEnv(name), (config) => [config, DbConfig.uri(config)] as const)),
                outcomeOf(
                  Effect.flatMap(
                    DbConfig.config(name),
                    (options) => Effect.map(outcomeOf(DbConfig.resolve(name, options)), (outcome) => [options, outcome])
                  )
                ),
                outcomeOf(Config.all([DbConfig.config(name), Config.integer("MISSING")]))
              ]).pipe(
                Effect.withConfigProvider(
                  ConfigProvider.fromMap(new Map(Object.entries({ APP_ENV: "production", ...variables })))
                ),
                Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
                Logger.withMinimumLogLevel(LogLevel.All)
              )
            ).then((shown) => assertHidden("variables or logs", [...shown, ...lines].join("\n"), pieces))
          }
        ),
        { numRuns: 300 }
      )
    ), 60_000)
})
