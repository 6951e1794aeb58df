/**
 * PgBouncer in front of the shared PostgreSQL, from the `pgbouncer` of the machine, in its default configuration.
 *
 * - `describePgBouncer(name, body)`: a suite that needs it; skipped, with the reason, where there is none.
 * - `pgBouncer(mode, settings?)`: `Effect<PgBouncer>`; the process for a pool mode, started once per test file. It ends with
 *   this process. `settings` are lines of its configuration; a process of its own is started for them.
 * - `PgBouncer.through(url)`: the URL of a database of the shared server, by way of the pooler.
 * - `PgBouncer.admin(text)`: a command of its console, such as `SHOW CLIENTS`.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import pg from "pg"
import { describe, inject } from "vitest"
import { serverIdentity } from "../../src/internal/test/server.js"
import { type Row, sharedPostgres } from "./postgres.js"
import { findProgram, onFreePort, startProcess } from "./serverProcess.js"

/** Whose is a connection to the server: a client's for as long as it lives, or a transaction's. */
export type PoolMode = "session" | "transaction"

/** A running PgBouncer. */
export interface PgBouncer {
  readonly port: number
  /** The same database, by way of the pooler. */
  readonly through: (url: string) => string
  readonly admin: (text: string) => Effect.Effect<ReadonlyArray<Row>>
}

/** Why none can be started here, or `undefined`. */
const unavailable = (): string | undefined =>
  inject("postgresUnavailable") ??
    (os.platform() === "win32" || findProgram("pgbouncer") === undefined
      ? "there is no pgbouncer: `apt-get install pgbouncer`"
      : undefined)

/** A suite that needs PgBouncer. Where there is none it is skipped, and its name says why. */
export const describePgBouncer = (name: string, body: () => void): void => {
  const reason = unavailable()
  if (reason === undefined) describe(name, body)
  else describe.skip(`${name} (skipped: ${reason})`, body)
}

const ask = async (port: number, user: string, password: string, text: string): Promise<ReadonlyArray<Row>> => {
  const client = new pg.Client({ host: "127.0.0.1", port, user, password, database: "pgbouncer" })
  client.on("error", () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const start = async (mode: PoolMode, settings: ReadonlyArray<string>): Promise<PgBouncer> => {
  const server = new URL(sharedPostgres().url)
  const [user, password] = [decodeURIComponent(server.username), decodeURIComponent(server.password)]
  // It refuses to run as root.
  const identity = serverIdentity()
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-pgbouncer-"))
  const file = (name: string, lines: ReadonlyArray<string>): string => {
    const full = path.join(folder, name)
    fs.writeFileSync(full, [...lines, ""].join("\n"), { mode: 0o600 })
    if (identity !== undefined) fs.chownSync(full, identity.uid, identity.gid)
    return full
  }
  if (identity !== undefined) fs.chownSync(folder, identity.uid, identity.gid)
  const log = file("pgbouncer.log", [])
  const port = await onFreePort(async (port) => {
    const configuration = file("pgbouncer.ini", [
      "[databases]",
      `* = host=${server.hostname} port=${server.port === "" ? 5432 : server.port}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = scram-sha-256",
      `auth_file = ${file("users.txt", [`"${user}" "${password}"`])}`,
      `admin_users = ${user}`,
      `logfile = ${log}`,
      `pool_mode = ${mode}`,
      ...settings
    ])
    await startProcess({
      command: findProgram("pgbouncer")!,
      args: ["-q", configuration],
      folder,
      identity,
      log,
      ask: () => ask(port, user, password, "SHOW VERSION")
    })
    return port
  }).catch((error: unknown) => {
    fs.rmSync(folder, { recursive: true, force: true })
    throw error
  })
  return {
    port,
    through: (url) => {
      const parsed = new URL(url)
      parsed.hostname = "127.0.0.1"
      parsed.port = String(port)
      return parsed.href
    },
    admin: (text) => Effect.promise(() => ask(port, user, password, text))
  }
}

const started = new Map<string, Promise<PgBouncer>>()

/** PgBouncer in a pool mode; one for all tests of a file that ask for the same. */
export const pgBouncer = (mode: PoolMode, settings: ReadonlyArray<string> = []): Effect.Effect<PgBouncer> =>
  Effect.promise(() => {
    const key = [mode, ...settings].join("\n")
    let running = started.get(key)
    if (running === undefined) {
      running = start(mode, settings)
      started.set(key, running)
    }
    return running
  })
