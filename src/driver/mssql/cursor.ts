/**
 * Rows as they are asked for. SQL Server sends them all; what is not wanted yet stays in the socket, so that the server
 * waits.
 *
 * @since 0.1.0
 */
import type { Request } from "tedious"
import type { DbError } from "../../DbError.js"
import type { Cursor, Done, Fetched } from "../Driver.js"
import { emptyRows, fetched, noMore } from "../row.js"
import type { RowBuilder } from "./wire.js"

/** A cursor that is closed lets the rest arrive for so long; then the statement is stopped. */
const drainMillis = 50

/**
 * @since 0.1.0
 * @category models
 */
export class RowCursor implements Cursor {
  readonly interleaves = false
  #opened: Done<Cursor> | undefined
  #request: Request | undefined
  #builder: RowBuilder | undefined
  #rows: Array<unknown> = emptyRows()
  #waiting: { readonly count: number; readonly done: Done<Fetched> } | undefined
  #state: "flowing" | "discarding" | "ended" = "flowing"
  #error: DbError | undefined
  #closed = false
  #drain: NodeJS.Timeout | undefined
  readonly #closers: Array<Done<void>> = []
  readonly #stop: (done: Done<void>) => void
  readonly #stopped: () => DbError

  /** `stop` ends the statement on the server; `stopped` is the error of one that was. */
  constructor(opened: Done<Cursor>, stop: (done: Done<void>) => void, stopped: () => DbError) {
    this.#opened = opened
    this.#stop = stop
    this.#stopped = stopped
  }

  /** The statement has columns: the cursor is open. */
  columns(request: Request, builder: RowBuilder): void {
    this.#request = request
    this.#builder = builder
    if (this.#state === "flowing" && this.#waiting === undefined) request.pause()
    const opened = this.#opened
    this.#opened = undefined
    // Not from within tedious's handling of a token.
    if (opened !== undefined) queueMicrotask(() => opened(undefined, this))
  }

  row(columns: ReadonlyArray<{ readonly value: unknown }>): void {
    if (this.#state !== "flowing" || this.#builder === undefined) return
    this.#rows.push(this.#builder.row(columns))
    if (this.#rows.length >= (this.#waiting?.count ?? 0)) {
      this.#request?.pause()
      queueMicrotask(() => this.#serve())
    }
  }

  /** The end of the statement, as the connection has understood it. */
  end(error: DbError | undefined): void {
    const discarded = this.#state === "discarding"
    clearTimeout(this.#drain)
    this.#state = "ended"
    this.#error = this.#closed ? undefined : error ?? (discarded ? this.#stopped() : undefined)
    const opened = this.#opened
    if (opened !== undefined) {
      this.#opened = undefined
      this.#error = undefined
      // The value is not read beside an error.
      if (error !== undefined) opened(error, undefined as never)
      else opened(undefined, this)
    }
    queueMicrotask(() => this.#serve())
    for (const closer of this.#closers.splice(0)) closer(undefined, undefined)
  }

  /** The rest is not wanted: it is read and thrown away, so that the end can arrive. */
  readonly discard = (): void => {
    if (this.#state !== "flowing") return
    this.#state = "discarding"
    this.#rows = emptyRows()
    this.#request?.resume()
  }

  readonly fetch = (count: number, done: Done<Fetched>): void => {
    this.#waiting = { count, done }
    if (this.#rows.length >= count || this.#state === "ended") this.#serve()
    else if (this.#state === "flowing") this.#request?.resume()
  }

  readonly close = (done: Done<void>): void => {
    this.#closed = true
    this.#rows = emptyRows()
    this.#error = undefined
    if (this.#state === "ended") return done(undefined, undefined)
    this.#closers.push(done)
    this.discard()
    this.#drain ??= setTimeout(() => this.#stop(() => {}), drainMillis)
  }

  #serve(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const ended = this.#state === "ended"
    if (!ended && this.#rows.length < waiting.count) return
    this.#waiting = undefined
    if (ended && this.#error !== undefined) {
      const error = this.#error
      this.#error = undefined
      this.#rows = emptyRows()
      return waiting.done(error, noMore)
    }
    const rows = this.#rows.length <= waiting.count ? this.#rows : this.#rows.slice(0, waiting.count)
    this.#rows = this.#rows.length <= waiting.count ? emptyRows() : this.#rows.slice(waiting.count)
    waiting.done(undefined, fetched(rows, ended && this.#rows.length === 0))
  }
}
