/**
 * Starts a server of this machine as a process: on a free loopback port, in a temporary folder.
 *
 * - `findProgram(name)`: the path of a program, also where administrators alone have it; `undefined` where there is none.
 * - `freePort()`: a loopback port on which nothing listens.
 * - `onFreePort(start)`: starts on a free port, and on another one when the port was taken in between.
 * - `startProcess(options)`: a process that ends with this one at the latest, when it answers. Its folder is removed then.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import type { Identity } from "../../src/internal/test/server.js"

const searched = [
  ...(process.env["PATH"] ?? "").split(path.delimiter),
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/local/bin"
]

export const findProgram = (name: string): string | undefined =>
  searched.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file))

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => typeof address === "object" && address !== null ? resolve(address.port) : reject(address))
    })
  })

export const onFreePort = async <A>(start: (port: number) => Promise<A>): Promise<A> => {
  for (let attempt = 1;; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      // Another program took the port in between.
      if (attempt === 5 || !/already in use/i.test(String(error))) throw error
    }
  }
}

/** What is started, and how it is known to run. */
export interface ProcessOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Removed when this process ends. */
  readonly folder: string
  /** The user as whom it runs. Defaults to that of this process. */
  readonly identity?: Identity | undefined
  /** Its log: the end of it is in the error when it does not start. */
  readonly log: string
  /** Asks it something; fails while it does not answer. */
  readonly ask: () => Promise<unknown>
}

/** A process that runs. */
export interface RunningProcess {
  /** Kills it. Its folder stays. */
  readonly stop: () => Promise<void>
}

/**
 * The shell keeps the server, and ends it when its standard input ends: with this process at the latest, however that
 * ends. The folder goes too, unless it was told to keep it for another start.
 */
const keeper = "folder=$1; shift; \"$@\" & server=$!; told=$(cat); kill -9 $server 2>/dev/null; wait $server; " +
  "[ \"$told\" = keep ] || rm -rf \"$folder\""

export const startProcess = async (options: ProcessOptions): Promise<RunningProcess> => {
  const { args, ask, command, folder, identity, log } = options
  const child = spawn("/bin/sh", ["-c", keeper, "keeper", folder, command, ...args], {
    ...identity,
    // A session of its own, so that an interrupt from the keyboard leaves the stopping to the keeper.
    detached: true,
    cwd: folder,
    stdio: ["pipe", "ignore", "ignore"],
    env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" }
  })
  let ended = false
  const exited = new Promise<void>((resolve) =>
    child.once("close", () => {
      ended = true
      resolve()
    })
  )
  child.stdin.on("error", () => {})
  // Neither the process nor its pipe keeps this process alive. Node's pipe to a child is a socket.
  const pipe = child.stdin as net.Socket
  child.unref()
  pipe.unref()
  const stop = (): Promise<void> => {
    // The end of it is waited for.
    child.ref()
    pipe.end("keep")
    return exited
  }
  const until = performance.now() + 30_000
  while (true) {
    try {
      await ask()
      return { stop }
    } catch (error) {
      if (ended || performance.now() > until) {
        await stop()
        const text = fs.existsSync(log) ? fs.readFileSync(log, "utf8").slice(-4000) : ""
        throw new Error(`${path.basename(command)} did not start: ${String(error)}; ${text}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
