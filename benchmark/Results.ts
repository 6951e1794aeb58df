/**
 * What a benchmark found: medians, ratios, goals; as a table to read and as the value of `results.json`.
 */
import type { Measured } from "./Measure.js"
import type { Goal, Workload } from "./Workload.js"

/** Median, lowest and highest of the rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** One peer in one workload. */
export interface PeerResult {
  readonly peer: string
  readonly version: string
  readonly value: Spread
  /** To the baseline of the same round. */
  readonly ratio: Spread
  readonly p50: Spread | undefined
  readonly p99: Spread | undefined
  readonly ratioP99: Spread | undefined
  readonly longest: Spread | undefined
  readonly perSecond: Spread | undefined
  readonly cpu: Spread | undefined
  readonly memory: Spread | undefined
  readonly rounds: ReadonlyArray<Measured>
}

/** One workload. */
export interface WorkloadResult {
  readonly id: string
  readonly title: string
  readonly unit: string
  readonly better: "more" | "less"
  readonly count: number
  readonly fibers: number
  readonly baseline: string
  readonly peers: ReadonlyArray<PeerResult>
  /** What peers cannot do, and why. */
  readonly leftOut: Readonly<Record<string, string>>
  /** Peers whose run ended in an error, or with wrong answers. */
  readonly failed: Readonly<Record<string, string>>
  readonly goals: ReadonlyArray<{ readonly goal: string; readonly found: number; readonly met: boolean }>
}

/** The file `results.json`. */
export interface Results {
  readonly date: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly rounds: number
  readonly workloads: ReadonlyArray<WorkloadResult>
}

const rounded = (value: number): number => Number(value.toPrecision(4))

const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median: rounded(median), min: rounded(sorted[0]!), max: rounded(sorted[sorted.length - 1]!) }
}

const spreadOf = (
  rounds: ReadonlyArray<Measured>,
  key: "p50" | "p99" | "longest" | "perSecond" | "cpu" | "memory"
): Spread | undefined => {
  const values = rounds.map((round) => round[key]).filter((value) => value !== undefined)
  return values.length === 0 ? undefined : spread(values)
}

/** Sums a peer's rounds up; `baseline` holds the same rounds of the baseline. */
export const peerResult = (
  peer: string,
  version: string,
  rounds: ReadonlyArray<Measured>,
  baseline: ReadonlyArray<Measured>
): PeerResult => {
  const p99 = rounds.map((round, i) => (round.p99 ?? Number.NaN) / (baseline[i]!.p99 ?? Number.NaN))
  return {
    peer,
    version,
    value: spread(rounds.map((round) => round.value)),
    ratio: spread(rounds.map((round, i) => round.value / baseline[i]!.value)),
    p50: spreadOf(rounds, "p50"),
    p99: spreadOf(rounds, "p99"),
    ratioP99: p99.some(Number.isNaN) ? undefined : spread(p99),
    longest: spreadOf(rounds, "longest"),
    perSecond: spreadOf(rounds, "perSecond"),
    cpu: spreadOf(rounds, "cpu"),
    memory: spreadOf(rounds, "memory"),
    rounds: rounds.map(({ checksum, cpu, longest, memory, p50, p99, perSecond, value }) => ({
      value: rounded(value),
      checksum,
      ...(p50 === undefined ? {} : { p50: rounded(p50) }),
      ...(p99 === undefined ? {} : { p99: rounded(p99) }),
      ...(longest === undefined ? {} : { longest: rounded(longest) }),
      ...(perSecond === undefined ? {} : { perSecond: rounded(perSecond) }),
      ...(cpu === undefined ? {} : { cpu: rounded(cpu) }),
      ...(memory === undefined ? {} : { memory: rounded(memory) })
    }))
  }
}

const found = (goal: Goal, result: PeerResult): number | undefined => {
  switch (goal.of) {
    case "ratio":
      return result.ratio.median
    case "value":
      return result.value.median
    case "memory":
      return result.memory?.median
    case "ratio p99":
      return result.ratioP99?.median
  }
}

/** How the goals of a workload stand. */
export const goalsOf = (workload: Workload, results: ReadonlyArray<PeerResult>): WorkloadResult["goals"] =>
  workload.goals.flatMap((goal) => {
    const result = results.find((result) => result.peer === goal.peer)
    const other = goal.than === undefined ? undefined : results.find((result) => result.peer === goal.than)
    if (goal.than !== undefined && other === undefined) return []
    const given = result && found(goal, result)
    const value = given === undefined || other === undefined ? given : given / (found(goal, other) ?? Number.NaN)
    if (value === undefined) return []
    const unit = goal.of === "value" ? ` ${workload.unit}` : goal.of === "memory" ? " MiB" : ""
    const limit = goal.atLeast !== undefined ? `>= ${goal.atLeast}` : `<= ${goal.atMost}`
    return [{
      goal: `${goal.peer}: ${goal.of}${goal.than === undefined ? "" : ` to ${goal.than}`} ${limit}${unit}`,
      found: value,
      met: goal.atLeast !== undefined ? value >= goal.atLeast : value <= goal.atMost!
    }]
  })

const shown = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en-US") : value >= 100 ? value.toFixed(0) : value.toPrecision(3)

const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    "  " + row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))
      .join("  ").trimEnd()
  ).join("\n")
}

/** A workload as a table to read. */
export const print = (result: WorkloadResult): string => {
  const timed = result.peers.some((peer) => peer.p99 !== undefined)
  const ordered = result.peers.some((peer) => peer.longest !== undefined)
  const counted = result.peers.some((peer) => peer.perSecond !== undefined)
  const metered = result.peers.some((peer) => peer.cpu !== undefined)
  const sampled = result.peers.some((peer) => peer.memory !== undefined)
  const head = ["", `median ${result.unit}`, "min", "max", `ratio to ${result.baseline}`, "min", "max"]
  if (timed) head.push("p50 ms", "p99 ms")
  if (ordered) head.push("longest ms")
  if (counted) head.push("per second")
  if (metered) head.push("CPU s of 100,000")
  if (sampled) head.push("MiB above start")
  const rows = result.peers.map((peer) => {
    const row = [
      peer.peer,
      shown(peer.value.median),
      shown(peer.value.min),
      shown(peer.value.max),
      peer.ratio.median.toFixed(2),
      peer.ratio.min.toFixed(2),
      peer.ratio.max.toFixed(2)
    ]
    if (timed) row.push(peer.p50 ? shown(peer.p50.median) : "", peer.p99 ? shown(peer.p99.median) : "")
    if (ordered) row.push(peer.longest ? shown(peer.longest.median) : "")
    if (counted) row.push(peer.perSecond ? shown(peer.perSecond.median) : "")
    if (metered) row.push(peer.cpu ? shown(peer.cpu.median) : "")
    if (sampled) row.push(peer.memory ? shown(peer.memory.median) : "")
    return row
  })
  return [
    `${result.id}  ${result.title}  [${result.count.toLocaleString("en-US")}; ${result.better} is better]`,
    columns([head, ...rows]),
    ...Object.entries(result.leftOut).map(([peer, why]) => `  ${peer}: left out (${why})`),
    ...Object.entries(result.failed).map(([peer, why]) => `  ${peer}: FAILED (${why})`),
    ...result.goals.map(({ found, goal, met }) => `  ${met ? "met   " : "MISSED"} ${goal}: ${shown(found)}`)
  ].join("\n") + "\n"
}
