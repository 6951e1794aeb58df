/**
 * One exchange with the server: what was sent in one write, and what is made of the answers until the server is ready
 * for the next.
 */
import type { DbError } from "../../../DbError.js"
import type { Request } from "../../../driver/Driver.js"
import type { ServerError } from "./codes.js"
import type { Failing } from "./failures.js"
import type { DataRow } from "./reader.js"
import type { SessionState } from "./session.js"
import type { Field } from "./shape.js"
import type { Text } from "./text.js"
import { writer } from "./writer.js"

/** What an exchange needs of the connection that it runs on. */
export interface Channel {
  readonly session: SessionState
  readonly lost: boolean
  /** Makes an exchange the one that runs, and sends what was written for it. `continues`: the cursor that it goes on with. */
  readonly send: (exchange: Exchange, continues?: Exchange) => void
  /** Sends what was written meanwhile for the exchange that runs. */
  readonly write: () => void
  /** A cursor waits for its next fetch, without the server having been told to end its transaction. */
  readonly paused: (exchange: Exchange) => void
  /** Runs a text of the driver's own, of which only the success matters. */
  readonly run: (sql: string, done: (error: DbError | undefined) => void) => void
  /** Whether a cancel that is under way may have hit this exchange in place of the one it was meant for. */
  readonly isHit: (exchange: Exchange) => boolean
  /** Sends it again when no cancel is under way: at once where none is. */
  readonly whenSettled: (exchange: Exchange) => void
  /** Why nothing can be sent now. */
  readonly unusable: (statement: string | undefined) => DbError | undefined
  /** The server has answered with an error, and the link lives. */
  readonly refused: (error: ServerError, at: Failing) => DbError
  /** The link is gone. `cause` is the server's last word or the socket's error. */
  readonly broken: (cause: Error | undefined, at: Failing) => DbError
}

/**
 * What is sent and received as one. The connection calls these as the messages arrive; `ready` or `lost` is the last.
 */
export abstract class Exchange {
  /** The server's first error. */
  error: ServerError | undefined
  /** The one that was sent behind it. */
  next: Exchange | undefined = undefined
  /** It waits for what is sent in one write with it. */
  isGathered = false
  /** The link broke before it was sent, or before the server came to it. */
  isUnreached = false

  constructor(protected readonly channel: Channel) {}

  parseComplete(): void {}
  bindComplete(): void {}
  typed(_types: ReadonlyArray<number>): void {}
  described(_fields: ReadonlyArray<Field> | undefined): void {}
  /** The row is another one after the call. */
  row(_row: DataRow): void {}
  complete(_tag: string | undefined): void {}
  suspended(): void {}
  copyIn(): void {}
  copyOut(): void {}
  failed(error: ServerError): void {
    this.error ??= error
  }

  protected sendStatement(text: Text, continues?: Exchange): void {
    this.channel.session.statementSent(text)
    this.channel.send(this, continues)
  }

  /** Whether it is what was asked for. */
  isOf(_request: Request): boolean {
    return false
  }

  /** It waited for the end of a cancel, to be sent again: it can be now. */
  settled(): void {}
  /** ... or is to be stopped before that. */
  stopped(): void {}

  abstract ready(): void
  /** `cause` is the server's last word or the socket's error. */
  abstract lost(cause: Error | undefined): void
}

/** A bare Sync: the cheapest question. */
export class Ping extends Exchange {
  constructor(channel: Channel, private readonly done: (error: ServerError | DbError | undefined) => void) {
    super(channel)
  }

  start(): void {
    writer.sync()
    this.channel.send(this)
  }

  ready(): void {
    this.done(this.error)
  }

  lost(cause: Error | undefined): void {
    this.done(this.channel.broken(cause, { outcome: "NotSent", statement: undefined, commit: false }))
  }
}

/** What was sent to the server and is not answered yet, in order, and when. */
export class ExchangeQueue {
  /** What the server answers now, and with it, one behind the other, all that was sent after it. */
  current: Exchange | undefined = undefined
  private last: Exchange | undefined = undefined
  /** The first of those that wait for the next write. */
  private unsent: Exchange | undefined = undefined
  /** When something was last sent, by `performance.now()`. */
  private sentAt = 0
  /** When something was sent before that: what is refused because of an idle time was sent at its end. */
  private sentBefore = 0
  /** When the server can have begun with what it answers now. */
  private begunAt = 0

  add(exchange: Exchange): void {
    this.sentBefore = this.sentAt
    this.sentAt = performance.now()
    if (this.current === undefined) {
      this.current = exchange
      this.begunAt = this.sentAt
    } else {
      // Where there is a first one, there is a last one.
      this.last!.next = exchange
    }
    this.last = exchange
    if (exchange.isGathered) this.unsent ??= exchange
  }

  /** Everything was sent. */
  written(): void {
    this.unsent = undefined
  }

  /** What the server has answered has ended. */
  shift(): void {
    // There is one: only what runs can end.
    const ended = this.current!
    const { next } = ended
    // It may be sent again.
    ended.next = undefined
    this.current = next
    if (next === undefined) this.last = undefined
    else this.begunAt = performance.now()
  }

  /**
   * The link is gone. Gives all that has not ended, the first one first.
   *
   * @param isFirstReached and no other one: the server does not read what was sent behind it
   */
  drain(isFirstReached: boolean): ReadonlyArray<Exchange> {
    const all: Array<Exchange> = []
    let isUnsent = false
    for (let exchange = this.current; exchange !== undefined; exchange = exchange.next) {
      isUnsent ||= exchange === this.unsent
      exchange.isUnreached = isUnsent || (isFirstReached && all.length > 0)
      all.push(exchange)
    }
    this.unsent = undefined
    this.current = undefined
    this.last = undefined
    return all
  }

  /** For how long the server can have worked at what it answers now, in milliseconds. */
  get ranMillis(): number {
    return performance.now() - this.begunAt
  }

  /** For how long the link can have been idle before something was last sent, in milliseconds. */
  get idleMillis(): number {
    return performance.now() - this.sentBefore
  }
}
