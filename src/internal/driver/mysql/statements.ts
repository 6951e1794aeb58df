/**
 * The prepared statements of one connection.
 */
import type { PrepareStatementInfo } from "mysql2"
import type { RawError } from "./codes.js"
import type { Raw } from "./link.js"
import { type Traits, traitsOf } from "./texts.js"

/** A statement the server has prepared. mysql2's type leaves out its parameters. */
export interface Prepared {
  readonly info: PrepareStatementInfo & { readonly parameters: ReadonlyArray<unknown> }
  readonly text: string
  readonly traits: Traits
  /** It stays for the next time; otherwise it is closed after its one use. */
  readonly kept: boolean
}

/**
 * Statements by their text, the one longest unused closed first. mysql2 keeps such a table too, but tells neither what
 * is in it nor how many parameters a statement has; its own is two larger, so that it never closes one by itself.
 */
export class Statements {
  private readonly byText = new Map<string, Prepared>()

  constructor(private readonly raw: Raw, private readonly size: number) {}

  get(text: string): Prepared | undefined {
    const found = this.byText.get(text)
    if (found !== undefined) {
      this.byText.delete(text)
      this.byText.set(text, found)
    }
    return found
  }

  prepare(
    text: string,
    mayKeep: boolean,
    done: (error: RawError | null, prepared: Prepared | undefined) => void
  ): void {
    this.raw.prepare(text, (error, info) => {
      if (error !== null) return done(error, undefined)
      const isKept = mayKeep && this.size > 0
      // The instance has `parameters`, one for each placeholder.
      const prepared = { info: info as Prepared["info"], text, traits: traitsOf(text), kept: isKept }
      if (isKept) {
        if (this.byText.size >= this.size) this.closeOldest()
        this.byText.set(text, prepared)
      }
      done(null, prepared)
    })
  }

  /** After a statement's one use. */
  release(prepared: Prepared): void {
    if (!prepared.kept) this.raw.unprepare(prepared.text)
  }

  /** Closes all; says whether there was one. */
  closeAll(): boolean {
    const hasAny = this.byText.size > 0
    while (this.byText.size > 0) this.closeOldest()
    return hasAny
  }

  /** The server has closed them. */
  forget(): void {
    this.byText.clear()
  }

  private closeOldest(): void {
    for (const text of this.byText.keys()) {
      this.byText.delete(text)
      this.raw.unprepare(text)
      return
    }
  }
}
