/**
 * Rows as they are asked for.
 */
import type { Request } from "tedious"
import { FlowingCursor } from "../library/FlowingCursor.js"
import type { RowBuilder } from "./wire.js"

export class RowCursor extends FlowingCursor {
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it leads to the library's connection, which has the password.
  #request: Request | undefined
  private builder: RowBuilder | undefined = undefined

  /** The statement has columns. */
  columns(request: Request, builder: RowBuilder): void {
    this.#request = request
    this.builder = builder
    this.begin()
  }

  row(columns: ReadonlyArray<{ readonly value: unknown }>): void {
    if (this.flows && this.builder !== undefined) this.push(this.builder.row(columns))
  }

  protected pause(): void {
    this.#request?.pause()
  }

  protected resume(): void {
    this.#request?.resume()
  }
}
