/**
 * The README's first program.
 *
 *     npx tsx examples/first.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Console, Effect } from "effect"
import { Db, DbLive } from "../src/index.js"

const addNote = (body: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS first_note (body VARCHAR(200) NOT NULL)`
    yield* sql`INSERT INTO first_note ${sql.insert({ body })}`
    return yield* sql<{ readonly body: string }>`SELECT body FROM first_note`
  }).pipe(Db.transaction)

addNote("hello").pipe(
  Effect.flatMap((notes) => Console.log(notes)),
  Effect.provide(DbLive),
  NodeRuntime.runMain
)
