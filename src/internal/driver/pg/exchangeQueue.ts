/**
 * What was sent to the server and is not answered yet, in order, and when.
 */
import type { Exchange } from "./exchange.js"

export class ExchangeQueue {
  /** What the server answers now, and with it, one behind the other, all that was sent after it. */
  current: Exchange | undefined = undefined
  private last: Exchange | undefined = undefined
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

  /** The link is gone. Gives all that was sent, the first one first. */
  drain(): ReadonlyArray<Exchange> {
    const all: Array<Exchange> = []
    for (let exchange = this.current; exchange !== undefined; exchange = exchange.next) all.push(exchange)
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
