/** typeorm over `pg`: repositories for reading and writing, a query runner for what needs one connection. */
import "reflect-metadata"
import { DataSource, EntitySchema } from "typeorm"
import { type Answer, type Open, promisePeer } from "../Peer.js"
import { type BulkRow, type Item, statements, sumOf } from "../Workload.js"

const item = new EntitySchema<Item>({
  name: "item",
  columns: {
    id: { type: "int", primary: true },
    num: { type: "int" },
    name: { type: "text" },
    body: { type: "text" },
    active: { type: "boolean" }
  }
})
const account = new EntitySchema<{ id: number; balance: string }>({
  name: "account",
  columns: { id: { type: "int", primary: true }, balance: { type: "bigint" } }
})
const entry = new EntitySchema<{ id: string; account_id: number; amount: number }>({
  name: "entry",
  columns: {
    id: { type: "bigint", primary: true, generated: "increment" },
    account_id: { type: "int" },
    amount: { type: "int" }
  }
})
const bulk = new EntitySchema<BulkRow>({
  name: "bulk",
  columns: { id: { type: "int", primary: true }, num: { type: "int" }, name: { type: "text" } }
})

export const open: Open<Answer> = async (target) => {
  const source = await new DataSource({
    type: "postgres",
    url: target.url,
    poolSize: target.connections,
    entities: [item, account, entry, bulk]
  }).initialize()
  const items = source.getRepository(item)
  return promisePeer({
    operations: {
      select: async (id) => sumOf((await items.findOneBy({ id }))!),
      session: async (id) => {
        const runner = source.createQueryRunner()
        try {
          await runner.query(statements.ping)
          return sumOf((await runner.manager.getRepository(item).findOneBy({ id }))!)
        } finally {
          await runner.release()
        }
      },
      transaction: (id, amount) =>
        source.transaction(async (manager) => {
          const found = await manager.findBy(account, { id })
          await manager.increment(account, { id }, "balance", amount)
          await manager.insert(entry, { account_id: id, amount })
          return found.length
        }),
      bulk: async (rows) => (await source.manager.insert(bulk, [...rows])).identifiers.length,
      stream: async (count) => {
        const runner = source.createQueryRunner()
        let sum = 0
        for await (const row of await runner.stream(statements.series, [count])) sum += (row as { id: number }).id
        await runner.release()
        return sum
      },
      checkout: async (lent, hold) => {
        const runner = source.createQueryRunner()
        await runner.connect()
        lent()
        if (hold !== undefined) await hold()
        await runner.release()
        return 1
      }
    },
    close: () => source.destroy()
  })
}
