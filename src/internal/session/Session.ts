/**
 * One borrower's time with one connection. Statements of all its fibers queue in it, transactions nest in it as levels,
 * and when it ends the connection cannot be reached through it any more.
 */
import * as Effect from "effect/Effect"
import type { DbError, Holder, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { hasChildren } from "../effect/fiberState.js"
import { idleTimeout } from "../error/engine.js"
import { excerpt } from "../error/message.js"
import type { AnyFiber, Caller } from "../fiber/Caller.js"
import type { Borrower, PoolEntry } from "../pool/PoolEntry.js"
import { settleLimit } from "../request/Deadline.js"
import { recycle } from "../request/recycle.js"
import type { EngineContext, SessionRequest } from "../request/Request.js"
import { beginLevel, type BeginLevelOptions } from "./beginLevel.js"
import { transactionOf } from "./implicitCommit.js"
import { endLevel, type EndLevelDone, type EndLevelOptions } from "./LevelEnd.js"
import { RequestQueue } from "./RequestQueue.js"
import type { TransactionLevel } from "./TransactionLevel.js"
import { TransactionState } from "./TransactionState.js"
import type { Writer } from "./WriteLock.js"

/** A level of a session: where a fiber runs. */
export type SessionLevel = TransactionLevel<Session>

let sessionNumber = 0

export class Session implements Borrower {
  readonly number = ++sessionNumber
  readonly queue: RequestQueue<Session>
  readonly openedAt: number
  /** How many effects that run in it say that it is held for long on purpose. */
  keeping = 0
  /** The fiber in whose log its end is written, where that is wanted. */
  openedBy: AnyFiber | undefined = undefined

  constructor(
    readonly engine: EngineContext,
    readonly entry: PoolEntry<Driver.Connection>,
    private readonly origin: Caller,
    /** The level of another session of the same database in which it was asked for. */
    private readonly inside: SessionLevel | undefined,
    /** For a question of the engine's own, such as a probe. */
    readonly isOurs: boolean
  ) {
    const state = new TransactionState<Session>(this, this.number, engine, entry.connection)
    this.queue = new RequestQueue<Session>(engine, entry, state, this)
    this.openedAt = entry.acquiredAt
    entry.borrower = this
  }

  get connection(): Driver.Connection {
    return this.entry.connection
  }

  /** The session's own level, outside of its transactions. */
  get root(): SessionLevel {
    return this.queue.state.root
  }

  /** The innermost level, for a handle that follows the session rather than a fiber's place in it. */
  get innermost(): SessionLevel {
    return this.queue.state.innermost
  }

  get name(): string {
    return `${this.origin.span ?? this.origin.fiber}, session ${this.number}`
  }

  /** Whether it was opened inside the transaction of the session that has this lock. */
  isInside(lock: Writer): boolean {
    for (let level = this.inside; level !== undefined; level = level.session.inside) {
      if (level.session.queue.lock === lock && level.kind !== "session") {
        return true
      }
    }
    return false
  }

  /** Whether this session, or one in which it was opened, has the entry. */
  isOn(entry: PoolEntry<Driver.Connection>): boolean {
    return this.entry === entry || this.inside?.session.isOn(entry) === true
  }

  /** Whether this fiber alone can give it back: no other one has used it, and the fiber has no child that could. */
  isHeldBy(fiber: AnyFiber): boolean {
    return this.queue.reservedBy === fiber && !hasChildren(fiber)
  }

  get isKept(): boolean {
    return this.keeping > 0
  }

  // ---------------------------------------------------------------------------
  // transactions
  // ---------------------------------------------------------------------------

  /** Begins its transaction in the root level, or a savepoint; see {@link beginLevel}. */
  begin(
    parent: SessionLevel,
    begin: string,
    done: (error: DbError | undefined, level: SessionLevel | undefined) => void,
    options?: BeginLevelOptions
  ): SessionRequest | undefined {
    return beginLevel(this.queue, parent, begin, done, options)
  }

  /** Ends a level; see {@link endLevel}. */
  end(
    level: SessionLevel,
    how: "commit" | "rollback",
    done: EndLevelDone,
    options: EndLevelOptions = {}
  ): () => void {
    return endLevel(this.queue, level, how, done, options)
  }

  // ---------------------------------------------------------------------------
  // the pool's calls of its borrower
  // ---------------------------------------------------------------------------

  onDeadline(): void {
    if (this.queue.expireCurrent()) {
      return
    }
    const { driver, config, name } = this.engine
    // The session around it may go on; a transaction begun by hand has no level.
    this.queue.closeLevel(
      transactionOf(this.innermost) ?? this.root,
      idleTimeout(name, config.limits.idleInTransactionTimeout)
    )
    this.queue.runNow(this.innermost, driver.transaction.rollback, (failed) => {
      if (failed !== undefined) {
        this.connection.destroy()
      }
      this.queue.lock?.release()
    }, { limit: settleLimit })
  }

  onQueueDeadline(now: number): void {
    this.queue.onQueueDeadline(now)
  }

  onCut(error: TimeoutError, how: "stop" | "drop"): void {
    this.queue.cut(error, how)
  }

  describe(now: number): Holder {
    const { isRunning, lastStatement } = this.queue
    return {
      ...(this.origin.span === undefined ? {} : { span: this.origin.span }),
      fiber: this.origin.fiber,
      session: this.number,
      heldForMillis: now - this.entry.acquiredAt,
      state: isRunning ? "running" : this.connection.transaction !== "idle" ? "idle in transaction" : "idle",
      ...(lastStatement === undefined ? {} : { statement: excerpt(lastStatement) })
    }
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /**
   * Releases the connection: it cannot be used through this session any more, what runs is stopped, an open
   * transaction is ended. `done` is called when no lock of it is left; cleaning goes on behind.
   */
  release(done: () => void): void {
    this.queue.closeLevel(this.root, "ended")
    this.queue.whenIdle(undefined, true, Infinity, () => {
      this.queue.state.leaveAll()
      recycle(this.engine, this.entry, () => {
        this.queue.lock?.release()
        done()
      })
    })
  }

  /**
   * {@link release} as an effect that cannot be interrupted: it waits for the server at most `settleLimit`. `undefined`
   * when nothing was to be waited for, which is usual.
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
}
