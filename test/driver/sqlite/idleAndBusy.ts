/** A program to be killed: it opens two connections to the file it is given, and keeps one of them busy. */
import * as Effect from "effect/Effect"
import { execute, make } from "./harness.js"

await Effect.gen(function*() {
  const driver = yield* make({ filename: process.argv[2]!, workers: 2 })
  const idle = yield* driver.open
  const busy = yield* driver.open
  yield* Effect.fork(execute(busy, process.argv[3]!))
  yield* Effect.yieldNow()
  console.log(idle.id, busy.id)
  yield* Effect.never
}).pipe(Effect.scoped, Effect.runPromise)
