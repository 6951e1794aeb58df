/**
 * SQL Server for tests: the one of `TEST_MSSQL_URL` where that is set, else the server of `tds/`, which stands in for it.
 *
 * - `describeMssql(name, body)`: a suite that any server can pass, over whichever there is; its name says which.
 * - `freshMssqlDatabase`: `Effect<MssqlDatabase, never, Scope>`; an empty database of one's own, for such a suite.
 * - `mssqlOptions(database)`: how a layer opens it.
 * - `describeStandIn(name, body)`, `standIn(options?)`: a suite that tells its server what to do, or looks inside it, and a stand-in of
 *   one's own for it. It runs over the stand-in whatever else there is.
 * - `mssqlQuery(database, text)`: `Effect<rows>`; one statement on a connection of its own, by `tedious` alone.
 *
 * Faults of the kit are defects: they fail the test and stay out of its error types.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import { createRequire } from "node:module"
import * as Tedious from "tedious"
import { describe } from "vitest"
import type * as DbConfig from "../../src/DbConfig.js"
import { type Authority, type Certificate, makeAuthority } from "./certificates.js"
import { type ServerOptions, startTdsServer, type TdsServer } from "./tds/server.js"

/** A database to test with. */
export interface MssqlDatabase {
  /** With the password; without what trusts the certificate. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly name: string
  /** PEM text of the authority behind the server's certificate; `undefined` where it is not to be checked. */
  readonly caCert: string | undefined
}

/** A database on a server that stands in. */
export interface StandIn extends MssqlDatabase {
  readonly server: TdsServer
}

const given = process.env["TEST_MSSQL_URL"]
const real = given === undefined || given === "" ? undefined : new URL(given)

const isInstalled = (name: string): boolean => {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}

/** Why there is no stand-in, where there is none. */
const standInUnavailable = isInstalled("better-sqlite3")
  ? undefined
  : "it keeps its data with better-sqlite3, which is missing"

const overStandIn = (name: string, body: () => void): void => {
  if (standInUnavailable === undefined) describe(`${name} (stand-in for SQL Server)`, body)
  else describe.skip(`${name} (stand-in for SQL Server: ${standInUnavailable})`, body)
}

/** A suite over the server there is. */
export const describeMssql = (name: string, body: () => void): void => {
  if (real === undefined) overStandIn(name, body)
  else describe(`${name} (the server of TEST_MSSQL_URL)`, body)
}

/** How a layer opens a database of the kit. */
export const mssqlOptions = ({ caCert, url }: MssqlDatabase): DbConfig.Options => ({
  url,
  ...(caCert === undefined ? { ssl: "require" as const } : { sslRootCert: caCert })
})

/** A suite that tells its server what to do: always over the stand-in. */
export const describeStandIn = (name: string, body: () => void): void => overStandIn(name, body)

let certificates: Promise<{ readonly authority: Authority; readonly server: Certificate }> | undefined

/** One authority and one certificate for all servers of this process. */
export const standInCertificates = () =>
  certificates ??= (async () => {
    const authority = await makeAuthority("dblive stand-in")
    return { authority, server: await authority.issue("localhost", ["localhost", "127.0.0.1"]) }
  })()

const encode = encodeURIComponent

/** A server of one's own, ended by the scope. */
export const standIn = (options: ServerOptions = {}): Effect.Effect<StandIn, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const { authority, server: certificate } = await standInCertificates()
        const tls = "tls" in options ? options.tls : certificate
        return { server: await startTdsServer({ ...options, tls }), caCert: authority.cert }
      }),
      ({ server }) => Effect.promise(() => server.close())
    ),
    ({ caCert, server }): StandIn => ({
      url: `mssql://${encode(server.user)}:${encode(server.password)}@localhost:${server.port}/${server.database}`,
      host: "localhost",
      port: server.port,
      user: server.user,
      password: server.password,
      name: server.database,
      caCert,
      server
    })
  )

/** An empty database of one's own, dropped when the scope closes. */
export const freshMssqlDatabase: Effect.Effect<MssqlDatabase, never, Scope.Scope> = Effect.suspend(() => {
  if (real === undefined) return standIn()
  const name = `dblive_${randomBytes(6).toString("hex")}`
  const admin: MssqlDatabase = {
    url: "",
    host: real.hostname,
    port: Number(real.port || 1433),
    user: decodeURIComponent(real.username),
    password: decodeURIComponent(real.password),
    name: decodeURIComponent(real.pathname.slice(1)) || "master",
    caCert: undefined
  }
  const database = {
    ...admin,
    name,
    url: `mssql://${real.username}:${real.password}@${admin.host}:${admin.port}/${name}`
  }
  return Effect.acquireRelease(
    Effect.as(
      mssqlQuery(
        admin,
        `CREATE DATABASE [${name}]; ALTER DATABASE [${name}] SET ALLOW_SNAPSHOT_ISOLATION ON; ` +
          `ALTER DATABASE [${name}] SET READ_COMMITTED_SNAPSHOT ON`
      ),
      database
    ),
    () => mssqlQuery(admin, `ALTER DATABASE [${name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE [${name}]`)
  )
})

/** A row as tedious gives it. */
export interface MssqlRow {
  readonly [column: string]: any
}

/** One statement on a connection of its own. */
export const mssqlQuery = (database: MssqlDatabase, text: string): Effect.Effect<ReadonlyArray<MssqlRow>> =>
  Effect.promise(() =>
    new Promise<ReadonlyArray<MssqlRow>>((resolve, reject) => {
      const connection = new Tedious.Connection({
        server: database.host,
        authentication: { type: "default", options: { userName: database.user, password: database.password } },
        options: { port: database.port, database: database.name, trustServerCertificate: true, appName: "test kit" }
      })
      const rows: Array<MssqlRow> = []
      connection.connect((failed) => {
        if (failed !== undefined && failed !== null) return reject(failed)
        const request = new Tedious.Request(text, (error) => {
          connection.close()
          if (error === undefined || error === null) resolve(rows)
          else reject(error)
        })
        request.on(
          "row",
          (columns: ReadonlyArray<{ readonly metadata: { readonly colName: string }; readonly value: unknown }>) => {
            rows.push(Object.fromEntries(columns.map((column) => [column.metadata.colName, column.value])))
          }
        )
        connection.execSqlBatch(request)
      })
    })
  )
