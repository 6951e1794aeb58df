/**
 * How a transaction or a savepoint ends. `commit` succeeds only when the database says that it is committed; otherwise
 * everything of the level is undone and the error says why. The level is left in every case.
 */
import type { DbError } from "../../DbError.js"
import { withFields } from "../error/classes.js"
import { commitUnknown, outlived, transactionTimeout } from "../error/engine.js"
import { type Deadline, settleLimit } from "../request/Deadline.js"
import { partly } from "./implicitCommit.js"
import type { RequestQueue } from "./RequestQueue.js"
import type { TransactionLevel } from "./TransactionLevel.js"

export interface EndLevelOptions {
  /** Told the transaction's id before COMMIT is sent, so that its outcome can be asked for when the answer is lost. */
  readonly onTransactionId?: ((id: string) => void) | undefined
  /** Until when COMMIT has to be answered. */
  readonly deadline?: Deadline | undefined
}

/** `isEndedBefore`: by another fiber, or with the level around it; nothing was done for it now. */
export type EndLevelDone = (error: DbError | undefined, isEndedBefore: boolean) => void

/** The one value of an answer of one row and one column, in mode `values`. */
const firstValue = (rows: unknown): string => String((rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0])

class LevelEnd<S> {
  private isCommit = false

  constructor(
    private readonly queue: RequestQueue<S>,
    private readonly level: TransactionLevel<S>,
    private readonly done: EndLevelDone,
    private readonly options: EndLevelOptions
  ) {}

  /** To be called when nothing runs. `limit` has ended the level already, and is why it cannot be committed. */
  run(how: "commit" | "rollback", limit: DbError | undefined): void {
    const { level, queue } = this
    level.isEnding = true
    this.isCommit = how === "commit"
    const { connection, state } = queue
    if (level.committedBy !== undefined && (level.kind === "savepoint" || connection.transaction === "idle")) {
      return this.leave(how === "commit" ? limit : undefined)
    }
    if (!state.isBegun && level.committedBy === undefined) {
      // BEGIN was never sent: there is nothing to end. It is sent with a savepoint at the latest.
      return this.leave(undefined)
    }
    if (how === "rollback") {
      return this.undo((error) => this.leave(error))
    }
    if (limit !== undefined) {
      return this.fail(limit)
    }
    if (connection.transaction === "failed" && this.isOver) {
      return this.fail(this.tooLong)
    }
    if (connection.transaction !== "open") {
      // A savepoint's failure is undone by going back to it; only the transaction as a whole is lost.
      return this.fail(
        connection.lost ? state.lost : state.aborted(
          connection.transaction === "failed"
            ? "the transaction cannot be committed, because a statement in it failed; it was rolled back"
            : "the transaction had ended on the server before it was to be committed",
          undefined
        )
      )
    }
    this.undoNested()
  }

  /** Goes back to before a nested level that has not ended: whatever becomes of that, it is not told that it was applied. */
  private undoNested(): void {
    const { level: { child }, options: { deadline }, queue } = this
    if (child?.savepoint === undefined || child.committedBy !== undefined) {
      return this.identify()
    }
    queue.runNow(
      this.level,
      queue.engine.driver.transaction.rollbackTo(child.savepoint),
      (error) => error === undefined ? this.identify() : this.fail(this.beforeCommit(error)),
      { deadline }
    )
  }

  /** Asks for the transaction's id where that is wanted, and commits. */
  private identify(): void {
    const { level, options: { deadline, onTransactionId }, queue } = this
    const { transactionId } = queue.engine.driver
    if (onTransactionId === undefined || transactionId === undefined || level.kind !== "transaction") {
      return this.commit()
    }
    queue.runNow(level, transactionId, (error, value) => {
      if (error !== undefined) {
        return this.fail(this.beforeCommit(error))
      }
      onTransactionId(firstValue(value))
      this.commit()
    }, { deadline })
  }

  private commit(): void {
    const { level, options: { deadline }, queue } = this
    const { transaction } = queue.engine.driver
    const text = level.savepoint === undefined ? transaction.commit : transaction.release?.(level.savepoint)
    if (text === undefined) {
      return this.leave(undefined)
    }
    const onPosition = queue.engine.isReplicated && level.kind === "transaction"
      ? (position: bigint | undefined) => {
        level.position = position
      }
      : undefined
    queue.runNow(
      level,
      text,
      (error) => error === undefined ? this.leave(undefined) : this.fail(this.commitError(error)),
      { deadline, onPosition }
    )
  }

  /** That of what comes before COMMIT, which was not sent. */
  private beforeCommit(error: DbError): DbError {
    return error._tag === "TimeoutError" && this.isOver
      ? this.tooLong
      : error.outcome === "Unknown"
      ? withFields(error, { outcome: "RolledBack" })
      : error
  }

  private commitError(error: DbError): DbError {
    if (error.outcome === "Unknown") {
      return this.level.kind === "transaction" ? commitUnknown(error) : error
    }
    // Not sent for the transaction's limit, or stopped by it, and the server says that it was.
    return error._tag === "TimeoutError" && error.phase === "Statement" && this.isOver ? this.tooLong : error
  }

  private get isOver(): boolean {
    const { deadline } = this.options
    return deadline !== undefined && this.queue.engine.clock.unsafeCurrentTimeMillis() >= deadline.at
  }

  /** The limit that has run out; only where there is one. */
  private get tooLong(): DbError {
    return transactionTimeout(this.queue.engine.name, this.options.deadline!.limit)
  }

  private fail(error: DbError): void {
    this.undo(() => this.leave(error))
  }

  /** Goes back to where the level began; a connection on which that fails is dropped, and the server undoes it. */
  private undo(done: (error: DbError | undefined) => void): void {
    const { level, queue } = this
    const { connection } = queue
    if (connection.lost || connection.transaction === "idle") {
      return done(undefined)
    }
    const { transaction } = queue.engine.driver
    const text = level.savepoint === undefined ? transaction.rollback : transaction.rollbackTo(level.savepoint)
    queue.runNow(level, text, (error) => {
      if (error !== undefined) {
        connection.destroy()
        return done(error)
      }
      const release = level.savepoint === undefined ? undefined : transaction.release?.(level.savepoint)
      if (release === undefined) {
        return done(undefined)
      }
      // Going back keeps the savepoint and its locks; releasing it frees them.
      queue.runNow(level, release, (error) => done(error), { limit: settleLimit })
    }, { limit: settleLimit })
  }

  private leave(why: DbError | undefined): void {
    const { level, queue } = this
    const error = why === undefined || level.committedBy === undefined ? why : partly(why, level.committedBy)
    queue.endBy = undefined
    if (this.isCommit) {
      level.commit = { error }
    }
    queue.state.leave(level)
    queue.yieldLock()
    this.done(error, false)
    queue.pump()
  }
}

/** Ends a level: stops what runs in it, and commits or undoes it. To be called with what is given: its fiber was interrupted. */
export const endLevel = <S>(
  queue: RequestQueue<S>,
  level: TransactionLevel<S>,
  how: "commit" | "rollback",
  done: EndLevelDone,
  options: EndLevelOptions
): () => void => {
  const { state } = queue
  /** The level around it ended first and took it along, or another fiber has ended it. */
  const hasEnded = () => {
    const { commit } = level
    const error = commit === undefined
      ? state.refusal(level) ?? outlived(queue.engine.name, queue.number, level)
      : commit.error
    done(how === "commit" ? error : undefined, true)
  }
  if (!state.isOpen(level)) {
    hasEnded()
    return () => {}
  }
  const limit = state.limitOf(level)
  // What forked fibers of this level still have under way is over now.
  queue.closeLevel(level, "ended")
  if (!queue.isEnding) {
    queue.endBy = undefined
  }
  const end = new LevelEnd(queue, level, done, options)
  const until = how === "commit" ? options.deadline?.at ?? Infinity : Infinity
  let isBegun = false
  queue.whenIdle(level, how === "rollback", until, () => {
    isBegun = true
    if (state.isOpen(level)) {
      end.run(how, limit)
    } else {
      hasEnded()
    }
  })
  return () => {
    // The end of a level that another fiber ends has its own time.
    if (isBegun || !queue.isEnding) {
      queue.hurry()
    }
  }
}
