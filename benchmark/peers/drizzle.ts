/** drizzle over `pg`, with its query builder. */
import { eq, sql } from "drizzle-orm"
import { drizzle } from "drizzle-orm/node-postgres"
import { bigint, boolean, integer, pgTable, text } from "drizzle-orm/pg-core"
import pg from "pg"
import { type Answer, type Open, promisePeer } from "../Peer.js"
import { sumOf } from "../Workload.js"

const item = pgTable("item", {
  id: integer().primaryKey(),
  num: integer().notNull(),
  name: text().notNull(),
  body: text().notNull(),
  active: boolean().notNull()
})
const account = pgTable("account", {
  id: integer().primaryKey(),
  balance: bigint({ mode: "number" }).notNull()
})
const entry = pgTable("entry", {
  id: bigint({ mode: "number" }).generatedAlwaysAsIdentity(),
  account_id: integer().notNull(),
  amount: integer().notNull()
})
const bulk = pgTable("bulk", {
  id: integer().notNull(),
  num: integer().notNull(),
  name: text().notNull()
})

export const open: Open<Answer> = async (target) => {
  const pool = new pg.Pool({ connectionString: target.url, max: target.connections })
  const db = drizzle({ client: pool })
  return promisePeer({
    leftOut: {
      W2: "no way to pin a connection but a transaction",
      W5: "no stream",
      "W6.free": "no way to pin a connection but a transaction",
      "W6.contended": "no way to pin a connection but a transaction"
    },
    operations: {
      select: async (id) => sumOf((await db.select().from(item).where(eq(item.id, id)))[0]!),
      transaction: (id, amount) =>
        db.transaction(async (tx) => {
          const found = await tx.select().from(account).where(eq(account.id, id))
          await tx.update(account).set({ balance: sql`${account.balance} + ${amount}` }).where(eq(account.id, id))
          await tx.insert(entry).values({ account_id: id, amount })
          return found.length
        }),
      bulk: async (rows) => (await db.insert(bulk).values([...rows])).rowCount!
    },
    close: () => pool.end()
  })
}
