/**
 * The limits of an idle connection: how long it is kept, and when it is validated.
 */
import type * as DbConfig from "../../DbConfig.js"
import type { PoolEntry } from "./PoolEntry.js"

export class Eviction {
  constructor(
    private readonly settings: DbConfig.Pool,
    /** How many connections are kept; those beyond are overflow. */
    private readonly size: number,
    /** Uniform in [0, 1). */
    private readonly random: () => number
  ) {}

  /** When a connection that is opened now has reached its longest life. */
  expiryFrom(now: number): number {
    const { maxLifetime } = this.settings
    // Up to 10 % less, so that connections opened together are not replaced together.
    return maxLifetime === 0 ? Infinity : now + maxLifetime * (1 - 0.1 * this.random())
  }

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
  due(entry: PoolEntry<unknown>, now: number, open: number): "close" | "ping" | number {
    const { keepalive, minIdle } = this.settings
    const until = open > minIdle ? Math.min(entry.expiresAt, entry.idleSince + this.limit(open)) : entry.expiresAt
    if (now >= until) {
      return "close"
    }
    if (keepalive === 0) {
      return until
    }
    return now - entry.pingedAt >= keepalive ? "ping" : Math.min(until, entry.pingedAt + keepalive)
  }
}
