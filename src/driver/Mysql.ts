/**
 * MySQL and MariaDB, by `mysql2`.
 *
 * @since 0.1.0
 */
import * as Statement from "@effect/sql/Statement"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { DbConfig } from "../DbConfig.js"
import type { ConnectionError } from "../DbError.js"
import { maintenance, runAlone } from "../internal/driver/creation.js"
import * as Credentials from "../internal/driver/Credentials.js"
import { failure } from "../internal/driver/failure.js"
import * as FamilyClient from "../internal/driver/FamilyClient.js"
import { services } from "../internal/driver/mysql/client.js"
import { makeOpen } from "../internal/driver/mysql/open.js"
import * as Published from "../internal/driver/mysql/published.js"
import { implicitCommits, leftBehind } from "../internal/driver/mysql/script.js"
import { quoteName, unsupported } from "../internal/driver/mysql/settings.js"
import { Unencrypted } from "../internal/driver/Unencrypted.js"
import type { BeginOptions, Capabilities, Driver, Make, Target } from "./Driver.js"

export {
  /**
   * A point in time with microseconds, as `DATETIME(6)` and `TIMESTAMP(6)` are read when they have any.
   *
   * @since 0.1.0
   * @category models
   */
  Timestamp
} from "../internal/driver/Timestamp.js"

/**
 * `MysqlClient` of `@effect/sql-mysql2`, which the layers of such a database provide: by {@link withClient} in their type, too.
 *
 * @since 0.1.0
 * @category tags
 */
export const MysqlClient: Context.Tag<Published.MysqlClient, Published.MysqlClient> = Published.MysqlClient

/**
 * @since 0.1.0
 * @category tags
 */
export type MysqlClient = Published.MysqlClient

/** What MySQL and MariaDB can do. */
const capabilities: Capabilities = {
  synchronous: false,
  singleWriter: false,
  cancel: true,
  serverLimits: true,
  pipelinedBegin: false,
  resolveCommit: false,
  savepoints: true,
  transactionalDdl: false,
  isolationLevels: ["read uncommitted", "read committed", "repeatable read", "serializable"],
  readOnlyTransactions: "database",
  deferrable: false,
  deferredConstraints: false,
  createDatabase: true,
  listen: false
}

const begin = ({ deferrable, isolation, readOnly }: BeginOptions): string | { readonly unsupported: string } => {
  if (isolation === "snapshot") {
    return { unsupported: "MySQL has no isolation level \"snapshot\"; its \"repeatable read\" is the nearest" }
  }
  if (deferrable === true) return { unsupported: "MySQL has no deferrable transactions" }
  // Without READ WRITE: it would undo the access that the configuration asks for.
  const start = readOnly === true ? "START TRANSACTION READ ONLY" : "START TRANSACTION"
  return isolation === undefined ? start : `SET TRANSACTION ISOLATION LEVEL ${isolation.toUpperCase()}; ${start}`
}

const targetOf = (config: DbConfig): Target => {
  const first = config.hosts[0]!
  const user = typeof config.username === "string" ? `${encodeURIComponent(config.username)}@` : ""
  const hosts = config.hosts.map(({ host, port }) =>
    `${host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host}:${port}`
  )
  return {
    system: config.type === "mariadb" ? "mariadb" : "mysql",
    namespace: config.database ?? "",
    address: first.host,
    port: first.host.startsWith("/") ? undefined : first.port,
    uri: `${config.type}://${user}${hosts.join(",")}/${encodeURIComponent(config.database ?? "")}`
  }
}

/**
 * Makes the driver of one MySQL or MariaDB database. Opens nothing yet. Fails with `ConnectionError` reason
 * `Unsupported` when the configuration names no server, or a setting that the driver cannot keep.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Make<DbConfig> = Effect.fnUntraced(function*(given: DbConfig) {
  const credentials = Credentials.remembering(given)
  const { config } = credentials
  const fault = config.hosts.length === 0 ? "no host is configured" : unsupported(config)
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
    dialect: "mysql",
    target: targetOf(config),
    capabilities,
    compiler: Published.makeCompiler(config.transformQueryNames),
    transformRows: config.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(config.transformResultNames, config.transformJson).array,
    transaction: {
      begin,
      commit: "COMMIT",
      rollback: "ROLLBACK",
      savepoint: (name) => `SAVEPOINT ${quoteName(name)}`,
      rollbackTo: (name) => `ROLLBACK TO SAVEPOINT ${quoteName(name)}`,
      release: (name) => `RELEASE SAVEPOINT ${quoteName(name)}`
    },
    open: makeOpen(config, unencrypted),
    unusual: unencrypted.remark,
    createDatabase: config.database === undefined ? undefined : runAlone(
      makeOpen(maintenance(config, undefined)),
      // Whatever the server's default is: text of any language must fit.
      `CREATE DATABASE IF NOT EXISTS ${quoteName(config.database)} CHARACTER SET utf8mb4`
    ),
    mostParameters: 65_535,
    commitsImplicitly: implicitCommits,
    leftBehind,
    maxConnections: undefined,
    transactionId: undefined,
    commitStatus: undefined,
    services: services(credentials)
  }
  return driver
})

/**
 * Says in the type of a layer that its database is MySQL or MariaDB, so that `MysqlClient` may be asked for. Fails with
 * `ConnectionError` reason `Unsupported` when the database turns out to be another.
 *
 * @since 0.1.0
 * @category layers
 */
export const withClient: <ROut, E, RIn>(
  layer: Layer.Layer<ROut, E, RIn>
) => Layer.Layer<ROut | MysqlClient, E | ConnectionError, RIn> = FamilyClient.withClient(
  MysqlClient,
  "Mysql.withClient"
)
