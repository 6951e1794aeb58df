/**
 * The statements a connection has prepared.
 */
import { randomInt } from "node:crypto"
import type { Shape } from "./shape.js"
import type { Text } from "./text.js"
import { writer } from "./writer.js"

/** A statement known to the server by name. The unnamed one has the name `""`. */
export interface Prepared {
  readonly name: string
  readonly sql: string
  readonly text: Text
  /** `undefined` until the server has described it. */
  shape: Shape | undefined
  /** The types of its parameters, as the server has told them. */
  types: ReadonlyArray<number> | undefined
  /** When it was last used, on the connection's own count. */
  used: number
  /** The transaction in which it was last bound, on the connection's own count. Its tables are locked until that ends. */
  boundIn: number
}

/** The server keeps a plan of each, many times as large as the text: so many characters are prepared, and no more. */
const mostCharacters = 512 * 1024

/**
 * Statements by their text; `pg` keeps such a list too, but has no limit and forgets the columns. The least recently
 * used one makes room for the next, and is closed on the server together with that.
 */
export class PreparedStatements {
  private readonly known = new Map<string, Prepared>()
  private characters = 0
  private tick = 0
  private names = 0
  /**
   * Names of one connection are no other's: behind a pooler in transaction mode both may meet in one session of the
   * server, and a statement must not be answered by another of the same name.
   */
  private readonly prefix = `s${randomInt(2 ** 47).toString(36)}_`
  private statementsToClose: Array<string> = []
  private portalsToClose: Array<string> = []

  /** @param limit how many are kept; 0: none is named */
  constructor(readonly limit: number) {}

  get(sql: string): Prepared | undefined {
    const prepared = this.known.get(sql)
    if (prepared !== undefined) prepared.used = this.tick++
    return prepared
  }

  /** One that is about to be prepared. It is kept when the server has done so: `remember`. */
  make(sql: string, text: Text, isNamed: boolean): Prepared {
    const name = isNamed && this.limit > 0 ? this.nextName() : ""
    return { name, sql, text, shape: undefined, types: undefined, used: this.tick++, boundIn: -1 }
  }

  /** A name that was not used before. What has to be closed is written ahead of what the name is for. */
  nextName(): string {
    for (const name of this.statementsToClose) writer.closeStatement(name)
    for (const name of this.portalsToClose) writer.closePortal(name)
    this.statementsToClose.length = 0
    this.portalsToClose.length = 0
    return `${this.prefix}${++this.names}`
  }

  remember(prepared: Prepared): void {
    // Another one that was on its way beside it has prepared the same.
    const other = this.known.get(prepared.sql)
    if (other !== undefined) this.forget(other)
    while (
      this.known.size > 0 &&
      (this.known.size >= this.limit || this.characters + prepared.sql.length > mostCharacters)
    ) {
      this.forget(this.leastRecentlyUsed())
    }
    this.known.set(prepared.sql, prepared)
    this.characters += prepared.sql.length
  }

  private leastRecentlyUsed(): Prepared {
    let oldest: Prepared | undefined
    for (const one of this.known.values()) {
      if (oldest === undefined || one.used < oldest.used) oldest = one
    }
    // Only asked for when there is one.
    return oldest!
  }

  forget(prepared: Prepared): void {
    // It may have been forgotten before, and its text been prepared anew.
    if (this.known.get(prepared.sql) !== prepared) return
    this.known.delete(prepared.sql)
    this.characters -= prepared.sql.length
    this.statementsToClose.push(prepared.name)
  }

  /** What they were made from may have changed. */
  outdateAll(): void {
    for (const { name } of this.known.values()) this.statementsToClose.push(name)
    this.forgetAll()
  }

  /** The server has them no more. */
  forgetAll(): void {
    this.known.clear()
    this.characters = 0
  }

  closePortalLater(name: string): void {
    this.portalsToClose.push(name)
  }

  /** Portals end with their transaction. */
  transactionEnded(): void {
    this.portalsToClose.length = 0
  }
}
