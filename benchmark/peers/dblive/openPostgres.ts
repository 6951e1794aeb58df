/**
 * The operations of `dblive` on PostgreSQL: the plain template of the provided `SqlClient`, sessions and transactions.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Db } from "../../../src/index.js"
import { effectPeer } from "../../EffectPeer.js"
import type { Open } from "../../Peer.js"
import { bulkRows, type Item, statements, sumOf } from "../../Workload.js"

/** The settings of the pool. */
type Pool = NonNullable<Extract<Parameters<typeof Db.layer>[0], { readonly pool?: unknown }>["pool"]>

/** What the layer of the default database provides. */
type Provided = Layer.Layer.Success<ReturnType<typeof Db.layer>>

const select = (id: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<Item>`SELECT id, num, name, body, active FROM item WHERE id = ${id}`,
      (rows) => sumOf(rows[0]!)
    ))

/** Opens `dblive` as in production; `around` is a layer that it is built in, `pool` what differs from the defaults. */
export const openPostgres = (
  around: Layer.Layer<never>,
  pool: Pool = {}
): Open<Effect.Effect<number, unknown, Provided>> =>
(target) =>
  effectPeer({
    layer: Db.layer({
      url: target.url,
      environment: "production",
      pool: {
        size: target.connections,
        overflow: 0,
        maxWaiters: 100_000,
        acquireTimeout: "60 seconds",
        // As the peers do: every session asks.
        ...(target.workload === "W2.asked" ? { validateAfter: 0 } : {}),
        ...pool
      }
    }).pipe(Layer.provideMerge(around)),
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
            0,
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
