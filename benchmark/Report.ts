/**
 * What the benchmark found, as the section of this folder's README and as tables to read. `npm run bench` writes it; a test sees to it
 * that what stands in the README is what stands in `results.json` and `waiters.json`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { PeerResult, Results, Spread, WorkloadResult } from "./Results.js"

/** What `waiters.ts` writes: per peer, figures by name. */
export type Growth = Readonly<Record<string, Readonly<Record<string, number | Readonly<Record<string, number>>>>>>

const readme = new URL("README.md", import.meta.url)
const begin = "<!-- benchmark: written by npm run bench -->"
const end = "<!-- /benchmark -->"

const shown = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)))

const cell = (peer: PeerResult | undefined, baseline: string): string =>
  peer === undefined ? "" : peer.peer === baseline ? shown(peer.value.median) : peer.ratio.median.toFixed(2)

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const [head, ...body] = rows
  return [head!, head!.map(() => "---"), ...body].map((row) => `| ${row.join(" | ")} |`).join("\n")
}

const family = (workloads: ReadonlyArray<WorkloadResult>): string => {
  const baseline = workloads[0]!.baseline
  const names = new Set(workloads.flatMap(({ peers }) => peers.map(({ peer }) => peer)))
  names.delete(baseline)
  const others = [...names]
  return table([
    ["workload", `${baseline}`, ...others],
    ...workloads.map((workload) => {
      const find = (name: string) => workload.peers.find(({ peer }) => peer === name)
      return [
        `${workload.id}: ${workload.title} (${workload.unit}${workload.better === "less" ? "; less is better" : ""})`,
        cell(find(baseline), baseline),
        ...others.map((name) => cell(find(name), baseline))
      ]
    })
  ])
}

/** A figure of its own of every row that has it, as it was measured. */
const figures = (
  what: string,
  workloads: ReadonlyArray<WorkloadResult>,
  of: (peer: PeerResult) => Spread | undefined
): ReadonlyArray<string> => {
  const having = workloads.filter(({ peers }) => peers.some((peer) => of(peer) !== undefined))
  if (having.length === 0) return []
  const names = [
    ...new Set(having.flatMap(({ peers }) => peers.filter((peer) => of(peer) !== undefined).map(({ peer }) => peer)))
  ]
  return [table([
    [what, ...names],
    ...having.map(({ id, peers }) => [
      id,
      ...names.map((name) => {
        const peer = peers.find(({ peer }) => peer === name)
        const figure = peer && of(peer)
        return figure === undefined ? "" : shown(figure.median)
      })
    ])
  ])]
}

/** What quick statements wait beside slow ones: a line for each peer, since a stall shows in one figure and hides in another. */
const tails = (workloads: ReadonlyArray<WorkloadResult>): ReadonlyArray<string> => {
  const rows = workloads.filter(({ peers }) => peers.some(({ perSecond }) => perSecond !== undefined))
  if (rows.length === 0) return []
  return [table([
    ["the tail", "peer", "p50 ms", "p99 ms", "longest ms", "p99 ms, evenly paced", "selects/s"],
    ...rows.flatMap(({ id, peers }) =>
      peers.map((peer) => [
        id,
        peer.peer,
        ...[peer.p50, peer.p99, peer.longest, peer.value, peer.perSecond].map((spread) =>
          spread === undefined ? "" : shown(spread.median)
        )
      ])
    )
  ])]
}

const goals = (results: Results): string => {
  const all = results.workloads.flatMap(({ goals, id }) => goals.map((goal) => ({ id, ...goal })))
  const missed = all.filter(({ met }) => !met)
  return `Of ${all.length} goals ${all.length - missed.length} are met${
    missed.length === 0
      ? "."
      : `; missed:\n\n${missed.map(({ found, goal, id }) => `- ${id}, ${goal}: ${shown(found)}`).join("\n")}`
  }`
}

const grown = (growth: Growth): string => {
  const peers = Object.keys(growth)
  const flat = peers.map((peer) =>
    new Map(
      Object.entries(growth[peer]!).flatMap(([name, figure]): Array<[string, number]> =>
        typeof figure === "number"
          ? [[name, figure]]
          : [[`memory over ${figure["minutes"]} minutes of mixed load (KiB/min)`, figure["KiB/min"]!]]
      )
    )
  )
  const names = new Set(flat.flatMap((figures) => [...figures.keys()]))
  return table([
    ["how it grows", ...peers],
    ...[...names].map((name) => [
      name,
      ...flat.map((figures) => {
        const figure = figures.get(name)
        return figure === undefined ? "" : shown(figure)
      })
    ])
  ])
}

/** What stands in the README. */
export const report = (results: Results | undefined, growth: Growth | undefined): string => {
  if (results === undefined) return "Not measured yet on a machine that was quiet: `npm run bench`."
  const families = [
    results.workloads.filter(({ id }) => id.startsWith("W")),
    results.workloads.filter(({ id }) => id.startsWith("S"))
  ].filter((workloads) => workloads.length > 0)
  return [
    `![ratios to the raw drivers](chart.svg)`,
    `Measured on ${results.date.slice(0, 10)} in ${results.rounds} rounds: ${
      Object.entries(results.machine).map(([name, value]) => `${name} ${value}`).join("; ")
    }. The first column is the raw driver's own figure, all others are ratios to it in the same round (medians). An empty ` +
    `field is what the peer cannot do, or is not measured with.`,
    ...families.flatMap((workloads) => [
      family(workloads),
      ...tails(workloads),
      ...figures("p99, ms", workloads.filter(({ peers }) => !peers.some(({ perSecond }) => perSecond)), ({ p99 }) => p99),
      ...figures("client CPU, s of 100,000", workloads, ({ cpu }) => cpu)
    ]),
    goals(results),
    ...(growth === undefined ? [] : [grown(growth)])
  ].join("\n\n")
}

const read = <A>(name: string): A | undefined => {
  try {
    // Written by this benchmark.
    return JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8")) as A
  } catch {
    return undefined
  }
}

/** The report on the files beside this one. */
export const current = (): string => report(read<Results>("results.json"), read<Growth>("waiters.json"))

const parts = (text: string): readonly [string, string, string] => {
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`README.md has no part between ${begin} and ${end}`)
  return [text.slice(0, from + begin.length), text.slice(from + begin.length, to), text.slice(to)]
}

/** What the README says. */
export const inReadme = (): string => parts(readFileSync(readme, "utf8"))[1].trim()

/** Writes the report into the README. */
export const writeReadme = (): void => {
  const [before, , after] = parts(readFileSync(readme, "utf8"))
  writeFileSync(readme, `${before}\n${current()}\n${after}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeReadme()
