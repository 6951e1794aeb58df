/**
 * Rows as they are asked for. MySQL sends them all; what is not wanted yet stays in the socket, so that the server
 * waits.
 *
 * @since 0.1.0
 */
import type { FieldPacket, Query } from "mysql2"
import type { DbError } from "../../DbError.js"
import type { Cursor, Done, Fetched } from "../Driver.js"
import { emptyRows, fetched, noMore } from "../row.js"
import type { RawError } from "./codes.js"
import type { Raw } from "./link.js"
import { isHeader } from "./results.js"
import type { RowDecoder } from "./values.js"

/** A cursor that is closed lets the rest arrive for so long; then the statement is stopped. */
const drainMillis = 50

interface Waiting {
  readonly count: number
  readonly done: Done<Fetched>
}

/**
 * What a cursor needs of its connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface CursorOwner {
  readonly raw: Raw
  readonly decoder: (fields: ReadonlyArray<FieldPacket>) => RowDecoder
  /** The server has answered the whole statement, or failed it. */
  readonly answered: (error: RawError | undefined) => void
  /** Stops the statement on the server. */
  readonly stop: (done: Done<void>) => void
  readonly stopped: () => DbError
}

/**
 * @since 0.1.0
 * @category models
 */
export class RowCursor implements Cursor {
  readonly interleaves = false
  #owner: CursorOwner
  #opened: Done<Cursor> | undefined
  #decoder: RowDecoder | undefined
  #rows: Array<unknown> = emptyRows()
  #waiting: Waiting | undefined
  #state: "flowing" | "discarding" | "ended" = "flowing"
  #error: DbError | undefined
  #serving = false
  #closed = false
  #drain: NodeJS.Timeout | undefined
  readonly #closers: Array<Done<void>> = []

  constructor(owner: CursorOwner, opened: Done<Cursor>) {
    this.#owner = owner
    this.#opened = opened
  }

  /** Takes over a statement that has just been sent. */
  attach(query: Query): void {
    let failed = false
    query.on("fields", (fields: unknown) => {
      if (Array.isArray(fields)) {
        this.#decoder = this.#owner.decoder(fields)
        // Nothing is read until it is asked for.
        if (this.#state === "flowing" && this.#waiting === undefined) this.#owner.raw.pause()
        this.#open()
      }
    })
    query.on("result", (row: unknown) => {
      // A header is no row: what a procedure ends with, or the answer of a statement without rows.
      if (this.#state !== "flowing" || this.#decoder === undefined || isHeader(row)) return
      // An array or an object, as mysql2 was told to give.
      this.#rows.push(this.#decoder.row(row as Record<string, unknown>))
      if (this.#rows.length >= (this.#waiting?.count ?? 0)) {
        this.#owner.raw.pause()
        this.#serveSoon()
      }
    })
    query.on("error", (error: RawError) => {
      failed = true
      this.#owner.answered(error)
    })
    query.on("end", () => {
      if (!failed) this.#owner.answered(undefined)
    })
  }

  /** The end of the statement, as the connection has understood it. */
  end(error: DbError | undefined): void {
    const discarded = this.#state === "discarding"
    clearTimeout(this.#drain)
    this.#state = "ended"
    this.#error = this.#closed ? undefined : error ?? (discarded ? this.#owner.stopped() : undefined)
    const opened = this.#opened
    if (opened !== undefined) {
      this.#opened = undefined
      // The value is not read beside an error.
      if (error !== undefined) opened(error, undefined as never)
      else opened(undefined, this)
    }
    this.#serveSoon()
    for (const closer of this.#closers.splice(0)) closer(undefined, undefined)
  }

  /** The rest is not wanted: it is read and thrown away, so that the end can arrive. */
  readonly discard = (): void => {
    if (this.#state !== "flowing") return
    this.#state = "discarding"
    this.#rows = emptyRows()
    this.#resume()
  }

  readonly fetch = (count: number, done: Done<Fetched>): void => {
    this.#waiting = { count, done }
    if (this.#rows.length >= count || this.#state === "ended") this.#serve()
    else if (this.#state === "flowing") this.#resume()
  }

  readonly close = (done: Done<void>): void => {
    this.#closed = true
    this.#rows = emptyRows()
    this.#error = undefined
    if (this.#state === "ended") return done(undefined, undefined)
    this.#closers.push(done)
    this.discard()
    this.#drain ??= setTimeout(() => this.#owner.stop(() => {}), drainMillis)
  }

  #open(): void {
    // Later: an error that came in the same breath is the answer then.
    queueMicrotask(() => {
      const opened = this.#opened
      this.#opened = undefined
      opened?.(undefined, this)
    })
  }

  /** Not from within mysql2's handling of a packet: resuming there would handle the next one inside of it. */
  #serveSoon(): void {
    if (this.#serving) return
    this.#serving = true
    queueMicrotask(() => {
      this.#serving = false
      this.#serve()
    })
  }

  #resume(): void {
    setImmediate(() => this.#owner.raw.resume())
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
