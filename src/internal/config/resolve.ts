/**
 * Options, checked and completed: read, merge, parse, validate, result.
 */
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Struct from "effect/Struct"
import type { Address } from "./address.js"
import { fileOf, serverOf } from "./address.js"
import type { Tell } from "./faults.js"
import { all, exampleOf, shown, unusable, variableOf } from "./faults.js"
import type { DbConfig } from "./model.js"
import type { Options, ReplicaOptions } from "./options.js"
import type { Surroundings } from "./process.js"
import { processVariables, surroundings, variables } from "./process.js"
import type { Preset, Row } from "./row.js"
import { valuesOf } from "./row.js"
import type { Values } from "./settings.js"
import { rows, settings } from "./settings.js"
import type { Sources } from "./tls.js"
import { decode as decodeTls } from "./tls.js"
import { checkKnown } from "./unknown.js"
import { parse as parseUrl } from "./url.js"
import type { DatabaseType, Environment } from "./values.js"
import { ownPrefix } from "./variables.js"

/** Where an option came from: the name of its variable, where it was one. */
export interface Origin {
  (option: string): string | undefined
}

/** Faults found before, by their option. */
export type Earlier = ReadonlyMap<string, ConfigError.ConfigError>

/** What a configuration is made for. */
interface Context extends Surroundings {
  /** Name of the database's tag. */
  readonly name: string
  readonly preset: Preset
  readonly origin: Origin
  readonly earlier: Earlier
  readonly tell: Tell
  readonly tellMissing: (error: ConfigError.ConfigError) => void
}

const presetOf = ({ environment, worker }: Surroundings): Preset =>
  environment !== "test" ? environment : worker === undefined ? "development" : "test worker"

/** Where the value of a setting came from. */
export type From =
  | { readonly _tag: "Default" }
  /** `variable`: the variable that holds the URL, where it was one. */
  | { readonly _tag: "Url"; readonly variable: string | undefined }
  | { readonly _tag: "Variable"; readonly variable: string }
  | { readonly _tag: "Option" }

/** A setting that is in force. */
export interface InForce {
  readonly row: Row<unknown>
  /** Its value; `undefined` where the row's default is told in words. */
  readonly value: unknown
  readonly from: From
}

/** What options lead to, with all that is wrong with them. */
export interface Explained {
  readonly faults: ReadonlyArray<ConfigError.ConfigError>
  /** `undefined` where there are faults. */
  readonly config: DbConfig | undefined
  /** Every setting, in the order of the documentation. */
  readonly inForce: () => ReadonlyArray<InForce>
}

/** Checks options and fills in defaults, and tells what came from where. */
export const explain = (
  name: string,
  options: Options,
  origin: Origin = () => undefined,
  earlier: Earlier = new Map()
): Effect.Effect<Explained, ConfigError.ConfigError> =>
  Effect.gen(function*() {
    const faults = [...earlier.values()]
    const found = surroundings(options.environment, yield* variables(processVariables))
    if (Either.isLeft(found) && !earlier.has("environment")) {
      faults.push(found.left)
    }
    // With a fault nothing of the answer is used; development adds the fewest faults of its own.
    const around = Either.getOrElse(found, (): Surroundings => ({ environment: "development", worker: undefined }))
    const context: Context = {
      ...around,
      name,
      preset: presetOf(around),
      origin,
      earlier,
      tell: (option, message) => faults.push(ConfigError.InvalidData([origin(option) ?? option], message)),
      tellMissing: (error) => faults.push(error)
    }
    const url = read(options, context)
    const merged = url === undefined ? options : merge(url, options)
    const values = parse(merged, context)
    const parts = validate(values, { url: url ?? {}, beside: options, merged }, context)
    const replicas = replicasOf(values, merged, parts, context, () => faults.length === 0)
    return {
      faults,
      config: faults.length === 0 ? result(values, { ...parts, replicas }, merged, context) : undefined,
      inForce: () =>
        rows.map((row) => ({
          row,
          // It is decoded before the others, whose defaults it chooses.
          value: row.option === settings.environment.option ? around.environment : valueAt(values, row.option),
          from: fromOf(row.option, options, merged, origin)
        }))
    }
  })

/** The configuration, or all faults as one error. */
export const configured = ({ config, faults }: Explained): Effect.Effect<DbConfig, ConfigError.ConfigError> => {
  const [first, ...others] = faults
  // Without a fault there is a configuration.
  return first === undefined ? Effect.succeed(config!) : Effect.fail(all([first, ...others]))
}

/** Checks options and fills in defaults. All faults are told at once. */
export const resolve = (name: string, options: Options): Effect.Effect<DbConfig, ConfigError.ConfigError> =>
  Effect.flatMap(explain(name, options), configured)

const isGiven = (value: unknown): boolean =>
  value !== undefined && !(typeof value === "object" && value !== null && Object.keys(value).length === 0)

const fromOf = (option: string, options: Options, merged: Options, origin: Origin): From => {
  const isBeside = valueAt(options, option) !== undefined
  const variable = origin(isBeside ? option : settings.url.option)
  return isBeside
    ? variable === undefined ? { _tag: "Option" } : { _tag: "Variable", variable }
    : isGiven(valueAt(merged, option))
    ? { _tag: "Url", variable }
    : { _tag: "Default" }
}

/** Checks the names of the options, and reads those of the URL. */
const read = (options: Options, { tell }: Context): Options | undefined => {
  checkKnown(options, tell)
  const url = settings.url.kind.fromOption(options.url)
  if (url === undefined) {
    return undefined
  }
  const found = parseUrl(Redacted.value(url))
  if (Either.isRight(found)) {
    return found.right
  }
  found.left.forEach((problem) => tell("url", problem))
  return undefined
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

/** Looks an option up by its dotted name. */
const valueAt = (options: object, option: string): unknown => {
  let value: unknown = options
  for (const key of option.split(".")) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined
  }
  return value
}

/** Each option decoded by its row; where it is not given, the default of the row. */
const parse = (merged: Options, { name, origin, preset, tell }: Context): Values =>
  valuesOf(settings, (row) => {
    const value = valueAt(merged, row.option)
    // The environment is decoded already: it chooses the defaults.
    if (value !== undefined && row.option !== settings.environment.option) {
      const decoded = row.kind.fromOption(value)
      if (decoded !== undefined) {
        return decoded
      }
      tell(row.option, unusable(row, value, origin(row.option) ?? variableOf(name, row)))
    }
    return typeof row.defaults === "string" ? undefined : row.defaults[preset]
  })

/** What follows from several settings together. */
interface Parts extends Address {
  readonly type: DatabaseType
  readonly isUnconfigured: boolean
  readonly ssl: DbConfig["ssl"]
}

/** The same, with the replicas, whose configurations need it. */
interface Complete extends Parts, Pick<DbConfig, "replicas"> {}

/** Checks what several settings say together. */
const validate = (values: Values, sources: Sources, context: Context): Parts => {
  const { name, tell } = context
  const { merged, url } = sources
  if (url.type !== undefined && url.type !== merged.type && !(isMysql(url.type) && isMysql(merged.type))) {
    tell("type", `holds ${shown(merged.type)}, but the URL is one of ${url.type}; accepted: one of them`)
  }
  const isUnconfigured = checkConfigured(values, merged, context)
  const type = values.type ?? "sqlite"
  if (values.createDatabase && type !== "sqlite" && values.access === "read-only") {
    tell("createDatabase", "holds true, but access is read-only; accepted: one of them")
  }
  const address = type === "sqlite" ? fileOf(name, values) : serverOf(name, type, values, tell)
  const ssl = decodeTls(
    { type, mode: values.ssl, rootCert: values.sslRootCert, cert: values.sslCert, key: values.sslKey },
    sources,
    tell
  )
  if (type === "postgresql" && values.channelBinding === "require" && ssl.mode === "disable") {
    tell("channelBinding", "holds \"require\", but ssl is disabled; accepted: ssl=require and above")
  }
  if (values.types !== undefined && type !== "postgresql") {
    tell("types", `is given, but the database is one of ${type}; accepted: PostgreSQL alone`)
  }
  if (merged.pool?.minIdle !== undefined && values.pool.minIdle > values.pool.size) {
    tell("pool.minIdle", `holds ${values.pool.minIdle}; accepted: at most pool.size, which is ${values.pool.size}`)
  }
  return { ...address, type, isUnconfigured, ssl }
}

/** Whether nothing says which database is meant; a fault where something must. */
const checkConfigured = (values: Values, merged: Options, { earlier, origin, ...context }: Context): boolean => {
  const { environment, name, tell, tellMissing } = context
  if (merged.type !== undefined || merged.url !== undefined || earlier.has("type") || earlier.has("url")) {
    return false
  }
  if (values.filename !== undefined) {
    return false
  }
  const { host, password, port, ssl, type, username } = settings
  const part = [host, port, username, password, ssl].find((row) => valueAt(merged, row.option) !== undefined)
  if (part !== undefined) {
    tell(
      "type",
      `is missing beside ${origin(part.option) ?? part.option}; accepted: ${type.kind.accepted}; ` +
        `example: ${exampleOf(name, type)}`
    )
    return false
  }
  if (environment === "production") {
    tellMissing(notConfigured(name, environment))
    return false
  }
  return values.database === undefined
}

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

const first = ["first", "second", "third"]

/** What does not pass to a replica. */
const ofPrimary = ["url", "host", "port", "replicas", "createDatabase", "targetSessionAttrs"] as const

/**
 * The configuration of each replica: the primary's options with what the replica's URL says in their place. A user passes with the
 * password, since one is nothing without the other. Faults of the primary are told once.
 */
const replicasOf = (
  values: Values,
  merged: Options,
  { database, type }: Parts,
  context: Context,
  isFaultless: () => boolean
): ReadonlyArray<DbConfig> => {
  const replicas = values.replicas ?? []
  if (replicas.length > 0 && type !== "postgresql") {
    context.tell(settings.replicas.option, `is given, but the database is one of ${type}; accepted: PostgreSQL alone`)
    return []
  }
  // All URLs are read first.
  const read = replicas.map((replica, index) => {
    const tell: Tell = (option, message) =>
      context.tell(
        settings.replicas.option,
        `the ${first[index] ?? `${index + 1}th`} of them: ${option === "" ? "" : `${option} `}${message}`
      )
    return { replica, tell, parts: readReplica(replica, type, tell) }
  })
  return !isFaultless() ? [] : read.map(({ parts, replica, tell }) => {
    // Without a fault each was read.
    const own = parts!
    const { password, username, ...passing } = Struct.omit(merged, ...ofPrimary)
    const options: Options = {
      ...passing,
      database,
      ...(own.username === undefined ? { username, password } : {}),
      ...own,
      settings: { ...passing.settings, ...own.settings },
      pool: { ...passing.pool, ...given(own.pool), ...given(replica.pool) },
      limits: { ...passing.limits, ...given(own.limits) }
    }
    const inner: Context = { ...context, origin: () => undefined, earlier: new Map(), tell }
    const decoded = parse(options, inner)
    const validated = validate(decoded, { url: own, beside: options, merged: options }, inner)
    return result(decoded, { ...validated, replicas: [] }, options, inner)
  })
}

/** What the URL of a replica says. */
const readReplica = (replica: ReplicaOptions, type: DatabaseType, tell: Tell): Options | undefined => {
  const names = Object.keys({ url: true, pool: true } satisfies Record<keyof ReplicaOptions, true>)
  for (const name of Object.keys(replica)) {
    if (!names.includes(name)) tell(name, `is no option of a replica; accepted: ${names.join(", ")}`)
  }
  if (replica.pool !== undefined) checkKnown({ pool: replica.pool }, tell)
  const found = parseUrl(Redacted.isRedacted(replica.url) ? Redacted.value(replica.url) : replica.url)
  if (Either.isLeft(found)) {
    found.left.forEach((problem) => tell("", problem))
    return undefined
  }
  if (found.right.type !== type) {
    tell("", `it is one of ${found.right.type}; accepted: a URL of ${type}, as the primary's`)
  }
  return found.right
}

/** The configuration: the values, with what depends on several of them. */
const result = (values: Values, parts: Complete, merged: Options, context: Context): DbConfig => {
  const { environment, name, preset, worker } = context
  const { filename, isUnconfigured, type } = parts
  const { applicationName, pool } = values
  // SQLite in this process, and in memory, cannot stop a statement: it refuses a limit that was given, so it must not have
  // one by default.
  const isUnstoppable = type === "sqlite" && (values.workers === 0 || filename === undefined || filename === ":memory:")
  return {
    name,
    environment,
    type,
    isUnconfigured,
    filename,
    hosts: parts.hosts,
    targetSessionAttrs: values.targetSessionAttrs,
    channelBinding: type === "postgresql" ? values.channelBinding : undefined,
    database: parts.database,
    username: values.username,
    password: values.password,
    ssl: parts.ssl,
    access: values.access,
    applicationName: preset === "test worker" ? workerName(applicationName, worker!) : applicationName,
    settings: values.settings ?? {},
    prepare: values.prepare,
    prepareCacheSize: values.prepare ? values.prepareCacheSize : 0,
    workers: values.workers,
    types: values.types,
    sqliteModule: values.sqliteModule,
    transformQueryNames: values.transformQueryNames,
    transformResultNames: values.transformResultNames,
    transformJson: values.transformJson,
    jsonNumbers: values.jsonNumbers,
    spanAttributes: values.spanAttributes ?? {},
    pool: {
      ...pool,
      minIdle: Math.min(pool.minIdle, pool.size),
      shedding: typeof merged.pool?.shedding === "object" ? pool.shedding : undefined
    },
    limits: isUnstoppable && merged.limits?.statementTimeout === undefined
      ? { ...values.limits, statementTimeout: 0 }
      : values.limits,
    health: values.health,
    log: values.log,
    tracing: values.tracing,
    replicas: parts.replicas,
    replication: values.replication,
    connectOnStart: values.connectOnStart,
    createDatabase: values.createDatabase
  }
}

const isMysql = (type: DatabaseType | undefined): boolean => type === "mysql" || type === "mariadb"

/** PostgreSQL cuts a name at 63 bytes: the program's part is cut, so that worker and process stay readable. */
const workerName = (program: string, worker: string): string => {
  const suffix = `_test_${worker.replace(/[^\w-]/g, "_").slice(0, 20)}_${process.pid}`
  return program.slice(0, 63 - suffix.length) + suffix
}
