/**
 * Starts and drives the process of one peer.
 */
import { fork } from "node:child_process"
import { join } from "node:path"
import type { Measured } from "./Measure.js"
import type { Job, Message } from "./Worker.js"
import type { Size } from "./Workload.js"

/** A peer's process. */
export interface PeerProcess {
  /** Why the peer leaves the workload out. */
  readonly leftOut: string | undefined
  /** Runs the workload once; `seconds`: longer than the run should take, then the peer has failed. */
  readonly run: (size: Size, seconds?: number) => Promise<Measured>
  /** Frees what is not used any more. A warm-up belongs behind it. */
  readonly collect: () => Promise<void>
  readonly close: () => Promise<void>
}

const patience = 300

/** Starts it; `folder` is that of the compiled benchmark. */
export const startProcess = async (
  folder: string,
  job: Job,
  execArgv: ReadonlyArray<string> = []
): Promise<PeerProcess> => {
  const child = fork(join(folder, "Worker.js"), [JSON.stringify(job)], {
    execArgv: ["--expose-gc", ...execArgv],
    // a proxy or a development mode of the caller's must not change the measurement
    env: { ...process.env, NODE_ENV: "production" },
    stdio: ["ignore", "ignore", "pipe", "ipc"]
  })
  let errors = ""
  child.stderr!.on("data", (chunk) => {
    errors = (errors + String(chunk)).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const answer = <Tag extends Message["_tag"]>(
    tag: Tag,
    seconds: number = patience
  ): Promise<Extract<Message, { readonly _tag: Tag }>> =>
    new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${job.peer}, ${job.target.workload}: ${why}`))
      const timer = setTimeout(() => {
        child.kill("SIGKILL")
        fail(`no answer in ${seconds} s`)
      }, seconds * 1000)
      const onExit = () => {
        clearTimeout(timer)
        fail(`the process ended\n${errors}`)
      }
      child.once("exit", onExit)
      child.once("message", (message: Message) => {
        clearTimeout(timer)
        child.off("exit", onExit)
        if (message._tag === "Failed") {
          child.kill("SIGKILL")
          fail(message.message)
          // holds because the tags are equal
        } else if (message._tag === tag) resolve(message as Extract<Message, { readonly _tag: Tag }>)
        else fail(`answered ${message._tag}`)
      })
    })
  const ready = await answer("Ready")
  return {
    leftOut: ready.leftOut,
    run: async (size, seconds) => {
      const measured = answer("Measured", seconds)
      child.send(size)
      return (await measured).measured
    },
    collect: async () => {
      const collected = answer("Collected")
      child.send("collect")
      await collected
    },
    close: async () => {
      if (child.connected) child.send("close")
      // a peer that does not end by itself has nothing left to say
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000)
      await exited
      clearTimeout(timer)
    }
  }
}
