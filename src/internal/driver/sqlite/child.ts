/**
 * The process that runs statements for a database with `workers`: one connection, one request at a time, read with
 * blocking calls, which answer sooner than an event loop does.
 *
 * It loads nothing of Effect, so that it starts fast: it is stopped, and begun anew, whenever a statement has to be.
 */
import * as Fs from "node:fs"
import { Worker } from "node:worker_threads"
import type { Request } from "../../../driver/Driver.js"
import { codeOf, connectionFault, Fault } from "./codes.js"
import { SqliteConnection } from "./connection.js"
import type { SqliteCursor } from "./cursor.js"
import { DatabaseFile } from "./file.js"
import { Handle, type Shared } from "./handle.js"
import { load } from "./module.js"
import type { Loaded } from "./moduleContract.js"
import { open, type Spec } from "./open.js"
import { toTable } from "./rows.js"
import { type Answer, encodeFrame, FrameDecoder, type Listed, type Message, type Sent, toPlain } from "./wire.js"

/** The channel to the program; and a pipe on which nothing is ever said, whose end says that the program has ended. */
const channel = 3
const lifeline = 4

/**
 * A thread of its own, because this one is inside SQLite for as long as a statement runs. Without it a statement would
 * go on, and hold its locks, after the program was killed.
 */
const watchLifeline = () => {
  const worker = new Worker(
    `const { Socket } = require("node:net")
     const end = () => process.kill(process.pid, "SIGKILL")
     new Socket({ fd: ${lifeline}, readable: true }).on("end", end).on("error", end).resume()`,
    { eval: true }
  )
  worker.unref()
}

const decoder = new FrameDecoder()

/** Read into again and again: to make such a large one for each message costs more than to copy what came. */
const chunk = Buffer.allocUnsafeSlow(65536)

/**
 * What becomes of a call on the channel; the process ends with it. A program that was killed with an answer unread resets
 * it, and one that was killed before the answer takes none.
 */
const onChannel = (call: () => number): number => {
  for (;;) {
    try {
      return call()
    } catch (cause) {
      const code = codeOf(cause)
      if (code === "ECONNRESET" || code === "EPIPE") {
        process.exit(0)
      }
      // A signal came.
      if (code !== "EINTR") {
        throw cause
      }
    }
  }
}

/** The next message. */
const read = (): Message => {
  for (;;) {
    const message = decoder.next()
    if (message !== undefined) {
      // The program writes nothing else.
      return message as Message
    }
    const length = onChannel(() => Fs.readSync(channel, chunk, 0, chunk.length, null))
    if (length === 0) {
      process.exit(0)
    }
    // A copy: values refer to the bytes they were read from.
    decoder.push(Buffer.from(chunk.subarray(0, length)))
  }
}

const write = (answer: Answer) => {
  const framed = encodeFrame(answer)
  // Node's types do not say that both can be written in this way.
  let written = onChannel(() =>
    typeof framed === "string" ? Fs.writeSync(channel, framed) : Fs.writeSync(channel, framed)
  )
  const length = Buffer.byteLength(framed)
  if (written < length) {
    const bytes = Buffer.from(framed)
    while (written < length) {
      const from = written
      written += onChannel(() => Fs.writeSync(channel, bytes, from))
    }
  }
}

/** One for all databases that there can be here: the first message names it. */
let shared: Shared

/** How long rows are read ahead that the program may not want, in milliseconds. */
const longestAhead = 10

interface OpenCursor {
  readonly cursor: SqliteCursor<Fault>
  /** `undefined` where rows are asked for as arrays. */
  readonly names: ReadonlyArray<string> | undefined
}

const cursors = new Map<number, OpenCursor>()
let cursorIds = 0
let connection: SqliteConnection<Fault> | undefined

type Reply = (fault: Fault | undefined, value?: unknown) => void

/** What a program is told when the database is open. */
const opened = () => [connection?.serverVersion, shared.module, shared.passedOver]

const connect = (spec: Spec, reply: Reply) => {
  const failed = (cause: unknown) =>
    reply(
      cause instanceof Fault ? cause : connectionFault({ database: spec.database }, {
        reason: "Unsupported",
        outcome: "NotSent",
        what: `its driver could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause
      })
    )
  const connected = ({ Database, name, passedOver }: Loaded) => {
    open(Database, spec, (fault, db) => {
      if (fault === undefined) {
        shared.module = name
        shared.passedOver = passedOver
        connection = new SqliteConnection<Fault>(new Handle(db!), spec, shared, (fault) => fault, true)
      }
      reply(fault, opened())
    })
  }
  load(spec.module, spec.database).then(connected, failed)
}

const reopen = (current: SqliteConnection<Fault>, reply: Reply) => {
  cursors.clear()
  current.reset("rollback", (fault) => reply(fault, opened()))
}

const toRequest = ([text, params, mode, prepare, begin, lockTimeout, safeIntegers]: Sent): Request => ({
  text,
  params,
  mode,
  prepare,
  begin: begin ?? undefined,
  statementTimeout: undefined,
  lockTimeout: lockTimeout ?? undefined,
  safeIntegers
})

/** By name: a spread takes several times as long, and a list has many. */
const alike = (request: Request, params: ReadonlyArray<unknown>): Request => ({
  text: request.text,
  params,
  mode: request.mode,
  prepare: request.prepare,
  begin: undefined,
  statementTimeout: undefined,
  lockTimeout: request.lockTimeout,
  safeIntegers: request.safeIntegers
})

const toRequests = (list: ReadonlyArray<Listed>): ReadonlyArray<Request> => {
  const requests: Array<Request> = []
  for (const one of list) {
    // The first one is whole, and whatever stands behind it as its parameters has no BEGIN.
    requests.push(one.length === 1 ? alike(requests[requests.length - 1]!, one[0]) : toRequest(one))
  }
  return requests
}

const openCursor = (connection: SqliteConnection<Fault>, request: Request, reply: Reply) =>
  connection.openCursor(request, (fault, cursor) => {
    if (fault !== undefined) {
      return reply(fault)
    }
    const id = ++cursorIds
    cursors.set(id, { cursor, names: request.mode === "values" ? undefined : cursor.names })
    reply(undefined, id)
  })

const fetch = (id: number, count: number, ahead: number, reply: Reply) => {
  // The program closes a cursor, or reads it to its end, and then knows it no more.
  const { cursor, names } = cursors.get(id)!
  cursor.fetch(count, (fault, { done: isDone, rows }) => {
    const isOver = isDone || fault !== undefined
    if (isOver) {
      cursors.delete(id)
    }
    // A connection that is `tabular` gives rows as arrays.
    reply(fault, [toTable(names, rows as ReadonlyArray<ReadonlyArray<unknown>>), isDone])
    if (!isOver && ahead > 0) {
      // While the program deals with these.
      cursor.readAhead(ahead, longestAhead)
    }
  })
}

const free = (connection: SqliteConnection<Fault>, id: number, reply: Reply) => {
  const failure = cursors.get(id)?.cursor.stop()
  cursors.delete(id)
  // A failure of rows that were read ahead and not asked for does not matter, unless the file is gone.
  reply(connection.lost ? failure : undefined)
}

const dispatch = (message: Message, reply: Reply): void => {
  if (message[0] === "open") {
    const [, spec, extensions] = message
    const file = new DatabaseFile(spec.database, spec.filename)
    shared = {
      extensions: [...extensions],
      live: new Set(),
      file,
      memory: undefined,
      process: undefined,
      module: undefined,
      passedOver: undefined
    }
    connect(spec, reply)
    return
  }
  // "open" is the first message, and the program gives up when it fails.
  const current = connection!
  switch (message[0]) {
    case "reopen":
      return reopen(current, reply)
    case "execute":
      shared.extensions.push(...message[2])
      return current.execute(toRequest(message[1]), reply)
    case "list":
      shared.extensions.push(...message[2])
      return current.executeSome(toRequests(message[1]), reply)
    case "cursor":
      shared.extensions.push(...message[2])
      return openCursor(current, toRequest(message[1]), reply)
    case "fetch":
      return fetch(message[1], message[2], message[3], reply)
    case "free":
      return free(current, message[1], reply)
    case "ping":
      return current.ping(reply)
    case "reset":
      cursors.clear()
      return current.reset(message[1], reply)
    case "export":
      return current.export(reply)
    case "backup":
      current.backup(message[1], reply)
      return
    case "load":
      shared.extensions.push(...message[2])
      return current.loadExtension(message[1], reply)
    case "close":
      current.destroy()
      current.db.close()
      reply(undefined)
      process.exit(0)
  }
}

const serve = () => {
  for (;;) {
    let isAnswered = false
    let isSuspended = false
    dispatch(read(), (fault, value) => {
      isAnswered = true
      write([
        fault === undefined ? null : toPlain(fault),
        value ?? null,
        connection?.transaction === "open",
        connection?.dirty === true,
        connection?.lost === true
      ])
      if (isSuspended) {
        serve()
      }
    })
    if (!isAnswered) {
      // It waits for a lock, by a timer; the event loop runs meanwhile.
      isSuspended = true
      return
    }
  }
}

// A terminal and a service manager signal all processes at once; this one ends when the program lets it go.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {})
}
watchLifeline()
serve()
