/**
 * An entry of the pool, its borrower and its waiter, and what the pool must know about connections.
 */
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { ConnectionError, DbError, Holder, TimeoutError } from "../../DbError.js"
import type { AnyFiber } from "../fiber/Caller.js"
import type { FifoNode } from "./FifoQueue.js"

/** What the pool must be told about its connections. */
export interface ConnectionFactory<C> {
  readonly open: Effect.Effect<C, ConnectionError | TimeoutError>
  /** Back-off between attempts to open, as long as a fiber waits. */
  readonly openSchedule: Schedule.Schedule<unknown, ConnectionError | TimeoutError>
  readonly isLost: (connection: C) => boolean
  /** Answers whether the connection is alive. May answer at once. */
  readonly validate: (connection: C, answer: (alive: boolean) => void) => void
  /** Closes: `graceful` sends the close message first. Calls `done` when the server can know of it. */
  readonly close: (connection: C, graceful: boolean, done: () => void) => void
  readonly onOpened: (entry: PoolEntry<C>, millis: number) => void
  readonly onOpenFailed: (error: ConnectionError | TimeoutError) => void
  /** Whether an entry that is held for long is meant to be. */
  readonly isKept: (entry: PoolEntry<C>) => boolean
  readonly onLeak: (entry: PoolEntry<C>, holder: Holder) => void
  readonly onLeakReturned: (entry: PoolEntry<C>, heldFor: number) => void
}

/** The session or request that uses an entry. */
export interface Borrower {
  readonly describe: (now: number) => Holder
  /** Where several share the entry: each of them, the one that runs first. */
  readonly describeAll?: (now: number) => ReadonlyArray<Holder>
  /** The limit that the entry's `deadline` stood for has run out. */
  readonly onDeadline: (now: number) => void
  /** The same of the entry's `queueDeadline`. Only a borrower that sets it needs this. */
  readonly onQueueDeadline?: (now: number) => void
  /** Whether it declares that it holds the entry as long as its program runs. */
  readonly isKept?: boolean
  /** Whether this fiber, and no other, can give it back. */
  readonly isHeldBy?: (fiber: AnyFiber) => boolean
  /**
   * The pool is closing and does not wait any longer. `stop`: stop what runs on the server, and release the connection
   * as soon as it has stopped. `drop`: at once, because even that took too long.
   */
  readonly onCut: (error: TimeoutError, how: "stop" | "drop") => void
}

/** One connection and its state in the pool. */
export class PoolEntry<C> {
  /** `busy`: validating, resetting or settling; not in use, and not available. */
  state: "idle" | "inUse" | "busy" | "gone" = "busy"
  borrower: Borrower | undefined = undefined
  /** What lets several use it at once, where that was ever wanted. */
  pipeline: Borrower | undefined = undefined
  /** Since when it is held; where several share it, by the one that runs. */
  acquiredAt = 0
  idleSince = 0
  pingedAt = 0
  /** When `borrower.onDeadline` (in use) or giving up (busy) is due. */
  deadline = Infinity
  /** When `borrower.onQueueDeadline` is due: a request's wait for its turn on the borrower's connection is over. */
  queueDeadline = Infinity
  leakReported = false
  constructor(
    readonly id: number,
    readonly connection: C,
    readonly openedAt: number,
    readonly expiresAt: number,
    public generation: number
  ) {}

  /** Tells its borrower which limits have run out. */
  expire(now: number, soon: (time: number) => void): void {
    if (this.deadline <= now) {
      this.deadline = Infinity
      this.borrower?.onDeadline(now)
    }
    soon(this.deadline)
    if (this.queueDeadline <= now) {
      this.queueDeadline = Infinity
      this.borrower?.onQueueDeadline?.(now)
    }
    soon(this.queueDeadline)
  }
}

/** What waits for a connection. */
export interface Waiter<C> extends FifoNode {
  waitingSince: number
  /** When waiting ends, in the clock's milliseconds. */
  readonly waitDeadline: number
  /** The limit that `waitDeadline` stands for, in milliseconds, for the error. */
  readonly waitLimit: number
  /** May use the reserved place beyond the pool's capacity: health checks, and the one writer of SQLite. */
  readonly reserved: boolean
  /** Does not outwait failing openings. */
  readonly failFast: boolean
  /** Whether the asking fiber holds this entry already, and cannot give it back while it waits. */
  readonly holds: (entry: PoolEntry<C>) => boolean
  /** Whether it can use an entry that is in use, beside those that use it. */
  readonly joins?: (entry: PoolEntry<C>) => boolean
  readonly onEntry: (entry: PoolEntry<C>) => void
  readonly onRefused: (error: DbError) => void
}
