/**
 * How a peer's cost grows: with fibers that wait, with connections, and with time.
 */
import { performance } from "node:perf_hooks"
import { collect, type Measured } from "./Measure.js"
import { type Kind, type Operations, type Peer, sleep } from "./Peer.js"
import { idOf, type Size, type Workload } from "./Workload.js"

const used = (): number => {
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

/** `count` checkouts, each by a loop of its own that ends with it. */
const checkouts = <Op>(
  kind: Kind<Op>,
  count: number,
  op: () => Op
): Promise<void> => {
  let begun = 0
  return kind.repeat({
    fibers: count,
    turn: 0,
    more: () => begun++ < count,
    op,
    end: () => {}
  })
}

/** Holds `count` connections until the answer is called. */
const hold = async <Op>(
  kind: Kind<Op>,
  count: number,
  checkout: NonNullable<Operations<Op>["checkout"]>
): Promise<() => Promise<void>> => {
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  let lent = 0
  const holding = checkouts(kind, count, () =>
    checkout(() => {
      lent++
    }, () => kind.wait(gate)))
  while (lent < count) await sleep(5)
  return () => {
    open()
    return holding
  }
}

const waiting = async <Op>(
  { kind, operations: { checkout } }: Peer<Op>,
  count: number,
  connections: number
): Promise<Measured | undefined> => {
  if (checkout === undefined) return undefined
  const release = await hold(kind, connections, checkout)
  const before = used()
  const all = checkouts(kind, count, () => checkout(() => {}, undefined))
  // long enough for every fiber to come as far as the queue
  await sleep(100 + count / 50)
  const after = used()
  await release()
  await all
  return { value: count === 0 ? 0 : (after - before) / count, checksum: count }
}

const opened = async <Op>(
  { kind, operations: { checkout, select } }: Peer<Op>,
  count: number
): Promise<Measured | undefined> => {
  if (checkout === undefined || select === undefined) return undefined
  await kind.run(() => select(1))
  if (count === 0) return { value: 0, checksum: 0 }
  await sleep(50)
  const before = used()
  const release = await hold(kind, count, checkout)
  await release()
  // what was said when the connections were opened is not part of them
  await sleep(200)
  return { value: (used() - before) / (count - 1), checksum: count }
}

/** The slope of `y` over `x` by least squares. */
const slope = (points: ReadonlyArray<readonly [number, number]>): number => {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  let above = 0
  let below = 0
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  return below === 0 ? 0 : above / below
}

const soak = async <Op>({ kind, operations }: Peer<Op>, size: Size): Promise<Measured | undefined> => {
  const { checkout, select, session, stream, transaction } = operations
  if (!checkout || !select || !session || !stream || !transaction) return undefined
  const until = performance.now() + size.count * 1000
  const points: Array<readonly [number, number]> = []
  const sampler = setInterval(() => {
    points.push([performance.now() / 60_000, used() / 1024])
  }, Math.max(size.count * 10, 500))
  await kind.repeat({
    fibers: size.fibers,
    turn: 0,
    more: () => performance.now() < until,
    op: (i) => {
      switch (i % 8) {
        case 4:
          return session(idOf(i))
        case 5:
          return transaction(idOf(i), 1)
        case 6:
          return stream(200)
        case 7:
          return checkout(() => {}, kind.turn)
        default:
          return select(idOf(i))
      }
    },
    end: () => {}
  })
  clearInterval(sampler)
  // the first third fills caches and compiles code
  const settled = points.slice(Math.floor(points.length / 3))
  const grown = settled.length === 0 ? 0 : (settled[settled.length - 1]![1] - settled[0]![1]) / 1024
  return { value: settled.length < 2 ? 0 : slope(settled), checksum: 0, memory: grown }
}

/** Runs one of `growth`; `undefined` when the peer cannot do it. */
export const grow = async <Op>(peer: Peer<Op>, workload: Workload, size: Size): Promise<Measured | undefined> => {
  switch (workload.id) {
    case "G.waiting":
      return waiting(peer, size.count, size.fibers)
    case "G.connection":
      return opened(peer, size.count)
    case "G.soak":
      return soak(peer, size)
    default:
      return undefined
  }
}
