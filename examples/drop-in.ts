/**
 * From the published clients: what `PgClient.layer` provided, `Db.layer` provides too.
 *
 *     DATABASE_URL=postgres://user:password@localhost:5432/app npx tsx examples/drop-in.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Config, Console, Effect } from "effect"
// #region layer
import * as Pg from "../src/driver/Pg.js"
import { Db } from "../src/index.js"

// before: PgClient.layerConfig({ url: Config.redacted("DATABASE_URL") })
const DatabaseLive = Db.layerConfig({ url: Config.redacted("DATABASE_URL") }).pipe(Pg.withClient)
// #endregion

/** Written for `PgClient`, and knows nothing of dblive. */
const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const pg = yield* Pg.PgClient
  const [row] = yield* sql<{ data: { kind: string } }>`SELECT ${pg.json({ kind: "login" })}::jsonb AS data`.pipe(
    sql.withTransaction
  )
  yield* Console.log(`${row?.data.kind} over ${yield* sql.onDialectOrElse({
    pg: () => Effect.succeed("PostgreSQL"),
    orElse: () => Effect.succeed("another database")
  })}`)
})

program.pipe(Effect.provide(DatabaseLive), NodeRuntime.runMain)
