/**
 * The same face over PostgreSQL, and what only PostgreSQL has: JSON, isolation levels, LISTEN and NOTIFY.
 *
 *     DATABASE_URL=postgres://user:password@localhost:5432/app npx tsx examples/postgres.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Metric, Schedule, Stream } from "effect"
// #region import
import * as Pg from "../src/driver/Pg.js"
// #endregion
import { Db, DbLive } from "../src/index.js"

// #region missed
/** How often the connection that listens for this database was lost and made again. */
const losses = Pg.reconnects.pipe(
  Metric.tagged("db.client.connection.pool.name", "default"),
  Metric.value,
  Effect.map(({ count }) => count)
)

/** Emits when notifications may have been missed: the time to read again what they tell of. */
const missed = Stream.repeatEffectWithSchedule(losses, Schedule.spaced("1 second")).pipe(Stream.changes, Stream.drop(1))
// #endregion

const program = Effect.gen(function*() {
  const sql = yield* Pg.PgClient
  yield* sql`CREATE TABLE IF NOT EXISTS dblive_example_event (id bigserial PRIMARY KEY, data jsonb NOT NULL, at timestamptz DEFAULT now())`
  yield* sql`TRUNCATE dblive_example_event`

  yield* sql`INSERT INTO dblive_example_event ${sql.insert({ data: sql.json({ kind: "login", user: "ada" }) })}`.pipe(
    Db.transaction({ isolation: "serializable" })
  )
  const rows = yield* sql<{ data: { kind: string } }>`SELECT data FROM dblive_example_event`
  yield* Console.log("written and read:", JSON.stringify(rows[0]!.data))

  // Listening has a connection of its own, and listens again when that is lost.
  const events = Stream.merge(sql.listen("events"), Stream.as(missed, "look for yourself"))
  const heard = yield* Effect.fork(Stream.runHead(events))
  yield* sql.notify("events", "ready?").pipe(
    Effect.repeat({ until: () => Fiber.poll(heard).pipe(Effect.map((_) => _._tag === "Some")) })
  )
  yield* Console.log("heard:", (yield* Fiber.join(heard)).pipe((_) => _._tag === "Some" ? _.value : "nothing"))

  const { serverVersion, uri } = yield* Db.info
  yield* Console.log(`${uri}, PostgreSQL ${serverVersion}`)
})

program.pipe(Effect.provide(DbLive.pipe(Pg.withClient)), NodeRuntime.runMain)
