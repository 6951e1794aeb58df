/**
 * The edition of `dblive` for Effect 4, as `npm run edition:4` has made it, with the operations of `../peers/dblive.ts`.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import type { Open } from "../Peer.js"
import { bulkRows, type Item, statements, sumOf } from "../Workload.js"
import { effectPeer } from "./EffectPeer.js"

/** What is used of the edition. It is made, so that no type of it can be imported. */
interface Edition {
  readonly Db: {
    readonly layer: (options: object) => Layer.Layer<SqlClient.SqlClient, unknown>
    readonly session: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, unknown, R>
    readonly transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, unknown, R>
  }
}

const select = (id: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<Item>`SELECT id, num, name, body, active FROM item WHERE id = ${id}`,
      (rows) => sumOf(rows[0]!)
    ))

export const open: Open<Effect.Effect<number, unknown, SqlClient.SqlClient>> = async (target) => {
  const entry = new URL("../../editions/effect-4/dist/src/index.js", import.meta.url).href
  // The edition's entry point, whose part that is used is described above.
  const { Db } = await import(entry) as Edition
  return effectPeer({
    layer: Db.layer({
      url: target.url,
      environment: "production",
      pool: {
        size: target.connections,
        overflow: 0,
        maxWaiters: 100_000,
        acquireTimeout: "60 seconds",
        ...(target.workload === "W2.asked" ? { validateAfter: 0 } : {})
      }
    }),
    operations: {
      select,
      session: (id) => Db.session(select(id)),
      transaction: Effect.fnUntraced(function*(id: number, amount: number) {
        const sql = yield* SqlClient.SqlClient
        const account = yield* sql`SELECT id, balance FROM account WHERE id = ${id}`
        yield* sql`UPDATE account SET balance = balance + ${amount} WHERE id = ${id}`
        yield* sql`INSERT INTO entry (account_id, amount) VALUES (${id}, ${amount})`
        return account.length
      }, (effect) => Db.transaction(effect)),
      bulk: (rows) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          // the answer carries no count: the rows are counted in the table afterwards
          Effect.as(sql`INSERT INTO bulk ${sql.insert(rows as never)}`, bulkRows)),
      stream: (count) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Stream.runFold(
            sql.unsafe<{ id: number }>(statements.series, [count]).stream,
            () => 0,
            (sum, row) => sum + row.id
          )),
      statement: (text, params) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.as(sql.unsafe(text, params), 0)),
      checkout: (lent, hold) =>
        Db.session(Effect.suspend(() => {
          lent()
          return hold === undefined ? Effect.succeed(1) : Effect.as(hold(), 1)
        }))
    }
  })
}
