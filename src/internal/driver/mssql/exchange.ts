/**
 * What is under way on a connection.
 */
import * as Library from "../library/Exchange.js"
import type { Traits } from "./texts.js"

export class Exchange extends Library.Exchange<Traits> {
  /** Whether the statement itself has been sent, or only what goes ahead of it. */
  sent = false
  /** Statements that have counted rows: of several those stay that ran, whatever became of the others. */
  counted = 0
  /** How many rows the last of them counted. */
  lastCount = 0
  /** How many rows the last of them counted that gave none. */
  writtenCount = 0
  /** Columns have been described since a statement last counted. */
  hasColumns = false
  /** The server has said that it rolled the transaction back. */
  isRolledBack = false

  /** A statement has counted rows: those that it wrote, or those that it gave. */
  count(rowCount: number): void {
    this.counted++
    this.lastCount = rowCount
    if (!this.hasColumns) this.writtenCount = rowCount
    this.hasColumns = false
  }
}
