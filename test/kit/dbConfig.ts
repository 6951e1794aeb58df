/**
 * A complete configuration, for tests that drive a driver or the pool without a layer: `dbConfig(options, changes?)`. The options
 * are resolved as those of a layer are, so that every default is that of the table of settings, with no limits unless the options
 * set some. The changes are put over the result as they are: what no option can say is for them.
 */
import * as Effect from "effect/Effect"
import * as DbConfig from "../../src/DbConfig.js"

/** The parts of a configuration that hold others. */
type Group = "ssl" | "pool" | "limits" | "health" | "log" | "tracing" | "replication"

/** Any part of a configuration, of a group any of its own. */
export type Changes =
  & { readonly [K in Exclude<keyof DbConfig.DbConfig, Group>]?: DbConfig.DbConfig[K] }
  & { readonly [K in Group]?: Partial<DbConfig.DbConfig[K]> }

export const dbConfig = (options: DbConfig.Options, changes: Changes = {}): DbConfig.DbConfig => {
  const config = Effect.runSync(DbConfig.resolve("default", {
    environment: "development",
    ...options,
    // A limit is there when a test sets one.
    limits: { statementTimeout: 0, lockTimeout: 0, idleInTransactionTimeout: 0, ...options.limits }
  }))
  return {
    ...config,
    ...changes,
    ssl: { ...config.ssl, ...changes.ssl },
    pool: { ...config.pool, ...changes.pool },
    limits: { ...config.limits, ...changes.limits },
    health: { ...config.health, ...changes.health },
    log: { ...config.log, ...changes.log },
    tracing: { ...config.tracing, ...changes.tracing },
    replication: { ...config.replication, ...changes.replication }
  }
}
