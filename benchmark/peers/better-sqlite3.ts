/** Raw `better-sqlite3`, statements prepared once: what the SQLite peers are measured against. */
import Sqlite from "better-sqlite3"
import { type Answer, type Open, promisePeer, sleep } from "../Peer.js"
import { type Item, sqliteStatements, sumOf } from "../Workload.js"

const openFile = (file: string): Sqlite.Database => {
  const db = new Sqlite(file)
  db.pragma("journal_mode = WAL")
  db.pragma("synchronous = NORMAL")
  return db
}

export const open: Open<Answer> = async (target) => {
  const db = openFile(target.file)
  const item = db.prepare<[number], Item>(sqliteStatements.item)
  const entry = db.prepare<[number, number]>(sqliteStatements.entry)
  const batch = db.transaction((count: number, amount: number) => {
    for (let i = 0; i < count; i++) entry.run(i, amount)
    return count
  })
  return promisePeer({
    operations: {
      select: (id) => sumOf(item.get(id)!),
      insert: (id, amount) => entry.run(id, amount).changes,
      batch: (count, amount) => batch.immediate(count, amount),
      list: (count, amount) => batch.immediate(count, amount),
      stream: (count) => {
        let sum = 0
        for (const row of db.prepare<[number], { readonly id: number }>(sqliteStatements.scan).iterate(count)) {
          sum += row.id
        }
        return sum
      },
      heavy: (n) => db.prepare<[number], { readonly n: number }>(sqliteStatements.heavy).get(n)!.n,
      writing: async (more) => {
        // a handle of its own: on the readers' handle they would be part of the transaction
        const writer = openFile(target.file)
        const insert = writer.prepare<[number, number]>(sqliteStatements.entry)
        writer.exec("BEGIN IMMEDIATE")
        while (more()) {
          insert.run(1, 1)
          await sleep(5)
        }
        writer.exec("COMMIT")
        writer.close()
        return 0
      }
    },
    close: async () => db.close()
  })
}
