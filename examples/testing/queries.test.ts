/** What the code did: here, that it does not ask once per account. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbTest from "../../src/DbTest.js"
import * as Accounts from "./accounts.js"
import { sqlite } from "./database.js"

it.effect("asks twice, however many accounts there are", () =>
  Effect.gen(function*() {
    yield* Effect.forEach(["alan", "barbara", "charles"], (name) => Accounts.open(name, 1))
    const [statements, queries] = yield* DbTest.countQueries(Accounts.statements)
    expect(statements).toHaveLength(5)
    expect(queries).toBe(2)
  }).pipe(Effect.provide(sqlite)))
