/**
 * The private database of a check, of the same family as the configured one: nothing of that is read or changed.
 */
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import { isInstalled, pglite } from "../test/pglite.js"
import { postgres } from "../test/postgres.js"
import { type Failure, pool, type Target } from "../test/prepare.js"
import { installation } from "../test/server.js"
import { sqlite } from "../test/sqlite.js"

/** What a private PostgreSQL database is made on. */
export type Place = "pglite" | "postgres" | "server"

/** A configured database: its options as they were given, and what they lead to. */
export interface Configured {
  readonly options: DbConfig.Options
  readonly config: DbConfig.DbConfig
}

/** What of the configuration shapes the schema and the answers. */
const shaping = ({ config, options }: Configured) => ({
  settings: config.settings,
  transformQueryNames: options.transformQueryNames,
  transformResultNames: options.transformResultNames,
  jsonNumbers: config.jsonNumbers,
  logging: undefined
})

/** The statements that make and drop a database. */
const statements = (type: DbConfig.DatabaseType, name: string) =>
  type === "postgresql"
    ? { create: `CREATE DATABASE ${name} TEMPLATE template0`, drop: `DROP DATABASE IF EXISTS ${name} WITH (FORCE)` }
    : { create: `CREATE DATABASE ${name} CHARACTER SET utf8mb4`, drop: `DROP DATABASE IF EXISTS ${name}` }

/** A new database on the configured server, dropped by the scope. Its name holds nothing that has to be quoted. */
const onServer = <Self, Provided>(
  target: Target<Self, Provided>,
  { config, options }: Configured
): Effect.Effect<string, DbError | ConfigError, Scope.Scope> => {
  const name = `dblive_check_${Date.now().toString(36)}_${randomBytes(4).toString("hex")}`
  const { create, drop } = statements(config.type, name)
  return Effect.gen(function*() {
    const context = yield* Layer.build(target.layer({ ...options, pool: pool(undefined), createDatabase: false }))
    // `Provided` holds `Self`, because a tag's layer provides the tag.
    const run = (text: string) =>
      Effect.provide(target.query(text), context) as unknown as Effect.Effect<unknown, DbError>
    yield* Effect.acquireRelease(run(create), () => Effect.ignore(run(drop)))
    return name
  })
}

/** Which kind of PostgreSQL is at hand, where none is chosen; `undefined` where none is. */
export const defaultPlace = (): Place | undefined =>
  (process.env["TEST_POSTGRES_URL"] ?? "") !== "" || installation() !== undefined
    ? "postgres"
    : isInstalled()
    ? "pglite"
    : undefined

/** The layer of a private database, without a table. */
export const privateDatabase = <Self, Provided>(
  target: Target<Self, Provided>,
  configured: Configured,
  place: Place
): Layer.Layer<Provided, Failure<never>> => {
  const { config } = configured
  const options = shaping(configured)
  if (config.type === "sqlite") {
    return sqlite({ database: target, options: { ...options, workers: 0, sqliteModule: config.sqliteModule } })
  }
  if (config.type === "postgresql" && place === "pglite") return pglite({ database: target, options })
  if (config.type === "postgresql" && place === "postgres") {
    return postgres({ database: target, keep: "never", options })
  }
  return Layer.unwrapScoped(
    Effect.map(
      onServer(target, configured),
      (database) =>
        target.layer({
          ...configured.options,
          database,
          pool: pool(undefined),
          limits: { statementTimeout: 0, transactionTimeout: 0, idleInTransactionTimeout: 0 },
          createDatabase: false
        })
    )
  )
}
