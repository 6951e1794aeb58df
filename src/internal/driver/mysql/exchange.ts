/**
 * What is under way on a connection.
 */
import type { DbError } from "../../../DbError.js"
import * as Library from "../library/Exchange.js"
import type { Traits } from "./texts.js"

export class Exchange extends Library.Exchange<Traits> {
  /** What has been sent so far: settings and BEGIN, the text to be prepared, or the statement itself. */
  phase: "ahead" | "prepare" | "run" = "ahead"
  /** Why it failed, known before its end. */
  verdict: DbError | undefined = undefined
  /** Results that have come: of several statements those stay that ran before a failure. */
  results = 0
  /** Of several statements the one under way, where each is sent by itself. */
  part: { readonly text: string; readonly number: number; readonly of: number } | undefined = undefined
  /** Lets go of rows that will not be read, so that the end can arrive. */
  discard: (() => void) | undefined = undefined

  /** Statements that are applied, whatever becomes of the one under way. */
  get applied(): boolean {
    return this.traits.several && this.results > 0
  }

  /** Whether a part of what was sent may be applied, although it fails. */
  get mayBeApplied(): boolean {
    return this.applied || (this.phase === "run" && this.traits.runsProgram && !this.inTransaction)
  }

  /** The text of the statement under way. */
  get statement(): string | undefined {
    return this.part?.text ?? this.text
  }
}
