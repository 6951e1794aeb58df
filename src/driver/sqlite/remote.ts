/**
 * One SQLite connection in a process of its own, where a running statement can be stopped.
 *
 * `threads` promises that, and threads cannot keep it: a worker thread inside `sqlite3_step` ends only when the
 * statement does (`Worker.terminate` waits for it), and better-sqlite3 gives no way to interrupt it. A process can be
 * killed at any moment. SQLite is made for that: in WAL mode a transaction counts only with the checksummed commit
 * record at its end, so what a killed process had written is not seen by anybody; its locks are the kernel's, which
 * frees them; and the index of the WAL is rebuilt by the next reader if it was being changed.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { Socket } from "node:net"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { ConnectionError, Outcome, TimeoutError } from "../../DbError.js"
import type { Connection, Cursor, Done, Request, ResetPolicy, TransactionStatus } from "../Driver.js"
import type { BackupMetadata } from "./backup.js"
import { connectionFault, connectTimeout, Fault, type Place, queryFault } from "./codes.js"
import type { Shared } from "./connection.js"
import { toError, toOpenError } from "./errors.js"
import type { Spec } from "./open.js"
import { bindable } from "./parameters.js"
import { fromTable, type Table } from "./rows.js"
import { head, mayWrite } from "./text.js"
import { type Answer, frame, Frames, fromPlain, type Message } from "./wire.js"

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

/** How much longer the opening may take here than there, so that the process tells what it waited for. */
const openGrace = 250

/**
 * How long a cancelled statement may go on, in milliseconds: most end within it, and a new process takes several times as
 * long to start.
 */
const cancelGrace = 10

interface Pending {
  readonly request: Request | undefined
  readonly wasOpen: boolean
  readonly reply: (fault: Fault | undefined, value: unknown) => void
}

let ids = 0

const ignore = () => {}

export class RemoteConnection implements Connection {
  readonly id = ++ids
  serverVersion = ""
  transaction: TransactionStatus = "idle"
  dirty = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined

  private readonly child: ChildProcess
  private readonly channel: Socket
  private readonly frames = new Frames()
  private pending: Pending | undefined = undefined
  private ended: Fault | undefined = undefined
  /** Whether the process is gone and all it said was read. */
  private gone = false
  private readonly whenGone: Array<() => void> = []
  private loaded = 0

  private constructor(private readonly spec: Spec, private readonly shared: Shared) {
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
    this.channel.on("error", ignore)
    lifeline?.on("error", ignore)
    shared.live.add(this)
  }

  /** Starts a process and opens the file in it. Returns how to give up. */
  static open(
    spec: Spec,
    shared: Shared,
    done: (error: ConnectionError | TimeoutError | undefined, connection: RemoteConnection | undefined) => void
  ): () => void {
    const limit = spec.connectTimeout
    let connection: RemoteConnection
    try {
      connection = new RemoteConnection(spec, shared)
    } catch (cause) {
      done(toOpenError(cannotStart(spec, cause)), undefined)
      return ignore
    }
    let timer: ReturnType<typeof setTimeout> | undefined
    const settle = (fault: Fault | undefined) => {
      clearTimeout(timer)
      if (fault === undefined) {
        return done(undefined, connection)
      }
      connection.destroy()
      done(toOpenError(new Fault({ database: spec.database, outcome: "NotSent" }, fault.fields)), undefined)
    }
    connection.loaded = shared.extensions.length
    connection.send(["open", { ...spec, since: Date.now() }, shared.extensions.slice()], undefined, (fault, value) => {
      connection.serverVersion = String(value)
      settle(fault)
    })
    if (limit > 0) {
      timer = setTimeout(() => {
        const pending = connection.pending
        connection.pending = undefined
        if (pending !== undefined) {
          settle(connectTimeout({ database: spec.database }, limit, "the process for the database did not open it"))
        }
      }, limit + openGrace)
    }
    return () => {
      clearTimeout(timer)
      connection.pending = undefined
      connection.destroy()
    }
  }

  get lost(): boolean {
    return this.ended !== undefined
  }

  private place(text?: string | undefined, outcome?: Outcome | undefined): Place {
    return { database: this.spec.database, text, outcome }
  }

  private send(message: Message, request: Request | undefined, reply: Pending["reply"]): void {
    if (this.ended !== undefined) {
      return reply(new Fault(this.place(request?.text, "NotSent"), this.ended.fields), undefined)
    }
    this.pending = { request, wasOpen: this.transaction === "open", reply }
    this.channel.write(frame(message))
  }

  private received(chunk: Buffer): void {
    this.frames.push(chunk)
    for (;;) {
      const value = this.frames.next()
      if (value === undefined) {
        return
      }
      // The process writes nothing else.
      const [plain, answer, open, dirty, lost] = value as Answer
      this.transaction = open ? "open" : "idle"
      this.dirty = dirty
      const fault = plain && fromPlain(plain)
      if (lost && fault !== undefined && this.ended === undefined) {
        this.ended = fault
        queueMicrotask(() => this.tellLost(fault))
      }
      const pending = this.pending
      this.pending = undefined
      pending?.reply(fault, answer)
    }
  }

  private tellLost(fault: Fault): void {
    const error = toError(fault)
    if (error._tag === "ConnectionError") {
      this.onLost?.(error)
    }
  }

  /** The process is gone, or could not be started. */
  private end(cause: Error | undefined): void {
    if (this.gone) {
      return
    }
    this.gone = true
    this.shared.live.delete(this)
    this.channel.destroy()
    const told = this.ended !== undefined
    const fault = this.ended ??= cause === undefined
      ? connectionFault(this.place(), {
        reason: "Lost",
        outcome: "RolledBack",
        what: `the process that ran the statements ended (${this.child.signalCode ?? `code ${this.child.exitCode}`})`,
        advice: "try again; if it recurs, look at the machine's memory and at extensions"
      })
      : cannotStart(this.spec, cause)
    const pending = this.pending
    this.pending = undefined
    if (pending !== undefined) {
      pending.reply(new Fault(this.place(pending.request?.text, this.outcome(pending)), fault.fields), undefined)
    }
    this.transaction = "idle"
    for (const resume of this.whenGone.splice(0)) {
      resume()
    }
    if (!told) {
      this.tellLost(fault)
    }
  }

  /** What is known about a request whose process was killed. */
  private outcome({ request, wasOpen }: Pending): Outcome {
    if (request === undefined) {
      return "RolledBack"
    }
    const open = wasOpen || request.begin !== undefined
    const keyword = head(request.text, 1)[0] ?? ""
    // Nobody can commit what a killed process had begun; but the killed statement may have been the commit itself.
    return (open ? /^(COMMIT|END|RELEASE)$/.test(keyword) || request.text.includes(";") : mayWrite(request.text))
      ? "Unknown"
      : "RolledBack"
  }

  private statement(kind: "execute" | "cursor", request: Request, reply: Pending["reply"]): void {
    let message: Message
    try {
      const missing = this.shared.extensions.slice(this.loaded)
      this.loaded = this.shared.extensions.length
      message = [
        kind,
        [
          request.text,
          request.params.length === 0 ? request.params : bindable(this.place(request.text), request.params),
          request.mode,
          request.prepare,
          request.begin,
          request.lockTimeout,
          request.safeIntegers
        ],
        missing
      ]
    } catch (cause) {
      return reply(cause instanceof Fault ? cause : cannotSend(this.place(request.text), cause), undefined)
    }
    this.send(message, request, reply)
  }

  execute(request: Request, done: Done<unknown>): void {
    this.statement(
      "execute",
      request,
      (fault, value) => done(fault && toError(fault), toRows(value))
    )
  }

  openCursor(request: Request, done: Done<Cursor>): void {
    this.statement("cursor", request, (fault, value) => done(fault && toError(fault), this.cursor(value as number)))
  }

  private cursor(id: number): Cursor {
    let ended = false
    return {
      interleaves: true,
      fetch: (count, done) => {
        if (ended) {
          return done(undefined, { rows: [], done: true })
        }
        this.send(["fetch", id, count], undefined, (fault, value) => {
          if (fault !== undefined) {
            ended = true
            return done(toError(fault), { rows: [], done: true })
          }
          const [table, isLast] = value as readonly [Table, boolean]
          ended = isLast
          done(undefined, { rows: fromTable(table), done: isLast })
        })
      },
      close: (done) => {
        if (ended || this.ended !== undefined) {
          ended = true
          return done(undefined, undefined)
        }
        ended = true
        this.send(["free", id], undefined, (fault) => done(fault && toError(fault), undefined))
      }
    }
  }

  private simple(message: Message, done: Done<void>): void {
    this.send(message, undefined, (fault) => done(fault && toError(fault), undefined))
  }

  ping(done: Done<void>): void {
    this.simple(["ping"], done)
  }

  reset(policy: ResetPolicy, done: Done<void>): void {
    this.simple(["reset", policy], done)
  }

  export(done: Done<Uint8Array>): void {
    this.send(["export"], undefined, (fault, value) => done(fault && toError(fault), value as Uint8Array))
  }

  backup(destination: string, done: Done<BackupMetadata>): () => void {
    this.send(
      ["backup", destination],
      undefined,
      (fault, value) => done(fault && toError(fault), value as BackupMetadata)
    )
    return () => this.cancel(ignore)
  }

  loadExtension(path: string, done: Done<void>): void {
    this.simple(["load", path], (error) => {
      if (error === undefined) {
        this.shared.extensions.push(path)
        this.loaded = this.shared.extensions.length
      }
      done(error, undefined)
    })
  }

  /**
   * Kills the process, unless the statement ends by itself within the grace, or the database would be gone with the
   * process: then the statement is waited for.
   */
  cancel(done: Done<void>): void {
    const pending = this.pending
    if (pending === undefined) {
      return done(undefined, undefined)
    }
    const timer = this.spec.filename === ":memory:" ? undefined : setTimeout(() => {
      this.ended ??= connectionFault(this.place(), {
        reason: "Lost",
        outcome: "RolledBack",
        what: "the statement was stopped by ending the process that ran it",
        advice: "a new connection is opened for the next statement"
      })
      this.child.kill("SIGKILL")
    }, cancelGrace)
    this.pending = {
      ...pending,
      reply: (fault, value) => {
        clearTimeout(timer)
        pending.reply(fault, value)
        done(undefined, undefined)
      }
    }
  }

  close(done: Done<void>): void {
    if (this.gone) {
      return done(undefined, undefined)
    }
    this.whenGone.push(() => done(undefined, undefined))
    if (this.ended !== undefined || this.pending !== undefined) {
      return this.destroy()
    }
    const timer = setTimeout(() => this.child.kill("SIGKILL"), closeLimit)
    this.whenGone.push(() => clearTimeout(timer))
    this.send(["close"], undefined, ignore)
    this.ended = closed(this.place())
  }

  destroy(): void {
    const fault = this.ended ??= closed(this.place())
    const pending = this.pending
    this.pending = undefined
    this.child.kill("SIGKILL")
    if (pending !== undefined) {
      pending.reply(new Fault(this.place(pending.request?.text, this.outcome(pending)), fault.fields), undefined)
    }
    this.transaction = "idle"
  }

  writes(text: string): boolean {
    return mayWrite(text)
  }
}

const closed = (place: Place): Fault =>
  connectionFault(place, { reason: "Lost", outcome: "RolledBack", what: "the connection was closed" })

const cannotStart = (spec: Spec, cause: unknown): Fault =>
  connectionFault({ database: spec.database }, {
    reason: "Unsupported",
    outcome: "NotSent",
    what: "the process for the database cannot be started",
    advice: "look at the cause: this machine may be out of memory or processes",
    cause
  })

const cannotSend = (place: Place, cause: unknown): Fault =>
  queryFault(place, {
    reason: "Parameter",
    outcome: "NotSent",
    what: "the parameters cannot be sent to the process that runs the statement",
    cause
  })

/** The rows of a table; those of each, for a text of several statements. */
const toRows = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(toRows)
    : typeof value === "object" && value !== null && "columns" in value
    ? fromTable(value as Table)
    : value
