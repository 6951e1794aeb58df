/**
 * Starts the servers that all test files share: PostgreSQL, or the one of `TEST_POSTGRES_URL` (with the certificate
 * authority in the file `TEST_POSTGRES_CA`, where there is one); MariaDB, where the machine has one, or that of
 * `TEST_MYSQL_URL`.
 */
import * as fs from "node:fs"
import type { TestProject } from "vitest/node"
import { provideMysql } from "./mysqlServer.js"
import { installation, startServer } from "./postgresServer.js"

declare module "vitest" {
  export interface ProvidedContext {
    /** A superuser's URL of the shared server, with its password; `undefined` where there is none. */
    readonly postgresUrl: string | undefined
    /** PEM text of the authority behind the shared server's certificate. */
    readonly caCert: string | undefined
    /** The folder of the shared server's unix socket. */
    readonly postgresSocketDirectory: string | undefined
    /** Why there is no shared server, where there is none. */
    readonly postgresUnavailable: string | undefined
    /** Why no server of one's own can be started, where it cannot. */
    readonly privatePostgresUnavailable: string | undefined
  }
}

const providePostgres = async (project: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const { unavailable } = installation()
  project.provide("privatePostgresUnavailable", unavailable)
  const given = process.env["TEST_POSTGRES_URL"]
  if (given !== undefined && given !== "") {
    const ca = process.env["TEST_POSTGRES_CA"]
    project.provide("postgresUrl", given)
    project.provide("caCert", ca === undefined || ca === "" ? undefined : fs.readFileSync(ca, "utf8"))
    project.provide("postgresSocketDirectory", undefined)
    project.provide("postgresUnavailable", undefined)
    return undefined
  }
  project.provide("postgresUnavailable", unavailable)
  if (unavailable !== undefined) {
    project.provide("postgresUrl", undefined)
    project.provide("caCert", undefined)
    project.provide("postgresSocketDirectory", undefined)
    return undefined
  }
  const server = await startServer()
  project.provide("postgresUrl", `postgres://${server.user}:${server.password}@${server.host}:${server.port}/postgres`)
  project.provide("caCert", server.caCert)
  project.provide("postgresSocketDirectory", server.socketDirectory)
  return server.dispose
}

const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const stop = await Promise.all([providePostgres(project), provideMysql(project)])
  return async () => {
    await Promise.all(stop.map((dispose) => dispose?.()))
  }
}

export default setup
