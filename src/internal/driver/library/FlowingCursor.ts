/**
 * Rows as they are asked for, from a server that sends them all: what is not wanted yet stays in the socket, so that the
 * server waits.
 */
import type { DbError } from "../../../DbError.js"
import type { Cursor, Done, Fetched } from "../../../driver/Driver.js"
import { emptyRows, fetched, noMore } from "../row.js"

/** A cursor that is closed lets the rest arrive for so long; then the statement is stopped. */
const drainMillis = 50

/** What a cursor needs of its connection. */
export interface CursorOwner {
  /** Stops the statement on the server. */
  readonly stop: (done: Done<void>) => void
  /** The error of a statement that was stopped. */
  readonly stopped: () => DbError
}

/**
 * What cursors over such servers have in common. A driver says how its socket is paused and resumed, and tells when the
 * columns are known (`begin`), of each row (`push`), and of the end of the statement (`end`).
 */
export abstract class FlowingCursor implements Cursor {
  readonly interleaves = false
  private opened: Done<Cursor> | undefined = undefined
  private rows: Array<unknown> = emptyRows()
  private waiting: { readonly count: number; readonly done: Done<Fetched> } | undefined = undefined
  private state: "flowing" | "discarding" | "ended" = "flowing"
  private error: DbError | undefined = undefined
  private isServing = false
  private isClosed = false
  private drain: NodeJS.Timeout | undefined = undefined
  private readonly closers: Array<Done<void>> = []
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it leads to the library's connection, which has the password.
  readonly #owner: CursorOwner

  constructor(opened: Done<Cursor>, owner: CursorOwner) {
    this.opened = opened
    this.#owner = owner
  }

  protected abstract pause(): void
  protected abstract resume(): void

  /** Rows are wanted, now or later. */
  protected get flows(): boolean {
    return this.state === "flowing"
  }

  /** The statement has columns: the cursor is open. Nothing is read until it is asked for. */
  protected begin(): void {
    if (this.state === "flowing" && this.waiting === undefined) this.pause()
    // Later: not from within the library's handling of what arrived; and an error in the same breath is the answer then.
    queueMicrotask(() => {
      const opened = this.opened
      this.opened = undefined
      opened?.(undefined, this)
    })
  }

  protected push(row: unknown): void {
    this.rows.push(row)
    if (this.rows.length >= (this.waiting?.count ?? 0)) {
      this.pause()
      this.serveSoon()
    }
  }

  /** The end of the statement, as the connection has understood it. */
  end(error: DbError | undefined): void {
    const isDiscarded = this.state === "discarding"
    clearTimeout(this.drain)
    this.state = "ended"
    this.error = this.isClosed ? undefined : error ?? (isDiscarded ? this.#owner.stopped() : undefined)
    const opened = this.opened
    if (opened !== undefined) {
      this.opened = undefined
      // The value is not read beside an error.
      if (error !== undefined) opened(error, undefined as never)
      else opened(undefined, this)
    }
    this.serveSoon()
    for (const closer of this.closers.splice(0)) closer(undefined, undefined)
  }

  /** The rest is not wanted: it is read and thrown away, so that the end can arrive. */
  readonly discard = (): void => {
    if (this.state !== "flowing") return
    this.state = "discarding"
    this.rows = emptyRows()
    this.resume()
  }

  readonly fetch = (count: number, done: Done<Fetched>): void => {
    this.waiting = { count, done }
    if (this.rows.length >= count || this.state === "ended") this.serve()
    else if (this.state === "flowing") this.resume()
  }

  readonly close = (done: Done<void>): void => {
    this.isClosed = true
    this.rows = emptyRows()
    this.error = undefined
    if (this.state === "ended") return done(undefined, undefined)
    this.closers.push(done)
    this.discard()
    this.drain ??= setTimeout(() => this.#owner.stop(() => {}), drainMillis)
  }

  /** Not from within the library's handling of a packet: resuming there would handle the next one inside of it. */
  private serveSoon(): void {
    if (this.isServing) return
    this.isServing = true
    queueMicrotask(() => {
      this.isServing = false
      this.serve()
    })
  }

  private serve(): void {
    const waiting = this.waiting
    if (waiting === undefined) return
    const hasEnded = this.state === "ended"
    if (!hasEnded && this.rows.length < waiting.count) return
    this.waiting = undefined
    if (hasEnded && this.error !== undefined) {
      const error = this.error
      this.error = undefined
      this.rows = emptyRows()
      return waiting.done(error, noMore)
    }
    const rows = this.rows.length <= waiting.count ? this.rows : this.rows.slice(0, waiting.count)
    this.rows = this.rows.length <= waiting.count ? emptyRows() : this.rows.slice(waiting.count)
    waiting.done(undefined, fetched(rows, hasEnded && this.rows.length === 0))
  }
}
