/**
 * MySQL and MariaDB for tests.
 *
 * - `describeMysql(name, body)`: a suite that needs the shared server; skipped, with the reason, where there is none.
 * - `describeMariadb(name, body)`: the same for a suite that only MariaDB can run.
 * - `freshMysqlDatabase`: `Effect<MysqlDatabase, never, Scope>`; an empty database of one's own on the shared server,
 *   dropped when the scope closes. `url` (with the password), `name`, `host`, `port`, `user`, `password`.
 * - `mysqlQuery(url, text, params?)`: `Effect<rows>`; one statement on a connection of its own, by `mysql2` alone. For looking
 *   at the server from outside.
 * - `sharedMysql`: `Effect` of url, certificate authority and socket of the shared server.
 * - `describePrivateMysql(name, body)`, `privateMysql(options?)`: a server of one's own, ended by the scope. It takes about
 *   two seconds: use it only where the server itself must be another one.
 *
 * Faults of the kit are defects: they fail the test and stay out of its error types.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Mysql from "mysql2/promise"
import { randomBytes } from "node:crypto"
import { describe, inject } from "vitest"
import { type MysqlOptions, type MysqlServer, mysqlUnavailable, startMysql } from "./mysqlServer.js"

/** A suite that needs the shared server. Where there is none it is skipped, and its name says why. */
export const describeMysql = (name: string, body: () => void): void => {
  const given = inject("mysqlUrl") ?? process.env["TEST_MYSQL_URL"]
  const reason = given === undefined || given === "" ? mysqlUnavailable() : undefined
  if (reason === undefined) describe(name, body)
  else describe.skip(`${name} (skipped: ${reason})`, body)
}

/** A suite that needs what MariaDB has and MySQL has not. */
export const describeMariadb = (name: string, body: () => void): void => {
  if (inject("mysqlIsMariadb") !== false) describeMysql(name, body)
  else describe.skip(`${name} (skipped: the server of TEST_MYSQL_URL is not MariaDB)`, body)
}

/** A suite that starts servers of its own. Where that is impossible it is skipped, and its name says why. */
export const describePrivateMysql = (name: string, body: () => void): void => {
  const reason = mysqlUnavailable()
  if (reason === undefined) describe(name, body)
  else describe.skip(`${name} (skipped: ${reason})`, body)
}

/** The shared server, as an administrator. */
export interface SharedMysql {
  readonly url: string
  /** PEM text; `undefined` where the server has no certificate of ours. */
  readonly caCert: string | undefined
  readonly socket: string | undefined
}

let own: Promise<SharedMysql> | undefined

/** The shared server; where no global setup has started one, this process does, once. It ends with the process. */
export const sharedMysql: Effect.Effect<SharedMysql> = Effect.promise(() => {
  const url = inject("mysqlUrl") ?? process.env["TEST_MYSQL_URL"]
  return url === undefined || url === ""
    ? own ??= startMysql()
    : Promise.resolve({ url, caCert: inject("mysqlCaCert"), socket: inject("mysqlSocket") })
})

/** A database to test with. */
export interface MysqlDatabase {
  readonly url: string
  readonly name: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

/** A row as `mysql2` gives it. */
export interface MysqlRow {
  readonly [column: string]: any
}

/** One statement on a connection of its own. */
export const mysqlQuery = (
  url: string,
  text: string,
  params: ReadonlyArray<unknown> = []
): Effect.Effect<ReadonlyArray<MysqlRow>> =>
  Effect.promise(async () => {
    const connection = await Mysql.createConnection({ uri: url, supportBigNumbers: true, timezone: "Z" })
    try {
      const [rows] = await connection.query(text, params.slice())
      return Array.isArray(rows) ? rows : []
    } finally {
      await connection.end()
    }
  })

/** A database of one's own on the server at `url`, dropped by the scope. */
export const freshMysqlDatabaseAt = (url: string): Effect.Effect<MysqlDatabase, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = `test_${randomBytes(8).toString("hex")}`
      const parsed = new URL(url)
      parsed.pathname = `/${name}`
      return Effect.as(mysqlQuery(url, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`), {
        url: parsed.href,
        name,
        host: parsed.hostname,
        port: Number(parsed.port === "" ? 3306 : parsed.port),
        user: decodeURIComponent(parsed.username),
        password: decodeURIComponent(parsed.password)
      })
    }),
    ({ name }) => mysqlQuery(url, `DROP DATABASE IF EXISTS ${name}`)
  )

/** A database of one's own on the shared server, dropped by the scope. */
export const freshMysqlDatabase: Effect.Effect<MysqlDatabase, never, Scope.Scope> = Effect.flatMap(
  sharedMysql,
  ({ url }) => freshMysqlDatabaseAt(url)
)

/** A server of one's own, ended by the scope. */
export const privateMysql = (options?: MysqlOptions): Effect.Effect<MysqlServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => startMysql(options)),
    (server) => Effect.promise(() => server.dispose())
  )
