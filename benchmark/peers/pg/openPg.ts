/**
 * The operations of raw `pg`, as one writes them by hand.
 */
import pg from "pg"
import Cursor from "pg-cursor"
import { type Answer, type Open, promisePeer } from "../../Peer.js"
import { type BulkRow, type Item, statements, sumOf } from "../../Workload.js"

/** Opens a `pg` Pool; `named`: statements are sent with a name. */
export const openPg = (options: { readonly named: boolean }): Open<Answer> => async (target) => {
  const pool = new pg.Pool({ connectionString: target.url, max: target.connections })
  const query = (name: string, text: string, values: Array<unknown>): pg.QueryConfig =>
    options.named ? { name, text, values } : { text, values }

  return promisePeer({
    operations: {
      select: async (id) => sumOf((await pool.query<Item>(query("item", statements.item, [id]))).rows[0]!),
      session: async (id) => {
        const client = await pool.connect()
        try {
          await client.query(statements.ping)
          return sumOf((await client.query<Item>(query("item", statements.item, [id]))).rows[0]!)
        } finally {
          client.release()
        }
      },
      transaction: async (id, amount) => {
        const client = await pool.connect()
        try {
          await client.query("BEGIN")
          const account = await client.query(query("account", statements.account, [id]))
          await client.query(query("deposit", statements.deposit, [amount, id]))
          await client.query(query("entry", statements.entry, [id, amount]))
          await client.query("COMMIT")
          return account.rows.length
        } catch (error) {
          await client.query("ROLLBACK")
          throw error
        } finally {
          client.release()
        }
      },
      bulk: async (rows: ReadonlyArray<BulkRow>) => {
        const values: Array<unknown> = []
        for (const row of rows) values.push(row.id, row.num, row.name)
        return (await pool.query(query("bulk", statements.bulk, values))).rowCount!
      },
      stream: async (count) => {
        const client = await pool.connect()
        const cursor = client.query(new Cursor<{ id: number }>(statements.series, [count]))
        let sum = 0
        for (;;) {
          const rows = await cursor.read(1000)
          if (rows.length === 0) break
          for (const row of rows) sum += row.id
        }
        await cursor.close()
        client.release()
        return sum
      },
      statement: async (text, params) => {
        await pool.query(query(text.slice(0, 63), text, [...params]))
        return 0
      },
      checkout: async (lent, hold) => {
        const client = await pool.connect()
        lent()
        if (hold !== undefined) await hold()
        client.release()
        return 1
      }
    },
    close: () => pool.end()
  })
}
