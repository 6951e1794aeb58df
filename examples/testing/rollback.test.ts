/** One database for the whole suite, and for each test a sandbox in it that is rolled back. */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as DbTest from "../../src/DbTest.js"
import { Db } from "../../src/index.js"
import * as Accounts from "./accounts.js"
import { sqlite } from "./database.js"

layer(sqlite)("accounts", (it) => {
  it.effect("spends everything", () =>
    Effect.gen(function*() {
      yield* Accounts.transfer("ada", "grace", 100)
      expect(yield* Accounts.all).toEqual([{ name: "ada", balance: 0 }, { name: "grace", balance: 120 }])
    }).pipe(Effect.provide(DbTest.sandboxOf(Db))))

  it.effect("has it again in the next test", () =>
    Effect.gen(function*() {
      expect(yield* Accounts.all).toEqual([{ name: "ada", balance: 100 }, { name: "grace", balance: 20 }])
    }).pipe(Effect.provide(DbTest.sandboxOf(Db))))
})
