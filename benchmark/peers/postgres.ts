/** postgres.js: it prepares by itself, and pipelines. */
import postgres from "postgres"
import { type Answer, type Open, promisePeer } from "../Peer.js"
import { type Item, statements, sumOf } from "../Workload.js"

export const open: Open<Answer> = async (target) => {
  const sql = postgres(target.url, { max: target.connections, onnotice: () => {} })
  const item = (on: postgres.Sql | postgres.ReservedSql, id: number) =>
    on<Array<Item>>`SELECT id, num, name, body, active FROM item WHERE id = ${id}`
  return promisePeer({
    operations: {
      select: async (id) => sumOf((await item(sql, id))[0]!),
      session: async (id) => {
        const reserved = await sql.reserve()
        try {
          await reserved.unsafe(statements.ping)
          return sumOf((await item(reserved, id))[0]!)
        } finally {
          reserved.release()
        }
      },
      transaction: async (id, amount) =>
        sql.begin(async (sql) => {
          const account = await sql`SELECT id, balance FROM account WHERE id = ${id}`
          await sql`UPDATE account SET balance = balance + ${amount} WHERE id = ${id}`
          await sql`INSERT INTO entry (account_id, amount) VALUES (${id}, ${amount})`
          return account.length
        }),
      bulk: async (rows) => (await sql`INSERT INTO bulk ${sql(rows, "id", "num", "name")}`).count,
      stream: async (count) => {
        let sum = 0
        await sql.unsafe<Array<{ id: number }>>(statements.series, [count]).cursor(1000, (rows) => {
          for (const row of rows) sum += row.id
        })
        return sum
      },
      checkout: async (lent, hold) => {
        const reserved = await sql.reserve()
        lent()
        if (hold !== undefined) await hold()
        reserved.release()
        return 1
      }
    },
    close: () => sql.end()
  })
}
