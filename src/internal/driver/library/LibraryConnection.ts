/**
 * A connection whose protocol is spoken by a library: one request at a time, from its first command to its end, with its
 * limit, its cancel and its rows as a stream. A driver says how each step is asked of its library.
 */
import type { Socket } from "node:net"
import type { ConnectionError, ConnectionReason, DbError, Outcome } from "../../../DbError.js"
import type { Connection, Cursor, Done, Request, ResetPolicy, TransactionStatus } from "../../../driver/Driver.js"
import { failure } from "../failure.js"
import type { Exchange } from "./Exchange.js"
import type { FlowingCursor } from "./FlowingCursor.js"

/** The longest that closing in order may take. */
const closeMillis = 1000

/** What a connection has from its driver. */
export interface Parts<J extends Exchange> {
  readonly database: string
  /** The server, for messages. */
  readonly where: string
  readonly socket: Socket
  readonly Exchange: new(text: string | undefined, traits: J["traits"], inTransaction: boolean, end: Done<unknown>) => J
  readonly traitsOf: (text: string) => J["traits"]
  /** Of what the driver sends on its own account: nothing of it writes, nothing of it stays. */
  readonly ownTraits: J["traits"]
  /** Of a reset that keeps nothing. */
  readonly rollbackTraits: J["traits"]
  /** The error of a link that broke, by the driver's table. */
  readonly classifyLink: (error: Error, at: LinkPlace) => ConnectionError
}

/** Where a link broke, and what is known of what was under way. */
interface LinkPlace {
  readonly database: string
  readonly where: string
  readonly outcome: Outcome
  /** The reason where the table has none. */
  readonly otherwise: ConnectionReason
}

/** `P`: the parameters of a request as its library takes them. `C`: the cursor over its answers. */
export abstract class LibraryConnection<J extends Exchange, P, C extends FlowingCursor> implements Connection {
  id = 0
  serverVersion = ""
  dirty = false
  holds = false
  lost = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined

  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: what the library holds of the socket has the password.
  readonly #parts: Parts<J>
  protected exchange: J | undefined = undefined
  /** A statement of the program's may have set limits of its own. */
  protected hasForeignLimits = false
  private isLeaving = false
  /** Why the link is lost, where that was not asked for. */
  private lostBy: Error | undefined = undefined

  constructor(parts: Parts<J>) {
    this.#parts = parts
  }

  abstract get transaction(): TransactionStatus

  /** Sets the connection to what the configuration asks for, and ends the exchange. */
  protected abstract configure(exchange: J, isNew: boolean): void
  /** Checks a request, sends what goes ahead of its statement, and calls `next` when the statement itself may be sent. */
  protected abstract admit(exchange: J, request: Request, next: (params: P) => void): void
  /** Sends a statement, and ends the exchange with its answer. */
  protected abstract run(exchange: J, request: Request, params: P): void
  protected abstract makeCursor(exchange: J, request: Request, opened: Done<Cursor>): C
  /** Sends a statement whose rows go to a cursor, and ends the exchange when all of them have come. */
  protected abstract stream(exchange: J, request: Request, params: P, cursor: C): void
  /** Asks the cheapest question, and ends the exchange with its answer. */
  protected abstract askAlive(exchange: J): void
  /** Ends the open transaction; a reset of the session may follow. */
  protected abstract endTransaction(exchange: J, commits: boolean, next: () => void): void
  /** Has the server make the session as if newly opened, and forgets what was known of it. */
  protected abstract resetSession(exchange: J, next: () => void): void
  abstract cancel(done: Done<void>): void
  /** Has the library close the link in order. */
  protected abstract leave(): void

  /** The error of a request that was stopped. */
  protected abstract stopped(exchange: J): DbError
  /** What is known of a request whose link broke; `COMMIT`: of one that was under way. */
  protected abstract lostOutcome(exchange: J): Outcome | "COMMIT"

  writes(): boolean {
    return true
  }

  /** Sets the connection up. To be called once, before anything else. */
  setUp(done: Done<void>): void {
    const exchange = this.startOwn(done)
    if (exchange !== undefined) this.configure(exchange, true)
  }

  execute(request: Request, done: Done<unknown>): void {
    const exchange = this.startRequest(request, done)
    if (exchange !== undefined) this.admit(exchange, request, (params) => this.run(exchange, request, params))
  }

  openCursor(request: Request, done: Done<Cursor>): void {
    let cursor: C | undefined
    const exchange = this.startRequest(request, (error) => {
      if (cursor !== undefined) cursor.end(error)
      // The value is not read beside an error, and without a cursor there is one.
      else done(error, undefined as never)
    })
    if (exchange === undefined) return
    this.admit(exchange, request, (params) => {
      cursor = this.makeCursor(exchange, request, done)
      this.stream(exchange, request, params, cursor)
    })
  }

  ping(done: Done<void>): void {
    const exchange = this.startOwn(done)
    if (exchange !== undefined) this.askAlive(exchange)
  }

  reset(policy: ResetPolicy, done: Done<void>): void {
    const isOpen = this.transaction === "open"
    const resets = policy === "discard" || this.dirty
    if (!resets && !isOpen && !this.lost) return done(undefined, undefined)
    const commits = policy === "commit" && isOpen
    const { rollbackTraits, traitsOf } = this.#parts
    const exchange = this.startOwn(done, commits ? traitsOf("COMMIT") : rollbackTraits)
    if (exchange === undefined) return
    const clean = (): void => {
      if (!resets) return this.finish(exchange, undefined)
      if (!this.sendable(exchange)) return
      this.resetSession(exchange, () => {
        this.dirty = false
        this.holds = false
        this.hasForeignLimits = false
        this.configure(exchange, false)
      })
    }
    if (isOpen) this.endTransaction(exchange, commits, clean)
    else clean()
  }

  close(done: Done<void>): void {
    const { socket } = this.#parts
    // A statement that runs cannot be left in order.
    if (this.exchange !== undefined) this.destroy()
    if (this.lost) return done(undefined, undefined)
    this.isLeaving = true
    this.lost = true
    if (socket.destroyed) return done(undefined, undefined)
    const timer = setTimeout(() => socket.destroy(), closeMillis)
    socket.once("close", () => {
      clearTimeout(timer)
      done(undefined, undefined)
    })
    this.leave()
  }

  destroy(): void {
    this.isLeaving = true
    if (this.lost) this.#parts.socket.destroy()
    else this.broken(new Error("the connection was dropped"))
  }

  private startOwn(done: Done<void>, traits = this.#parts.ownTraits): J | undefined {
    return this.start(undefined, traits, false, (error) => done(error, undefined))
  }

  /** Begins a question about a statement that will not run. */
  protected startAsking(text: string, done: Done<unknown>): J | undefined {
    return this.start(text, this.#parts.ownTraits, false, done)
  }

  private startRequest(request: Request, done: Done<unknown>): J | undefined {
    return this.start(request.text, this.#parts.traitsOf(request.text), request.begin !== undefined, done)
  }

  private start(text: string | undefined, traits: J["traits"], begins: boolean, end: Done<unknown>): J | undefined {
    if (this.lost) {
      end(this.gone(this.lostBy), undefined)
      return undefined
    }
    return this.exchange = new this.#parts.Exchange(text, traits, begins || this.transaction === "open", end)
  }

  /** Why nothing can be sent on a link that is lost. */
  protected gone(_cause: Error | undefined): ConnectionError {
    const { database, where } = this.#parts
    return failure({
      _tag: "ConnectionError",
      reason: "Lost",
      database,
      what: `the connection to ${where} is gone`,
      outcome: "NotSent"
    })
  }

  /** The error of a link that broke. */
  protected linkError(error: Error, outcome: Outcome): ConnectionError {
    const { classifyLink, database, where } = this.#parts
    return classifyLink(error, { database, where: `the connection to ${where} broke`, outcome, otherwise: "Lost" })
  }

  /** The error of a request whose link broke. */
  private lostError(exchange: J, error: Error): DbError {
    const outcome = this.lostOutcome(exchange)
    const { database, where } = this.#parts
    return outcome !== "COMMIT" ? this.linkError(error, outcome) : failure({
      _tag: "QueryError",
      reason: "CommitUnknown",
      database,
      what: `the connection to ${where} broke during COMMIT`,
      outcome: "Unknown",
      statement: exchange.text,
      cause: error
    })
  }

  protected finish(exchange: J, error: DbError | undefined, value?: unknown): void {
    if (exchange.finished) return
    if (this.exchange === exchange) this.exchange = undefined
    exchange.finish(error, value)
  }

  /** Whether an exchange may still send; else it ends here. */
  protected sendable(exchange: J): boolean {
    if (exchange.finished) return false
    if (!exchange.cancelled) return true
    this.finish(exchange, this.stopped(exchange))
    return false
  }

  /** The statement itself is sent now, and its limit runs. */
  protected sending(exchange: J): void {
    if (exchange.traits.dirties) this.dirty = true
    if (exchange.traits.limits) this.hasForeignLimits = true
    exchange.sentAt = performance.now()
    if (exchange.limit > 0 && exchange.timer === undefined) {
      exchange.timer = setTimeout(() => {
        exchange.timedOut = true
        this.cancel(() => {})
      }, exchange.limit)
    }
  }

  /** The link is gone, or in no known state. */
  protected broken(error: Error, verdict?: DbError): void {
    if (this.lost) return
    this.lost = true
    if (!this.isLeaving) this.lostBy = error
    this.#parts.socket.destroy()
    const exchange = this.exchange
    if (exchange !== undefined) this.finish(exchange, verdict ?? this.lostError(exchange, error))
    if (!this.isLeaving) this.onLost?.(this.linkError(error, "Unknown"))
  }
}
