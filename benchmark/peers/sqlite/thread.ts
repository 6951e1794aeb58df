/**
 * The thread of the peer `better-sqlite3-worker`: the least that runs statements elsewhere.
 */
import Sqlite from "better-sqlite3"
import { parentPort, workerData } from "node:worker_threads"

/** What the thread is asked: a statement, a list of its parameters in one transaction, or the next rows of a reader. */
export interface Question {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
  readonly mode: "all" | "run" | "list" | "open" | "next"
}

const db = new Sqlite(String(workerData))
db.pragma("journal_mode = WAL")
db.pragma("synchronous = NORMAL")
const prepared = new Map<string, Sqlite.Statement>()
let rows: Iterator<unknown> | undefined

const all = db.transaction((statement: Sqlite.Statement, list: ReadonlyArray<unknown>) => {
  for (const params of list) statement.run(params)
  return list.length
})

const answer = (question: Question): unknown => {
  let statement = prepared.get(question.text)
  if (statement === undefined) {
    statement = db.prepare(question.text)
    prepared.set(question.text, statement)
  }
  switch (question.mode) {
    case "all":
      return statement.all(...question.params)
    case "run":
      return statement.run(...question.params).changes
    case "list":
      return all.immediate(statement, question.params)
    case "open":
      rows = statement.iterate(...question.params)
      return undefined
    case "next": {
      const chunk: Array<unknown> = []
      while (chunk.length < 1000) {
        const next = rows!.next()
        if (next.done === true) break
        chunk.push(next.value)
      }
      return chunk
    }
  }
}

parentPort!.on("message", (question: Question) => parentPort!.postMessage(answer(question)))
