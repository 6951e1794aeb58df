/** kysely over `pg`, with its query builder. */
import { type ColumnType, type Generated, type Kysely, Kysely as Database, PostgresDialect, sql } from "kysely"
import pg from "pg"
import Cursor from "pg-cursor"
import { type Answer, type Open, promisePeer } from "../Peer.js"
import { type BulkRow, type Item, sumOf } from "../Workload.js"

interface Tables {
  readonly item: Item
  readonly account: { readonly id: number; readonly balance: ColumnType<string, number, number> }
  readonly entry: { readonly id: Generated<string>; readonly account_id: number; readonly amount: number }
  readonly bulk: BulkRow
}

export const open: Open<Answer> = async (target) => {
  const pool = new pg.Pool({ connectionString: target.url, max: target.connections })
  const db = new Database<Tables>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) })
  const item = async (on: Kysely<Tables>, id: number) =>
    sumOf(
      await on.selectFrom("item").select(["id", "num", "name", "body", "active"]).where("id", "=", id)
        .executeTakeFirstOrThrow()
    )
  return promisePeer({
    operations: {
      select: (id) => item(db, id),
      session: (id) =>
        db.connection().execute(async (on) => {
          await sql`SELECT 1`.execute(on)
          return item(on, id)
        }),
      transaction: (id, amount) =>
        db.transaction().execute(async (on) => {
          const account = await on.selectFrom("account").select(["id", "balance"]).where("id", "=", id).execute()
          await on.updateTable("account").set({ balance: sql`balance + ${amount}` }).where("id", "=", id).execute()
          await on.insertInto("entry").values({ account_id: id, amount }).execute()
          return account.length
        }),
      bulk: async (rows) =>
        Number((await db.insertInto("bulk").values(rows).executeTakeFirst()).numInsertedOrUpdatedRows),
      stream: async (count) => {
        let sum = 0
        const rows = db.selectFrom(sql<{ id: number }>`(SELECT generate_series(1, ${count}::int) AS id)`.as("made"))
          .select(["id", sql<number>`id * 7`.as("num"), sql<string>`'name of the row'`.as("name")])
          .stream(1000)
        for await (const row of rows) sum += row.id
        return sum
      },
      checkout: (lent, hold) =>
        db.connection().execute(async () => {
          lent()
          if (hold !== undefined) await hold()
          return 1
        })
    },
    close: () => db.destroy()
  })
}
