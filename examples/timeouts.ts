/**
 * Every wait has a limit, and what runs out of time is stopped in the database, not only forgotten here.
 *
 *     npx tsx examples/timeouts.ts
 *
 * SQLite runs in a process of its own (`workers: 1`), because within this one a statement cannot be stopped. Set
 * `DATABASE_URL` to see the same over PostgreSQL.
 */
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Either, Exit, Fiber, Layer, Option } from "effect"
import type { DbError } from "../src/index.js"
import { Db } from "../src/index.js"

/** Counts for longer than any limit. */
const endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"

const tell = <A, R>(what: string, effect: Effect.Effect<A, DbError.DbError, R>) =>
  Effect.flatMap(Effect.either(effect), (result) =>
    Either.isRight(result)
      ? Console.log(`${what}: done`)
      : result.left._tag === "TimeoutError"
      ? Console.log(
        `${what}: ${result.left.phase} limit of ${result.left.limitMillis} ms, outcome ${result.left.outcome}`
      )
      : Console.log(`${what}: ${result.left.message}`))

const program = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE IF NOT EXISTS note (body VARCHAR(100) NOT NULL)")
  yield* Db.query("DELETE FROM note")
  const insert = Db.query("INSERT INTO note (body) VALUES ('never kept')")

  // #region three
  // One statement.
  yield* tell("a statement", Db.query(endless, [], { timeout: "500 millis" }))

  // A whole transaction: what it wrote is undone.
  yield* tell("a transaction", insert.pipe(Effect.zipRight(Effect.never), Db.transaction({ timeout: "300 millis" })))
  const [left] = yield* Db.query("SELECT COUNT(*) AS n FROM note")
  yield* Console.log(`rows left of it: ${Number(left?.["n"])}`)

  // Everything an effect does with the database, by one moment: waits, statements, retries.
  yield* tell(
    "everything together",
    insert.pipe(Effect.zipRight(Db.query(endless)), Db.transaction, Db.withTimeout("700 millis"))
  )
  // #endregion

  // An interrupt stops the statement too, and surfaces as nothing but that.
  const fiber = yield* Effect.fork(Db.query(endless))
  yield* Effect.sleep("200 millis")
  const exit = yield* Fiber.interrupt(fiber)
  const { inUse } = yield* Db.pool
  yield* Console.log(`interrupted: ${Exit.isInterrupted(exit)}, ${inUse} connections in use`)

  // The database is free for others all the while.
  yield* tell("afterwards", Db.query("SELECT 1 AS one"))
})

/** `DATABASE_URL`, or an SQLite file in a folder that is gone afterwards. */
const live = Layer.unwrapScoped(Effect.gen(function*() {
  const url = yield* Config.option(Config.nonEmptyString("DATABASE_URL"))
  if (Option.isSome(url)) {
    return Db.layer({ url: url.value })
  }
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  return Db.layer({ type: "sqlite", filename: `${folder}/timeouts.db`, workers: 1 })
})).pipe(Layer.provide(NodeContext.layer))

program.pipe(Effect.provide(live), NodeRuntime.runMain)
