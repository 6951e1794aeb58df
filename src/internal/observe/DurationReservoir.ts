/**
 * The durations of one kind of thing: totals since the start, and the last ones as they were, for percentiles.
 */
import type { Durations } from "../../DbMetrics.js"

/** A power of two, so that a place in the ring is found without a division. */
const kept = 1024

export class DurationReservoir {
  private readonly samples = new Float64Array(kept)
  count = 0
  private total = 0
  private max = 0

  /** On the path of every statement: no allocation, no search. */
  add(millis: number): void {
    this.samples[this.count++ & (kept - 1)] = millis
    this.total += millis
    if (millis > this.max) {
      this.max = millis
    }
  }

  /** @param immediate how many more took no time at all, and were not added. */
  durations(immediate = 0): Durations {
    const count = this.count + immediate
    return {
      count,
      totalMillis: this.total,
      maxMillis: this.max,
      percentiles: count === 0 ? undefined : this.percentiles(immediate / count)
    }
  }

  private percentiles(zeros: number): NonNullable<Durations["percentiles"]> {
    const sorted = this.samples.slice(0, Math.min(this.count, kept)).sort()
    // The nearest rank: a duration that really was, never one between two.
    const at = (share: number): number =>
      share <= zeros ? 0 : sorted[Math.max(Math.ceil(((share - zeros) / (1 - zeros)) * sorted.length) - 1, 0)]!
    return { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99) }
  }
}
