/**
 * Starts MariaDB servers from the `mariadbd` of the machine: on a free loopback port, in a temporary folder, also as root.
 *
 * Exports: `startMysql(options)`, `provideMysql(project)`, `mysqlUnavailable()`.
 */
import * as Mysql from "mysql2/promise"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import type { TestProject } from "vitest/node"
import { type Certificate, makeAuthority } from "./certificates.js"
import { findProgram, onFreePort, startProcess } from "./serverProcess.js"

declare module "vitest" {
  export interface ProvidedContext {
    /** An administrator's URL of the shared MySQL or MariaDB, with its password; `undefined` where there is none. */
    readonly mysqlUrl: string | undefined
    /** Whether it is MariaDB. */
    readonly mysqlIsMariadb: boolean | undefined
    /** PEM text of the authority behind its certificate. */
    readonly mysqlCaCert: string | undefined
    /** The file of its unix socket. */
    readonly mysqlSocket: string | undefined
  }
}

interface Programs {
  readonly server: string
  readonly install: string
}

const programs = (): Programs | undefined => {
  const server = findProgram("mariadbd")
  const install = findProgram("mariadb-install-db")
  return server === undefined || install === undefined || os.platform() === "win32" ? undefined : { server, install }
}

/** Why no server can be started here, or `undefined`. */
export const mysqlUnavailable = (): string | undefined =>
  programs() === undefined
    ? "there is no mariadbd: `apt-get install mariadb-server` (or set TEST_MYSQL_URL to an administrator's URL)"
    : undefined

/** How a server is to be started. */
export interface MysqlOptions {
  /** Further arguments, such as `--read-only`. They win over those of the test kit. */
  readonly args?: ReadonlyArray<string> | undefined
  /** Whether the server has a certificate. Defaults to true. */
  readonly tls?: boolean | undefined
  /** Host names and addresses in the server's certificate. Defaults to `localhost` and `127.0.0.1`. */
  readonly certificateHosts?: ReadonlyArray<string> | undefined
}

/** A running server. */
export interface MysqlServer {
  /** An administrator's URL, with the password, without a database. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** PEM text of the authority that signed the server's certificate; `undefined` without TLS. */
  readonly caCert: string | undefined
  /** A certificate of a client, signed by the same authority; `undefined` without TLS. */
  readonly client: Certificate | undefined
  /** The file of its unix socket. */
  readonly socket: string
  /** Ends it at once, as a crash would. */
  readonly kill: () => Promise<void>
  /** Starts it again on the same port, with the same data. */
  readonly start: () => Promise<void>
  /** Ends it and removes its folder. */
  readonly dispose: () => Promise<void>
}

const connect = async (options: Mysql.ConnectionOptions): Promise<void> => {
  const connection = await Mysql.createConnection({ ...options, connectTimeout: 1000 })
  await connection.end()
}

/** Starts a server of its own. */
export const startMysql = async (options: MysqlOptions = {}): Promise<MysqlServer> => {
  const found = programs()
  if (found === undefined) throw new Error(mysqlUnavailable())
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-my-"))
  const file = (name: string, text: string): string => {
    const full = path.join(folder, name)
    fs.writeFileSync(full, text, { mode: 0o600 })
    return full
  }
  const data = path.join(folder, "data")
  const socket = path.join(folder, "s.sock")
  const user = "tester"
  const password = `pw-${randomBytes(12).toString("hex")}`
  const asRoot = process.getuid?.() === 0 ? ["--user=root"] : []
  await promisify(execFile)(found.install, [
    "--no-defaults",
    ...asRoot,
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
    "--skip-name-resolve"
    // Two of them in one folder of temporary tables would get in each other's way.
  ], { env: { ...process.env, TMPDIR: folder } }).catch((error: unknown) => {
    fs.rmSync(folder, { recursive: true, force: true })
    throw error
  })
  const init = file(
    "init.sql",
    [
      `CREATE USER IF NOT EXISTS ${user}@'%' IDENTIFIED BY '${password}';`,
      `GRANT ALL ON *.* TO ${user}@'%' WITH GRANT OPTION;`,
      "DROP USER IF EXISTS root@localhost;",
      ""
    ].join("\n")
  )
  let caCert: string | undefined
  let client: Certificate | undefined
  const tls: Array<string> = []
  if (options.tls !== false) {
    const authority = await makeAuthority("dblive test authority")
    const certificate = await authority.issue("localhost", options.certificateHosts ?? ["localhost", "127.0.0.1"])
    caCert = authority.cert
    client = await authority.issue("client", [])
    tls.push(
      `--ssl-ca=${file("ca.pem", authority.cert)}`,
      `--ssl-cert=${file("server.pem", certificate.cert)}`,
      `--ssl-key=${file("server.key", certificate.key)}`
    )
  }
  const log = path.join(folder, "server.log")
  let stopRunning = (): Promise<void> => Promise.resolve()
  const startOn = async (port: number): Promise<void> => {
    const running = await startProcess({
      command: found.server,
      args: [
        "--no-defaults",
        ...asRoot,
        `--datadir=${data}`,
        `--tmpdir=${folder}`,
        `--socket=${socket}`,
        `--pid-file=${path.join(folder, "pid")}`,
        `--log-error=${log}`,
        `--init-file=${init}`,
        `--port=${port}`,
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=32M",
        "--performance-schema=ON",
        "--max-connections=300",
        ...tls,
        ...(options.args ?? [])
      ],
      folder,
      log,
      ask: () => connect({ host: "127.0.0.1", port, user, password })
    })
    stopRunning = running.stop
  }
  const remove = () => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  const port = await onFreePort(async (port) => {
    await startOn(port)
    return port
  }).catch((error: unknown) => {
    remove()
    throw error
  })
  return {
    url: `mysql://${user}:${password}@127.0.0.1:${port}/`,
    host: "127.0.0.1",
    port,
    user,
    password,
    caCert,
    client,
    socket,
    kill: () => stopRunning(),
    start: () => startOn(port),
    dispose: async () => {
      await stopRunning()
      remove()
    }
  }
}

/**
 * For a global setup: provides the shared server, that of `TEST_MYSQL_URL` or a private one, and gives what ends it.
 * Where there is none, nothing is provided, and the suites are skipped with the reason.
 */
export const provideMysql = async (project: TestProject): Promise<() => Promise<void>> => {
  const given = process.env["TEST_MYSQL_URL"]
  const provide = (url: string | undefined, ca: string | undefined, socket: string | undefined): void => {
    project.provide("mysqlUrl", url)
    project.provide("mysqlCaCert", ca)
    project.provide("mysqlSocket", socket)
  }
  if (given !== undefined && given !== "") {
    const ca = process.env["TEST_MYSQL_CA"]
    const connection = await Mysql.createConnection(given)
    const [rows] = await connection.query("SELECT VERSION() AS v")
    await connection.end()
    project.provide("mysqlIsMariadb", JSON.stringify(rows).includes("MariaDB"))
    provide(given, ca === undefined || ca === "" ? undefined : fs.readFileSync(ca, "utf8"), undefined)
    return () => Promise.resolve()
  }
  if (mysqlUnavailable() !== undefined) {
    provide(undefined, undefined, undefined)
    return () => Promise.resolve()
  }
  const server = await startMysql()
  provide(server.url, server.caCert, server.socket)
  return server.dispose
}
