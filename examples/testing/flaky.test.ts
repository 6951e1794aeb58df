/** A database that fails on command: is what should be tried again tried again, and nothing applied twice? */
// #region imports
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as DbTest from "../../src/DbTest.js"
import * as Accounts from "./accounts.js"
import { sqlite } from "./database.js"
// #endregion

const after = Effect.map(Accounts.all, (accounts) => accounts.map(({ balance }) => balance))

// #region deadlock
it.effect("a deadlock is tried again", () =>
  Effect.gen(function*() {
    yield* Accounts.transfer("ada", "grace", 30)
    expect(yield* after).toEqual([70, 50])
  }).pipe(Effect.provide(DbTest.flaky(sqlite, [{ on: "statement", match: "UPDATE", nth: 2, fault: "Deadlock" }]))))
// #endregion

// #region lost
it.effect("a COMMIT whose answer is lost is not", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Accounts.transfer("ada", "grace", 30))
    expect(error).toMatchObject({ outcome: "Unknown" })
    expect(yield* after).toEqual([70, 50])
  }).pipe(Effect.provide(DbTest.flaky(sqlite, [{ on: "commit", fault: "LostAfter" }]))))
// #endregion

// #region patience
it.effect("half a minute without an answer passes at once", () =>
  Effect.gen(function*() {
    const transfer = yield* Effect.fork(Accounts.transfer("ada", "grace", 30))
    yield* TestClock.adjust("30 seconds")
    yield* Fiber.join(transfer)
    expect(yield* after).toEqual([70, 50])
  }).pipe(Effect.provide(DbTest.flaky(sqlite, [{ on: "statement", match: "INSERT", delay: "30 seconds" }]))))
// #endregion
