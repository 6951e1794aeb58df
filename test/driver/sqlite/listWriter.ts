/**
 * A program to be killed: `listWriter.ts FILE...` writes one list after the other to each file, and a line of JSON for each that
 * it was told is done, `[index of the file, id of the list]`, and for each process that it starts: its id.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { writeSync } from "node:fs"
import { Db } from "../../../src/Db.js"
import { database, emptyWal, list, table } from "./lists.js"

const say = (value: unknown) => writeSync(1, `${JSON.stringify(value)}\n`)

await Effect.forEach(
  process.argv.slice(2),
  (filename, index) =>
    Effect.gen(function*() {
      yield* table
      for (let id = 1;; id++) {
        yield* emptyWal
        yield* Db.batch(list(id))
        say([index, id])
      }
    }).pipe(Effect.provide(database(filename, index % 2 === 0 ? "small" : "large", ({ id }) => say(id)))),
  { concurrency: "unbounded" }
).pipe(Logger.withMinimumLogLevel(LogLevel.None), Effect.runPromise)
