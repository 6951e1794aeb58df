/**
 * What is known of the session that the server keeps for a connection: its transaction, its limits, the statements that it
 * has prepared, and what has to be cleaned before its next borrower.
 */
import { randomInt } from "node:crypto"
import type { DbError } from "../../../DbError.js"
import type { Request, TransactionStatus } from "../../../driver/Driver.js"
import { head, wordSet } from "../../sql/classify.js"
import type { Failures, OwnLimits } from "./failures.js"
import type { Carried } from "./pooling.js"
import type { Shape } from "./shape.js"
import type { Text, Texts } from "./text.js"
import type { Types } from "./types.js"
import { writer } from "./writer.js"

/** Statements that may set the encoding back. */
const setting = wordSet("set reset discard")

/** The encoding that was set in place of ours, unless the statement may be what sets it back. */
export const foreignEncoding = (encoding = "UTF8", statement: string, text: Text): string | undefined =>
  encoding === "UTF8" || text.controls || setting.has(head(statement, "pg", 1)[0] ?? "") ? undefined : encoding

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
    // Setting a length is a call into V8.
    if (this.portalsToClose.length > 0) this.portalsToClose.length = 0
  }
}

/** What a session has from its driver. */
export interface Settings {
  readonly texts: Texts
  readonly prepareLimit: number
  /** A pooler in transaction mode lies in between: each transaction may have another process of the server. */
  readonly isPooled: boolean
  readonly failures: Failures
  readonly types: Types
}

export class SessionState {
  readonly texts: Texts
  readonly prepared: PreparedStatements
  readonly failures: Failures
  readonly types: Types
  readonly isPooled: boolean

  /** What has to go with each transaction; `undefined` where the connection was opened with all of it. */
  carried: Carried | undefined

  transaction: TransactionStatus = "idle"
  /** Counts transactions, those of single statements included. */
  transactionNumber = 0

  dirty = false
  holds = false
  /** A statement has closed prepared statements, or may have. */
  forgets = false

  /** Limits of the running transaction that differ from the session's, in milliseconds; NaN: not known any more. */
  localStatementTimeout: number | undefined
  localLockTimeout: number | undefined
  hasLocalLimits = false
  /** Limits of the session itself, while a statement that may run in no transaction has its own. */
  sessionLimits: OwnLimits | undefined
  /** A statement of the program's may have set limits of its own. */
  foreignLimits = false

  /** The open transaction has changed the schema: its end, or the way back to a savepoint, may change it again. */
  private hasReshaped = false

  constructor(settings: Settings) {
    this.texts = settings.texts
    this.prepared = new PreparedStatements(settings.prepareLimit)
    this.failures = settings.failures
    this.types = settings.types
    this.isPooled = settings.isPooled
  }

  get outcomeWhenIdle(): "NotSent" | "RolledBack" {
    return this.transaction === "idle" ? "NotSent" : "RolledBack"
  }

  /** The limits that hold where a statement has none of its own. */
  get limits(): OwnLimits {
    return this.sessionLimits ?? { statementTimeout: this.localStatementTimeout, lockTimeout: this.localLockTimeout }
  }

  /** The transaction has the limits of this request from now on. */
  hasLimitsOf({ lockTimeout, statementTimeout }: OwnLimits): void {
    this.localStatementTimeout = statementTimeout
    this.localLockTimeout = lockTimeout
    this.hasLocalLimits = true
  }

  /** A statement is being sent. */
  statementSent(text: Text): void {
    if (text.dirty && !this.isPooled) {
      this.dirty = true
      if (text.holding !== undefined) this.holds = text.holding === "takes"
    }
    if (text.forgets && !this.isPooled) this.forgets = true
    if (text.limits) this.foreignLimits = true
  }

  /** The server has answered a statement, and is ready for the next. */
  statementEnded(text: Text): void {
    if (text.forgets) this.prepared.forgetAll()
    if (text.reshapes || (this.hasReshaped && (text.rollsBack || this.transaction === "idle"))) {
      this.prepared.outdateAll()
      this.hasReshaped = this.transaction !== "idle"
    }
    if (this.transaction === "idle") {
      this.transactionNumber++
      this.localStatementTimeout = undefined
      this.localLockTimeout = undefined
      this.hasLocalLimits = false
      // What was set for the transaction alone has ended with it.
      if (!this.dirty) this.foreignLimits = false
      this.prepared.transactionEnded()
    } else if (text.rollsBack && this.hasLocalLimits) {
      // Back to what they were at the savepoint, which is not remembered.
      this.localStatementTimeout = NaN
      this.localLockTimeout = NaN
    }
  }

  /** The session is as if newly opened. */
  wasReset(): void {
    if (this.forgets) this.prepared.forgetAll()
    this.dirty = false
    this.holds = false
    this.forgets = false
    this.foreignLimits = false
  }

  /** What has to go ahead of a statement that is in no transaction, so that it runs with it in an implicit one. */
  carriedAhead(request: Request, text: Text): string | undefined {
    const single = this.carried?.single
    return single === undefined || this.transaction !== "idle" || request.begin !== undefined || text.controls ||
        text.alone
      ? undefined
      : single
  }

  /** Why a statement cannot be what it seems behind a pooler. */
  pooledRefusal(request: Request, text: Text): DbError | undefined {
    if (this.isPooled && text.lasting !== undefined) return this.failures.lasting(text.lasting, request.text)
    const wishes = this.carried?.wishes
    if (wishes === undefined || this.transaction !== "idle" || request.begin !== undefined) return undefined
    if (text.alone) return this.failures.notCarried(wishes, "a statement that runs in no transaction", request.text)
    return text.several && text.ends
      ? this.failures.notCarried(wishes, "a text that ends its transaction by itself", request.text)
      : undefined
  }

  /** Whether a request can be sent behind others: it is prepared, and needs neither a BEGIN, nor limits of a transaction, nor what each carries. */
  canPipeline(request: Request): boolean {
    if (
      this.isPooled || this.carried !== undefined || this.transaction === "failed" || this.hasLocalLimits ||
      !request.prepare || request.begin !== undefined
    ) {
      return false
    }
    const prepared = this.prepared.get(request.text)
    return prepared !== undefined && prepared.types !== undefined && prepared.shape?.isReadable(this.types) === true &&
      prepared.text.sharing !== undefined
  }
}
