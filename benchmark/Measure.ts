/**
 * Runs one workload on one open peer, in its process, and says what it cost.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { performance } from "node:perf_hooks"
import type { Kind, Operations, Peer } from "./Peer.js"
import { batchRows, bulkOf, idOf, type Size, type Workload } from "./Workload.js"

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
  /** MiB of resident memory above the start, at the highest. */
  readonly memory?: number
}

interface Timed {
  readonly seconds: number
  readonly checksum: number
  readonly p50: number
  readonly p99: number
}

const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

/** `count` operations by `fibers` loops, each timed from before it is made until its answer is there. */
const timed = async <Op>(kind: Kind<Op>, size: Size, op: (i: number) => Op): Promise<Timed> => {
  const times = new Float64Array(size.count)
  let begun = 0
  let checksum = 0
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
  times.sort()
  return { seconds, checksum, p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
}

const throughput = (count: number, run: Timed): Measured => ({
  value: count / run.seconds,
  checksum: run.checksum,
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
  waits.sort()
  return {
    value: size.count / seconds,
    checksum,
    p50: percentile(waits, 0.5),
    p99: percentile(waits, 0.99),
    longest: percentile(waits, 1)
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
  const { batch, bulk, checkout, heavy, insert, list, select, session, stream, transaction } = operations
  switch (workload.id) {
    case "W1":
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
      return { ...throughput(size.count, run), value: run.checksum / run.seconds }
    }
    case "W5":
    case "S4": {
      if (stream === undefined) return undefined
      const [run, memory] = await withMemory(() => timed(kind, { count: 1, fibers: 1 }, () => stream(size.count)))
      return { value: size.count / run.seconds, checksum: run.checksum, memory }
    }
    case "W6.free": {
      if (checkout === undefined) return undefined
      const nothing = () => {}
      const run = await timed(kind, size, () => checkout(nothing, undefined))
      return { value: run.seconds * 1e6 / size.count, checksum: run.checksum }
    }
    case "W6.contended":
      return checkout && contended(kind, size, checkout)
    case "W7": {
      if (select === undefined) return undefined
      const before = process.cpuUsage()
      const run = await timed(kind, size, (i) => select(idOf(i)))
      const used = process.cpuUsage(before)
      return { value: (used.user + used.system) / 1e6 * 100_000 / size.count, checksum: run.checksum }
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
