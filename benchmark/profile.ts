/**
 * Where the time goes: CPU profiles of W1 and W3 in `profiles/`, to be opened in Chrome's DevTools or an editor, and
 * the functions that took most of it.
 *
 *     npm run bench:profile -- [--peers dblive] [--workloads W1,W3] [--fibers 64] [--top 30]
 */
import { mkdir, readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { build } from "./Build.js"
import { startProcess } from "./Process.js"
import { makeServer } from "./Server.js"
import { connections, workloads } from "./Workload.js"

const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: "dblive" },
    workloads: { type: "string", default: "W1,W3" },
    fibers: { type: "string" },
    top: { type: "string", default: "30" }
  }
})

const profiles = join(dirname(fileURLToPath(import.meta.url)), "profiles")

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

/** Where a file comes from: the package's name, or the file in this repository. */
const placeOf = (url: string): string => {
  const installed = url.lastIndexOf("node_modules/")
  if (installed >= 0) {
    const parts = url.slice(installed + "node_modules/".length).split("/")
    return parts[0]!.startsWith("@") ? `${parts[0]}/${parts[1]}` : parts[0]!
  }
  const built = url.indexOf(".build/")
  if (built >= 0) return url.slice(built + ".build/".length)
  return url === "" ? "(engine)" : url.startsWith("node:") ? "node" : url
}

const summary = (profile: Profile, top: number): string => {
  const own = new Map<number, number>()
  profile.samples.forEach((id, i) => own.set(id, (own.get(id) ?? 0) + profile.timeDeltas[i]!))
  const functions = new Map<string, number>()
  const places = new Map<string, number>()
  let total = 0
  for (const { callFrame, id } of profile.nodes) {
    const time = own.get(id) ?? 0
    if (callFrame.functionName === "(idle)" || callFrame.functionName === "(root)") continue
    total += time
    const place = placeOf(callFrame.url)
    const name = `${callFrame.functionName === "" ? "(anonymous)" : callFrame.functionName}  ${
      callFrame.url === "" ? place : `${place}/${callFrame.url.split("/").pop()}:${callFrame.lineNumber + 1}`
    }`
    functions.set(name, (functions.get(name) ?? 0) + time)
    places.set(place, (places.get(place) ?? 0) + time)
  }
  const list = (times: Map<string, number>, count: number): string =>
    [...times].sort((a, b) => b[1] - a[1]).slice(0, count)
      .map(([name, time]) => `  ${(time / total * 100).toFixed(1).padStart(5)} %  ${name}`).join("\n")
  return `of ${(total / 1e6).toFixed(2)} s of CPU:\n${list(places, 15)}\n\n${list(functions, top)}\n`
}

const main = async (): Promise<void> => {
  await mkdir(profiles, { recursive: true })
  const folder = await build()
  const server = await makeServer()
  try {
    for (const peer of options.peers.split(",")) {
      for (const id of options.workloads.split(",")) {
        const workload = workloads.find((workload) => workload.id === id)
        if (workload === undefined) throw new Error(`No workload "${id}"`)
        const name = `${peer}-${id}.cpuprofile`
        const started = await startProcess(
          folder,
          { peer, target: { family: workload.family, workload: id, url: server.url, file: "", connections } },
          ["--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}`]
        )
        const measured = await started.run({
          count: workload.full * 2,
          fibers: Number(options.fibers ?? workload.fibers)
        })
        await started.close()
        const profile: Profile = JSON.parse(await readFile(join(profiles, name), "utf8"))
        process.stdout.write(
          `${peer}, ${id}: ${Math.round(measured.value)} ${workload.unit} while profiled, benchmark/profiles/${name}\n`
        )
        process.stdout.write(`${summary(profile, Number(options.top))}\n`)
      }
    }
  } finally {
    await server.close()
  }
}

await main()
