/**
 * A database in one file: opens an embedded SQLite database, writes and reads it, and says what it did.
 *
 *     npm run quickstart
 *
 * `DbLive` takes its settings from the environment; with none it opens an SQLite file. Set `DATABASE_URL` to run the
 * same program over PostgreSQL.
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Console, Effect } from "effect"
import { Db, DbLive } from "../src/index.js"

const addNote = (body: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`INSERT INTO quickstart_note ${sql.insert({ body })}`
    return yield* sql<{ readonly body: string }>`SELECT body FROM quickstart_note ORDER BY body`
  }).pipe(Db.transaction)

const program = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE IF NOT EXISTS quickstart_note (body VARCHAR(200) NOT NULL)")
  yield* Db.query("DELETE FROM quickstart_note")

  yield* addNote("hello")
  const notes = yield* addNote("world")
  yield* Console.log("committed:", notes.map((note) => note.body).join(", "))

  // The whole transaction is undone when it fails, and the first error is the one you see.
  const undone = yield* addNote("never kept").pipe(
    Effect.zipRight(Effect.fail("changed my mind")),
    Db.transaction,
    Effect.flip
  )
  const left = yield* Db.query<{ n: number }>("SELECT COUNT(*) AS n FROM quickstart_note WHERE body = :body", {
    body: "never kept"
  })
  yield* Console.log(`rolled back ("${undone}"): ${Number(left[0]?.n)} rows are left of it`)

  const { pool, sessions, transactions } = yield* Db.metrics
  yield* Console.log(
    `${(yield* Db.info).uri}: ${sessions.opened} sessions, ${transactions.committed} transactions committed, ` +
      `${transactions.rolledBack} rolled back, ${pool.inUse} connections in use`
  )
})

program.pipe(Effect.provide(DbLive), NodeRuntime.runMain)
