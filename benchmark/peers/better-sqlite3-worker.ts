/** Raw `better-sqlite3` in a bare worker thread: the least that a statement costs when it must not block. */
import { Worker } from "node:worker_threads"
import { type Answer, type Open, promisePeer, sleep } from "../Peer.js"
import { type Item, sqliteStatements, sumOf } from "../Workload.js"
import type { Question } from "./sqlite/thread.js"

const start = (file: string) => {
  const worker = new Worker(new URL("./sqlite/thread.js", import.meta.url), { workerData: file })
  const waiting: Array<(answer: unknown) => void> = []
  worker.on("message", (answer: unknown) => waiting.shift()!(answer))
  worker.on("error", (error) => {
    throw error
  })
  return {
    // answers come in the order of the questions
    ask: <A>(mode: Question["mode"], text: string, params: ReadonlyArray<unknown>) =>
      new Promise<A>((resolve) => {
        // holds because the caller names the type of what its own SQL gives
        waiting.push((answer) => resolve(answer as A))
        worker.postMessage({ mode, text, params } satisfies Question)
      }),
    stop: () => worker.terminate()
  }
}

export const open: Open<Answer> = async (target) => {
  const thread = start(target.file)
  return promisePeer({
    operations: {
      select: async (id) => sumOf((await thread.ask<Array<Item>>("all", sqliteStatements.item, [id]))[0]!),
      insert: (id, amount) => thread.ask<number>("run", sqliteStatements.entry, [id, amount]),
      batch: async (count, amount) => {
        await thread.ask("run", "BEGIN IMMEDIATE", [])
        for (let i = 0; i < count; i++) await thread.ask("run", sqliteStatements.entry, [i, amount])
        await thread.ask("run", "COMMIT", [])
        return count
      },
      list: async (count, amount) => {
        const params = Array.from({ length: count }, (_, i) => [i, amount])
        return thread.ask<number>("list", sqliteStatements.entry, params)
      },
      stream: async (count) => {
        let sum = 0
        await thread.ask("open", sqliteStatements.scan, [count])
        for (;;) {
          const rows = await thread.ask<Array<{ readonly id: number }>>("next", sqliteStatements.scan, [])
          if (rows.length === 0) return sum
          for (const row of rows) sum += row.id
        }
      },
      heavy: async (n) => (await thread.ask<Array<{ readonly n: number }>>("all", sqliteStatements.heavy, [n]))[0]!.n,
      writing: async (more) => {
        const writer = start(target.file)
        await writer.ask("run", "BEGIN IMMEDIATE", [])
        while (more()) {
          await writer.ask("run", sqliteStatements.entry, [1, 1])
          await sleep(5)
        }
        await writer.ask("run", "COMMIT", [])
        await writer.stop()
        return 0
      }
    },
    close: () => thread.stop()
  })
}
