/**
 * PostgreSQL, by `pg`.
 *
 * @since 0.1.0
 */
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { DbConfig } from "../DbConfig.js"
import type { ConnectionError } from "../DbError.js"
import * as Credentials from "../internal/driver/Credentials.js"
import { failure } from "../internal/driver/failure.js"
import * as FamilyClient from "../internal/driver/FamilyClient.js"
import { PgClient, services } from "../internal/driver/pg/client.js"
import { commitStatus, transactionId } from "../internal/driver/pg/commit.js"
import { compiler } from "../internal/driver/pg/compiler.js"
import { createDatabase } from "../internal/driver/pg/create.js"
import { open, remember } from "../internal/driver/pg/open.js"
import { formatPosition, parsePosition } from "../internal/driver/pg/position.js"
import { replayed, replicationLag, written } from "../internal/driver/pg/standby.js"
import { leftBehind, Texts } from "../internal/driver/pg/text.js"
import type { BeginOptions, Capabilities, Driver, Make, Target } from "./Driver.js"

export {
  /**
   * The tag under which the layers of a PostgreSQL database provide the client of `@effect/sql-pg`.
   *
   * @since 0.1.0
   * @category tags
   */
  PgClient
} from "../internal/driver/pg/client.js"

export {
  /**
   * Counts how often a connection that listens was lost and made again.
   *
   * @since 0.1.0
   * @category metrics
   */
  reconnects
} from "../internal/driver/pg/listener.js"

export {
  /**
   * A point in time with microseconds, as PostgreSQL's `timestamp` and `timestamptz` are read when they have any.
   *
   * @since 0.1.0
   * @category models
   */
  Timestamp
} from "../internal/driver/pg/timestamp.js"

/** What PostgreSQL can do. */
const capabilities: Capabilities = {
  synchronous: false,
  singleWriter: false,
  cancel: true,
  serverLimits: true,
  pipelinedBegin: true,
  resolveCommit: true,
  savepoints: true,
  transactionalDdl: true,
  isolationLevels: ["read uncommitted", "read committed", "repeatable read", "serializable"],
  readOnlyTransactions: "database",
  deferrable: true,
  deferredConstraints: true,
  createDatabase: true,
  listen: true
}

const begin = (options: BeginOptions): string | { readonly unsupported: string } => {
  const { deferrable, isolation, readOnly } = options
  if (isolation === "snapshot") {
    return { unsupported: "PostgreSQL has no isolation level \"snapshot\"; its \"repeatable read\" is one" }
  }
  let sql = "BEGIN"
  if (isolation !== undefined) sql += ` ISOLATION LEVEL ${isolation.toUpperCase()}`
  if (readOnly !== undefined) sql += readOnly ? " READ ONLY" : " READ WRITE"
  if (deferrable !== undefined) sql += deferrable ? " DEFERRABLE" : " NOT DEFERRABLE"
  return sql
}

const quote = Statement.defaultEscape("\"")

const targetOf = (config: DbConfig): Target => {
  const first = config.hosts[0]!
  const namespace = config.database ?? (typeof config.username === "string" ? config.username : "postgres")
  const user = typeof config.username === "string" ? `${encodeURIComponent(config.username)}@` : ""
  const hosts = config.hosts.map(({ host, port }) =>
    `${host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host}:${port}`
  )
  return {
    system: "postgresql",
    namespace,
    address: first.host,
    port: first.host.startsWith("/") ? undefined : first.port,
    uri: `postgresql://${user}${hosts.join(",")}/${encodeURIComponent(namespace)}`
  }
}

/** Texts remembered per database: some times what connections prepare. */
const rememberedTexts = 2048

/**
 * Makes the driver of one PostgreSQL database. Opens nothing yet. Fails with `ConnectionError` reason `Unsupported`
 * when the configuration names no server.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Make<DbConfig> = Effect.fnUntraced(function*(given: DbConfig) {
  const credentials = Credentials.remembering(given)
  const { config } = credentials
  if (config.hosts.length === 0) {
    return yield* failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      what: "no host is configured",
      outcome: "NotSent",
      database: config.name
    })
  }
  const memory = remember()
  const texts = new Texts(rememberedTexts)
  const target = targetOf(config)
  const opened = open(config, {
    texts,
    prepareLimit: config.prepareCacheSize
  }, memory)
  const driver: Driver = {
    dialect: "pg",
    target,
    // A connection that listens would have to be the server's own.
    leftBehind,
    sharing: (text) => texts.of(text).sharing,
    capabilities: config.prepare ? capabilities : { ...capabilities, listen: false },
    compiler: compiler(config.transformQueryNames, config.transformJson),
    transformRows: config.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(config.transformResultNames, config.transformJson).array,
    transaction: {
      begin,
      commit: "COMMIT",
      rollback: "ROLLBACK",
      savepoint: (name) => `SAVEPOINT ${quote(name)}`,
      rollbackTo: (name) => `ROLLBACK TO SAVEPOINT ${quote(name)}`,
      release: (name) => `RELEASE SAVEPOINT ${quote(name)}`,
      readOnlyWithin: "SET TRANSACTION READ ONLY"
    },
    open: opened,
    unusual: memory.unencrypted.remark,
    createDatabase: createDatabase(config, (config) => open(config, { texts, prepareLimit: 0 }, memory)),
    // Its cursors ask for fewer where rows have been large; where they become so, this bounds what one fetch may bring.
    fetchSize: 1024,
    mostParameters: 65_535,
    maxConnections: undefined,
    transactionId,
    commitStatus,
    replicationLag,
    replication: { written, replayed, format: formatPosition, parse: parsePosition },
    services: services(credentials, opened)
  }
  return driver
})

/**
 * Says in the type of a layer that its database is PostgreSQL, so that `PgClient` may be asked for. Fails with
 * `ConnectionError` reason `Unsupported` when the database turns out to be another.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { DbLive } from "dblive"
 * import * as Pg from "dblive/pg"
 *
 * const program = Effect.flatMap(Pg.PgClient, (sql) => sql.notify("events", "hello"))
 *
 * program.pipe(Effect.provide(DbLive.pipe(Pg.withClient)), Effect.runPromise)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const withClient: <ROut, E, RIn>(
  layer: Layer.Layer<ROut, E, RIn>
) => Layer.Layer<ROut | PgClient, E | ConnectionError, RIn> = FamilyClient.withClient(PgClient, "Pg.withClient")
