/** `@effect/sql-sqlite-node`: the published client of Effect. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { effectPeer } from "../EffectPeer.js"
import type { Open } from "../Peer.js"
import { type Item, sqliteStatements, sumOf } from "../Workload.js"

export const open: Open<Effect.Effect<number, unknown, SqlClient.SqlClient>> = (target) =>
  effectPeer({
    layer: Layer.effectDiscard(
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe("PRAGMA synchronous = NORMAL"))
    ).pipe(Layer.provideMerge(SqliteClient.layer({ filename: target.file }))),
    leftOut: { S4: "no stream: it is a defect" },
    operations: {
      select: (id) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.map(
            sql<Item>`SELECT id, num, name, body, active FROM item WHERE id = ${id}`,
            (rows) => sumOf(rows[0]!)
          )),
      insert: (id, amount) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.as(sql`INSERT INTO entry (account_id, amount) VALUES (${id}, ${amount})`, 1)),
      batch: (count, amount) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          return yield* sql.withTransaction(Effect.gen(function*() {
            for (let i = 0; i < count; i++) {
              yield* sql`INSERT INTO entry (account_id, amount) VALUES (${i}, ${amount})`
            }
            return count
          }))
        }),
      heavy: (n) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.map(
            sql.unsafe<{ readonly n: number }>(sqliteStatements.heavy, [n]),
            (rows) =>
              rows[0]!.n
          )),
      writing: (more) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          return yield* sql.withTransaction(Effect.gen(function*() {
            while (more()) {
              yield* sql`INSERT INTO entry (account_id, amount) VALUES (1, 1)`
              yield* Effect.sleep(5)
            }
            return 0
          }))
        })
    }
  })
