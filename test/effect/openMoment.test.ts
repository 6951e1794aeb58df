/** A fiber of Effect 3 goes on some time after what it waits for is there: what is there then, and is not taken, is closed. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { driverAt } from "../driver/pg/fixture.js"
import { describePostgres, eventually, freshDatabase, observer } from "../kit/postgres.js"
import { Steps } from "../kit/steps.js"

describePostgres("opening a connection", () => {
  it.scoped("an interrupt in the very moment in which the connection is there closes it", () =>
    Effect.gen(function*() {
      const { name, url } = yield* freshDatabase
      const ask = yield* observer(url)
      const driver = yield* driverAt(url, { ssl: "disable" })
      const others = Effect.map(
        ask(
          "SELECT count(*)::int4 AS n FROM pg_stat_activity WHERE datname = $1 AND state = 'idle' AND pid <> pg_backend_pid()",
          [name]
        ),
        ([row]) => row!["n"] as number
      )
      // Fibers run only when told to: the answer of the server lies before the fiber, which has not seen it yet.
      const steps = new Steps()
      const fiber = steps.fork(driver.open)
      steps.run()
      yield* eventually(others, (n) => n === 1)
      yield* eventually(Effect.sync(() => steps.isWaiting), (isWaiting) => isWaiting)
      fiber.unsafeInterruptAsFork(FiberId.none)
      steps.run()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
      yield* eventually(others, (n) => n === 0)
    }))
})
