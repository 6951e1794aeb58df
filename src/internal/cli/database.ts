/**
 * The database that a command works on.
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as ConfigErrors from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { TagClass } from "../../Db.js"
import { Db } from "../../Db.js"
import * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import { configured } from "../config/names.js"
import { nearest } from "../config/nearest.js"
import { findTypos, typoText } from "../config/typos.js"
import { ownPrefix } from "../config/variables.js"
import { orElse } from "../effect/configProvider.js"
import type { Call } from "./arguments.js"
import { configuredAs, plain } from "./naming.js"
import { UsageError } from "./report.js"
import { warningText } from "./style.js"

/** What the options of a command say about it. */
export interface Where {
  readonly database: string
  readonly url: string | undefined
  readonly passwordFile: string | undefined
  readonly environment: "production" | "development" | "test" | undefined
  /** Whether a database that nothing configures is meant: a file of its name in this folder. */
  readonly create: boolean
}

/** The tag under which every command finds its database, whatever its name is. */
export interface Chosen {
  readonly _: unique symbol
}

/** A database's tag and the layer that opens it. */
export interface Opened {
  readonly tag: TagClass<Chosen, string>
  readonly layer: Layer.Layer<Chosen, DbError | ConfigError>
}

/** One connection is enough, and no limit of the program's own work is meant for migrations. */
const forCommands = (options: DbConfig.Options, connectOnStart: boolean): DbConfig.Options => ({
  ...options,
  connectOnStart,
  applicationName: options.applicationName ?? "dblive",
  // A migration holds its connection for as long as it takes: that is no leak.
  pool: { ...options.pool, size: 1, overflow: 1, leakThreshold: 0 },
  limits: { ...options.limits, statementTimeout: 0, transactionTimeout: 0, idleInTransactionTimeout: 0 }
})

const password: Config.Config<Option.Option<Redacted.Redacted<string>>> = Config.option(
  Config.orElse(
    Config.redacted("DATABASE_PASSWORD"),
    () =>
      Config.mapOrFail(Config.string("DATABASE_PASSWORD_FILE"), (path) => readSecret("DATABASE_PASSWORD_FILE", path))
  )
)

const readSecret = (name: string, path: string): Either.Either<Redacted.Redacted<string>, ConfigError> =>
  Either.try({
    try: () => Redacted.make(Fs.readFileSync(path, "utf8").replace(/\r?\n$/, "")),
    catch: () => ConfigErrors.InvalidData([name], `the file ${path} cannot be read`)
  })

const fromUrl = (where: Where, url: string): Effect.Effect<DbConfig.Options, ConfigError> =>
  Effect.gen(function*() {
    const parsed = yield* DbConfig.parseUrl(url)
    const given = where.passwordFile === undefined
      ? Option.getOrUndefined(yield* password)
      : yield* readSecret("--password-file", where.passwordFile)
    return {
      url: Redacted.make(url),
      ...(where.environment === undefined ? {} : { environment: where.environment }),
      ...(given !== undefined && parsed.password === undefined && parsed.type !== "sqlite" ? { password: given } : {})
    }
  })

/** The variables of the process as they are now; `--env` stands before them. */
const base = ({ environment }: Pick<Where, "environment">): Layer.Layer<never> =>
  Layer.setConfigProvider(
    environment === undefined
      ? ConfigProvider.fromEnv()
      : orElse(ConfigProvider.fromMap(new Map([["APP_ENV", environment]])), ConfigProvider.fromEnv())
  )

/** `.env` files of the folder stand behind all variables. */
const variables = (where: Pick<Where, "environment">): Layer.Layer<never, ConfigError> =>
  Layer.provide(DbConfig.dotenv("."), base(where))

/** With the variables of the process, and without those of files. */
export const withoutFiles = <A, E, R>(
  where: Pick<Where, "environment">,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.provide(effect, base(where))

/** With the variables that a command sees. */
export const withVariables = <A, E, R>(
  where: Pick<Where, "environment">,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | ConfigError, R> => Effect.provide(effect, variables(where))

/** Whether the address holds a password, which every user of the machine can see in the list of processes. */
export const showsPassword = (url: string): boolean => /^[^/?#]*:\/\/[^/?#@]*:[^/?#@]+@/.test(url)

/** The options of a database, of `--url` or of its variables. */
export const optionsOf = (where: Where): Effect.Effect<DbConfig.Options, ConfigError> =>
  where.url === undefined ? DbConfig.config(where.database) : fromUrl(where, where.url)

/** Whether anything says where the database is. */
const isConfigured = ({ database, filename, host, type, url }: DbConfig.Options): boolean =>
  [url, type, host, database, filename].some((part) => part !== undefined)

/** Nothing says where the database is, and the file that would be made is hardly what is meant. */
const refusal = (name: string, typos: ReadonlyArray<string>): Effect.Effect<never, UsageError | ConfigError> =>
  Effect.flatMap(configured, (names) => {
    const near = name === "default" ? undefined : nearest(plain(name), names.map(plain))
    const others = names.filter((other) => other !== "default")
    const advice = near !== undefined
      ? `; is "${names[names.map(plain).indexOf(near)]}" meant?`
      : others.length > 0
      ? `; configured are ${others.join(", ")}`
      : ""
    return Effect.fail(
      new UsageError([
        `nothing configures the database "${name}"${advice}`,
        ...typos,
        `set ${ownPrefix(name)}URL, give --url, or --create for a new SQLite file in this folder`
      ].join("\n"))
    )
  })

/** A file of this folder by its name, as a path of this machine is of no use to a reader of the output. */
export const address = (config: DbConfig.DbConfig): string => {
  const { filename } = config
  const relative = config.type === "sqlite" && filename !== undefined ? Path.relative(process.cwd(), filename) : ""
  return relative === "" || relative.startsWith("..") || Path.isAbsolute(relative)
    ? DbConfig.uri(config)
    : `sqlite:${relative.replaceAll("\\", "/")}`
}

/**
 * Says which database a command works on, without its password, before anything is done; warns of variables that are
 * probably misspelt, and fails when nothing configures the database.
 */
export const announce = (where: Where): Effect.Effect<void, UsageError | ConfigError> =>
  Effect.gen(function*() {
    const { database } = where
    const options = yield* optionsOf(where)
    const typos = where.url === undefined ? (yield* findTypos(database)).map(typoText) : []
    const config = yield* DbConfig.resolve(database, options)
    if (!isConfigured(options) && !where.create && (database !== "default" || typos.length > 0)) {
      return yield* refusal(database, typos)
    }
    yield* Console.error(`${database}: ${address(config)}`)
    yield* Effect.forEach(typos, (typo) => Console.error(warningText(typo)), { discard: true })
  }).pipe((effect) => withVariables(where, effect))

/** The options of the database as they were found, and what they lead to. Opens nothing. */
export const configuredBy = (where: Where) =>
  Effect.gen(function*() {
    const options = yield* optionsOf(where)
    return { options, config: yield* DbConfig.resolve(where.database, options) }
  }).pipe(Effect.provide(variables(where)))

/** The tag of the database. */
export const tagOf = ({ database }: Where): TagClass<Chosen, string> => Db.Tag(database)<Chosen>()

/** The database, opened when its layer is built; with `connectOnStart` false, when it is used. */
export const open = (where: Where, connectOnStart = true): Opened => {
  const tag = tagOf(where)
  return {
    tag,
    layer: Layer.provide(
      Layer.unwrapEffect(Effect.map(optionsOf(where), (options) => tag.layer(forCommands(options, connectOnStart)))),
      variables(where)
    )
  }
}

/** The call with the name of the database as it is configured. */
export const canonical = (call: Call): Effect.Effect<Call> => {
  const option = (name: string) => call.options.find(([other]) => other === name)?.[1]
  const given = option("--database")
  if (given === undefined || given === "default" || option("--url") !== undefined) {
    return Effect.succeed(call)
  }
  const environment = option("--env") as Where["environment"]
  return withVariables(
    { environment },
    Effect.map(configured, (known): Call => ({
      ...call,
      options: call.options.map(([name, value]) => [name, name === "--database" ? configuredAs(given, known) : value])
    })) as Effect.Effect<Call, ConfigError>
  ).pipe(
    // The command itself tells what is wrong with the configuration.
    Effect.orElseSucceed(() => call)
  )
}
