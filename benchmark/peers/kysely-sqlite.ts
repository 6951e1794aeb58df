/** kysely over `better-sqlite3`, with its query builder. */
import Sqlite from "better-sqlite3"
import { type Generated, Kysely, sql, SqliteDialect } from "kysely"
import { type Answer, type Open, promisePeer, sleep } from "../Peer.js"
import { type Item, sqliteStatements, sumOf } from "../Workload.js"

interface Tables {
  readonly item: Item
  readonly big: { readonly id: number; readonly num: number; readonly name: string }
  readonly entry: { readonly id: Generated<number>; readonly account_id: number; readonly amount: number }
}

export const open: Open<Answer> = async (target) => {
  const database = new Sqlite(target.file)
  database.pragma("journal_mode = WAL")
  database.pragma("synchronous = NORMAL")
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
  return promisePeer({
    operations: {
      select: async (id) =>
        sumOf(
          await db.selectFrom("item").select(["id", "num", "name", "body", "active"]).where("id", "=", id)
            .executeTakeFirstOrThrow()
        ),
      insert: async (id, amount) =>
        Number(
          (await db.insertInto("entry").values({ account_id: id, amount }).executeTakeFirst()).numInsertedOrUpdatedRows
        ),
      batch: (count, amount) =>
        db.transaction().execute(async (on) => {
          for (let i = 0; i < count; i++) await on.insertInto("entry").values({ account_id: i, amount }).execute()
          return count
        }),
      stream: async (count) => {
        let sum = 0
        const rows = db.selectFrom("big").select(["id", "num", "name"]).where("id", "<=", count).stream()
        for await (const row of rows) sum += row.id
        return sum
      },
      heavy: async (n) =>
        (await sql<{ readonly n: number }>`${sql.raw(sqliteStatements.heavy.replace("?", String(n)))}`.execute(db))
          .rows[0]!.n,
      writing: (more) =>
        db.transaction().execute(async (on) => {
          while (more()) {
            await on.insertInto("entry").values({ account_id: 1, amount: 1 }).execute()
            await sleep(5)
          }
          return 0
        })
    },
    close: () => db.destroy()
  })
}
