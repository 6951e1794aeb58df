/**
 * A program that prints which files of `src` a SELECT runs code of: in a transaction, from the template to the rows. Counted by V8's
 * coverage, which misses nothing that runs.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { Session } from "node:inspector/promises"
import { Db } from "../../src/Db.js"

const inspector = new Session()

/** The files of `src` whose functions have run since the last time. */
const filesRun = Effect.promise(async () => {
  const { result } = await inspector.post("Profiler.takePreciseCoverage")
  return result
    .filter(({ functions, url }) =>
      url.includes("/src/") && !url.includes("node_modules") && functions.some(({ ranges }) => ranges[0]!.count > 0)
    )
    .map(({ url }) => url.slice(url.lastIndexOf("/src/") + 5))
})

const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const twice = Effect.gen(function*() {
    // BEGIN travels with the first.
    yield* sql`SELECT ${1}::int AS n`
    yield* filesRun
    yield* sql`SELECT ${2}::int AS n`
    return yield* filesRun
  }).pipe(Db.transaction)
  // What is done once for a text or a connection is no part of it.
  yield* twice
  yield* twice
  console.log(JSON.stringify(yield* twice))
})

inspector.connect()
await inspector.post("Profiler.enable")
await inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false })
await Effect.runPromise(Effect.provide(program, Db.layer({ url: process.argv[2]!, environment: "production" })))
