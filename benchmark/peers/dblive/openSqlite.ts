/**
 * The operations of `dblive` on SQLite.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Db } from "../../../src/index.js"
import { effectPeer } from "../../EffectPeer.js"
import type { Open } from "../../Peer.js"
import { type Item, sqliteStatements, sumOf } from "../../Workload.js"

/** What the layer of the default database provides. */
type Provided = Layer.Layer.Success<ReturnType<typeof Db.layer>>

/** Opens `dblive`; `workers`: the workers that run the statements, 0 for none; `sqliteModule`: what opens the file. */
export const openSqlite = (
  workers: number,
  sqliteModule: "better-sqlite3" | "node:sqlite" = "better-sqlite3"
): Open<Effect.Effect<number, unknown, Provided>> =>
(target) =>
  effectPeer({
    layer: Db.layer({
      type: "sqlite",
      filename: target.file,
      environment: "production",
      settings: { synchronous: "NORMAL" },
      workers,
      sqliteModule
    }),
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
          for (let i = 0; i < count; i++) {
            yield* sql`INSERT INTO entry (account_id, amount) VALUES (${i}, ${amount})`
          }
          return count
        }).pipe(Db.transaction),
      list: (count, amount) =>
        Effect.as(
          Db.batch(Array.from({ length: count }, (_, i) =>
            [sqliteStatements.entry, [i, amount]] as const)),
          count
        ),
      stream: (count) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Stream.runFold(
            sql.unsafe<{ readonly id: number }>(sqliteStatements.scan, [count]).stream,
            0,
            (sum, row) => sum + row.id
          )),
      heavy: (n) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) =>
          Effect.map(
            sql.unsafe<{ readonly n: number }>(sqliteStatements.heavy, [n]),
            (rows) => rows[0]!.n
          )),
      writing: (more) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          while (more()) {
            yield* sql`INSERT INTO entry (account_id, amount) VALUES (1, 1)`
            yield* Effect.sleep(5)
          }
          return 0
        }).pipe(Db.transaction)
    }
  })
