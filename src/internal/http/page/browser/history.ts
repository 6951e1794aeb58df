/** What is drawn over time, which the server remembers, and what rates are made of, which the page has seen. */
import type { Metrics, Pool, PoolSample } from "../report.js"

/** How far back, in milliseconds. */
export const remembered = 10 * 60 * 1000

/** Over how long a rate is taken, in milliseconds. */
const rated = 10_000

interface Counts {
  readonly at: number
  readonly statements: number
  readonly committed: number
}

/** Forgets what is older than a time. */
const forget = (list: Array<{ readonly at: number }>, time: number): void => {
  while (list[0] !== undefined && list[0].at < time) {
    list.shift()
  }
}

export const makeHistory = () => {
  const samples: Array<PoolSample> = []
  const counts: Array<Counts> = []
  return {
    /** What the server has sampled since it was asked last. */
    add(news: ReadonlyArray<PoolSample>, now: number) {
      samples.push(...news)
      forget(samples, now - remembered)
    },
    count(at: number, { statements, transactions: { committed } }: Metrics) {
      counts.push({ at, statements, committed })
      forget(counts, at - rated)
    },
    /** All samples, and what the pool does now. */
    upTo: (at: number, pool: Pool): ReadonlyArray<PoolSample> => [...samples, { ...pool, at }],
    /** How much a count has grown per second, over the last ten seconds; undefined where nothing is known. */
    rateOf(name: "statements" | "committed"): number | undefined {
      const [first, last] = [counts[0], counts.at(-1)]
      // A count that has become smaller is that of a process that was started anew.
      return first === undefined || last === undefined || first.at === last.at || last[name] < first[name]
        ? undefined
        : (last[name] - first[name]) / ((last.at - first.at) / 1000)
    }
  }
}
