/**
 * The process of one peer: opens it for one workload, and runs that as often as it is told.
 */
import { grow } from "./Growth.js"
import { collect, measure, type Measured } from "./Measure.js"
import type { Open, Target } from "./Peer.js"
import { moduleOf } from "./Peers.js"
import { growth, type Size, type Workload, workloads } from "./Workload.js"

/** What the process is started with, as JSON. */
export interface Job {
  readonly peer: string
  readonly target: Target
}

/** What it says to its parent. */
export type Message =
  | { readonly _tag: "Ready"; readonly leftOut: string | undefined }
  | { readonly _tag: "Measured"; readonly measured: Measured }
  | { readonly _tag: "Collected" }
  | { readonly _tag: "Failed"; readonly message: string }

const send = (message: Message): void => {
  process.send?.(message)
}

const failed = (error: unknown): void =>
  send({ _tag: "Failed", message: error instanceof Error ? error.stack ?? error.message : String(error) })

const findWorkload = (id: string): Workload => {
  const workload = [...workloads, ...growth].find((workload) => workload.id === id)
  if (workload === undefined) throw new Error(`no workload ${id}`)
  return workload
}

const main = async (): Promise<void> => {
  // holds because the parent writes it so
  const job = JSON.parse(process.argv[2]!) as Job
  const workload = findWorkload(job.target.workload)
  // holds because every peer's module exports it; what an operation is stays between the peer and its kind
  const { open } = await import(moduleOf(job.peer)) as { readonly open: Open<unknown> }
  const peer = await open(job.target)

  const run = (size: Size) => growth.includes(workload) ? grow(peer, workload, size) : measure(peer, workload, size)

  process.on("message", (size: Size | "collect" | "close") => {
    if (size === "collect") {
      collect()
      return send({ _tag: "Collected" })
    }
    if (size === "close") {
      peer.close().then(() => process.disconnect?.(), failed)
      return
    }
    run(size).then(
      (measured) =>
        measured === undefined
          ? failed(new Error("measured nothing"))
          : send({ _tag: "Measured", measured }),
      failed
    )
  })

  // asks for nothing, and says so when there is nothing to ask for
  const probe = await run({ count: 0, fibers: 1 })
  send({
    _tag: "Ready",
    leftOut: peer.leftOut[workload.id] ?? (probe === undefined ? "not part of it" : undefined)
  })
}

main().catch((error) => {
  failed(error)
  process.exitCode = 1
})
