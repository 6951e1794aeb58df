/**
 * A private database of the family that a variable names.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Db } from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import { all } from "../config/faults.js"
import { parse } from "../config/url.js"
import { mysql } from "./mysql.js"
import { pglite } from "./pglite.js"
import { postgres } from "./postgres.js"
import type { Failure, Preparation, Provides, Rest } from "./prepare.js"
import { sqlite } from "./sqlite.js"

/**
 * Options of a private database of the family that `TEST_DATABASE_URL` names.
 *
 * @since 0.2.0
 * @category models
 */
export interface FromEnvOptions<Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>
  extends Preparation<Self, Provided, E, R, E2, R2>
{
  /** SQLite: whether it is a temporary file, as several connections need. Defaults to false. */
  readonly file?: boolean | undefined
  /** Further options of the database. */
  readonly options?: Omit<DbConfig.Options, "url" | "type" | "filename" | "host" | "port" | "database"> | undefined
}

const variable = "TEST_DATABASE_URL"

const accepted =
  `accepted: the URL of a PostgreSQL, MySQL or MariaDB server, with a user that may create databases; pglite: for PostgreSQL in this ` +
  `process; nothing, or sqlite://:memory:, for SQLite; example: ${variable}=postgresql://postgres@localhost:5432/postgres`

/** Where tests find their databases. */
type Place =
  | { readonly _tag: "Sqlite" | "Pglite" }
  | { readonly _tag: "Postgres" | "Mysql"; readonly url: Redacted.Redacted<string> }

const refused = (what: string): ConfigError.ConfigError => ConfigError.InvalidData([variable], `${what}; ${accepted}`)

/** What the variable says; its text is in no message, as there may be a password in it. */
const placeOf = (text: string): Effect.Effect<Place, ConfigError.ConfigError> => {
  if (text === "") {
    return Effect.succeed({ _tag: "Sqlite" })
  }
  if (/^pglite:(?:\/\/)?$/.test(text)) {
    return Effect.succeed({ _tag: "Pglite" })
  }
  const found = parse(text)
  if (Either.isLeft(found)) {
    const [first = "is no URL of a database", ...others] = found.left
    return Effect.fail(all([refused(first), ...others.map(refused)]))
  }
  const { filename, type } = found.right
  switch (type) {
    case "postgresql":
      return Effect.succeed({ _tag: "Postgres", url: Redacted.make(text) })
    case "mysql":
    case "mariadb":
      return Effect.succeed({ _tag: "Mysql", url: Redacted.make(text) })
    case "mssql":
      return Effect.fail(refused("is one of SQL Server, for which there are no databases of tests"))
    default:
      return filename === undefined || filename === ":memory:"
        ? Effect.succeed({ _tag: "Sqlite" })
        : Effect.fail(refused("names a file of SQLite, and tests never open one that is there"))
  }
}

/**
 * A private database of the family that the variable `TEST_DATABASE_URL` names: SQLite without it, PostgreSQL, MySQL or MariaDB on the
 * server of its URL, `pglite:` for PostgreSQL in this process. Each layer has a database of its own, made by the migrations and dropped with it,
 * beside the one that the URL names, which is not touched.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { Db, DbMigrator } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const database = DbTest.fromEnv({ migrations: DbMigrator.fromDirectory("migrations/default") }).pipe(
 *   Layer.provide(NodeContext.layer)
 * )
 *
 * const test = Db.query("SELECT count(*) AS n FROM note").pipe(Effect.provide(database))
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const fromEnv = <Self = Db, Provided = Provides, E = never, R = never, E2 = never, R2 = never>(
  options: FromEnvOptions<Self, Provided, E, R, E2, R2> = {}
): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
  const { file: isFile, ...common } = options
  return Layer.unwrapEffect(
    Config.option(Config.redacted(variable)).pipe(
      Effect.flatMap((found) => placeOf(found._tag === "Some" ? Redacted.value(found.value) : "")),
      Effect.map((place): Layer.Layer<Provided, Failure<E | E2>, Rest<Self, R | R2>> => {
        switch (place._tag) {
          case "Sqlite":
            return sqlite({ ...common, file: isFile })
          case "Pglite":
            return pglite(common)
          case "Postgres":
            return postgres({ ...common, url: place.url })
          case "Mysql":
            return mysql({ ...common, url: place.url })
        }
      })
    )
  )
}
