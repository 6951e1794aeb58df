/**
 * How the cost grows: throughput from 1 to 10,000 fibers on 10 connections, memory of a waiting fiber and of an open
 * connection, and, with `--soak <minutes>`, dblive's memory over time.
 *
 *     npx tsx benchmark/waiters.ts [--peers pg,dblive] [--quick] [--soak 10]
 */
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { build } from "./Build.js"
import type { Measured } from "./Measure.js"
import { writeReadme } from "./Report.js"
import { startProcess } from "./Process.js"
import { makeServer } from "./Server.js"
import { connections, growth, type Size, type Workload, workloads } from "./Workload.js"

const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: "pg,effect-sql-pg,dblive,effect-floor" },
    quick: { type: "boolean", default: false },
    soak: { type: "string" }
  }
})

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const main = async (): Promise<void> => {
  const folder = await build()
  const server = await makeServer()
  const find = (id: string): Workload => [...workloads, ...growth].find((workload) => workload.id === id)!
  const run = async (
    peer: string,
    workload: Workload,
    sizes: ReadonlyArray<Size>,
    settings: { readonly connections: number; readonly seconds?: number } = { connections }
  ): Promise<ReadonlyArray<Measured>> => {
    const started = await startProcess(folder, {
      peer,
      target: {
        family: "postgresql",
        workload: workload.id,
        url: server.url,
        file: "",
        connections: settings.connections
      }
    })
    try {
      if (started.leftOut !== undefined) return []
      const found: Array<Measured> = []
      for (const size of sizes) found.push(await started.run(size, settings.seconds))
      return found
    } finally {
      await started.close()
    }
  }
  const results: Record<string, Record<string, number | Record<string, number>>> = {}
  try {
    for (const peer of options.peers.split(",")) {
      const result: (typeof results)[string] = {}
      results[peer] = result
      say(peer)

      const select = find("W1")
      const fibers = [1, 10, 64, 100, 1_000, 10_000]
      const count = options.quick ? 10_000 : 40_000
      const warm = { count: select.warm, fibers: 64 }
      const runs = await run(peer, select, [
        warm,
        ...fibers.map((fibers) => ({ count: Math.max(count, fibers * 8), fibers }))
      ])
      for (const [i, measured] of runs.slice(1).entries()) {
        result[`selects/s, ${fibers[i]} fibers`] = Math.round(measured.value)
        say(`  ${fibers[i]} fibers: ${Math.round(measured.value)} selects/s, p99 ${measured.p99!.toFixed(2)} ms`)
      }

      const waiting = find("G.waiting")
      const waiters = options.quick ? waiting.quick : waiting.full
      const [, perWaiter] = await run(peer, waiting, [
        { count: waiting.warm, fibers: connections },
        { count: waiters, fibers: connections }
      ])
      if (perWaiter !== undefined) {
        result["bytes per waiting fiber"] = Math.round(perWaiter.value)
        say(`  ${Math.round(perWaiter.value)} bytes per waiting fiber (${waiters} of them)`)
      }

      const opened = find("G.connection")
      const open = options.quick ? opened.quick : opened.full
      const [perConnection] = await run(peer, opened, [{ count: open, fibers: 1 }], { connections: open })
      if (perConnection !== undefined) {
        result["bytes per open connection"] = Math.round(perConnection.value)
        say(`  ${Math.round(perConnection.value)} bytes per open connection (${open} of them)`)
      }

      if (options.soak !== undefined && peer === "dblive") {
        const seconds = Number(options.soak) * 60
        const soak = find("G.soak")
        const [grown] = await run(peer, soak, [{ count: seconds, fibers: soak.fibers }], {
          connections,
          seconds: seconds + 120
        })
        if (grown !== undefined) {
          result["soak"] = { minutes: seconds / 60, "KiB/min": grown.value, "MiB at the end": grown.memory! }
          say(`  ${seconds} s of mixed load: ${grown.value.toFixed(1)} KiB/min, ${grown.memory!.toFixed(2)} MiB in all`)
        }
      }
    }
    const target = join(dirname(fileURLToPath(import.meta.url)), options.quick ? ".runs" : ".")
    await mkdir(target, { recursive: true })
    await writeFile(join(target, "waiters.json"), `${JSON.stringify(results, null, 2)}\n`)
    if (!options.quick) writeReadme()
  } finally {
    await server.close()
  }
}

await main()
