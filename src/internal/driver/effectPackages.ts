/**
 * The packages of Effect that are installed beside this one, with versions: the latest of some are of another Effect.
 */

/** Those by which a family of databases is spoken to. */
const clients: Readonly<Record<"sqlite" | "postgresql" | "mysql" | "mssql", ReadonlyArray<string>>> = {
  sqlite: ["@effect/sql-sqlite-node@0.53"],
  postgresql: ["@effect/sql-pg@0.53"],
  mysql: ["@effect/sql-mysql2@0.53"],
  mssql: ["@effect/sql-mssql@0.54"]
}

/** The tags of the clients of the published packages, by their keys. */
const clientKeys = {
  sqlite: "@effect/sql-sqlite-node/SqliteClient",
  postgresql: "@effect/sql-pg/PgClient",
  mysql: "@effect/sql-mysql2/MysqlClient",
  mssql: "@effect/sql-mssql/MssqlClient"
}

/** Those that the command is built of. */
const command: ReadonlyArray<string> = [
  "@effect/cli@0.77",
  "@effect/platform-node@0.108",
  "@effect/printer@0.51",
  "@effect/printer-ansi@0.51"
]

/** Peers that every program on Node needs, and those of the command. */
const peers: ReadonlyArray<string> = [
  "effect",
  "@effect/sql",
  "@effect/platform",
  "@effect/experimental",
  "@effect/platform-node",
  "@effect/cli",
  "@effect/printer",
  "@effect/printer-ansi"
]

/** This package, as it is published for this Effect. */
const self = "dblive"

/** The one with which Vitest runs effects. */
const vitest = "@effect/vitest@0.30"

/** The module of `@effect/platform-node` with all services of Node. */
const nodeServices = "NodeContext"

export { clientKeys, clients, command, nodeServices, peers, self, vitest }
