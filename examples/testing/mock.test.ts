/** No database at all: what is sent, and what an error makes of it. */
// #region imports
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbTest from "../../src/DbTest.js"
import * as Accounts from "./accounts.js"
// #endregion

it.effect("pays in before it takes out", () =>
  Effect.gen(function*() {
    yield* Accounts.transfer("ada", "grace", 30)
    const sent = yield* DbTest.statements
    expect(sent.filter(({ kind }) => kind === "query").map(({ params }) => params)).toEqual([
      [30, "grace"],
      [30, "ada"],
      ["ada", "grace", 30]
    ])
  }).pipe(
    Effect.provide(DbTest.mock([{ statement: /^UPDATE account/, times: 2 }, { statement: /^INSERT INTO transfer/ }]))
  ))

// #region check
it.effect("a check that fails means that there is not enough", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Accounts.transfer("ada", "grace", 30))
    expect(error).toEqual(new Accounts.NotEnough({ name: "ada" }))
  }).pipe(Effect.provide(DbTest.mock([{ statement: /^UPDATE/, error: { reason: "CheckViolation" } }]))))
// #endregion
