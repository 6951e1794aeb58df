/** What has been seen since the page is open, for what is drawn over time and for rates. */
export const history = /* js */ String.raw`
/** How far back, in milliseconds. */
const remembered = 5 * 60 * 1000

function makeHistory() {
  const samples = []
  return {
    samples,
    add(at, database) {
      const { metrics, pool } = database
      samples.push({
        at,
        capacity: pool.capacity,
        used: pool.inUse,
        idle: pool.idle,
        waiting: pool.waiting,
        statements: metrics.statements,
        committed: metrics.transactions.committed
      })
      while (samples.length > 0 && samples[0].at < at - remembered) {
        samples.shift()
      }
    },
    /** How much a count has grown per second, over the last ten seconds; undefined where nothing is known. */
    rateOf(name) {
      const last = samples[samples.length - 1]
      const first = samples.find((sample) => sample.at >= last.at - 10000)
      // A count that has become smaller is that of a process that was started anew.
      return first === undefined || first.at === last.at || last[name] < first[name]
        ? undefined
        : (last[name] - first[name]) / ((last.at - first.at) / 1000)
    }
  }
}
`
