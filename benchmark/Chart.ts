/**
 * The chart of the README: for each workload the ratios of the peers, on a logarithmic scale.
 */
import type { Results, WorkloadResult } from "./Results.js"

const width = 1000
const left = 360
const right = 30
const rowHeight = 34
const top = 92

const colors: Record<string, string> = {
  dblive: "#d9480f",
  "dblive-unshared": "#ffa94d",
  "dblive-traced": "#f08c00",
  "dblive-sqlite": "#d9480f",
  "dblive-node-sqlite": "#e8590c",
  "dblive-sqlite-worker": "#f08c00",
  "pg-named": "#1971c2",
  postgres: "#2f9e44",
  "effect-sql-pg": "#6741d9",
  "effect4-dblive": "#fab005",
  "effect4-sql-pg": "#e599f7",
  "effect4-sql-pg-multiplex": "#c2255c",
  "effect-sql-sqlite": "#6741d9",
  "effect-pool": "#9c36b5",
  "effect-floor": "#cc8ddb",
  "better-sqlite3-worker": "#1971c2",
  kysely: "#0c8599",
  "kysely-sqlite": "#0c8599",
  drizzle: "#66a80f",
  knex: "#868e96",
  typeorm: "#495057",
  slonik: "#a98467"
}

const escape = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")

const lowest = 0.02
const highest = 20

const x = (ratio: number): number => {
  const inside = Math.min(highest, Math.max(lowest, ratio))
  return left + (width - left - right) * Math.log(inside / lowest) / Math.log(highest / lowest)
}

/** How many times as good as the baseline, whichever way the unit counts. */
const times = (result: WorkloadResult, ratio: number): number => result.better === "more" ? ratio : 1 / ratio

/** Draws the results. */
export const draw = (results: Results): string => {
  const shown = results.workloads
  const names = [...new Set(shown.flatMap((result) => result.peers.map((peer) => peer.peer)))]
    .filter((name) => name in colors)
  const perLine = 5
  const legendLines = Math.ceil(names.length / perLine)
  const begin = top + legendLines * 20
  const height = begin + shown.length * rowHeight + 50
  const lines: Array<string> = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="20" y="30" font-size="17" font-weight="600" fill="#212529">Speed as a multiple of the raw driver's in the same round</text>`,
    `<text x="20" y="50" fill="#495057">further right is better; 1 is raw pg, or raw better-sqlite3; median of ${results.rounds} round${
      results.rounds === 1 ? "" : "s"
    }</text>`,
    `<text x="20" y="68" fill="#868e96">${
      escape(`${results.machine.cpu}, ${results.machine.cores} cores, Node ${results.machine.node}`)
    }</text>`
  ]
  names.forEach((name, i) => {
    const at = 20 + (i % perLine) * 194
    const y = top + Math.floor(i / perLine) * 20
    lines.push(
      `<circle cx="${at + 5}" cy="${y - 4}" r="5" fill="${colors[name]}"/>`,
      `<text x="${at + 15}" y="${y}" fill="#212529">${escape(name)}</text>`
    )
  })
  const bottom = begin + shown.length * rowHeight
  for (const tick of [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]) {
    lines.push(
      `<line x1="${x(tick)}" x2="${x(tick)}" y1="${begin}" y2="${bottom}" stroke="${
        tick === 1 ? "#212529" : "#e9ecef"
      }"/>`,
      `<text x="${x(tick)}" y="${bottom + 18}" text-anchor="middle" fill="#495057">${tick}</text>`
    )
  }
  shown.forEach((result, row) => {
    const y = begin + row * rowHeight + rowHeight / 2
    const [first, ...rest] = result.title.split(/[,:;] /)
    lines.push(
      `<text x="20" y="${y - 1}" font-weight="600" fill="#212529">${escape(result.id)}</text>`,
      `<text x="112" y="${y - 1}" fill="#212529" font-size="11">${
        escape(first!.length > 44 ? `${first!.slice(0, 42)}…` : first!)
      }</text>`,
      `<text x="112" y="${y + 12}" fill="#868e96" font-size="10">${escape(rest.join(", ").slice(0, 48))}</text>`
    )
    // ours last, so that nothing covers it
    const ordered = [...result.peers].sort((a, b) =>
      Number(a.peer.startsWith("dblive")) - Number(b.peer.startsWith("dblive"))
    )
    for (const peer of ordered) {
      const color = colors[peer.peer]
      if (color === undefined) continue
      const ours = peer.peer.startsWith("dblive")
      const ratio = times(result, peer.ratio.median)
      lines.push(
        `<line x1="${x(times(result, peer.ratio.min))}" x2="${
          x(times(result, peer.ratio.max))
        }" y1="${y}" y2="${y}" stroke="${color}" stroke-opacity="0.45" stroke-width="3"/>`,
        `<circle cx="${x(ratio)}" cy="${y}" r="${ours ? 7 : 5}" fill="${color}" stroke="#ffffff"><title>${
          escape(`${result.id} ${peer.peer}: ${ratio.toFixed(2)}`)
        }</title></circle>`
      )
    }
  })
  lines.push("</svg>")
  return lines.join("\n") + "\n"
}
