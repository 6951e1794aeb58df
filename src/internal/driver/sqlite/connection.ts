/**
 * One SQLite handle, in this process.
 */
import type { Outcome } from "../../../DbError.js"
import type { Request, ResetPolicy, TransactionStatus } from "../../../driver/Driver.js"
import { noResult } from "../row.js"
import { backup } from "./backup.js"
import { classify, connectionFault, Fault, isBusy, lockTimeout, queryFault } from "./codes.js"
import { keepsRows, withIndex } from "./constraint.js"
import { type Reply, SqliteCursor } from "./cursor.js"
import { describe, type Description } from "./describe.js"
import { Executor } from "./executor.js"
import { type Holder, WriteAheadLog } from "./file.js"
import type { Handle, Shared } from "./handle.js"
import { LockWait, type Since, stopped } from "./lock.js"
import type { BackupMetadata, Database, Statement } from "./moduleContract.js"
import type { Spec } from "./open.js"
import { inTurn, isNone, isSeveral } from "./statements.js"
import { split, together } from "./text.js"

/** A request with its BEGIN still to be run, or not, and what is to be done with it. */
interface Task<E, A> {
  readonly request: Request
  readonly begin: string | undefined
  readonly work: (request: Request) => A
  readonly done: Reply<E, A>
}

/** How long requests that came together are run one after the other, in milliseconds: their borrower may have a limit. */
const longestRun = 10

/** By the first word of what is prepared already: it is asked for each statement, and a RELEASE may end the transaction, too. */
const endings = new Set(["COMMIT", "END", "ROLLBACK", "RELEASE"])

const plain = (text: string): Request => ({
  text,
  params: [],
  mode: "rows",
  prepare: true,
  begin: undefined,
  statementTimeout: undefined,
  lockTimeout: undefined,
  safeIntegers: false
})

let ids = 0

/**
 * `Driver.Connection`, where `E` is `DbError`. In a process of its own it keeps faults as they are, and gives rows as
 * tables (`tabular`), so that the names of the columns travel once.
 */
export class SqliteConnection<E> implements Holder {
  readonly id = ++ids
  readonly serverVersion: string
  onLost: ((error: E) => void) | undefined = undefined

  private readonly executor: Executor<E>
  private readonly question: Statement
  private readonly log: WriteAheadLog
  private readonly wait = new LockWait()
  private ended: Fault | undefined = undefined
  /** Set while a text of several statements runs outside a transaction, once one of them has been applied. */
  private isApplied = false

  constructor(
    handle: Handle,
    private readonly spec: Spec,
    private readonly shared: Shared,
    private readonly toError: (fault: Fault) => E,
    isTabular: boolean
  ) {
    this.executor = new Executor<E>(
      handle,
      spec,
      shared,
      (cause, text) => this.toError(this.fault(cause, text)),
      isTabular
    )
    const { db } = handle
    // This pragma, other than most, asks the file each time it is run.
    this.question = db.prepare("PRAGMA schema_version")
    this.serverVersion = String(db.prepare("SELECT sqlite_version()").pluck().get())
    this.log = new WriteAheadLog(spec.database, spec.filename)
    shared.file.join(this)
  }

  get db(): Database {
    return this.executor.db
  }

  get transaction(): TransactionStatus {
    return this.executor.open ? "open" : "idle"
  }

  get dirty(): boolean {
    return this.executor.dirty
  }

  get lost(): boolean {
    return this.ended !== undefined
  }

  execute(request: Request, done: Reply<E, unknown>): void {
    this.run(request, request.begin, undefined, this.executor.answer, done)
  }

  executeSome(
    requests: ReadonlyArray<Request>,
    done: (error: E | undefined, answers: ReadonlyArray<unknown>) => void
  ): void {
    const answers: Array<unknown> = []
    const until = performance.now() + longestRun
    let failure: E | undefined = undefined
    let isOver = false
    inTurn(requests, (request, answered) => {
      if (isOver) {
        return answered()
      }
      this.execute(request, (error, value) => {
        failure = error
        if (error === undefined) {
          answers.push(value)
        }
        isOver = error !== undefined || performance.now() >= until
        answered()
      })
    }, () => done(failure, answers))
  }

  describe(text: string, done: Reply<E, Description>): void {
    this.run(plain(text), undefined, undefined, () => describe(this.executor.statements.get(text, false)), done)
  }

  openCursor(request: Request, done: Reply<E, SqliteCursor<E>>): void {
    this.run(request, request.begin, undefined, this.executor.start, done)
  }

  private run<A>(
    request: Request,
    begin: string | undefined,
    since: Since | undefined,
    work: (request: Request) => A,
    done: Reply<E, A>
  ): void {
    let value: A
    const { executor } = this
    const wasOpen = executor.open
    try {
      if (this.ended !== undefined) {
        throw this.closed()
      }
      if (begin !== undefined) {
        executor.preparing = false
        executor.control(begin)
        begin = undefined
      }
      value = work.call(executor, request)
    } catch (cause) {
      return this.failed(cause, { request, begin, work, done }, wasOpen, since)
    }
    done(undefined, value)
  }

  private fault(cause: unknown, text: string, outcome?: Outcome | undefined): Fault {
    const fault = classify(this.executor.place(text, outcome), cause)
    const { fields } = fault
    if (fields._tag === "ConnectionError" && fields.reason === "Lost" && !this.isInMemory) {
      this.forfeit(fault)
    }
    return fault
  }

  private get isInMemory(): boolean {
    return this.spec.filename === ":memory:"
  }

  forfeit(fault: Fault): void {
    if (!this.lost) {
      this.ended = fault
      // After the failed request has been answered.
      queueMicrotask(() => this.onLost?.(this.toError(fault)))
    }
  }

  private failed<A>(cause: unknown, task: Task<E, A>, wasOpen: boolean, since: Since | undefined): void {
    const { begin, done, request, work } = task
    const { executor } = this
    const { preparing: isPreparing } = executor
    executor.look()
    if (begin === undefined && isNone(cause)) {
      // `work` is one of these two, and gives a cursor, or what the mode says.
      const nothing = request.mode === "result" ? noResult : []
      return done(undefined, (work as unknown === executor.start ? SqliteCursor.of<E>([]) : nothing) as A)
    }
    if (begin === undefined && isSeveral(cause) && work as unknown === executor.answer) {
      return this.several(cause, request, done as Reply<E, unknown>)
    }
    if (isBusy(cause) && (begin !== undefined || this.repeatable(request, wasOpen))) {
      return this.repeat(cause, task, since ?? { started: performance.now(), attempts: 0 })
    }
    // A COMMIT that is refused keeps nothing; SQLite still counts the rows of the statement before it.
    const isEnding = endings.has(this.executor.statements.find(request.text)?.keyword ?? "")
    const outcome = this.isApplied ||
        !isPreparing && begin === undefined && !isEnding && keepsRows(this.db, cause, request.text)
      ? "Unknown"
      : isPreparing || begin !== undefined
      ? "NotSent"
      : this.harmless(request, wasOpen || request.begin !== undefined)
      ? "RolledBack"
      : undefined
    // The value of an answer with an error is never looked at.
    done(this.toError(withIndex(this.db, this.fault(cause, begin ?? request.text, outcome))), undefined as A)
  }

  /** Whether a failure of the disk cannot have come after a commit. */
  private harmless(request: Request, wasOpen: boolean): boolean {
    const prepared = this.executor.statements.find(request.text)
    return prepared !== undefined && (prepared.reads || wasOpen && !endings.has(prepared.keyword))
  }

  /**
   * Whether a statement that met a lock may be run again by itself. Inside a transaction that already reads, a write
   * may not: its snapshot may be outdated for ever, and the holder of the lock may wait for this transaction.
   */
  private repeatable(request: Request, wasOpen: boolean): boolean {
    if (!wasOpen || !this.executor.begun) {
      return true
    }
    const prepared = this.executor.statements.find(request.text)
    return prepared === undefined || prepared.reads || endings.has(prepared.keyword)
  }

  private repeat<A>(cause: unknown, task: Task<E, A>, since: Since): void {
    const { begin, done, request, work } = task
    const outcome = this.isApplied ? "Unknown" : begin === undefined ? "RolledBack" : "NotSent"
    this.wait.repeat(
      request.lockTimeout ?? this.spec.lockTimeout,
      since,
      () => this.run(request, begin, since, work, done),
      (limit) =>
        done(
          // The value of an answer with an error is never looked at.
          this.toError(
            limit === undefined
              ? this.ended ?? stopped(this.executor.place(request.text, outcome))
              : lockTimeout(this.executor.place(begin ?? request.text, outcome), limit, cause)
          ),
          undefined as A
        )
    )
  }

  /**
   * Runs a text of several statements, one by one. Outside a transaction they are one, as PostgreSQL has it, unless
   * one of them ends or forbids a transaction.
   */
  private several(cause: unknown, request: Request, done: Reply<E, unknown>): void {
    const texts = split(request.text)
    if (texts.length < 2 || request.params.length > 0) {
      const place = this.executor.place(request.text)
      const fault = texts.length < 2 ? classify(place, cause) : queryFault(place, {
        reason: "SqlSyntax",
        outcome: "NotSent",
        what: "a text with parameters holds more than one statement",
        advice: "run the statements one by one, or all of them by Db.batch"
      })
      return done(this.toError(fault), undefined)
    }
    const begin = this.executor.open ? undefined : together(texts)
    const steps = begin === undefined ? texts : [begin, ...texts, "COMMIT"]
    const answers: Array<unknown> = []
    const end = (error: E | undefined) => {
      this.isApplied = false
      if (error !== undefined && begin !== undefined && this.executor.open) {
        this.executor.rollback()
      }
      const own = begin === undefined ? answers : answers.slice(1, -1)
      done(error, request.mode === "result" ? own.at(-1) : own)
    }
    inTurn(
      steps,
      (text, answered) =>
        this.run({ ...request, text, begin: undefined }, undefined, undefined, this.executor.answer, (error, value) => {
          if (error !== undefined) {
            return end(error)
          }
          answers.push(value)
          this.isApplied = begin === undefined && !this.executor.open
          answered()
        }),
      () => end(undefined)
    )
  }

  private checkOpen(): void {
    if (this.ended !== undefined) {
      throw this.closed()
    }
  }

  private closed(): Fault {
    const place = { database: this.spec.database, outcome: "NotSent" } as const
    // What ended the connection, but this request has not been sent.
    return this.ended === undefined
      ? connectionFault(place, { reason: "Closed", outcome: "NotSent", what: "the connection is closed" })
      : new Fault(place, this.ended.fields)
  }

  ping(done: Reply<E, void>): void {
    let fault: Fault | undefined
    try {
      if (this.ended !== undefined) {
        throw this.ended
      }
      const gone = this.shared.file.check() ?? this.withoutLog()
      if (gone !== undefined) {
        throw gone
      }
      this.question.get()
    } catch (cause) {
      // A locked file is alive.
      fault = isBusy(cause) ? undefined : this.fault(cause, this.question.source)
    }
    done(fault && this.toError(fault), undefined)
  }

  private withoutLog(): Fault | undefined {
    const gone = this.log.check(() => this.db.pragma("journal_mode", { simple: true }) === "wal")
    if (gone !== undefined) {
      // What was committed is in the log alone, which this connection still has open: it goes into the database's file now.
      this.db.pragma("wal_checkpoint")
      this.shared.file.forfeit(gone)
    }
    return gone
  }

  reset(policy: ResetPolicy, done: Reply<E, void>): void {
    this.executor.stopCursors()
    const finish = (error: E | undefined) => {
      if (error === undefined) {
        try {
          this.executor.residue.remove()
        } catch (cause) {
          return done(this.toError(this.fault(cause, "")), undefined)
        }
      }
      done(error, undefined)
    }
    if (this.executor.open) {
      this.execute(plain(policy === "commit" ? "COMMIT" : "ROLLBACK"), finish)
    } else {
      finish(undefined)
    }
  }

  cancel(done: Reply<E, void>): void {
    this.wait.stop()
    done(undefined, undefined)
  }

  close(done: Reply<E, void>): void {
    this.destroy()
    done(undefined, undefined)
  }

  destroy(): void {
    this.ended ??= connectionFault({ database: this.spec.database }, {
      reason: "Lost",
      outcome: this.isApplied ? "Unknown" : "RolledBack",
      what: "the connection was closed"
    })
    this.wait.stop()
    this.executor.stopCursors()
    this.shared.file.leave(this)
    if (this.isInMemory) {
      // The database is its handle, which therefore stays, for the next connection.
      if (this.executor.open) {
        this.executor.rollback()
      }
      this.executor.residue.remove()
    } else {
      this.shared.live.delete(this.executor.handle)
      this.executor.handle.kill()
    }
    this.executor.open = false
    this.executor.statements.clear()
  }

  writes(text: string): boolean {
    return this.ended === undefined && this.executor.statements.writes(text)
  }

  /** The database as the bytes of a file. */
  export(done: Reply<E, Uint8Array>): void {
    let bytes: Uint8Array
    try {
      this.checkOpen()
      this.executor.settle()
      bytes = this.db.serialize()
    } catch (cause) {
      return done(this.toError(this.fault(cause, "")), new Uint8Array())
    }
    done(undefined, bytes)
  }

  /** Copies the database to a file, some pages at a time. Returns how to stop it. */
  backup(destination: string, done: Reply<E, BackupMetadata>): () => void {
    const isOwn = !this.executor.open
    const end = (fault: Fault | undefined, value: BackupMetadata) => {
      if (isOwn && this.executor.open) {
        this.executor.rollback()
      }
      done(fault && this.toError(fault), value)
    }
    const fail = (cause: unknown) => end(this.fault(cause, "", "RolledBack"), { totalPages: 0, remainingPages: 0 })
    try {
      this.checkOpen()
      this.executor.settle()
      if (isOwn) {
        this.executor.beginSnapshot()
      }
    } catch (cause) {
      fail(cause)
      return () => {}
    }
    return backup(this.db, destination, this.spec, (value) => end(undefined, value), fail)
  }

  /** Loads an extension here, and has every other connection of the database load it before its next statement. */
  loadExtension(path: string, done: Reply<E, void>): void {
    try {
      this.checkOpen()
      if (this.spec.readOnly) {
        throw queryFault({ database: this.spec.database }, {
          reason: "ReadOnly",
          outcome: "NotSent",
          what: "a read-only database loads no extension",
          advice: "open it with read-write access"
        })
      }
      this.executor.addExtension(path)
    } catch (cause) {
      return done(this.toError(this.fault(cause, "", "NotSent")), undefined)
    }
    done(undefined, undefined)
  }
}
