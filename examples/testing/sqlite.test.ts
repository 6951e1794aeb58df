/** A private SQLite database per test: the fastest that is a real database. */
// #region test
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Accounts from "./accounts.js"
import { sqlite } from "./database.js"

it.effect("moves money", () =>
  Effect.gen(function*() {
    yield* Accounts.transfer("ada", "grace", 30)
    expect(yield* Accounts.all).toEqual([{ name: "ada", balance: 70 }, { name: "grace", balance: 50 }])
  }).pipe(Effect.provide(sqlite)))
// #endregion

it.effect("moves nothing when there is not enough", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Accounts.transfer("grace", "ada", 30))
    expect(error).toEqual(new Accounts.NotEnough({ name: "grace" }))
    expect(yield* Accounts.all).toEqual([{ name: "ada", balance: 100 }, { name: "grace", balance: 20 }])
  }).pipe(Effect.provide(sqlite)))
