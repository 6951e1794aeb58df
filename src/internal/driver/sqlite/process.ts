/**
 * A process that runs the statements of one connection: how it is started, asked, and ended.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { Socket } from "node:net"
import { fileURLToPath, pathToFileURL } from "node:url"
import { connectionFault, type Fault } from "./codes.js"
import { type Answer, encodeFrame, FrameDecoder, type Message } from "./wire.js"

/** What a process has to know of this one. Not the rest: it may hold secrets, or a debugger's flags. */
const inherited = [
  "PATH",
  "HOME",
  "TZ",
  "LANG",
  "LC_ALL",
  "TMPDIR",
  "TEMP",
  "TMP",
  "SQLITE_TMPDIR",
  "LD_LIBRARY_PATH",
  "SystemRoot"
]

const environment = (): NodeJS.ProcessEnv => {
  const env: NodeJS.ProcessEnv = {}
  for (const name of inherited) {
    if (process.env[name] !== undefined) {
      env[name] = process.env[name]
    }
  }
  return env
}

/** Beside this file: a TypeScript file when run from the sources, which Node needs `tsx` for. */
const entry = (): ReadonlyArray<string> => {
  if (!import.meta.url.endsWith(".ts")) {
    return [fileURLToPath(new URL("./child.js", import.meta.url))]
  }
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href
  return ["--import", tsx, fileURLToPath(new URL("./child.ts", import.meta.url))]
}

/** How long a process may take to close its file before it is killed, in milliseconds: it may have to write the WAL back. */
const closeLimit = 2000

export class Process {
  private readonly child: ChildProcess
  private readonly channel: Socket
  private readonly decoder = new FrameDecoder()
  private readonly replies: Array<(answer: Answer) => void> = []
  private readonly resumptions: Array<() => void> = []
  /** Whether it is gone, and all that it said was read. */
  gone = false
  /** Called once, when it is gone: by itself or by a signal (undefined), or because it could not be started. */
  onGone: ((cause: Error | undefined) => void) | undefined = undefined
  /** How many of the database's extensions it was told of. */
  loaded = 0

  constructor() {
    this.child = spawn(process.execPath, entry(), {
      env: environment(),
      stdio: ["ignore", "ignore", "inherit", "pipe", "pipe"],
      windowsHide: true
    })
    this.child.on("error", (cause) => this.end(cause))
    this.child.on("close", () => this.end(undefined))
    // Node makes sockets of pipes beyond the third, for both directions; and nothing at all when it could not start the
    // process for want of file descriptors, which the child then tells by its error.
    const [, , , channel, lifeline] = this.child.stdio ?? []
    this.channel = channel as Socket | undefined ?? new Socket()
    this.channel.on("data", (chunk: Buffer) => this.received(chunk))
    // What is wrong with the channel or the lifeline shows when the process is gone.
    this.channel.on("error", () => {})
    lifeline?.on("error", () => {})
  }

  /** The process id; 0 where it could not be started. */
  get id(): number {
    return this.child.pid ?? 0
  }

  /** What it ended with, for messages. */
  get ending(): string {
    return this.child.signalCode ?? `code ${this.child.exitCode}`
  }

  /** Asks, after what was asked before. There is no reply when the process is gone first. */
  ask(message: Message, reply: (answer: Answer) => void): void {
    this.replies.push(reply)
    this.channel.write(encodeFrame(message))
  }

  private received(chunk: Buffer): void {
    this.decoder.push(chunk)
    for (;;) {
      const value = this.decoder.next()
      if (value === undefined) {
        return
      }
      // The process writes nothing else, and one for each message.
      this.replies.shift()!(value as Answer)
    }
  }

  private end(cause: Error | undefined): void {
    if (this.gone) {
      return
    }
    this.gone = true
    this.channel.destroy()
    this.replies.length = 0
    this.onGone?.(cause)
    for (const resume of this.resumptions.splice(0)) {
      resume()
    }
  }

  /** Kills it, whatever it does. */
  kill(): void {
    this.child.kill("SIGKILL")
  }

  /** Has it close its file and end. */
  close(): void {
    const timer = setTimeout(() => this.kill(), closeLimit)
    this.whenGone(() => clearTimeout(timer))
    this.ask(["close"], () => {})
  }

  whenGone(resume: () => void): void {
    if (this.gone) {
      resume()
    } else {
      this.resumptions.push(resume)
    }
  }
}

/** The fault of a process that has ended by itself. */
export const died = (database: string, process: Process): Fault =>
  connectionFault({ database }, {
    reason: "Lost",
    outcome: "RolledBack",
    what: `the process that ran the statements ended (${process.ending})`,
    advice: "try again; if it recurs, look at the machine's memory and at extensions"
  })

/** The fault of a process that could not be started. */
export const cannotStart = (database: string, cause: unknown): Fault =>
  connectionFault({ database }, {
    reason: "Unsupported",
    outcome: "NotSent",
    what: "the process for the database cannot be started",
    advice: "look at the cause: this machine may be out of memory or processes",
    cause
  })
