/** knex over `pg`, with its query builder. */
import knex from "knex"
import { type Answer, type Open, promisePeer } from "../Peer.js"
import { type BulkRow, type Item, statements, sumOf } from "../Workload.js"

export const open: Open<Answer> = async (target) => {
  const db = knex({
    client: "pg",
    connection: target.url,
    pool: { min: 0, max: target.connections }
  })
  const item = (id: number) =>
    db<Item>("item").select("id", "num", "name", "body", "active").where({ id } as Partial<Item>).first<Item>()
  return promisePeer({
    operations: {
      select: async (id) => sumOf(await item(id)),
      session: async (id) => {
        const connection: unknown = await db.client.acquireConnection()
        try {
          await db.raw(statements.ping).connection(connection)
          return sumOf(await item(id).connection(connection))
        } finally {
          await db.client.releaseConnection(connection)
        }
      },
      transaction: (id, amount) =>
        db.transaction(async (tx) => {
          const found = await tx("account").select("id", "balance").where({ id })
          await tx("account").where({ id }).increment("balance", amount)
          await tx("entry").insert({ account_id: id, amount })
          return found.length
        }),
      bulk: async (rows) => {
        const answer: unknown = await db<BulkRow>("bulk").insert([...rows])
        return (answer as { readonly rowCount: number }).rowCount
      },
      stream: async (count) => {
        let sum = 0
        const rows: AsyncIterable<{ readonly id: number }> = db
          .select("id", db.raw("id * 7 AS num"), db.raw("'name of the row' AS name"))
          .from(db.raw("(SELECT generate_series(1, ?::int) AS id) AS made", [count]))
          .stream({ batchSize: 1000, highWaterMark: 1000 })
        for await (const row of rows) sum += row.id
        return sum
      },
      checkout: async (lent, hold) => {
        const connection: unknown = await db.client.acquireConnection()
        lent()
        if (hold !== undefined) await hold()
        await db.client.releaseConnection(connection)
        return 1
      }
    },
    close: () => db.destroy()
  })
}
