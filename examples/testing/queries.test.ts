/** What the code did: here, that it does not ask once per account. */
// #region imports
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbTest from "../../src/DbTest.js"
import * as Accounts from "./accounts.js"
import { sqlite } from "./database.js"
// #endregion

// #region count
it.effect("asks twice, however many accounts there are", () =>
  Effect.gen(function*() {
    yield* Effect.forEach(["alan", "barbara", "charles"], (name) => Accounts.open(name, 1))
    const [statements, queries] = yield* DbTest.countQueries(Accounts.statements)
    expect(statements).toHaveLength(5)
    expect(queries).toBe(2)
  }).pipe(Effect.provide(sqlite)))
// #endregion

// #region record
it.effect("sends three statements in a transaction", () =>
  Effect.gen(function*() {
    const [, sent] = yield* DbTest.record(Accounts.transfer("ada", "grace", 30))
    expect(sent.map(({ kind }) => kind)).toEqual(["control", "query", "query", "query", "control"])
    expect(sent[1]).toMatchObject({ params: [30, "grace"] })
    // all since the layer was built; migrations and seeds are not the code's
    expect(yield* DbTest.statements).toEqual(sent)
  }).pipe(Effect.provide(sqlite)))
// #endregion
