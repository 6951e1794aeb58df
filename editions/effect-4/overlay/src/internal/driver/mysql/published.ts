/**
 * The client of MySQL and MariaDB, and its compiler. Effect 4 has no published client of theirs.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"

/** What the client says of its configuration. */
export interface MysqlClientConfig {
  readonly url?: Redacted.Redacted | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly database?: string | undefined
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
  readonly maxConnections?: number | undefined
  readonly connectionTTL?: Duration.Input | undefined
  readonly poolConfig?: { readonly socketPath?: string } | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
}

/** What a client of MySQL is marked with. */
export const mark = { "~dblive/MysqlClient": "~dblive/MysqlClient" } as const

/** The client of a database: `SqlClient` with its configuration. */
export interface MysqlClient extends SqlClient {
  readonly "~dblive/MysqlClient": "~dblive/MysqlClient"
  readonly config: MysqlClientConfig
}

export const MysqlClient: Context.Service<MysqlClient, MysqlClient> = Context.Service<MysqlClient>("dblive/MysqlClient")

const escape = Statement.defaultEscape("`")

export const makeCompiler = (transform?: (name: string) => string): Statement.Compiler =>
  Statement.makeCompiler({
    dialect: "mysql",
    placeholder: () => "?",
    onIdentifier: transform === undefined
      ? escape
      : (value, isUntransformed) => escape(isUntransformed ? value : transform(value)),
    // MySQL has no `updateValues`, and no piece of its own.
    onRecordUpdate: () => ["", []],
    onCustom: () => ["", []]
  })
