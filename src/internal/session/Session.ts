/**
 * One borrower's time with one connection. Statements of all its fibers queue here, transactions nest here as levels,
 * and when it ends nobody can reach the connection through it any more.
 */
import * as Effect from "effect/Effect"
import { type DbError, type Holder, QueryError, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { hasChildren } from "../effect/FiberState.js"
import type { AnyFiber, Caller } from "../fiber/Caller.js"
import type { Borrower, PoolEntry } from "../pool/PoolEntry.js"
import { type Deadline, settleLimit } from "../request/Deadline.js"
import { type EngineContext, excerpt, recycle } from "../request/Request.js"
import type { SessionRequest } from "../request/SessionRequest.js"
import { outlived, transactionTimeout } from "./errors.js"
import { partly, transactionOf } from "./ImplicitCommit.js"
import { RequestQueue } from "./RequestQueue.js"
import { TransactionLevel } from "./TransactionLevel.js"
import type { Writer } from "./WriteLock.js"

/** The one value of an answer of one row and one column, in mode `values`. */
const firstValue = (rows: unknown): string => String((rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0])

/** A COMMIT whose answer did not come, whatever kept it away. */
const commitUnknown = (error: DbError): DbError =>
  error._tag === "QueryError" ? error : new QueryError({
    message: `database "${error.database}": the answer to COMMIT did not come, so the transaction may or may not be ` +
      `applied: ${error.message}`,
    reason: "CommitUnknown",
    outcome: "Unknown",
    database: error.database,
    cause: error
  })

let sessionNumber = 0

export class Session extends RequestQueue implements Borrower {
  readonly number = ++sessionNumber
  readonly root: TransactionLevel
  protected top: TransactionLevel
  private savepoints = 0
  /** The pool has closed, and waits for nothing but the end of what runs. */
  private isCut = false
  /** The fiber that holds it as a resource of its own, as long as no other one uses it. */
  hands: AnyFiber | undefined = undefined
  readonly openedAt: number
  /** How many effects that run in it say that it is held for long on purpose. */
  keeping = 0
  /** The fiber in whose log its end is written, where that is wanted. */
  openedBy: AnyFiber | undefined = undefined

  constructor(
    engine: EngineContext,
    entry: PoolEntry<Driver.Connection>,
    origin: Caller,
    /** Where the fiber that asked for this session stands in another session of the same database. */
    private readonly inside: TransactionLevel | undefined,
    /** For a question of dblive's own, such as a probe. */
    readonly isOurs: boolean
  ) {
    super(engine, entry, origin)
    this.root = new TransactionLevel(this, undefined, "session", undefined, {})
    this.top = this.root
    this.openedAt = entry.acquiredAt
    entry.borrower = this
  }

  get name(): string {
    return `${this.origin.span ?? this.origin.fiber}, session ${this.number}`
  }

  isInside(owner: Writer): boolean {
    for (let level = this.inside; level !== undefined; level = level.session.inside) {
      if (level.session === owner && level.kind !== "session") {
        return true
      }
    }
    return false
  }

  /** Whether this session, or one in which it was opened, has the entry. */
  isOn(entry: PoolEntry<Driver.Connection>): boolean {
    return this.entry === entry || this.inside?.session.isOn(entry) === true
  }

  /** Whether this fiber alone holds it in its hands: nobody else has used it, and there is nobody it could be with. */
  isHeldBy(fiber: AnyFiber): boolean {
    return this.hands === fiber && !hasChildren(fiber)
  }

  get isKept(): boolean {
    return this.keeping > 0
  }

  /** A fiber runs a statement in it: in two pairs of hands, either can give it back. */
  usedBy(fiber: AnyFiber): void {
    if (this.hands !== fiber) {
      this.hands = undefined
    }
  }

  /** The innermost level, for a handle that follows the session rather than a fiber's place in it. */
  get innermost(): TransactionLevel {
    return this.top
  }

  /** Whoever waits for this session has been interrupted: what it still has to do may take as long as settling it does. */
  hurry(): void {
    this.endBy = { at: this.engine.clock.unsafeCurrentTimeMillis() + settleLimit, limit: settleLimit }
    this.current?.hurry()
  }

  // ---------------------------------------------------------------------------
  // transactions
  // ---------------------------------------------------------------------------

  /** Begins the session's transaction in this level (the root), or a savepoint. The new level is given to `done`. */
  begin(
    parent: TransactionLevel,
    begin: string,
    done: (error: DbError | undefined, level: TransactionLevel | undefined) => void,
    /** `now`: send BEGIN at once instead of with the first statement. */
    options: {
      readonly now?: boolean | undefined
      readonly begin?: Driver.BeginOptions | undefined
      /** It goes on when the database commits it by itself. */
      readonly followsCommits?: boolean | undefined
      readonly deadline?: Deadline | undefined
    } = {}
  ): SessionRequest | undefined {
    // In one that the database has committed there is nothing that a savepoint could be in.
    const isOutermost = parent === this.root || parent.committedBy !== undefined
    const name = isOutermost ? undefined : `dblive_${++this.savepoints}`
    const { deferrable, isolation, readOnly } = options.begin ?? {}
    const asked = isOutermost
      ? { deferrable, isolation, readOnly }
      : { ...parent.options, readOnly: readOnly ?? parent.options.readOnly }
    const kind = isOutermost ? "transaction" : "savepoint"
    const level = new TransactionLevel(this, parent, kind, name, asked, options.followsCommits)
    const enter = () => {
      if (isOutermost) {
        this.readOnly = readOnly === true
      }
      parent.child = level
      this.top = level
      if (!isOutermost) {
        // While its savepoint waited for its turn; the server takes one outside of a transaction, and forgets it.
        level.committedBy = parent.committedBy
      }
    }
    if (
      isOutermost && options.now !== true && this.engine.driver.capabilities.pipelinedBegin &&
      this.current === undefined && this.top === parent
    ) {
      const refused = this.refusal(parent)
      if (refused !== undefined) {
        done(refused, undefined)
        return undefined
      }
      // Nothing is sent yet: BEGIN travels with the first statement, one round trip less.
      this.pendingBegin = begin
      this.begun = false
      enter()
      done(undefined, level)
      return undefined
    }
    const request = this.control(
      parent,
      name === undefined ? begin : this.savepointText(name, level),
      (error) => {
        if (error === undefined) {
          enter()
          if (isOutermost) {
            this.begun = true
          }
        }
        done(error, error === undefined ? level : undefined)
      },
      {
        deadline: options.deadline,
        several: readOnly === true && !isOutermost,
        onTurn: () => {
          // The savepoint is the first statement of its transaction: BEGIN goes ahead of it.
          if (!isOutermost && this.pendingBegin !== undefined) {
            request.begin = this.pendingBegin
            this.pendingBegin = undefined
            this.begun = true
          }
        }
      }
    )
    this.submit(request)
    return request
  }

  /** A database with a server is told what it is to refuse; where there is none, the session refuses it. */
  private savepointText(name: string, { options, parent }: TransactionLevel): string {
    const { readOnlyWithin, savepoint } = this.engine.driver.transaction
    return options.readOnly === true && parent!.options.readOnly !== true && readOnlyWithin !== undefined
      ? `${savepoint(name)}; ${readOnlyWithin}`
      : savepoint(name)
  }

  /**
   * Ends a level. `commit`: success only when the database says that it is committed; otherwise everything of the level
   * is undone and the error says why. The level is left in every case.
   */
  end(
    level: TransactionLevel,
    how: "commit" | "rollback",
    done: (error: DbError | undefined) => void,
    options: {
      /** Told the transaction's id before COMMIT is sent, so that its fate can be asked for when the answer is lost. */
      readonly onTransactionId?: ((id: string) => void) | undefined
      /** Until when COMMIT has to be answered. */
      readonly deadline?: Deadline | undefined
    } = {}
  ): void {
    const { transaction, transactionId } = this.engine.driver
    if (!this.isOpen(level)) {
      // The level around it ended first and took it along: a fiber outlived its transaction.
      return done(how === "commit" ? this.refusal(level) ?? outlived(level) : undefined)
    }
    // A limit may have ended it already; then that is why it cannot be committed.
    const ended = this.endOf(level)
    // What forked fibers of this level still have under way is over now.
    this.closeLevel(level, "ended")
    this.endBy = undefined
    const leave = (why: DbError | undefined) => {
      const error = why === undefined || level.committedBy === undefined ? why : partly(why, level.committedBy)
      this.endBy = undefined
      this.top = level.parent!
      level.parent!.child = undefined
      if (level.kind === "transaction") {
        this.pendingBegin = undefined
        this.begun = false
        this.readOnly = false
      }
      this.yieldLock()
      done(error)
      this.pump()
    }
    const proceed = () => {
      if (level.committedBy !== undefined && (level.kind === "savepoint" || this.connection.transaction === "idle")) {
        return leave(how === "commit" ? ended : undefined)
      }
      if (level.kind === "transaction" && !this.begun && level.committedBy === undefined) {
        // BEGIN was never sent: there is nothing to end.
        return leave(undefined)
      }
      if (how === "rollback") {
        return this.undo(level, leave)
      }
      if (ended !== undefined) {
        return this.undo(level, () => leave(ended))
      }
      if (this.connection.transaction !== "open") {
        const error = this.connection.lost ? this.lostError() : this.aborted(
          this.connection.transaction === "failed"
            ? "the transaction cannot be committed, because a statement in it failed; it was rolled back"
            : "the transaction had ended on the server before it was to be committed",
          undefined
        )
        // A savepoint's failure is undone by going back to it; only the transaction as a whole is lost.
        return this.undo(level, () => leave(error))
      }
      const text = level.savepoint === undefined ? transaction.commit : transaction.release?.(level.savepoint)
      if (text === undefined) {
        return leave(undefined)
      }
      const { deadline } = options
      const isOver = () => deadline !== undefined && this.engine.clock.unsafeCurrentTimeMillis() >= deadline.at
      const finish = () => {
        if (isOver()) {
          // Nothing of it was sent, so it is the transaction that ran out of time.
          return this.undo(level, () => leave(transactionTimeout(this.engine.name, deadline!.limit)))
        }
        this.runNow(level, text, (error) => {
          if (error === undefined) {
            return leave(undefined)
          }
          const why = error.outcome === "Unknown"
            ? level.kind === "transaction" ? commitUnknown(error) : error
            : error._tag === "TimeoutError" && error.phase === "Statement" && isOver()
            // Stopped by the transaction's limit, and the server says that it was.
            ? transactionTimeout(this.engine.name, deadline!.limit)
            : error
          this.undo(level, () => leave(why))
        }, { deadline })
      }
      const { onTransactionId } = options
      if (onTransactionId === undefined || transactionId === undefined || level.kind !== "transaction") {
        return finish()
      }
      this.runNow(level, transactionId, (error, value) => {
        if (error !== undefined) {
          const why = error._tag === "TimeoutError" && isOver()
            ? transactionTimeout(this.engine.name, deadline!.limit)
            : error
          return this.undo(level, () => leave(why))
        }
        onTransactionId(firstValue(value))
        finish()
      }, { deadline })
    }
    this.whenIdle(proceed)
  }

  /** Goes back to where the level began; a connection on which that fails is dropped, and the server undoes it. */
  private undo(level: TransactionLevel, done: (error: DbError | undefined) => void): void {
    if (this.connection.lost || this.connection.transaction === "idle") {
      return done(undefined)
    }
    const { transaction } = this.engine.driver
    const text = level.savepoint === undefined ? transaction.rollback : transaction.rollbackTo(level.savepoint)
    this.runNow(level, text, (error) => {
      if (error !== undefined) {
        this.connection.destroy()
        return done(error)
      }
      const release = level.savepoint === undefined ? undefined : transaction.release?.(level.savepoint)
      if (release === undefined) {
        return done(undefined)
      }
      // Going back keeps the savepoint and its locks; releasing it frees them.
      this.runNow(level, release, (error) => done(error), { limit: settleLimit })
    }, { limit: settleLimit })
  }

  private isOpen(level: TransactionLevel): boolean {
    for (let f: TransactionLevel | undefined = this.top; f !== undefined; f = f.parent) {
      if (f === level) {
        return true
      }
    }
    return false
  }

  /** The limit that has ended a level, or one around it. */
  private endOf(level: TransactionLevel): DbError | undefined {
    for (let f: TransactionLevel | undefined = level; f !== undefined; f = f.parent) {
      if (f.closed !== undefined && f.closed !== "ended") {
        return f.closed
      }
    }
    return undefined
  }

  // ---------------------------------------------------------------------------
  // limits
  // ---------------------------------------------------------------------------

  protected armIdleLimit(): void {
    const limit = this.engine.config.limits.idleInTransactionTimeout
    if (limit > 0 && this.connection.transaction !== "idle" && this.releasing === undefined) {
      this.entry.deadline = this.engine.clock.unsafeCurrentTimeMillis() + limit
      this.engine.timer.at(this.entry.deadline)
    }
  }

  onDeadline(): void {
    const current = this.current
    if (current !== undefined) {
      return current.onDeadline()
    }
    const limit = this.engine.config.limits.idleInTransactionTimeout
    const error = new TimeoutError({
      message: `database "${this.engine.name}": a transaction stood open without a statement for ${limit} ms and was ` +
        "rolled back. Do nothing slow between the statements of a transaction",
      phase: "IdleInTransaction",
      outcome: "RolledBack",
      database: this.engine.name,
      limitMillis: limit
    })
    // The session around it may go on; one who began by hand has no level.
    this.closeLevel(transactionOf(this.top) ?? this.root, error)
    this.runNow(this.top, this.engine.driver.transaction.rollback, (failed) => {
      if (failed !== undefined) {
        this.connection.destroy()
      }
      if (this.hasLock) {
        this.hasLock = false
        this.engine.writeLock!.release(this)
      }
    }, { limit: settleLimit })
  }

  onCut(error: TimeoutError, how: "stop" | "drop"): void {
    if (how === "drop") {
      this.current?.drop(error)
      return
    }
    this.isCut = true
    const outcome = this.connection.transaction === "idle" ? "NotSent" : "RolledBack"
    // That of statements that are not sent any more.
    const refused = new TimeoutError({ ...error, message: error.message, outcome })
    this.closeLevel(this.root, refused)
    if (this.waitsForLock) {
      this.leaveLock(refused)
    } else {
      this.current?.stop(error)
    }
    this.letGoWhenCut()
  }

  protected letGoWhenCut(): void {
    if (this.isCut && this.current === undefined) {
      this.engine.pool.evict(this.entry, false)
    }
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /**
   * Gives the connection back: nobody can use it through this session any more, what runs is stopped, an open
   * transaction is ended. `done` is called when no lock of it is left; cleaning goes on behind.
   */
  release(done: () => void): void {
    this.closeLevel(this.root, "ended")
    this.whenIdle(() => {
      this.top = this.root
      this.root.child = undefined
      this.pendingBegin = undefined
      recycle(this.engine, this.entry, () => {
        if (this.hasLock) {
          this.hasLock = false
          this.engine.writeLock!.release(this)
        }
        done()
      })
    })
  }

  /**
   * {@link release} as an effect that cannot be interrupted: it waits for the server at most `settleLimit`. `undefined`
   * when nothing was to be waited for, as nearly always.
   */
  close(): Effect.Effect<void> | undefined {
    let isDone = false
    let resume: ((effect: Effect.Effect<void>) => void) | undefined = undefined
    this.release(() => {
      isDone = true
      resume?.(Effect.void)
    })
    return isDone ? undefined : Effect.async<void>((resume_) => {
      if (isDone) {
        resume_(Effect.void)
      } else {
        resume = resume_
      }
    })
  }

  describe(now: number): Holder {
    const statement = this.lastStatement
    return {
      ...(this.origin.span === undefined ? {} : { span: this.origin.span }),
      fiber: this.origin.fiber,
      session: this.number,
      heldForMillis: now - this.entry.acquiredAt,
      state: this.current !== undefined
        ? "running"
        : this.connection.transaction !== "idle"
        ? "idle in transaction"
        : "idle",
      ...(statement === undefined ? {} : { statement: excerpt(statement) })
    }
  }
}
