/**
 * A level of a session, and why its statements are refused when it is over.
 */
import type { DbError } from "../DbError.js"
import type { Session } from "./Session.js"

/**
 * A level of a session: its root, its transaction, or a savepoint in it. A statement belongs to the frame in which its
 * fiber runs, and runs only while that frame is the innermost one: a sibling waits until the nested transaction beside
 * it has ended, so what one undoes never contains what another did.
 */
export class Frame {
  child: Frame | undefined = undefined
  /** Why statements of this frame are refused: it has ended, or an error ended it. */
  closed: DbError | "ended" | undefined = undefined
  /** The first error of a statement in this frame: it explains why COMMIT is refused later. */
  firstError: DbError | undefined = undefined
  constructor(
    readonly session: Session,
    readonly parent: Frame | undefined,
    readonly kind: "session" | "transaction" | "savepoint",
    /** The savepoint's name. */
    readonly savepoint: string | undefined
  ) {}
}
