/**
 * Reads on replicas that show nothing older than what was written before.
 *
 *     DATABASE_URL=postgres://user:password@localhost:5432/app DATABASE_REPLICA_URLS=postgres://localhost:5433 \
 *       npx tsx examples/replicas.ts
 *
 * Without DATABASE_REPLICA_URLS it runs on the one database: nothing in the program changes. A standby for it, on one machine:
 *
 *     pg_basebackup -h localhost -p 5432 -U postgres -D standby -R && postgres -D standby -p 5433
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { Db, DbLive } from "../src/index.js"

// #region reads
const add = (body: string) => Db.execute("INSERT INTO dblive_example_replicas (body) VALUES (:body)", { body })

const count = Db.scalar<number>("SELECT CAST(count(*) AS int) FROM dblive_example_replicas").pipe(Db.read)
// #endregion

// #region token
/** What one process has written, another one reads: the token goes with the message. */
const publish = Effect.zipRight(add("published"), Db.token)

const consume = (token: string | undefined) => count.pipe(Db.withToken(token))
// #endregion

const program = Effect.gen(function*() {
  yield* Db.query("DROP TABLE IF EXISTS dblive_example_replicas")
  yield* Db.query("CREATE TABLE dblive_example_replicas (body text NOT NULL)")

  yield* add("one").pipe(Db.transaction)
  yield* Console.log("behind a transaction:", yield* count)

  yield* add("two")
  yield* Console.log("behind a statement:", yield* count)

  const token = yield* publish
  yield* Console.log("with a token:", yield* consume(token))

  const error = yield* Effect.flip(add("three").pipe(Db.read))
  yield* Console.log("a write in a read:", error.reason)

  // Where the reads ran, and why.
  const { reads, replicas } = yield* Db.info
  yield* replicas.length === 0
    ? Console.log("no replicas are configured: see the top of this file")
    : Console.log(
      "on the primary:",
      JSON.stringify(reads),
      ...replicas.map(({ name, reads }) => `${name}: ${JSON.stringify(reads)}`)
    )
})

program.pipe(Effect.provide(DbLive), NodeRuntime.runMain)
