/** slonik: its pool with its defaults, which clean each connection by DISCARD ALL when it comes back. */
import { type CommonQueryMethods, createPool, sql } from "slonik"
import { z } from "zod"
import { type Answer, type Open, promisePeer } from "../Peer.js"
import { type Item, sumOf } from "../Workload.js"

const row = z.object({ id: z.number(), num: z.number(), name: z.string(), body: z.string(), active: z.boolean() })
const series = z.object({ id: z.number(), num: z.number(), name: z.string() })

export const open: Open<Answer> = async (target) => {
  const pool = await createPool(target.url, { maximumPoolSize: target.connections })
  const item = async (on: CommonQueryMethods, id: number) => {
    const found: Item = await on.one(sql.type(row)`SELECT id, num, name, body, active FROM item WHERE id = ${id}`)
    return sumOf(found)
  }
  return promisePeer({
    operations: {
      select: (id) => item(pool, id),
      session: (id) =>
        pool.connect(async (connection) => {
          await connection.query(sql.unsafe`SELECT 1`)
          return item(connection, id)
        }),
      transaction: (id, amount) =>
        pool.transaction(async (connection) => {
          const account = await connection.any(sql.unsafe`SELECT id, balance FROM account WHERE id = ${id}`)
          await connection.query(sql.unsafe`UPDATE account SET balance = balance + ${amount} WHERE id = ${id}`)
          await connection.query(sql.unsafe`INSERT INTO entry (account_id, amount) VALUES (${id}, ${amount})`)
          return account.length
        }),
      bulk: async (rows) => {
        const answer = await pool.query(sql.unsafe`
          INSERT INTO bulk (id, num, name)
          SELECT * FROM ${sql.unnest(rows.map((row) => [row.id, row.num, row.name]), ["int4", "int4", "text"])}
        `)
        return answer.rowCount
      },
      stream: async (count) => {
        let sum = 0
        await pool.stream(
          sql.type(series)`
            SELECT id, id * 7 AS num, 'name of the row' AS name
            FROM (SELECT generate_series(1, ${count}::int) AS id) AS made
          `,
          (stream) =>
            new Promise<void>((resolve, reject) => {
              stream.on("data", ({ data }) => {
                sum += data.id
              })
              stream.on("error", reject)
              stream.on("end", resolve)
            })
        )
        return sum
      },
      checkout: (lent, hold) =>
        pool.connect(async () => {
          lent()
          if (hold !== undefined) await hold()
          return 1
        })
    },
    close: () => pool.end()
  })
}
