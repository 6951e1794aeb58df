/**
 * SQL Server and Azure SQL, by `tedious`.
 *
 * @since 0.1.0
 */
import * as Statement from "@effect/sql/Statement"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { DbConfig } from "../DbConfig.js"
import type { ConnectionError } from "../DbError.js"
import * as Credentials from "../internal/driver/Credentials.js"
import { failure } from "../internal/driver/failure.js"
import * as FamilyClient from "../internal/driver/FamilyClient.js"
import { createDatabase } from "../internal/driver/mssql/create.js"
import { makeOpen } from "../internal/driver/mssql/open.js"
import { makeCall } from "../internal/driver/mssql/procedure.js"
import * as Published from "../internal/driver/mssql/published.js"
import { unsupported } from "../internal/driver/mssql/settings.js"
import { leftBehind } from "../internal/driver/mssql/texts.js"
import { transactionSql } from "../internal/driver/mssql/transaction.js"
import { mostParameters } from "../internal/driver/mssql/values.js"
import { unreadable } from "../internal/driver/mssql/wire.js"
import { Unencrypted } from "../internal/driver/Unencrypted.js"
import { asFragment } from "../internal/sql/fragment.js"
import type { Capabilities, ClientContext, Driver, Make, Target } from "./Driver.js"

export {
  /**
   * A `Date` with everything that `datetime2` and `datetimeoffset` have beyond it.
   *
   * @since 0.1.0
   * @category models
   */
  Moment
} from "../internal/driver/mssql/moment.js"

/**
 * `MssqlClient` of `@effect/sql-mssql`, which the layers of such a database provide: by {@link withClient} in their type, too.
 *
 * @since 0.1.0
 * @category tags
 */
export const MssqlClient: Context.Tag<Published.MssqlClient, Published.MssqlClient> = Published.MssqlClient

/**
 * @since 0.1.0
 * @category tags
 */
export type MssqlClient = Published.MssqlClient

/** What SQL Server can do. */
const capabilities: Capabilities = {
  synchronous: false,
  singleWriter: false,
  cancel: true,
  serverLimits: true,
  pipelinedBegin: false,
  resolveCommit: false,
  savepoints: true,
  transactionalDdl: true,
  isolationLevels: ["read uncommitted", "read committed", "repeatable read", "serializable", "snapshot"],
  readOnlyTransactions: "driver",
  deferrable: false,
  deferredConstraints: false,
  createDatabase: true,
  listen: false
}

const targetOf = (config: DbConfig): Target => {
  const first = config.hosts[0]!
  const user = typeof config.username === "string" ? `${encodeURIComponent(config.username)}@` : ""
  const hosts = config.hosts.map(({ host, instance, port }) => {
    const name = host.includes(":") ? `[${host}]` : host
    return instance === undefined ? `${name}:${port}` : `${name}%5C${encodeURIComponent(instance)}`
  })
  return {
    system: "microsoft.sql_server",
    namespace: config.database ?? "master",
    address: first.host,
    port: first.instance === undefined ? first.port : undefined,
    uri: `mssql://${user}${hosts.join(",")}/${encodeURIComponent(config.database ?? "")}`
  }
}

/**
 * The configuration as `MssqlClient.config` tells it: the first host's. What is obtained anew for each connection is what it was
 * when one was last opened.
 */
const clientConfig = (config: DbConfig, credentials: Credentials.Credentials): Published.MssqlClientConfig => {
  const host = config.hosts[0]!
  return {
    server: host.host,
    instanceName: host.instance,
    port: host.instance === undefined ? host.port : undefined,
    domain: config.settings["domain"],
    authType: config.settings["authentication"],
    database: config.database,
    get username() {
      return credentials.username()
    },
    get password() {
      return credentials.password()
    },
    encrypt: config.ssl.mode !== "disable",
    trustServer: config.ssl.mode !== "verify-full" && config.ssl.mode !== "verify-ca",
    connectTimeout: Duration.millis(config.pool.connectTimeout),
    connectionTTL: Duration.millis(config.pool.maxLifetime),
    minConnections: config.pool.minIdle,
    maxConnections: config.pool.size + config.pool.overflow,
    spanAttributes: { ...config.spanAttributes },
    transformQueryNames: config.transformQueryNames,
    transformResultNames: config.transformResultNames
  }
}

/** `MssqlClient` of `@effect/sql-mssql`: the engine's client with `param`, `call` and the configuration. */
const services = (credentials: Credentials.Credentials) => ({ client }: ClientContext) =>
  Effect.sync(() => {
    const { config } = credentials
    const param = Statement.custom<Statement.Custom<"MssqlParam", unknown, unknown, unknown>>("MssqlParam")
    const mssqlClient = FamilyClient.extend(client, {
      ...Published.mark,
      param: ((type, value, options = {}) => asFragment(param(type, value, options))) as Published.MssqlClient["param"],
      call: makeCall(client),
      config: clientConfig(config, credentials)
    })
    // `Driver` does not name the services, so that the engine need not know them.
    return Context.make(Published.MssqlClient, mssqlClient) as Context.Context<never>
  })

/**
 * Makes the driver of one SQL Server database. Opens nothing yet. Fails with `ConnectionError` reason `Unsupported` when
 * the configuration names no server, or asks for what the driver cannot do.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Make<DbConfig> = Effect.fnUntraced(function*(given: DbConfig) {
  const credentials = Credentials.remembering(given)
  const { config } = credentials
  const fault = config.hosts.length === 0
    ? "no host is configured"
    : unreadable === undefined
    ? unsupported(config)
    : `this version of tedious cannot be used: ${unreadable}`
  if (fault !== undefined) {
    return yield* failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      database: config.name,
      what: fault,
      outcome: "NotSent"
    })
  }
  const unencrypted = new Unencrypted()
  const driver: Driver = {
    dialect: "mssql",
    target: targetOf(config),
    capabilities,
    leftBehind,
    compiler: Published.makeCompiler(config.transformQueryNames),
    transformRows: config.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(config.transformResultNames, config.transformJson).array,
    transaction: transactionSql,
    open: makeOpen(config, unencrypted),
    unusual: unencrypted.remark,
    createDatabase: createDatabase(config, makeOpen),
    mostParameters,
    maxConnections: undefined,
    transactionId: undefined,
    commitStatus: undefined,
    services: services(credentials)
  }
  return driver
})

/**
 * Says in the type of a layer that its database is SQL Server, so that `MssqlClient` may be asked for. Fails with
 * `ConnectionError` reason `Unsupported` when the database turns out to be another.
 *
 * @since 0.1.0
 * @category layers
 */
export const withClient: <ROut, E, RIn>(
  layer: Layer.Layer<ROut, E, RIn>
) => Layer.Layer<ROut | MssqlClient, E | ConnectionError, RIn> = FamilyClient.withClient(
  MssqlClient,
  "Mssql.withClient"
)
