/**
 * The clients of the published packages (`PgClient`, `SqliteClient`, ...): `SqlClient` with what its family has beyond it.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { ConnectionError } from "../../DbError.js"
import { clientKeys } from "./effectPackages.js"
import { failure } from "./failure.js"

/** Families as messages name them, with the key of each one's client: its package is not needed for it. */
const families = {
  PostgreSQL: clientKeys.postgresql,
  SQLite: clientKeys.sqlite,
  "MySQL or MariaDB": clientKeys.mysql,
  "SQL Server": clientKeys.mssql
}

/** A client with what its family has beyond `SqlClient`; the one without transforms has it, too. */
export const extend = <Extension extends object>(client: SqlClient, extension: Extension): SqlClient & Extension => {
  // Clients of their own: the engine's must not change. What one is called with is not looked at here.
  const callable = (of: SqlClient) => (...args: ReadonlyArray<never>) =>
    (of as (...args: ReadonlyArray<never>) => unknown)(...args)
  const copy = (of: SqlClient): SqlClient & Extension =>
    // A function with all that the client has, under the type of what was put together.
    Object.assign(callable(of), of, extension) as unknown as SqlClient & Extension
  let plain: (SqlClient & Extension) | undefined
  const extended = copy(client)
  return Object.assign(extended, {
    safe: extended,
    withoutTransforms: () => {
      if (plain !== undefined) return plain
      const without = client.withoutTransforms()
      plain = without === client ? extended : copy(without)
      return Object.assign(plain, { withoutTransforms: () => plain })
    }
  })
}

/**
 * Says in the type of a layer which family its database is of. Fails with `ConnectionError` reason `Unsupported` when it
 * turns out to be another.
 */
export const withClient =
  <Client>(tag: Context.Tag<Client, Client>, asked: string) =>
  <ROut, E, RIn>(layer: Layer.Layer<ROut, E, RIn>): Layer.Layer<ROut | Client, E | ConnectionError, RIn> =>
    Layer.flatMap(layer, (context) => {
      // It is there or not: the layer's own type does not know which driver its configuration chose.
      if (Option.isSome(Context.getOption(context, tag))) {
        return Layer.succeedContext(context as Context.Context<ROut | Client>)
      }
      const names = Object.entries(families)
      const wanted = names.find(([, key]) => key === tag.key)?.[0] ?? tag.key
      const found = names.find(([, key]) => context.unsafeMap.has(key))?.[0]
      return Layer.fail(failure({
        _tag: "ConnectionError",
        reason: "Unsupported",
        database: "default",
        what: found === undefined
          ? `${asked} was put around a layer that has no default database of ${wanted}`
          : `${asked} needs a database of ${wanted}, and the one that is configured is ${found}`,
        outcome: "NotSent",
        advice: `give the URL of a database of ${wanted} (DATABASE_URL), or leave ${asked} out`
      }))
    })
