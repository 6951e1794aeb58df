/**
 * A program under load, of whose collector `minorCollections.test.ts` reads the trace: `load.ts <url> <kind>`. It writes "warm" when
 * what is measured begins.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"

const select = (id: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT ${id}::int AS id, repeat('x', 100) AS body`)

const repeat = (
  fibers: number,
  count: number,
  one: (i: number) => Effect.Effect<unknown, unknown, Db | SqlClient.SqlClient>
) =>
  Effect.suspend(() => {
    let i = 0
    const loop = Effect.whileLoop({ while: () => i < count, body: () => one(i++), step: () => {} })
    return Effect.all(Array.from({ length: fibers }, () => loop), { concurrency: "unbounded", discard: true })
  })

const kinds = {
  selects: repeat(64, 15_000, select),
  shared: repeat(64, 60_000, select),
  sessions: repeat(64, 8_000, (i) => Db.session(select(i))),
  transactions: repeat(16, 3_000, (i) => Db.transaction(Effect.zipRight(select(i), select(i + 1)))),
  stream: Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Stream.runDrain(
      sql`SELECT id, 'name of the row' AS name FROM generate_series(1, 800000) AS made(id)`.stream
    ))
}

const [url = "", kind = ""] = process.argv.slice(2)
const load: Effect.Effect<unknown, unknown, Db | SqlClient.SqlClient> = kinds[kind as keyof typeof kinds]

// The longer of the two loads is the one in which V8 compiles what is used much.
const program = Effect.zipRight(
  Effect.zipRight(Effect.repeatN(load, 1), Effect.sync(() => process.stdout.write("\nwarm\n"))),
  load
)

Effect.runPromise(Effect.provide(
  program,
  Db.layer({
    url,
    environment: "production",
    ssl: "disable",
    pool: {
      size: 10,
      overflow: 0,
      acquireTimeout: "60 seconds",
      // Where each use begins with a connection that was looked at, none is shared.
      ...(kind === "shared" ? {} : { validateAfter: 0 })
    }
  })
)).then(() => process.exit(0), (error) => {
  process.stderr.write(String(error))
  process.exit(1)
})
