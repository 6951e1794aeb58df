/**
 * A running SELECT whose rows are read as they are asked for.
 */
import type { Fetched } from "../../../driver/Driver.js"
import { emptyRows, fetched, noMore, rowMaker } from "../row.js"
import { isReplaced } from "./encoding.js"
import { type CheckText, namesOf, narrow, type Shape, type Table } from "./rows.js"
import type { Prepared } from "./statements.js"

/** Receives an answer, or what went wrong. `E` is the typed error in the program's own process, a fault elsewhere. */
export interface Reply<E, A> {
  (error: E | undefined, value: A): void
}

/** What runs a cursor. */
export interface CursorOwner<E> {
  readonly checkText: CheckText
  /** The error of the statement of this text. */
  readonly toError: (cause: unknown, text: string) => E
  readonly ended: (cursor: SqliteCursor<E>) => void
}

/** Of rows that are there already: nothing of them is read, checked or ended. */
const noShape: Shape = { arrays: false, bigints: false }
const noOwner = {
  checkText: () => {},
  toError: (cause: unknown): never => {
    throw cause
  },
  ended: () => {}
}

/** After how many rows that are read ahead it is looked at the time. */
const looksAfter = 16

const asIs = (value: unknown): unknown => value

/** A loop: it runs for each row of a stream. */
const holdsReplaced = (values: ReadonlyArray<unknown>): boolean => {
  for (let i = 0; i < values.length; i++) {
    if (isReplaced(values[i])) {
      return true
    }
  }
  return false
}

/**
 * While it is open, SQLite's statement holds its place in the file's snapshot. Statements that only read may run beside
 * it. Before any other one, the connection lets the cursor read its rest ahead: SQLite leaves undefined whether a running
 * SELECT sees what is written beside it, and better-sqlite3 forbids it.
 */
export class SqliteCursor<E> {
  readonly interleaves = true
  /** Rows read ahead, from `at` on. */
  private ahead: Array<unknown> = []
  private at = 0
  /** Whether all text is known to be what is stored. */
  private isChecked = false
  private failure: E | undefined
  /** The names of the columns, once there is a row. */
  names: ReadonlyArray<string> | undefined = undefined
  private make: ((values: ReadonlyArray<unknown>) => unknown) | undefined = undefined

  private constructor(
    private readonly prepared: Prepared | undefined,
    private iterator: Iterator<unknown> | undefined,
    private readonly params: ReadonlyArray<unknown>,
    private readonly shape: Shape,
    private readonly owner: CursorOwner<E>
  ) {}

  /** Rows that are there already; in a process of its own, as the table that would travel. */
  static of<E>(rows: ReadonlyArray<unknown> | Table): SqliteCursor<E> {
    const cursor = new SqliteCursor<E>(undefined, undefined, [], noShape, noOwner)
    if ("columns" in rows) {
      cursor.names = rows.names
      for (let i = 0; i < rows.length; i++) {
        cursor.ahead.push(rows.columns.map((column) => column[i]))
      }
    } else {
      cursor.ahead = rows.slice()
    }
    return cursor
  }

  /** Starts the statement and reads its first row, so that a lock or a fault shows here. Throws what better-sqlite3 throws. */
  static start<E>(
    prepared: Prepared,
    params: ReadonlyArray<unknown>,
    shape: Shape,
    owner: CursorOwner<E>
  ): SqliteCursor<E> {
    const { statement } = prepared
    if (!prepared.arrays) {
      statement.raw(true)
      prepared.arrays = true
    }
    if (!prepared.bigints) {
      // A cursor cannot begin again when it meets an integer beyond 2^53, as a statement that is read at once can.
      statement.safeIntegers(true)
      prepared.bigints = true
    }
    const iterator = statement.iterate(params)
    prepared.busy = true
    const cursor = new SqliteCursor(prepared, iterator, params, shape, owner)
    try {
      const first = iterator.next()
      if (first.done === true) {
        cursor.end()
      } else {
        // Now, not before: the first step compiles the statement anew when the schema has changed.
        const names = namesOf(prepared)
        cursor.names = names
        cursor.make = shape.arrays ? undefined : rowMaker(names, shape.bigints ? asIs : narrow)
        // In raw mode every row is an array.
        cursor.ahead.push(cursor.row(first.value as Array<unknown>))
      }
    } catch (cause) {
      cursor.end()
      throw cause
    }
    return cursor
  }

  get ended(): boolean {
    return this.iterator === undefined
  }

  private row(values: Array<unknown>): unknown {
    if (!this.isChecked && holdsReplaced(values)) {
      // It looks at all rows, so that it is asked once.
      this.isChecked = true
      this.owner.checkText(this.prepared!, this.params)
    }
    if (this.make !== undefined) {
      return this.make(values)
    }
    if (!this.shape.bigints) {
      for (let i = 0; i < values.length; i++) {
        values[i] = narrow(values[i])
      }
    }
    return values
  }

  private end(): void {
    if (this.iterator !== undefined) {
      const iterator = this.iterator
      this.iterator = undefined
      iterator.return?.()
      this.prepared!.busy = false
      this.owner.ended(this)
    }
  }

  /** Reads up to `count` rows of the statement to the end of `rows`. */
  private read(rows: Array<unknown>, count: number): void {
    const iterator = this.iterator
    if (iterator === undefined) {
      return
    }
    try {
      for (let i = 0; i < count; i++) {
        const next = iterator.next()
        if (next.done === true) {
          return this.end()
        }
        // As above.
        rows.push(this.row(next.value as Array<unknown>))
      }
    } catch (cause) {
      this.failure = this.owner.toError(cause, this.prepared!.text)
      this.end()
    }
  }

  /** Reads rows before they are fetched: the rest, or up to `count` of them for about so many milliseconds. */
  readAhead(count = Number.POSITIVE_INFINITY, millis = Number.POSITIVE_INFINITY): void {
    const until = performance.now() + millis
    for (let left = count; left > 0 && this.iterator !== undefined && performance.now() < until; left -= looksAfter) {
      this.read(this.ahead, Math.min(left, looksAfter))
    }
  }

  fetch(count: number, done: Reply<E, Fetched>): void {
    let rows: Array<unknown>
    if (this.ahead.length === this.at) {
      rows = emptyRows()
    } else {
      rows = this.ahead.slice(this.at, this.at + count)
      this.at += rows.length
      if (this.at === this.ahead.length) {
        this.ahead = []
        this.at = 0
      }
    }
    this.read(rows, count - rows.length)
    const failure = this.failure
    if (failure !== undefined && this.ahead.length === 0) {
      if (rows.length === 0) {
        this.failure = undefined
        return done(failure, noMore)
      }
      // The rows before the fault first; the fault with the next fetch.
      return done(undefined, fetched(rows, false))
    }
    done(undefined, fetched(rows, this.iterator === undefined && this.ahead.length === 0))
  }

  close(done: Reply<E, void>): void {
    this.stop()
    done(undefined, undefined)
  }

  /** Frees the statement and drops what was read ahead. Answers with the failure that was not reported yet. */
  stop(): E | undefined {
    const { failure } = this
    this.ahead = []
    this.at = 0
    this.failure = undefined
    this.end()
    return failure
  }
}
