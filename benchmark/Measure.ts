/**
 * Runs one workload on one open peer, in its process, and says what it cost.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { performance } from "node:perf_hooks"
import { type Kind, type Operations, type Peer, sleep } from "./Peer.js"
import { batchRows, bulkOf, expectedItem, idOf, type Size, statements, type Workload } from "./Workload.js"

/** What one run of a workload gave. */
export interface Measured {
  /** In the workload's unit. */
  readonly value: number
  readonly checksum: number
  /** Milliseconds of the median and of the 99th percentile, where operations are timed one by one. */
  readonly p50?: number
  readonly p99?: number
  /** Milliseconds of the longest wait, where order is what is looked at. */
  readonly longest?: number
  /** Operations in a second, where the value is something else. */
  readonly perSecond?: number
  /** CPU seconds that this process took for 100,000 of what the workload counts: operations, or rows. */
  readonly cpu?: number
  /** MiB of resident memory above the start, at the highest. */
  readonly memory?: number
}

interface Timed {
  readonly seconds: number
  /** CPU seconds, of the user and of the system. */
  readonly cpu: number
  readonly checksum: number
  readonly p50: number
  readonly p99: number
}

const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

/** Answers the CPU seconds since it was made. */
const cpuMeter = (): () => number => {
  const before = process.cpuUsage()
  return () => {
    const { system, user } = process.cpuUsage(before)
    return (user + system) / 1e6
  }
}

const per100_000 = (cpu: number, count: number): number => cpu * 100_000 / count

/** `count` operations by `fibers` loops, each timed from before it is made until its answer is there. */
const timed = async <Op>(kind: Kind<Op>, size: Size, op: (i: number) => Op): Promise<Timed> => {
  const times = new Float64Array(size.count)
  let begun = 0
  let checksum = 0
  const cpuSeconds = cpuMeter()
  const started = performance.now()
  await kind.repeat({
    fibers: size.fibers,
    turn: 0,
    more: () => begun < size.count,
    op: (i) => {
      begun++
      times[i] = performance.now()
      return op(i)
    },
    end: (i, answer) => {
      checksum += answer
      times[i] = performance.now() - times[i]!
    }
  })
  const seconds = (performance.now() - started) / 1000
  const cpu = cpuSeconds()
  times.sort()
  return { seconds, cpu, checksum, p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
}

/** A run that counted `count`. */
const throughput = (count: number, run: Timed): Measured => ({
  value: count / run.seconds,
  checksum: run.checksum,
  cpu: per100_000(run.cpu, count),
  p50: run.p50,
  p99: run.p99
})

const status = (key: string): number | undefined => {
  try {
    const found = new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/self/status", "utf8"))
    return found === null ? undefined : Number(found[1]) / 1024
  } catch {
    return undefined
  }
}

const resident = (): number => status("VmRSS") ?? process.memoryUsage.rss() / 2 ** 20

/** What was resident after the last collection: memory is told as what came on top. */
let atRest = 0

/**
 * Frees what is not used any more, so that runs begin alike. It takes compiled code along: what V8 has optimized of a closure is
 * dropped when no such closure lives, and between two runs none does. A warm-up belongs behind it.
 */
export const collect = (): void => {
  globalThis.gc?.()
  globalThis.gc?.()
  atRest = resident()
}

/** The highest resident memory above the start: from the kernel's high-water mark, elsewhere sampled. */
const withMemory = async <A>(run: () => Promise<A>): Promise<readonly [A, number]> => {
  let kernel = false
  try {
    writeFileSync("/proc/self/clear_refs", "5")
    kernel = true
  } catch {
    // not Linux, or not allowed: sampled below
  }
  let highest = resident()
  const sampler = setInterval(() => {
    highest = Math.max(highest, resident())
  }, 20)
  try {
    const answer = await run()
    return [answer, (kernel ? status("VmHWM") ?? highest : Math.max(highest, resident())) - atRest]
  } finally {
    clearInterval(sampler)
  }
}

/** W6: the wait is what is timed; the rest of a checkout belongs to the next one's wait. */
const contended = async <Op>(
  kind: Kind<Op>,
  size: Size,
  checkout: NonNullable<Operations<Op>["checkout"]>
): Promise<Measured> => {
  const waits = new Float64Array(size.count)
  let begun = 0
  let checksum = 0
  const cpuSeconds = cpuMeter()
  const started = performance.now()
  await kind.repeat({
    fibers: size.fibers,
    turn: 0,
    more: () => begun < size.count,
    op: (i) => {
      begun++
      const asked = performance.now()
      return checkout(() => {
        waits[i] = performance.now() - asked
      }, kind.turn)
    },
    end: (_, answer) => {
      checksum += answer
    }
  })
  const seconds = (performance.now() - started) / 1000
  const cpu = per100_000(cpuSeconds(), size.count)
  waits.sort()
  return {
    value: size.count / seconds,
    checksum,
    cpu,
    p50: percentile(waits, 0.5),
    p99: percentile(waits, 0.99),
    longest: percentile(waits, 1)
  }
}

/** How many runs of W8.turn there were in this process. */
let turns = 0

/** What goes on beside the selects of W8: `op`, again and again; `midway` runs once, in the middle. */
interface Beside<Op> {
  readonly fibers: number
  readonly op: () => Op
  readonly midway?: () => Op
}

/**
 * The percentile, had each loop asked at the pace of the median also while it waited: a loop that is stalled asks for nothing, so
 * that the others alone would tell how long selects take. It is the correction that HdrHistogram makes of such runs: a wait of
 * `n` medians counts as `n` waits, each a median shorter.
 */
export const evenly = (sorted: Float64Array, share: number): number => {
  const median = percentile(sorted, 0.5)
  const total = sorted.reduce((sum, wait) => sum + Math.max(1, Math.floor(wait / median)), 0)
  const longer = (limit: number): number => {
    let count = 0
    for (let i = sorted.length - 1; i >= 0 && sorted[i]! > limit; i--) count += Math.ceil((sorted[i]! - limit) / median)
    return count
  }
  let low = median
  let high = percentile(sorted, 1)
  // what halving leaves is far below what a clock tells
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2
    if (longer(middle) > total * (1 - share)) low = middle
    else high = middle
  }
  return high
}

/** No peer makes as many selects in a millisecond. */
const selectsPerMillisecond = 200

/** W8: what selects take in `count` ms, while something slow goes on beside them. The checksum is the number of wrong answers. */
const tail = async <Op>(
  kind: Kind<Op>,
  size: Size,
  select: (id: number) => Op,
  beside: Beside<Op>
): Promise<Measured> => {
  if (size.count === 0) return { value: 0, checksum: 0 }
  const times = new Float64Array(size.count * selectsPerMillisecond)
  let begun = 0
  let wrong = 0
  let goesOn = true
  const slow = kind.repeat({
    fibers: beside.fibers,
    turn: 0,
    more: () => goesOn,
    op: beside.op,
    end: () => {}
  })
  const quick = async (): Promise<{ readonly seconds: number; readonly cpu: number }> => {
    try {
      // what is slow is under way
      await sleep(100)
      const cpuSeconds = cpuMeter()
      const started = performance.now()
      const until = started + size.count
      const selects = kind.repeat({
        fibers: size.fibers,
        turn: 0,
        more: () => begun < times.length && performance.now() < until,
        op: (i) => {
          begun++
          times[i] = performance.now()
          return select(idOf(i))
        },
        end: (i, answer) => {
          if (answer !== expectedItem(idOf(i))) wrong++
          times[i] = performance.now() - times[i]!
        }
      })
      const middle = async () => {
        if (beside.midway === undefined) return
        await sleep(size.count / 2)
        await kind.run(beside.midway)
      }
      await Promise.all([selects, middle()])
      return { seconds: (performance.now() - started) / 1000, cpu: cpuSeconds() }
    } finally {
      goesOn = false
    }
  }
  const [{ cpu, seconds }] = await Promise.all([quick(), slow])
  const sorted = times.subarray(0, begun).sort()
  return {
    value: evenly(sorted, 0.99),
    checksum: wrong,
    perSecond: begun / seconds,
    cpu: per100_000(cpu, begun),
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    longest: percentile(sorted, 1)
  }
}

/** S5: a timer of 1 ms beside the query; the longest time without it is the delay. */
const delayed = async <Op>(kind: Kind<Op>, op: () => Op): Promise<Measured> => {
  let longest = 0
  let last = performance.now()
  const tick = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last - 1)
    last = now
  }
  const timer = setInterval(tick, 1)
  try {
    const checksum = await kind.run(op)
    tick()
    return { value: Math.max(longest, 0), checksum }
  } finally {
    clearInterval(timer)
  }
}

const readsDuring = async <Op>(
  kind: Kind<Op>,
  size: Size,
  select: (id: number) => Op
): Promise<number> => {
  let reads = 0
  const until = performance.now() + size.count
  await kind.repeat({
    fibers: size.fibers,
    // a synchronous reader would never let the writer's timer run
    turn: 8,
    more: () => performance.now() < until,
    op: (i) => select(idOf(i)),
    end: () => {
      // only what was read while the clock ran: a reader that had to wait until the writer was done counts for nothing
      if (performance.now() < until) reads++
    }
  })
  return reads
}

/** S6: reads in `count` ms alone, and beside an open transaction that writes. */
const besideWriter = async <Op>(
  kind: Kind<Op>,
  size: Size,
  operations: Operations<Op>
): Promise<Measured | undefined> => {
  const { select, writing } = operations
  if (select === undefined || writing === undefined) return undefined
  // the first reads warm up, and what the machine does meanwhile is shared by the reads before and after the writer
  await readsDuring(kind, { ...size, count: size.count / 2 }, select)
  const before = await readsDuring(kind, size, select)
  let open = true
  const until = performance.now() + size.count + 100
  const writer = kind.run(() => writing(() => open && performance.now() < until))
  await new Promise((resolve) => setTimeout(resolve, 30))
  const beside = await readsDuring(kind, size, select)
  open = false
  const checksum = await writer
  const after = await readsDuring(kind, size, select)
  return { value: 2 * beside / (before + after), checksum }
}

/** Runs a workload; `undefined` when the peer cannot do it. */
export const measure = async <Op>(peer: Peer<Op>, workload: Workload, size: Size): Promise<Measured | undefined> => {
  const { kind, operations } = peer
  const { batch, bulk, checkout, heavy, insert, list, select, session, statement, stream, transaction } = operations
  switch (workload.id) {
    case "W1":
    case "W1.16":
    case "W1.1000":
    case "S1":
      return select && throughput(size.count, await timed(kind, size, (i) => select(idOf(i))))
    case "W2":
    case "W2.asked":
      return session && throughput(size.count, await timed(kind, size, (i) => session(idOf(i))))
    case "W3":
      return transaction && throughput(size.count, await timed(kind, size, (i) => transaction(idOf(i), i)))
    case "W4": {
      if (bulk === undefined) return undefined
      const rows = Array.from({ length: size.count }, (_, i) => bulkOf(i))
      const run = await timed(kind, size, (i) => bulk(rows[i]!))
      // what is counted are rows, what is timed are statements
      return throughput(run.checksum, run)
    }
    case "W5":
    case "S4": {
      if (stream === undefined) return undefined
      const [run, memory] = await withMemory(() => timed(kind, { count: 1, fibers: 1 }, () => stream(size.count)))
      const cpu = per100_000(run.cpu, size.count)
      return { value: size.count / run.seconds, checksum: run.checksum, cpu, memory }
    }
    case "W6.free": {
      if (checkout === undefined) return undefined
      const nothing = () => {}
      const run = await timed(kind, size, () => checkout(nothing, undefined))
      return { ...throughput(size.count, run), value: run.seconds * 1e6 / size.count }
    }
    case "W6.contended":
      return checkout && contended(kind, size, checkout)
    case "W7": {
      if (select === undefined) return undefined
      const run = await timed(kind, size, (i) => select(idOf(i)))
      return { ...throughput(size.count, run), value: per100_000(run.cpu, size.count) }
    }
    case "W8.busy":
      return select && statement && tail(kind, size, select, { fibers: 2, op: () => statement(statements.second, []) })
    case "W8.turn": {
      if (select === undefined || statement === undefined) return undefined
      await kind.run(() => statement(statements.pace, [0.001]))
      // a text of its own for each run: what was found out about the last one was that it is slow
      const text = `${statements.paced} AND ${++turns} > 0`
      return tail(kind, size, select, {
        fibers: 4,
        op: () => statement(text, []),
        midway: () => statement(statements.pace, [0.5])
      })
    }
    case "S2":
      return insert && throughput(size.count, await timed(kind, size, (i) => insert(idOf(i), i)))
    case "S3":
      return batch && throughput(size.count, await timed(kind, size, (i) => batch(batchRows, i)))
    case "S3.list":
      return list && throughput(size.count, await timed(kind, size, (i) => list(batchRows, i)))
    case "S5":
      return heavy && delayed(kind, () => heavy(size.count))
    case "S6":
      return besideWriter(kind, size, operations)
    default:
      return undefined
  }
}
