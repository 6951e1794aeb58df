/**
 * Options, checked and completed.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { DatabaseType, DbConfig, Environment, Host, Options } from "../../DbConfig.js"
import { fromHostOption } from "./draft.js"
import { all, shown, unusable } from "./faults.js"
import { environments } from "./kinds.js"
import { prefixed } from "./prefix.js"
import type { Preset, Row } from "./settings.js"
import { address, behaviour, health, limits, log, pool, rows, shedding, tracing } from "./settings.js"
import { decode as decodeTls } from "./tls.js"
import { parse } from "./url.js"
import { ownPrefix } from "./variables.js"

/** Where an option came from: the name of its variable, where it was one. */
export interface Origin {
  (option: string): string | undefined
}

/** What kind of process this is. */
export interface Surroundings {
  readonly environment: Environment
  /** The id of the test worker, where the process is one. */
  readonly worker: string | undefined
}

/** The variables that tell about the process rather than a database. */
export const processVariables = ["APP_ENV", "NODE_ENV", "DBLIVE_WORKER", "VITEST_POOL_ID", "VITEST_WORKER_ID"] as const

/**
 * The environment and the test worker. What the provider does not know, the process does: a test that sets a provider
 * of its own still runs in a test worker.
 */
export const surroundings = (
  given: unknown,
  variables: Readonly<Record<string, Option.Option<string>>>
): Either.Either<Surroundings, ConfigError.ConfigError> => {
  const find = (names: ReadonlyArray<string>) => {
    for (const name of names) {
      const value = Option.getOrUndefined(variables[name] ?? Option.none()) ?? process.env[name]
      if (value !== undefined && value !== "") {
        return { name, value }
      }
    }
    return undefined
  }
  const variable = given === undefined ? find(["APP_ENV", "NODE_ENV"]) : { name: "environment", value: given }
  const environment = variable === undefined ? "development" : environments.fromOption(variable.value)
  return environment === undefined
    ? Either.left(ConfigError.InvalidData(
      [variable!.name],
      `holds ${shown(variable!.value)}; accepted: ${environments.accepted}; example: APP_ENV=production`
    ))
    : Either.right({ environment, worker: find(["DBLIVE_WORKER", "VITEST_POOL_ID", "VITEST_WORKER_ID"])?.value })
}

type Variable = readonly [name: string, value: Option.Option<string>]

/** By halves: there are hundreds, and `Config.all` copies for each what it has found so far. */
const entries = (names: ReadonlyArray<string>): Config.Config<ReadonlyArray<Variable>> =>
  names.length <= 1
    ? Config.all(
      names.map((name) => Config.map(Config.option(Config.string(name)), (value): Variable => [name, value]))
    )
    : Config.zipWith(
      entries(names.slice(0, names.length >> 1)),
      entries(names.slice(names.length >> 1)),
      (some, others) => [...some, ...others]
    )

/** Reads variables, each of which may be missing. */
export const variables = (
  names: ReadonlyArray<string>
): Config.Config<Readonly<Record<string, Option.Option<string>>>> => Config.map(entries(names), Object.fromEntries)

/** Looks an option up by its dotted name. */
const lookup = (options: Options, option: string): unknown => {
  let value: unknown = options
  for (const key of option.split(".")) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined
  }
  return value
}

const given = (options: object | undefined): object =>
  Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined))

/** The parts of a URL under the options beside it, which win. */
const merge = (parts: Options, options: Options): Options => ({
  ...parts,
  // A port beside the URL is meant for all of its hosts.
  host: options.port !== undefined && parts.host?.includes(",") ? parts.host.replace(/:\d+(?=,|$)/g, "") : parts.host,
  ...given(options),
  settings: { ...parts.settings, ...options.settings },
  pool: { ...parts.pool, ...given(options.pool) },
  limits: { ...parts.limits, ...given(options.limits) }
})

const defaultPorts: Readonly<Record<Exclude<DatabaseType, "sqlite">, number>> = {
  postgresql: 5432,
  mysql: 3306,
  mariadb: 3306,
  mssql: 1433
}

/** The longest name of a database, in bytes. PostgreSQL cuts what is longer, without a word. */
const longestName: Readonly<Record<Exclude<DatabaseType, "sqlite">, number>> = {
  postgresql: 63,
  mysql: 64,
  mariadb: 64,
  mssql: 128
}

/** The variable of an option that was given in code, to name it beside the option. */
const variableOf = (name: string, row: Row<unknown>): string => `${ownPrefix(name)}${row.suffixes[0]}`

const exampleOf = (name: string, row: Row<unknown>): string => `${variableOf(name, row)}=${row.example}`

const notConfigured = (name: string, environment: Environment) => {
  const prefix = ownPrefix(name)
  return ConfigError.MissingData(
    [`${prefix}URL`],
    `the database "${name}" is not configured, and in ${environment} none is assumed; one of these is needed:\n` +
      `  1. a URL: ${prefix}URL=postgresql://user:password@host:5432/name\n` +
      `  2. its parts: ${prefix}TYPE=postgresql, ${prefix}HOST, ${prefix}NAME, ${prefix}USER, ${prefix}PASSWORD ` +
      `(or ${prefix}PASSWORD_FILE)\n` +
      `  3. in code: Db.layer({ type: "postgresql", host, database, username, password }), or ` +
      `Db.layer({ type: "sqlite", filename })`
  )
}

const stat = (path: string): Fs.Stats | undefined => {
  try {
    return Fs.statSync(path, { throwIfNoEntry: false })
  } catch {
    // What cannot be looked at cannot be opened either; opening tells the reason.
    return undefined
  }
}

const hasSqliteExtension = (path: string): boolean => /\.(db3?|sqlite3?)$/i.test(path)

/** The database's file: see `Options.filename`. */
const sqliteFile = (filename: string | undefined, database: string | undefined, name: string): string => {
  if (filename === ":memory:") {
    return filename
  }
  const base = database ?? (name === "default" ? "dblive" : name)
  const file = hasSqliteExtension(base) ? base : `${base}.db`
  if (filename === undefined) {
    return Path.resolve(file)
  }
  const found = stat(filename)
  const isFolder = /[\\/]$/.test(filename) || found?.isDirectory() === true ||
    (found === undefined && database !== undefined && !hasSqliteExtension(filename))
  return isFolder ? Path.resolve(filename, file) : Path.resolve(filename)
}

const hostsOf = (
  host: string | undefined,
  port: number | undefined,
  type: Exclude<DatabaseType, "sqlite">
): ReadonlyArray<Host> | string => {
  const draft = fromHostOption(type, host ?? "localhost")
  return draft.faults.length > 0
    ? draft.faults.join("; ")
    : draft.hosts.map((part) => ({
      host: part.host.replace(/^\[(.*)\]$/, "$1") || "localhost",
      port: part.port ?? port ?? defaultPorts[type],
      // A port says all: the instance needs no looking up.
      instance: part.port === undefined && port === undefined ? draft.instance : undefined
    }))
}

/** Faults found before, by their option. */
export type Earlier = ReadonlyMap<string, ConfigError.ConfigError>

/** Checks options and fills in defaults. All faults are told at once, with those found before. */
export const resolve = (
  name: string,
  options: Options,
  origin: Origin = () => undefined,
  earlier: Earlier = new Map()
): Effect.Effect<DbConfig, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    const faults = [...earlier.values()]
    const around = surroundings(options.environment, yield* variables(processVariables))
    if (Either.isLeft(around) && !earlier.has("environment")) {
      faults.push(around.left)
    }
    const config = complete(
      name,
      options,
      // With a fault nothing of the answer is used; development adds the fewest faults of its own.
      Either.getOrElse(around, (): Surroundings => ({ environment: "development", worker: undefined })),
      origin,
      earlier,
      faults
    )
    const [first, ...others] = faults
    return first === undefined ? config : yield* Effect.fail(all([first, ...others]))
  })

const complete = (
  name: string,
  options: Options,
  { environment, worker }: Surroundings,
  origin: Origin,
  earlier: Earlier,
  faults: Array<ConfigError.ConfigError>
): DbConfig => {
  const tell = (option: string, message: string) => {
    faults.push(ConfigError.InvalidData([origin(option) ?? option], message))
  }
  const preset: Preset = environment === "test" && worker !== undefined
    ? "test worker"
    : environment === "test"
    ? "development"
    : environment

  let parts: Options = {}
  let merged = options
  const url = address.url.kind.fromOption(options.url)
  if (url !== undefined) {
    Either.match(parse(Redacted.value(url)), {
      onLeft: (problems) => problems.forEach((problem) => tell("url", problem)),
      onRight: (found) => {
        parts = found
        merged = merge(parts, options)
        if (parts.type !== merged.type && !(isMysql(parts.type) && isMysql(merged.type))) {
          tell("type", `holds ${shown(merged.type)}, but the URL is one of ${parts.type}; accepted: one of them`)
        }
      }
    })
  }

  const decoded = new Map<string, unknown>()
  for (const row of rows) {
    const value = lookup(merged, row.option)
    if (value !== undefined) {
      const found = row.kind.fromOption(value)
      decoded.set(row.option, found)
      if (found === undefined) {
        tell(row.option, unusable(row, value, origin(row.option) ?? variableOf(name, row)))
      }
    }
  }
  // A row decodes to its own type, so what is found under its name has it.
  const optional = <A>(row: Row<A>): A | undefined => decoded.get(row.option) as A | undefined
  const value = <A>(row: Row<A> & { readonly defaults: Readonly<Record<Preset, A>> }): A =>
    optional(row) ?? row.defaults[preset]

  let type = optional(address.type)
  let isUnconfigured = false
  if (merged.type === undefined && !earlier.has("type") && !earlier.has("url") && merged.url === undefined) {
    const part = [address.host, address.port, address.username, address.password, address.ssl]
      .find((row) => lookup(merged, row.option) !== undefined)
    if (optional(address.filename) !== undefined) {
      type = "sqlite"
    } else if (part !== undefined) {
      tell(
        "type",
        `is missing beside ${origin(part.option) ?? part.option}; accepted: ${address.type.kind.accepted}; ` +
          `example: ${exampleOf(name, address.type)}`
      )
    } else if (environment === "production") {
      faults.push(notConfigured(name, environment))
    } else {
      isUnconfigured = optional(address.database) === undefined
    }
  }
  type ??= "sqlite"

  const prefix = optional(behaviour.prefix)
  const creates = value(behaviour.createDatabase)
  if (creates && type !== "sqlite" && optional(behaviour.access) === "read-only") {
    tell("createDatabase", "holds true, but access is read-only; accepted: one of them")
  }
  let database = optional(address.database)
  let filename: string | undefined
  let hosts: ReadonlyArray<Host> = []
  if (type === "sqlite") {
    filename = sqliteFile(optional(address.filename), database, name)
    if (filename !== ":memory:") {
      const { base, dir, ext } = Path.parse(filename)
      filename = Path.join(
        dir,
        ext === "" ? prefixed(prefix, base) : prefixed(prefix, base.slice(0, -ext.length)) + ext
      )
    }
    database = undefined
  } else {
    const found = hostsOf(optional(address.host), optional(address.port), type)
    if (typeof found === "string") {
      tell("host", `${found}; example: ${exampleOf(name, address.host)}`)
    } else {
      hosts = found
    }
    if (prefix !== undefined || creates) {
      database ??= name === "default" ? undefined : name
      if (database === undefined) {
        const needing = prefix === undefined ? "createDatabase" : "prefix"
        tell("database", `is missing, and ${needing} needs one; example: ${exampleOf(name, address.database)}`)
      } else {
        database = prefixed(prefix, database)
      }
    }
    if (database !== undefined && Buffer.byteLength(database) > longestName[type]) {
      tell("database", `holds ${shown(database)}; accepted: at most ${longestName[type]} bytes, with the prefix`)
    }
  }

  const tls = decodeTls(
    {
      type,
      mode: optional(address.ssl),
      rootCert: optional(address.sslRootCert),
      cert: optional(address.sslCert),
      key: optional(address.sslKey)
    },
    { url: parts, beside: options, merged },
    tell
  )
  const channelBinding = type === "postgresql" ? value(address.channelBinding) : undefined
  if (channelBinding === "require" && tls.mode === "disable") {
    tell("channelBinding", "holds \"require\", but ssl is disabled; accepted: ssl=require and above")
  }

  if (merged.types !== undefined) {
    if (type !== "postgresql") {
      tell("types", `is given, but the database is one of ${type}; accepted: PostgreSQL alone`)
    } else if (typeof merged.types?.getTypeParser !== "function") {
      tell("types", `holds ${shown(merged.types)}; accepted: { getTypeParser: (oid, format) => parser }`)
    }
  }

  const size = value(pool.size)
  const minIdle = optional(pool.minIdle)
  if (minIdle !== undefined && minIdle > size) {
    tell("pool.minIdle", `holds ${minIdle}; accepted: at most pool.size, which is ${size}`)
  }
  const program = optional(behaviour.applicationName) ?? "dblive"
  const sheds = typeof merged.pool?.shedding === "object"

  return {
    name,
    environment,
    type,
    ...(isUnconfigured ? { isUnconfigured } : {}),
    filename,
    hosts,
    targetSessionAttrs: value(address.targetSessionAttrs),
    channelBinding,
    database,
    username: optional(address.username),
    password: optional(address.password),
    ssl: tls,
    access: value(behaviour.access),
    applicationName: preset === "test worker" ? workerName(program, worker!) : program,
    settings: optional(address.settings) ?? {},
    prepare: value(behaviour.prepare),
    prepareCacheSize: value(behaviour.prepare) ? value(behaviour.prepareCacheSize) : 0,
    threads: value(behaviour.threads),
    types: merged.types,
    sqliteModule: value(behaviour.sqliteModule),
    transformQueryNames: merged.transformQueryNames,
    transformResultNames: merged.transformResultNames,
    transformJson: merged.transformJson ?? true,
    jsonNumbers: value(behaviour.jsonNumbers),
    spanAttributes: merged.spanAttributes ?? {},
    pool: {
      size,
      overflow: value(pool.overflow),
      overflowIdle: value(pool.overflowIdle),
      acquireTimeout: value(pool.acquireTimeout),
      connectTimeout: value(pool.connectTimeout),
      validateAfter: value(pool.validateAfter),
      maxLifetime: value(pool.maxLifetime),
      idleTimeout: value(pool.idleTimeout),
      minIdle: Math.min(value(pool.minIdle), size),
      keepalive: value(pool.keepalive),
      leakThreshold: value(pool.leakThreshold),
      maxWaiters: value(pool.maxWaiters),
      resetOnReturn: value(pool.resetOnReturn),
      closeTimeout: value(pool.closeTimeout),
      shedding: sheds ? { target: value(shedding.target), interval: value(shedding.interval) } : undefined
    },
    limits: {
      // SQLite in this process, and in memory, cannot stop a statement: it refuses a limit that somebody set, so it must
      // not have one that nobody set.
      statementTimeout: optional(limits.statementTimeout) ??
        (type === "sqlite" && (value(behaviour.threads) === 0 || filename === undefined || filename === ":memory:")
          ? 0
          : limits.statementTimeout.defaults[preset]),
      lockTimeout: value(limits.lockTimeout),
      idleInTransactionTimeout: value(limits.idleInTransactionTimeout),
      transactionTimeout: value(limits.transactionTimeout)
    },
    health: {
      slow: value(health.slow),
      longWait: value(health.longWait),
      recent: value(health.recent),
      timeout: value(health.timeout),
      cache: value(health.cache)
    },
    log: { slowStatement: value(log.slowStatement), audit: value(log.audit) },
    tracing: { comments: value(tracing.comments) },
    connectOnStart: value(behaviour.connectOnStart),
    createDatabase: creates
  }
}

const isMysql = (type: DatabaseType | undefined): boolean => type === "mysql" || type === "mariadb"

/** PostgreSQL cuts a name at 63 bytes: the program's part is cut, so that worker and process stay readable. */
const workerName = (program: string, worker: string): string => {
  const suffix = `_test_${worker.replace(/[^\w-]/g, "_").slice(0, 20)}_${process.pid}`
  return program.slice(0, 63 - suffix.length) + suffix
}
