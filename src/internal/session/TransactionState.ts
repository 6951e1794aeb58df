/**
 * The state of a session's transaction: its levels, whether its BEGIN was sent, and why it cannot go on.
 */
import type { ConnectionError, DbError, Outcome, QueryError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { aborted, lostInside, outlived, readOnlyWrite } from "../error/engine.js"
import { excerpt } from "../error/message.js"
import type { EngineContext, SessionRequest } from "../request/Request.js"
import { classify } from "../sql/classify.js"
import { committed, transactionOf } from "./implicitCommit.js"
import { TransactionLevel } from "./TransactionLevel.js"

const noOptions: Driver.BeginOptions = {}

/** A level in which nothing may run any more, and why. */
interface Closing {
  readonly level: TransactionLevel
  readonly error: DbError
}

export class TransactionState<S = unknown> {
  /** The session's own level, outside of its transactions. */
  readonly root: TransactionLevel<S>
  /** Statements run in this level only; those of the levels around it wait for its end. */
  innermost: TransactionLevel<S>
  /** A BEGIN that the first statement of the transaction will carry. */
  pendingBegin: string | undefined = undefined
  /** The transaction was begun on the server, as far as is known here. */
  isBegun = false
  isReadOnly = false
  private savepoints = 0

  constructor(
    session: S,
    /** The session's number, for errors. */
    private readonly number: number,
    private readonly engine: EngineContext,
    private readonly connection: Driver.Connection
  ) {
    this.root = new TransactionLevel<S>(session, undefined, "session", undefined, noOptions)
    this.innermost = this.root
  }

  // ---------------------------------------------------------------------------
  // levels
  // ---------------------------------------------------------------------------

  /** A new level in this one: the session's transaction, or a savepoint in it. It is entered when it has begun. */
  newLevel(
    parent: TransactionLevel<S>,
    { deferrable, isolation, readOnly }: Driver.BeginOptions = noOptions,
    followsCommits?: boolean
  ): TransactionLevel<S> {
    // In a transaction that the database has committed there is nothing that a savepoint could be in.
    const isOutermost = parent === this.root || parent.committedBy !== undefined
    return isOutermost
      ? new TransactionLevel(
        parent.session,
        parent,
        "transaction",
        undefined,
        { deferrable, isolation, readOnly },
        followsCommits
      )
      : new TransactionLevel(
        parent.session,
        parent,
        "savepoint",
        `dblive_${++this.savepoints}`,
        { ...parent.options, readOnly: readOnly ?? parent.options.readOnly },
        followsCommits
      )
  }

  /** The level has begun. */
  enter(level: TransactionLevel<S>): void {
    const parent = level.parent!
    if (level.kind === "transaction") {
      this.isReadOnly = level.options.readOnly === true
    } else {
      // While its savepoint waited for its turn; the server takes one outside of a transaction, and forgets it.
      level.committedBy = parent.committedBy
    }
    parent.child = level
    this.innermost = level
  }

  /** The level has ended. */
  leave(level: TransactionLevel<S>): void {
    this.innermost = level.parent!
    level.parent!.child = undefined
    if (level.kind === "transaction") {
      this.pendingBegin = undefined
      this.isBegun = false
      this.isReadOnly = false
    }
  }

  /** The session has ended, and its transaction with it. */
  leaveAll(): void {
    this.innermost = this.root
    this.root.child = undefined
    this.pendingBegin = undefined
  }

  isOpen(level: TransactionLevel): boolean {
    for (let open: TransactionLevel | undefined = this.innermost; open !== undefined; open = open.parent) {
      if (open === level) {
        return true
      }
    }
    return false
  }

  /** The BEGIN that is still to be sent; from here on it counts as sent. */
  takeBegin(): string | undefined {
    const begin = this.pendingBegin
    if (begin !== undefined) {
      this.pendingBegin = undefined
      this.isBegun = true
    }
    return begin
  }

  // ---------------------------------------------------------------------------
  // why it cannot go on
  // ---------------------------------------------------------------------------

  /** Why nothing may run in a level. */
  refusal(level: TransactionLevel): DbError | undefined {
    for (let around: TransactionLevel | undefined = level; around !== undefined; around = around.parent) {
      if (around.closed !== undefined) {
        // Made only when it is asked for, which is rare: an error costs more than a whole session.
        return around.closed === "ended" ? outlived(this.engine.name, this.number, around) : around.closed
      }
    }
    return undefined
  }

  /** The limit that has ended a level, or one around it. */
  limitOf(level: TransactionLevel): DbError | undefined {
    for (let around: TransactionLevel | undefined = level; around !== undefined; around = around.parent) {
      if (around.closed !== undefined && around.closed !== "ended") {
        return around.closed
      }
    }
    return undefined
  }

  /** Why a statement cannot be sent now that its turn has come. */
  before(request: SessionRequest, hasOpenCursor: boolean): DbError | undefined {
    return this.endedBefore(request, hasOpenCursor) ?? this.writesInReadOnly(request)
  }

  /**
   * A transaction that the server has ended (an automatic rollback, a COMMIT typed by hand, an implicit commit) must
   * not go on as a row of autocommitted statements.
   */
  private endedBefore(request: SessionRequest, hasOpenCursor: boolean): DbError | undefined {
    if (
      this.innermost === this.root || !this.isBegun || request.kind === "control" ||
      this.connection.transaction !== "idle"
    ) {
      return undefined
    }
    if (this.connection.lost || (request.kind === "cursor" && hasOpenCursor)) {
      // The driver says best why. A cursor that has the connection to itself was sent when it was opened: what came of it is
      // read, so that the connection is free again.
      return undefined
    }
    return this.aborted("the transaction has ended on the server before this statement; it was not run", request.text)
  }

  /** A database without a server has no other place to refuse a write in a read-only transaction. */
  private writesInReadOnly({ kind, request }: SessionRequest): DbError | undefined {
    return this.innermost.options.readOnly === true && request !== undefined && kind !== "control" &&
        this.innermost !== this.root && this.engine.driver.capabilities.singleWriter &&
        this.connection.writes(request.text)
      ? readOnlyWrite(this.engine.name, request.text)
      : undefined
  }

  /** Notes how a request has ended. Gives the level that its end has closed, if there is one. */
  after(request: SessionRequest, error: DbError | undefined): Closing | undefined {
    if (error !== undefined && request.kind !== "control") {
      const { level } = request
      if (!request.isLetGo) {
        level.firstError ??= error.reason === "TransactionAborted" ? level.limitReached ?? error : error
      } else if (error._tag === "TimeoutError") {
        level.limitReached ??= error
      }
    }
    if (
      error !== undefined && request.begin !== undefined && this.connection.transaction === "idle" &&
      !this.connection.lost
    ) {
      // BEGIN itself was refused, so the statement behind it did not run, and no later one may.
      this.innermost.closed = this.aborted("its transaction could not be begun", undefined)
    }
    return this.endedBy(request, error)
  }

  private mayEnd({ kind }: SessionRequest): boolean {
    return kind !== "control" && kind !== "cursor" && this.innermost !== this.root && this.isBegun &&
      !this.connection.lost
  }

  /**
   * A statement typed by hand may have ended the transaction, and perhaps begun another one in its place: what is done from
   * here on would be applied without what was done before. Nothing more is run in it, and it cannot be committed.
   */
  private endedBy(request: SessionRequest, error: DbError | undefined): Closing | undefined {
    if (!this.mayEnd(request)) {
      return undefined
    }
    const { text } = request
    const transactionEnd = text === undefined ? undefined : classify(text, this.engine.driver.dialect).end
    const isIdle = this.connection.transaction === "idle"
    if (!isIdle && (transactionEnd === undefined || (error !== undefined && !transactionEnd.beside))) {
      return undefined
    }
    // There is one: the innermost level is not the session's own.
    let over = transactionOf(this.innermost)!
    // What a transaction that only reads commits is nothing.
    const commits = text === undefined || transactionEnd !== undefined || over.options.readOnly === true
      ? "none"
      : this.engine.driver.commitsImplicitly?.(text) ?? "none"
    if (commits !== "none") {
      // Of several statements one may as well have failed in a way that rolls back what the others did.
      const isCertain = commits === "all" || error === undefined
      const closing = committed(over, excerpt(text!))
      this.isBegun = false
      if (isCertain) {
        if (closing === undefined) {
          return undefined
        }
        over = closing
      }
    }
    // Without an error, it was ended either by this text itself, or by a statement that commits whatever is open.
    const isRolledBack = transactionEnd === undefined
      ? commits === "none" && error !== undefined && error.outcome !== "Unknown"
      : transactionEnd.how === "rollback"
    // Of a list, the error knows which one it was.
    const culprit = (error?._tag === "QueryError" ? error.statement : undefined) ?? text ?? ""
    return {
      level: over,
      error: this.aborted(
        `a statement in the transaction ended it (${excerpt(culprit)})${
          isRolledBack ? "" : ", so that what was done before it may be applied"
        }; nothing was run behind it`,
        undefined,
        isRolledBack ? "RolledBack" : "Unknown",
        "leave COMMIT and ROLLBACK to the code that began the transaction"
      )
    }
  }

  aborted(
    what: string,
    statement: string | undefined,
    outcome: Outcome = "RolledBack",
    advice?: string
  ): QueryError {
    return aborted(this.engine.name, what, { outcome, statement, advice, first: this.firstError })
  }

  /** The connection is gone, and the transaction with it. */
  get lost(): ConnectionError {
    const first = this.firstError
    return first?._tag === "ConnectionError" ? first : lostInside(this.engine.name)
  }

  private get firstError(): DbError | undefined {
    for (let level: TransactionLevel | undefined = this.innermost; level !== undefined; level = level.parent) {
      if (level.firstError !== undefined) {
        return level.firstError
      }
    }
    return undefined
  }
}
