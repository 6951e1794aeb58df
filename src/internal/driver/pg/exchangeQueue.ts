/**
 * What was sent to the server and is not answered yet, in order, and when.
 */
import type { Exchange } from "./exchange.js"

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
