/**
 * What a peer is to the benchmark: operations in its own idiom, and a way to repeat them. One measuring code serves
 * synchronous peers, promises and fibers, so that all are measured in the same way. It loads no `effect`: which one a peer uses
 * is the peer's own.
 */
import type { BulkRow, Family } from "./Workload.js"

/** What a peer is opened with. */
export interface Target {
  readonly family: Family
  /** Id of the workload that it is opened for. */
  readonly workload: string
  /** The PostgreSQL database's URL. */
  readonly url: string
  /** The SQLite file. */
  readonly file: string
  readonly connections: number
}

/**
 * The operations of the workloads. `Op` is what the peer gives to its user: a promise, or an effect.
 * A peer leaves out what it cannot do, and says why in `leftOut`.
 */
export interface Operations<Op> {
  /** W1, W7, W8, S1: reads the item, answers `sumOf(row)`. */
  readonly select?: (id: number) => Op
  /** W2, W2.asked: pins a connection, asks it `SELECT 1` (or validates it as the peer does), reads the item on it. */
  readonly session?: (id: number) => Op
  /** W3: reads the account, adds the amount to it, writes the entry. Answers 1. */
  readonly transaction?: (id: number, amount: number) => Op
  /** W4: answers the number of rows. */
  readonly bulk?: (rows: ReadonlyArray<BulkRow>) => Op
  /** W5, S4: answers the sum of the ids. */
  readonly stream?: (count: number) => Op
  /** W6: acquires a connection, calls `lent`, waits for `hold` where there is one, releases it. Answers 1. */
  readonly checkout?: (lent: () => void, hold: (() => Op) | undefined) => Op
  /** W8: sends a text outside of any session. Answers 0. */
  readonly statement?: (text: string, params: ReadonlyArray<unknown>) => Op
  /** S2: answers 1. */
  readonly insert?: (id: number, amount: number) => Op
  /** S3: a transaction of `count` inserts. Answers `count`. */
  readonly batch?: (count: number, amount: number) => Op
  /** S3.list: the same as one list of statements, where the peer takes such. Answers `count`. */
  readonly list?: (count: number, amount: number) => Op
  /** S5: counts to `n` in SQL, which takes long. */
  readonly heavy?: (n: number) => Op
  /** S6: a transaction that inserts, waits 5 ms and goes on as long as `more()`. Answers 0. */
  readonly writing?: (more: () => boolean) => Op
}

/** How operations of one kind are run. */
export interface Kind<Op> {
  /**
   * `fibers` loops at the same time, as long as `more()`; `op` gets the number of the operation, `end` that number and
   * the answer. After `turn` operations of a loop the event loop gets a turn (0: never, but where the peer waits).
   */
  readonly repeat: (options: {
    readonly fibers: number
    readonly turn: number
    readonly more: () => boolean
    readonly op: (i: number) => Op
    readonly end: (i: number, answer: number) => void
  }) => Promise<void>
  readonly run: (op: () => Op) => Promise<number>
  /** An operation that waits for one turn of the event loop. */
  readonly turn: () => Op
  /** An operation that waits for a promise. */
  readonly wait: (until: Promise<void>) => Op
}

/** A peer that is open. */
export interface Peer<Op> {
  readonly kind: Kind<Op>
  readonly operations: Operations<Op>
  /** Why a workload is missing, by its id. */
  readonly leftOut: Readonly<Record<string, string>>
  readonly close: () => Promise<void>
}

/** What a module in `peers/` exports as `open`. */
export interface Open<Op> {
  (target: Target): Promise<Peer<Op>>
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Waits in promises. */
export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** An operation of a peer of promises; a synchronous one answers at once. */
export type Answer = number | Promise<number>

const promises: Kind<Answer> = {
  repeat: async ({ end, fibers, more, op, turn }) => {
    let next = 0
    const loop = async () => {
      let sinceTurn = 0
      while (more()) {
        const i = next++
        const answer = op(i)
        // a synchronous peer is not made to wait for a promise that it did not ask for
        end(i, typeof answer === "number" ? answer : await answer)
        if (turn > 0 && ++sinceTurn === turn) {
          sinceTurn = 0
          await nextTurn()
        }
      }
    }
    await Promise.all(Array.from({ length: fibers }, loop))
  },
  run: async (op) => op(),
  turn: () => nextTurn().then(() => 0),
  wait: (until) => until.then(() => 0)
}

/** A peer whose operations are promises, or plain values. */
export const promisePeer = (options: {
  readonly operations: Operations<Answer>
  readonly leftOut?: Readonly<Record<string, string>>
  readonly close: () => Promise<unknown>
}): Peer<Answer> => ({
  kind: promises,
  operations: options.operations,
  leftOut: options.leftOut ?? {},
  close: async () => {
    await options.close()
  }
})
