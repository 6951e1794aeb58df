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
  /** The server has said that it rolled the transaction back. */
  isRolledBack = false
}
