/**
 * @since 0.1.0
 */
export { Db, DbLive } from "./Db.js"

export * as DbConfig from "./DbConfig.js"

export * as DbError from "./DbError.js"

export * as DbHealth from "./DbHealth.js"

export * as DbKey from "./DbKey.js"

export * as DbMetrics from "./DbMetrics.js"

export * as DbMigrator from "./DbMigrator.js"

export * as DbPrometheus from "./DbPrometheus.js"

export * as DbRegistry from "./DbRegistry.js"

export * as DbRetry from "./DbRetry.js"

export * as DbSchema from "./DbSchema.js"
