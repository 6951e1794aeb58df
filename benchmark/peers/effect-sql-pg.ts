/** `@effect/sql-pg`: the published client of Effect. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { effectPeer } from "../EffectPeer.js"
import type { Open } from "../Peer.js"
import { bulkRows, type Item, statements, sumOf } from "../Workload.js"

/** A generator that is made once, as Effect's documents show functions, in all peers of Effect. */
const transaction = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, id: number, amount: number) {
  const account = yield* sql`SELECT id, balance FROM account WHERE id = ${id}`
  yield* sql`UPDATE account SET balance = balance + ${amount} WHERE id = ${id}`
  yield* sql`INSERT INTO entry (account_id, amount) VALUES (${id}, ${amount})`
  return account.length
})

export const open: Open<Effect.Effect<number, unknown, SqlClient.SqlClient>> = (target) =>
  effectPeer({
    layer: PgClient.layer({ url: Redacted.make(target.url), maxConnections: target.connections }),
    operations: {
      select: (id) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.map(
            sql<Item>`SELECT id, num, name, body, active FROM item WHERE id = ${id}`,
            (rows) => sumOf(rows[0]!)
          )),
      session: (id) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.scoped(Effect.flatMap(sql.reserve, (connection) =>
            Effect.zipRight(
              connection.executeUnprepared(statements.ping, [], undefined),
              Effect.map(
                connection.execute(statements.item, [id], undefined),
                (rows) =>
                  sumOf(rows[0])
              )
            )))),
      transaction: (id, amount) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(transaction(sql, id, amount))),
      bulk: (rows) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          // the answer carries no count: the rows are counted in the table afterwards
          Effect.as(sql`INSERT INTO bulk ${sql.insert(rows as never)}`, bulkRows)),
      stream: (count) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Stream.runFold(
            sql.unsafe<{ id: number }>(statements.series, [count]).stream,
            0,
            (sum, row) =>
              sum + row.id
          )),
      checkout: (lent, hold) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.scoped(Effect.flatMap(sql.reserve, () => {
            lent()
            return hold === undefined ? Effect.succeed(1) : Effect.as(hold(), 1)
          })))
    }
  })
