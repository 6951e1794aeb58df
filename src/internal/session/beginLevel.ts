/**
 * How a transaction begins in a session, or a savepoint in it.
 */
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import type { Deadline } from "../request/Deadline.js"
import type { SessionRequest } from "../request/Request.js"
import { control } from "./control.js"
import type { RequestQueue } from "./RequestQueue.js"
import type { TransactionLevel } from "./TransactionLevel.js"

export interface BeginLevelOptions {
  /** Send BEGIN at once instead of with the first statement. */
  readonly now?: boolean | undefined
  readonly begin?: Driver.BeginOptions | undefined
  /** It goes on when the database commits it by itself. */
  readonly followsCommits?: boolean | undefined
  readonly deadline?: Deadline | undefined
}

/** A database with a server is told what it is to refuse; where there is none, the session refuses it. */
const savepointText = (
  { options, parent, savepoint }: TransactionLevel,
  transaction: Driver.TransactionSql
): string => {
  const text = transaction.savepoint(savepoint!)
  return options.readOnly === true && parent!.options.readOnly !== true && transaction.readOnlyWithin !== undefined
    ? `${text}; ${transaction.readOnlyWithin}`
    : text
}

/**
 * Begins the session's transaction in this level (the root), or a savepoint. The new level is given to `done`. Gives the request
 * that begins it, where one has to be sent.
 */
export const beginLevel = <S>(
  queue: RequestQueue<S>,
  parent: TransactionLevel<S>,
  begin: string,
  done: (error: DbError | undefined, level: TransactionLevel<S> | undefined) => void,
  options: BeginLevelOptions = {}
): SessionRequest | undefined => {
  const { engine: { driver }, state } = queue
  const level = state.newLevel(parent, options.begin, options.followsCommits)
  const isOutermost = level.kind === "transaction"
  if (
    isOutermost && options.now !== true && driver.capabilities.pipelinedBegin && !queue.isRunning &&
    state.innermost === parent
  ) {
    const refused = state.refusal(parent)
    if (refused !== undefined) {
      done(refused, undefined)
      return undefined
    }
    // Nothing is sent yet: BEGIN is sent with the first statement, one round trip less.
    state.enter(level)
    state.pendingBegin = begin
    state.isBegun = false
    done(undefined, level)
    return undefined
  }
  const request = control(
    queue,
    parent,
    isOutermost ? begin : savepointText(level, driver.transaction),
    (error) => {
      if (error === undefined) {
        state.enter(level)
        if (isOutermost) {
          state.isBegun = true
        }
      }
      done(error, error === undefined ? level : undefined)
    },
    {
      deadline: options.deadline,
      several: options.begin?.readOnly === true && !isOutermost
    }
  )
  queue.submit(request)
  return request
}
