/**
 * Rows as they are asked for.
 */
import type { FieldPacket, Query } from "mysql2"
import type { DbError } from "../../../DbError.js"
import type { Cursor, Done } from "../../../driver/Driver.js"
import { type CursorOwner, FlowingCursor } from "../library/FlowingCursor.js"
import type { RawError } from "./codes.js"
import type { Raw } from "./link.js"
import { isHeader } from "./results.js"
import type { RowDecoder } from "./values.js"

/** What a cursor needs of its connection. */
export interface Owner extends CursorOwner {
  readonly raw: Raw
  readonly decoder: (fields: ReadonlyArray<FieldPacket>) => RowDecoder
  readonly unreadable: (cause: unknown) => DbError
  /** The server has answered the whole statement, or failed it. */
  readonly answered: (error: RawError | undefined) => void
}

export class RowCursor extends FlowingCursor {
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it leads to the library's connection, which has the password.
  readonly #owner: Owner
  private decoder: RowDecoder | undefined = undefined
  private fault: DbError | undefined = undefined

  constructor(opened: Done<Cursor>, owner: Owner) {
    super(opened, owner)
    this.#owner = owner
  }

  /** Takes over a statement that has just been sent. */
  attach(query: Query): void {
    let hasFailed = false
    query.on("fields", (fields: unknown) => {
      if (!Array.isArray(fields)) return
      this.decoder = this.#owner.decoder(fields)
      this.begin()
    })
    query.on("result", (row: unknown) => {
      // A header is no row: what a procedure ends with, or the answer of a statement without rows.
      if (!this.flows || this.decoder === undefined || isHeader(row)) return
      let decoded: unknown
      try {
        // An array or an object, as mysql2 was told to give.
        decoded = this.decoder.row(row as Record<string, unknown>)
      } catch (cause) {
        // Not from within mysql2, which would give up the connection.
        this.fault = this.#owner.unreadable(cause)
        return this.discard()
      }
      this.push(decoded)
    })
    query.on("error", (error: RawError) => {
      hasFailed = true
      this.#owner.answered(error)
    })
    query.on("end", () => {
      if (!hasFailed) this.#owner.answered(undefined)
    })
  }

  override end(error: DbError | undefined): void {
    super.end(error ?? this.fault)
  }

  protected pause(): void {
    this.#owner.raw.pause()
  }

  protected resume(): void {
    setImmediate(() => this.#owner.raw.resume())
  }
}
