/**
 * One SQLite connection in a process of its own, where a running statement can be stopped.
 *
 * `workers` promises that, and threads cannot keep it: a worker thread inside `sqlite3_step` ends only when the
 * statement does (`Worker.terminate` waits for it), and better-sqlite3 gives no way to interrupt it. A process can be
 * killed at any moment. SQLite is made for that: in WAL mode a transaction counts only with the checksummed commit
 * record at its end, so what a killed process had written is not seen by any other; its locks are the kernel's, which
 * frees them; and the index of the WAL is rebuilt by the next reader if it was being changed.
 */
import type { ConnectionError, DbError, Outcome } from "../../../DbError.js"
import type { Connection, Cursor, Done, Request, ResetPolicy, TransactionStatus } from "../../../driver/Driver.js"
import { fetched, noMore } from "../row.js"
import { connectionFault, Fault, type Place } from "./codes.js"
import { toError } from "./errors.js"
import type { Holder } from "./file.js"
import type { Shared } from "./handle.js"
import type { BackupMetadata } from "./moduleContract.js"
import type { Spec } from "./open.js"
import { sendable } from "./parameters.js"
import { cannotStart, died, type Process } from "./process.js"
import { fromTable, type SentResult, type Table } from "./rows.js"
import { head, mayWrite } from "./text.js"
import { type Answer, fromPlain, type Listed, type Message, type Sent } from "./wire.js"

/**
 * How long a cancelled statement may go on, in milliseconds: most end within it, and a new process takes several times as
 * long to start.
 */
const cancelGrace = 10

/** How long a stream that is left waits for rows that are read ahead, in milliseconds. */
const aheadGrace = 50

/**
 * Rows that were there within this time, in milliseconds, are followed by others that are read ahead of the next fetch. Slower
 * ones are not: they may be large, and closing the cursor would have to wait for them.
 */
const soon = 10

interface Pending {
  readonly request: Request | undefined
  readonly wasOpen: boolean
  readonly reply: (fault: Fault | undefined, value: unknown) => void
}

const ignore = () => {}

/** Whether two differ in their parameters alone. */
const isAlike = (one: Request, other: Request): boolean =>
  one.text === other.text && one.begin === undefined && one.mode === other.mode && one.prepare === other.prepare &&
  one.lockTimeout === other.lockTimeout && one.safeIntegers === other.safeIntegers

const sent = (request: Request, params: ReadonlyArray<unknown>): Sent => {
  const { begin, lockTimeout, mode, prepare, safeIntegers, text } = request
  return [text, params, mode, prepare, begin ?? null, lockTimeout ?? null, safeIntegers]
}

export class RemoteConnection implements Connection, Holder {
  /** That of the process. */
  readonly id: number
  transaction: TransactionStatus = "idle"
  dirty = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined

  private pending: Pending | undefined = undefined
  private ended: Fault | undefined = undefined

  constructor(
    private readonly spec: Spec,
    private readonly shared: Shared,
    private readonly process: Process,
    readonly serverVersion: string
  ) {
    this.id = process.id
    process.onGone = (cause) => this.end(cause)
    shared.file.join(this)
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
    this.process.ask(message, (answer) => this.answered(answer))
  }

  private answered([plain, value, isOpen, isDirty, isLost]: Answer): void {
    const pending = this.pending
    if (pending === undefined) {
      // It was dropped meanwhile.
      return
    }
    this.pending = undefined
    this.transaction = isOpen ? "open" : "idle"
    this.dirty = isDirty
    const fault = plain === null ? undefined : fromPlain(plain)
    if (isLost && fault !== undefined) {
      this.forfeit(fault)
    }
    pending.reply(fault, value)
  }

  /** What it was asked already is answered. */
  forfeit(fault: Fault): void {
    if (this.ended === undefined) {
      this.ended = fault
      queueMicrotask(() => this.tellLost(fault))
    }
  }

  private tellLost(fault: Fault): void {
    const error = toError(fault)
    if (error._tag === "ConnectionError") {
      this.onLost?.(error)
    }
  }

  /** The process is gone. */
  private end(cause: Error | undefined): void {
    const isTold = this.ended !== undefined
    const fault = this.ended ??= cause === undefined
      ? died(this.spec.database, this.process)
      : cannotStart(this.spec.database, cause)
    this.failPending(fault)
    if (!isTold) {
      this.tellLost(fault)
    }
  }

  private failPending(fault: Fault): void {
    const pending = this.pending
    this.pending = undefined
    this.transaction = "idle"
    if (pending !== undefined) {
      pending.reply(new Fault(this.place(pending.request?.text, this.outcome(pending)), fault.fields), undefined)
    }
  }

  /** What is known about a request whose process was killed. */
  private outcome({ request, wasOpen }: Pending): Outcome {
    if (request === undefined) {
      return "RolledBack"
    }
    const isOpen = wasOpen || request.begin !== undefined
    const keyword = head(request.text, 1)[0] ?? ""
    // Nothing can commit what a killed process had begun; but the killed statement may have been the commit itself, as a RELEASE is
    // of the outermost savepoint. The text does not tell which one that is, so it is the first word that counts.
    return (isOpen ? /^(COMMIT|END|RELEASE)$/.test(keyword) || request.text.includes(";") : mayWrite(request.text))
      ? "Unknown"
      : "RolledBack"
  }

  private statement(kind: "execute" | "cursor", request: Request, reply: Pending["reply"]): void {
    let params: ReadonlyArray<unknown>
    try {
      params = request.params.length === 0 ? request.params : sendable(this.place(request.text), request.params)
    } catch (cause) {
      // `sendable` throws nothing else.
      const fault = cause as Fault
      // The transaction begins all the same, as it does where the statement is refused by SQLite.
      return request.begin === undefined
        ? reply(fault, undefined)
        : this.statement(
          "execute",
          { ...request, text: request.begin, params: [], begin: undefined },
          (failed) => reply(failed ?? fault, undefined)
        )
    }
    this.send([kind, sent(request, params), this.missing()], request, reply)
  }

  /** The extensions that the process was not told of yet. */
  private missing(): ReadonlyArray<string> {
    const { extensions } = this.shared
    const missing = extensions.slice(this.process.loaded)
    this.process.loaded = extensions.length
    return missing
  }

  execute(request: Request, done: Done<unknown>): void {
    this.statement(
      "execute",
      request,
      (fault, value) => done(fault && toError(fault), toRows(value))
    )
  }

  executeSome(
    requests: ReadonlyArray<Request>,
    done: (error: DbError | undefined, answers: ReadonlyArray<unknown>) => void
  ): void {
    const list: Array<Listed> = []
    for (const request of requests) {
      try {
        const params = sendable(this.place(request.text), request.params)
        const before = list.length === 0 ? undefined : requests[list.length - 1]
        list.push(before !== undefined && isAlike(request, before) ? [params] : sent(request, params))
      } catch {
        // Those before it go first; on its own it is refused.
        break
      }
    }
    if (list.length === 0) {
      return this.execute(requests[0]!, (error, value) => done(error, error === undefined ? [value] : []))
    }
    // Were the process killed, it would not be known which of them it ran: the error names the one that tells most.
    const told = requests.find(({ text }) => text.includes(";")) ?? requests[0]!
    this.send(["list", list, this.missing()], told, (fault, value) =>
      // Also beside a fault the process answers with what has succeeded; a process that is gone answers with nothing.
      done(fault && toError(fault), ((value ?? []) as ReadonlyArray<unknown>).map(toRows)))
  }

  openCursor(request: Request, done: Done<Cursor>): void {
    this.statement("cursor", request, (fault, value) => done(fault && toError(fault), this.cursor(value as number)))
  }

  private cursor(id: number): Cursor {
    let hasEnded = false
    let isAlone = false
    let wasSoon = false
    /** Whether the process was told to read rows that no fetch has asked for yet. */
    let isAhead = false
    return {
      interleaves: true,
      alone: () => {
        // A process that holds a database in memory cannot be killed when such rows take long and are no longer wanted.
        isAlone = !isInMemory(this.spec)
      },
      fetch: (count, done) => {
        if (hasEnded) {
          return done(undefined, noMore)
        }
        const asked = performance.now()
        isAhead = isAlone && wasSoon
        this.send(["fetch", id, count, isAhead ? count : 0], undefined, (fault, value) => {
          wasSoon = performance.now() - asked < soon
          if (fault !== undefined) {
            hasEnded = true
            return done(toError(fault), noMore)
          }
          const [table, isLast] = value as readonly [Table, boolean]
          hasEnded = isLast
          done(undefined, fetched(fromTable(table), isLast))
        })
      },
      close: (done) => {
        if (hasEnded || this.ended !== undefined) {
          hasEnded = true
          return done(undefined, undefined)
        }
        hasEnded = true
        // It may be reading ahead what is not wanted any more.
        const callOff = isAhead ? this.killLater(aheadGrace) : ignore
        this.send(["free", id], undefined, () => {
          callOff()
          // The consumer needs no more rows. Should the connection be lost with it, the pool is told.
          done(undefined, undefined)
        })
      }
    }
  }

  private simple(message: Message, done: Done<void>): void {
    this.send(message, undefined, (fault) => done(fault && toError(fault), undefined))
  }

  ping(done: Done<void>): void {
    // The process knows of its own connection only.
    const fault = this.shared.file.check()
    if (fault !== undefined) {
      return done(toError(fault), undefined)
    }
    this.simple(["ping"], done)
  }

  reset(policy: ResetPolicy, done: Done<void>): void {
    this.simple(["reset", policy], done)
  }

  // What a process answers to a message is known by the message; the casts follow it.

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
    this.simple(["load", path, this.missing()], (error) => {
      if (error === undefined) {
        this.shared.extensions.push(path)
        this.process.loaded++
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
    const callOff = isInMemory(this.spec) ? ignore : this.killLater(cancelGrace)
    this.pending = {
      ...pending,
      reply: (fault, value) => {
        callOff()
        pending.reply(fault, value)
        done(undefined, undefined)
      }
    }
  }

  /** Kills the process after so many milliseconds. Returns how to call it off. */
  private killLater(grace: number): () => void {
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      // On a busy event loop timers come before the answer that has been there for long.
      immediate = setImmediate(() => {
        this.ended ??= connectionFault(this.place(), {
          reason: "Lost",
          outcome: "RolledBack",
          what: "the statement was stopped by ending the process that ran it",
          advice: "a new connection is opened for the next statement"
        })
        this.process.kill()
      })
    }, grace)
    return () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
  }

  close(done: Done<void>): void {
    if (isInMemory(this.spec) || this.ended !== undefined || this.pending !== undefined) {
      this.destroy()
    } else {
      this.process.close()
      this.shared.file.leave(this)
      this.ended = closed(this.place())
    }
    if (isInMemory(this.spec)) {
      done(undefined, undefined)
    } else {
      this.process.whenGone(() => done(undefined, undefined))
    }
  }

  destroy(): void {
    const fault = this.ended ??= closed(this.place())
    this.shared.file.leave(this)
    if (isInMemory(this.spec)) {
      // The database is its process, which therefore goes on, for the next connection.
      this.process.onGone = undefined
    } else {
      this.process.kill()
    }
    this.failPending(fault)
  }

  writes(text: string): boolean {
    return mayWrite(text)
  }
}

/** Whether the database ends with its process. */
export const isInMemory = (spec: Spec): boolean => spec.filename === ":memory:"

const closed = (place: Place): Fault =>
  connectionFault(place, { reason: "Lost", outcome: "RolledBack", what: "the connection was closed" })

/** The rows of a table, also in what a statement did; those of each, for a text of several statements. */
const toRows = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(toRows)
  if (typeof value !== "object" || value === null) return value
  // By their members: nothing else that a process answers with has these.
  if ("columns" in value) return fromTable(value as Table)
  if (!("rowsAffected" in value)) return value
  const { lastInsertId, rows, rowsAffected } = value as SentResult
  return { rows: toRows(rows), rowsAffected, lastInsertId }
}
