/**
 * What `dblive doctor` looks at of one database: its settings, its server, its clock, its connections.
 */
import type { ConfigError } from "effect/ConfigError"
import * as ConfigErrors from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import { fileOf } from "../config/dotenv.js"
import { explained } from "../config/environment.js"
import { shown } from "../config/faults.js"
import { explain, type Explained, type From, type InForce } from "../config/resolve.js"
import { findTypos, typoText } from "../config/typos.js"
import { engineOf } from "../database/Database.js"
import { levelOf } from "../fiber/fiberContext.js"
import { address, open, optionsOf, type Where, withoutFiles, withVariables } from "./database.js"
import { type FoundReplica, lookAt, replicaProblems, replicaWarnings } from "./replicas.js"
import { faultLines } from "./report.js"

/** A setting, as it is shown. */
export interface ShownSetting {
  readonly option: string
  readonly value: string
  readonly from: "default" | "URL" | "option" | "variable"
  readonly variable?: string
  readonly file?: string
}

/** What the server says. */
export interface Server {
  readonly version: string
  /** The server's time minus the program's, in milliseconds. */
  readonly clockMillis: number | null
  /** How far the figure may be off: half of the time that the answer took. */
  readonly clockErrorMillis: number | null
  /** The connections that the server has for programs like this one; `null` where it has no such number. */
  readonly maxConnections: number | null
  /** Whether something between the program and the server shares its connections, such as PgBouncer. */
  readonly pooler: boolean
}

/** What was found of one database. */
export interface Diagnosis {
  readonly name: string
  readonly address: string | null
  readonly isConfigured: boolean
  readonly settings: ReadonlyArray<ShownSetting>
  /** What opening it would be refused for. */
  readonly refused: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  readonly server: Server | null
  readonly error: string | null
  readonly replicas: ReadonlyArray<FoundReplica>
  /** What keeps reads from its replicas. */
  readonly replicaProblems: ReadonlyArray<string>
  /** The most connections that one process opens; `null` for SQLite. */
  readonly perProcess: number | null
  readonly config: DbConfig.DbConfig | undefined
}

const valueText = ({ row, value }: InForce): string => {
  if (row.secret) {
    return value === undefined ? "none" : "(not shown)"
  }
  if (value === undefined) {
    return typeof row.defaults === "string" ? row.defaults : "none"
  }
  if (Effect.isEffect(value) || Redacted.isRedacted(value)) {
    return "(read when it is needed)"
  }
  return typeof value === "object" || typeof value === "function"
    ? `(${typeof value === "object" ? Object.keys(value!).join(", ") : "a function"})`
    : typeof value === "string" && shown(value) !== JSON.stringify(value)
    ? shown(value)
    // A length of time has its unit; any other number is one to be written into a setting.
    : typeof value === "number" && !row.kind.accepted.startsWith("a length of time")
    ? String(value)
    : row.kind.show(value)
}

const fromText: Readonly<Record<From["_tag"], ShownSetting["from"]>> = {
  Default: "default",
  Url: "URL",
  Variable: "variable",
  Option: "option"
}

/** The word by which `--url` is told from a variable. */
const urlOption = "--url"

const shownSetting = (where: Where, inForce: InForce): Effect.Effect<ShownSetting, ConfigError> => {
  const { from, row } = inForce
  const common = { option: row.option, value: valueText(inForce), from: fromText[from._tag] }
  const variable = "variable" in from ? from.variable : undefined
  return variable === undefined || variable === urlOption
    ? Effect.succeed({ ...common, from: from._tag === "Variable" ? "option" : common.from })
    : Effect.map(withoutFiles(where, fileOf(".", variable)), (file) => ({
      ...common,
      variable,
      ...(file === undefined ? {} : { file })
    }))
}

/** Texts that ask a server for its time in milliseconds, and for its connections. */
const questions: Readonly<Record<DbConfig.DatabaseType, { readonly clock?: string; readonly connections?: string }>> = {
  sqlite: {},
  postgresql: {
    clock: "SELECT extract(epoch FROM clock_timestamp()) * 1000 AS millis",
    // Those kept for superusers, and from version 16 on for a role, are none of the program's.
    connections:
      "SELECT sum(CASE WHEN name = 'max_connections' THEN setting::int ELSE -setting::int END)::int AS most, " +
      "pg_backend_pid() AS id FROM pg_settings " +
      "WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
  },
  mysql: {
    clock: "SELECT UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS millis",
    connections: "SELECT @@max_connections AS most"
  },
  mariadb: {
    clock: "SELECT UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS millis",
    connections: "SELECT @@max_connections AS most"
  },
  mssql: {
    clock: "SELECT DATEDIFF_BIG(ms, '1970-01-01', SYSUTCDATETIME()) AS millis",
    connections: "SELECT @@MAX_CONNECTIONS AS most"
  }
}

const numberOf = (row: unknown, key: string): number | null => {
  const value = typeof row === "object" && row !== null && key in row
    ? (row as Record<string, unknown>)[key]
    : undefined
  return value === undefined || value === null || Number.isNaN(Number(value)) ? null : Number(value)
}

/** What the servers of a database say. */
interface Said {
  readonly server: Either.Either<Server, DbError>
  readonly replicas: ReadonlyArray<FoundReplica>
}

const ask = (
  where: Where,
  { replicas: { length }, type }: DbConfig.DbConfig
): Effect.Effect<Said, DbError | ConfigError> => {
  // Replicas are looked at though their primary is down.
  const { layer, tag } = open(where, length === 0)
  const { clock, connections } = questions[type]
  return Effect.gen(function*() {
    const engine = engineOf(yield* tag)
    const first = (text: string | undefined) =>
      text === undefined ? Effect.succeed(undefined) : Effect.map(tag.query(text), (rows) => rows[0])
    const { replicas } = engine
    const found = replicas === undefined || connections === undefined ? [] : yield* lookAt(replicas, connections)
    const server = yield* Effect.either(Effect.zipRight(
      engine.probe,
      tag.session(Effect.gen(function*() {
        // The first answer is not only of the network: a statement is prepared with it.
        yield* first(clock)
        const before = Date.now()
        const millis = numberOf(yield* first(clock), "millis")
        const after = Date.now()
        const { serverVersion } = yield* tag.info
        const row = yield* first(connections)
        const id = yield* Effect.withFiberRuntime<number | undefined>((fiber) =>
          Effect.succeed(levelOf(engine, fiber)?.session.connection.id)
        )
        const pid = numberOf(row, "id")
        return {
          version: serverVersion ?? "unknown",
          clockMillis: millis === null ? null : Math.round(millis - (before + after) / 2),
          clockErrorMillis: millis === null ? null : Math.ceil((after - before) / 2),
          maxConnections: numberOf(row, "most"),
          // A pooler tells an id of its own, for what it has to cancel.
          pooler: pid !== null && pid !== id
        }
      }))
    ))
    return { server, replicas: found }
  }).pipe(Effect.provide(layer))
}

const explainedOf = (where: Where): Effect.Effect<Explained, ConfigError> =>
  where.url === undefined
    ? explained(where.database)
    : Effect.flatMap(
      optionsOf(where),
      (options) => explain(where.database, options, (option) => option === "url" ? urlOption : undefined)
    )

/** From here on a difference of the clocks is told: times that program and server write stand beside each other. */
const clockLimit = 1_000

export const clockWarning = (
  { clockErrorMillis, clockMillis }: Pick<Server, "clockErrorMillis" | "clockMillis">
): ReadonlyArray<string> => {
  // What the answer's own time may explain is no difference.
  const sure = clockMillis === null ? 0 : Math.abs(clockMillis) - (clockErrorMillis ?? 0)
  return sure < clockLimit ? [] : [
    `the server's clock is ${Math.abs(clockMillis!)} ms ${clockMillis! > 0 ? "ahead of" : "behind"} the program's; ` +
    "synchronize both (NTP)"
  ]
}

const poolerWarning = (server: Server, config: DbConfig.DbConfig): ReadonlyArray<string> =>
  !server.pooler ? [] : [
    "a pooler such as PgBouncer shares the server's connections: its own limits (max_client_conn, default_pool_size) count, not only " +
    "max_connections" + (config.prepare ? "; in transaction mode set prepare: false (?pgbouncer=true)" : "")
  ]

const noReplicas: Pick<Diagnosis, "replicas" | "replicaProblems"> = { replicas: [], replicaProblems: [] }

/** Looks at one database. */
export const diagnose = (where: Where): Effect.Effect<Diagnosis> => {
  const looked = Effect.gen(function*() {
    const { config, faults, inForce } = yield* withVariables(where, explainedOf(where))
    const typos = where.url === undefined ? (yield* withVariables(where, findTypos(where.database))).map(typoText) : []
    const settings = yield* Effect.forEach(inForce(), (each) => shownSetting(where, each))
    const common = {
      name: where.database,
      isConfigured: config?.isUnconfigured !== true,
      settings,
      config,
      error: null,
      ...noReplicas
    }
    if (config === undefined) {
      return {
        ...common,
        address: null,
        refused: faults.map(faultLines),
        warnings: typos,
        server: null,
        perProcess: null
      }
    }
    const { overflow, size } = config.pool
    const known = {
      ...common,
      address: address(config),
      refused: [],
      perProcess: config.type === "sqlite" ? null : size + overflow
    }
    // A new, empty file is not made only to look at it.
    if (config.isUnconfigured) {
      return {
        ...known,
        server: null,
        warnings: [...typos, "nothing configures it, so it is a file of this folder; in production it is refused"]
      }
    }
    const failed = (error: DbError | ConfigError) => ({
      ...known,
      server: null,
      warnings: typos,
      error: ConfigErrors.isConfigError(error) ? faultLines(error) : error.message
    })
    return yield* Effect.match(ask(where, config), {
      onFailure: failed,
      onSuccess: ({ replicas, server }) => {
        const diagnosis = Either.match(server, {
          onLeft: failed,
          onRight: (server) => ({
            ...known,
            server,
            warnings: [...typos, ...clockWarning(server), ...poolerWarning(server, config)]
          })
        })
        return {
          ...diagnosis,
          replicas,
          replicaProblems: replicaProblems(replicas),
          warnings: [...diagnosis.warnings, ...replicaWarnings(replicas, config)]
        }
      }
    })
  })
  return Effect.catchAll(looked, (error): Effect.Effect<Diagnosis> =>
    Effect.succeed({
      name: where.database,
      address: null,
      isConfigured: true,
      settings: [],
      refused: faultLines(error).split("\n"),
      warnings: [],
      server: null,
      error: null,
      ...noReplicas,
      perProcess: null,
      config: undefined
    }))
}
