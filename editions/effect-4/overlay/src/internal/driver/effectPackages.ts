/**
 * The packages of Effect that are installed beside this one, with versions: the latest of some are of another Effect.
 */

/** Those by which a family of databases is spoken to. */
const clients: Readonly<Record<"sqlite" | "postgresql" | "mysql" | "mssql", ReadonlyArray<string>>> = {
  sqlite: [],
  postgresql: ["@effect/sql-pg@4"],
  mysql: [],
  mssql: []
}

/** The tags of the clients, of which PostgreSQL's has a published package, by their keys. */
const clientKeys = {
  sqlite: "@effect/sql-sqlite-node/SqliteClient",
  postgresql: "@effect/sql-pg/PgClient",
  mysql: "dblive/MysqlClient",
  mssql: "dblive/MssqlClient"
}

/** Those that the command is built of. */
const command: ReadonlyArray<string> = ["@effect/platform-node@4.1"]

/** Peers that every program on Node needs, and those of the command. */
const peers: ReadonlyArray<string> = ["effect", "@effect/platform-node"]

/** This package, as it is published for this Effect. */
const self = "dblive@next"

/** The one with which Vitest runs effects. */
const vitest = "@effect/vitest@4"

/** The module of `@effect/platform-node` with all services of Node. */
const nodeServices = "NodeServices"

export { clientKeys, clients, command, nodeServices, peers, self, vitest }
