/**
 * Reports connections that are held for long, once each.
 */
import type { ConnectionFactory, PoolEntry } from "./PoolEntry.js"

export class LeakDetection<C> {
  constructor(
    /** For how many milliseconds a connection may be held; 0: any time. */
    private readonly threshold: number,
    private readonly factory: Pick<ConnectionFactory<C>, "isKept" | "onLeak" | "onLeakReturned">
  ) {}

  /** Looks at an entry in use. `soon` is given the moment at which it has to be looked at again. */
  look(entry: PoolEntry<C>, now: number, soon: (time: number) => void): void {
    if (this.threshold <= 0 || entry.leakReported) {
      return
    }
    if (now - entry.acquiredAt < this.threshold || entry.borrower === undefined) {
      soon(entry.acquiredAt + this.threshold)
    } else if (this.factory.isKept(entry)) {
      // It may stay in use when what it was held for has ended.
      soon(now + this.threshold)
    } else {
      entry.leakReported = true
      this.factory.onLeak(entry, entry.borrower.describe(now))
    }
  }

  returned(entry: PoolEntry<C>, now: number): void {
    if (entry.leakReported) {
      this.factory.onLeakReturned(entry, now - entry.acquiredAt)
    }
  }
}
