/**
 * Runs the benchmark: every peer in its own process, one after the other, round by round.
 *
 *     npm run bench -- [--peers pg,dblive] [--workloads W1,S2] [--rounds 5] [--quick]
 *
 * A whole run writes `results.json` and `chart.svg` beside this file, and the README's table; with `--workloads` only those
 * rows are written anew.
 * A run with `--quick` or `--peers` writes to `.runs/`, because it is no honest table.
 */
import { existsSync, rmSync } from "node:fs"
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { cpus, loadavg, platform, release, tmpdir, totalmem } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { build, edition } from "./Build.js"
import { draw } from "./Chart.js"
import type { Measured } from "./Measure.js"
import { type PeerEntry, peers as allPeers, versionOf } from "./Peers.js"
import { type PeerProcess, startProcess } from "./Process.js"
import { writeReadme } from "./Report.js"
import { goalsOf, peerResult, print, type Results, type WorkloadResult } from "./Results.js"
import { countRows, makeFile, makeServer, type Server } from "./Server.js"
import { connections, type Workload, workloads } from "./Workload.js"

const here = dirname(fileURLToPath(import.meta.url))

const { values: options } = parseArgs({
  options: {
    peers: { type: "string" },
    workloads: { type: "string" },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false }
  }
})

/** Whether Node has a module that is good for `dblive`: node:sqlite from 24.16 on. */
const hasModule = (name: string): boolean => {
  const module = process.getBuiltinModule?.(name) as { readonly DatabaseSync?: { readonly prototype: object } } | undefined
  return module?.DatabaseSync !== undefined && "serialize" in module.DatabaseSync.prototype
}

const list = (given: string | undefined, known: ReadonlyArray<string>, what: string): ReadonlyArray<string> => {
  if (given === undefined) return known
  const names = given.split(",").map((name) => name.trim())
  // `W6` stands for `W6.free` and `W6.contended`
  const found = names.flatMap((name) => {
    const matching = known.filter((candidate) => candidate === name || candidate.startsWith(`${name}.`))
    if (matching.length === 0) throw new Error(`No ${what} "${name}". There are: ${known.join(", ")}`)
    return matching
  })
  return known.filter((name) => found.includes(name))
}

/** Those that can be run here. */
const peers = allPeers.filter(({ needs }) =>
  needs === undefined || (needs === "node:sqlite" ? hasModule(needs) : existsSync(edition))
)

const wantedNames = list(options.peers, peers.map((peer) => peer.name), "peer")
const wantedPeers = peers.filter((peer) => peer.baseline === true || wantedNames.includes(peer.name))
const wantedWorkloads = list(options.workloads, workloads.map((workload) => workload.id), "workload")
const rounds = options.rounds === undefined ? (options.quick ? 3 : 5) : Number(options.rounds)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds takes a whole number")

const countOf = (workload: Workload): number => options.quick ? workload.quick : workload.full

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

interface Place {
  readonly folder: string
  readonly temporary: string
  readonly template: string
  readonly server: Server | undefined
}

const start = async (place: Place, peer: PeerEntry, workload: Workload): Promise<PeerProcess> => {
  const file = join(place.temporary, `${peer.name}.db`)
  if (peer.family === "sqlite") {
    for (const suffix of ["-wal", "-shm"]) await rm(file + suffix, { force: true })
    await copyFile(place.template, file)
  }
  const started = await startProcess(place.folder, {
    peer: peer.name,
    target: { family: peer.family, workload: workload.id, url: place.server?.url ?? "", file, connections }
  })
  if (started.leftOut === undefined) {
    await checked(place, peer, workload, started, workload.warm)
  }
  return started
}

const rowsIn = async (place: Place, peer: PeerEntry, table: string): Promise<number> =>
  peer.family === "sqlite"
    ? countRows(join(place.temporary, `${peer.name}.db`), table)
    : Number((await place.server!.query(`SELECT count(*)::int AS n FROM ${table}`))[0]!.n)

/** One run, whose answers and rows are checked. */
const checked = async (
  place: Place,
  peer: PeerEntry,
  workload: Workload,
  started: PeerProcess,
  count: number
): Promise<Measured> => {
  const { written } = workload
  if (written !== undefined && peer.family === "postgresql") await place.server!.query(`TRUNCATE ${written.table}`)
  const before = written === undefined ? 0 : await rowsIn(place, peer, written.table)
  const measured = await started.run({ count, fibers: workload.fibers })
  if (measured.checksum !== workload.checksum(count)) {
    throw new Error(`wrong checksum: ${measured.checksum} instead of ${workload.checksum(count)}`)
  }
  if (written !== undefined) {
    const rows = await rowsIn(place, peer, written.table) - before
    if (rows !== written.rows(count)) throw new Error(`wrote ${rows} rows instead of ${written.rows(count)}`)
  }
  return measured
}

const runWorkload = async (place: Place, workload: Workload): Promise<WorkloadResult> => {
  const taking = wantedPeers.filter((peer) =>
    peer.family === workload.family &&
    (peer.only === undefined || peer.only.includes(workload.id))
  )
  const baseline = taking.find((peer) => peer.baseline === true)!
  const running = new Map<string, PeerProcess>()
  const measured = new Map<string, Array<Measured>>()
  const leftOut: Record<string, string> = {}
  const failed: Record<string, string> = {}
  const drop = async (peer: PeerEntry): Promise<void> => {
    await running.get(peer.name)?.close()
    running.delete(peer.name)
    measured.delete(peer.name)
  }
  try {
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < taking.length; i++) {
        // no peer always runs after the same one
        const peer = taking[(i + round) % taking.length]!
        if (peer.name in leftOut || peer.name in failed) continue
        try {
          let started = running.get(peer.name)
          if (started === undefined) {
            started = await start(place, peer, workload)
            running.set(peer.name, started)
          }
          if (started.leftOut !== undefined) {
            leftOut[peer.name] = started.leftOut
            await drop(peer)
            continue
          }
          // Each round begins collected and warm: pools that close idle connections did so while the others ran, and what the
          // collection took along of the compiled code is compiled again. Neither is what is measured.
          await started.collect()
          await started.run({ count: workload.warm, fibers: workload.fibers })
          const result = await checked(place, peer, workload, started, countOf(workload))
          measured.set(peer.name, [...measured.get(peer.name) ?? [], result])
          if (workload.fresh) {
            running.delete(peer.name)
            await started.close()
          }
        } catch (error) {
          await drop(peer)
          // there is nothing to compare with
          if (peer === baseline) throw error
          process.exitCode = 1
          process.stderr.write(`${String(error)}\n`)
          failed[peer.name] = error instanceof Error ? error.message.split("\n")[0]! : String(error)
        }
      }
    }
  } finally {
    await Promise.all([...running.values()].map((started) => started.close()))
  }
  const results = await Promise.all(
    taking.filter((peer) => measured.has(peer.name)).map(async (peer) =>
      peerResult(peer.name, await versionOf(peer), measured.get(peer.name)!, measured.get(baseline.name)!)
    )
  )
  return {
    id: workload.id,
    title: workload.title,
    unit: workload.unit,
    better: workload.better,
    count: countOf(workload),
    fibers: workload.fibers,
    baseline: baseline.name,
    peers: results,
    leftOut,
    failed,
    goals: goalsOf(workload, results)
  }
}

const previous = async (file: string): Promise<Pick<Results, "machine" | "workloads">> => {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Results
  } catch {
    return { machine: {}, workloads: [] }
  }
}

const main = async (): Promise<void> => {
  const chosen = workloads.filter((workload) => wantedWorkloads.includes(workload.id))
  // fails before the long wait
  await Promise.all(wantedPeers.map(versionOf))
  const folder = await build()
  const temporary = await mkdtemp(join(tmpdir(), "dblive-benchmark-"))
  process.once("exit", () => rmSync(temporary, { recursive: true, force: true }))
  const template = join(temporary, "template.db")
  let server: Server | undefined
  try {
    const scan = workloads.find((workload) => workload.id === "S4")!
    const sqlite = chosen.some((workload) => workload.family === "sqlite")
      ? makeFile(template, countOf(scan))
      : undefined
    server = chosen.some((workload) => workload.family === "postgresql") ? await makeServer() : undefined
    const machine = {
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: cpus().length,
      memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
      system: `${platform()} ${release()}`,
      node: process.versions.node,
      "load at the start": Number(loadavg()[0]!.toFixed(2)),
      ...(server === undefined ? {} : { postgresql: server.version, "postgresql settings": server.settings }),
      ...(sqlite === undefined ? {} : { sqlite, "sqlite settings": "WAL, synchronous=NORMAL" })
    }
    say(Object.entries(machine).map(([key, value]) => `${key}: ${value}`).join("\n") + "\n")
    if (loadavg()[0]! > cpus().length / 2) {
      say("The machine is busy with other things: ratios between peers will be far apart from round to round.\n")
    }
    const found: Array<WorkloadResult> = []
    for (const workload of chosen) {
      const result = await runWorkload({ folder, temporary, template, server }, workload)
      found.push(result)
      say(print(result))
    }
    const whole = !options.quick && options.peers === undefined
    const target = whole ? here : join(here, ".runs")
    await mkdir(target, { recursive: true })
    const file = join(target, "results.json")
    const kept = whole && options.workloads !== undefined ? await previous(file) : { machine: {}, workloads: [] }
    const results: Results = {
      date: new Date().toISOString(),
      // Of a database whose rows are kept its description is kept, too.
      machine: { ...kept.machine, ...machine },
      rounds,
      workloads: workloads.flatMap(({ id }) =>
        found.find((result) => result.id === id) ?? kept.workloads.find((result) => result.id === id) ?? []
      )
    }
    await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
    await writeFile(join(target, "chart.svg"), draw(results))
    if (whole) writeReadme()
    say(`written: ${file}${whole ? ", chart.svg and the README" : ""}, after ${Math.round(performance.now() / 60_000)} minutes`)
  } finally {
    await server?.close()
    await rm(temporary, { recursive: true, force: true })
  }
}

await main()
