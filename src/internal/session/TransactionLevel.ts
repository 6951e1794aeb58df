/**
 * A level of a session, and why its statements are refused when it is over.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"

/**
 * A level of a session: its root, its transaction, or a savepoint in it. A statement belongs to the level in which its
 * fiber runs, and runs only while that level is the innermost one: a sibling waits until the nested transaction beside
 * it has ended, so what one undoes never contains what another did.
 */
export class TransactionLevel<S = unknown> {
  child: TransactionLevel<S> | undefined = undefined
  /** It is being committed or undone. */
  isEnding = false
  /** How its COMMIT has ended, where that was asked for. */
  commit: { readonly error: DbError | undefined } | undefined = undefined
  /** Why statements of this level are refused: it has ended, or an error ended it. */
  closed: DbError | "ended" | undefined = undefined
  /** The first error of a statement in this level: it explains why COMMIT is refused later. */
  firstError: DbError | undefined = undefined
  /** That of a statement which reached its limit and was let go: it is the first one, where stopping it later aborts the transaction. */
  limitReached: DbError | undefined = undefined
  /** The level as the connection in the context of its fibers. */
  connection: Connection | undefined = undefined
  /** As clients of `@effect/sql` count: 0 in a transaction, 1 in a savepoint of it; less where a transaction can still begin. */
  readonly depth: number
  /**
   * The statement before which the database committed what was done in it. From there on each statement is applied at once,
   * and there is nothing left to commit or to undo.
   */
  committedBy: string | undefined = undefined
  /** How far the server had written or replayed when this transaction was committed, where that was asked. */
  position: bigint | undefined = undefined

  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: one is made for each transaction
  constructor(
    readonly session: S,
    readonly parent: TransactionLevel<S> | undefined,
    readonly kind: "session" | "transaction" | "savepoint",
    /** The savepoint's name. */
    readonly savepoint: string | undefined,
    /** What holds in it. */
    readonly options: Driver.BeginOptions,
    /** It goes on when the database commits it by itself. */
    readonly followsCommits = false
  ) {
    this.depth = parent === undefined ? -1 : parent.depth + 1
  }
}

/** Why a transaction cannot be nested in one of these options as its own ask, and what to do about it. */
export const cannotNest = (
  around: Driver.BeginOptions,
  options: Driver.BeginOptions,
  { capabilities, transaction }: Driver.Driver
): string | undefined => {
  if (options.isolation !== undefined && options.isolation !== around.isolation) {
    return `a nested transaction has the isolation of the one around it (${
      around.isolation ?? "the database's default"
    }), ` +
      `so it cannot be ${options.isolation}: give the outermost transaction that isolation`
  }
  if (options.deferrable === true && around.deferrable !== true) {
    return "a nested transaction cannot be deferrable in one that is not: make the outermost transaction deferrable"
  }
  if (options.readOnly === false && around.readOnly === true) {
    return "a nested transaction cannot write in one that only reads: let the outermost transaction write"
  }
  if (
    options.readOnly === true && around.readOnly !== true && !capabilities.singleWriter &&
    transaction.readOnlyWithin === undefined
  ) {
    return "this database cannot make a part of a transaction read-only: make the outermost transaction read-only"
  }
  return undefined
}
