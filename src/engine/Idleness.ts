/**
 * What becomes of a connection that nobody uses: how long it is kept, and when it is asked whether it still lives.
 */
import type * as DbConfig from "../DbConfig.js"
import type { Slot } from "./Slot.js"

export class Idleness {
  constructor(
    private readonly settings: DbConfig.Pool,
    /** How many connections are kept; those beyond are overflow. */
    private readonly size: number
  ) {}

  /** How long an idle connection may be left alone, in milliseconds, where so many are open. */
  rest(open: number): number {
    const { keepalive } = this.settings
    const limit = this.limit(open)
    return keepalive === 0 ? limit : Math.min(limit, keepalive)
  }

  private limit(open: number): number {
    const { idleTimeout, overflowIdle } = this.settings
    return open > this.size ? overflowIdle : idleTimeout === 0 ? Infinity : idleTimeout
  }

  /** What is due for an idle connection: to be closed, to be pinged, or nothing until the given moment. */
  due(slot: Slot<unknown>, now: number, open: number): "close" | "ping" | number {
    const { keepalive, minIdle } = this.settings
    const until = open > minIdle ? Math.min(slot.expiresAt, slot.idleSince + this.limit(open)) : slot.expiresAt
    if (now >= until) {
      return "close"
    }
    if (keepalive === 0) {
      return until
    }
    return now - slot.pingedAt >= keepalive ? "ping" : Math.min(until, slot.pingedAt + keepalive)
  }
}
